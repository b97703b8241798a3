//! The hub API: which embedded hub a request is for, and whether its caller may ask.
//!
//! [`https`] answers the calls, [`mqtt`] holds the sessions of devices, `admission` lets those in over either. Rules of identities and
//! twins are `landfall-hub`'s, bodies are `landfall-wire`'s.

mod admission;
pub mod https;
pub mod mqtt;
pub mod query;
mod trail;

use landfall_core::audit::Actor;
use landfall_core::clock::Timestamp;
use landfall_core::id::TrackingId;
use landfall_core::sas::SasToken;
use landfall_hub::access::{authorize, resource_host};
use landfall_hub::device::Hub;
use landfall_hub::error::HubError;
use landfall_hub::policy::Permissions;
use landfall_wire::message::Request;
use percent_encoding::percent_decode_str;

/// A request that has found its hub, with what it shows of its caller.
struct Caller<'a> {
    hub: &'a Hub,
    token: SasToken,
    host: String,
    path: String,
}

impl<'a> Caller<'a> {
    /// Reads the token and finds the hub: the one of that host name; else, when the server goes by
    /// a name that is no hub's, the one the token was made for; else the only one.
    ///
    /// Source: docs/protocol/hub-api.md §0 rule 1 [R], §1.1.
    fn identify(hubs: &'a [Hub], request: &Request) -> Result<Self, HubError> {
        let host = request.host();
        let token = request
            .header("authorization")
            .ok_or_else(|| HubError::Unauthorized("the request has no Authorization header".into()))
            .and_then(|header| {
                SasToken::parse(header).map_err(|error| HubError::Unauthorized(error.to_string()))
            });
        let made_for = token.as_ref().ok().map(resource_host);
        let hub = pick(hubs, &host, made_for.as_deref()).ok_or(HubError::HubNotFound)?;
        Ok(Caller {
            hub,
            token: token?,
            host,
            path: percent_decode_str(&request.path)
                .decode_utf8_lossy()
                .into_owned(),
        })
    }

    /// Holds the token against the hub's policies; says as which the caller answers for changes.
    fn may(&self, needed: Permissions, now: Timestamp) -> Result<Actor, HubError> {
        authorize(
            &self.hub.policies,
            &self.token,
            &[self.hub.host_name.key(), &self.host],
            &self.path,
            needed,
            now,
        )
        .map(|policy| Actor::HubPolicy(self.hub.host_name.clone(), policy.clone()))
        .map_err(|error| HubError::Unauthorized(error.to_string()))
    }
}

fn pick<'a>(hubs: &'a [Hub], host: &str, made_for: Option<&str>) -> Option<&'a Hub> {
    let named = |name: &str| {
        hubs.iter()
            .find(|hub| hub.host_name.as_str().eq_ignore_ascii_case(name))
    };
    named(host)
        .or_else(|| made_for.and_then(named))
        .or(match hubs {
            [only] => Some(only),
            _ => None,
        })
}

/// Writes the causes that callers do not read to the log.
fn report(error: &HubError, tracking: &TrackingId) {
    if let HubError::Unavailable(cause) | HubError::Internal(cause) = error {
        tracing::error!(
            tracking_id = tracking.as_str(),
            cause,
            "hub call failed: {error}"
        );
    }
}

#[cfg(test)]
mod tests {
    use landfall_core::id::HubHostName;

    use super::*;

    fn hub(name: &str) -> Hub {
        Hub {
            host_name: HubHostName::parse(name).expect("a name"),
            policies: Vec::new(),
            created: Timestamp::NEVER,
            revision: 0,
        }
    }

    fn picked(hubs: &[Hub], host: &str, made_for: Option<&str>) -> Option<String> {
        pick(hubs, host, made_for).map(|hub| hub.host_name.to_string())
    }

    #[test]
    fn the_host_decides_then_the_token_then_there_is_only_one() {
        let two = [hub("127.0.0.1"), hub("127.0.0.2")];
        assert_eq!(
            picked(&two, "127.0.0.2", Some("127.0.0.1")),
            Some("127.0.0.2".into())
        );
        assert_eq!(
            picked(&two, "localhost", Some("127.0.0.1")),
            Some("127.0.0.1".into())
        );
        assert_eq!(picked(&two, "localhost", Some("localhost")), None);
        assert_eq!(picked(&two, "localhost", None), None);
        let one = [hub("Hub.local")];
        assert_eq!(picked(&one, "hub.LOCAL", None), Some("Hub.local".into()));
        assert_eq!(picked(&one, "localhost", None), Some("Hub.local".into()));
        assert_eq!(picked(&[], "localhost", None), None);
    }
}
