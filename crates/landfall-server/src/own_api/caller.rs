//! Who calls Landfall's own routes, and what that opens: the holder of the control token everything,
//! the holder of a policy its own service or hub, as far as the policy's rights go.

use landfall_core::audit::Actor;
use landfall_core::error::Error;
use landfall_core::id::{HubHostName, ServiceName};
use landfall_core::policy::RightSet as _;
use landfall_core::sas::SasToken;
use landfall_core::service::{ProvisioningService, Rights};
use landfall_hub::access;
use landfall_hub::device::Hub;
use landfall_hub::policy::{HubPolicy, Permissions};
use landfall_hub::store::HubStore;
use landfall_wire::message::Request;
use percent_encoding::percent_decode_str;

use super::OwnApi;
use crate::backend::shown;
use crate::{control_api, service_api};

/// Whose records a caller may see.
pub(super) enum Scope {
    /// The holder of the control token: all.
    All,
    /// The holder of a service's policy: that service's.
    One(Box<Keeper<ProvisioningService, Rights>>),
}

/// A caller who may keep a service or a hub.
pub(super) struct Keeper<T, R> {
    /// The service or hub.
    pub what: T,
    /// What the caller may do there.
    pub rights: R,
    /// As which the caller answers for changes.
    pub actor: Actor,
}

impl<S: HubStore> OwnApi<S> {
    /// The holder of the control token, or of a service's policy with this right.
    pub(super) async fn caller(&self, request: &Request, right: Rights) -> Result<Scope, Error> {
        if self.require_token(request).is_ok() {
            return Ok(Scope::All);
        }
        let services = self.services().await?;
        let now = self.backend.clock.now();
        let operator = service_api::operator(&services, request, now)?;
        operator.demand(right)?;
        Ok(Scope::One(Box::new(Keeper {
            what: operator.service().clone(),
            rights: operator.rights(),
            actor: operator.actor(),
        })))
    }

    /// Demands the control token.
    pub(super) fn require_token(&self, request: &Request) -> Result<(), Error> {
        if control_api::bears(request, &self.control_token) {
            Ok(())
        } else {
            Err(Error::Unauthorized)
        }
    }

    /// The service of this name, and what the caller may do on it. A policy's holder finds its own
    /// service only.
    pub(super) async fn service_for(
        &self,
        request: &Request,
        name: &str,
        right: Rights,
    ) -> Result<Keeper<ProvisioningService, Rights>, Error> {
        let not_found = || Error::OtherNotFound(format!("Provisioning service '{}'", shown(name)));
        match self.caller(request, right).await? {
            Scope::All => {
                let name = ServiceName::parse(name).map_err(|_| not_found())?;
                let services = self.services().await?;
                let service = services.into_iter().find(|service| service.name == name);
                Ok(Keeper {
                    what: service.ok_or_else(not_found)?,
                    rights: Rights::ALL,
                    actor: Actor::ControlToken,
                })
            }
            Scope::One(keeper) => {
                if keeper.what.name.as_str().eq_ignore_ascii_case(name) {
                    Ok(*keeper)
                } else {
                    Err(not_found())
                }
            }
        }
    }

    /// The hub of this name, for the holder of the control token or of a policy with all rights on
    /// it: a hub has no right of its own for the keeping of its policies.
    pub(super) async fn hub_for(
        &self,
        request: &Request,
        host: &str,
    ) -> Result<Keeper<Hub, Permissions>, Error> {
        self.hub_with(request, host, Permissions::ALL).await
    }

    /// The hub of this name, for the holder of the control token or of a policy that may do this on it.
    pub(super) async fn hub_with(
        &self,
        request: &Request,
        host: &str,
        needed: Permissions,
    ) -> Result<Keeper<Hub, Permissions>, Error> {
        let hubs = self.hubs().await?;
        let host = HubHostName::parse(host).ok();
        let hub = hubs
            .into_iter()
            .find(|hub| Some(&hub.host_name) == host.as_ref());
        if self.require_token(request).is_ok() {
            let not_found = || Error::OtherNotFound("Hub of that name".to_owned());
            return Ok(Keeper {
                what: hub.ok_or_else(not_found)?,
                rights: Permissions::ALL,
                actor: Actor::ControlToken,
            });
        }
        let hub = hub.ok_or(Error::Unauthorized)?;
        let policy = self.signer(&hub, request)?;
        if let Some(name) = policy.permissions.lacks(needed) {
            return Err(Error::RightMissing(name));
        }
        let (rights, name) = (policy.permissions, policy.name.clone());
        let actor = Actor::HubPolicy(hub.host_name.clone(), name);
        Ok(Keeper {
            what: hub,
            rights,
            actor,
        })
    }

    /// The policy of the hub that signed the request.
    fn signer<'a>(&self, hub: &'a Hub, request: &Request) -> Result<&'a HubPolicy, Error> {
        let token = request
            .header("authorization")
            .and_then(|value| SasToken::parse(value).ok())
            .ok_or(Error::Unauthorized)?;
        let path = percent_decode_str(&request.path).decode_utf8_lossy();
        let name = access::authorize(
            &hub.policies,
            &token,
            &[hub.host_name.key(), &request.host()],
            &path,
            Permissions::NONE,
            self.backend.clock.now(),
        )
        .map_err(|_| Error::Unauthorized)?;
        let mut policies = hub.policies.iter();
        policies
            .find(|policy| policy.name == *name)
            .ok_or(Error::Unauthorized)
    }
}
