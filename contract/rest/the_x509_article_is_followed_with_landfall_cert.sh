# Article part 1 word for word, with `landfall cert` in place of `node create_test_cert.js`: the
# individual enrollment, the group by an intermediate, the group by a verified root. All three use
# one registration id, so each has a provisioning service of its own.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/certificate_calls.sh"

registration_id=dps-test-device-01
device_key=dpsTestDevice01_key.pem
cert() { "$LANDFALL" cert "$@"; }
in_service() { landfall service create "$1" >/dev/null; dps_scope_id=$(landfall service show "$1" --json | field idScope); }

# assigned_with FILE: the device registers with that certificate, and is assigned.
assigned_with() {
  device_cert=$1
  register >registered
  expect_assigning registered
  operation_id=$(body registered | field operationId)
  poll operation_status
  expect "status of the poll" 200 "$(status polled)"
  expect "status" assigned "$(body polled | field registrationState.status)"
  expect "device id" "$registration_id" "$(body polled | field registrationState.deviceId)"
}

# Setup of the individual enrollment.
mkdir individual && cd individual
cert root "dps-test-root" 2>warned
expect_match "the warning" 'for tests only' "$(cat warned)"
cert device "dps-test-device-01" "dps-test-root"
expect "mode of a key" 600 "$(stat -c %a dpsTestDevice01_key.pem)"
in_service individual
landfall enrollment create --service individual --enrollment-id "$registration_id" --attestation-type x509 \
  --certificate-path dpsTestDevice01_cert.pem >/dev/null
assigned_with dpsTestDevice01_cert.pem

# The article's commands a second time: what is there stays.
before=$(cat ./*.pem | sha256sum)
if cert root "dps-test-root" 2>refused; then fail "a file was written over"; fi
expect_match "the refusal" 'dpsTestRoot_cert\.pem is there already' "$(cat refused)"
expect "files after the refusal" "$before" "$(cat ./*.pem | sha256sum)"

# Setup of the groups, in another folder as the article's own prompts show.
mkdir ../group && cd ../group
cert root "dps-test-root"
cert intermediate "dps-test-intermediate" "dps-test-root"
cert device "dps-test-device-01" "dps-test-intermediate"

# Intermediate CA certificate attestation: the leaf alone is enough.
in_service by-intermediate
landfall group create --service by-intermediate --group-id my-devices --certificate-path dpsTestIntermediate_cert.pem >/dev/null
assigned_with dpsTestDevice01_cert.pem

# Root CA certificate attestation: proof of possession, then the full chain.
in_service by-root
landfall ca create --service by-root --name my-root --path dpsTestRoot_cert.pem >/dev/null
code=$(landfall ca generate-verification-code --service by-root my-root --json | field properties.verificationCode)
cert verification --ca dpsTestRoot_cert.pem --key dpsTestRoot_key.pem --nonce "$code"
landfall ca verify --service by-root my-root --path verification_cert.pem >/dev/null
expect "verified" true "$(landfall ca show --service by-root my-root --json | field properties.isVerified)"
landfall group create --service by-root --group-id my-devices --root-ca-name my-root >/dev/null
device_cert=dpsTestDevice01_cert.pem
register >registered
expect_refused registered 401 401002
assigned_with dpsTestDevice01_fullchain.pem

# Elliptic keys do as well, and a chain of two kinds.
rm dpsTestDevice01_*.pem
cert device "dps-test-device-01" "dps-test-intermediate" --key-type ec --days 2
assigned_with dpsTestDevice01_fullchain.pem
