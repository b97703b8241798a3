//! Sessions of devices and modules on an embedded hub, over MQTT: who is let in, what they ask of their twin,
//! what the hub sends them, and how it ends.
//!
//! Source: docs/protocol/hub-api.md §2.1.

mod admission;
mod commands;
mod notes;
mod session;

use std::sync::Arc;
use std::time::Duration;

use landfall_core::clock::Timestamp;
use landfall_core::id::TrackingId;
use landfall_core::sas::LEEWAY;
use landfall_core::store::{Change, CommitError};
use landfall_hub::endpoint::Endpoint;
use landfall_hub::error::HubError;
use landfall_hub::event::{EventKind, HubEvent, LARGEST_EVENT};
use landfall_hub::registry::Registry;
use landfall_hub::store::{HubStore, HubWrite};
use landfall_wire::fault;
use landfall_wire::hub::{own_twin_json, reported_patch};
use landfall_wire::mqtt::hub::{self as topics, Property, Published, Subscription};
use landfall_wire::mqtt::provisioning;
use landfall_wire::mqtt::session::{Connecting, Event, Message};
use tokio::io::{AsyncRead, AsyncWrite};

use self::session::Session;
use super::pick;
use crate::backend::Backend;
use crate::connection::Link;
use crate::connection::mqtt::{Connection, Ended};
use crate::feed::Feed;
use crate::relay::{Dismissal, Relay};
use crate::telemetry::Traces;
use crate::time;

/// What a packet may hold beside its message.
const AROUND_A_MESSAGE: usize = 64 * 1024;
/// How often a session that goes on being heard of is noted as that.
const NOTED_EVERY: Duration = Duration::from_secs(1);

/// Whether a peer wants in to a hub, and not to a provisioning service: the latter's names have no dot where a
/// hub's host name stands.
pub fn is_meant(connecting: &Connecting) -> bool {
    let user_name = connecting.user_name.as_deref().unwrap_or_default();
    let is_provisioning =
        provisioning::parts(user_name).is_some_and(|(scope, _, _)| !scope.contains('.'));
    let names_a_host = user_name
        .split_once('/')
        .is_some_and(|(host, _)| host.contains('.'));
    names_a_host && !is_provisioning
}

/// What sessions work with.
pub struct HubDevices<S> {
    /// Store, clock and chance.
    pub backend: Backend<S>,
    /// The seats of all that are connected here.
    pub relay: Arc<Relay>,
    /// Where what devices send goes.
    pub feed: Feed,
    /// Where the reasons go.
    pub traces: Traces,
}

/// Why a session ends that its peer did not end in order.
enum Away {
    Ended(Ended),
    /// It published or subscribed to a topic that the hub does not have for it.
    Topic(String),
    /// It sent a message that is larger than a hub takes, in bytes.
    TooLarge(usize),
    /// What it sent could not be kept; it was not acknowledged, and comes again.
    NotKept(CommitError),
    /// Its token ended.
    Expired,
    /// Another connection has its place, or it was changed or removed.
    Dismissed(Dismissal),
}

impl From<Ended> for Away {
    fn from(ended: Ended) -> Self {
        Away::Ended(ended)
    }
}

impl<S: HubStore> HubDevices<S> {
    /// Serves a device or module that has just asked to be let in, to the end of its connection.
    pub async fn answer_mqtt<T>(
        &self,
        mut connection: Box<Connection<T>>,
        mut connecting: Box<Connecting>,
        link: &Link,
    ) where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        // What is awaited for a moment is boxed: a session that waits, which nearly all do, holds nothing of it.
        match Box::pin(self.let_in(&connecting, link)).await {
            Ok((mut session, until)) => {
                let will = connecting.will.take();
                drop(connecting);
                connection.accept(LARGEST_EVENT + AROUND_A_MESSAGE, session.is_resumed());
                let served = self.serve(&mut connection, &mut session, until).await;
                if let Err(away) = served {
                    Box::pin(self.note(&away, &session, link)).await;
                    if let Some(will) = will {
                        Box::pin(self.publish_will(&session, will)).await;
                    }
                }
                Box::pin(self.end(&session)).await;
            }
            Err(turned_away) => {
                connection.session().refuse(turned_away.refused);
                let finding = turned_away.finding;
                let user_name = connecting.user_name.as_deref().unwrap_or_default();
                let host = user_name.split(['/', ':']).next().unwrap_or_default();
                let id = &connecting.client_id;
                Box::pin(self.trace(link, host, id, &finding, &finding.seen)).await;
            }
        }
        Box::pin(connection.close()).await;
    }

    /// Serves a session until it ends.
    async fn serve<T>(
        &self,
        connection: &mut Connection<T>,
        session: &mut Session,
        until: Option<Timestamp>,
    ) -> Result<(), Away>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let expires = async {
            match until {
                Some(until) => time::sleep(self.left(until)).await,
                None => std::future::pending().await,
            }
        };
        let mut expires = std::pin::pin!(expires);
        Box::pin(self.deliver(connection, session)).await?;
        loop {
            // What is pushed to a peer that does not keep up waits at its seat, where it is bounded.
            if connection.is_behind() {
                tokio::select! {
                    flushed = connection.flush() => flushed?,
                    () = &mut expires => return Err(Away::Expired),
                }
            }
            tokio::select! {
                event = connection.next() => {
                    if Box::pin(self.take(connection, session, event?)).await? {
                        return Ok(());
                    }
                }
                push = session.seated.inbox.recv() => {
                    let push = push.ok_or_else(|| Away::Dismissed(session.seated.dismissal()))?;
                    if session.send(connection, push) {
                        Box::pin(self.deliver(connection, session)).await?;
                    }
                }
                () = &mut expires => return Err(Away::Expired),
            }
        }
    }

    /// How long a token is good for still, with what two clocks may lie apart.
    fn left(&self, until: Timestamp) -> Duration {
        until.plus(LEEWAY).since(self.backend.clock.now())
    }

    /// Takes what the peer did; says whether it was its last.
    async fn take<T>(
        &self,
        connection: &mut Connection<T>,
        session: &mut Session,
        event: Event,
    ) -> Result<bool, Away>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        match event {
            Event::Subscribe { packet_id, filters } => {
                let granted: Vec<_> = filters
                    .iter()
                    .map(|(filter, delivery)| session.subscribe(filter, *delivery))
                    .collect();
                self.keep_subscriptions(session).await?;
                connection.session().granted(packet_id, &granted);
                self.deliver(connection, session).await?;
            }
            Event::Unsubscribe(filters) => {
                filters
                    .iter()
                    .for_each(|filter| session.unsubscribe(filter));
                self.keep_subscriptions(session).await?;
            }
            Event::Message(message) => self.take_message(connection, session, message).await?,
            Event::Acknowledged(packet_id) => {
                if self.complete(session, packet_id).await? {
                    self.deliver(connection, session).await?;
                }
            }
            // The session lets in once.
            Event::Connect(_) => {}
            Event::Disconnect => return Ok(true),
        }
        Ok(false)
    }

    /// Keeps a message to the cloud, and acknowledges it once it is kept.
    async fn keep<T>(
        &self,
        connection: &mut Connection<T>,
        session: &mut Session,
        message: Message,
        properties: Vec<Property>,
    ) -> Result<(), Away>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let now = self.backend.clock.now();
        let packet_id = message.packet_id;
        let (hub, endpoint) = (session.hub.clone(), session.endpoint.clone());
        let event = event(&endpoint, message, properties, now)?;
        let mut writes = vec![HubWrite::AppendEvent(hub.clone(), Box::new(event))];
        if session.is_to_be_noted(now) {
            writes.push(HubWrite::NoteActivity(hub, endpoint, session.epoch, now));
        }
        self.write(writes).await?;
        acknowledge(connection, packet_id);
        Ok(())
    }

    /// Keeps what the session subscribed to, for the one that comes after it.
    async fn keep_subscriptions(&self, session: &Session) -> Result<(), Away> {
        let kept = session.to_keep();
        let (hub, endpoint) = (session.hub.clone(), session.endpoint.clone());
        let write = HubWrite::KeepSubscriptions(hub, endpoint, session.epoch, kept);
        self.write(vec![write]).await
    }

    /// Writes for a session that is the latest of its endpoint; one that is not has ended by that.
    async fn write(&self, writes: Vec<HubWrite>) -> Result<(), Away> {
        let committed = self
            .backend
            .store
            .commit(vec![Change::of_hub(writes)])
            .await;
        match committed.into_iter().next() {
            Some(Ok(())) => {
                self.feed.wake();
                Ok(())
            }
            Some(Err(CommitError::Changed(_) | CommitError::Absent(_))) => {
                Err(Away::Dismissed(Dismissal::EndedElsewhere))
            }
            Some(Err(error)) => Err(Away::NotKept(error)),
            None => Err(Away::NotKept(CommitError::Unavailable(
                "no answer".to_owned(),
            ))),
        }
    }

    /// Publishes what a device left for the case that it goes without a word.
    async fn publish_will(&self, session: &Session, will: Message) {
        let endpoint = &session.endpoint;
        let Some(Published::Event(mut properties)) = topics::published(&will.topic, endpoint)
        else {
            return;
        };
        properties.push(("iothub-MessageType".to_owned(), Some("Will".to_owned())));
        let now = self.backend.clock.now();
        if let Ok(event) = event(endpoint, will, properties, now) {
            let write = HubWrite::AppendEvent(session.hub.clone(), Box::new(event));
            if self.write(vec![write]).await.is_err() {
                tracing::warn!(device = %endpoint, "a will could not be kept");
            }
        }
    }

    /// Ends the session in the store, unless another has its place.
    async fn end(&self, session: &Session) {
        // Whoever reads that it is gone calls nobody any more.
        session.seated.leave();
        let now = self.backend.clock.now();
        let (hub, endpoint) = (session.hub.clone(), session.endpoint.clone());
        let event = life_cycle(&endpoint, EventKind::DeviceDisconnected, now);
        let writes = vec![
            HubWrite::CloseSession(hub.clone(), endpoint, session.epoch, now),
            HubWrite::AppendEvent(hub, Box::new(event)),
        ];
        if let Err(Away::NotKept(error)) = self.write(writes).await {
            let device = &session.endpoint;
            tracing::warn!(%device, %error, "the end of a session could not be kept");
        }
    }

    async fn take_message<T>(
        &self,
        connection: &mut Connection<T>,
        session: &mut Session,
        message: Message,
    ) -> Result<(), Away>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let published = topics::published(&message.topic, &session.endpoint);
        let published = published.ok_or_else(|| Away::Topic(message.topic.to_string()))?;
        if let Published::Event(properties) = published {
            return self.keep(connection, session, message, properties).await;
        }
        let now = self.backend.clock.now();
        let entropy = &*self.backend.entropy;
        let (store, relay) = (&*self.backend.store, &*self.relay);
        let registry = Registry::new(store, &session.hub, now, entropy, relay);
        let (request_id, answer) = match published {
            Published::TwinGet { request_id } => {
                let twin = registry.twin_of(&session.endpoint).await;
                (request_id, twin.map(|twin| Answer::twin(&twin)))
            }
            Published::Reported { request_id } => {
                let version = match reported_patch(&message.payload) {
                    Ok(patch) => registry.report(&session.endpoint, &patch).await,
                    Err(error) => Err(error),
                };
                (request_id, version.map(Answer::version))
            }
            Published::MethodAnswer { status, request_id } => {
                session.answered(&request_id, status, message.payload);
                acknowledge(connection, message.packet_id);
                return Ok(());
            }
            // Kept above.
            Published::Event(_) => return Ok(()),
        };
        acknowledge(connection, message.packet_id);
        let answer = answer.unwrap_or_else(|error| self.fault(&error, now));
        if let Some(delivery) = session.delivery(Subscription::TwinAnswers) {
            let topic = topics::twin_answer_topic(answer.status, &request_id, answer.version);
            connection.session().publish(topic, answer.body, delivery);
        }
        Ok(())
    }

    /// An error as the peer reads it; its cause goes to the log.
    fn fault(&self, error: &HubError, now: Timestamp) -> Answer {
        let tracking = TrackingId::draw(now, &*self.backend.entropy);
        super::report(error, &tracking);
        let (status, body) = fault::hub::over_mqtt(error, &tracking, now);
        Answer {
            status,
            version: None,
            body,
        }
    }
}

/// What became of a device or module, for those who follow the hub.
fn life_cycle(endpoint: &Endpoint, kind: EventKind, now: Timestamp) -> HubEvent {
    HubEvent {
        endpoint: endpoint.clone(),
        kind,
        enqueued: now,
        properties: Vec::new(),
        body: b"{}".to_vec(),
    }
}

/// A message as it is kept. The retain flag, which a hub does not act on, is told to readers.
///
/// Source: docs/protocol/hub-api.md §2.1 [D].
fn event(
    endpoint: &Endpoint,
    message: Message,
    mut properties: Vec<Property>,
    now: Timestamp,
) -> Result<HubEvent, Away> {
    if message.payload.len() > LARGEST_EVENT {
        return Err(Away::TooLarge(message.payload.len()));
    }
    if message.retain {
        properties.push(("mqtt-retain".to_owned(), Some("true".to_owned())));
    }
    Ok(HubEvent {
        endpoint: endpoint.clone(),
        kind: EventKind::Telemetry,
        enqueued: now,
        properties,
        body: message.payload.into(),
    })
}

fn acknowledge<T>(connection: &mut Connection<T>, packet_id: Option<std::num::NonZeroU16>)
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    if let Some(packet_id) = packet_id {
        connection.session().acknowledge(packet_id);
    }
}

/// An answer about a twin.
struct Answer {
    status: u16,
    version: Option<i64>,
    body: Vec<u8>,
}

impl Answer {
    fn twin(twin: &landfall_hub::twin::Twin) -> Self {
        Answer {
            status: 200,
            version: None,
            body: own_twin_json(twin).to_string().into_bytes(),
        }
    }

    fn version(version: i64) -> Self {
        Answer {
            status: 204,
            version: Some(version),
            body: Vec::new(),
        }
    }
}
