//! A device: registers, and then lives on its hub. It comes and goes, sends numbers in order and again what was
//! not acknowledged, reports, answers methods, and notes what it is told.

use std::collections::VecDeque;
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use landfall_core::id::DeviceId;
use landfall_crash::access::Access;
use landfall_crash::chance::Chance;
use landfall_hub::endpoint::Endpoint;
use landfall_server::client::mqtt::{Connection, Ended};
use landfall_server::time::{Stopwatch, sleep};
use landfall_wire::mqtt::client::Event;
use landfall_wire::mqtt::hub::Subscription;
use landfall_wire::mqtt::hub::device::{self, Received};
use landfall_wire::mqtt::session::{Delivery, Message, Refused};
use serde_json::{Value as Json, json};

use crate::ledger::{Counted, Ledger};
use crate::phase::{Clock, Phase};

/// The pause between two messages of one device.
const PAUSE: Duration = Duration::from_secs(1);
/// Every so many messages it reports what it is at.
const REPORTS_EVERY: u64 = 10;
/// Most messages that wait for their acknowledgement.
const MOST_FLYING: usize = 8;
/// How long a connection is kept, at most; half as long at least.
const STAYS: Duration = Duration::from_secs(60);
/// The longest pause between two connections.
const GONE: Duration = Duration::from_secs(2);
/// What must be acknowledged in this time.
const PATIENCE: Duration = Duration::from_secs(30);
/// After how many seconds without a packet the hub hears of it.
const KEEP_ALIVE: u16 = 20;
/// What fills a message up to the size of one.
const FILLING: &str = "................................................................";

const LISTENS: [Subscription; 4] = [
    Subscription::Commands,
    Subscription::TwinAnswers,
    Subscription::Desired,
    Subscription::Methods,
];

/// A device between its connections.
pub struct Device {
    id: String,
    access: Access,
    ledger: Arc<Ledger>,
    clock: Arc<Clock>,
    chance: Chance,
    /// Numbers that were sent, or are to be, and are not acknowledged; oldest first.
    unacknowledged: VecDeque<u64>,
    last: u64,
}

/// Why a connection is over.
enum Over {
    /// The device wanted it.
    Left,
    Refused(Refused),
    Ended(Ended),
    Unreached,
}

impl From<Ended> for Over {
    fn from(ended: Ended) -> Self {
        Over::Ended(ended)
    }
}

impl Device {
    /// A device that nobody knows yet.
    pub fn new(
        id: String,
        access: Access,
        ledger: Arc<Ledger>,
        clock: Arc<Clock>,
        chance: Chance,
    ) -> Self {
        Device {
            id,
            access,
            ledger,
            clock,
            chance,
            unacknowledged: VecDeque::new(),
            last: 0,
        }
    }

    /// Lives until all is over.
    pub async fn live(mut self) {
        let Some((hub, endpoint)) = self.register().await else {
            return;
        };
        self.note(|record| {
            record.hub = Some(hub.clone());
            Ok(())
        });
        while self.clock.phase() != Phase::Over {
            match self.visit(&hub, &endpoint).await {
                Over::Left => {}
                Over::Unreached => self.ledger.count(Counted::Unreached),
                Over::Ended(Ended::Gone | Ended::Failed(_)) => self.ledger.count(Counted::Lost),
                Over::Ended(Ended::Broken(broken)) => {
                    self.ledger.fault(&format!("{}: {broken}", self.id));
                }
                Over::Refused(Refused::Unavailable) => self.ledger.count(Counted::Unreached),
                Over::Refused(other) => {
                    self.ledger
                        .fault(&format!("{}: turned away: {other:?}", self.id));
                }
            }
            self.pause(GONE).await;
        }
    }

    /// Where it was put; tries until it is put somewhere.
    async fn register(&mut self) -> Option<(String, Endpoint)> {
        // Not all at the same time, as devices of a fleet are not.
        self.pause(GONE * 5).await;
        while self.clock.phase() != Phase::Over {
            match self.access.provision(&self.id).await {
                Ok(assigned) => match DeviceId::parse(&assigned.device_id) {
                    Ok(id) => return Some((assigned.hub, Endpoint::device(id))),
                    Err(error) => self.ledger.fault(&format!("{}: {error}", self.id)),
                },
                Err(_) => self.ledger.count(Counted::Unreached),
            }
            self.pause(GONE).await;
        }
        None
    }

    async fn pause(&mut self, most: Duration) {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX);
        sleep(Duration::from_millis(50 + self.chance.below(most))).await;
    }

    /// One connection to the hub, from its beginning to its end.
    async fn visit(&mut self, hub: &str, endpoint: &Endpoint) -> Over {
        let opened = self.access.connect(hub, endpoint, KEEP_ALIVE).await;
        let Ok(connection) = opened else {
            return Over::Unreached;
        };
        let half = u64::try_from(STAYS.as_millis()).unwrap_or(u64::MAX) / 2;
        let stays = Duration::from_millis(half + self.chance.below(half));
        let leaves_in_order = self.chance.below(2) == 0;
        let mut session = Session {
            device: self,
            endpoint,
            connection,
            flying: VecDeque::new(),
            twin: None,
            early: Vec::new(),
            reporting: None,
            asked: 0,
        };
        let over = match session.live(stays).await {
            Ok(()) => Over::Left,
            Err(over) => return over,
        };
        if leaves_in_order {
            session.connection.close().await;
        }
        over
    }

    fn note(&self, act: impl FnOnce(&mut crate::ledger::Record) -> Result<(), String>) {
        self.ledger.note(&self.id, act);
    }
}

/// A device on its hub.
struct Session<'a> {
    device: &'a mut Device,
    endpoint: &'a Endpoint,
    connection: Connection,
    /// The packet ids of the device's first unacknowledged numbers, and when they were sent.
    flying: VecDeque<(Option<NonZeroU16>, Stopwatch)>,
    /// The version of the desired properties, once it was read on this connection.
    twin: Option<i64>,
    /// Versions that were told before.
    early: Vec<i64>,
    /// The question that reports, while it is not answered.
    reporting: Option<String>,
    asked: u64,
}

impl Session<'_> {
    async fn live(&mut self, stays: Duration) -> Result<(), Over> {
        self.begin().await?;
        let stay = Stopwatch::start();
        let mut next = Duration::ZERO;
        loop {
            self.send_what_waits();
            let phase = self.device.clock.phase();
            if phase == Phase::Over || stay.elapsed() > stays {
                return Ok(());
            }
            let left = next.saturating_sub(stay.elapsed());
            tokio::select! {
                event = self.connection.next() => self.take(event?),
                () = sleep(left) => {
                    next = stay.elapsed() + PAUSE;
                    self.tick(phase);
                }
            }
        }
    }

    /// Waits to be let in, subscribes and asks for the twin.
    async fn begin(&mut self) -> Result<(), Over> {
        if let Event::Refused(why) = self.connection.next().await? {
            return Err(Over::Refused(why));
        }
        self.device.ledger.count(Counted::Connections);
        let filters = LISTENS.map(|listens| {
            let filter = device::filter(listens, self.endpoint);
            (filter, Delivery::AtLeastOnce)
        });
        self.connection.client().subscribe(&filters);
        loop {
            match self.connection.next().await? {
                Event::Subscribed { granted, .. } => {
                    if granted.iter().any(Option::is_none) {
                        let id = &self.device.id;
                        self.device
                            .ledger
                            .fault(&format!("{id}: may not subscribe"));
                    }
                    break;
                }
                // A session that was kept may bring messages before the answer.
                other => self.take(other),
            }
        }
        let client = self.connection.client();
        client.publish(device::twin_get_topic("twin"), "", Delivery::AtLeastOnce);
        Ok(())
    }

    /// What is done every now and then.
    fn tick(&mut self, phase: Phase) {
        if let Some((_, watch)) = self.flying.front()
            && watch.elapsed() > PATIENCE
        {
            let id = &self.device.id;
            self.device
                .ledger
                .fault(&format!("{id}: a message is not acknowledged"));
            self.flying.clear();
            self.device.unacknowledged.clear();
        }
        if phase != Phase::Load || self.device.unacknowledged.len() >= MOST_FLYING {
            return;
        }
        self.device.last += 1;
        let number = self.device.last;
        self.device.unacknowledged.push_back(number);
        if number.is_multiple_of(REPORTS_EVERY) && self.reporting.is_none() {
            self.report(number);
        }
    }

    fn report(&mut self, number: u64) {
        self.asked += 1;
        let request_id = self.asked.to_string();
        self.device.note(|record| {
            record.reported.asked();
            Ok(())
        });
        let client = self.connection.client();
        client.publish(
            device::reported_topic(&request_id),
            json!({"n": number}).to_string(),
            Delivery::AtLeastOnce,
        );
        self.reporting = Some(request_id);
    }

    /// Sends the numbers that were not sent on this connection yet.
    fn send_what_waits(&mut self) {
        let waiting = self.device.unacknowledged.iter().skip(self.flying.len());
        for number in waiting {
            let says = [("$.ct", "application/json"), ("$.ce", "utf-8")];
            let says = says.map(|(name, value)| (name.to_owned(), Some(value.to_owned())));
            let topic = device::events_topic(self.endpoint, &says);
            let body = json!({"n": number, "filling": FILLING}).to_string();
            let client = self.connection.client();
            let packet_id = client.publish(topic, body, Delivery::AtLeastOnce);
            self.flying.push_back((packet_id, Stopwatch::start()));
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Acknowledged(packet_id) => self.acknowledged(packet_id),
            Event::Message(message) => self.message(&message),
            Event::Accepted { .. } | Event::Refused(_) | Event::Subscribed { .. } => {}
        }
    }

    fn acknowledged(&mut self, packet_id: NonZeroU16) {
        let mut flying = self.flying.iter();
        let place = flying.position(|(id, _)| *id == Some(packet_id));
        // What is not there is a question.
        let Some(place) = place else { return };
        self.flying.remove(place);
        if let Some(number) = self.device.unacknowledged.remove(place) {
            self.device.note(|record| {
                record.telemetry.acknowledged(number);
                Ok(())
            });
        }
    }

    fn message(&mut self, message: &Message) {
        let body: Json = serde_json::from_slice(&message.payload).unwrap_or_default();
        let number = body["n"].as_u64().unwrap_or_default();
        match device::received(&message.topic, self.endpoint) {
            Some(Received::Command(_)) => {
                self.device.note(|record| record.commands.received(number));
            }
            Some(Received::Desired { version }) => self.desired(version),
            Some(Received::Method { request_id, .. }) => self.method(number, &request_id, &body),
            Some(Received::TwinAnswer {
                status,
                request_id,
                version,
            }) => self.answer(status, &request_id, version, &body),
            None => self
                .device
                .note(|_| Err(format!("topic {}", message.topic))),
        }
        if let Some(packet_id) = message.packet_id {
            self.connection.client().acknowledge(packet_id);
        }
    }

    fn method(&mut self, number: u64, request_id: &str, body: &Json) {
        self.device.note(|record| {
            let is_first = record.called.insert(number);
            is_first
                .then_some(())
                .ok_or_else(|| format!("method {number} is called twice"))
        });
        let topic = device::method_answer_topic(200, request_id);
        let client = self.connection.client();
        client.publish(topic, body.to_string(), Delivery::AtMostOnce);
    }

    fn desired(&mut self, version: i64) {
        let Some(known) = self.twin else {
            self.early.push(version);
            return;
        };
        if version > known {
            self.twin = Some(version);
            self.device.note(|record| {
                record.knows = record.knows.max(version);
                (version == known + 1).then_some(()).ok_or_else(|| {
                    format!("it is told of version {version} of desired properties after {known}")
                })
            });
        }
    }

    fn answer(&mut self, status: u16, request_id: &str, version: Option<i64>, body: &Json) {
        if request_id == "twin" {
            let read = body.pointer("/desired/$version").and_then(Json::as_i64);
            self.read(status, read);
        } else if self.reporting.as_deref() == Some(request_id) {
            self.reporting = None;
            self.device.note(|record| match (status, version) {
                (204, Some(version)) => record.reported.answered(version),
                other => Err(format!("a report is answered {other:?}")),
            });
        }
    }

    /// It has read its twin.
    fn read(&mut self, status: u16, version: Option<i64>) {
        let Some(version) = version.filter(|_| status == 200) else {
            self.device
                .note(|_| Err(format!("its twin is answered {status}")));
            return;
        };
        self.device.note(|record| {
            let knew = record.knows;
            record.knows = knew.max(version);
            (version >= knew).then_some(()).ok_or_else(|| {
                format!("it reads version {version} of desired properties and knew {knew}")
            })
        });
        self.twin = Some(version);
        for early in std::mem::take(&mut self.early) {
            self.desired(early);
        }
    }
}
