//! What would be decided of a device that shows a chain, and what each certificate was worth. Called for
//! operators who ask before the device does; nothing is recorded.

use super::{Claim, Proof, Refusal, Trust, Verdict, by_group, by_individual};
use crate::attestation::x509::{self, Holder, Inspection};
use crate::attestation::{AttestationMechanism, X509Attestation};
use crate::certificate::Certificate;
use crate::enrollment::IndividualEnrollment;
use crate::registration::Registration;
use crate::trace::Finding;

/// The decision on a chain, and its reasons link by link.
#[derive(Debug)]
pub struct Judgement {
    /// What the device would get: the road's own decision.
    pub verdict: Result<Verdict, Refusal>,
    /// What each certificate was worth.
    pub inspection: Inspection,
}

impl Judgement {
    /// Why the device is kept out: by its key, which TLS asks for first, or by the refusal. Whether
    /// its enrollment is enabled is another question.
    pub fn finding(&self) -> Option<&Finding> {
        let refused = self.verdict.as_ref().err();
        let key = self.inspection.key_finding();
        key.or(refused.map(|refusal| &*refusal.finding))
    }
}

/// Judges a chain, leaf first, as if the device had shown it and proved the leaf's key.
pub fn judge_chain(
    claim: Claim<'_>,
    chain: &[Certificate],
    individual: Option<&IndividualEnrollment>,
    trust: &Trust,
    before: Option<&Registration>,
    require_verified_chain: bool,
) -> Judgement {
    let proof = Proof {
        token: None,
        chain: chain.to_vec(),
        tpm: false,
    };
    let verdict = match individual {
        Some(enrollment) => by_individual(claim, &proof, enrollment, trust),
        None => by_group(claim, &proof, trust, before, require_verified_chain),
    };
    let (id, now) = (claim.registration_id, claim.now);
    let mut inspection = match individual.map(|enrollment| &enrollment.attestation) {
        None => x509::inspect_group(
            chain,
            trust.anchors(),
            trust.verified(),
            id,
            now,
            require_verified_chain,
        ),
        Some(AttestationMechanism::X509(X509Attestation::Client(slots))) => {
            x509::inspect_individual(chain, slots, id, now)
        }
        Some(AttestationMechanism::X509(X509Attestation::CaReference(names))) => {
            let references = trust.references(names);
            x509::inspect_references(chain, &references, trust.verified(), id, now)
        }
        Some(_) => x509::inspect_unenrolled(chain, Some(id), now),
    };
    name_holders(&mut inspection, trust);
    inspection.hints.extend(shared_keys(&inspection, trust));
    Judgement {
        verdict,
        inspection,
    }
}

/// Says under which name a verified certificate is uploaded.
fn name_holders(inspection: &mut Inspection, trust: &Trust) {
    for link in &mut inspection.links {
        if link.holder == Some(Holder::Verified(None)) {
            let authority = trust
                .authorities()
                .find(|authority| authority.verified && authority.certificate == link.certificate);
            link.holder = Some(Holder::Verified(authority.map(|found| found.name.clone())));
        }
    }
}

/// Names CA certificates on the way whose key stands in another uploaded one too.
///
/// Source: docs/protocol/x509.md §5.
fn shared_keys(inspection: &Inspection, trust: &Trust) -> Vec<String> {
    let mut hints = Vec::new();
    for link in &inspection.links {
        let mut others: Vec<String> = trust
            .authorities()
            .filter(|authority| {
                authority.certificate != link.certificate
                    && authority.certificate.public_key() == link.certificate.public_key()
            })
            .map(|authority| format!("'{}'", authority.name))
            .collect();
        others.sort();
        if !others.is_empty() {
            hints.push(format!(
                "The key of '{}' stands in the uploaded CA certificate {} too: whoever holds it can \
                 issue for both.",
                link.certificate.subject_name(),
                others.join(" and ")
            ));
        }
    }
    hints
}
