// azure-iot-provisioning-device-http with SymmetricKeySecurityClient: individual, derived, returning, refused.
'use strict';
const { assert, derive, environment, newKey, register, run, service, withKey } = require('../lib/clients.js');

run(async () => {
  const client = service();
  const primaryKey = newKey();
  const secondaryKey = newKey();
  await client.createOrUpdateIndividualEnrollment({
    registrationId: 'node-individual',
    deviceId: 'Node-Device-1',
    attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } },
  });
  const first = await register(withKey('node-individual', primaryKey), { greeting: 'Grüße' });
  assert.equal(first.status, 'assigned');
  assert.equal(first.assignedHub, environment.HUB_HOST);
  assert.equal(first.deviceId, 'Node-Device-1');
  assert.equal(first.substatus, 'initialAssignment');

  const again = await register(withKey('node-individual', secondaryKey));
  assert.equal(again.assignedHub, environment.HUB_HOST);
  assert.equal(again.substatus, 'reprovisionedToInitialAssignment');

  const groupKey = newKey();
  await client.createOrUpdateEnrollmentGroup({
    enrollmentGroupId: 'node-group',
    attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: groupKey, secondaryKey: newKey() } },
  });
  const derived = await register(withKey('node-in-group', derive(groupKey, 'node-in-group')));
  assert.equal(derived.deviceId, 'node-in-group');
  assert.equal(derived.assignedHub, environment.HUB_HOST);

  await assert.rejects(register(withKey('node-in-group-2', groupKey)), /Unauthorized/i);
  await assert.rejects(register(withKey('node-individual', newKey())), /Unauthorized/i);
});
