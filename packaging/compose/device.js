// A device with the official Node SDK: it registers, then calls the hub that it was told, by its name.
'use strict';

const https = require('node:https');
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { Http } = require('azure-iot-provisioning-device-http');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');

const {
  PROVISIONING_HOST: host,
  PROVISIONING_IDSCOPE: idScope,
  PROVISIONING_REGISTRATION_ID: registrationId,
  PROVISIONING_SYMMETRIC_KEY: key,
} = process.env;

const security = new SymmetricKeySecurityClient(registrationId, key);
ProvisioningDeviceClient.create(host, idScope, new Http(), security).register((error, result) => {
  if (error) { throw error; }
  console.log(`${registrationId} is ${result.status}: device ${result.deviceId} of hub ${result.assignedHub}`);
  // Devices speak MQTT or AMQP to their hub, which is not there yet: that the hub answers under this name, with a
  // certificate that holds it, is what can be shown.
  const url = `https://${result.assignedHub}/devices/${result.deviceId}?api-version=2021-04-12`;
  https.get(url, (answer) => {
    console.log(`the hub answers: ${answer.headers['iothub-errorcode'] ?? answer.statusCode}`);
    answer.resume();
  }).on('error', (failure) => { throw failure; });
});
