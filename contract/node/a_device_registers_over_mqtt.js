// azure-iot-provisioning-device-mqtt, straight and in WebSockets: by key and certificate, own and group's, refused.
'use strict';
const {
  Mqtt, MqttWs, assert, certificates, derive, environment, newKey, register, run, service, withCertificate, withKey,
} = require('../lib/clients.js');

/** Everything a device may do, by one transport; every id begins with its name. */
async function by(name, Transport, read) {
  const client = service();
  const over = (security, payload) => register(security, payload, new Transport());
  const own = newKey();
  await client.createOrUpdateIndividualEnrollment({
    registrationId: `${name}-individual`,
    deviceId: `${name}-Device-1`,
    attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: own, secondaryKey: newKey() } },
  });
  const first = await over(withKey(`${name}-individual`, own), { greeting: 'Grüße' });
  assert.equal(first.status, 'assigned');
  assert.equal(first.assignedHub, environment.HUB_HOST);
  assert.equal(first.deviceId, `${name}-Device-1`);
  assert.equal(first.substatus, 'initialAssignment');
  const again = await over(withKey(`${name}-individual`, own));
  assert.equal(again.substatus, 'reprovisionedToInitialAssignment');

  const groupKey = newKey();
  await client.createOrUpdateEnrollmentGroup({
    enrollmentGroupId: `${name}-group`,
    attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: groupKey, secondaryKey: newKey() } },
  });
  const derived = await over(withKey(`${name}-derived`, derive(groupKey, `${name}-derived`)));
  assert.equal(derived.deviceId, `${name}-derived`);

  await client.createOrUpdateIndividualEnrollment({
    registrationId: `${name}-x509`,
    attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: read(`${name}X509_cert.pem`) } } } },
  });
  const certified = await over(withCertificate(`${name}-x509`, read(`${name}X509_cert.pem`), read(`${name}X509_key.pem`)));
  assert.equal(certified.deviceId, `${name}-x509`);
  assert.equal(certified.assignedHub, environment.HUB_HOST);

  await client.createOrUpdateEnrollmentGroup({
    enrollmentGroupId: `${name}-x509-devices`,
    attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: read(`${name}Intermediate_cert.pem`) } } } },
  });
  const grouped = await over(
    withCertificate(`${name}-x509-group`, read(`${name}X509Group_cert.pem`), read(`${name}X509Group_key.pem`)));
  assert.equal(grouped.deviceId, `${name}-x509-group`);

  await assert.rejects(over(withKey(`${name}-individual`, newKey())), /Unauthorized/i);
  await assert.rejects(
    over(withCertificate(`${name}-x509-group`, read(`${name}X509_cert.pem`), read(`${name}X509_key.pem`))), /Unauthorized/i);
}

run(async () => {
  const read = certificates(['mqtt', 'ws'].map((name) => `
    create_test_cert root ${name}-root
    create_test_cert intermediate ${name}-intermediate ${name}-root
    create_test_cert device ${name}-x509 ${name}-root
    create_test_cert device ${name}-x509-group ${name}-intermediate
  `).join(''));
  await by('mqtt', Mqtt, read);
  await by('ws', MqttWs, read);
});
