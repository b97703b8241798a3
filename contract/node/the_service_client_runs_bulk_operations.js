// azure-iot-provisioning-service: runBulkEnrollmentOperation in its four modes, each item for itself.
'use strict';
const { assert, newKey, refused, run, service } = require('../lib/clients.js');

run(async () => {
  const client = service();
  const enrollment = (id) => ({
    registrationId: id, attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: newKey(), secondaryKey: newKey() } },
  });
  const ten = Array.from({ length: 10 }, (_, n) => enrollment(`bulk-${n}`));
  const bulk = async (mode, enrollments) => (await client.runBulkEnrollmentOperation({ mode, enrollments })).result;

  assert.equal((await bulk('create', ten)).isSuccessful, true);
  await refused(400, client.runBulkEnrollmentOperation({ mode: 'create', enrollments: [...ten, enrollment('bulk-10')] }));
  await refused(400, client.runBulkEnrollmentOperation({ mode: 'create', enrollments: [] }));

  const partly = await bulk('create', [enrollment('bulk-0'), enrollment('bulk-new')]);
  assert.equal(partly.isSuccessful, false);
  assert.equal(partly.errors.length, 1);
  assert.equal(partly.errors[0].registrationId, 'bulk-0');
  assert.equal(Math.floor(partly.errors[0].errorCode / 1000), 409);
  assert.equal(typeof partly.errors[0].errorStatus, 'string');
  assert.ok((await client.getIndividualEnrollment('bulk-new')).result.etag, 'the other item was done');

  const first = (await client.getIndividualEnrollment('bulk-0')).result;
  assert.equal((await bulk('update', [{ ...first, provisioningStatus: 'disabled' }])).isSuccessful, true);
  assert.equal((await client.getIndividualEnrollment('bulk-0')).result.provisioningStatus, 'disabled');
  const missing = await bulk('update', [enrollment('bulk-nobody')]);
  assert.equal(Math.floor(missing.errors[0].errorCode / 1000), 404);

  const stale = await bulk('updateIfMatchETag', [{ ...first, provisioningStatus: 'enabled' }]);
  assert.equal(Math.floor(stale.errors[0].errorCode / 1000), 412);
  const now = (await client.getIndividualEnrollment('bulk-0')).result;
  assert.equal((await bulk('updateIfMatchETag', [{ ...now, provisioningStatus: 'enabled' }])).isSuccessful, true);

  assert.equal((await bulk('delete', ten.map(({ registrationId }) => ({ registrationId })))).isSuccessful, true);
  await refused(404, client.getIndividualEnrollment('bulk-3'));
  const gone = await bulk('delete', [{ registrationId: 'bulk-3' }, { registrationId: 'bulk-new' }]);
  assert.deepEqual(gone.errors.map((error) => error.registrationId), ['bulk-3']);
  await refused(404, client.getIndividualEnrollment('bulk-new'));
});
