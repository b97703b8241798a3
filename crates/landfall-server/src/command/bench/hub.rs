//! The load of devices that live on their hub: they connect and are held, or send messages as fast as they are
//! acknowledged. Knows the hub by its client half alone.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use landfall_core::id::DeviceId;
use landfall_hub::endpoint::Endpoint as HubEndpoint;
use landfall_wire::mqtt::client::{Event, Introduction};
use landfall_wire::mqtt::hub::{Subscription, device};
use landfall_wire::mqtt::session::Delivery;
use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::task::JoinSet;

use super::fleet::{Fleet, Proof};
use super::load::{Home, enough_files, kind, shown};
use super::process::Process;
use super::tally::{CONNECTIONS, Held, MESSAGES, Report, Tally};
use crate::client::Endpoint;
use crate::client::mqtt::{Carrier, Connection};
use crate::command::connect::Road;
use crate::command::outcome::Failure;
use crate::signals;
use crate::time::{Stopwatch, sleep, timeout};

/// How long a device waits to be let in, and for each acknowledgement.
const PATIENCE: Duration = Duration::from_secs(10);
/// Messages that one device sends before the first is acknowledged.
const AHEAD: usize = 4;
/// What a message says: as much as a small sensor does.
const READING: &[u8] = b"{\"temperature\":21.5,\"humidity\":48,\"count\":1234567}";
/// What a device listens to that is held.
const LISTENS: [Subscription; 4] = [
    Subscription::Commands,
    Subscription::TwinAnswers,
    Subscription::Desired,
    Subscription::Methods,
];
/// How long the server is left alone before its memory is read.
const REST: Duration = Duration::from_secs(1);

/// How the devices go about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// What carries MQTT.
    pub(super) carrier: Carrier,
    /// How many connect at once, or send.
    pub(super) in_flight: u16,
    /// No message is sent later than this.
    pub(super) within: Duration,
    /// How many messages are sent at most.
    pub(super) messages: u32,
    /// How long connections are held.
    pub(super) hold: Duration,
}

/// Devices that were put somewhere.
pub(super) struct Inhabitants<'a> {
    way: Way,
    fleet: &'a Fleet,
    homes: Vec<(usize, Home)>,
    road: Road,
    tls: ClientConfig,
}

/// What those who are busy at the same time share.
#[derive(Default)]
struct Shared {
    next: AtomicU32,
    over: AtomicBool,
    tally: Mutex<Tally>,
}

impl Shared {
    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, counted: super::tally::Counted, lasted: Duration, interrupted: bool) -> Report {
        let begun = self.next.load(Ordering::Relaxed);
        let tally = std::mem::take(&mut *self.tally());
        Report::of(counted, tally, begun, lasted, interrupted)
    }
}

impl<'a> Inhabitants<'a> {
    /// Prepares devices of `fleet` to connect to where they were put.
    ///
    /// # Errors
    /// [`Failure`] when this process may open too few files.
    pub(super) fn new(
        fleet: &'a Fleet,
        homes: Vec<(usize, Home)>,
        road: Road,
        way: Way,
    ) -> Result<Self, Failure> {
        enough_files(homes.len())?;
        let mut tls = (*road.tls).clone();
        tls.resumption = Resumption::disabled();
        Ok(Inhabitants {
            way,
            fleet,
            homes,
            road,
            tls,
        })
    }

    /// Lets all connect and be held. What the server takes of memory for each is what it takes for the last two thirds:
    /// what it has at hand for however many is no part of it.
    pub(super) async fn hold(&self, process: Option<Process>, stop: &mut signals::Stop) -> Report {
        let shared = Arc::new(Shared::default());
        let all = self.homes.len();
        let third = all / 3;
        let watch = Stopwatch::start();
        let mut held = Vec::new();
        let mut lasted = Duration::ZERO;
        let work = async {
            held.extend(self.connect(0..third, &shared).await);
            lasted = watch.elapsed();
            let before = rested(process).await;
            let others = Stopwatch::start();
            held.extend(self.connect(third..all, &shared).await);
            lasted += others.elapsed();
            let after = rested(process).await;
            self.stay(held.first_mut()).await;
            let grown = after
                .zip(before)
                .map(|(after, before)| after.saturating_sub(before));
            grown.and_then(|grown| grown.checked_div((all - third) as u64))
        };
        let (memory, interrupted) = tokio::select! {
            memory = work => (memory, false),
            _ = stop.wait() => (None, true),
        };
        let mut count = 0;
        for connection in &mut held {
            count += usize::from(is_there(connection).await);
        }
        let mut report = shared.close(CONNECTIONS, lasted, interrupted);
        report.held = Some(Held { count, memory });
        report.lost(held.len() - count);
        report
    }

    /// Waits as long as connections are held, or until the first of them is gone: then all may be.
    async fn stay(&self, mut first: Option<&mut Connection>) {
        let watch = Stopwatch::start();
        while watch.elapsed() < self.way.hold {
            sleep(REST.min(self.way.hold)).await;
            if let Some(first) = first.as_deref_mut()
                && !is_there(first).await
            {
                return;
            }
        }
    }

    /// Lets all connect, and then send until so many messages are acknowledged, or the time is over.
    ///
    /// # Errors
    /// What kept a device out, by its kind.
    pub(super) async fn send(&self, stop: &mut signals::Stop) -> Result<Report, String> {
        let connecting = Arc::new(Shared::default());
        let senders = self.connect(0..self.homes.len(), &connecting).await;
        if let Some(kind) = connecting.tally().first_error() {
            return Err(kind);
        }
        let shared = Arc::new(Shared::default());
        let watch = Stopwatch::start();
        let mut lanes = JoinSet::new();
        for (connection, endpoint) in senders.into_iter().zip(self.endpoints()) {
            let (shared, way) = (Arc::clone(&shared), self.way);
            lanes.spawn(async move {
                let mut sender = Sender::new(connection, &endpoint);
                if let Err(kind) = sender.send(&shared, way, watch).await {
                    shared.tally().add(Err(kind));
                }
            });
        }
        let mut interrupted = false;
        let all_done = async { while lanes.join_next().await.is_some() {} };
        tokio::pin!(all_done);
        tokio::select! {
            () = &mut all_done => {}
            _ = stop.wait() => {
                interrupted = true;
                shared.over.store(true, Ordering::Relaxed);
                all_done.await;
            }
        }
        Ok(shared.close(MESSAGES, watch.elapsed(), interrupted))
    }

    fn endpoints(&self) -> impl Iterator<Item = HubEndpoint> {
        let ids = self.homes.iter();
        ids.filter_map(|(_, (_, id))| Some(HubEndpoint::device(DeviceId::parse(id).ok()?)))
    }

    /// Lets these connect, so many at once; gives their connections in their order.
    async fn connect(&self, which: Range<usize>, shared: &Arc<Shared>) -> Vec<Connection> {
        let mut lanes = JoinSet::new();
        let lane_count = usize::from(self.way.in_flight);
        for lane in which.clone().take(lane_count) {
            let newcomers: Vec<_> = (lane..which.end)
                .step_by(lane_count)
                .filter_map(|at| Some((at, self.newcomer(at)?)))
                .collect();
            let (shared, carrier) = (Arc::clone(shared), self.way.carrier);
            lanes.spawn(async move {
                let mut connected = Vec::new();
                for (at, newcomer) in newcomers {
                    shared.next.fetch_add(1, Ordering::Relaxed);
                    let watch = Stopwatch::start();
                    let came = timeout(PATIENCE, newcomer.connect(carrier)).await;
                    let came = came.unwrap_or_else(|_| Err("not let in in time".to_owned()));
                    let mut tally = shared.tally();
                    match came {
                        Ok(connection) => {
                            tally.add(Ok(watch.elapsed()));
                            connected.push((at, connection));
                        }
                        Err(kind) => tally.add(Err(kind)),
                    }
                }
                connected
            });
        }
        let mut connected = Vec::new();
        while let Some(lane) = lanes.join_next().await {
            connected.extend(lane.unwrap_or_default());
        }
        connected.sort_by_key(|(at, _)| *at);
        connected
            .into_iter()
            .map(|(_, connection)| connection)
            .collect()
    }

    fn newcomer(&self, at: usize) -> Option<Newcomer> {
        let (place, (hub, id)) = self.homes.get(at)?;
        let endpoint = HubEndpoint::device(DeviceId::parse(id).ok()?);
        let devices = self.fleet.devices();
        let known = devices.get(*place)?;
        let tls = match &known.proof {
            Proof::Token(_) => Arc::new(self.tls.clone()),
            Proof::Certificate(key) => shown(&self.tls, key),
        };
        let resource = format!("{hub}{}", endpoint.path());
        let mut road = self.road.endpoint.clone();
        road.host.clone_from(hub);
        Some(Newcomer {
            introduction: Introduction {
                client_id: endpoint.to_string(),
                user_name: device::user_name(hub, &endpoint),
                password: self.fleet.hub_token(&known.id, &resource),
                clean_session: true,
                keep_alive: 0,
            },
            endpoint,
            road,
            tls,
        })
    }
}

/// A device that is to connect.
struct Newcomer {
    introduction: Introduction,
    endpoint: HubEndpoint,
    road: Endpoint,
    tls: Arc<ClientConfig>,
}

impl Newcomer {
    async fn connect(self, carrier: Carrier) -> Result<Connection, String> {
        let opened = Connection::open(&self.road, &self.tls, carrier, self.introduction).await;
        let mut connection = opened.map_err(|error| kind(&error))?;
        match connection.next().await {
            Ok(Event::Accepted { .. }) => {}
            Ok(other) => return Err(format!("not let in: {other:?}")),
            Err(ended) => return Err(ended.to_string()),
        }
        let filters = LISTENS.map(|listens| {
            (
                device::filter(listens, &self.endpoint),
                Delivery::AtLeastOnce,
            )
        });
        connection.client().subscribe(&filters);
        match connection.next().await {
            Ok(Event::Subscribed { granted, .. }) if granted.iter().all(Option::is_some) => {
                Ok(connection)
            }
            Ok(_) => Err("may not subscribe".to_owned()),
            Err(ended) => Err(ended.to_string()),
        }
    }
}

/// A device that sends.
struct Sender {
    connection: Connection,
    topic: String,
    flying: VecDeque<(Option<NonZeroU16>, Stopwatch)>,
}

impl Sender {
    fn new(connection: Connection, endpoint: &HubEndpoint) -> Self {
        Sender {
            connection,
            topic: device::events_topic(endpoint, &[]),
            flying: VecDeque::new(),
        }
    }

    /// Sends as long as there is something to send, and waits until all is acknowledged.
    async fn send(&mut self, shared: &Shared, way: Way, watch: Stopwatch) -> Result<(), String> {
        loop {
            while self.flying.len() < AHEAD && self.may_send(shared, way, watch) {
                let client = self.connection.client();
                let packet_id = client.publish(self.topic.clone(), READING, Delivery::AtLeastOnce);
                self.flying.push_back((packet_id, Stopwatch::start()));
            }
            if self.flying.is_empty() {
                return Ok(());
            }
            let event = timeout(PATIENCE, self.connection.next()).await;
            let event = event.map_err(|_| "not acknowledged in time".to_owned())?;
            if let Event::Acknowledged(packet_id) = event.map_err(|ended| ended.to_string())? {
                let place = self
                    .flying
                    .iter()
                    .position(|(id, _)| *id == Some(packet_id));
                if let Some((_, watch)) = place.and_then(|place| self.flying.remove(place)) {
                    shared.tally().add(Ok(watch.elapsed()));
                }
            }
        }
    }

    fn may_send(&self, shared: &Shared, way: Way, watch: Stopwatch) -> bool {
        if shared.over.load(Ordering::Relaxed) || watch.elapsed() >= way.within {
            return false;
        }
        let taken = shared
            .next
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
                (next < way.messages).then_some(next + 1)
            });
        taken.is_ok()
    }
}

/// The memory of a server that was left alone for a moment.
async fn rested(process: Option<Process>) -> Option<u64> {
    sleep(REST).await;
    process?.memory()
}

/// Whether the server has not ended a connection.
async fn is_there(connection: &mut Connection) -> bool {
    match timeout(Duration::from_millis(1), connection.next()).await {
        Ok(event) => event.is_ok(),
        Err(_) => true,
    }
}
