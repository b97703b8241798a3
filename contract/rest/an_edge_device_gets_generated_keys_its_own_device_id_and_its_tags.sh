# The IoT Edge articles' individual enrollment: keys generated, a device id of its own, the Edge
# flag, the initial twin with its tag.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6
landfall enrollment create --enrollment-id "$registration_id" --attestation-type symmetricKey \
  --device-id Edge-Device-1 --edge-enabled true --provisioning-status enabled \
  --initial-twin-tags '{"environment": "test"}' --initial-twin-properties '{}' >/dev/null

landfall enrollment show --enrollment-id "$registration_id" --json >shown
expect "keys in an ordinary read" "" "$(field attestation.symmetricKey.primaryKey <shown)"
expect "device id" Edge-Device-1 "$(field deviceId <shown)"
expect "Edge flag" true "$(field capabilities.iotEdge <shown)"
expect "tag" test "$(field initialTwin.tags.environment <shown)"
expect "provisioning status" enabled "$(field provisioningStatus <shown)"

key=$(landfall enrollment show --enrollment-id "$registration_id" --keys --json | field attestation.symmetricKey.primaryKey)
sas_token=$(sas_token_for "$key")
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect_assigned Edge-Device-1

expect "Edge flag on the hub" true "$(landfall hub device show Edge-Device-1 --json | field capabilities.iotEdge)"
expect "tag on the twin" test "$(landfall hub twin show Edge-Device-1 --json | field tags.environment)"

# The enrollment's details: assigned, and the device id is listed.
landfall enrollment show --enrollment-id "$registration_id" --json >shown
expect "status" assigned "$(field registrationState.status <shown)"
expect "device id" Edge-Device-1 "$(field registrationState.deviceId <shown)"
expect "registration record" Edge-Device-1 "$(landfall registration show "$registration_id" --json | field deviceId)"
