//! The checks that a finding can name, with cause and fix: what the reference says of each.
//! `cargo xtask tidy` holds this list to the names that the checks use.

/// What the reference says of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// The name, as findings and traces have it.
    pub name: &'static str,
    /// Why it fails.
    pub cause: &'static str,
    /// What to do.
    pub fix: &'static str,
}

const fn check(name: &'static str, cause: &'static str, fix: &'static str) -> Check {
    Check { name, cause, fix }
}

/// Every check, in the order of the road.
pub const CHECKS: &[Check] = &[
    // The request.
    check(
        "request.api_version",
        "The URL has no `?api-version=`, or its value is no date.",
        "Send a dated version, such as `2021-06-01`.",
    ),
    check(
        "request.method",
        "The path is one of the device API and the method is not.",
        "`PUT …/register`, `GET …/operations/{id}`, `POST …/registrations/{id}`.",
    ),
    check(
        "request.content_encoding",
        "The device names a compression in `Content-Encoding`.",
        "Leave the header out; `utf-8` is passed over.",
    ),
    check(
        "request.body_size",
        "The body is larger than `limits.body_bytes`.",
        "Send less in the payload.",
    ),
    check(
        "request.body",
        "The body is no JSON object.",
        "Send one JSON object, or no body at all.",
    ),
    check(
        "request.ids",
        "Id scope or registration id is malformed, the body names another id than the path, or it asks for something that is not served, such as `csr`.",
        "Compare scope, registration id and body with the enrollment.",
    ),
    check(
        "mqtt.user_name",
        "The user name of an MQTT connection is not `{id scope}/registrations/{registration id}/api-version=…`, or a part of it is malformed.",
        "Compare it with what the SDKs send: docs/protocol/device-api.md §3.1.",
    ),
    check(
        "mqtt.client_id",
        "The client id of an MQTT connection is not the registration id of its user name.",
        "Send the registration id as client id.",
    ),
    check(
        "mqtt.will",
        "The MQTT connection leaves a will, which the provisioning service would have to publish.",
        "Leave the will out here; the hub takes one.",
    ),
    check(
        "mqtt.topic",
        "A device published to a topic that the provisioning service does not have.",
        "Publish to `$dps/registrations/PUT/iotdps-register/` and `$dps/registrations/GET/iotdps-get-operationstatus/` only; telemetry goes to the assigned hub.",
    ),
    check(
        "mqtt.packet",
        "The peer sent what no client of MQTT 3.1.1 sends: a malformed packet, one out of order, QoS 2, or a packet that is too large.",
        "Look at what the trace saw, and at the client's version of MQTT. Another program may speak to the port.",
    ),
    check(
        "hub.user_name",
        "The user name of an MQTT connection to a hub is not `{hub}/{device id}/?api-version=…` (with the module id behind the device's for a module), or does not hold the client id.",
        "Compare both with what the SDKs send: docs/protocol/hub-api.md §2.1; ids are told by case.",
    ),
    check(
        "hub.host",
        "The user name names a hub that this server does not have.",
        "Connect to the assigned hub, by the name that the registration gave.",
    ),
    check(
        "hub.credential",
        "The hub has no such device or module, it is disabled, or its proof is not what the hub asks for; the trace says which.",
        "`landfall hub device show ID` tells what the hub asks for. A provisioned device connects with the credential that it registered with.",
    ),
    check(
        "hub.message_size",
        "A device sent a message of more than 256 KB.",
        "Send less at once, or in several messages.",
    ),
    check(
        "hub.topic",
        "A device published or subscribed to a topic that the hub does not have for it.",
        "Compare with docs/protocol/hub-api.md §2.1: ids are told by case, and no device has another's topics.",
    ),
    // The service.
    check(
        "service.scope",
        "No provisioning service of this server has the id scope.",
        "Take the id scope from `landfall service list`.",
    ),
    check(
        "store.unavailable",
        "The database did not answer, or could not be written.",
        "Look at `/readyz`, the free disk space and the log. The device was told to come back.",
    ),
    check(
        "search.budget",
        "More devices came for the first time with a token than `limits.group_search_percent` pays for, in a service of many groups with keys: a large roll-out, or somebody who tries tokens.",
        "The device was told to come back; one whose address had no wrong token lately goes first. Have fewer groups with keys, or give more with `limits.group_search_percent`.",
    ),
    // The evidence.
    check(
        "evidence.none",
        "The device sent neither a token nor a client certificate.",
        "Send the token in `Authorization`, or give the TLS client its certificate and key. A client whose key type the TLS session does not offer sends no certificate without saying so.",
    ),
    check(
        "device_id",
        "The registration id, which serves as device id, is none that a hub takes.",
        "Give the enrollment a device id of its own.",
    ),
    check(
        "tpm.not_served",
        "The enrollment asks for a TPM, or the device sends TPM keys.",
        "Enroll the device with a key or a certificate: TPM attestation is not there yet.",
    ),
    // The enrollment.
    check(
        "enrollment.none",
        "There is neither an individual enrollment of that id nor a group with symmetric keys.",
        "`landfall enrollment create --enrollment-id ID`; or compare id and service.",
    ),
    check(
        "enrollment.mechanism",
        "The individual enrollment asks for another mechanism than the device uses.",
        "An individual enrollment alone decides for its id: change its attestation, or delete it if the device should come in through a group.",
    ),
    check(
        "enrollment.other_group",
        "The id is assigned through another group than the one that the credential belongs to.",
        "If the device really moved, delete its record first: `landfall registration delete ID`.",
    ),
    check(
        "enrollment.other",
        "Only in `landfall cert inspect --group`: another enrollment than the group named decides, and lets the device in.",
        "Change or delete what comes first, if the device shall come through this group.",
    ),
    check(
        "enrollment.gone",
        "The group was deleted while the device registered.",
        "Create the group again, or register with another credential.",
    ),
    check(
        "enrollment.disabled",
        "The enrollment is disabled; the device proved itself and reads status `disabled`.",
        "`--provisioning-status enabled`, if the device shall come in.",
    ),
    // Tokens.
    check(
        "sas.form",
        "The token is not of the form `SharedAccessSignature sr=…&sig=…&se=…`.",
        "Compare it with what `landfall sas` prints.",
    ),
    check(
        "sas.resource",
        "The token's `sr` is not `{id scope}/registrations/{registration id}`.",
        "Sign for exactly this scope and id: mostly a token of another device, or of a hub.",
    ),
    check(
        "sas.key_name",
        "The token's `skn` names an access policy.",
        "`skn=registration`, empty, or left out.",
    ),
    check(
        "sas.expired",
        "The token's `se` lies more than five minutes back.",
        "If the device made it just now, its clock is behind: set it, or take the time from the server's `Date` header. Else make a new token.",
    ),
    check(
        "sas.signature",
        "No key of the enrollment, and no key derived from a group, made the signature, and none of the usual mistakes explains it.",
        "Compare the device's key with `landfall enrollment show ID --keys` or, for a group, with `landfall key derive`.",
    ),
    check(
        "sas.group_key_itself",
        "The token is signed with the group's key, which no device should hold.",
        "Derive the device's key: `landfall key derive --key @FILE --registration-id ID`.",
    ),
    check(
        "sas.key_not_decoded",
        "The HMAC was made under the base64 text of the key.",
        "Base64-decode the key and use the bytes.",
    ),
    check(
        "sas.derived_key_in_hex",
        "The derived key was written in hex and then used as if it were base64.",
        "Write the HMAC's bytes in base64.",
    ),
    check(
        "sas.derived_for_other_case",
        "The key was derived for the id in other letters, upper for lower.",
        "Derive it from the spelling that the device registers with.",
    ),
    check(
        "sas.derived_with_newline",
        "The key was derived for the id with a line feed behind it.",
        "`printf %s` or `echo -n`, where a shell pipes the id into the HMAC.",
    ),
    check(
        "sas.signed_text",
        "The right key signed another text than the one that was sent.",
        "Percent-encode first, then sign that form with a line feed and `se`, then send that form.",
    ),
    // Certificates: the device's own.
    check(
        "x509.no_certificate",
        "The enrollment asks for a certificate, and the TLS session has none.",
        "Give the client its certificate and key. Some clients silently send none when the key type does not fit (RSA needs 2048 bits).",
    ),
    check(
        "x509.unreadable",
        "A certificate of the chain is malformed.",
        "Make it anew; `openssl x509 -in FILE -noout -text` must read it.",
    ),
    check(
        "x509.form",
        "The individual enrollment holds signing certificates.",
        "Put client certificates or CA references there; signing certificates belong to groups.",
    ),
    check(
        "x509.common_name",
        "The leaf's subject has no single CN that equals the registration id (case aside).",
        "Register under the certificate's CN, or issue a certificate whose CN is the registration id.",
    ),
    check(
        "x509.thumbprint",
        "The device shows another certificate than the enrolled ones.",
        "Enroll the certificate that the device has, as primary or secondary.",
    ),
    check(
        "x509.enrolled_certificate_is_a_ca",
        "The individual enrollment holds the certificate of the CA that issued the device's.",
        "Enroll the device's own certificate, or make an enrollment group for the CA.",
    ),
    check(
        "x509.validity",
        "The leaf is not valid yet, or no longer.",
        "Renew it; if it looks valid to you, compare the server's clock.",
    ),
    check(
        "x509.key",
        "Only in `landfall cert inspect`: TLS does not take the leaf's key, so the device would not get as far as an answer.",
        "Give the device a key of RSA 2048 or more, P-256, P-384, P-521 or Ed25519, and a certificate for it.",
    ),
    check(
        "x509.leaf_is_a_ca",
        "The leaf is itself a CA, and a CA may not act as a device of a group.",
        "Issue it with `CA:FALSE`; a self-signed one belongs into an individual enrollment.",
    ),
    check(
        "x509.key_usage",
        "The leaf's key usage leaves out digitalSignature.",
        "Issue it with `keyUsage = digitalSignature`, or without that extension.",
    ),
    check(
        "x509.extended_key_usage",
        "The leaf's extended key usages leave out clientAuth.",
        "Issue it with `extendedKeyUsage = clientAuth`, or without that extension.",
    ),
    check(
        "x509.version",
        "The leaf is X.509 version 2.",
        "Issue it as version 3.",
    ),
    check(
        "x509.critical_extension",
        "The leaf has a critical extension that is not understood here.",
        "Issue it with that extension not critical, or enroll the device individually.",
    ),
    check(
        "x509.repeated_extension",
        "A certificate of the chain has an extension twice.",
        "Issue it with each extension once.",
    ),
    // Certificates: the way to a trusted one.
    check(
        "x509.chain",
        "The chain stops before it reaches a certificate that an enrollment group or a verified CA answers for.",
        "Let the device send its full chain, its own certificate first; or put the missing issuer into a group.",
    ),
    check(
        "x509.chain_too_long",
        "The walk from leaf to CA used up its bounds.",
        "Send only the certificates between the device's own and the CA.",
    ),
    check(
        "x509.ca_not_verified",
        "The chain leads to a CA certificate that is uploaded and not verified.",
        "Prove its possession: `landfall ca generate-verification-code`, then `landfall ca verify`.",
    ),
    check(
        "x509.chain_not_verified",
        "The service asks for a verified CA above every group's certificate, and there is none.",
        "Upload and verify the CA above, or change that setting of the service.",
    ),
    check(
        "x509.signature_algorithm",
        "A signature of the chain is by an algorithm that does not count: SHA-1, MD5, a short RSA key.",
        "Issue the certificate again with RSA of 2048 bits or more, P-256, P-384, P-521 or Ed25519, and SHA-2.",
    ),
    check(
        "x509.issuer_signature",
        "The known certificate of the issuer's name has another key.",
        "Upload the CA certificate that really signed: two CAs with the same name are two CAs.",
    ),
    check(
        "x509.issuer_version",
        "An issuer is not X.509 version 3, so it cannot say that it is a CA.",
        "Issue the CA certificate as version 3 with `basicConstraints = CA:TRUE`.",
    ),
    check(
        "x509.issuer_is_no_ca",
        "An issuer's basic constraints do not say CA:TRUE.",
        "Sign device certificates with a CA certificate only.",
    ),
    check(
        "x509.issuer_key_usage",
        "An issuer's key usage leaves out keyCertSign.",
        "Issue the CA certificate with `keyUsage = keyCertSign`.",
    ),
    check(
        "x509.path_length",
        "There are more intermediates below a CA than its pathlen allows.",
        "Issue the upper CA certificate with a larger pathlen, or the devices' from a CA nearer to it.",
    ),
    check(
        "x509.issuer_validity",
        "A CA certificate of the chain is not valid yet, or no longer.",
        "Renew it and put the new one beside the old, then move the devices.",
    ),
    check(
        "x509.issuer_extended_key_usage",
        "An intermediate's extended key usages leave out clientAuth.",
        "Issue it without extendedKeyUsage, or with clientAuth in it.",
    ),
    check(
        "x509.issuer_critical_extension",
        "A CA certificate has a critical extension that is not understood here.",
        "Issue it with that extension not critical.",
    ),
    check(
        "x509.name_constraints",
        "A CA's name constraints do not allow the names below it, or cannot be judged.",
        "Issue the device's certificate with a subject inside them, or from another CA.",
    ),
    // The hub, and the record.
    check(
        "hub.unknown",
        "The hub that was chosen is linked, and this server has none of that name.",
        "Link a hub that exists, or make one with `landfall service create`.",
    ),
    check(
        "hub.refused",
        "The hub does not accept the device: mostly its initial twin or device id.",
        "Correct on the enrollment what the trace shows.",
    ),
    check(
        "record.contended",
        "Enrollment or registration changed again and again while the device registered.",
        "Look for several devices that register under one id.",
    ),
    check(
        "registration.none",
        "The device asks for its state and never registered.",
        "Register first.",
    ),
    check(
        "operation.unknown",
        "The device polls an operation that is not its own, or that ended too long ago.",
        "Register again: it gets a new operation id and keeps its hub.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_told_once() {
        let mut names: Vec<_> = CHECKS.iter().map(|check| check.name).collect();
        names.sort_unstable();
        let told = names.len();
        names.dedup();
        assert_eq!(names.len(), told);
    }
}
