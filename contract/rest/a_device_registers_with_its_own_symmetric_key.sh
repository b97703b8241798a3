# Article part 2, individual enrollment: keys made by the service, the article's token script, its
# two curl commands.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=dps-sym-key-test01

# Portal: add an individual enrollment, mechanism symmetric key; save; copy the primary key.
landfall enrollment create --enrollment-id "$registration_id" --attestation-type symmetricKey >/dev/null
key=$(landfall enrollment show --enrollment-id "$registration_id" --keys --json | field attestation.symmetricKey.primaryKey)
expect "bytes of a generated key" 64 "$(base64 --decode <<<"$key" | wc -c)"

sas_token=$(sas_token_for "$key" 3600000)
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)

poll operation_status
expect_assigned
[ -n "$(body polled | field registrationState.createdDateTimeUtc)" ] || fail "createdDateTimeUtc is absent"
[ -n "$(body polled | field registrationState.etag)" ] || fail "etag is absent"

# Portal: the device was assigned.
expect "status on the enrollment" assigned \
  "$(landfall enrollment show --enrollment-id "$registration_id" --json | field registrationState.status)"

# The secondary key opens the same door, and the device keeps its hub.
key=$(landfall enrollment show --enrollment-id "$registration_id" --keys --json | field attestation.symmetricKey.secondaryKey)
sas_token=$(sas_token_for "$key")
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect "substatus of a returning device" reprovisionedToInitialAssignment "$(body polled | field registrationState.substatus)"
expect "hub of a returning device" "$HUB_HOST" "$(body polled | field registrationState.assignedHub)"
