//! Devices that are connected to another server of the same database: methods are handed there and their answers
//! come back; what others hand to this server is taken and carried out here.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use landfall_core::clock::Timestamp;
use landfall_core::document::Document;
use landfall_core::id::{HubHostName, TrackingId};
use landfall_core::store::{Change, CommitError};
use landfall_hub::endpoint::Endpoint;
use landfall_hub::error::HubError;
use landfall_hub::relay::{Notice, Relay as _, Relayed, RelayedAnswer, RelayedCall};
use landfall_hub::store::{HubAnswer, HubStore, HubWrite};
use landfall_wire::hub::MethodCall;
use tokio::sync::{Semaphore, oneshot};

use super::Relay;
use crate::backend::Backend;
use crate::stop::Stop;
use crate::time::{self, Stopwatch};

/// How often a server looks that nobody woke: a wake-up may get lost.
const LOOK: Duration = Duration::from_secs(1);
/// What is taken at once.
const AT_ONCE: usize = 100;
/// Most methods of other servers that are carried out at the same time.
const MOST_CALLS: usize = 1024;
/// How long it takes between two looks for somebody who is to connect.
const LOOK_FOR_WHO_CONNECTS: Duration = Duration::from_millis(250);
/// What an answer may take on its way back.
const WAY_BACK: Duration = Duration::from_secs(1);
/// How far the clocks of two servers may lie apart.
const APART: Duration = Duration::from_secs(30);

/// A call whose answer comes from another server; nobody waits for it any more when this is dropped.
struct Awaited<'a> {
    relay: &'a Relay,
    call: String,
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let awaited = self.relay.awaited.lock();
        awaited
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.call);
    }
}

impl Relay {
    /// Lets a method be carried out wherever the device or module is connected, and gives its status and payload.
    ///
    /// # Errors
    /// `NotOnline` when nobody is there that takes methods, also after waiting for it as long as the call
    /// says; `NoAnswer` when none comes in time; `Unavailable` when the database cannot hand the call on.
    pub async fn reach<S: HubStore>(
        &self,
        backend: &Backend<S>,
        hub: &HubHostName,
        endpoint: &Endpoint,
        call: MethodCall,
    ) -> Result<(i64, Bytes), HubError> {
        if backend.store.node().is_empty() {
            return self.call(hub, endpoint, call).await;
        }
        let watch = Stopwatch::start();
        let mut connect_within = Duration::ZERO;
        loop {
            let here = MethodCall {
                connect_within,
                ..call.clone()
            };
            match self.call(hub, endpoint, here).await {
                Err(HubError::NotOnline(_)) => {}
                answered => return answered,
            }
            let there = self.reach_elsewhere(backend, hub, endpoint, &call);
            if let Some(answer) = there.await? {
                return Ok(answer);
            }
            let left = call.connect_within.saturating_sub(watch.elapsed());
            if left.is_zero() {
                return Err(HubError::NotOnline(endpoint.clone()));
            }
            connect_within = left.min(LOOK_FOR_WHO_CONNECTS);
        }
    }

    /// Hands a method to the server that has the session; nothing when none has, or nobody takes methods there.
    async fn reach_elsewhere<S: HubStore>(
        &self,
        backend: &Backend<S>,
        hub: &HubHostName,
        endpoint: &Endpoint,
        call: &MethodCall,
    ) -> Result<Option<(i64, Bytes)>, HubError> {
        let now = backend.clock.now();
        let name = TrackingId::draw(now, &*backend.entropy).as_str().to_owned();
        let (sender, answered) = oneshot::channel();
        self.awaited
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(name.clone(), sender);
        let awaited = Awaited {
            relay: self,
            call: name,
        };
        let relayed = RelayedCall {
            asker: backend.store.node(),
            call: awaited.call.clone(),
            name: call.name.clone(),
            payload: call.payload.as_str().to_owned(),
            within: call.response_within,
        };
        let until = now.plus(call.response_within + APART);
        let write = HubWrite::Call(hub.clone(), endpoint.clone(), relayed, until);
        let handed = backend.store.carry_out(Change::of_hub(vec![write])).await;
        match handed.as_deref() {
            Ok([HubAnswer::Called(true)]) => {}
            Ok(_) => return Ok(None),
            Err(CommitError::Unavailable(cause)) => {
                return Err(HubError::Unavailable(cause.clone()));
            }
            Err(error) => return Err(HubError::Internal(error.to_string())),
        }
        match time::timeout(call.response_within + WAY_BACK, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(HubError::NoAnswer(endpoint.clone())),
        }
    }

    /// Gives an answer to who waits for it.
    fn answered(&self, answer: RelayedAnswer) {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waits) = awaited.remove(&answer.call) {
            let outcome = answer.outcome;
            // Who asked may have gone.
            let _ = waits.send(outcome.map(|(status, payload)| (status, Bytes::from(payload))));
        }
    }
}

/// Carries out what other servers hand to this one, until `stop` says true. Where there is only one server it ends
/// at once.
pub async fn serve<S: HubStore>(backend: Backend<S>, relay: Arc<Relay>, mut stop: Stop) {
    if backend.store.node().is_empty() {
        return;
    }
    let calls = Arc::new(Semaphore::new(MOST_CALLS));
    loop {
        tokio::select! {
            () = backend.store.woken() => {}
            () = time::sleep(LOOK) => {}
            () = stop.given() => return,
        }
        // Readiness tells of a database that is away; what was handed over waits for it.
        while let Ok(true) = backend.store.is_handed_something(backend.clock.now()).await {
            let now = backend.clock.now();
            let Ok(taken) = backend.store.take_relayed(now, AT_ONCE).await else {
                break;
            };
            for relayed in taken {
                carry_out(&backend, &relay, &calls, relayed);
            }
        }
    }
}

fn carry_out<S: HubStore>(
    backend: &Backend<S>,
    relay: &Arc<Relay>,
    calls: &Arc<Semaphore>,
    relayed: Relayed,
) {
    match relayed {
        Relayed::Notice(hub, endpoint, epoch, Notice::Ended) => {
            relay.dismiss_up_to(&hub, &endpoint, epoch);
        }
        Relayed::Notice(hub, endpoint, _, notice) => relay.tell(&hub, &endpoint, &notice),
        Relayed::Answer(answer) => relay.answered(answer),
        Relayed::Call(hub, endpoint, call) => {
            let (backend, relay) = (backend.clone(), Arc::clone(relay));
            let permit = Arc::clone(calls).try_acquire_owned();
            tokio::spawn(async move {
                let outcome = match permit {
                    Ok(_held) => called(&relay, &hub, &endpoint, &call).await,
                    Err(_) => Some(None),
                };
                let Some(outcome) = outcome else { return };
                reply(&backend, hub, call, outcome).await;
            });
        }
    }
}

/// Carries out a method of another server: status and payload, none when nobody takes methods here. A device that
/// gives no answer gives none: the asker's own patience ends.
async fn called(
    relay: &Relay,
    hub: &HubHostName,
    endpoint: &Endpoint,
    call: &RelayedCall,
) -> Option<Option<(i64, Vec<u8>)>> {
    let here = MethodCall {
        name: call.name.clone(),
        payload: Document::kept(&call.payload),
        response_within: call.within,
        connect_within: Duration::ZERO,
    };
    match relay.call(hub, endpoint, here).await {
        Ok((status, payload)) => Some(Some((status, payload.to_vec()))),
        Err(HubError::NotOnline(_)) => Some(None),
        Err(_) => None,
    }
}

async fn reply<S: HubStore>(
    backend: &Backend<S>,
    hub: HubHostName,
    call: RelayedCall,
    outcome: Option<(i64, Vec<u8>)>,
) {
    let until: Timestamp = backend.clock.now().plus(call.within + APART);
    let answer = RelayedAnswer {
        call: call.call,
        outcome,
    };
    let reply = HubWrite::Reply(hub, call.asker, answer, until);
    let replied = backend.store.carry_out(Change::of_hub(vec![reply])).await;
    if let Err(error) = replied {
        tracing::warn!(%error, "the answer to a method could not be handed back");
    }
}
