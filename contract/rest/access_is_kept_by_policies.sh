# Policies with fewer rights, and keys that rotate: by command line and curl, on the service and on its hub.
. "$CONTRACT/lib/flow.sh"

# by STRING CURL-OPTIONS… PATH: one call with a token of a connection string; prints the status.
by() {
  local string=$1 path=${*: -1}
  set -- "${@:2:$#-2}"
  curl -sS --cacert "$CA_FILE" -o answered -w '%{http_code}' -H "Authorization: $(token_of "$string")" "$@" \
    "$base$path?api-version=2021-10-01"
}

# token_of STRING: signed an hour ahead, as any client does.
token_of() {
  python3 - "$1" <<'END'
import base64, hashlib, hmac, sys, time, urllib.parse
parts = dict(part.split("=", 1) for part in sys.argv[1].split(";"))
resource = urllib.parse.quote(parts["HostName"].split(":")[0], safe="")
until = str(int(time.time()) + 3600)
key = base64.b64decode(parts["SharedAccessKey"])
signed = hmac.new(key, f"{resource}\n{until}".encode(), hashlib.sha256).digest()
signature = urllib.parse.quote(base64.b64encode(signed), safe="")
print(f"SharedAccessSignature sr={resource}&sig={signature}&se={until}&skn={parts['SharedAccessKeyName']}")
END
}

# refuses NUMBER-OF-EXIT COMMAND…: a command that must fail so.
refuses() {
  local wanted=$1 seen=0
  "${@:2}" >said 2>&1 || seen=$?
  expect "exit code of ${*:2}" "$wanted" "$seen"
}

base=$DPS_ENDPOINT
landfall enrollment create dev-1 --attestation-type symmetricKey >/dev/null

# A policy that reads enrollments reads those, and nothing else.
landfall policy create reader --rights EnrollmentRead >made
expect "keys of a policy that were not asked for" "" "$(grep -i 'key' made || true)"
reader=$(landfall connection-string --policy reader)
expect_match "string" '^HostName=.*;SharedAccessKeyName=reader;SharedAccessKey=.{44}$' "$reader"
expect "reading an enrollment" 200 "$(by "$reader" /enrollments/dev-1)"
expect "reading keys" 401 "$(by "$reader" -X POST /enrollments/dev-1/attestationmechanism)"
expect_match "message" "lacks the right 'EnrollmentWrite'" "$(field message <answered)"
expect "deleting" 401 "$(by "$reader" -X DELETE /enrollments/dev-1)"
expect "reading a registration" 401 "$(by "$reader" /registrations/dev-1)"
expect_match "message" "lacks the right 'RegistrationStatusRead'" "$(field message <answered)"
refuses 4 landfall policy create READER --rights EnrollmentRead
refuses 1 landfall policy create other --rights Everything
expect_match "what to do" 'ServiceConfig, EnrollmentRead' "$(cat said)"
refuses 3 landfall policy show nobody
refuses 1 landfall policy delete provisioningserviceowner
expect_match "what to do" 'create another with all rights first' "$(cat said)"

# One that may configure keeps policies by its own string, as far as its rights go.
landfall policy create admin --rights ServiceConfig,EnrollmentRead >/dev/null
admin=$(landfall connection-string --policy admin)
landfall policy list --login "$admin" >listed
expect_match "list" 'reader +EnrollmentRead' "$(cat listed)"
landfall policy create second-reader --rights EnrollmentRead --login "$admin" >/dev/null
refuses 5 landfall policy create writer --rights EnrollmentWrite --login "$admin"
refuses 5 landfall policy show provisioningserviceowner --keys --login "$admin"
refuses 5 landfall policy list --login "$reader"
landfall policy delete second-reader --login "$admin" >/dev/null

# Rotation with overlap: the old string opens until the second rotation.
landfall policy rotate reader >rotated
expect_match "what is valid" 'former primary as the secondary' "$(cat rotated)"
renewed=$(landfall connection-string --policy reader)
[ "$renewed" != "$reader" ] || fail "the primary key was not renewed"
expect "the secondary" "$reader" "$(landfall connection-string --policy reader --key secondary)"
expect "the old key" 200 "$(by "$reader" /enrollments/dev-1)"
expect "the new key" 200 "$(by "$renewed" /enrollments/dev-1)"
landfall policy rotate reader --key secondary >/dev/null
expect "the old key" 401 "$(by "$reader" /enrollments/dev-1)"
expect "the new key" 200 "$(by "$renewed" /enrollments/dev-1)"
etag=$(landfall policy show reader --json | field etag)
landfall policy rotate reader --swap --etag "$etag" >/dev/null
refuses 4 landfall policy rotate reader --etag "$etag"
expect "after a swap" "$renewed" "$(landfall connection-string --policy reader --key secondary)"
head -c 32 /dev/urandom | base64 >given.key
landfall policy rotate reader --primary-key @given.key >/dev/null
given=$(landfall connection-string --policy reader)
expect "a given key" "$(cat given.key)" "${given##*SharedAccessKey=}"
refuses 1 landfall policy rotate reader --primary-key @given.key
landfall policy update reader --rights RegistrationStatusRead >/dev/null
expect "after an update" 401 "$(by "$(landfall connection-string --policy reader)" /enrollments/dev-1)"
landfall policy delete reader >/dev/null

# The same on the hub.
base=${DPS_ENDPOINT/$DPS_HOST/$HUB_HOST}
landfall policy list --hub >listed
expect_match "list" 'registryReadWrite +RegistryWrite' "$(cat listed)"
landfall policy create --hub lister --rights RegistryRead >/dev/null
landfall policy show --hub lister --json >shown
expect "rights" RegistryRead "$(field rights <shown)"
lister=$(landfall connection-string --hub --policy lister)
expect "listing devices" 200 "$(by "$lister" /devices)"
expect "making a device" 401 "$(by "$lister" -X PUT -H 'Content-Type: application/json' -d '{"deviceId":"d"}' /devices/d)"
expect_match "message" 'RegistryWrite' "$(cat answered)"
landfall policy rotate --hub lister --key primary >/dev/null
expect "the old key" 401 "$(by "$lister" /devices)"
owner=$(landfall connection-string --hub)
landfall policy delete --hub lister --login "$owner" >/dev/null
refuses 5 landfall policy list --hub --login "$(landfall connection-string --hub --policy registryRead)"

# dev.json follows the owner's keys: commands go on after both were exchanged.
owner=$(landfall connection-string)
landfall policy rotate provisioningserviceowner --key both >/dev/null
[ "$(landfall connection-string)" != "$owner" ] || fail "dev.json holds a dead key"
landfall enrollment show dev-1 >/dev/null
base=$DPS_ENDPOINT
expect "a dead owner's key" 401 "$(by "$owner" /enrollments/dev-1)"
owner=$(landfall connection-string --hub)
landfall policy rotate --hub iothubowner --key both >/dev/null
[ "$(landfall connection-string --hub)" != "$owner" ] || fail "dev.json holds a dead key of the hub"
landfall hub device list >/dev/null

# The service's own settings.
landfall service update --allocation-policy static --require-verified-chain >updated
expect_match "settings" 'Allocation policy +static' "$(cat updated)"
expect_match "settings" 'Require verified chain +yes' "$(cat updated)"
refuses 2 landfall service update
refuses 4 landfall service update --allocation-policy hashed --etag c3RhbGU=
landfall service create second --json >second
second_hub=$(field hubHostNames.0 <second)
landfall linked-hub create "$second_hub" --allocation-weight 3 >links
expect_match "links" "$second_hub +3 +yes" "$(cat links)"
landfall linked-hub update "$second_hub" --apply-allocation-policy false >links
expect_match "links" "$second_hub +3 +no" "$(cat links)"
landfall linked-hub delete "$second_hub" >/dev/null
refuses 1 landfall linked-hub delete "$HUB_HOST"
