# The two curl commands of the article's part 2, with its variables, and the token its script makes.
# Sourced after flow.sh. Reads: dps_scope_id, registration_id, sas_token, operation_id.

sas_token_for() { # DEVICE-KEY [EXPIRY-IN-SECONDS]
  python3 "$CONTRACT/lib/generate_sas_token.py" "$dps_scope_id/registrations/$registration_id" "$1" "${2:-3600}" registration
}

register() {
  curl -sS -L -i -X PUT -H 'Content-Type: application/json' -H 'Content-Encoding:  utf-8' -H "Authorization: $sas_token" -d "{\"registrationId\": \"$registration_id\"}" "$DPS_ENDPOINT/$dps_scope_id/registrations/$registration_id/register?api-version=2019-03-31" --cacert "$CA_FILE"
}

operation_status() {
  curl -sS -L -i -X GET -H 'Content-Type: application/json' -H 'Content-Encoding:  utf-8' -H "Authorization: $sas_token" "$DPS_ENDPOINT/$dps_scope_id/registrations/$registration_id/operations/$operation_id?api-version=2019-03-31" --cacert "$CA_FILE"
}
