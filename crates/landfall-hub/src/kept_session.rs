//! What is kept of the sessions of devices and modules: who has the latest, since when, and what it subscribed
//! to. What a session does while it lasts is not told here.
//!
//! Each session of an endpoint has an epoch, greater than that of any session before it. Whoever writes for a session
//! names its epoch, and is refused once there is a later one: so of two sessions, on whatever servers, one counts.

use landfall_core::clock::Timestamp;

/// How a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSession {
    /// When.
    pub opened: Timestamp,
    /// Whether it leaves nothing to the next, and takes nothing of the last.
    pub clean: bool,
}

/// What a new session is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Its epoch.
    pub epoch: i64,
    /// The subscriptions that the last session left to it; nothing when either is clean, or there was none.
    pub subscriptions: Option<Vec<KeptSubscription>>,
    /// The session that it ends, which was open until now.
    pub displaced: Option<Displaced>,
}

/// A session that another has taken the place of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Displaced {
    /// Its epoch.
    pub epoch: i64,
    /// The server it was on; empty where there is only one.
    pub node: String,
}

/// One topic filter of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSubscription {
    /// The filter.
    pub filter: String,
    /// The quality of service that was granted.
    pub qos: u8,
}

/// The latest session of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSession {
    /// Its epoch.
    pub epoch: i64,
    /// The server it is on, or was; empty where there is only one.
    pub node: String,
    /// Whether it is open.
    pub connected: bool,
    /// Whether it leaves nothing to the next.
    pub clean: bool,
    /// When it began.
    pub opened: Timestamp,
    /// When it began or ended, whichever was last.
    pub changed: Timestamp,
    /// When its endpoint was last heard of.
    pub last_activity: Timestamp,
    /// What it subscribed to.
    pub subscriptions: Vec<KeptSubscription>,
}
