# Old stacks speak TLS 1.2 exactly, new ones 1.3; both show their certificate, of any age or issuer.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/certificates.sh"

registration_id=self-signed-device
create_test_cert root "$registration_id"
landfall enrollment create --enrollment-id "$registration_id" --attestation-type x509 \
  --certificate-path selfSignedDevice_cert.pem >/dev/null

for version in 1.2 1.3; do
  curl -sS -i -X PUT "--tlsv$version" --tls-max "$version" \
    --cert selfSignedDevice_cert.pem --key selfSignedDevice_key.pem --cacert "$CA_FILE" \
    -H 'Content-Type: application/json' -d '{}' \
    "$DPS_ENDPOINT/$dps_scope_id/registrations/$registration_id/register?api-version=2019-03-31" >"reply-$version"
  expect_assigning "reply-$version"
done
if curl -s --tls-max 1.1 --cacert "$CA_FILE" "$DPS_ENDPOINT/" >/dev/null 2>&1; then
  fail "TLS 1.1 was taken"
fi
