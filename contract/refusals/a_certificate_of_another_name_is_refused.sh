# The leaf's CN and the registration id have to match, or the whole thing does not work.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/certificates.sh"
. "$CONTRACT/lib/certificate_calls.sh"

create_test_cert root "dps-test-root"
create_test_cert device "Dev1" "dps-test-root"
landfall group create --group-id my-devices --certificate-path dpsTestRoot_cert.pem >/dev/null
registration_id=dev2
device_cert=Dev1_cert.pem
device_key=Dev1_key.pem
register >registered
refused_because registered 401 401002 'x509\.common_name'
reason_is "$(body registered | field trackingId)" 'leaf CN `Dev1` is not registration id `dev2`'

# Under its own name, in any case of its letters, it goes in.
registration_id=dev1
register >registered
expect_assigning registered
operation_id=$(body registered | field operationId)
poll operation_status
expect_assigned
