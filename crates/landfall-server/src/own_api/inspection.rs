//! What a device would get that registers with a chain, for operators who ask before it does. Reads what
//! is in force and leaves the judgement to the road's own judge; nothing is recorded.

use http::StatusCode;
use landfall_core::attestation::AttestationKind;
use landfall_core::authentication::{Claim, Trust, judge_chain};
use landfall_core::error::Error;
use landfall_core::id::RegistrationId;
use landfall_core::registration::EnrollmentRef;
use landfall_core::service::{ProvisioningService, Rights};
use landfall_hub::store::HubStore;
use landfall_wire::message::{Reply, Request};
use landfall_wire::own::inspection::{Decided, inspection, parse};

use super::OwnApi;
use super::caller::Scope;
use crate::backend::{shown, unread};
use crate::provisioning::disabled;

impl<S: HubStore> OwnApi<S> {
    /// Judges the chain in `request` for the registration id `id` of the caller's service.
    pub(super) async fn inspect(&self, request: &Request, id: &str) -> Result<Reply, Error> {
        let service = match self.caller(request, Rights::ENROLLMENT_READ).await? {
            Scope::All => named(self.services().await?, request)?,
            Scope::One(keeper) => keeper.what,
        };
        let wanted = parse(&request.body)?;
        let id = RegistrationId::parse(id).map_err(|error| Error::Invalid(error.to_string()))?;
        let scope = &service.id_scope;
        let claim = Claim {
            scope,
            registration_id: &id,
            now: wanted.at.unwrap_or_else(|| self.backend.clock.now()),
        };
        // What is in force.
        let store = &self.backend.store;
        let individual = store.individual(scope, &id).await;
        let individual = individual.map_err(|error| unread(&error))?;
        let before = store.registration(scope, &id).await;
        let before = before.map_err(|error| unread(&error))?;
        let groups = store.groups_by_kind(scope, AttestationKind::X509).await;
        let groups = groups.map_err(|error| unread(&error))?;
        let authorities = store.certificates(scope).await;
        let authorities = authorities.map_err(|error| unread(&error))?;
        let trust = Trust::new(groups, authorities);
        // What it means for this chain.
        let judgement = judge_chain(
            claim,
            &wanted.chain,
            individual.as_ref(),
            &trust,
            before.as_ref(),
            service.require_verified_chain,
        );
        let refused = judgement.finding().cloned();
        let admitted = judgement.verdict.as_ref().ok();
        let shut = admitted.filter(|verdict| !verdict.enabled()).map(disabled);
        let of_group = admitted.map(|verdict| verdict.attested.enrollment().clone());
        let enrollment = match individual {
            Some(_) => Some(EnrollmentRef::Individual),
            None => of_group,
        };
        let decided = Decided {
            registration_id: Some(id.as_str()),
            at: claim.now,
            enrollment: enrollment.as_ref(),
            finding: refused.as_ref().or(shut.as_ref()),
        };
        let body = inspection(&judgement.inspection, &decided);
        Ok(Reply::json(StatusCode::OK, &body))
    }
}

/// The service that the holder of the control token means: the one named, or the only one.
pub(super) fn named(
    services: Vec<ProvisioningService>,
    request: &Request,
) -> Result<ProvisioningService, Error> {
    let Some(name) = request.parameter("service") else {
        let [only] = <[_; 1]>::try_from(services).map_err(|_| {
            Error::Invalid("Name the provisioning service: ?service=NAME.".to_owned())
        })?;
        return Ok(only);
    };
    services
        .into_iter()
        .find(|service| service.name.as_str().eq_ignore_ascii_case(&name))
        .ok_or_else(|| Error::OtherNotFound(format!("Provisioning service '{}'", shown(&name))))
}
