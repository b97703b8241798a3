// A device with a symmetric key, in the shape of the Node SDK's own sample: it reads four variables and registers.
'use strict';

const ProvisioningTransport = require('azure-iot-provisioning-device-http').Http;
const { ProvisioningDeviceClient } = require('azure-iot-provisioning-device');
const { SymmetricKeySecurityClient } = require('azure-iot-security-symmetric-key');

const provisioningHost = process.env.PROVISIONING_HOST;
const idScope = process.env.PROVISIONING_IDSCOPE;
const registrationId = process.env.PROVISIONING_REGISTRATION_ID;
const symmetricKey = process.env.PROVISIONING_SYMMETRIC_KEY;

const security = new SymmetricKeySecurityClient(registrationId, symmetricKey);
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
