# A second service in the same server: its own id scope, its own hub, the same registration id.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=one-name-two-services
landfall service create second --json >second
second_scope=$(field idScope <second)
second_hub=$(field hubHostNames.0 <second)
[ "$second_scope" != "$dps_scope_id" ] || fail "both services have the id scope $second_scope"
[ "$second_hub" != "$HUB_HOST" ] || fail "both services have the hub $second_hub"

landfall enrollment create --enrollment-id "$registration_id" --attestation-type symmetricKey --service second >/dev/null
if landfall enrollment show --enrollment-id "$registration_id" >/dev/null 2>&1; then
  fail "the first service sees the second's enrollment"
fi
key=$(landfall enrollment show --enrollment-id "$registration_id" --keys --json --service second | field attestation.symmetricKey.primaryKey)

sas_token=$(sas_token_for "$key")
register >registered
refused_because registered 401 401002 'enrollment\.none'

dps_scope_id=$second_scope
sas_token=$(sas_token_for "$key")
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect "assigned hub" "$second_hub" "$(body polled | field registrationState.assignedHub)"
if landfall hub device show "$registration_id" >/dev/null 2>&1; then
  fail "the device is on the first service's hub too"
fi
