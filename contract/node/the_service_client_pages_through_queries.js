// azure-iot-provisioning-service: queries with paging and WHERE, over enrollments and groups.
'use strict';
const { assert, newKey, pages, refused, run, service } = require('../lib/clients.js');

run(async () => {
  const client = service();
  const ids = Array.from({ length: 25 }, (_, n) => `page-${String(n).padStart(2, '0')}`);
  for (let start = 0; start < ids.length; start += 10) {
    const { result } = await client.runBulkEnrollmentOperation({
      mode: 'create',
      enrollments: ids.slice(start, start + 10).map((registrationId, n) => ({
        registrationId,
        attestation: { type: 'symmetricKey', symmetricKey: { primaryKey: newKey(), secondaryKey: newKey() } },
        provisioningStatus: (start + n) % 5 === 0 ? 'disabled' : 'enabled',
        initialTwin: { tags: { environment: n % 2 ? 'test' : 'live' }, properties: { desired: {} } },
      })),
    });
    assert.equal(result.isSuccessful, true);
  }

  for (const query of ['SELECT * FROM enrollments', 'SELECT *', 'select * from Enrollments', "{'query': 'SELECT *'}"]) {
    const found = await pages(client.createIndividualEnrollmentQuery({ query }, 10));
    assert.deepEqual(found.map((page) => page.length), [10, 10, 5], query);
    assert.deepEqual(found.flat().map((item) => item.registrationId).sort(), ids, query);
    assert.deepEqual(found.flat()[0].attestation, { type: 'symmetricKey' }, 'a query shows no key');
  }
  const whole = await pages(client.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments' }));
  assert.equal(whole.length, 1, 'a page of its own size holds 25');

  const where = async (condition) => (await pages(
    client.createIndividualEnrollmentQuery({ query: `SELECT * FROM enrollments WHERE ${condition}` }, 4)))
    .flat().map((item) => item.registrationId).sort();
  assert.deepEqual(await where("provisioningStatus = 'disabled'"), ['page-00', 'page-05', 'page-10', 'page-15', 'page-20']);
  assert.deepEqual(await where("registrationId >= 'page-23'"), ['page-23', 'page-24']);
  assert.deepEqual(await where("registrationId IN ['page-01', 'page-24', 'other']"), ['page-01', 'page-24']);
  assert.deepEqual(
    await where("initialTwin.tags.environment = 'test' AND NOT registrationId < 'page-21'"), ['page-21', 'page-23']);
  assert.deepEqual(await where("registrationId = 'nobody'"), []);

  const next = (query, token) => new Promise((resolve, reject) => {
    query.next(token, (error, result, response) => (error ? reject(error) : resolve({ result, response })));
  });
  const first = client.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments' }, 10);
  const { response } = await next(first);
  assert.equal(response.headers['x-ms-item-type'].toLowerCase(), 'enrollment');
  // A record that comes and one that goes between two pages move no other record.
  await client.deleteIndividualEnrollment('page-00');
  await client.createOrUpdateIndividualEnrollment({ registrationId: 'page-00a', attestation: { type: 'symmetricKey', symmetricKey: {} } });
  const second = await next(client.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments' }, 3), first.continuationToken);
  assert.deepEqual(second.result.map((item) => item.registrationId), ['page-10', 'page-11', 'page-12']);

  await refused(400, next(client.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments' }, 3), 'no-such-page'));
  await refused(400, pages(client.createIndividualEnrollmentQuery({ query: 'SELECT * FROM enrollments WHERE AND' })));

  for (const id of ['red', 'green', 'blue']) {
    await client.createOrUpdateEnrollmentGroup({ enrollmentGroupId: id, attestation: { type: 'symmetricKey', symmetricKey: {} } });
  }
  const groups = await pages(client.createEnrollmentGroupQuery({ query: 'SELECT * FROM enrollmentGroups' }, 2));
  assert.deepEqual(groups.map((page) => page.length), [2, 1]);
  assert.deepEqual(groups.flat().map((item) => item.enrollmentGroupId).sort(), ['blue', 'green', 'red']);
});
