//! What a simulated device and its hub say to each other on one connection.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::num::NonZeroU16;

use landfall_wire::mqtt::client::Event;
use landfall_wire::mqtt::hub::device::{self, Received};
use landfall_wire::mqtt::hub::{Property, Subscription};
use landfall_wire::mqtt::session::{Delivery, Message, Refused};
use serde_json::Value as Json;

use super::{End, Life};
use crate::client::ClientError;
use crate::client::mqtt::{Connection, Ended};
use crate::command::device::input::{Input, Line};
use crate::command::outcome::Failure;

/// How many messages wait for their acknowledgement at once.
const MOST_FLYING: usize = 64;
/// What a device listens to.
const LISTENS: [Subscription; 4] = [
    Subscription::Commands,
    Subscription::TwinAnswers,
    Subscription::Desired,
    Subscription::Methods,
];

/// Why a connection is no more, or none came about.
#[derive(Debug)]
pub enum Lost {
    /// The hub was not reached.
    Unreached(ClientError),
    /// It does not let the device in.
    Refused(Refused),
    /// It does not let the device listen.
    NotGranted,
    /// The connection ended.
    Ended(Ended),
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lost::Unreached(error) => error.fmt(f),
            Lost::Refused(Refused::Unavailable) => f.write_str("it serves nobody now (CONNACK 3)"),
            Lost::Refused(Refused::ClientId) => {
                f.write_str("it takes another client id for this device (CONNACK 2)")
            }
            Lost::Refused(Refused::BadUserName) => {
                f.write_str("it does not read the user name (CONNACK 4)")
            }
            Lost::Refused(Refused::NotAuthorized) => {
                f.write_str("it does not let this device in (CONNACK 5)")
            }
            Lost::NotGranted => f.write_str("it refuses what a device subscribes to"),
            Lost::Ended(ended) => ended.fmt(f),
        }
    }
}

impl From<Ended> for Lost {
    fn from(ended: Ended) -> Self {
        Lost::Ended(ended)
    }
}

/// What a question was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// What the twin is.
    Twin,
    /// What the device was told to report.
    Report,
    /// Desired properties, reported back.
    Echo,
}

/// One connection.
pub struct Talk<'a, 'b> {
    life: &'a mut Life<'b>,
    connection: Connection,
    /// The packet ids of the life's first unacknowledged lines, in their order; the others are not sent yet.
    flying: VecDeque<Option<NonZeroU16>>,
    questions: BTreeMap<String, Question>,
    asked: u64,
}

impl<'a, 'b> Talk<'a, 'b> {
    /// A connection that was just made.
    pub fn new(life: &'a mut Life<'b>, connection: Connection) -> Self {
        Talk {
            life,
            connection,
            flying: VecDeque::new(),
            questions: BTreeMap::new(),
            asked: 0,
        }
    }

    /// Waits to be let in, subscribes, and asks for the twin.
    pub async fn begin(&mut self) -> Result<(), Lost> {
        if let Event::Refused(why) = self.connection.next().await? {
            return Err(Lost::Refused(why));
        }
        let endpoint = &self.life.endpoint;
        self.life
            .device
            .told
            .connected(&self.life.hub, &endpoint.to_string());
        let filters = LISTENS.map(|subscription| {
            (
                device::filter(subscription, endpoint),
                Delivery::AtLeastOnce,
            )
        });
        self.connection.client().subscribe(&filters);
        loop {
            match self.connection.next().await? {
                Event::Subscribed { granted, .. } => {
                    if granted.iter().any(Option::is_none) {
                        return Err(Lost::NotGranted);
                    }
                    break;
                }
                // A session that was kept may bring messages before the answer.
                other => self.take(other),
            }
        }
        self.ask(Question::Twin, Json::Null);
        if let (false, Some(report)) = (self.life.has_reported, self.life.behaviour.report.clone())
        {
            self.ask(Question::Report, report);
        }
        Ok(())
    }

    /// Sends and takes until there is nothing more to do.
    pub async fn go_on(&mut self, input: &mut Input) -> Result<Result<End, Lost>, Failure> {
        while !self.is_done(input) {
            self.send_what_waits();
            let may_read = !input.is_over() && self.life.unacknowledged.len() < MOST_FLYING;
            tokio::select! {
                event = self.connection.next() => match event {
                    Ok(event) => self.take(event),
                    Err(ended) => return Ok(Err(ended.into())),
                },
                line = input.next(), if may_read => self.life.unacknowledged.extend(line?),
            }
        }
        Ok(Ok(End::Done))
    }

    /// Leaves in order.
    pub async fn close(self) {
        self.connection.close().await;
    }

    fn is_done(&self, input: &Input) -> bool {
        input.is_over()
            && !self.life.behaviour.stay
            && self.life.unacknowledged.is_empty()
            && self.questions.is_empty()
    }

    /// Sends the lines that were not sent on this connection yet.
    fn send_what_waits(&mut self) {
        for line in self.life.unacknowledged.iter().skip(self.flying.len()) {
            let topic = device::events_topic(&self.life.endpoint, &properties(line));
            let text = line.text.clone();
            let client = self.connection.client();
            let packet_id = client.publish(topic, text, Delivery::AtLeastOnce);
            self.flying.push_back(packet_id);
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
        let place = self.flying.iter().position(|id| *id == Some(packet_id));
        // What is not there is a question; its answer is what counts.
        let Some(place) = place else { return };
        self.flying.remove(place);
        if let Some(line) = self.life.unacknowledged.remove(place) {
            self.life.acknowledged += 1;
            self.life.device.told.acknowledged(line.number);
        }
    }

    /// Takes a message, and acknowledges it once it is printed.
    fn message(&mut self, message: &Message) {
        let payload = || serde_json::from_slice(&message.payload).unwrap_or(Json::Null);
        match device::received(&message.topic, &self.life.endpoint) {
            Some(Received::Command(properties)) => {
                let told = self.life.device.told;
                told.command(&properties, &message.payload);
            }
            Some(Received::Desired { version }) => self.desired(version, &payload()),
            Some(Received::Method { name, request_id }) => {
                self.method(&name, &request_id, &payload());
            }
            Some(Received::TwinAnswer {
                status,
                request_id,
                version,
            }) => self.answer(status, &request_id, version, &payload()),
            None => {}
        }
        if let Some(packet_id) = message.packet_id {
            self.connection.client().acknowledge(packet_id);
        }
    }

    fn desired(&mut self, version: i64, patch: &Json) {
        self.life.desired = Some(version);
        self.life.device.told.desired(version, patch);
        self.echo(patch);
    }

    fn echo(&mut self, desired: &Json) {
        if !self.life.behaviour.echo_desired {
            return;
        }
        let mut back = desired.clone();
        if let Some(members) = back.as_object_mut() {
            members.retain(|name, _| !name.starts_with('$'));
            if !members.is_empty() {
                self.ask(Question::Echo, back);
            }
        }
    }

    fn method(&mut self, name: &str, request_id: &str, payload: &Json) {
        let behaviour = &self.life.behaviour;
        let status = behaviour.method_status;
        let answer = behaviour.method_payload.as_ref().unwrap_or(payload);
        let topic = device::method_answer_topic(status, request_id);
        let client = self.connection.client();
        client.publish(topic, answer.to_string(), Delivery::AtLeastOnce);
        self.life.device.told.method(name, payload, status);
    }

    /// Asks about the twin, or says what it is to report.
    fn ask(&mut self, question: Question, document: Json) {
        self.asked += 1;
        let request_id = self.asked.to_string();
        let (topic, payload) = match question {
            Question::Twin => (device::twin_get_topic(&request_id), String::new()),
            Question::Report | Question::Echo => {
                (device::reported_topic(&request_id), document.to_string())
            }
        };
        let client = self.connection.client();
        client.publish(topic, payload, Delivery::AtLeastOnce);
        self.questions.insert(request_id, question);
    }

    fn answer(&mut self, status: u16, request_id: &str, version: Option<i64>, body: &Json) {
        let told = self.life.device.told;
        match self.questions.remove(request_id) {
            Some(Question::Twin) if status == 200 => {
                let newest = body.pointer("/desired/$version").and_then(Json::as_i64);
                let is_news = newest != self.life.desired;
                // The first one is where it starts; a later one tells what changed while it was away.
                let missed = is_news && self.life.desired.is_some();
                self.life.desired = newest;
                if is_news {
                    told.twin(body);
                }
                if missed && let Some(desired) = body.get("desired") {
                    self.echo(desired);
                }
            }
            Some(Question::Report | Question::Echo) if (200..300).contains(&status) => {
                self.life.has_reported = true;
                told.reported(version);
            }
            Some(Question::Report | Question::Echo | Question::Twin) => {
                // It would be refused again: what it is stands in the answer.
                self.life.has_reported = true;
                told.refused(status, body);
            }
            None => {}
        }
    }
}

/// What a message says of itself.
fn properties(line: &Line) -> Vec<Property> {
    let is_json = serde_json::from_slice::<Json>(&line.text).is_ok();
    let of_json = [("$.ct", "application/json"), ("$.ce", "utf-8")];
    let all = of_json.into_iter().filter(|_| is_json);
    all.map(|(name, value)| (name.to_owned(), Some(value.to_owned())))
        .collect()
}
