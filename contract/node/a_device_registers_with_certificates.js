// azure-iot-provisioning-device-http with X509Security: individual, group by intermediate, refused.
'use strict';
const {
  assert, certificates, environment, register, run, service, withCertificate,
} = require('../lib/clients.js');

run(async () => {
  const read = certificates(`
    create_test_cert root node-root
    create_test_cert intermediate node-intermediate node-root
    create_test_cert device node-x509 node-root
    create_test_cert device node-x509-group node-intermediate
  `);
  const client = service();
  const { result } = await client.createOrUpdateIndividualEnrollment({
    registrationId: 'node-x509',
    attestation: { type: 'x509', x509: { clientCertificates: { primary: { certificate: read('nodeX509_cert.pem') } } } },
  });
  const info = result.attestation.x509.clientCertificates.primary.info;
  assert.equal(info.subjectName, 'CN=node-x509');
  assert.equal(info.issuerName, 'CN=node-root');
  assert.match(info.sha1Thumbprint, /^[0-9A-F]{40}$/);
  assert.match(info.sha256Thumbprint, /^[0-9A-F]{64}$/);
  assert.equal(info.version, 3);
  for (const member of ['notBeforeUtc', 'notAfterUtc', 'serialNumber']) { assert.ok(info[member], member); }

  const individual = await register(withCertificate('node-x509', read('nodeX509_cert.pem'), read('nodeX509_key.pem')));
  assert.equal(individual.status, 'assigned');
  assert.equal(individual.deviceId, 'node-x509');
  assert.equal(individual.assignedHub, environment.HUB_HOST);

  await client.createOrUpdateEnrollmentGroup({
    enrollmentGroupId: 'node-x509-devices',
    attestation: { type: 'x509', x509: { signingCertificates: { primary: { certificate: read('nodeIntermediate_cert.pem') } } } },
  });
  const grouped = await register(
    withCertificate('node-x509-group', read('nodeX509Group_cert.pem'), read('nodeX509Group_key.pem')));
  assert.equal(grouped.deviceId, 'node-x509-group');

  await assert.rejects(
    register(withCertificate('node-x509-group', read('nodeX509_cert.pem'), read('nodeX509_key.pem'))), /Unauthorized/i);
});
