// azure-iot-device over azure-iot-device-mqtt, straight and in WebSockets, by key and by certificate; and over -http: a
// device provisions, connects to its hub with the same credential, and does there what devices do.
'use strict';
const { execFileSync } = require('node:child_process');
const { Client, Message, X509AuthenticationProvider } = require('azure-iot-device');
const { Http: HubHttp } = require('azure-iot-device-http');
const { Mqtt: HubMqtt, MqttWs: HubMqttWs } = require('azure-iot-device-mqtt');
const {
  Mqtt, MqttWs, assert, certificates, environment, newKey, register, run, service, withCertificate, withKey,
} = require('../lib/clients.js');

const WITHIN = 30_000;
const sleep = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
const landfall = (...words) => execFileSync(environment.LANDFALL, words, { encoding: 'utf8' });
const shown = (...words) => JSON.parse(landfall(...words, '--json'));
/** A command that ends while this program goes on serving its connections. */
const meanwhile = (...words) => new Promise((resolve, reject) => {
  require('node:child_process').execFile(environment.LANDFALL, words, { encoding: 'utf8' }, (error, stdout) => (
    error ? reject(error) : resolve(stdout)));
});

/** The first events that the hub keeps of a device. */
const followed = (device, count) => landfall(
  'hub', 'monitor', '--after', '0', '--device-id', device, '--count', String(count), '--json',
).trim().split('\n').map((line) => JSON.parse(line));

/** A line of things that happen, each to be waited for. */
class Heard {
  constructor() { this.all = []; }

  add(one) { this.all.push(one); }

  async next() {
    const until = Date.now() + WITHIN;
    while (!this.all.length) {
      assert.ok(Date.now() < until, 'nothing came');
      await sleep(20);
    }
    return this.all.shift();
  }
}

async function becomes(device, member, value) {
  const until = Date.now() + WITHIN;
  while (shown('hub', 'device', 'show', device)[member] !== value) {
    assert.ok(Date.now() < until, `${member} does not become ${value}`);
    await sleep(50);
  }
}

/** Reports a change, and waits until the hub has it. */
const reported = (twin, change) => new Promise((resolve, reject) => {
  twin.properties.reported.update(change, (error) => (error ? reject(error) : resolve()));
});

async function lives(client, device) {
  const [messages, patches, called] = [new Heard(), new Heard(), new Heard()];
  await client.open();
  await becomes(device, 'connectionState', 'Connected');

  const message = new Message(JSON.stringify({ t: 21.5, ü: 'ß' }));
  message.contentType = 'application/json';
  message.contentEncoding = 'utf-8';
  message.messageId = `${device}-1`;
  message.properties.add('alarm', 'no');
  message.properties.add('a b&c=d', '%/ü');
  await client.sendEvent(message);
  await client.sendEvent(new Message('plain'));
  const [connected, first, second] = followed(device, 3);
  assert.equal(connected.event, 'deviceConnected');
  assert.deepEqual([first.body, second.body], [{ t: 21.5, ü: 'ß' }, 'plain']);
  assert.deepEqual(first.properties, { alarm: 'no', 'a b&c=d': '%/ü' });
  assert.equal(first.systemProperties['message-id'], `${device}-1`);

  const twin = await client.getTwin();
  const version = twin.properties.desired.$version;
  twin.on('properties.desired', (patch) => { if (patch.interval) { patches.add(patch); } });
  await reported(twin, { firmware: '1.0', gone: 1 });
  await reported(twin, { gone: null });
  const { firmware, gone } = shown('hub', 'twin', 'show', device).properties.reported;
  assert.deepEqual([firmware, gone], ['1.0', undefined]);
  await meanwhile('hub', 'twin', 'update', device, '--desired', '{"interval": 5}');
  assert.deepEqual(await patches.next(), { interval: 5, $version: version + 1 });

  client.on('message', (received) => {
    client.complete(received, (error) => messages.add(error || received));
  });
  await meanwhile('hub', 'c2d', 'send', device, '--body', 'turn on', '--properties', 'level=3;a b=%/ü', '--message-id', 'm 1');
  const received = await messages.next();
  assert.deepEqual([received.getData().toString(), received.messageId], ['turn on', 'm 1']);
  assert.equal(received.properties.getValue('a b'), '%/ü');
  await becomes(device, 'cloudToDeviceMessageCount', 0);

  client.onDeviceMethod('reboot', (request, response) => {
    called.add(request.payload);
    response.send(207, { did: request.methodName }, (error) => assert.ifError(error));
  });
  const call = ['hub', 'method', 'invoke', device, '--method-name', 'reboot', '--payload', '{"in": 3}', '--json'];
  const until = Date.now() + WITHIN;
  let answer;
  // It subscribes when it is told what to do, and does not say when it has.
  while (!answer) {
    try {
      answer = JSON.parse(await meanwhile(...call));
    } catch (error) {
      assert.ok(Date.now() < until, String(error));
      await sleep(50);
    }
  }
  assert.deepEqual([answer.status, answer.payload], [207, { did: 'reboot' }]);
  assert.deepEqual(await called.next(), { in: 3 });

  await client.close();
  await becomes(device, 'connectionState', 'Disconnected');
  for (const number of [1, 2, 3]) { landfall('hub', 'c2d', 'send', device, '--body', `while away ${number}`); }
  await client.open();
  for (const number of [1, 2, 3]) {
    assert.equal((await messages.next()).getData().toString(), `while away ${number}`);
  }
  await becomes(device, 'cloudToDeviceMessageCount', 0);
  await client.close();
}

async function byKey(name, Provisioning, Hub) {
  const key = newKey();
  await service().createOrUpdateIndividualEnrollment({
    registrationId: name,
    deviceId: `${name}-Device`,
    attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: key, secondaryKey: newKey() } },
  });
  const { assignedHub, deviceId } = await register(withKey(name, key), undefined, new Provisioning());
  const string = (its) => `HostName=${assignedHub};DeviceId=${deviceId};SharedAccessKey=${its}`;
  await lives(Client.fromConnectionString(string(key), Hub), deviceId);
  const stranger = Client.fromConnectionString(string(newKey()), Hub);
  await assert.rejects(stranger.open(), { name: 'UnauthorizedError' });
  return [string(key), deviceId];
}

async function byCertificate(name, read, Provisioning, Hub) {
  const [cert, key] = [read(`${name}_cert.pem`), read(`${name}_key.pem`)];
  await service().createOrUpdateIndividualEnrollment({
    registrationId: name, attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: cert } } } },
  });
  const { assignedHub, deviceId } = await register(withCertificate(name, cert, key), undefined, new Provisioning());
  const credentials = { host: assignedHub, deviceId, x509: { cert, key } };
  await lives(Client.fromAuthenticationProvider(new X509AuthenticationProvider(credentials), Hub), deviceId);
}

/** What is there without a session: messages both ways. */
async function overHttps([string, device]) {
  const client = Client.fromConnectionString(string, HubHttp);
  client.setOptions({ http: { receivePolicy: { interval: 1 } } });
  await client.open();
  await client.sendEvent(new Message('over https'));
  await client.sendEventBatch([new Message('first'), new Message('second')]);
  // Behind the two sessions that it had, with two messages in the first.
  const bodies = followed(device, 9).slice(6).map((event) => event.body);
  assert.deepEqual(bodies, ['over https', 'first', 'second']);
  const messages = new Heard();
  landfall('hub', 'c2d', 'send', device, '--body', 'turn on', '--properties', 'level=3');
  client.on('message', (received) => { client.complete(received, (error) => messages.add(error || received)); });
  const received = await messages.next();
  assert.equal(received.getData().toString(), 'turn on');
  await becomes(device, 'cloudToDeviceMessageCount', 0);
  await client.close();
}

run(async () => {
  const read = certificates(`
    create_test_cert root hub-root
    create_test_cert device cert-mqtt hub-root
    create_test_cert device cert-ws hub-root
  `);
  const known = await byKey('node-mqtt', Mqtt, HubMqtt);
  await byKey('node-ws', MqttWs, HubMqttWs);
  await byCertificate('cert-mqtt', (file) => read(file.replace('cert-mqtt', 'certMqtt')), Mqtt, HubMqtt);
  await byCertificate('cert-ws', (file) => read(file.replace('cert-ws', 'certWs')), MqttWs, HubMqttWs);
  await overHttps(known);
});
