// What the Node scripts share: the server's names from the environment, the npm clients as promises,
// keys and certificates for devices. Not a test.
'use strict';

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');

const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { Mqtt, MqttWs } = require('azure-iot-provisioning-device-mqtt');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');
const { X509Security } = require('azure-iot-security-x509');

const environment = process.env;

/** The service client's calls as promises that give the result and the HTTP response. */
function service() {
  const client = ProvisioningServiceClient.fromConnectionString(environment.SERVICE_CONNECTION_STRING);
  return new Proxy(client, {
    get(target, name) {
      if (String(name).endsWith('Query')) {
        return (...values) => target[name](...values);
      }
      return (...values) => new Promise((resolve, reject) => {
        target[name](...values, (error, result, response) => {
          if (error) { reject(error); } else { resolve({ result, response }); }
        });
      });
    },
  });
}

/** Registers a device as its owner's program would, and gives the registration result. */
function register(security, payload, transport = new Http()) {
  const device = ProvisioningDeviceClient.create(
    environment.DPS_HOST, environment.DPS_SCOPE_ID, transport, security);
  if (payload !== undefined) { device.setProvisioningPayload(payload); }
  return new Promise((resolve, reject) => {
    device.register((error, result) => (error ? reject(error) : resolve(result)));
  });
}

const withKey = (id, key) => new SymmetricKeySecurityClient(id, key);
const withCertificate = (id, cert, key) => new X509Security(id, { cert, key });
const newKey = (bytes = 64) => crypto.randomBytes(bytes).toString('base64');
const derive = (groupKey, id) =>
  crypto.createHmac('sha256', Buffer.from(groupKey, 'base64')).update(id, 'utf8').digest('base64');

/** Makes test certificates with the articles' tool (lib/certificates.sh) and reads one of its files. */
function certificates(commands) {
  const script = `set -euo pipefail\n. "$CONTRACT/lib/certificates.sh"\n${commands}`;
  execFileSync('bash', ['-c', script], { stdio: 'inherit' });
  return (file) => fs.readFileSync(file, 'utf8');
}

/** Every page of a query, each as the items it holds. */
async function pages(query) {
  const all = [];
  do {
    all.push(await new Promise((resolve, reject) => {
      query.next((error, result) => (error ? reject(error) : resolve(result)));
    }));
    assert.ok(all.length < 100, 'the query never ends');
  } while (query.hasMoreResults);
  return all;
}

/** Waits for a refusal by HTTP status, and gives its error body. */
async function refused(status, attempt) {
  try {
    await attempt;
  } catch (error) {
    assert.equal(error.response && error.response.statusCode, status, String(error));
    const body = JSON.parse(error.responseBody);
    assert.equal(Math.floor(body.errorCode / 1000), status);
    assert.equal(error.response.headers['x-ms-request-id'], body.trackingId);
    assert.equal(error.response.headers['x-ms-error-code'], String(body.errorCode));
    assert.equal(typeof body.message, 'string');
    return body;
  }
  assert.fail(`expected ${status}, and it was accepted`);
}

/** Runs a script's steps and leaves with 1 when one fails. */
function run(steps) {
  steps().then(() => process.exit(0), (error) => {
    console.error(error);
    process.exit(1);
  });
}

module.exports = {
  Mqtt, MqttWs, assert, certificates, derive, environment, newKey, pages, refused, register, run, service,
  withCertificate, withKey,
};
