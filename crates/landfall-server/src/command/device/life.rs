//! The life of a simulated device on its hub: connects, and connects again when that ends, until its input has
//! ended and all of it is acknowledged. What was not acknowledged on one connection is sent again on the next,
//! in order. What a connection carries is judged in [`Talk`].

mod talk;

use std::collections::VecDeque;
use std::time::Duration;

use landfall_core::clock::Entropy as _;
use landfall_core::id::DeviceId;
use landfall_hub::endpoint::Endpoint;
use landfall_wire::client::registering::Assigned;
use landfall_wire::mqtt::client::Introduction;
use landfall_wire::mqtt::hub::device;
use landfall_wire::mqtt::session::Refused;
use serde_json::Value as Json;

use self::talk::{Lost, Talk};
use super::Device;
use super::input::{Input, Line};
use crate::client::ClientError;
use crate::client::mqtt::Connection;
use crate::command::outcome::{Exit, Failure};
use crate::command::print;
use crate::signals::Stop;
use crate::time::{self, SystemEntropy};

/// How long to wait before the first attempt to connect again; each further one waits twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// The longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// After how many seconds without a packet the hub hears of it.
const KEEP_ALIVE: u16 = 60;

/// How it behaves.
pub struct Behaviour {
    /// What it reports once it has connected.
    pub report: Option<Json>,
    /// Whether it reports desired properties back.
    pub echo_desired: bool,
    /// The status that it answers methods with.
    pub method_status: i64,
    /// What it answers methods with; else what they were called with.
    pub method_payload: Option<Json>,
    /// Whether it stays when its input has ended.
    pub stay: bool,
}

/// A device on its hub, or between two connections to it.
pub struct Life<'a> {
    device: &'a Device,
    behaviour: Behaviour,
    hub: String,
    endpoint: Endpoint,
    /// Lines that were read and not acknowledged yet, oldest first.
    unacknowledged: VecDeque<Line>,
    /// How many were.
    acknowledged: u64,
    /// The newest version of the desired properties that it was told of.
    desired: Option<i64>,
    /// Whether what it was to report is reported.
    has_reported: bool,
}

/// Why a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// There is nothing more to do.
    Done,
    /// It was told to.
    Stopped,
}

impl<'a> Life<'a> {
    /// A device that was assigned.
    ///
    /// # Errors
    /// [`Failure`] when its device id is none.
    pub fn new(
        device: &'a Device,
        behaviour: Behaviour,
        assigned: &Assigned,
    ) -> Result<Self, Failure> {
        Ok(Life {
            device,
            behaviour,
            hub: assigned.hub.clone(),
            endpoint: endpoint_of(assigned)?,
            unacknowledged: VecDeque::new(),
            acknowledged: 0,
            desired: None,
            has_reported: false,
        })
    }

    /// Lives.
    ///
    /// # Errors
    /// [`Failure`] when it is not let in, or its input is no message.
    pub async fn live(&mut self, stop: &mut Stop) -> Result<(), Failure> {
        let mut input = Input::read();
        let mut attempts = Attempts::default();
        loop {
            let lost = match self.connected(&mut input, &mut attempts, stop).await? {
                Ok(end) => return self.leave(end),
                Err(lost) => lost,
            };
            let Some(wait) = attempts.after(&lost) else {
                return Err(self.kept_out(lost));
            };
            self.device.told.away(&lost.to_string(), wait.as_secs_f32());
            tokio::select! {
                () = time::sleep(wait) => {}
                _ = stop.wait() => return self.leave(End::Stopped),
            }
            if matches!(lost, Lost::Refused(Refused::NotAuthorized)) {
                // It may have been moved, or have got another key: the service knows.
                let assigned = self.device.register().await?;
                self.hub.clone_from(&assigned.hub);
                self.endpoint = endpoint_of(&assigned)?;
            }
        }
    }

    /// One connection, from its beginning to its end.
    async fn connected(
        &mut self,
        input: &mut Input,
        attempts: &mut Attempts,
        stop: &mut Stop,
    ) -> Result<Result<End, Lost>, Failure> {
        let credential = &self.device.credential;
        let carrier = self.device.protocol.carrier();
        let identity = credential.certificate()?;
        let road = self.device.roads.to_hub(&self.hub, carrier, identity)?;
        let introduction = Introduction {
            client_id: self.endpoint.to_string(),
            user_name: device::user_name(&self.hub, &self.endpoint),
            password: credential.hub_token(&self.hub, &self.endpoint),
            clean_session: false,
            keep_alive: KEEP_ALIVE,
        };
        let beginning = async {
            let opened = Connection::open(&road.endpoint, &road.tls, carrier, introduction).await;
            let mut talk = Talk::new(self, opened.map_err(Lost::Unreached)?);
            talk.begin().await?;
            Ok(talk)
        };
        let begun = tokio::select! {
            begun = beginning => begun,
            _ = stop.wait() => return Ok(Ok(End::Stopped)),
        };
        let mut talk = match begun {
            Ok(talk) => talk,
            Err(lost) => return Ok(Err(lost)),
        };
        attempts.succeeded();
        let end = tokio::select! {
            end = talk.go_on(input) => end?,
            _ = stop.wait() => Ok(End::Stopped),
        };
        if end.is_ok() {
            talk.close().await;
        }
        Ok(end)
    }

    fn leave(&self, end: End) -> Result<(), Failure> {
        self.device.told.leaves(self.acknowledged);
        let left = self.unacknowledged.len() as u64;
        if end == End::Stopped && left > 0 {
            return Err(Failure::new(
                Exit::Refused,
                format!("{} not acknowledged", print::many(left, "message")),
                "send them again",
            ));
        }
        Ok(())
    }

    /// Why the hub is not gone on with, and what to do about it.
    fn kept_out(&self, lost: Lost) -> Failure {
        let what = format!("hub {}: {lost}", self.hub);
        match lost {
            Lost::Unreached(error) => error.into(),
            Lost::Refused(_) => Failure::new(
                Exit::NotAuthorized,
                what,
                format!(
                    "`landfall explain {}` tells which check failed, and what to do",
                    self.endpoint.device
                ),
            ),
            Lost::NotGranted | Lost::Ended(_) => {
                Failure::new(Exit::Refused, what, "see the server's log")
            }
        }
    }
}

fn endpoint_of(assigned: &Assigned) -> Result<Endpoint, Failure> {
    let device = DeviceId::parse(&assigned.device_id).map_err(|error| {
        Failure::new(
            Exit::Refused,
            format!("the service answered with a device id that is none: {error}"),
            "check that the host is a provisioning service",
        )
    })?;
    Ok(Endpoint::device(device))
}

/// When to connect again.
#[derive(Debug, Default)]
struct Attempts {
    /// Whether any was let in.
    any: bool,
    /// How many failed since.
    failed: u32,
    /// How many of those in a row were refused.
    refused: u32,
}

impl Attempts {
    fn succeeded(&mut self) {
        *self = Attempts {
            any: true,
            failed: 0,
            refused: 0,
        };
    }

    /// How long to wait after this; `None` when it is no use.
    fn after(&mut self, lost: &Lost) -> Option<Duration> {
        let is_refused = matches!(
            lost,
            Lost::Refused(Refused::NotAuthorized | Refused::BadUserName | Refused::ClientId)
        );
        self.refused = if is_refused { self.refused + 1 } else { 0 };
        let may_pass = match lost {
            Lost::Refused(Refused::Unavailable) | Lost::Ended(_) => true,
            // Once it was let in, it is worth registering again.
            Lost::Refused(_) => self.any && self.refused < 2,
            Lost::Unreached(error) => self.any && may_pass(error),
            Lost::NotGranted => false,
        };
        let wait = FIRST_WAIT.saturating_mul(2_u32.saturating_pow(self.failed));
        self.failed += 1;
        may_pass.then(|| scattered(wait.min(LONGEST_WAIT)))
    }
}

/// Whether a server that was reached before may be reached again.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::Connect { .. }
        | ClientError::Tls { .. }
        | ClientError::TimedOut { .. }
        | ClientError::Broken { .. }
        | ClientError::NoWebSocket { .. } => true,
        ClientError::Name(_)
        | ClientError::OtherName { .. }
        | ClientError::UnknownAuthority(_)
        | ClientError::OutOfTime(_) => false,
    }
}

/// From half a wait to all of it: devices that lost the same server shall not come back at the same time.
fn scattered(wait: Duration) -> Duration {
    let mut chance = [0];
    SystemEntropy.fill(&mut chance);
    wait.mul_f32(0.5 + f32::from(u8::from_be_bytes(chance)) / 510.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::mqtt::Ended;

    #[test]
    fn attempts_come_slower_and_slower_until_one_succeeds() {
        let mut attempts = Attempts::default();
        attempts.succeeded();
        let mut waits = [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000].map(|most| {
            let wait = attempts.after(&Lost::Ended(Ended::Gone)).expect("again");
            let most = Duration::from_millis(most);
            assert!(wait >= most / 2 && wait <= most, "{wait:?} of {most:?}");
            wait
        });
        waits.sort();
        attempts.succeeded();
        let again = attempts.after(&Lost::Ended(Ended::Gone)).expect("again");
        assert!(again <= FIRST_WAIT);
    }

    #[test]
    fn who_was_never_let_in_is_told_so_at_once() {
        let refused = || Lost::Refused(Refused::NotAuthorized);
        assert_eq!(Attempts::default().after(&refused()), None);
        let mut attempts = Attempts::default();
        attempts.succeeded();
        assert!(attempts.after(&refused()).is_some(), "it registers again");
        assert_eq!(attempts.after(&refused()), None);
        let busy = Lost::Refused(Refused::Unavailable);
        assert!(Attempts::default().after(&busy).is_some());
        let unknown = Lost::Unreached(ClientError::Name("x".to_owned()));
        attempts.succeeded();
        assert_eq!(attempts.after(&unknown), None);
    }
}
