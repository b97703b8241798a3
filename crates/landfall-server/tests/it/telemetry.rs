//! Decision traces on their way to the store.

use std::sync::Arc;
use std::time::Duration;

use landfall_core::attestation::symmetric_key::{diagnosis::Suspect, wrong_signature};
use landfall_core::authentication::{Diagnosis, Refusal};
use landfall_core::clock::Clock as _;
use landfall_core::error::Error;
use landfall_core::id::{RegistrationId, TrackingId};
use landfall_core::sas::{SasToken, sign};
use landfall_core::secret::KeyPair;
use landfall_core::store::Store as _;
use landfall_core::trace::Stage;
use landfall_server::telemetry::{Attempt, TraceRetention, Traces};
use landfall_server::time::{SystemClock, SystemEntropy};

use crate::bench::Bench;

/// A refusal of a token that the group's own key signed: the worker must find that out.
fn group_key_used() -> Refusal {
    let keys = KeyPair::draw(&SystemEntropy, 64);
    let expiry = SystemClock.now().plus(Duration::from_secs(60));
    let token = sign("0ne1/registrations/dev-1", &keys.primary, None, expiry);
    Refusal {
        public: Error::Unauthorized,
        finding: Box::new(wrong_signature("the group's key")),
        diagnosis: Some(Box::new(Diagnosis {
            token: SasToken::parse(&token).expect("a token"),
            registration_id: RegistrationId::parse("dev-1").expect("an id"),
            suspects: vec![Suspect::Group("lamps".into(), keys)],
        })),
    }
}

fn refused() -> Attempt {
    let id = TrackingId::draw(&SystemEntropy);
    let mut attempt = Attempt::begin(id, "https", "127.0.0.1:1".into(), SystemClock.now());
    attempt.asked("register", "0ne1", "dev-1");
    attempt.refuse(Stage::Attestation, &mut group_key_used());
    attempt.end("401 Unauthorized");
    attempt
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_waits_for_the_queue_reads_what_the_worker_found() {
    let bench = Bench::new().await;
    let retention = TraceRetention {
        age: Duration::from_secs(3600),
        count: 1000,
    };
    let store = Arc::clone(&bench.backend.store);
    let (traces, writer) = Traces::start(Arc::clone(&store), Arc::new(SystemClock), retention);
    for _ in 0..20 {
        let attempt = refused();
        let id = attempt.tracking_id().clone();
        traces.keep(attempt);
        traces.flush().await;
        let trace = store.trace(&id).await.expect("reads").expect("is written");
        let found = trace.finding.expect("a finding");
        assert_eq!(found.check, "sas.group_key_itself");
    }
    drop(traces);
    writer.await.expect("the writer ends with its last queue");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_wrong_signatures_is_kept_with_the_plainer_finding() {
    let bench = Bench::new().await;
    let retention = TraceRetention {
        age: Duration::from_secs(3600),
        count: 1000,
    };
    let store = Arc::clone(&bench.backend.store);
    let (traces, _writer) = Traces::start(Arc::clone(&store), Arc::new(SystemClock), retention);
    let mut ids = Vec::new();
    for _ in 0..300 {
        let attempt = refused();
        ids.push(attempt.tracking_id().clone());
        traces.keep(attempt);
    }
    traces.flush().await;
    for id in ids {
        let trace = store.trace(&id).await.expect("reads").expect("is written");
        let check = trace.finding.expect("a finding").check;
        assert!(check.starts_with("sas."), "{check}");
    }
}
