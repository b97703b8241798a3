// azure-iot-provisioning-service: create, get, update, ETag conflict, attestation mechanism, delete.
'use strict';
const { assert, environment, newKey, refused, run, service } = require('../lib/clients.js');

run(async () => {
  const client = service();
  const primaryKey = newKey();
  const secondaryKey = newKey(32);
  const wanted = {
    registrationId: 'kept-1:a.b_c',
    deviceId: 'Kept 1'.replace(' ', '-'),
    attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } },
    capabilities: { iotEdge: true },
    initialTwin: { tags: { environment: 'test', count: 1 }, properties: { desired: { colour: 'blue' } } },
    provisioningStatus: 'enabled',
    reprovisionPolicy: { updateHubAssignment: true, migrateDeviceData: false },
    allocationPolicy: 'static',
    iotHubs: [environment.HUB_HOST],
    optionalDeviceInformation: { batch: '7' },
  };
  const created = (await client.createOrUpdateIndividualEnrollment(wanted)).result;
  assert.ok(created.etag);
  assert.match(created.createdDateTimeUtc, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3,7}Z$/);

  const { result: read, response } = await client.getIndividualEnrollment(wanted.registrationId);
  assert.match(response.headers['content-type'], /^application\/json/);
  for (const member of Object.keys(wanted)) {
    if (member === 'attestation') { continue; }
    assert.deepEqual(read[member], wanted[member], member);
  }
  assert.deepEqual(read.attestation, { type: 'symmetricKey' }, 'an ordinary read shows no key');
  assert.equal(read.etag, created.etag);

  const mechanism = (await client.getIndividualEnrollmentAttestationMechanism(wanted.registrationId)).result;
  assert.deepEqual(mechanism, { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey } });

  // Read, change, write back: the keys are not in the body, and stay.
  const changed = (await client.createOrUpdateIndividualEnrollment({ ...read, provisioningStatus: 'disabled' })).result;
  assert.equal(changed.provisioningStatus, 'disabled');
  assert.notEqual(changed.etag, read.etag);
  const kept = (await client.getIndividualEnrollmentAttestationMechanism(wanted.registrationId)).result;
  assert.equal(kept.symmetricKey.primaryKey, primaryKey);

  // Somebody else was faster.
  await refused(412, client.createOrUpdateIndividualEnrollment({ ...read, deviceId: 'too-late' }));
  await refused(412, client.deleteIndividualEnrollment(read));
  assert.equal((await client.getIndividualEnrollment(wanted.registrationId)).result.deviceId, wanted.deviceId);
  // The client sends no If-Match without an etag: the record is there already.
  await refused(409, client.createOrUpdateIndividualEnrollment(wanted));

  await client.deleteIndividualEnrollment(wanted.registrationId, changed.etag);
  assert.equal((await refused(404, client.getIndividualEnrollment(wanted.registrationId))).errorCode, 404201);
  await refused(404, client.deleteIndividualEnrollment(wanted.registrationId));

  // Keys that are not given are made.
  await client.createOrUpdateIndividualEnrollment({ registrationId: 'made', attestation: { type: 'symmetricKey', symmetricKey: {} } });
  const made = (await client.getIndividualEnrollmentAttestationMechanism('made')).result.symmetricKey;
  assert.equal(Buffer.from(made.primaryKey, 'base64').length, 64);
  assert.equal(Buffer.from(made.secondaryKey, 'base64').length, 64);
  assert.notEqual(made.primaryKey, made.secondaryKey);

  // TPM enrollments are stored and read.
  const endorsementKey = newKey(300);
  await client.createOrUpdateIndividualEnrollment({ registrationId: 'tpm', attestation: { type: 'tpm', tpm: { endorsementKey } } });
  assert.equal((await client.getIndividualEnrollment('tpm')).result.attestation.tpm.endorsementKey, endorsementKey);

  // What is refused, each with the code of a validation.
  const attestation = { type: 'symmetricKey' };
  for (const wrong of [
    { registrationId: 'bad id', attestation },
    { registrationId: 'v1' },
    { registrationId: 'v2', attestation: { type: 'none' } },
    { registrationId: 'v3', attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: 'c2hvcnQ=', secondaryKey } } },
    { registrationId: 'v4', attestation: { type: 'x509', x509: {} } },
    { registrationId: 'v5', attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: 'none' } } } } },
    { registrationId: 'v6', attestation, allocationPolicy: 'static' },
    { registrationId: 'v7', attestation, allocationPolicy: 'nearest' },
    { registrationId: 'v8', attestation, iotHubs: ['hub.example.net'] },
    { registrationId: 'v9', attestation, allocationPolicy: 'custom' },
  ]) {
    const body = await refused(400, client.createOrUpdateIndividualEnrollment(wrong));
    assert.equal(body.errorCode, 400004, JSON.stringify(wrong));
  }
});
