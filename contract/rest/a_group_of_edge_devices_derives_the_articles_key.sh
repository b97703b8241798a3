# The IoT Edge articles' group enrollment: the group's key and the derived key are those printed there.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

KEY=8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==
REG_ID=sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6
landfall group create --group-id edge-devices --primary-key "$KEY" --secondary-key "$(openssl rand -base64 64 | tr -d '\n')" \
  --edge-enabled true --initial-twin-tags '{"environment": "test"}' >/dev/null

keybytes=$(echo $KEY | base64 --decode | xxd -p -u -c 1000)
derived=$(echo -n $REG_ID | openssl sha256 -mac HMAC -macopt hexkey:$keybytes -binary | base64)
expect "the article's derived key" Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc= "$derived"
expect "landfall key derive" "$derived" "$("$LANDFALL" key derive "$KEY" "$REG_ID")"
expect "landfall group compute-device-key" "$derived" \
  "$(landfall group compute-device-key --gid edge-devices --registration-id "$REG_ID")"

registration_id=$REG_ID
sas_token=$(sas_token_for "$derived")
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect_assigned

# Registration Records: all devices registered in that group.
landfall registration list --gid edge-devices --json >records
expect "first record" "$registration_id" "$(field 0.registrationId <records)"
expect "its status" assigned "$(field 0.status <records)"
expect "second record" "" "$(field 1 <records)"

expect "Edge flag on the hub" true "$(landfall hub device show "$registration_id" --json | field capabilities.iotEdge)"
expect "tag on the twin" test "$(landfall hub twin show "$registration_id" --json | field tags.environment)"
