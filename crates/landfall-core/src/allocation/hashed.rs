//! The `hashed` policy: weighted rendezvous hashing of the registration id over the candidates.
//! Stable, in proportion to weight, and moving as few devices as can be when hubs or weights change.

use aws_lc_rs::digest::{SHA256, digest};

use crate::id::RegistrationId;
use crate::linked_hub::LinkedHub;

/// Picks one of `candidates`; `None` when there is none.
pub fn pick<'a>(
    candidates: &[&'a LinkedHub],
    registration_id: &RegistrationId,
) -> Option<&'a LinkedHub> {
    candidates.iter().copied().max_by(|a, b| {
        score(a, registration_id)
            .total_cmp(&score(b, registration_id))
            .then_with(|| b.host_name.cmp(&a.host_name))
    })
}

/// The hub's score for this id: an exponential draw whose rate is the hub's weight, from a hash of
/// both names. The highest score wins with a chance in proportion to the weight.
fn score(hub: &LinkedHub, registration_id: &RegistrationId) -> f64 {
    let text = format!("{}\n{}", hub.host_name.key(), registration_id.key());
    let hash = digest(&SHA256, text.as_bytes());
    let first: u64 = hash
        .as_ref()
        .iter()
        .take(8)
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    // 53 bits, shifted off zero and one: the logarithm is finite and below zero.
    let uniform = ((first >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    f64::from(hub.allocation_weight.max(1)) / -uniform.ln()
}
