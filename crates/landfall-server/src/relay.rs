//! How a call reaches a device or module that is connected: each has one seat here, and whoever connects
//! anew takes it from the one before.
//!
//! In process here; `elsewhere` reaches devices that are connected to other servers of the same database.

mod elsewhere;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use landfall_core::id::HubHostName;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::error::HubError;
use landfall_hub::relay::Notice;
use landfall_wire::hub::MethodCall;
use tokio::sync::{Notify, mpsc, oneshot};

use crate::time;

/// Most that waits for a session to send it. Past this its peer does not read, and the session ends.
const WAITING: usize = 64;

/// What a session is to send, or to do. It is small: each session has room for many.
#[derive(Debug)]
pub enum Push {
    /// Desired properties changed: their version, and the change as JSON.
    Desired(Box<(i64, String)>),
    /// A method is to be carried out.
    Method(Box<Called>),
    /// Messages from the cloud wait in its queue.
    Messages,
}

/// A method that was called.
#[derive(Debug)]
pub struct Called {
    /// Its name.
    pub name: String,
    /// What it is called with, as JSON.
    pub payload: String,
    /// Where its status and payload go.
    pub answer: oneshot::Sender<(i64, Bytes)>,
}

/// Why a seat was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dismissal {
    /// The same device or module connected anew.
    Displaced,
    /// It connected anew to another server, was changed or removed there, or was not heard of for too long.
    EndedElsewhere,
    /// An operator changed or removed it.
    Changed,
    /// It did not take what waited for it.
    Stuck,
}

impl Dismissal {
    /// The reason, as the log has it.
    pub fn words(self) -> &'static str {
        match self {
            Dismissal::Displaced => "it connected anew",
            Dismissal::EndedElsewhere => {
                "it connected anew to another server, or was changed or removed there"
            }
            Dismissal::Changed => "an operator changed or removed it",
            Dismissal::Stuck => "it does not take what waits for it",
        }
    }
}

/// Who waits for answers from other servers, by the name of the call.
type Awaited = HashMap<String, oneshot::Sender<Option<(i64, Bytes)>>>;

/// The seats of all that are connected.
#[derive(Debug, Default)]
pub struct Relay {
    seats: Mutex<Seats>,
    awaited: Mutex<Awaited>,
    /// Somebody came, or began to take methods.
    came: Notify,
}

#[derive(Debug, Default)]
struct Seats {
    taken: HashMap<Key, Seat>,
    last_epoch: u64,
}

type Key = (HubHostName, Endpoint);

#[derive(Debug)]
struct Seat {
    epoch: u64,
    inbox: mpsc::Sender<Push>,
    takes_methods: Arc<AtomicBool>,
    /// Which of the endpoint's sessions it is in the store; 0 until that is known.
    session: Arc<AtomicI64>,
    dismissal: Arc<OnceLock<Dismissal>>,
}

impl Seat {
    /// Says why the seat goes.
    fn goes(&self, why: Dismissal) {
        // The first reason stands.
        let _ = self.dismissal.set(why);
    }
}

/// A session's own seat; it is free again when this is dropped.
#[derive(Debug)]
pub struct Seated {
    relay: Arc<Relay>,
    key: Key,
    epoch: u64,
    /// What the session is to do. It ends with the seat: another took it, or the session was dismissed.
    pub inbox: mpsc::Receiver<Push>,
    takes_methods: Arc<AtomicBool>,
    session: Arc<AtomicI64>,
    dismissal: Arc<OnceLock<Dismissal>>,
}

impl Relay {
    /// Seats a device or module. Whoever sat there before is dismissed.
    pub fn seat(self: &Arc<Self>, hub: &HubHostName, endpoint: &Endpoint) -> Seated {
        let (sender, inbox) = mpsc::channel(WAITING);
        let takes_methods = Arc::new(AtomicBool::new(false));
        let (session, dismissal) = (Arc::<AtomicI64>::default(), Arc::<OnceLock<_>>::default());
        let key = (hub.clone(), endpoint.clone());
        let mut seats = self.lock();
        seats.last_epoch += 1;
        let epoch = seats.last_epoch;
        let seat = Seat {
            epoch,
            inbox: sender,
            takes_methods: Arc::clone(&takes_methods),
            session: Arc::clone(&session),
            dismissal: Arc::clone(&dismissal),
        };
        if let Some(before) = seats.taken.insert(key.clone(), seat) {
            before.goes(Dismissal::Displaced);
        }
        drop(seats);
        self.came.notify_waiters();
        Seated {
            relay: Arc::clone(self),
            key,
            epoch,
            inbox,
            takes_methods,
            session,
            dismissal,
        }
    }

    /// Hands something to a session. Nobody there needs nothing; one that does not take what waits for it
    /// is dismissed, and finds the state of things when it comes back.
    fn push(&self, hub: &HubHostName, endpoint: &Endpoint, push: Push) {
        let key = (hub.clone(), endpoint.clone());
        let mut seats = self.lock();
        let is_stuck = seats
            .taken
            .get(&key)
            .is_some_and(|seat| seat.inbox.try_send(push).is_err());
        if is_stuck && let Some(seat) = seats.taken.remove(&key) {
            seat.goes(Dismissal::Stuck);
        }
    }

    /// Ends the session of a device or module, and those of a device's modules.
    fn dismiss(&self, hub: &HubHostName, endpoint: &Endpoint) {
        self.lock().taken.retain(|(of, seated), seat| {
            let is_meant = seated == endpoint
                || (endpoint.module.is_none() && seated.device == endpoint.device);
            let stays = of != hub || !is_meant;
            if !stays {
                seat.goes(Dismissal::Changed);
            }
            stays
        });
    }

    /// Ends the session of a device or module that another server ended in the store: the one with this epoch, or one
    /// before it.
    fn dismiss_up_to(&self, hub: &HubHostName, endpoint: &Endpoint, epoch: i64) {
        let key = (hub.clone(), endpoint.clone());
        let mut seats = self.lock();
        let ended = seats.taken.get(&key).is_some_and(|seat| {
            // One that has yet to be opened in the store comes after it.
            (1..=epoch).contains(&seat.session.load(Ordering::Relaxed))
        });
        if ended && let Some(seat) = seats.taken.remove(&key) {
            seat.goes(Dismissal::EndedElsewhere);
        }
    }

    /// Lets a method be carried out, and gives its status and payload.
    ///
    /// # Errors
    /// `NotOnline` when nobody is there that takes methods, also after waiting for it as long as the call
    /// says; `NoAnswer` when none comes in time.
    pub async fn call(
        &self,
        hub: &HubHostName,
        endpoint: &Endpoint,
        call: MethodCall,
    ) -> Result<(i64, Bytes), HubError> {
        let key = (hub.clone(), endpoint.clone());
        let found = time::timeout(call.connect_within, self.ready(&key)).await;
        let inbox = match found {
            Ok(inbox) => Some(inbox),
            Err(_) => self.takes_methods(&key),
        };
        let not_online = || HubError::NotOnline(endpoint.clone());
        let inbox = inbox.ok_or_else(not_online)?;
        let (answer, answered) = oneshot::channel();
        let called = Called {
            name: call.name,
            payload: call.payload.as_str().to_owned(),
            answer,
        };
        inbox
            .try_send(Push::Method(Box::new(called)))
            .map_err(|_| not_online())?;
        match time::timeout(call.response_within, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(HubError::NoAnswer(endpoint.clone())),
        }
    }

    /// Waits for a session that takes methods.
    async fn ready(&self, key: &Key) -> mpsc::Sender<Push> {
        loop {
            let came = self.came.notified();
            let mut came = std::pin::pin!(came);
            // From here on no arrival is missed.
            came.as_mut().enable();
            if let Some(inbox) = self.takes_methods(key) {
                return inbox;
            }
            came.await;
        }
    }

    fn takes_methods(&self, key: &Key) -> Option<mpsc::Sender<Push>> {
        let seats = self.lock();
        let seat = seats.taken.get(key)?;
        seat.takes_methods
            .load(Ordering::Relaxed)
            .then(|| seat.inbox.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Seats> {
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl landfall_hub::relay::Relay for Relay {
    fn tell(&self, hub: &HubHostName, endpoint: &Endpoint, notice: &Notice) {
        match notice {
            Notice::Desired(version, change) => {
                self.push(
                    hub,
                    endpoint,
                    Push::Desired(Box::new((*version, change.clone()))),
                );
            }
            Notice::Messages => self.push(hub, endpoint, Push::Messages),
            Notice::Ended => self.dismiss(hub, endpoint),
        }
    }
}

impl Seated {
    /// Says which of the endpoint's sessions it is in the store.
    pub fn opened(&self, epoch: i64) {
        self.session.store(epoch, Ordering::Relaxed);
    }

    /// Why the inbox ended.
    pub fn dismissal(&self) -> Dismissal {
        let why = self.dismissal.get().copied();
        why.unwrap_or(Dismissal::EndedElsewhere)
    }

    /// Says whether the session takes methods now.
    pub fn takes_methods(&self, takes: bool) {
        self.takes_methods.store(takes, Ordering::Relaxed);
        if takes {
            self.relay.came.notify_waiters();
        }
    }

    /// Leaves the seat, unless another has it by now.
    pub fn leave(&self) {
        let mut seats = self.relay.lock();
        let seat = seats.taken.get(&self.key);
        if seat.is_some_and(|seat| seat.epoch == self.epoch) {
            seats.taken.remove(&self.key);
        }
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        self.leave();
    }
}

pub use self::elsewhere::serve;

#[cfg(test)]
mod tests;
