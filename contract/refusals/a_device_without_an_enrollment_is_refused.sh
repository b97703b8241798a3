# Nothing is enrolled under this id, and there is no group.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=nobody
sas_token=$(sas_token_for "$(openssl rand -base64 32)")
register >registered
refused_because registered 401 401002 'enrollment\.none'
