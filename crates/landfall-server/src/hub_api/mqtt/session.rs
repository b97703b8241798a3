//! What a session holds while it lasts: its seat, what it subscribed to, the methods it carries out and the
//! messages that it has yet to complete. Nothing here awaits.

use std::collections::HashMap;
use std::num::NonZeroU16;

use bytes::Bytes;
use landfall_core::clock::Timestamp;
use landfall_core::id::HubHostName;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::kept_session::{KeptSubscription, Opened};
use landfall_wire::mqtt::hub::{self as topics, Subscription};
use landfall_wire::mqtt::session::Delivery;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::oneshot;

use super::NOTED_EVERY;
use crate::connection::mqtt::Connection;
use crate::relay::{Called, Push, Seated};

/// Most methods that one session carries out at the same time.
const MOST_METHODS: usize = 32;

/// A device or module that was let in.
pub(super) struct Session {
    pub(super) hub: HubHostName,
    pub(super) endpoint: Endpoint,
    pub(super) seated: Seated,
    /// Which of the endpoint's sessions it is.
    pub(super) epoch: i64,
    resumed: bool,
    subscribed: Vec<(String, Subscription, Delivery)>,
    /// Methods that it is carrying out, by the id that it answers with.
    methods: HashMap<String, oneshot::Sender<(i64, Bytes)>>,
    last_method: u64,
    /// Messages that were sent and are not acknowledged, by what will acknowledge them.
    pub(super) sent: HashMap<NonZeroU16, i64>,
    /// The number of the last message that was sent.
    pub(super) last_sent: i64,
    noted: Timestamp,
}

impl Session {
    /// A session that begins. What the last one left is taken up: clients do not subscribe again by
    /// themselves.
    ///
    /// Source: docs/protocol/hub-api.md §0 rule 5 [S].
    pub(super) fn new(
        hub: HubHostName,
        endpoint: Endpoint,
        seated: Seated,
        opened: Opened,
        now: Timestamp,
    ) -> Self {
        seated.opened(opened.epoch);
        let mut session = Session {
            hub,
            endpoint,
            seated,
            epoch: opened.epoch,
            resumed: opened.subscriptions.is_some(),
            subscribed: Vec::new(),
            methods: HashMap::new(),
            last_method: 0,
            sent: HashMap::new(),
            last_sent: 0,
            noted: now,
        };
        for kept in opened.subscriptions.into_iter().flatten() {
            session.subscribe(&kept.filter, granted(kept.qos));
        }
        session
    }

    /// Whether it goes on with what an earlier session left.
    pub(super) fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Takes a subscription; gives how it is delivered, `None` when the hub has no such topic.
    pub(super) fn subscribe(&mut self, filter: &str, delivery: Delivery) -> Option<Delivery> {
        let subscription = topics::subscription(filter, &self.endpoint)?;
        self.subscribed.retain(|(known, ..)| known != filter);
        self.subscribed
            .push((filter.to_owned(), subscription, delivery));
        self.tell_of_methods();
        Some(delivery)
    }

    /// Takes a subscription back.
    pub(super) fn unsubscribe(&mut self, filter: &str) {
        self.subscribed.retain(|(known, ..)| known != filter);
        self.tell_of_methods();
    }

    /// How what belongs to a subscription is delivered; `None` when it did not subscribe to that.
    pub(super) fn delivery(&self, to: Subscription) -> Option<Delivery> {
        let mut subscribed = self.subscribed.iter();
        subscribed
            .find_map(|(_, subscription, delivery)| (*subscription == to).then_some(*delivery))
    }

    /// What it subscribed to, as it is kept.
    pub(super) fn to_keep(&self) -> Vec<KeptSubscription> {
        let subscribed = self.subscribed.iter();
        subscribed
            .map(|(filter, _, delivery)| KeptSubscription {
                filter: filter.clone(),
                qos: match delivery {
                    Delivery::AtMostOnce => 0,
                    Delivery::AtLeastOnce => 1,
                },
            })
            .collect()
    }

    /// Whether it is time to note that it was heard of.
    pub(super) fn is_to_be_noted(&mut self, now: Timestamp) -> bool {
        let is_due = now.since(self.noted) >= NOTED_EVERY;
        if is_due {
            self.noted = now;
        }
        is_due
    }

    fn tell_of_methods(&self) {
        self.seated
            .takes_methods(self.delivery(Subscription::Methods).is_some());
    }

    /// Sends what came by the relay, when the peer listens to such; says whether messages wait for it.
    pub(super) fn send<T>(&mut self, connection: &mut Connection<T>, push: Push) -> bool
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        match push {
            Push::Desired(told) => {
                let (version, change) = *told;
                if let Some(delivery) = self.delivery(Subscription::Desired) {
                    let topic = topics::desired_topic(version);
                    connection.session().publish(topic, change, delivery);
                }
                false
            }
            Push::Method(called) => {
                self.carry_out(connection, *called);
                false
            }
            Push::Messages => true,
        }
    }

    fn carry_out<T>(&mut self, connection: &mut Connection<T>, called: Called)
    where
        T: AsyncRead + AsyncWrite + Unpin,
    {
        // Whoever called may have given up meanwhile.
        self.methods.retain(|_, answer| !answer.is_closed());
        let Some(delivery) = self.delivery(Subscription::Methods) else {
            return;
        };
        if self.methods.len() >= MOST_METHODS {
            return;
        }
        self.last_method += 1;
        let topic = topics::method_topic(&called.name, self.last_method);
        connection
            .session()
            .publish(topic, called.payload, delivery);
        let id = format!("{:x}", self.last_method);
        self.methods.insert(id, called.answer);
    }

    /// Passes on what came of a method. An answer that nobody waits for is none.
    pub(super) fn answered(&mut self, request_id: &str, status: i64, payload: Bytes) {
        if let Some(answer) = self.methods.remove(request_id) {
            let _ = answer.send((status, payload));
        }
    }
}

fn granted(qos: u8) -> Delivery {
    if qos == 0 {
        Delivery::AtMostOnce
    } else {
        Delivery::AtLeastOnce
    }
}
