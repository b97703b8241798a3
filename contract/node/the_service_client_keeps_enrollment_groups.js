// azure-iot-provisioning-service: groups by key and by certificate.
'use strict';
const { assert, certificates, newKey, refused, run, service } = require('../lib/clients.js');

run(async () => {
  const client = service();
  const primaryKey = newKey();
  const group = {
    enrollmentGroupId: 'lamps',
    attestation: { type: 'symmetricKey', symmetricKey: { primaryKey, secondaryKey: newKey() } },
    capabilities: { iotEdge: false },
    initialTwin: { tags: { environment: 'test' }, properties: { desired: {} } },
    allocationPolicy: 'hashed',
  };
  const created = (await client.createOrUpdateEnrollmentGroup(group)).result;
  assert.equal(created.provisioningStatus, 'enabled');
  assert.deepEqual((await client.getEnrollmentGroup('lamps')).result.attestation, { type: 'symmetricKey' });
  // The path of this call is spelt in lower case.
  const mechanism = (await client.getEnrollmentGroupAttestationMechanism('lamps')).result;
  assert.equal(mechanism.symmetricKey.primaryKey, primaryKey);

  const changed = (await client.createOrUpdateEnrollmentGroup({ ...created, provisioningStatus: 'disabled' })).result;
  await refused(412, client.createOrUpdateEnrollmentGroup({ ...created, allocationPolicy: 'geoLatency' }));
  await refused(412, client.deleteEnrollmentGroup(created));
  await refused(409, client.createOrUpdateEnrollmentGroup(group));

  const read = certificates('create_test_cert root lamp-root\ncreate_test_cert device lamp-1 lamp-root');
  const certificate = read('lampRoot_cert.pem');
  const der = certificate.replace(/-----[^-]*-----|\s/g, '');
  for (const text of [certificate, certificate.replace(/\n/g, '\r\n'), der, Buffer.from(certificate).toString('base64')]) {
    const { result } = await client.createOrUpdateEnrollmentGroup({
      enrollmentGroupId: 'signed-lamps',
      attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: text } } } },
    });
    assert.equal(result.attestation.x509.signingCertificates.primary.info.subjectName, 'CN=lamp-root');
    // Written back with what a read shows, the certificate stays.
    const again = (await client.createOrUpdateEnrollmentGroup(result)).result;
    assert.deepEqual(again.attestation, result.attestation);
    await client.deleteEnrollmentGroup(again);
  }

  await refused(400, client.createOrUpdateEnrollmentGroup({
    enrollmentGroupId: 'leaf', attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: read('lamp1_cert.pem') } } } },
  }));
  await refused(400, client.createOrUpdateEnrollmentGroup({
    enrollmentGroupId: 'reference', attestation: { type: 'x509', x509: { caReferences: { primary: 'nobody' } } },
  }));
  await refused(400, client.createOrUpdateEnrollmentGroup({
    enrollmentGroupId: 'tpm', attestation: { type: 'tpm', tpm: { endorsementKey: newKey() } },
  }));

  await client.deleteEnrollmentGroup(changed);
  await refused(404, client.getEnrollmentGroup('lamps'));
});
