# A device whose clock is two hours behind makes tokens that have long expired.
. "$CONTRACT/lib/flow.sh"
. "$CONTRACT/lib/symmetric_calls.sh"

registration_id=slow-clock
landfall enrollment create --enrollment-id "$registration_id" --attestation-type symmetricKey >/dev/null
sas_token=$(sas_token_for "$(landfall enrollment show --enrollment-id "$registration_id" --keys --json | field attestation.symmetricKey.primaryKey)" -7380)
register >registered
refused_because registered 401 401002 'sas\.expired'
reason_is "$(body registered | field trackingId)" 'expired 2 h 3 min ago'
reason_is "$(body registered | field trackingId)" 'clock is about 2 h 3 min behind'
# The registration id leads to the same reason.
reason_is "$registration_id" 'sas\.expired'
