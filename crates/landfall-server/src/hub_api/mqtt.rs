//! Sessions of devices and modules on an embedded hub, over MQTT: who is let in, what they ask of their twin,
//! what the hub sends them, and how it ends.
//!
//! Source: docs/protocol/hub-api.md §2.1.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use landfall_core::clock::Timestamp;
use landfall_core::id::{HubHostName, TrackingId};
use landfall_core::sas::{LEEWAY, SasToken};
use landfall_core::store::CommitError;
use landfall_core::trace::{Finding, Stage};
use landfall_hub::access::endpoint::{Identity, Proof, Refusal, admit};
use landfall_hub::device::Hub;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::error::HubError;
use landfall_hub::event::{EventKind, HubEvent};
use landfall_hub::registry::Registry;
use landfall_hub::store::HubStore;
use landfall_wire::fault;
use landfall_wire::hub::{own_twin_json, reported_patch};
use landfall_wire::mqtt::hub::{self as topics, Named, Property, Published, Subscription, Unnamed};
use landfall_wire::mqtt::provisioning;
use landfall_wire::mqtt::session::{Connecting, Delivery, Event, Message, Refused};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::pick;
use crate::backend::Backend;
use crate::connection::Link;
use crate::connection::mqtt::{Connection, Ended};
use crate::feed::Feed;
use crate::relay::{Called, Push, Relay, Seated, Subscriptions};
use crate::telemetry::{Attempt, Traces};
use crate::time;

/// The largest message of a device, in bytes; its topic and its head come on top.
///
/// Source: docs/protocol/hub-api.md §2.1 [D].
const LARGEST_MESSAGE: usize = 256 * 1024;
/// What a packet may hold beside its message.
const AROUND_A_MESSAGE: usize = 64 * 1024;
/// Most methods that one session carries out at the same time.
const MOST_METHODS: usize = 32;

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

/// A device or module that was let in.
struct Session {
    hub: HubHostName,
    endpoint: Endpoint,
    seated: Seated,
    /// Whether nothing of it is kept.
    is_clean: bool,
    subscribed: Subscriptions,
    /// Methods that it is carrying out, by the id that it answers with.
    methods: HashMap<String, oneshot::Sender<(i64, Bytes)>>,
    last_method: u64,
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
    /// Another connection has its place, or an operator changed or removed it.
    Dismissed,
}

impl From<Ended> for Away {
    fn from(ended: Ended) -> Self {
        Away::Ended(ended)
    }
}

/// Why a peer is turned away: what it is told, and why for the operator.
struct TurnedAway {
    refused: Refused,
    finding: Finding,
}

impl<S: HubStore> HubDevices<S> {
    /// Serves a device or module that has just asked to be let in, to the end of its connection.
    pub async fn answer_mqtt<T>(
        &self,
        mut connection: Connection<T>,
        connecting: Connecting,
        link: &Link,
    ) where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        match self.let_in(&connecting, link).await {
            Ok((mut session, until)) => {
                let endpoint = session.endpoint.clone();
                let hub = session.hub.clone();
                let present = session.resume();
                self.tell(&hub, &endpoint, EventKind::DeviceConnected).await;
                connection.accept(LARGEST_MESSAGE + AROUND_A_MESSAGE, present);
                if let Err(away) = self.serve(&mut connection, session, until).await {
                    self.note(&away, &endpoint, link);
                    if let Some(will) = connecting.will {
                        self.publish_will(&hub, &endpoint, will).await;
                    }
                }
                self.tell(&hub, &endpoint, EventKind::DeviceDisconnected)
                    .await;
            }
            Err(turned_away) => {
                connection.session().refuse(turned_away.refused);
                let finding = turned_away.finding;
                self.trace(link, &connecting.client_id, &finding, &finding.seen);
            }
        }
        connection.close().await;
    }

    /// Finds the hub and the identity, and holds the proof against it.
    async fn let_in(
        &self,
        connecting: &Connecting,
        link: &Link,
    ) -> Result<(Session, Option<Timestamp>), TurnedAway> {
        let named = topics::named(connecting).map_err(TurnedAway::unnamed)?;
        let now = self.backend.clock.now();
        let store = &self.backend.store;
        let unavailable =
            |error: landfall_core::store::ReadError| TurnedAway::unavailable(&error.0);
        let hubs = store.hubs().await.map_err(unavailable)?;
        let host = named.host.split(':').next().unwrap_or_default();
        let hub = pick(&hubs, host, None).ok_or_else(|| TurnedAway::no_hub(&named.host))?;
        let until = self
            .admitted(hub, &named, host, connecting, link, now)
            .await
            .map_err(unavailable)?
            .map_err(|refusal| TurnedAway::refused(&refusal))?;
        let session = Session {
            hub: hub.host_name.clone(),
            seated: self.relay.seat(&hub.host_name, &named.endpoint),
            endpoint: named.endpoint,
            is_clean: connecting.clean_session,
            subscribed: Subscriptions::new(),
            methods: HashMap::new(),
            last_method: 0,
        };
        Ok((session, until))
    }

    async fn admitted(
        &self,
        hub: &Hub,
        named: &Named,
        host: &str,
        connecting: &Connecting,
        link: &Link,
        now: Timestamp,
    ) -> Result<Result<Option<Timestamp>, Refusal>, landfall_core::store::ReadError> {
        let (store, endpoint) = (&self.backend.store, &named.endpoint);
        let Some(device) = store.device(&hub.host_name, &endpoint.device).await? else {
            return Ok(Err(Refusal::NotThere));
        };
        let module = match &endpoint.module {
            None => None,
            Some(id) => match store.module(&hub.host_name, &endpoint.device, id).await? {
                None => return Ok(Err(Refusal::NotThere)),
                module => module,
            },
        };
        let password = connecting.password.as_deref().map(String::from_utf8_lossy);
        let proof = Proof {
            token: password.as_deref().map(SasToken::parse),
            certificate: link.chain.first().and_then(|leaf| leaf.as_ref().ok()),
        };
        let identity = Identity {
            device: &device,
            module: module.as_ref(),
        };
        Ok(admit(hub, identity, endpoint, host, &proof, now))
    }

    /// Serves a session until it ends.
    async fn serve<T>(
        &self,
        connection: &mut Connection<T>,
        mut session: Session,
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
        loop {
            tokio::select! {
                event = connection.next() => {
                    if self.take(connection, &mut session, event?).await? {
                        return Ok(());
                    }
                }
                push = session.seated.inbox.recv() => {
                    let push = push.ok_or(Away::Dismissed)?;
                    session.send(connection, push);
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
                connection.session().granted(packet_id, &granted);
            }
            Event::Unsubscribe(filters) => {
                filters
                    .iter()
                    .for_each(|filter| session.unsubscribe(filter));
            }
            Event::Message(message) => self.take_message(connection, session, message).await?,
            // Nothing is sent yet that would be sent again. The session lets in once.
            Event::Acknowledged(_) | Event::Connect(_) => {}
            Event::Disconnect => return Ok(true),
        }
        Ok(false)
    }

    /// Keeps messages to the cloud, and acknowledges them once they are kept.
    async fn keep<T>(
        &self,
        connection: &mut Connection<T>,
        session: &Session,
        messages: Vec<(Message, Vec<Property>)>,
    ) -> Result<(), Away>
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        let now = self.backend.clock.now();
        let mut events = Vec::with_capacity(messages.len());
        let mut waiting = Vec::with_capacity(messages.len());
        for (message, properties) in messages {
            waiting.extend(message.packet_id);
            events.push(event(&session.endpoint, message, properties, now)?);
        }
        self.feed
            .append(&*self.backend.store, &session.hub, events)
            .await
            .map_err(Away::NotKept)?;
        for packet_id in waiting {
            connection.session().acknowledge(packet_id);
        }
        Ok(())
    }

    /// Publishes what a device left for the case that it goes without a word.
    async fn publish_will(&self, hub: &HubHostName, endpoint: &Endpoint, will: Message) {
        let Some(Published::Event(mut properties)) = topics::published(&will.topic, endpoint)
        else {
            return;
        };
        properties.push(("iothub-MessageType".to_owned(), Some("Will".to_owned())));
        let Ok(event) = event(endpoint, will, properties, self.backend.clock.now()) else {
            return;
        };
        let kept = self
            .feed
            .append(&*self.backend.store, hub, vec![event])
            .await;
        if let Err(error) = kept {
            tracing::warn!(device = %endpoint, %error, "a will could not be kept");
        }
    }

    /// Tells those who follow the hub what became of a device or module.
    async fn tell(&self, hub: &HubHostName, endpoint: &Endpoint, kind: EventKind) {
        let event = HubEvent {
            endpoint: endpoint.clone(),
            kind,
            enqueued: self.backend.clock.now(),
            properties: Vec::new(),
            body: b"{}".to_vec(),
        };
        let kept = self
            .feed
            .append(&*self.backend.store, hub, vec![event])
            .await;
        if let Err(error) = kept {
            tracing::warn!(device = %endpoint, %error, "a life-cycle event could not be kept");
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
            return self
                .keep(connection, session, vec![(message, properties)])
                .await;
        }
        let now = self.backend.clock.now();
        let entropy = &*self.backend.entropy;
        let registry = Registry::new(&*self.backend.store, &session.hub, now, entropy);
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
        if let Some(delivery) = session.subscribed.get(&Subscription::TwinAnswers) {
            let topic = topics::twin_answer_topic(answer.status, &request_id, answer.version);
            connection.session().publish(topic, answer.body, *delivery);
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

    /// Says why a session ended: what its peer did wrong in a trace, all else in the log.
    fn note(&self, away: &Away, endpoint: &Endpoint, link: &Link) {
        let peer = link.peer;
        let id = endpoint.to_string();
        match away {
            Away::Topic(topic) => {
                let seen: String = topic.escape_debug().take(128).collect();
                let finding = Finding::new(
                    "hub.topic",
                    "the topics that the hub has for this device or module",
                    seen,
                    "Compare with docs/protocol/hub-api.md §2.1: ids are told by case, and a device has none of another's topics.",
                );
                self.trace(link, &id, &finding, "a topic that the hub does not have");
            }
            Away::TooLarge(size) => {
                let finding = Finding::new(
                    "hub.message_size",
                    format!("messages of {LARGEST_MESSAGE} bytes at most"),
                    format!("one of {size} bytes"),
                    "Send less at once, or in several messages.",
                );
                self.trace(link, &id, &finding, "a message that is too large");
            }
            Away::NotKept(error) => {
                tracing::error!(%peer, device = %id, %error, "session ended: what it sent could not be kept, and was not acknowledged");
            }
            Away::Ended(Ended::Broken(broken)) => {
                tracing::info!(%peer, device = %id, "session ended: {broken}");
            }
            Away::Ended(Ended::Failed(error)) => {
                tracing::debug!(%peer, device = %id, %error, "session broke off");
            }
            Away::Ended(Ended::Gone | Ended::Stopping) => {}
            Away::Expired => {
                tracing::info!(%peer, device = %id, "session ended: its token expired");
            }
            Away::Dismissed => {
                tracing::info!(%peer, device = %id, "session ended: another connection has its place, it was changed or removed, or it did not read");
            }
        }
    }

    /// Keeps the trace of a peer that was turned away, or whose session ended for a fault of its own.
    fn trace(&self, link: &Link, client_id: &str, finding: &Finding, outcome: &str) {
        let now = self.backend.clock.now();
        let tracking_id = TrackingId::draw(now, &*self.backend.entropy);
        let mut attempt = Attempt::begin(
            tracking_id,
            link.protocol.word(),
            link.peer.to_string(),
            now,
        );
        attempt.asked("connect to the hub", "", client_id);
        attempt.stop(Stage::Request, finding);
        attempt.end(format!("connection closed: {outcome}"));
        self.traces.keep(attempt);
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
    if message.payload.len() > LARGEST_MESSAGE {
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

impl Session {
    /// Takes up what was kept; says whether anything was. Clients do not subscribe again by themselves.
    ///
    /// Source: docs/protocol/hub-api.md §0 rule 5 [S].
    fn resume(&mut self) -> bool {
        let kept = self.seated.kept(self.is_clean);
        let present = kept.is_some();
        self.subscribed = kept.unwrap_or_default();
        self.seated.subscribed(&self.subscribed, self.is_clean);
        present
    }

    /// Takes a subscription; gives how it is delivered, `None` when the hub has no such topic.
    fn subscribe(&mut self, filter: &str, delivery: Delivery) -> Option<Delivery> {
        let subscription = topics::subscription(filter, &self.endpoint)?;
        self.subscribed.insert(subscription, delivery);
        self.seated.subscribed(&self.subscribed, self.is_clean);
        Some(delivery)
    }

    fn unsubscribe(&mut self, filter: &str) {
        if let Some(subscription) = topics::subscription(filter, &self.endpoint) {
            self.subscribed.remove(&subscription);
            self.seated.subscribed(&self.subscribed, self.is_clean);
        }
    }

    /// Sends what came by the relay, when the peer listens to such.
    fn send<T>(&mut self, connection: &mut Connection<T>, push: Push)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        match push {
            Push::Desired(version, change) => {
                if let Some(delivery) = self.subscribed.get(&Subscription::Desired) {
                    let topic = topics::desired_topic(version);
                    connection.session().publish(topic, change, *delivery);
                }
            }
            Push::Method(called) => self.carry_out(connection, called),
        }
    }

    fn carry_out<T>(&mut self, connection: &mut Connection<T>, called: Called)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        // Whoever called may have given up meanwhile.
        self.methods.retain(|_, answer| !answer.is_closed());
        let Some(delivery) = self.subscribed.get(&Subscription::Methods) else {
            return;
        };
        if self.methods.len() >= MOST_METHODS {
            return;
        }
        self.last_method += 1;
        let topic = topics::method_topic(&called.name, self.last_method);
        connection
            .session()
            .publish(topic, called.payload, *delivery);
        self.methods
            .insert(format!("{:x}", self.last_method), called.answer);
    }

    /// Passes on what came of a method. An answer that nobody waits for is none.
    fn answered(&mut self, request_id: &str, status: i64, payload: Bytes) {
        if let Some(answer) = self.methods.remove(request_id) {
            let _ = answer.send((status, payload));
        }
    }
}

impl TurnedAway {
    fn unnamed(unnamed: Unnamed) -> Self {
        TurnedAway {
            refused: unnamed.refusal(),
            finding: Finding::new(
                "hub.user_name",
                "{hub}/{device id}[/{module id}]/?api-version=…, and the ids as client id",
                unnamed.to_string(),
                "Compare client id and user name with docs/protocol/hub-api.md §2.1; ids are told by case.",
            ),
        }
    }

    fn no_hub(host: &str) -> Self {
        let seen: String = host.escape_debug().take(128).collect();
        TurnedAway {
            refused: Refused::NotAuthorized,
            finding: Finding::new(
                "hub.host",
                "the host name of a hub of this server",
                seen,
                "Connect to the assigned hub, by the name that the registration gave.",
            ),
        }
    }

    fn refused(refusal: &Refusal) -> Self {
        TurnedAway {
            refused: Refused::NotAuthorized,
            finding: Finding::new(
                "hub.credential",
                "an enabled device or module of this hub, and its own credential",
                refusal.to_string(),
                "`landfall hub device show ID --keys` tells what the hub asks for. A device that was provisioned connects with the credential it registered with.",
            ),
        }
    }

    fn unavailable(cause: &str) -> Self {
        tracing::error!(
            cause,
            "a device could not be let in: the database does not answer"
        );
        TurnedAway {
            refused: Refused::Unavailable,
            finding: Finding::new(
                "store.unavailable",
                "a database that answers",
                "the database did not answer",
                "See the server's log and /readyz.",
            ),
        }
    }
}
