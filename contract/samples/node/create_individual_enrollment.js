// An operator's program, in the shape of the Node SDK's own samples: it takes the connection string as an option,
// enrolls a device with keys that the service makes, lists what is enrolled, and takes the device out again.
'use strict';

const { parseArgs } = require('node:util');
const { ProvisioningServiceClient } = require('azure-iot-provisioning-service');

const { values } = parseArgs({ options: { connectionstring: { type: 'string', short: 'c' }, deviceid: { type: 'string', short: 'd' } } });
const client = ProvisioningServiceClient.fromConnectionString(values.connectionstring);
const enrollment = {
  registrationId: values.deviceid,
  attestation: { type: 'symmetricKey' },
  provisioningStatus: 'enabled',
};

function failed(error) {
  console.error(`error: ${error}`);
  process.exitCode = 1;
}

client.createOrUpdateIndividualEnrollment(enrollment, (error, created) => {
  if (error) { return failed(error); }
  console.log(`enrollment record returned: ${JSON.stringify({ ...created, attestation: created.attestation.type })}`);
  client.createIndividualEnrollmentQuery({ query: '*' }, 100).next((error, found) => {
    if (error) { return failed(error); }
    console.log(`enrolled: ${found.map((one) => one.registrationId).sort().join(' ')}`);
    client.deleteIndividualEnrollment(created, (error) => (error ? failed(error) : console.log('deleted')));
  });
});
