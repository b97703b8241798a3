# What the curl flows share: reading replies, asking the operator's side, and failing aloud.
# Sourced by the scripts of rest/ and refusals/; the server's names come in by environment (run.py).
set -euo pipefail

dps_scope_id=$DPS_SCOPE_ID
landfall() { "$LANDFALL" "$@" --data "$LANDFALL_DATA"; }

fail() { echo "FAILED: $*" >&2; exit 1; }

# expect WHAT WANTED SEEN
expect() { [ "$2" = "$3" ] || fail "$1: expected '$2', saw '$3'"; }

# expect_match WHAT PATTERN SEEN
expect_match() { grep -qiE -- "$2" <<<"$3" || fail "$1: expected a match of /$2/, saw '$3'"; }

# What `curl -i` wrote to a file: its status, one header, its body.
status() { sed -n '1s/^HTTP[^ ]* \([0-9]\{3\}\).*/\1/p' "$1"; }
header() { tr -d '\r' <"$1" | sed '/^$/q' | sed -n "s/^$2: *//Ip" | head -n 1; }
body() { tr -d '\r' <"$1" | sed '1,/^$/d'; }

# field PATH: one member of the JSON on standard input, dots between names; empty when absent.
field() {
  python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1].split("."):
    if isinstance(value, list):
        value = value[int(name)] if int(name) < len(value) else None
    else:
        value = value.get(name) if isinstance(value, dict) else None
if isinstance(value, (dict, list, bool)):
    print(json.dumps(value))
elif value is not None:
    print(value)
' "$1"
}

# The articles poll "in a loop until you either get a success or failure status". Runs the given
# curl command, as often as it must, until its reply is no longer 202; leaves it in `polled`.
poll() {
  local attempt
  for attempt in 1 2 3 4 5 6 7 8 9 10; do
    "$@" >polled
    [ "$(status polled)" = 202 ] || return 0
    sleep "$(header polled retry-after)"
  done
  fail "still assigning after $attempt polls"
}

# expect_assigned: `polled` holds a final answer that assigns [registration_id] to the embedded hub.
# An argument names the device id when it differs.
expect_assigned() {
  expect "status of the poll" 200 "$(status polled)"
  expect "operation status" assigned "$(body polled | field status)"
  expect "registrationState.status" assigned "$(body polled | field registrationState.status)"
  expect "registrationState.substatus" initialAssignment "$(body polled | field registrationState.substatus)"
  expect "registrationState.registrationId" "$registration_id" "$(body polled | field registrationState.registrationId)"
  expect "registrationState.deviceId" "${1:-$registration_id}" "$(body polled | field registrationState.deviceId)"
  expect "registrationState.assignedHub" "$HUB_HOST" "$(body polled | field registrationState.assignedHub)"
  expect "the hub's device" "${1:-$registration_id}" \
    "$(landfall hub device show "${1:-$registration_id}" --json | field deviceId)"
}

# expect_assigning FILE: the register call was accepted in the one form that every client reads.
expect_assigning() {
  expect "status of the register call" 202 "$(status "$1")"
  expect "status" assigning "$(body "$1" | field status)"
  expect_match "content type" '^application/json; charset=utf-8$' "$(header "$1" content-type)"
  expect_match "retry-after" '^[2-5]$' "$(header "$1" retry-after)"
  expect_match "operation id" '^[45]\.[0-9a-f]{16}\.[0-9a-f-]{36}$' "$(body "$1" | field operationId)"
}

# expect_refused FILE STATUS CODE: an error body with every member that clients read, no more, and
# the header that names the attempt.
expect_refused() {
  expect "status" "$2" "$(status "$1")"
  expect "errorCode" "$3" "$(body "$1" | field errorCode)"
  expect "status in errorCode" "$2" "$(($(body "$1" | field errorCode) / 1000))"
  expect_match "content type" '^application/json' "$(header "$1" content-type)"
  expect_match "trackingId" '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' "$(body "$1" | field trackingId)"
  expect "trackingId and x-ms-request-id" "$(header "$1" x-ms-request-id)" "$(body "$1" | field trackingId)"
  expect_match "timestampUtc" '^[0-9-]{10}T[0-9:]{8}\.[0-9]{7}Z$' "$(body "$1" | field timestampUtc)"
  [ -n "$(body "$1" | field message)" ] || fail "message is empty"
  expect "members of the error" "errorCode message timestampUtc trackingId" \
    "$(body "$1" | python3 -c 'import json,sys; print(*sorted(json.load(sys.stdin)))')"
}

# reason_is TRACKING-ID PATTERN: `landfall explain` tells the operator why, by the check's name. A costly diagnosis runs
# after the answer, so the question is asked for a while.
reason_is() {
  local said attempt
  for attempt in $(seq 1 25); do
    said=$(landfall explain "$1" 2>&1) || true
    if grep -qiE -- "$2" <<<"$said"; then return 0; fi
    sleep 0.2
  done
  fail "landfall explain: expected a match of /$2/, saw:
$said"
}

# refused_because FILE STATUS CODE PATTERN
refused_because() {
  expect_refused "$1" "$2" "$3"
  reason_is "$(body "$1" | field trackingId)" "$4"
}
