# What is not a registration at all: the body, the ids, the api-version, the token, the size.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=well-formed
key=$(openssl rand -base64 32)
landfall enrollment create --enrollment-id "$registration_id" --attestation-type symmetricKey \
  --primary-key "$key" --secondary-key "$(openssl rand -base64 32)" >/dev/null
sas_token=$(sas_token_for "$key")

# call FILE URL-PATH CURL-ARGUMENTS...
call() {
  local file=$1 path=$2
  shift 2
  curl -sS -i -H 'Content-Type: application/json' --cacert "$CA_FILE" "$@" "$DPS_ENDPOINT/$path" >"$file"
}
authorization="Authorization: $sas_token"
register_path="$dps_scope_id/registrations/$registration_id/register"

call reply "$register_path?api-version=2019-03-31" -X PUT -H "$authorization" -d '{"registrationId": '
expect "a body cut short" 400 "$(status reply)"
call reply "$register_path?api-version=2019-03-31" -X PUT -H "$authorization" -d '{"registrationId": "somebody-else"}'
expect "another id in the body" 400 "$(status reply)"
call reply "$register_path" -X PUT -H "$authorization" -d '{}'
expect "no api-version" 400 "$(status reply)"
call reply "$register_path?api-version=newest" -X PUT -H "$authorization" -d '{}'
expect "an api-version that is none" 400 "$(status reply)"
call reply "$dps_scope_id/registrations/bad%20id/register?api-version=2019-03-31" -X PUT -H "$authorization" -d '{}'
expect "a space in the id" 400 "$(status reply)"
call reply "$register_path?api-version=2019-03-31" -X PUT -H 'Authorization: SharedAccessSignature sr=a&sig=b' -d '{}'
expect "a token without expiry" 401 "$(status reply)"
call reply "$register_path?api-version=2019-03-31" -X PUT -H 'Authorization: Basic YTpi' -d '{}'
expect "another scheme" 401 "$(status reply)"
call reply "$register_path?api-version=2019-03-31" -X PUT -d '{}'
expect "no proof at all" 401 "$(status reply)"
call reply "$register_path?api-version=2019-03-31" -X DELETE -H "$authorization"
expect "another method" 405 "$(status reply)"
head -c 120000 /dev/zero | tr '\0' 'a' | sed 's/^/{"payload":"/; s/$/"}/' >large.json
call reply "$register_path?api-version=2019-03-31" -X PUT -H "$authorization" -H 'Expect:' -d @large.json
expect_match "a body over 96 KB" '^(400|413)$' "$(status reply)"
call reply "$dps_scope_id/registrations/$registration_id/operations/5.0000000000000000.00000000-0000-0000-0000-000000000000?api-version=2019-03-31" -X GET -H "$authorization"
expect_refused reply 404 404202

# The server is as well as before, and takes what the clients really send.
call reply "$register_path?api-version=2019-03-31" -X PUT -H "$authorization" -d '{"payload": null, "unknown": [1]}'
expect_assigning reply
call reply "$register_path?api-version=2021-06-01&forceRegistration=true" -X PUT -H "$authorization" -H 'Content-Encoding: utf-8' -d ''
expect_assigning reply
operation_id=$(body reply | field operationId)
poll operation_status
expect "status of the poll" 200 "$(status polled)"
expect "operation status" assigned "$(body polled | field status)"
