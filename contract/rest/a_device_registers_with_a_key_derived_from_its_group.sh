# Article part 2, group enrollment: the bash snippet derives the device's key from the group's.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=dps-test-sym-device01

# Portal: add a group enrollment, attestation type symmetric key; save; copy the primary key.
landfall group create --group-id dps-test-sym-group1 >/dev/null

for slot in primaryKey secondaryKey; do
  KEY=$(landfall group show --group-id dps-test-sym-group1 --keys --json | field "attestation.symmetricKey.$slot")
  REG_ID=$registration_id

  keybytes=$(echo $KEY | base64 --decode | xxd -p -u -c 1000)
  device_key=$(echo -n $REG_ID | openssl sha256 -mac HMAC -macopt hexkey:$keybytes -binary | base64)

  expect "landfall key derive" "$device_key" "$("$LANDFALL" key derive --key "$KEY" --registration-id "$REG_ID")"

  sas_token=$(sas_token_for "$device_key")
  register >"registered-$slot"
  expect_assigning "registered-$slot"
  operation_id=$(body "registered-$slot" | field operationId)
  poll operation_status
  if [ "$slot" = primaryKey ]; then
    expect_assigned
    expect "group of the registration" dps-test-sym-group1 \
      "$(body polled | field registrationState.symmetricKey.enrollmentGroupId)"
  else
    expect "substatus" reprovisionedToInitialAssignment "$(body polled | field registrationState.substatus)"
  fi
done

expect "landfall group compute-device-key" \
  "$(landfall group compute-device-key --group-id dps-test-sym-group1 --registration-id "$registration_id")" \
  "$("$LANDFALL" key derive --key "$(landfall group show --group-id dps-test-sym-group1 --keys --json | field attestation.symmetricKey.primaryKey)" --registration-id "$registration_id")"

# Portal: the group's registration records.
expect "registration records of the group" "$registration_id" \
  "$(landfall registration list --gid dps-test-sym-group1 --json | field 0.registrationId)"
