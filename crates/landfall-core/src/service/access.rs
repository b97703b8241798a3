//! Who an operator is: a shared access signature held against the policies of provisioning
//! services. The service API and Landfall's own routes ask here.

use super::{AccessPolicy, ProvisioningService, Rights};
use crate::audit::Actor;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::PolicyName;
use crate::policy::RightSet as _;
use crate::sas::{LEEWAY, SasToken, covers};

/// An operator whose token was checked: the service it opens, and what it may do there. Only
/// [`authenticate`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Operator<'a> {
    service: &'a ProvisioningService,
    policy: &'a PolicyName,
    rights: Rights,
}

impl<'a> Operator<'a> {
    /// The provisioning service that the token opens.
    pub fn service(&self) -> &'a ProvisioningService {
        self.service
    }

    /// As which the operator answers for changes.
    pub fn actor(&self) -> Actor {
        Actor::ServicePolicy(self.service.id_scope.clone(), self.policy.clone())
    }

    /// Demands a right.
    ///
    /// # Errors
    /// [`Error::RightMissing`] when the policy lacks it.
    pub fn demand(&self, right: Rights) -> Result<(), Error> {
        match self.rights.lacks(right) {
            None => Ok(()),
            Some(name) => Err(Error::RightMissing(name)),
        }
    }

    /// All that the policy allows.
    pub fn rights(&self) -> Rights {
        self.rights
    }
}

/// Finds the service and policy that a token was signed with.
///
/// `services` are those the request may be for; when several share a host name, the signature
/// tells them apart. `host` is the host name asked for, lower case and without port; `path` is the
/// path asked for, percent-decoded.
/// Source: docs/protocol/service-api.md §2.2 [C, D].
///
/// # Errors
/// [`Error::Unauthorized`], whichever check refused: a caller that proved nothing learns nothing.
pub fn authenticate<'a>(
    services: &'a [ProvisioningService],
    token: &SasToken,
    host: &str,
    path: &str,
    now: Timestamp,
) -> Result<Operator<'a>, Error> {
    let name = token
        .key_name()
        .and_then(|name| PolicyName::parse(name).ok())
        .ok_or(Error::Unauthorized)?;
    if token.expired(now, LEEWAY) {
        return Err(Error::Unauthorized);
    }
    services
        .iter()
        .filter(|service| opens(token.resource(), &service.host_name, host, path))
        .find_map(|service| {
            let policy = service.policies.iter().find(|policy| policy.name == name)?;
            signed_by(token, policy).then_some(Operator {
                service,
                policy: &policy.name,
                rights: policy.rights,
            })
        })
        .ok_or(Error::Unauthorized)
}

/// True when either key of the policy made the signature. Both are always tried, so that the time
/// taken does not tell which.
fn signed_by(token: &SasToken, policy: &AccessPolicy) -> bool {
    let primary = token.signed_by(&policy.keys.primary);
    let secondary = token.signed_by(&policy.keys.secondary);
    primary | secondary
}

/// True when a token's resource is the service's host, or the host asked for, with or without
/// port, alone or with a whole-segment prefix of the path.
fn opens(resource: &str, service_host: &str, asked_host: &str, path: &str) -> bool {
    let (authority, granted) = match resource.find('/') {
        Some(slash) => resource.split_at(slash),
        None => (resource, ""),
    };
    let host = without_port(authority);
    let named = host.eq_ignore_ascii_case(service_host)
        || (!asked_host.is_empty() && host.eq_ignore_ascii_case(asked_host));
    named && (granted.trim_end_matches('/').is_empty() || covers(granted, path))
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) | None => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrollment::AllocationPolicy;
    use crate::id::{Etag, IdScope, ServiceName};
    use crate::sas::sign;
    use crate::secret::{KeyPair, SymmetricKey};

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const LATER: Timestamp = Timestamp::from_unix_seconds(1_800_003_600);

    fn key(byte: u8) -> SymmetricKey {
        SymmetricKey::from_bytes(vec![byte; 32])
    }

    fn service(scope: &str, first: u8, rights: Rights) -> ProvisioningService {
        ProvisioningService {
            id_scope: IdScope::parse(scope).expect("valid"),
            name: ServiceName::parse(scope).expect("valid"),
            host_name: "dps.test".into(),
            policies: vec![AccessPolicy {
                name: PolicyName::parse("provisioningserviceowner").expect("valid"),
                keys: KeyPair {
                    primary: key(first),
                    secondary: key(first + 1),
                },
                rights,
            }],
            allocation: AllocationPolicy::Hashed,
            linked_hubs: Vec::new(),
            require_verified_chain: false,
            etag: Etag::parse("e").expect("valid"),
            trust_version: 0,
            created: NOW,
        }
    }

    fn ask(services: &[ProvisioningService], token: &str, path: &str) -> Result<String, Error> {
        let token = SasToken::parse(token).expect("a token");
        authenticate(services, &token, "dps.test", path, NOW)
            .map(|operator| operator.service().id_scope.to_string())
    }

    fn owner(resource: &str, byte: u8, until: Timestamp) -> String {
        sign(
            resource,
            &key(byte),
            Some("ProvisioningServiceOwner"),
            until,
        )
    }

    #[test]
    fn either_key_opens_the_service_by_host_with_or_without_port() {
        let services = [service("0ne1", 1, Rights::ALL)];
        for (resource, byte) in [
            ("dps.test", 1),
            ("DPS.test", 2),
            ("dps.test:8443", 1),
            ("dps.test/", 1),
            ("dps.test/enrollments", 1),
            ("dps.test:8443/Enrollments/dev1", 2),
        ] {
            let token = owner(resource, byte, LATER);
            assert_eq!(
                ask(&services, &token, "/enrollments/dev1").as_deref(),
                Ok("0ne1"),
                "{resource}"
            );
        }
    }

    #[test]
    fn every_other_token_is_refused_alike() {
        let services = [service("0ne1", 1, Rights::ALL)];
        for token in [
            owner("dps.test", 9, LATER),
            owner("other.test", 1, LATER),
            owner("dps.test.other", 1, LATER),
            owner("dps.test/enrollments/dev", 1, LATER),
            owner("dps.test/enrollmentGroups", 1, LATER),
            owner("0ne1/registrations/dev1", 1, LATER),
            sign("dps.test", &key(1), None, LATER),
            sign("dps.test", &key(1), Some("nobody"), LATER),
            owner("dps.test", 1, Timestamp::from_unix_seconds(1_799_999_699)),
        ] {
            assert_eq!(
                ask(&services, &token, "/enrollments/dev1"),
                Err(Error::Unauthorized),
                "{token}"
            );
        }
        let just_expired = owner("dps.test", 1, Timestamp::from_unix_seconds(1_799_999_701));
        assert!(ask(&services, &just_expired, "/enrollments/dev1").is_ok());
    }

    #[test]
    fn a_shared_host_is_told_apart_by_the_signature() {
        let services = [
            service("0ne1", 1, Rights::ALL),
            service("0ne2", 11, Rights::ALL),
        ];
        let token = owner("dps.test", 12, LATER);
        assert_eq!(
            ask(&services, &token, "/enrollments").as_deref(),
            Ok("0ne2")
        );
    }

    #[test]
    fn write_rights_imply_the_reading_ones_and_no_other() {
        let all = [
            Rights::ENROLLMENT_READ,
            Rights::ENROLLMENT_WRITE,
            Rights::REGISTRATION_STATUS_READ,
            Rights::REGISTRATION_STATUS_WRITE,
        ];
        for (held, allowed) in [
            (Rights::ALL, [true, true, true, true]),
            (Rights::ENROLLMENT_READ, [true, false, false, false]),
            (Rights::ENROLLMENT_WRITE, [true, true, false, false]),
            (
                Rights::REGISTRATION_STATUS_READ,
                [false, false, true, false],
            ),
            (
                Rights::REGISTRATION_STATUS_WRITE,
                [false, false, true, true],
            ),
            (Rights::DEVICE_CONNECT, [false, false, false, false]),
            (Rights::SERVICE_CONFIG, [false, false, false, false]),
        ] {
            let services = [service("0ne1", 1, held)];
            let token = SasToken::parse(&owner("dps.test", 1, LATER)).expect("a token");
            let operator =
                authenticate(&services, &token, "dps.test", "/", NOW).expect("authenticated");
            let seen = all.map(|right| operator.demand(right).is_ok());
            assert_eq!(seen, allowed, "{held:?}");
        }
        let services = [service("0ne1", 1, Rights::ENROLLMENT_READ)];
        let token = SasToken::parse(&owner("dps.test", 1, LATER)).expect("a token");
        let operator =
            authenticate(&services, &token, "dps.test", "/", NOW).expect("authenticated");
        assert_eq!(
            operator.demand(Rights::ENROLLMENT_WRITE),
            Err(Error::RightMissing("EnrollmentWrite"))
        );
    }
}
