# Article part 1 has a slip: its form shows dpsTestRoot_cert.pem where the device's own certificate
# belongs. The device is refused, and the operator reads why.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/certificates.sh"
. "$CONTRACT/lib/certificate_calls.sh"

registration_id=dps-test-device-01
create_test_cert root "dps-test-root"
create_test_cert device "dps-test-device-01" "dps-test-root"
landfall enrollment create --enrollment-id "$registration_id" --attestation-type x509 \
  --certificate-path dpsTestRoot_cert.pem >/dev/null

device_cert=dpsTestDevice01_cert.pem
device_key=dpsTestDevice01_key.pem
register >registered
refused_because registered 401 401002 'x509\.enrolled_certificate_is_a_ca'
