# Article part 1, enrollment group by an intermediate certificate: trusted by that upload, so the
# leaf alone is enough.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/certificates.sh"
. "$CONTRACT/lib/certificate_calls.sh"

registration_id=dps-test-device-01
create_test_cert root "dps-test-root"
create_test_cert intermediate "dps-test-intermediate" "dps-test-root"
create_test_cert device "dps-test-device-01" "dps-test-intermediate"

# Portal: Add Enrollment Group, certificate type intermediate certificate, primary certificate.
landfall group create --group-id my-devices --certificate-path dpsTestIntermediate_cert.pem >/dev/null

device_cert=dpsTestDevice01_cert.pem
device_key=dpsTestDevice01_key.pem
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect_assigned
expect "registration records of the group" "$registration_id" \
  "$(landfall registration list --gid my-devices --json | field 0.registrationId)"

# A certificate by a stranger of the same name is no way in.
create_test_cert root "dps-test-intermediate"
create_test_cert device "dps-test-device-02" "dps-test-intermediate"
registration_id=dps-test-device-02
device_cert=dpsTestDevice02_cert.pem
device_key=dpsTestDevice02_key.pem
register >registered
refused_because registered 401 401002 'x509\.issuer_signature'
