//! Who is let in to a hub: which hub is meant, who it is, whether its proof holds, and what was kept for it.

use landfall_core::clock::Timestamp;
use landfall_core::sas::SasToken;
use landfall_core::store::{Change, CommitError, ReadError};
use landfall_core::trace::Finding;
use landfall_hub::access::endpoint::{Proof, Refusal};
use landfall_hub::device::Hub;
use landfall_hub::event::EventKind;
use landfall_hub::kept_session::{NewSession, Opened};
use landfall_hub::store::{HubAnswer, HubStore, HubWrite};
use landfall_wire::mqtt::hub::{self as topics, Named, Unnamed};
use landfall_wire::mqtt::session::{Connecting, Refused};

use super::session::Session;
use super::{HubDevices, life_cycle, pick};
use crate::connection::Link;
use crate::hub_api::admission;

/// Why a peer is turned away: what it is told, and why for the operator.
pub(super) struct TurnedAway {
    pub(super) refused: Refused,
    pub(super) finding: Finding,
}

impl<S: HubStore> HubDevices<S> {
    /// Finds the hub and the identity, and holds the proof against it.
    pub(super) async fn let_in(
        &self,
        connecting: &Connecting,
        link: &Link,
    ) -> Result<(Box<Session>, Option<Timestamp>), TurnedAway> {
        let named = topics::named(connecting).map_err(TurnedAway::unnamed)?;
        let now = self.backend.clock.now();
        let store = &self.backend.store;
        let unavailable = |error: ReadError| TurnedAway::unavailable(&error.0);
        let hubs = store.hubs().await.map_err(unavailable)?;
        let host = named.host.split(':').next().unwrap_or_default();
        let hub = pick(&hubs, host, None).ok_or_else(|| TurnedAway::no_hub(&named.host))?;
        let until = self
            .admitted(hub, &named, host, connecting, link, now)
            .await
            .map_err(unavailable)?
            .map_err(|refusal| TurnedAway::refused(&refusal))?;
        let clean = connecting.clean_session;
        // The seat comes first: from here on nothing that is pushed is missed.
        let seated = self.relay.seat(&hub.host_name, &named.endpoint);
        let opened = self.open(hub, &named, clean, now).await;
        let opened = opened.map_err(|error| match error {
            CommitError::Absent(_) => TurnedAway::refused(&Refusal::NotThere),
            other => TurnedAway::unavailable(&other.to_string()),
        })?;
        let session = Session::new(hub.host_name.clone(), named.endpoint, seated, opened, now);
        Ok((Box::new(session), until))
    }

    async fn admitted(
        &self,
        hub: &Hub,
        named: &Named,
        host: &str,
        connecting: &Connecting,
        link: &Link,
        now: Timestamp,
    ) -> Result<Result<Option<Timestamp>, Refusal>, ReadError> {
        let password = connecting.password.as_deref().map(String::from_utf8_lossy);
        let proof = Proof {
            token: password.as_deref().map(SasToken::parse),
            certificate: link.chain.first().and_then(|leaf| leaf.as_ref().ok()),
        };
        let store = &*self.backend.store;
        admission::admitted(store, hub, &named.endpoint, host, &proof, now).await
    }

    /// Begins the session in the store: whoever had the place before has lost it, on whatever server.
    async fn open(
        &self,
        hub: &Hub,
        named: &Named,
        clean: bool,
        opened: Timestamp,
    ) -> Result<Opened, CommitError> {
        let (name, endpoint) = (hub.host_name.clone(), named.endpoint.clone());
        let event = life_cycle(&endpoint, EventKind::DeviceConnected, opened);
        let begin = NewSession { opened, clean };
        let writes = vec![
            HubWrite::OpenSession(name.clone(), endpoint, begin),
            HubWrite::AppendEvent(name, Box::new(event)),
        ];
        let answers = self.backend.store.carry_out(Change::of_hub(writes)).await?;
        self.feed.wake();
        let opened = answers.into_iter().find_map(|answer| match answer {
            HubAnswer::Opened(opened) => Some(opened),
            _ => None,
        });
        opened.ok_or_else(|| CommitError::Unavailable("no answer".to_owned()))
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
            finding: admission::finding(refusal),
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
