# The getting-started article's form: allocation, hubs, re-provisioning, enable entry, initial twin.
# A disabled entry keeps the device out until it is enabled.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=my-first-device
landfall enrollment create --enrollment-id "$registration_id" --attestation-type symmetricKey \
  --allocation-policy static --iot-hubs "$HUB_HOST" --reprovision-policy reprovisionandresetdata \
  --provisioning-status disabled --initial-twin-tags '{"floor": 3}' \
  --initial-twin-properties '{"interval": {"seconds": 60}}' >/dev/null

landfall enrollment show --enrollment-id "$registration_id" --json >shown
expect "allocation policy" static "$(field allocationPolicy <shown)"
expect "hubs" "[\"$HUB_HOST\"]" "$(field iotHubs <shown)"
expect "updateHubAssignment" true "$(field reprovisionPolicy.updateHubAssignment <shown)"
expect "migrateDeviceData" false "$(field reprovisionPolicy.migrateDeviceData <shown)"
expect "provisioning status" disabled "$(field provisioningStatus <shown)"
expect "tag" 3 "$(field initialTwin.tags.floor <shown)"
expect "desired property" 60 "$(field initialTwin.properties.desired.interval.seconds <shown)"

key=$(landfall enrollment show --enrollment-id "$registration_id" --keys --json | field attestation.symmetricKey.primaryKey)
sas_token=$(sas_token_for "$key")
register >registered
expect "status of the register call" 202 "$(status registered)"
operation_id=$(body registered | field operationId)
poll operation_status
expect "status of a disabled device" disabled "$(body polled | field status)"
if landfall hub device show "$registration_id" >/dev/null 2>&1; then
  fail "a disabled device is on the hub"
fi

landfall enrollment update --enrollment-id "$registration_id" --provisioning-status enabled >/dev/null
expect "key after the update" "$key" \
  "$(landfall enrollment show --enrollment-id "$registration_id" --keys --json | field attestation.symmetricKey.primaryKey)"
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect_assigned
expect "tag on the twin" 3 "$(landfall hub twin show "$registration_id" --json | field tags.floor)"
expect "desired property on the twin" 60 \
  "$(landfall hub twin show "$registration_id" --json | field properties.desired.interval.seconds)"

expect "listed" "$registration_id" "$(landfall enrollment list --json | field 0.registrationId)"
landfall enrollment delete --enrollment-id "$registration_id" >/dev/null
if landfall enrollment show --enrollment-id "$registration_id" >/dev/null 2>&1; then
  fail "the enrollment is still there"
fi
