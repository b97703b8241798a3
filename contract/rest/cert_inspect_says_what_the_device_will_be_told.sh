# `landfall cert inspect` before a device registers, and the device afterwards: the same verdict, by the
# same check, for every usual mistake.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/certificate_calls.sh"

cert() { "$LANDFALL" cert "$@"; }
make() { cert "$@" --key-type ec >/dev/null 2>&1; }
inspect() { "$LANDFALL" cert inspect "$@" --data "$LANDFALL_DATA"; }

# foretold WANTED ID CERTIFICATE KEY OPTIONS...: `inspect CERTIFICATE OPTIONS` and a registration of ID with it agree on WANTED:
# `accepted`, or the check that refuses.
foretold() {
  local wanted=$1 said=0 seen
  registration_id=$2 device_cert=$3 device_key=$4
  shift 4
  inspect "$device_cert" "$@" --json >inspected 2>problem || said=$?
  [ -s inspected ] || fail "inspect $device_cert $*: $(cat problem)"
  seen=$(field finding.check <inspected)
  expect "inspect $device_cert $*" "$wanted" "${seen:-accepted}"
  register >registered
  if [ "$wanted" = accepted ]; then
    expect "exit code of inspect" 0 "$said"
    expect_assigning registered
  else
    expect "exit code of inspect" 1 "$said"
    refused_because registered 401 401002 "Failed check: ${wanted//./\\.}"
  fi
}

make root dps-test-root
make intermediate dps-test-intermediate dps-test-root
make device dev1 dps-test-intermediate
make device dev2 dps-test-intermediate
make device alone

# Individual enrollments.
enroll() { landfall enrollment create --enrollment-id "$1" --attestation-type x509 --certificate-path "$2" >/dev/null; }
enroll alone alone_cert.pem
enroll dev2 dpsTestIntermediate_cert.pem
foretold accepted alone alone_cert.pem alone_key.pem --enrollment alone
foretold x509.common_name alone dev1_cert.pem dev1_key.pem --enrollment alone
foretold x509.enrolled_certificate_is_a_ca dev2 dev2_cert.pem dev2_key.pem --enrollment dev2
landfall enrollment update dev2 --certificate-path dev1_cert.pem >/dev/null
foretold x509.thumbprint dev2 dev2_cert.pem dev2_key.pem --enrollment dev2
landfall enrollment delete dev2 >/dev/null

# A group by a root that is uploaded and not verified, then verified.
landfall ca create --name root --path dpsTestRoot_cert.pem --verified >/dev/null
landfall group create --group-id g --root-ca-name root >/dev/null
foretold x509.chain dev1 dev1_cert.pem dev1_key.pem --group g
expect_match "the missing link" "'CN=dps-test-intermediate' was not sent" "$(inspect dev1_cert.pem --group g 2>&1 || true)"
foretold accepted dev1 dev1_fullchain.pem dev1_key.pem --group g

# The order of the chain: the leaf must be first, the rest may be in any.
cat dpsTestIntermediate_cert.pem dpsTestRoot_cert.pem dev2_cert.pem >backwards.pem
if inspect backwards.pem --group g --id dev2 >inspected 2>&1; then fail "a chain that ends with the device's certificate was accepted"; fi
expect_match "the note on order" "wrong order.*'CN=dev2' is number 3" "$(tr '\n' ' ' <inspected)"
cat dev2_cert.pem dpsTestRoot_cert.pem dpsTestIntermediate_cert.pem >shuffled.pem
foretold accepted dev2 shuffled.pem dev2_key.pem --group g
expect_match "the note on order" 'not in the order of the chain' "$(inspect shuffled.pem --group g)"

# A root of the same name with another key is another root.
mkdir namesake
make root dps-test-root --out namesake
make device dev3 dps-test-root --out namesake
foretold x509.issuer_signature dev3 namesake/dev3_fullchain.pem namesake/dev3_key.pem --group g

# Out of its time, which only the one who asks can choose; the same at once for the certificates above.
at=$(date -ud '+3 years' +%Y-%m-%dT%H:%M:%SZ)
if inspect dev1_fullchain.pem --group g --at "$at" --json >inspected 2>/dev/null; then fail "an expired chain was accepted"; fi
expect "the leaf's check" x509.validity "$(field finding.check <inspected)"
expect "failures above it" 1 "$(grep -c '"x509.issuer_validity"' inspected | awk '{ print $1 / 2 }')"

# A group that exists and does not decide; one that is disabled; one that does not exist.
landfall group create --group-id nearer --certificate-path dpsTestIntermediate_cert.pem >/dev/null
if inspect dev1_fullchain.pem --group g --json >inspected 2>/dev/null; then fail "another group's device was accepted"; fi
expect "the check" enrollment.other_group "$(field finding.check <inspected)"
landfall registration delete dev1 >/dev/null
if inspect dev1_fullchain.pem --group g --json >inspected 2>/dev/null; then fail "another group's device was accepted"; fi
expect "the check" enrollment.other "$(field finding.check <inspected)"
landfall group update nearer --provisioning-status disabled >/dev/null
if inspect dev1_fullchain.pem --group nearer --json >inspected 2>/dev/null; then fail "a disabled group let a device in"; fi
expect "the check" enrollment.disabled "$(field finding.check <inspected)"
status=0
inspect dev1_fullchain.pem --group none >/dev/null 2>&1 || status=$?
expect "exit code for a group that is not there" 3 "$status"

# Without an enrollment no server is asked: structure, from standard input too.
LANDFALL_DATA=/nonexistent "$LANDFALL" cert inspect - <dev1_fullchain.pem >inspected
expect_match "the verdict" 'Nothing wrong with it' "$(cat inspected)"
openssl x509 -in dev1_cert.pem -outform der -out dev1.cer
expect_match "the note on DER" 'The file is DER' "$("$LANDFALL" cert inspect dev1.cer)"

# Files that hold no certificate say what they hold.
: >empty.pem
openssl req -new -key dev1_key.pem -subj /CN=dev1 -out dev1.csr
for pair in 'empty.pem:is empty' 'dev1_key.pem:private key and no certificate' 'dev1.csr:CERTIFICATE REQUEST'; do
  status=0
  "$LANDFALL" cert inspect "${pair%%:*}" >/dev/null 2>problem || status=$?
  expect "exit code of ${pair%%:*}" 2 "$status"
  expect_match "what is said of ${pair%%:*}" "${pair#*:}" "$(cat problem)"
done

# The route by itself: nothing without a token; with the control token for the service that is named.
asked() { curl -sS -w ' %{http_code}' --cacert "$CA_FILE" -X POST "$@"; }
url="$DPS_ENDPOINT/landfall/registrations/dev1/inspection"
token=$(field controlPlane.token <"$LANDFALL_DATA/dev.json")
chain="{\"chain\": [\"$(grep -v -- ----- dev1_cert.pem | tr -d '\n')\"]}"
expect_match "without a token" ' 401$' "$(asked -d "$chain" "$url")"
expect_match "with the control token" '"accepted":false.*"check":"enrollment\.disabled".* 200$' \
  "$(asked -d "$chain" -H "Authorization: Bearer $token" "$url?service=dev")"
expect_match "another service" ' 404$' "$(asked -d "$chain" -H "Authorization: Bearer $token" "$url?service=none")"
expect_match "no chain" 'chain must hold 1 to 10 certificates.* 400$' "$(asked -d '{}' -H "Authorization: Bearer $token" "$url")"

# A policy that may not read enrollments may not ask either.
landfall policy create provisioner --rights RegistrationStatusRead >/dev/null
weak=$(landfall policy show provisioner --keys --json | field primaryKey)
sas=$("$LANDFALL" sas --resource "$DPS_HOST" --policy-name provisioner --key "$weak")
expect_match "a policy without the right" 'EnrollmentRead.* 40[13]$' "$(asked -d "$chain" -H "Authorization: $sas" "$url")"
