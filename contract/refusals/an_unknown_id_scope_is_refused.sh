# An id scope of no service here.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=lost-device
dps_scope_id=0neFFFFFFFF
sas_token=$(sas_token_for "$(openssl rand -base64 32)")
register >registered
refused_because registered 401 401002 'service\.scope'
