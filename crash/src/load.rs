//! What is going on when the server is killed: devices register and poll, operators write enrollments and
//! twins. Each writer owns what it writes, and writes down what it was told before it goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use http::StatusCode;
use landfall_server::client::Client;
use landfall_server::time::sleep;
use landfall_wire::client::service;
use landfall_wire::message::{Reply, Request};
use landfall_wire::route::Collection;
use serde_json::json;

use crate::cluster::{Cluster, How};
use crate::ledger::{Count, Device, Placed, Progress, Written};
use landfall_crash::access::{Access, MOVES, body, told_by};
use landfall_crash::chance::Chance;
use landfall_crash::server::{SERVICE, Victim};

/// How long an operator leaves a hub to the devices that move.
const DIRECTED_FOR: Duration = Duration::from_millis(10);

/// What is to be killed.
#[derive(Clone)]
pub enum Target {
    /// Landfall.
    Server(Victim),
    /// The database server under it.
    Database(Arc<Cluster>, How),
}

impl Target {
    /// Kills it at once; whatever else runs on this thread goes on elsewhere meanwhile.
    pub fn kill(&self) {
        tokio::task::block_in_place(|| match self {
            Target::Server(victim) => victim.kill(),
            Target::Database(cluster, how) => cluster.kill(*how),
        });
    }
}

/// Counts answers, and kills where the chosen one was read.
pub struct Hit {
    target: Target,
    chosen: Option<u64>,
    answers: AtomicU64,
}

impl Hit {
    /// Kills at answer `chosen`, or never.
    pub fn new(target: Target, chosen: Option<u64>) -> Arc<Self> {
        Arc::new(Hit {
            target,
            chosen,
            answers: AtomicU64::new(0),
        })
    }

    fn answered(&self) {
        let number = self.answers.fetch_add(1, Ordering::SeqCst) + 1;
        if Some(number) == self.chosen {
            self.target.kill();
        }
    }
}

/// A writer: its clients' access, its chance, the moment it may have to see.
pub struct Writer {
    /// How it reaches the server.
    pub access: Access,
    /// What it does next.
    pub chance: Chance,
    /// What counts the answers.
    pub hit: Arc<Hit>,
    /// What it counted.
    pub count: Count,
}

impl Writer {
    /// Sends a request; nothing when no answer was read, or one that puts it off since the database is gone.
    /// Then it may have been done, or not.
    async fn answer(&self, client: &mut Client, request: Request) -> Option<Reply> {
        let reply = client.call(request).await.ok()?;
        let put_off = reply.status == StatusCode::SERVICE_UNAVAILABLE;
        let may_be = matches!(self.hit.target, Target::Database(..));
        (!(put_off && may_be)).then_some(reply)
    }

    /// Registers devices, new ones and some that return, until the server or its database is gone.
    ///
    /// # Errors
    /// When the server answers what it must not.
    pub async fn register(
        &mut self,
        devices: &mut Vec<Device>,
        prefix: &str,
    ) -> anyhow::Result<()> {
        let mut client = self.access.client(SERVICE);
        // Of those that may move most return, and are moved.
        let returning = if prefix.starts_with(MOVES) { 3 } else { 1 };
        loop {
            let known = devices.len() as u64;
            let at = match self.chance.below(4) {
                draw if draw < returning && known > 0 => usize::try_from(self.chance.below(known))?,
                _ => {
                    devices.push(Device {
                        id: format!("{prefix}-{known}"),
                        progress: Progress::Done,
                        placed: None,
                    });
                    devices.len() - 1
                }
            };
            let device = devices.get_mut(at).context("a device")?;
            device.progress = Progress::Asked;
            let request = self.access.register(&device.id)?;
            let Some(reply) = self.answer(&mut client, request).await else {
                self.count.cut_off += 1;
                return Ok(());
            };
            let operation = accepted(device, &reply)?;
            device.progress = Progress::Accepted(operation.clone());
            self.count.registrations += 1;
            self.hit.answered();
            if self.chance.below(2) == 0 {
                continue;
            }
            let request = self.access.poll(&device.id, &operation)?;
            let Some(reply) = self.answer(&mut client, request).await else {
                return Ok(());
            };
            if reply.status == StatusCode::OK {
                let before = device.placed.clone();
                place(device, &reply)?;
                self.count.moves += u64::from(before.is_some() && before != device.placed);
                self.hit.answered();
            } else if reply.status != StatusCode::ACCEPTED {
                bail!("{} polls: {}", device.id, told_by(&reply));
            }
        }
    }

    /// Makes, changes and removes enrollments until the server or its database is gone.
    ///
    /// # Errors
    /// When the server answers what it must not.
    pub async fn enroll(&mut self, all: &mut BTreeMap<String, Written>) -> anyhow::Result<()> {
        let mut client = self.access.client(SERVICE);
        let operator = self.access.operator();
        let kind = Collection::Individuals;
        let ids: Vec<String> = all.keys().cloned().collect();
        loop {
            let at = usize::try_from(self.chance.below(ids.len() as u64))?;
            let id = ids.get(at).context("an enrollment")?;
            let written = all.get_mut(id).context("an enrollment")?;
            let removes = written.acknowledged.is_some() && self.chance.below(4) == 0;
            let (request, value) = if removes {
                (service::delete_enrollment(&operator, kind, id, None), None)
            } else {
                let value = self.chance.below(1 << 40);
                let etag = written.acknowledged.map(|_| "*");
                let record = record(id, value);
                let request = service::put_enrollment(&operator, kind, id, &record, etag);
                (request, Some(value))
            };
            written.ask(value);
            let Some(reply) = self.answer(&mut client, request).await else {
                self.count.cut_off += 1;
                return Ok(());
            };
            if !reply.status.is_success() {
                bail!("enrollment {id}: {}", told_by(&reply));
            }
            written.settle();
            self.count.enrollments += 1;
            self.hit.answered();
        }
    }

    /// Sends the devices that move from one hub to the other and back until the server or its database is gone.
    ///
    /// # Errors
    /// When the server answers what it must not.
    pub async fn direct(&mut self, written: &mut Written) -> anyhow::Result<()> {
        let mut client = self.access.client(SERVICE);
        loop {
            let value = self.chance.below(1 << 40);
            written.ask(Some(value));
            let request = self.access.direct(value, Some("*"));
            let Some(reply) = self.answer(&mut client, request).await else {
                self.count.cut_off += 1;
                return Ok(());
            };
            if reply.status != StatusCode::OK {
                bail!("the group of those that move: {}", told_by(&reply));
            }
            written.settle();
            self.count.enrollments += 1;
            self.hit.answered();
            // Some devices are to be told of each.
            sleep(DIRECTED_FOR).await;
        }
    }

    /// Changes the twins of devices, each on its hub, until the server or its database is gone.
    ///
    /// # Errors
    /// When the server answers what it must not.
    pub async fn change(
        &mut self,
        twins: &mut BTreeMap<String, Written>,
        homes: &[Device],
    ) -> anyhow::Result<()> {
        let mut clients: BTreeMap<String, Client> = BTreeMap::new();
        loop {
            let at = usize::try_from(self.chance.below(homes.len() as u64))?;
            let home = homes.get(at).context("a device")?;
            let placed = home.placed.as_ref().context("a device without a hub")?;
            let client = clients
                .entry(placed.hub.clone())
                .or_insert_with(|| self.access.client(&placed.hub));
            let written = twins.get_mut(&home.id).context("a twin")?;
            let value = self.chance.below(1 << 40);
            let request = self
                .access
                .patch_twin(&placed.hub, &placed.device_id, value);
            written.ask(Some(value));
            let Some(reply) = self.answer(client, request).await else {
                self.count.cut_off += 1;
                return Ok(());
            };
            if reply.status != StatusCode::OK {
                bail!("twin of {}: {}", home.id, told_by(&reply));
            }
            written.settle();
            self.count.twins += 1;
            self.hit.answered();
        }
    }
}

fn record(id: &str, value: u64) -> serde_json::Value {
    json!({
        "registrationId": id,
        "attestation": {"type": "symmetricKey", "symmetricKey": {
            "primaryKey": "a2V5IG9mIGEgZGV2aWNlIHRoYXQgaXMgbm90IHRoZXJl",
            "secondaryKey": "YW5vdGhlciBrZXkgb2YgYSBkZXZpY2UgdGhhdCBpcyBu",
        }},
        "initialTwin": {"tags": {"n": value}, "properties": {"desired": {}}},
    })
}

/// The operation of an accepted registration.
///
/// # Errors
/// When it was not accepted.
pub fn accepted(device: &Device, reply: &Reply) -> anyhow::Result<String> {
    let body = body(reply);
    match (reply.status, body["operationId"].as_str()) {
        (StatusCode::ACCEPTED, Some(operation)) => Ok(operation.to_owned()),
        _ => bail!("{} registers: {}", device.id, told_by(reply)),
    }
}

/// Notes where a device was put.
///
/// # Errors
/// When it was not put anywhere, or somewhere else before.
pub fn place(device: &mut Device, reply: &Reply) -> anyhow::Result<()> {
    let body = body(reply);
    let state = &body["registrationState"];
    let text = |member: &str| state[member].as_str().map(str::to_owned);
    let (Some("assigned"), Some(hub), Some(device_id)) = (
        state["status"].as_str(),
        text("assignedHub"),
        text("deviceId"),
    ) else {
        bail!("{} is not assigned: {}", device.id, told_by(reply));
    };
    let placed = Placed { hub, device_id };
    match &device.placed {
        Some(before) if *before != placed && !device.id.starts_with(MOVES) => {
            bail!("{} was told {before:?} and now {placed:?}", device.id)
        }
        _ => device.placed = Some(placed),
    }
    Ok(())
}
