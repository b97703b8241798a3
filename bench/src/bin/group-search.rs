//! `group-search`: what it costs to find a device's enrollment group by its token, in processor time of
//! one thread, by number of groups. Nothing listens and nothing is stored; the figures of
//! docs/operating/group-searches.md come from here.

use std::hint::black_box;
use std::time::Duration;

use anyhow::{Context as _, Result};
use landfall_core::attestation::{AttestationMechanism, Evidence};
use landfall_core::authentication::{Claim, Trust, by_group, by_own_group, read};
use landfall_core::clock::Timestamp;
use landfall_core::enrollment::{
    DeviceCapabilities, EnrollmentGroup, EnrollmentTerms, ProvisioningStatus,
};
use landfall_core::id::{EnrollmentGroupId, Etag, IdScope, RegistrationId};
use landfall_core::sas::{SasToken, sign};
use landfall_core::secret::{KeyPair, SymmetricKey};
use landfall_server::time::{SystemEntropy, thread_cpu};

const SCOPE: &str = "0ne00000001";
const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ROUNDS: usize = 7;

fn main() -> Result<()> {
    println!("µs of processor time an attempt, median of {ROUNDS} rounds");
    println!("groups  making ready  first group  last group  no group  no group, id with capitals");
    for count in [1, 64, 1_500, 10_000] {
        row(count)?;
    }
    Ok(())
}

fn row(count: usize) -> Result<()> {
    let groups = (0..count).map(group).collect::<Result<Vec<_>>>()?;
    let keys: Vec<_> = groups.iter().map(keys_of).collect();
    let stranger = SymmetricKey::draw(&SystemEntropy, 64);
    let (first, last) = (&keys[0].secondary, &keys[count - 1].secondary);
    let ready = median(|| {
        let trust = Trust::new(groups.clone(), Vec::new());
        cost(1, || attempt(&trust, "dev-000123456", first))
    })?;
    let trust = Trust::new(groups.clone(), Vec::new());
    let times = (20_000 / count).max(3);
    let of = |id: &str, key: &SymmetricKey| median(|| cost(times, || attempt(&trust, id, key)));
    println!(
        "{count:6}  {ready:12.1}  {:11.1}  {:10.1}  {:8.1}  {:.1}",
        of("dev-000123456", first)?,
        of("dev-000123456", last)?,
        of("dev-000123456", &stranger)?,
        of("Dev-000123456", &stranger)?,
    );
    Ok(())
}

/// One attempt of a device whose key comes from `group`, as the driver makes it.
fn attempt(trust: &Trust, id: &str, group: &SymmetricKey) -> Result<bool> {
    let scope = IdScope::parse(SCOPE)?;
    let id = RegistrationId::parse(id)?;
    let resource = format!("{scope}/registrations/{id}");
    let until = NOW.plus(Duration::from_secs(600));
    let token = sign(&resource, &group.derive(id.as_str()), None, until);
    let evidence = Evidence {
        token: Some(SasToken::parse(&token)),
        ..Evidence::default()
    };
    let claim = Claim {
        scope: &scope,
        registration_id: &id,
        now: NOW,
    };
    let proof = read(claim, &evidence).ok().context("a readable token")?;
    if by_own_group(claim, &proof, trust, None).is_some() {
        return Ok(true);
    }
    Ok(by_group(claim, &proof, trust, None, false).is_ok())
}

fn group(number: usize) -> Result<EnrollmentGroup> {
    Ok(EnrollmentGroup {
        id: EnrollmentGroupId::parse(&format!("group-{number:06}"))?,
        attestation: AttestationMechanism::SymmetricKey(KeyPair::draw(&SystemEntropy, 64)),
        terms: EnrollmentTerms {
            status: ProvisioningStatus::Enabled,
            reprovision: None,
            allocation: None,
            hubs: Vec::new(),
            legacy_hub: None,
            custom_allocation: None,
            capabilities: DeviceCapabilities::default(),
            initial_twin: None,
            extra: Vec::new(),
            etag: Etag::draw(&SystemEntropy),
            created: NOW,
            updated: NOW,
        },
    })
}

fn keys_of(group: &EnrollmentGroup) -> KeyPair {
    match &group.attestation {
        AttestationMechanism::SymmetricKey(keys) => keys.clone(),
        _ => KeyPair::hidden(),
    }
}

/// Microseconds of one of `times` attempts.
fn cost(times: usize, mut work: impl FnMut() -> Result<bool>) -> Result<f64> {
    let before = thread_cpu();
    for _ in 0..times {
        black_box(work()?);
    }
    let spent = thread_cpu().saturating_sub(before);
    Ok(spent.as_secs_f64() * 1e6 / times as f64)
}

fn median(mut round: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut costs = (0..ROUNDS).map(|_| round()).collect::<Result<Vec<_>>>()?;
    costs.sort_by(f64::total_cmp);
    Ok(costs[ROUNDS / 2])
}
