//! Messages from the cloud to a device or module: what is queued until the endpoint takes it, how often it is
//! tried, and when it is given up. How messages travel is not told here.
//!
//! Source: docs/protocol/hub-api.md §2.1 [D].

use std::time::Duration;

use landfall_core::clock::Timestamp;

/// Most messages that wait for one endpoint.
pub const MOST_QUEUED: usize = 50;

/// How often a message is delivered at most.
pub const MOST_DELIVERIES: u32 = 10;

/// How long a message that was taken over HTTPS stays locked.
///
/// Source: docs/protocol/hub-api.md §2.1 [D].
pub const LOCKED_FOR: Duration = Duration::from_secs(60);

/// A message that waits for an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudMessage {
    /// Its number among the messages of its hub; grows, and none is ever given twice. Zero until the store gave it.
    pub sequence: i64,
    /// The sender's name for it.
    pub message_id: Option<String>,
    /// What it answers, or belongs to.
    pub correlation_id: Option<String>,
    /// Whom it is from, in the sender's words.
    pub user_id: Option<String>,
    /// What the body is.
    pub content_type: Option<String>,
    /// How the body's text is encoded.
    pub content_encoding: Option<String>,
    /// What the sender wants to hear of it.
    pub ack: Ack,
    /// When the hub took it.
    pub enqueued: Timestamp,
    /// When it is of no use any more.
    pub expires: Timestamp,
    /// How often it was delivered so far.
    pub delivery_count: u32,
    /// The sender's own names and values.
    pub properties: Vec<(String, Option<String>)>,
    /// The sender's bytes.
    pub body: Vec<u8>,
}

impl CloudMessage {
    /// Whether it still is to be delivered at `now`.
    pub fn waits(&self, now: Timestamp) -> bool {
        self.expires > now && self.delivery_count < MOST_DELIVERIES
    }
}

/// Names a delivery of a message: while it is locked, only who has this says what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lock {
    /// The number of the message.
    pub sequence: i64,
    /// Which of its deliveries: the first is 1.
    pub delivery: u32,
}

impl Lock {
    /// The lock of a message as it was just delivered.
    pub fn of(message: &CloudMessage) -> Self {
        Lock {
            sequence: message.sequence,
            delivery: message.delivery_count,
        }
    }
}

/// What an endpoint says of a message that it locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement {
    /// It has it: the message is done.
    Complete,
    /// It never wants it: the message is done, and was no success.
    Reject,
    /// It could not take it now: the message waits again.
    Abandon,
}

/// What the sender of a message wants to hear of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ack {
    /// Nothing.
    #[default]
    None,
    /// That it was completed.
    Positive,
    /// That it was not.
    Negative,
    /// Either.
    Full,
}
