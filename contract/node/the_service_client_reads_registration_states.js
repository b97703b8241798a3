// azure-iot-provisioning-service: registration states by id and by group, and their deletion.
'use strict';
const {
  assert, derive, environment, newKey, pages, refused, register, run, service, withKey,
} = require('../lib/clients.js');

run(async () => {
  const client = service();
  const groupKey = newKey();
  await client.createOrUpdateEnrollmentGroup({
    enrollmentGroupId: 'fleet', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: groupKey, secondaryKey: newKey() } },
  });
  const ids = ['fleet-1', 'fleet-2', 'fleet-3'];
  await Promise.all(ids.map((id) => register(withKey(id, derive(groupKey, id)))));

  const { result: state } = await client.getDeviceRegistrationState('fleet-2');
  assert.equal(state.registrationId, 'fleet-2');
  assert.equal(state.status, 'assigned');
  assert.equal(state.substatus, 'initialAssignment');
  assert.equal(state.assignedHub, environment.HUB_HOST);
  assert.equal(state.deviceId, 'fleet-2');
  assert.ok(state.etag && state.createdDateTimeUtc && state.lastUpdatedDateTimeUtc);

  const query = () => client.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT *' }, 'fleet', 2);
  const found = await pages(query());
  assert.deepEqual(found.map((page) => page.length), [2, 1]);
  assert.deepEqual(found.flat().map((item) => item.registrationId).sort(), ids);
  await refused(404, pages(client.createEnrollmentGroupDeviceRegistrationStateQuery({ query: 'SELECT *' }, 'nobody')));

  await refused(412, client.deleteDeviceRegistrationState('fleet-2', 'bm8tc3VjaC1ldGFn'));
  await client.deleteDeviceRegistrationState(state);
  await refused(404, client.getDeviceRegistrationState('fleet-2'));
  assert.equal((await pages(query())).flat().length, 2);

  // Without its record the device registers as if for the first time.
  const again = await register(withKey('fleet-2', derive(groupKey, 'fleet-2')));
  assert.equal(again.substatus, 'initialAssignment');

  // A group goes, its records stay.
  await client.deleteEnrollmentGroup('fleet');
  assert.equal((await client.getDeviceRegistrationState('fleet-1')).result.status, 'assigned');
  await client.deleteDeviceRegistrationState('fleet-1');

  // An individual enrollment shows its registration, and takes it along.
  const primaryKey = newKey();
  await client.createOrUpdateIndividualEnrollment({
    registrationId: 'single', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey: newKey() } },
  });
  await refused(404, client.getDeviceRegistrationState('single'));
  await register(withKey('single', primaryKey));
  assert.equal((await client.getIndividualEnrollment('single')).result.registrationState.status, 'assigned');
  await client.deleteIndividualEnrollment('single');
  await refused(404, client.getDeviceRegistrationState('single'));
});
