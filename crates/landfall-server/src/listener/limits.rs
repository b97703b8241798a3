//! How many connections, how long, how large: bounds of one server, and the slots that keep them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::metrics::connections::ConnectionCounts;
use crate::tls::Issuers;

/// Bounds of a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most connections at once.
    pub connections: usize,
    /// Most connections of one address at once.
    pub connections_per_address: usize,
    /// A TLS handshake ends within this span.
    pub handshake: Duration,
    /// A request's head arrives within this span; a kept connection may idle as long.
    pub idle: Duration,
    /// A request's body arrives within this span; a peer that reads nothing of a reply for as long is
    /// cut off.
    pub body: Duration,
    /// Largest request head, in bytes.
    pub head: usize,
    /// How long running requests may take to end when the server stops.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections: 16_000,
            connections_per_address: 8_000,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(120),
            body: Duration::from_secs(30),
            head: 64 * 1024,
            drain: Duration::from_secs(10),
        }
    }
}

/// Open files that are not connections: the database, listeners, logs, and some to spare.
pub const OTHER_FILES: usize = 128;

impl Limits {
    /// The same bounds with no more connections than this process may open files for, saying so in
    /// the log. A server out of files can neither accept nor read its own database.
    #[must_use]
    pub fn within_open_files(self) -> Self {
        let fitting = self.fitting();
        if fitting != self {
            tracing::warn!(
                "this process may open {} files: {} connections are taken at once instead of {}. Raise the limit with `ulimit -n`, or LimitNOFILE= in a systemd unit.",
                fitting.connections + OTHER_FILES,
                fitting.connections,
                self.connections
            );
        }
        fitting
    }

    /// How many files this process may open, when that can be read.
    pub fn open_files() -> Option<usize> {
        let text = std::fs::read_to_string("/proc/self/limits").ok()?;
        most_open_files(&text)
    }

    /// The same without a word, for a server that few call.
    #[must_use]
    pub fn fitting(self) -> Self {
        match Self::open_files() {
            Some(files) if self.connections + OTHER_FILES > files => {
                let connections = files.saturating_sub(OTHER_FILES).max(1);
                Limits {
                    connections,
                    connections_per_address: self.connections_per_address.min(connections),
                    ..self
                }
            }
            Some(_) | None => self,
        }
    }
}

/// The soft limit of open files in the text that Linux gives of a process's limits.
pub fn most_open_files(text: &str) -> Option<usize> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// The slots that connections take. Cloning gives another handle to the same slots.
#[derive(Debug, Clone)]
pub struct Slots {
    limits: Limits,
    taken: Arc<Mutex<Taken>>,
    counts: Arc<ConnectionCounts>,
    issuers: Arc<Issuers>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's slot; dropping it gives the slot back.
#[derive(Debug)]
pub struct Slot {
    address: IpAddr,
    slots: Slots,
}

impl Slots {
    /// Makes empty slots.
    pub fn new(limits: Limits) -> Self {
        Slots {
            limits,
            taken: Arc::default(),
            counts: Arc::default(),
            issuers: Arc::default(),
        }
    }

    /// The bounds that the slots keep.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What is counted of the connections.
    pub fn counts(&self) -> &ConnectionCounts {
        &self.counts
    }

    /// How many slots are taken.
    pub fn taken(&self) -> usize {
        self.lock().all
    }

    /// Takes a slot for a connection from `address`; `None` when a bound is met.
    pub fn take(&self, address: IpAddr) -> Option<Slot> {
        let mut taken = self.lock();
        let here = taken.by_address.get(&address).copied().unwrap_or(0);
        if taken.all >= self.limits.connections || here >= self.limits.connections_per_address {
            return None;
        }
        taken.all += 1;
        taken.by_address.insert(address, here + 1);
        Some(Slot {
            address,
            slots: self.clone(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The bounds that the connection keeps.
    pub(super) fn limits(&self) -> Limits {
        self.slots.limits
    }

    /// What is counted of all connections.
    pub(super) fn counts(&self) -> &ConnectionCounts {
        &self.slots.counts
    }

    /// The certificates above the leaf that were shown over any of them.
    pub(super) fn issuers(&self) -> &Issuers {
        &self.slots.issuers
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some(here) = taken.by_address.get_mut(&self.address) {
            *here -= 1;
            if *here == 0 {
                taken.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_read_and_kept() {
        let text = "Limit                     Soft Limit           Hard Limit           Units\n\
            Max processes             95012                95012                processes\n\
            Max open files            1024                 1048576              files\n";
        assert_eq!(most_open_files(text), Some(1024));
        assert_eq!(
            most_open_files("Max open files unlimited unlimited files"),
            None
        );
        assert_eq!(most_open_files(""), None);
        let greedy = Limits {
            connections: usize::MAX - OTHER_FILES,
            connections_per_address: 5,
            ..Limits::default()
        };
        let kept = greedy.within_open_files();
        assert!(kept.connections < greedy.connections, "{kept:?}");
        assert_eq!(kept.connections_per_address, 5);
        let modest = Limits {
            connections: 1,
            ..greedy
        };
        assert_eq!(modest.within_open_files(), modest);
    }

    #[test]
    fn one_address_cannot_take_every_slot_and_gives_back_what_it_took() {
        let slots = Slots::new(Limits {
            connections: 3,
            connections_per_address: 2,
            ..Limits::default()
        });
        let (a, b): (IpAddr, IpAddr) = ([127, 0, 0, 1].into(), [127, 0, 0, 2].into());
        let held = [slots.take(a), slots.take(a)];
        assert!(held.iter().all(Option::is_some));
        assert!(slots.take(a).is_none());
        let other = slots.take(b);
        assert!(other.is_some());
        assert!(slots.take([127, 0, 0, 3].into()).is_none());
        drop(held);
        assert!(slots.take(a).is_some());
    }

    #[test]
    fn connections_know_the_issuers_that_others_showed() {
        let slots = Slots::new(Limits::default());
        let (one, other) = (slots.take([127, 0, 0, 1].into()), slots.clone());
        let other = other.take([127, 0, 0, 2].into()).expect("a slot");
        assert!(std::ptr::eq(
            one.expect("a slot").issuers(),
            other.issuers()
        ));
    }
}
