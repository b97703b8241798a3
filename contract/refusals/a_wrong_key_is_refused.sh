# A key that is not the enrollment's: the device learns nothing but 401.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=wrong-key
landfall enrollment create --enrollment-id "$registration_id" --attestation-type symmetricKey >/dev/null
sas_token=$(sas_token_for "$(openssl rand -base64 64 | tr -d '\n')")
register >registered
refused_because registered 401 401002 'sas\.signature'
expect "the register call left a record" "" "$(landfall enrollment show --enrollment-id "$registration_id" --json | field registrationState.assignedHub)"
