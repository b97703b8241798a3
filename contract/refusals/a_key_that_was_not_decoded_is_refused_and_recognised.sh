# The HMAC was keyed with the key's base64 text and not with the bytes that it stands for.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=forgot-to-decode
landfall enrollment create --enrollment-id "$registration_id" --attestation-type symmetricKey >/dev/null
key=$(landfall enrollment show --enrollment-id "$registration_id" --keys --json | field attestation.symmetricKey.primaryKey)
sas_token=$(sas_token_for "$(printf %s "$key" | base64 -w 0)")
register >registered
refused_because registered 401 401002 'sas\.key_not_decoded'
