//! Operators: each cares for some devices, calls methods on them, leaves them messages and tells them what to
//! become. Nobody else does that to these, so that each knows in which order it happened.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use landfall_crash::access::{Access, body, told_by};
use landfall_crash::chance::Chance;
use landfall_server::client::{Client, ClientError};
use landfall_server::time::sleep;
use landfall_wire::client::{Authorization, hub};
use landfall_wire::message::{Reply, Request};
use serde_json::{Value as Json, json};

use crate::ledger::{Counted, Ledger};
use crate::phase::{Clock, Phase};

/// The pause between two calls of one operator.
const PAUSE: Duration = Duration::from_millis(100);
/// How long a device may take for a method, in seconds.
const PATIENCE_SECONDS: u64 = 10;

/// One operator.
pub struct Operator {
    devices: Vec<String>,
    /// Each hub, with a connection to it.
    hubs: Vec<(String, Client, Authorization)>,
    ledger: Arc<Ledger>,
    clock: Arc<Clock>,
    chance: Chance,
    last: u64,
}

impl Operator {
    /// An operator of these devices.
    pub fn new(
        devices: Vec<String>,
        hubs: &[&str],
        access: &Access,
        (ledger, clock): (Arc<Ledger>, Arc<Clock>),
        chance: Chance,
    ) -> Self {
        let hub = |host: &&str| {
            let (client, operator) = (access.client(host), access.operator_of(host));
            ((*host).to_owned(), client, operator)
        };
        Operator {
            devices,
            hubs: hubs.iter().map(hub).collect(),
            ledger,
            clock,
            chance,
            last: 0,
        }
    }

    /// Calls until it is quiet.
    pub async fn work(mut self) {
        while self.clock.phase() == Phase::Load {
            sleep(PAUSE).await;
            let chosen = self.chance.below(self.devices.len() as u64);
            let chosen = usize::try_from(chosen).unwrap_or_default();
            let Some(id) = self.devices.get(chosen).cloned() else {
                return;
            };
            let host = self.ledger.of(&id).and_then(|record| record.hub.clone());
            // Nobody calls what is not provisioned yet.
            let Some(host) = host else { continue };
            self.last += 1;
            let number = self.last;
            match self.chance.below(3) {
                0 => self.invoke(&id, &host, number).await,
                1 => self.send(&id, &host, number).await,
                _ => self.change(&id, &host, number).await,
            }
        }
    }

    /// Calls, and gives the reply; `None` when there is none, or the server says that it cannot now.
    async fn call(
        &mut self,
        host: &str,
        make: impl FnOnce(&Authorization) -> Request,
    ) -> Option<Reply> {
        let mut hubs = self.hubs.iter_mut();
        let (_, client, operator) = hubs.find(|(name, _, _)| name == host)?;
        let reply: Result<Reply, ClientError> = client.call(make(operator)).await;
        match reply {
            Ok(reply) if reply.status != StatusCode::SERVICE_UNAVAILABLE => Some(reply),
            _ => {
                self.ledger.count(Counted::Unreached);
                None
            }
        }
    }

    async fn invoke(&mut self, id: &str, host: &str, number: u64) {
        let call = json!({
            "methodName": "echo",
            "payload": {"n": number},
            "responseTimeoutInSeconds": PATIENCE_SECONDS,
        });
        let reply = self
            .call(host, |operator| {
                hub::invoke_method(operator, id, None, &call)
            })
            .await;
        let Some(reply) = reply else { return };
        let echoed = body(&reply);
        match reply.status.as_u16() {
            200 if echoed == json!({"status": 200, "payload": {"n": number}}) => {
                self.ledger.count(Counted::Methods);
            }
            404 => self.ledger.count(Counted::Away),
            504 => self.ledger.count(Counted::Unanswered),
            _ => self.fault(id, "a method", &reply),
        }
    }

    async fn send(&mut self, id: &str, host: &str, number: u64) {
        let message = json!({"body": {"n": number}});
        let reply = self
            .call(host, |operator| hub::send_message(operator, id, &message))
            .await;
        match reply {
            Some(reply) if reply.status.is_success() => self.ledger.note(id, |record| {
                record.commands.accepted(number);
                Ok(())
            }),
            Some(reply) => self.fault(id, "a message", &reply),
            None => {}
        }
    }

    async fn change(&mut self, id: &str, host: &str, number: u64) {
        self.ledger.note(id, |record| {
            record.desired.asked();
            Ok(())
        });
        let change = json!({"properties": {"desired": {"n": number}}});
        let reply = self
            .call(host, |operator| hub::change_twin(operator, id, &change))
            .await;
        let Some(reply) = reply else { return };
        let twin = body(&reply);
        let version = twin.pointer("/properties/desired/$version");
        match version.and_then(Json::as_i64) {
            Some(version) if reply.status == StatusCode::OK => {
                self.ledger
                    .note(id, |record| record.desired.answered(version));
            }
            _ => self.fault(id, "a change of the twin", &reply),
        }
    }

    fn fault(&self, id: &str, what: &str, reply: &Reply) {
        self.ledger
            .fault(&format!("{id}: {what}: {}", told_by(reply)));
    }
}
