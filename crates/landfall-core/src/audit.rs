//! Who changed what: the author that a change carries, and the audit entry that is kept with it.
//!
//! Faces make an [`Origin`] of each request and an [`Author`] once they know who asks. The store
//! keeps a change that carries one together with its entries, in the same commit; a device's
//! changes carry none. What an entry shows of a record is [`record`]'s, which knows the secrets.

pub mod difference;
pub mod record;

use std::net::IpAddr;

use self::difference::Difference;
use crate::clock::{Entropy, Timestamp};
use crate::id::{HubHostName, IdScope, PolicyName, TrackingId};

/// By what right a change was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A shared access policy of a provisioning service.
    ServicePolicy(IdScope, PolicyName),
    /// A shared access policy of an embedded hub.
    HubPolicy(HubHostName, PolicyName),
    /// The token of the control plane.
    ControlToken,
    /// The server itself: what it founds when it starts.
    Server,
}

/// One request of an operator: where it came from, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// When it came.
    pub at: Timestamp,
    /// The address it came from; none when it came from no other process.
    pub address: Option<IpAddr>,
    /// Its public name. Several entries have it when one request changed several records.
    pub tracking_id: TrackingId,
}

impl Origin {
    /// The origin of what no other process asked for.
    pub fn own(at: Timestamp, entropy: &dyn Entropy) -> Self {
        Origin {
            at,
            address: None,
            tracking_id: TrackingId::draw(at, entropy),
        }
    }

    /// The author of what this request changes.
    pub fn author(&self, actor: Actor) -> Author {
        Author {
            actor,
            origin: self.clone(),
            bulk: false,
        }
    }
}

/// Whoever answers for a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// By what right.
    pub actor: Actor,
    /// From where, and when.
    pub origin: Origin,
    /// True when the change is one of many that one call asked for: they share an entry.
    pub bulk: bool,
}

impl Author {
    /// The server itself, at a time.
    pub fn server(at: Timestamp, entropy: &dyn Entropy) -> Self {
        Origin::own(at, entropy).author(Actor::Server)
    }

    /// This author, for a change that is one of many of the same call.
    pub fn of_bulk(&self) -> Self {
        Author {
            bulk: true,
            ..self.clone()
        }
    }
}

/// What was done to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It was made.
    Create,
    /// It was changed, or put again as it was.
    Update,
    /// It was removed.
    Delete,
}

/// What kind of record an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A provisioning service.
    Service,
    /// A shared access policy, of a service or of a hub.
    Policy,
    /// An individual enrollment.
    Enrollment,
    /// An enrollment group.
    Group,
    /// A CA certificate.
    Certificate,
    /// A registration.
    Registration,
    /// An embedded hub.
    Hub,
    /// A device's identity.
    Device,
    /// A module's identity.
    Module,
    /// The twin of a device or module.
    Twin,
}

/// Where the record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a provisioning service.
    Service(IdScope),
    /// On an embedded hub.
    Hub(HubHostName),
}

/// One change by an operator. `H` is what a hub's records look like.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry<H> {
    /// Who did it, when and from where.
    pub author: Author,
    /// Where.
    pub place: Place,
    /// What was done, to which records. More than one only for a call about many; then neither
    /// state is kept.
    pub what: Difference<H>,
    /// The ids of the records.
    pub subjects: Vec<String>,
}

/// Where an entry stands among all: by its time, then by its number within that microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The time of the entry.
    pub at: Timestamp,
    /// Which one of that time.
    pub number: i64,
}

impl Position {
    /// The position as one word: `1764239612000000-0`.
    pub fn to_word(self) -> String {
        format!("{}-{}", self.at.unix_micros(), self.number)
    }

    /// Reads the word back; `None` when it is none.
    pub fn parse(word: &str) -> Option<Self> {
        let (at, number) = word.rsplit_once('-')?;
        Some(Position {
            at: Timestamp::from_unix_micros(at.parse().ok()?),
            number: number.parse().ok().filter(|number| *number >= 0)?,
        })
    }
}

/// Which entries a listing gives, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// Not before this time.
    pub from: Option<Timestamp>,
    /// Before this time.
    pub to: Option<Timestamp>,
    /// Of records that stand here.
    pub place: Option<Place>,
    /// By this sort of actor.
    pub actor: Option<ActorKind>,
    /// By a policy of this name, whosever it is.
    pub policy: Option<PolicyName>,
    /// Of this action.
    pub action: Option<Action>,
    /// About this kind of record.
    pub kind: Option<Kind>,
    /// About the record with this id, compared without case; a device's id finds its modules too.
    pub id: Option<String>,
    /// From this address.
    pub address: Option<IpAddr>,
    /// Older than the entry that stands here.
    pub after: Option<Position>,
    /// Not older than the entry that stands here.
    pub down_to: Option<Position>,
    /// Without the newest ones, so many.
    pub skip: usize,
    /// At most this many.
    pub limit: usize,
}

/// The terms of a search that a store has an index for, each in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leading {
    /// [`Search::id`].
    Id,
    /// [`Search::place`].
    Place,
    /// [`Search::policy`].
    Policy,
    /// [`Search::address`].
    Address,
}

impl Search {
    /// The term that a store walks the trail by; it holds the others against each entry on that walk.
    /// Without one it walks the whole trail.
    pub fn leading(&self) -> Option<Leading> {
        [
            (self.id.is_some(), Leading::Id),
            (self.place.is_some(), Leading::Place),
            (self.policy.is_some(), Leading::Policy),
            (self.address.is_some(), Leading::Address),
        ]
        .into_iter()
        .find(|(said, _)| *said)
        .map(|(_, term)| term)
    }

    /// The entries that a store walks over for this search: those of its leading term and its times.
    /// None when the search finds every one of them.
    pub fn walk(&self) -> Option<Search> {
        let mut walk = Search {
            from: self.from,
            to: self.to,
            after: self.after,
            down_to: self.down_to,
            skip: self.skip,
            limit: self.limit,
            ..Search::default()
        };
        match self.leading() {
            Some(Leading::Id) => walk.id.clone_from(&self.id),
            Some(Leading::Place) => walk.place.clone_from(&self.place),
            Some(Leading::Policy) => walk.policy.clone_from(&self.policy),
            Some(Leading::Address) => walk.address = self.address,
            None => {}
        }
        (walk != *self).then_some(walk)
    }
}

/// The sorts of [`Actor`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// See [`Actor::ServicePolicy`].
    ServicePolicy,
    /// See [`Actor::HubPolicy`].
    HubPolicy,
    /// See [`Actor::ControlToken`].
    ControlToken,
    /// See [`Actor::Server`].
    Server,
}

impl Actor {
    /// Which sort of actor it is.
    pub fn kind(&self) -> ActorKind {
        match self {
            Actor::ServicePolicy(..) => ActorKind::ServicePolicy,
            Actor::HubPolicy(..) => ActorKind::HubPolicy,
            Actor::ControlToken => ActorKind::ControlToken,
            Actor::Server => ActorKind::Server,
        }
    }

    /// The policy, when it is one.
    pub fn policy(&self) -> Option<&PolicyName> {
        match self {
            Actor::ServicePolicy(_, policy) | Actor::HubPolicy(_, policy) => Some(policy),
            Actor::ControlToken | Actor::Server => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_one_word_and_reads_back() {
        for (at, number, word) in [
            (1_764_239_612_000_000, 0, "1764239612000000-0"),
            (-5, 12, "-5-12"),
        ] {
            let position = Position {
                at: Timestamp::from_unix_micros(at),
                number,
            };
            assert_eq!(position.to_word(), word);
            assert_eq!(Position::parse(word), Some(position));
        }
        for wrong in [
            "",
            "-",
            "5",
            "5-",
            "-5",
            "5-x",
            "5--1",
            "9999999999999999999-0",
        ] {
            assert_eq!(Position::parse(wrong), None, "{wrong}");
        }
    }
}
