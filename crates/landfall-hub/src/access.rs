//! Who may do what on a hub: a policy's token held against the hub's policies.
//!
//! Pure: the server's `hub_api` hands over the parsed token and the time. Tokens of devices, which
//! name no policy, are judged elsewhere.

pub mod endpoint;

use landfall_core::clock::{Timestamp, spoken};
use landfall_core::id::PolicyName;
use landfall_core::policy::RightSet as _;
use landfall_core::sas::{LEEWAY, SasToken, covers};

use crate::policy::{HubPolicy, Permissions};

/// Why a token does not open what was asked. `Display` is what the caller may read; anything that
/// depends on the hub's records is told only to a holder of one of its keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// The token names no policy.
    #[error("the token names no shared access policy (skn)")]
    NoPolicyNamed,
    /// No such policy, or the signature is by neither of its keys: which, is not told.
    #[error("the token is not signed by a key of a shared access policy of this hub")]
    Signature,
    /// The token has ended.
    #[error("the token expired {0} ago")]
    Expired(String),
    /// The token is for something else.
    #[error("the token's resource (sr) does not cover what was asked")]
    Resource,
    /// The policy may not do this.
    #[error("the shared access policy lacks the permission '{0}'")]
    Permission(&'static str),
}

/// Says which policy opens `path` on the hub to the holder of `token`.
///
/// Shape: `hosts` are the names the hub goes by in this request, without port; a port in the
/// token's resource is passed over, since REST clients sign the host they were given. `path` is
/// percent-decoded and begins with `/`.
/// Source: docs/protocol/hub-api.md §0 rules 3 and 4, §1.1 [R].
///
/// # Errors
/// [`AccessError`] naming the first check that refused: policy and signature, expiry, resource,
/// permission.
pub fn authorize<'a>(
    policies: &'a [HubPolicy],
    token: &SasToken,
    hosts: &[&str],
    path: &str,
    needed: Permissions,
    now: Timestamp,
) -> Result<&'a PolicyName, AccessError> {
    let name = token.key_name().ok_or(AccessError::NoPolicyNamed)?;
    let policy = policies
        .iter()
        .find(|policy| policy.name.as_str().eq_ignore_ascii_case(name))
        .filter(|policy| {
            let primary = token.signed_by(&policy.keys.primary);
            let secondary = token.signed_by(&policy.keys.secondary);
            primary | secondary
        })
        .ok_or(AccessError::Signature)?;
    if token.expired(now, LEEWAY) {
        return Err(AccessError::Expired(spoken(now.since(token.expiry()))));
    }
    let granted = without_port(token.resource());
    if !hosts
        .iter()
        .any(|host| covers(&granted, &format!("{host}{path}")))
    {
        return Err(AccessError::Resource);
    }
    match policy.permissions.lacks(needed) {
        None => Ok(&policy.name),
        Some(name) => Err(AccessError::Permission(name)),
    }
}

/// The host that a token's resource begins with, without port.
pub fn resource_host(token: &SasToken) -> String {
    let resource = without_port(token.resource());
    resource
        .split_once('/')
        .map_or(resource.as_str(), |(host, _)| host)
        .to_owned()
}

fn without_port(resource: &str) -> String {
    let (host, rest) = match resource.find('/') {
        Some(slash) => resource.split_at(slash),
        None => (resource, ""),
    };
    match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            format!("{name}{rest}")
        }
        _ => resource.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use landfall_core::clock::Entropy;
    use landfall_core::sas::sign;

    use super::*;
    use crate::policy::default_policies;

    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, buffer: &mut [u8]) {
            let seed = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            buffer.fill(seed);
        }
    }

    const NOW: Timestamp = Timestamp::from_unix_seconds(2_000_000_000);

    fn policies() -> Vec<HubPolicy> {
        default_policies(&Counting(1.into()))
    }

    fn policy<'a>(policies: &'a [HubPolicy], name: &str) -> &'a HubPolicy {
        policies
            .iter()
            .find(|policy| policy.name.as_str() == name)
            .expect("a default policy")
    }

    fn token(resource: &str, policy: &HubPolicy, skn: Option<&str>, seconds: i64) -> SasToken {
        let expiry = Timestamp::from_unix_seconds(NOW.unix_seconds() + seconds);
        SasToken::parse(&sign(resource, &policy.keys.secondary, skn, expiry)).expect("a token")
    }

    fn ask(token: &SasToken, path: &str, needed: Permissions) -> Result<String, AccessError> {
        authorize(&policies(), token, &["my.hub"], path, needed, NOW)
            .map(|name| name.as_str().to_owned())
    }

    #[test]
    fn either_key_opens_what_the_policy_may() {
        let all = policies();
        let owner = policy(&all, "iothubowner");
        let by_second = token("my.hub", owner, Some("IotHubOwner"), 60);
        assert_eq!(
            ask(&by_second, "/devices/d", Permissions::REGISTRY_WRITE),
            Ok("iothubowner".into())
        );
        let text = sign(
            "MY.HUB",
            &owner.keys.primary,
            Some("iothubowner"),
            NOW.plus(std::time::Duration::from_secs(1)),
        );
        let by_first = SasToken::parse(&text).expect("a token");
        assert!(ask(&by_first, "/twins/d", Permissions::SERVICE_CONNECT).is_ok());
    }

    #[test]
    fn permissions_are_those_of_the_policy() {
        let all = policies();
        for (name, needed, opens) in [
            ("registryRead", Permissions::REGISTRY_READ, true),
            ("registryRead", Permissions::REGISTRY_WRITE, false),
            ("registryReadWrite", Permissions::REGISTRY_READ, true),
            ("registryReadWrite", Permissions::SERVICE_CONNECT, false),
            ("service", Permissions::SERVICE_CONNECT, true),
            ("service", Permissions::REGISTRY_READ, false),
            ("device", Permissions::SERVICE_CONNECT, false),
        ] {
            let token = token("my.hub", policy(&all, name), Some(name), 60);
            let answer = ask(&token, "/x", needed);
            assert_eq!(answer.is_ok(), opens, "{name} {answer:?}");
            if !opens {
                assert_eq!(
                    answer,
                    Err(AccessError::Permission(
                        Permissions::NONE.lacks(needed).expect("a right")
                    ))
                );
            }
        }
    }

    #[test]
    fn unknown_policies_and_wrong_keys_look_alike() {
        let all = policies();
        let service = policy(&all, "service");
        let stolen = token("my.hub", service, Some("iothubowner"), 60);
        let unknown = token("my.hub", service, Some("nobody"), 60);
        let unnamed = token("my.hub", service, None, 60);
        let needed = Permissions::SERVICE_CONNECT;
        assert_eq!(ask(&stolen, "/x", needed), Err(AccessError::Signature));
        assert_eq!(ask(&unknown, "/x", needed), Err(AccessError::Signature));
        assert_eq!(ask(&unnamed, "/x", needed), Err(AccessError::NoPolicyNamed));
    }

    #[test]
    fn tokens_end_after_the_leeway() {
        let all = policies();
        let owner = policy(&all, "iothubowner");
        let needed = Permissions::REGISTRY_READ;
        let late = token("my.hub", owner, Some("iothubowner"), -200);
        assert!(ask(&late, "/x", needed).is_ok());
        let ended = token("my.hub", owner, Some("iothubowner"), -7_200);
        assert_eq!(
            ask(&ended, "/x", needed),
            Err(AccessError::Expired("2 h 0 min".into()))
        );
    }

    #[test]
    fn a_token_for_one_device_opens_no_other_and_ports_do_not_count() {
        let all = policies();
        let owner = policy(&all, "iothubowner");
        let needed = Permissions::REGISTRY_READ;
        let one = token("my.hub:8443/devices/dev1", owner, Some("iothubowner"), 60);
        assert!(ask(&one, "/devices/dev1", needed).is_ok());
        assert!(ask(&one, "/devices/Dev1/modules", needed).is_ok());
        assert_eq!(
            ask(&one, "/devices/dev12", needed),
            Err(AccessError::Resource)
        );
        let other = token("other.hub", owner, Some("iothubowner"), 60);
        assert_eq!(
            ask(&other, "/devices/dev1", needed),
            Err(AccessError::Resource)
        );
        assert_eq!(resource_host(&one), "my.hub");
    }
}
