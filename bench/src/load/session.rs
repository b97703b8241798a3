//! What clients say over MQTT: a device that provisions, one that lives on its hub, and the same said to a broker
//! that knows nothing of devices.

use anyhow::{Context as _, ensure};
use landfall_core::clock::Timestamp;
use landfall_core::sas;
use landfall_core::secret::SymmetricKey;

use super::connection::Connection;
use super::packet::{self, DISCONNECT, Login, Packet, kind};

/// Messages that one connection sends before it waits for their acknowledgements.
pub const AHEAD: u16 = 4;
/// What devices of the hub subscribe to, as its SDKs do.
const OF_A_DEVICE: [&str; 3] = [
    "$iothub/twin/res/#",
    "$iothub/twin/PATCH/properties/desired/#",
    "$iothub/methods/POST/#",
];
/// A message as a small sensor sends it, and one of the length of an answer with a new twin.
const READING: &[u8] = b"{\"temperature\":21.5,\"humidity\":48,\"count\":1234567}";
const QUESTION: &[u8] = b"{\"desired\":{\"$version\":1},\"reported\":{\"$version\":1}}";

/// What a peer does, once it is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Nothing, after it subscribed to all that a device does.
    Nothing,
    /// It asks, and waits for the answer: of the hub for its twin, of a broker for its own message.
    Question,
    /// It sends [`AHEAD`] messages, and waits until all are acknowledged.
    Messages,
}

/// How a question is asked, and known to be answered.
struct Asking<'a> {
    /// The filter of answers.
    listens: &'a str,
    topic: &'a str,
    question: &'a [u8],
    /// How the topic of an answer begins.
    answered: &'a str,
}

/// One that connects, with its packets made beforehand.
pub(super) struct Peer {
    connect: Vec<u8>,
    subscribe: Vec<Vec<u8>>,
    says: Says,
    /// The message or messages that it sends.
    messages: Vec<Vec<u8>>,
    /// How the topic of an answer begins.
    answered: String,
}

impl Peer {
    /// A device of the hub with this name.
    pub(super) fn of_hub(
        host: &str,
        id: &str,
        key: &SymmetricKey,
        until: Timestamp,
        says: Says,
    ) -> Self {
        let login = Login {
            client_id: id.to_owned(),
            user_name: format!("{host}/{id}/?api-version=2021-04-12"),
            password: sas::sign(&format!("{host}/devices/{id}"), key, None, until),
            clean: false,
        };
        let asking = Asking {
            listens: "$iothub/twin/res/#",
            topic: "$iothub/twin/GET/?$rid=1",
            question: b"",
            answered: "$iothub/twin/res/200/?",
        };
        Peer::of(&login, says, &asking)
    }

    /// A client of a broker that says as much.
    pub(super) fn of_broker(id: &str, says: Says) -> Self {
        let login = Login {
            client_id: id.to_owned(),
            user_name: id.to_owned(),
            password: "x".repeat(120),
            clean: true,
        };
        let topic = format!("answers/{id}");
        let asking = Asking {
            listens: &topic,
            topic: &topic,
            question: QUESTION,
            answered: &topic,
        };
        Peer::of(&login, says, &asking)
    }

    fn of(login: &Login, says: Says, asking: &Asking<'_>) -> Self {
        let id = &login.client_id;
        let commands = format!("devices/{id}/messages/devicebound/#");
        let all = OF_A_DEVICE.into_iter().chain([&*commands]);
        let filters: Vec<(&str, u8)> = match says {
            Says::Nothing => all.map(|filter| (filter, 1)).collect(),
            Says::Question => vec![(asking.listens, 0)],
            Says::Messages => Vec::new(),
        };
        let numbered = (1..).zip(filters);
        let subscribe = numbered.map(|(id, (filter, qos))| packet::subscribe(id, filter, qos));
        let messages = match says {
            Says::Nothing => Vec::new(),
            Says::Question => vec![packet::publish(asking.topic, asking.question, None)],
            Says::Messages => {
                let topic = format!("devices/{id}/messages/events/");
                let numbers = 1..=AHEAD;
                numbers
                    .map(|id| packet::publish(&topic, READING, Some(id)))
                    .collect()
            }
        };
        Peer {
            connect: packet::connect(login),
            subscribe: subscribe.collect(),
            says,
            messages,
            answered: asking.answered.to_owned(),
        }
    }

    /// Asks to be let in, and subscribes.
    pub(super) async fn begin(&self, connection: &mut Connection) -> anyhow::Result<()> {
        connection.send(&self.connect).await?;
        let_in(&connection.packet().await?)?;
        for subscribe in &self.subscribe {
            connection.send(subscribe).await?;
            subscribed(&connection.packet().await?)?;
        }
        Ok(())
    }

    /// Says what it has to say; gives how many messages that were.
    pub(super) async fn say(&self, connection: &mut Connection) -> anyhow::Result<u64> {
        for message in &self.messages {
            connection.send(message).await?;
        }
        for _ in &self.messages {
            let packet = connection.packet().await?;
            if self.says == Says::Messages {
                acknowledged(&packet)?;
                continue;
            }
            let (topic, ..) = packet.message().context("no answer")?;
            ensure!(topic.starts_with(&self.answered), "an answer by {topic}");
        }
        Ok(self.messages.len() as u64)
    }
}

/// A device that provisions over MQTT.
pub(super) struct Newcomer<'a> {
    pub(super) id_scope: &'a str,
    pub(super) id: String,
    pub(super) token: String,
}

impl Newcomer<'_> {
    /// Registers and asks what came of it, which must be that the device is assigned.
    pub(super) async fn register(self, connection: &mut Connection) -> anyhow::Result<()> {
        let (scope, id) = (self.id_scope, self.id);
        let login = Login {
            client_id: id.clone(),
            user_name: format!("{scope}/registrations/{id}/api-version=2019-03-31"),
            password: self.token,
            clean: true,
        };
        arrive(connection, &login, "$dps/registrations/res/#").await?;
        let topic = "$dps/registrations/PUT/iotdps-register/?$rid=1";
        let body = format!("{{\"registrationId\":\"{id}\"}}");
        let answer = ask(connection, topic, body.as_bytes(), "/res/202/").await?;
        let operation = answer
            .split_once("\"operationId\":\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(operation, _)| operation)
            .context("register: no operationId")?;
        let topic = format!(
            "$dps/registrations/GET/iotdps-get-operationstatus/?$rid=2&operationId={operation}"
        );
        let answer = ask(connection, &topic, b" ", "/res/200/").await?;
        let assigned = answer.contains("\"status\":\"assigned\"");
        ensure!(assigned, "poll: not assigned at once");
        connection.send(&DISCONNECT).await
    }
}

/// A client of a broker that asks and hears itself, as surely as a device that provisions.
pub(super) async fn echo(connection: &mut Connection, id: &str) -> anyhow::Result<()> {
    let login = Login {
        client_id: id.to_owned(),
        user_name: id.to_owned(),
        password: "x".repeat(120),
        clean: true,
    };
    let topic = format!("answers/{id}");
    arrive(connection, &login, &topic).await?;
    ask(connection, &topic, QUESTION, &topic).await?;
    connection.send(&DISCONNECT).await
}

/// Is let in, and subscribes to answers.
async fn arrive(connection: &mut Connection, login: &Login, answers: &str) -> anyhow::Result<()> {
    connection.send(&packet::connect(login)).await?;
    let_in(&connection.packet().await?)?;
    connection.send(&packet::subscribe(1, answers, 1)).await?;
    subscribed(&connection.packet().await?)
}

/// Asks for sure, and waits for acknowledgement and answer, in whichever order they come. Gives what the answer
/// says, whose topic must hold `expected`.
async fn ask(
    connection: &mut Connection,
    topic: &str,
    payload: &[u8],
    expected: &str,
) -> anyhow::Result<String> {
    let question = packet::publish(topic, payload, Some(1));
    connection.send(&question).await?;
    let mut answer = None;
    for _ in 0..2 {
        let packet = connection.packet().await?;
        let Some((topic, id, payload)) = packet.message() else {
            acknowledged(&packet)?;
            continue;
        };
        ensure!(topic.contains(expected), "an answer by {topic}");
        answer = Some(std::str::from_utf8(payload)?.to_owned());
        let id = id.context("an answer that is not acknowledged")?;
        connection.send(&packet::acknowledge(id)).await?;
    }
    answer.context("acknowledged twice and not answered")
}

fn let_in(packet: &Packet) -> anyhow::Result<()> {
    let code = packet.body.get(1);
    let is = packet.kind == kind::LET_IN && code == Some(&0);
    ensure!(is, "not let in: packet {:#x}, {code:?}", packet.kind);
    Ok(())
}

fn subscribed(packet: &Packet) -> anyhow::Result<()> {
    let is = packet.kind == kind::SUBSCRIBED && packet.body.last().is_some_and(|code| *code < 2);
    ensure!(is, "not subscribed: packet {:#x}", packet.kind);
    Ok(())
}

fn acknowledged(packet: &Packet) -> anyhow::Result<()> {
    let is = packet.kind == kind::ACKNOWLEDGED;
    ensure!(is, "not acknowledged: packet {:#x}", packet.kind);
    Ok(())
}
