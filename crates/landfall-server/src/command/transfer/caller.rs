//! Calls that take patience: a service that asks to come back later is asked again, and so is one
//! whose connection broke.

use std::sync::Arc;
use std::time::Duration;

use landfall_core::clock::{Clock as _, Entropy as _};
use landfall_wire::client::connection_string::ConnectionString;
use landfall_wire::client::{Authorization, later, read};
use landfall_wire::message::{Reply, Request};
use rustls::ClientConfig;
use serde_json::Value as Json;

use crate::client::{Client, ClientError, Endpoint};
use crate::command::outcome::{Exit, Failure};
use crate::time::{Stopwatch, SystemClock, SystemEntropy, sleep};

/// How long a token is good for, and when a new one is signed.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
const TOKEN_USE: Duration = Duration::from_secs(1800);

/// How often one call is made before it is given up.
const MOST_TRIES: u32 = 10;

/// The first wait when the service does not say how long; it doubles from try to try.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The longest wait that a service may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(600);

/// A wait of this length or more is told.
const TOLD_FROM: Duration = Duration::from_secs(5);

/// One connection to a service, with the credential for it.
pub struct Caller {
    client: Client,
    tls: Arc<ClientConfig>,
    string: ConnectionString,
    authorization: Authorization,
    signed: Stopwatch,
    /// Whether the service ever answered: before that, an error is a mistake more likely than a mishap.
    reached: bool,
}

impl Caller {
    /// Makes a caller of the service that `string` names, reached by `endpoint`; nothing is sent yet.
    pub fn new(endpoint: Endpoint, string: ConnectionString, tls: Arc<ClientConfig>) -> Self {
        Caller {
            client: Client::new(endpoint, Arc::clone(&tls)),
            tls,
            authorization: string.authorization(SystemClock.now().plus(TOKEN_LIFE)),
            string,
            signed: Stopwatch::start(),
            reached: false,
        }
    }

    /// Another connection to the same service.
    pub fn another(&self) -> Self {
        let mut other = Caller::new(
            self.client.endpoint().clone(),
            self.string.clone(),
            Arc::clone(&self.tls),
        );
        other.reached = self.reached;
        other
    }

    /// Sends what `ask` makes until it is answered; gives its JSON.
    ///
    /// What is sent must do no harm when it is carried out twice: of a connection that broke nobody
    /// knows whether it was.
    ///
    /// # Errors
    /// [`Failure`] when the service refuses, or does not answer in `MOST_TRIES` tries.
    pub async fn call(&mut self, ask: impl Fn(&Authorization) -> Request) -> Result<Json, Failure> {
        Ok(read(&self.reply(ask).await?)?)
    }

    /// The same; gives `None` when what is named is not there.
    ///
    /// # Errors
    /// As of [`Caller::call`].
    pub async fn find(
        &mut self,
        ask: impl Fn(&Authorization) -> Request,
    ) -> Result<Option<Json>, Failure> {
        match self.call(ask).await {
            Ok(value) => Ok(Some(value)),
            Err(failure) if failure.exit == Exit::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Sends what `ask` makes until the reply is one that settles it.
    ///
    /// # Errors
    /// [`Failure`] when no such reply came in `MOST_TRIES` tries.
    pub async fn reply(
        &mut self,
        ask: impl Fn(&Authorization) -> Request,
    ) -> Result<Reply, Failure> {
        self.reply_that(ask, |_| None).await
    }

    /// The same, where a reply may say that it settles nothing yet: `unsettled` gives why. In the
    /// last try such a one is the answer.
    ///
    /// # Errors
    /// As of [`Caller::reply`].
    pub async fn reply_that(
        &mut self,
        ask: impl Fn(&Authorization) -> Request,
        unsettled: impl Fn(&Reply) -> Option<&'static str>,
    ) -> Result<Reply, Failure> {
        let mut tried = 0;
        loop {
            if self.signed.elapsed() > TOKEN_USE {
                self.authorization = self
                    .string
                    .authorization(SystemClock.now().plus(TOKEN_LIFE));
                self.signed = Stopwatch::start();
            }
            let answer = self.client.call(ask(&self.authorization)).await;
            tried += 1;
            let (why, asked) = match answer {
                Ok(reply) => {
                    self.reached = true;
                    match (later(&reply), unsettled(&reply)) {
                        (Some(asked), _) if tried < MOST_TRIES => {
                            (format!("asks to come back later ({})", reply.status), asked)
                        }
                        (None, Some(why)) if tried < MOST_TRIES => (why.to_owned(), None),
                        _ => return Ok(reply),
                    }
                }
                Err(error) if tried < MOST_TRIES && self.may_pass(&error) => {
                    (format!("cannot be reached now ({error})"), None)
                }
                Err(error) => return Err(error.into()),
            };
            let wait = wait(tried, asked, chance());
            if wait >= TOLD_FROM {
                eprintln!("{} {why}: waiting {} s", self.string.host(), wait.as_secs());
            }
            sleep(wait).await;
        }
    }

    fn may_pass(&self, error: &ClientError) -> bool {
        match error {
            ClientError::Broken { .. } | ClientError::TimedOut { .. } => true,
            ClientError::Connect { .. } | ClientError::Tls { .. } => self.reached,
            ClientError::Name(_)
            | ClientError::OtherName { .. }
            | ClientError::UnknownAuthority(_)
            | ClientError::NoWebSocket { .. }
            | ClientError::OutOfTime(_) => false,
        }
    }
}

/// A number from 0 to 1, so that many who wait do not come back together.
fn chance() -> f64 {
    let mut bytes = [0; 2];
    SystemEntropy.fill(&mut bytes);
    f64::from(u16::from_le_bytes(bytes)) / f64::from(u16::MAX)
}

/// How long to wait after the try numbered `tried`, from 1 on: what was asked for, or twice as long
/// as before; and up to a quarter more by chance.
fn wait(tried: u32, asked: Option<Duration>, chance: f64) -> Duration {
    let own = FIRST_WAIT
        .saturating_mul(2_u32.saturating_pow(tried.saturating_sub(1)))
        .min(LONGEST_WAIT);
    let wait = match asked {
        Some(asked) => asked.min(LONGEST_ASKED).max(FIRST_WAIT),
        None => own,
    };
    wait.mul_f64(1.0 + chance / 4.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_what_was_asked_is_honoured() {
        let ms = Duration::from_millis;
        assert_eq!(wait(1, None, 0.0), ms(500));
        assert_eq!(wait(2, None, 0.0), ms(1000));
        assert_eq!(wait(9, None, 0.0), LONGEST_WAIT);
        assert_eq!(wait(u32::MAX, None, 0.0), LONGEST_WAIT);
        assert_eq!(wait(1, None, 1.0), ms(625));
        assert_eq!(wait(9, Some(ms(7000)), 0.0), ms(7000));
        assert_eq!(
            wait(1, Some(Duration::from_secs(86_400)), 0.0),
            LONGEST_ASKED
        );
        assert!(wait(1, Some(Duration::ZERO), 0.0) > Duration::ZERO);
        assert!((0..100).all(|_| (0.0..=1.0).contains(&chance())));
    }
}
