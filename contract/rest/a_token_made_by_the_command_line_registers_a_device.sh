# `landfall sas` stands in for the article's token script.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=dps-sym-key-test02
key=$(openssl rand -base64 32)
landfall enrollment create --enrollment-id "$registration_id" --attestation-type symmetricKey \
  --primary-key "$key" --secondary-key "$(openssl rand -base64 32)" >/dev/null

sas_token=$("$LANDFALL" sas --id-scope "$dps_scope_id" --registration-id "$registration_id" --key "$key")
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect_assigned

# The status lookup of the documentation: POST, and the bare registration state comes back.
curl -sS -i -X POST -H 'Content-Type: application/json' -H "Authorization: $sas_token" \
  -d "{\"registrationId\": \"$registration_id\"}" \
  "$DPS_ENDPOINT/$dps_scope_id/registrations/$registration_id?api-version=2021-06-01" --cacert "$CA_FILE" >looked_up
expect "status of the look-up" 200 "$(status looked_up)"
expect "status" assigned "$(body looked_up | field status)"
expect "hub" "$HUB_HOST" "$(body looked_up | field assignedHub)"
expect "operationId of a look-up" "" "$(body looked_up | field operationId)"
