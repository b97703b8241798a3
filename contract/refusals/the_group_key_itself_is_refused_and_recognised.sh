# The slip the article warns of: "make sure and use the derived key and not the group enrollment key".
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=forgot-to-derive
landfall group create --group-id my-group >/dev/null
sas_token=$(sas_token_for "$(landfall group show --group-id my-group --keys --json | field attestation.symmetricKey.primaryKey)")
register >registered
refused_because registered 401 401002 'sas\.group_key_itself'
