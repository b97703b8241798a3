# Article part 1, enrollment group by a root CA certificate: upload, proof of possession, group. The
# device is signed by the intermediate, so it must show its whole chain.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/certificates.sh"
. "$CONTRACT/lib/certificate_calls.sh"

registration_id=dps-test-device-01
create_test_cert root "dps-test-root"
create_test_cert intermediate "dps-test-intermediate" "dps-test-root"
create_test_cert device "dps-test-device-01" "dps-test-intermediate"

# Portal: Certificates, Add. It stands there as unverified.
landfall ca create --name my-root --path dpsTestRoot_cert.pem >/dev/null
expect "verified after the upload" false "$(landfall ca show my-root --json | field properties.isVerified)"

# A group may not stand on a certificate whose owner has not shown its key.
if landfall group create --group-id my-devices --root-ca-name my-root >/dev/null 2>refusal; then
  fail "a group was made on an unverified CA certificate"
fi
expect_match "the refusal" 'verif' "$(cat refusal)"

# Portal: Generate Verification Code.
code=$(landfall ca generate-verification-code my-root --json | field properties.verificationCode)
expect_match "verification code" '^[0-9A-F]{48}$' "$code"

# Someone without the root's key cannot verify it.
create_test_cert root "dps-test-stranger"
create_test_cert verification --ca dpsTestStranger_cert.pem --key dpsTestStranger_key.pem --nonce "$code"
if landfall ca verify my-root --path verification_cert.pem >/dev/null 2>&1; then
  fail "a stranger's signature verified the root"
fi

create_test_cert verification --ca dpsTestRoot_cert.pem --key dpsTestRoot_key.pem --nonce "$code"
landfall ca verify my-root --path verification_cert.pem >/dev/null
expect "verified after the proof" true "$(landfall ca show my-root --json | field properties.isVerified)"

# Portal: Add enrollment group, certificate type CA certificate, choose it from the list.
landfall group create --group-id my-devices --root-ca-name my-root >/dev/null

# The leaf alone does not lead to the root; the operator reads which link is missing.
device_cert=dpsTestDevice01_cert.pem
device_key=dpsTestDevice01_key.pem
register >registered
refused_because registered 401 401002 "certificate of its issuer 'CN=dps-test-intermediate' was not sent"

# The full chain does.
device_cert=dpsTestDevice01_fullchain.pem
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect_assigned
expect "registration records of the group" "$registration_id" \
  "$(landfall registration list --gid my-devices --json | field 0.registrationId)"
