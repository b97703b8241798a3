# Article part 1, individual enrollment: the device's own certificate, uploaded as it is.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/certificates.sh"
. "$CONTRACT/lib/certificate_calls.sh"

registration_id=dps-test-device-01
create_test_cert root "dps-test-root"
create_test_cert device "dps-test-device-01" "dps-test-root"

# Portal: add an individual enrollment, X.509, the device's certificate as primary; leave the device id blank.
landfall enrollment create --enrollment-id "$registration_id" --attestation-type x509 \
  --certificate-path dpsTestDevice01_cert.pem >/dev/null

device_cert=dpsTestDevice01_cert.pem
device_key=dpsTestDevice01_key.pem
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect_assigned

# The hub will ask for the same certificate.
thumbprint=$(openssl x509 -in dpsTestDevice01_cert.pem -noout -fingerprint -sha256 | sed 's/.*=//; s/://g')
expect "thumbprint on the hub" "$thumbprint" \
  "$(landfall hub device show "$registration_id" --json | field authentication.x509Thumbprint.primaryThumbprint | tr a-f A-F)"
expect "type on the hub" selfSigned "$(landfall hub device show "$registration_id" --json | field authentication.type)"
expect "thumbprint on the enrollment" "$thumbprint" \
  "$(landfall enrollment show --enrollment-id "$registration_id" --json | field attestation.x509.clientCertificates.primary.info.sha256Thumbprint)"
