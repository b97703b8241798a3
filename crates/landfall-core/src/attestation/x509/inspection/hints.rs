//! Mistakes in a chain that the checks of single certificates do not name: what is missing, what stands
//! in the wrong place, what is let in and still surprises.

use crate::certificate::Certificate;
use crate::id::RegistrationId;

/// The mistakes of a chain, a sentence each.
pub(super) fn of(chain: &[Certificate], registration_id: Option<&RegistrationId>) -> Vec<String> {
    let Some((first, rest)) = chain.split_first() else {
        return Vec::new();
    };
    let mut hints = Vec::new();
    if first.is_ca() {
        hints.push(led_by_a_ca(first, rest));
    } else if !in_order(chain) {
        hints.push(
            "The certificates above the first are not in the order of the chain, or do not belong to \
             it. This server finds its way; others ask that each is followed by its issuer."
                .to_owned(),
        );
    }
    if let (Some(id), Ok(name)) = (registration_id, first.common_name())
        && name != id.as_str()
        && name.eq_ignore_ascii_case(id.as_str())
    {
        hints.push(format!(
            "The CN '{name}' and the registration id '{id}' differ in case. That is let in here; \
             spell them alike, since other parties may compare exactly."
        ));
    }
    if first.info().version == 1 {
        hints.push(
            "The first certificate is of version 1: it has no extensions and cannot say what it is \
             for. This server lets it in as a device's, never as a CA's. `landfall cert device` and \
             `openssl x509 -req` with -extfile make version 3."
                .to_owned(),
        );
    }
    hints
}

/// What to say of a chain that begins with a CA's certificate.
fn led_by_a_ca(first: &Certificate, rest: &[Certificate]) -> String {
    let name = first.subject_name();
    let device = rest
        .iter()
        .enumerate()
        .find(|(_, certificate)| !certificate.is_ca());
    match device {
        Some((place, device)) => format!(
            "The chain is in the wrong order: it begins with the CA '{name}', and the device's own \
             certificate '{}' is number {}. Put the device's own first, then its issuer, then the \
             issuer's.",
            device.subject_name(),
            place + 2
        ),
        None if rest.is_empty() => format!(
            "'{name}' is a CA's certificate. Put it into an enrollment group, or upload it with \
             `landfall ca create`; a device shows a certificate that this CA signed. (A device's own \
             self-signed certificate may say CA:TRUE too, in an individual enrollment.)"
        ),
        None => format!(
            "The device's own certificate is missing: all {} certificates are CAs'. A device sends \
             its own first.",
            rest.len() + 1
        ),
    }
}

/// Whether each certificate names the next as its issuer.
fn in_order(chain: &[Certificate]) -> bool {
    chain.windows(2).all(|pair| match pair {
        [lower, upper] => lower.issuer_dn_raw() == upper.subject_dn_raw(),
        _ => true,
    })
}
