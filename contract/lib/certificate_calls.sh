# The two curl commands of the article's part 1, with its variables.
# Sourced after flow.sh. Reads: dps_scope_id, registration_id, device_cert, device_key, operation_id.

register() {
  curl -sS -L -i -X PUT --cert "./$device_cert" --key "./$device_key" -H 'Content-Type: application/json' -H 'Content-Encoding:  utf-8' -d "{\"registrationId\": \"$registration_id\"}" "$DPS_ENDPOINT/$dps_scope_id/registrations/$registration_id/register?api-version=2019-03-31" --cacert "$CA_FILE"
}

operation_status() {
  curl -sS -L -i -X GET --cert "./$device_cert" --key "./$device_key" -H 'Content-Type: application/json' -H 'Content-Encoding:  utf-8' "$DPS_ENDPOINT/$dps_scope_id/registrations/$registration_id/operations/$operation_id?api-version=2019-03-31" --cacert "$CA_FILE"
}
