# A disabled individual enrollment beats an enabled group that would let the device in.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=kept-out
landfall group create --group-id open-group >/dev/null
device_key=$(landfall group compute-device-key --group-id open-group --registration-id "$registration_id")
sas_token=$(sas_token_for "$device_key")

landfall enrollment create --enrollment-id "$registration_id" --attestation-type symmetricKey \
  --provisioning-status disabled >/dev/null
register >registered
refused_because registered 401 401002 'key of the individual enrollment'

# With its own key the device is told that it is disabled, and gets no hub.
sas_token=$(sas_token_for "$(landfall enrollment show --enrollment-id "$registration_id" --keys --json | field attestation.symmetricKey.primaryKey)")
register >registered
expect "status of the register call" 202 "$(status registered)"
operation_id=$(body registered | field operationId)
poll operation_status
expect "status of the poll" 200 "$(status polled)"
expect "operation status" disabled "$(body polled | field status)"
expect "registrationState.status" disabled "$(body polled | field registrationState.status)"
expect "registrationState.registrationId" "$registration_id" "$(body polled | field registrationState.registrationId)"
expect "registrationState.assignedHub" "" "$(body polled | field registrationState.assignedHub)"
expect_match "registrationState.errorCode" '^[0-9]{6}$' "$(body polled | field registrationState.errorCode)"
if landfall hub device show "$registration_id" >/dev/null 2>&1; then
  fail "a disabled device is on the hub"
fi

# Without the individual enrollment the group decides again.
landfall enrollment delete --enrollment-id "$registration_id" >/dev/null
sas_token=$(sas_token_for "$device_key")
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect_assigned
