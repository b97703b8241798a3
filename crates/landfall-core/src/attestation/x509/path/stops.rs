//! Why a walk ends without reaching a trusted certificate, in words for an operator.

use super::{DEEPEST, MOST_NAMESAKES, SIGNATURES};
use crate::attestation::x509::no_certificate;
use crate::certificate::{Certificate, SignatureFault};
use crate::id::CertificateName;
use crate::trace::Finding;

/// What is to be said when the way led over a CA certificate that is only uploaded.
pub(super) fn not_verified(name: &CertificateName, certificate: &Certificate) -> Finding {
    Finding::new(
        "x509.ca_not_verified",
        "a chain to a CA certificate whose possession is proved",
        format!(
            "the chain leads to the CA certificate '{name}' ('{}'), which is uploaded but not \
             verified",
            certificate.subject_name()
        ),
        format!(
            "prove possession of '{name}': generate its verification code, sign a certificate \
             with the code as CN, and verify with it"
        ),
    )
}

/// Says where the way ends and what is missing there.
pub(super) fn at(way: &[&Certificate], sent: usize) -> Finding {
    let (leaf, top) = match (way.first(), way.last()) {
        (Some(leaf), Some(top)) => (leaf.subject_name(), *top),
        _ => return no_certificate(),
    };
    let issuer = top.issuer_name();
    let stops = format!(
        "the device sent {sent} certificate{}; the chain stops at '{}', no verified CA",
        if sent == 1 { "" } else { "s" },
        top.subject_name(),
    );
    let expected = "a chain from the leaf to a verified CA certificate or to a group's signing \
                    certificate";
    if !top.is_self_issued() {
        return Finding::new(
            "x509.chain",
            expected,
            format!(
                "{stops}: the certificate of its issuer '{issuer}' was not sent and is not \
                 known here"
            ),
            format!(
                "let the device send its full chain: its own certificate first, then that of \
                 '{issuer}', up to a verified CA; or put the certificate of '{issuer}' into \
                 an enrollment group"
            ),
        );
    }
    let fix = if top.subject_name() == leaf {
        "put this self-signed certificate into an individual enrollment, or issue the device's \
         certificate from a CA"
            .to_owned()
    } else {
        format!(
            "upload '{}', prove its possession, and name it in an enrollment group: a root that \
             a device sends is worth nothing by itself",
            top.subject_name()
        )
    };
    Finding::new(
        "x509.chain",
        expected,
        format!("{stops}: it is self-signed and no enrollment group here names it"),
        fix,
    )
}

/// What is to be said of a signature that does not count, whoever made it.
pub(super) fn weak(current: &Certificate, issuer: &Certificate, fault: SignatureFault) -> Finding {
    Finding::new(
        "x509.signature_algorithm",
        "signatures by RSA of 2048 to 8192 bits, P-256, P-384, P-521 or Ed25519, with SHA-256, \
         SHA-384 or SHA-512",
        format!(
            "'{}', issued by '{}': {fault}",
            current.subject_name(),
            issuer.subject_name()
        ),
        "issue the certificate again with a stronger algorithm",
    )
}

/// What is to be said when certificates of the issuer's name are known, and none of them signed.
pub(super) fn forged(current: &Certificate, namesakes: usize) -> Finding {
    let mut seen = format!(
        "'{}' names '{}' as its issuer; the known certificate of that name has another key",
        current.subject_name(),
        current.issuer_name()
    );
    if namesakes > 1 {
        seen.push_str(&format!(
            " ({namesakes} certificates have that name; at most {MOST_NAMESAKES} are tried)"
        ));
    }
    Finding::new(
        "x509.issuer_signature",
        "each certificate is signed with the key of its issuer",
        seen,
        "upload the CA certificate that really signed this one: two CAs with the same name are two \
         CAs",
    )
}

/// What is to be said when the walk uses up its bounds.
pub(super) fn too_much(what: String) -> Finding {
    Finding::new(
        "x509.chain_too_long",
        format!("at most {DEEPEST} steps and {SIGNATURES} signature checks from leaf to CA"),
        what,
        "let the device send only the certificates between its own and the CA",
    )
}
