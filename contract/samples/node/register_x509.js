// A device with a certificate, in the shape of the Node SDK's own sample: it reads five variables and registers.
'use strict';

const fs = require('fs');
const ProvisioningTransport = require('azure-iot-provisioning-device-http').Http;
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { X509Security } = require('azure-iot-security-x509');

const provisioningHost = process.env.PROVISIONING_HOST;
const idScope = process.env.PROVISIONING_IDSCOPE;
const registrationId = process.env.PROVISIONING_REGISTRATION_ID;
const certificate = {
  cert: fs.readFileSync(process.env.CERTIFICATE_FILE).toString(),
  key: fs.readFileSync(process.env.KEY_FILE).toString(),
};

const security = new X509Security(registrationId, certificate);
const client = ProvisioningDeviceClient.create(provisioningHost, idScope, new ProvisioningTransport(), security);

client.register((error, result) => {
  if (error) {
    console.error(`error registering device: ${error}`);
    process.exitCode = 1;
    return;
  }
  console.log('registration succeeded');
  console.log(`assigned hub=${result.assignedHub}`);
  console.log(`deviceId=${result.deviceId}`);
});
