//! The routes of shared access policies: of a service at the control token's or a ServiceConfig
//! policy's request, of a hub at the control token's or its owner's.

use http::{Method, StatusCode};
use landfall_core::administration::Condition;
use landfall_core::audit::Origin;
use landfall_core::error::Error;
use landfall_core::id::{Etag, PolicyName};
use landfall_core::policy::{Policies, Policy};
use landfall_core::service::{ProvisioningService, Rights};
use landfall_hub::device::Hub;
use landfall_hub::policies::HubPolicies;
use landfall_hub::store::HubStore;
use landfall_wire::message::{Reply, Request};
use landfall_wire::own::policies::{self, parse_policy, parse_rotation, policy_name};
use landfall_wire::route::PolicyHolder;
use landfall_wire::service::attestation::Secrets;

use super::caller::Keeper;
use super::{OwnApi, with_keys};
use crate::service_api::{condition, marked};

/// What a call asks of one policy.
enum Call {
    Show,
    Put,
    Delete,
    Rotate,
}

impl<S: HubStore> OwnApi<S> {
    /// Lists the policies of a service or hub.
    pub(super) async fn policies(
        &self,
        request: &Request,
        holder: &PolicyHolder,
    ) -> Result<Reply, Error> {
        let keys = secrets(request);
        let (body, etag) = match holder {
            PolicyHolder::Service(name) => {
                let right = Rights::SERVICE_CONFIG;
                let keeper = self.service_for(request, name, right).await?;
                let service = keeper.what;
                let standing = Policies {
                    standing: &service.policies,
                    caller: keeper.rights,
                };
                (
                    policies::policies(&standing, &service.etag, keys),
                    service.etag,
                )
            }
            PolicyHolder::Hub(host) => {
                let keeper = self.hub_for(request, host).await?;
                let hub = keeper.what;
                let standing = Policies {
                    standing: &hub.policies,
                    caller: keeper.rights,
                };
                (policies::policies(&standing, &hub.etag(), keys), hub.etag())
            }
        };
        Ok(marked(Reply::json(StatusCode::OK, &body), &etag))
    }

    /// Answers a call about one policy.
    pub(super) async fn policy(
        &self,
        request: &Request,
        holder: &PolicyHolder,
        name: &str,
        rotation: bool,
        origin: &Origin,
    ) -> Result<Reply, Error> {
        let call = match (&request.method, rotation) {
            (&Method::POST, true) => Call::Rotate,
            (&Method::GET, false) => Call::Show,
            (&Method::PUT, false) => Call::Put,
            (&Method::DELETE, false) => Call::Delete,
            _ => return Err(Error::MethodNotAllowed),
        };
        // Only who may come in waits for a turn. Whoever says no state means the one that stands then.
        match holder {
            PolicyHolder::Service(name) => {
                let right = Rights::SERVICE_CONFIG;
                drop(self.service_for(request, name, right).await?);
            }
            PolicyHolder::Hub(host) => drop(self.hub_for(request, host).await?),
        }
        let _turn = self.changing.lock().await;
        let answer = match holder {
            PolicyHolder::Service(service) => {
                let right = Rights::SERVICE_CONFIG;
                let keeper = self.service_for(request, service, right).await?;
                let name = policy_name(name)?;
                self.of_service(request, &call, &keeper, &name, origin)
                    .await
            }
            PolicyHolder::Hub(host) => {
                let keeper = self.hub_for(request, host).await?;
                let name = policy_name(name)?;
                let policies = HubPolicies {
                    store: &*self.backend.store,
                    hub: &keeper.what,
                    caller: keeper.rights,
                    entropy: &*self.backend.entropy,
                    author: origin.author(keeper.actor),
                };
                of_hub(request, &call, &policies, &name).await
            }
        };
        if answer.is_ok() && !matches!(call, Call::Show) {
            self.changes.tell().await;
        }
        answer
    }

    async fn of_service(
        &self,
        request: &Request,
        call: &Call,
        keeper: &Keeper<ProvisioningService, Rights>,
        name: &PolicyName,
        origin: &Origin,
    ) -> Result<Reply, Error> {
        let (service, caller) = (&keeper.what, keeper.rights);
        let author = origin.author(keeper.actor.clone());
        let administration = self.administration(service, author);
        let condition = condition(request)?;
        let after = match call {
            Call::Show => service.clone(),
            Call::Put => {
                let asked = parse_policy(&request.body, name)?;
                administration
                    .put_policy(caller, name, &asked, &condition)
                    .await?
            }
            Call::Delete => {
                administration
                    .delete_policy(caller, name, &condition)
                    .await?
            }
            Call::Rotate => {
                let asked = parse_rotation(&request.body)?;
                administration
                    .rotate_policy(caller, name, &asked, &condition)
                    .await?
            }
        };
        let standing = Policies {
            standing: &after.policies,
            caller,
        };
        answer(request, call, &condition, &standing, name, &after.etag)
    }
}

async fn of_hub<S: HubStore>(
    request: &Request,
    call: &Call,
    policies: &HubPolicies<'_, S>,
    name: &PolicyName,
) -> Result<Reply, Error> {
    let condition = condition(request)?;
    let after: Hub = match call {
        Call::Show => policies.hub.clone(),
        Call::Put => {
            let asked = parse_policy(&request.body, name)?;
            policies.put(name, &asked, &condition).await?
        }
        Call::Delete => policies.delete(name, &condition).await?,
        Call::Rotate => {
            let asked = parse_rotation(&request.body)?;
            policies.rotate(name, &asked, &condition).await?
        }
    };
    let standing = Policies {
        standing: &after.policies,
        caller: policies.caller,
    };
    answer(request, call, &condition, &standing, name, &after.etag())
}

/// The reply that tells how a policy is after a call.
fn answer<P: Policy>(
    request: &Request,
    call: &Call,
    condition: &Condition,
    standing: &Policies<'_, P>,
    name: &PolicyName,
    etag: &Etag,
) -> Result<Reply, Error> {
    let status = match (call, condition) {
        (Call::Delete, _) => return Ok(Reply::empty(StatusCode::NO_CONTENT)),
        (Call::Put, Condition::Unstated) => StatusCode::CREATED,
        _ => StatusCode::OK,
    };
    let keys = secrets(request);
    let policy = match keys {
        Secrets::Shown => standing.open(name)?,
        Secrets::Hidden => standing.find(name)?,
    };
    let body = policies::policy(policy, etag, keys);
    Ok(marked(Reply::json(status, &body), etag))
}

fn secrets(request: &Request) -> Secrets {
    if with_keys(request) {
        Secrets::Shown
    } else {
        Secrets::Hidden
    }
}
