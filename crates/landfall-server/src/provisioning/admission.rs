//! Who is let in: reads what is in force for a device and holds its evidence against it.

use std::sync::Arc;

use landfall_core::authentication::{self, Claim, Proof, Refusal, Trust, Verdict, known_group};
use landfall_core::clock::Timestamp;
use landfall_core::enrollment::IndividualEnrollment;
use landfall_core::error::Error;
use landfall_core::exchange::{Action, Exchange};
use landfall_core::linked_hub::HubRegistry;
use landfall_core::registration::Registration;
use landfall_core::registration::operation::Operation;
use landfall_core::service::ProvisioningService;
use landfall_core::store::{ReadError, Store};
use landfall_core::trace::Stage;

use super::Provisioning;
use super::findings::{disabled, searches_spent, unknown_scope, unreadable};
use super::searches::NoSearch;
use crate::backend::COME_BACK;
use crate::metrics::label::{Judged, Search};
use crate::telemetry::Attempt;

/// Past this many groups, matching a token to its group runs beside the request threads.
const GROUPS_INLINE: usize = 64;

/// A device that was let in, with all that was read for it.
pub(super) struct Admitted {
    pub(super) service: Arc<ProvisioningService>,
    pub(super) verdict: Verdict,
    pub(super) before: Option<Registration>,
    /// The operation that the device asks for.
    pub(super) operation: Option<Operation>,
}

impl<S, H> Provisioning<S, H>
where
    S: Store,
    H: HubRegistry<Write = S::HubWrite>,
{
    /// Reads what is in force and holds the evidence against it.
    pub(super) async fn admit(
        &self,
        exchange: &Exchange,
        attempt: &mut Attempt,
    ) -> Result<Admitted, Error> {
        let asked = match &exchange.action {
            Action::OperationStatus(operation) => Some(operation),
            Action::Register { .. } | Action::StatusLookup => None,
        };
        let found = self
            .backend
            .store
            .in_force(&exchange.id_scope, &exchange.registration_id, asked)
            .await
            .map_err(|error| unreadable(Stage::Service, &error, attempt))?;
        let Some(service) = found.service else {
            attempt.stop(Stage::Service, &unknown_scope(exchange));
            return Err(Error::Unauthorized);
        };
        let counts = self.backend.metrics.services.of(service.name.as_str());
        attempt.course().is_for(counts);
        attempt.pass(
            Stage::Service,
            format!("provisioning service '{}'", service.name),
        );
        let (individual, before) = (found.individual.as_ref(), found.registration.as_ref());
        let verdict = self
            .judge(exchange, &service, individual, before, attempt)
            .await?;
        note_verdict(&verdict, attempt);
        Ok(Admitted {
            service,
            verdict,
            before: found.registration,
            operation: found.operation,
        })
    }

    async fn judge(
        &self,
        exchange: &Exchange,
        service: &ProvisioningService,
        individual: Option<&IndividualEnrollment>,
        before: Option<&Registration>,
        attempt: &mut Attempt,
    ) -> Result<Verdict, Error> {
        let claim = Claim {
            scope: &exchange.id_scope,
            registration_id: &exchange.registration_id,
            now: self.backend.clock.now(),
        };
        let proof = authentication::read(claim, &exchange.evidence)
            .map_err(|refusal| refused(Stage::Request, refusal, attempt))?;
        if let Some(enrollment) = individual {
            attempt.pass(
                Stage::Enrollment,
                format!("individual enrollment '{}'", enrollment.registration_id),
            );
            // Most need nothing of what the service trusts; gathering it costs as much as the service
            // has groups.
            let trust = if enrollment.names_authorities() {
                self.trusted(service, attempt).await?
            } else {
                Arc::default()
            };
            return authentication::by_individual(claim, &proof, enrollment, &trust)
                .map_err(|refusal| refused(Stage::Attestation, refusal, attempt));
        }
        let known = self.known(claim, &proof, service, before).await;
        if let Some(verdict) = known.map_err(|error| unreadable(Stage::Service, &error, attempt))? {
            attempt.pass(
                Stage::Enrollment,
                "no individual enrollment; the group of before",
            );
            return Ok(verdict);
        }
        let trust = self.trusted(service, attempt).await?;
        let groups = trust.symmetric().len() + trust.anchors().len();
        attempt.pass(
            Stage::Enrollment,
            format!(
                "no individual enrollment; {groups} group key(s) and certificate(s) in question"
            ),
        );
        let strict = service.require_verified_chain;
        if proof.shows_token() && trust.symmetric().len() > GROUPS_INLINE {
            return self
                .search(exchange, claim.now, &trust, before, strict, attempt)
                .await;
        }
        authentication::by_group(claim, &proof, &trust, before, strict)
            .map_err(|refusal| refused(Stage::Attestation, refusal, attempt))
    }

    async fn trusted(
        &self,
        service: &ProvisioningService,
        attempt: &mut Attempt,
    ) -> Result<Arc<Trust>, Error> {
        let trust = self.trust.of(&*self.backend.store, service).await;
        trust.map_err(|error| unreadable(Stage::Service, &error, attempt))
    }

    /// Holds a returning device against its own group alone, whose record is one look-up when what
    /// the service trusts is not at hand.
    async fn known(
        &self,
        claim: Claim<'_>,
        proof: &Proof<'_>,
        service: &ProvisioningService,
        before: Option<&Registration>,
    ) -> Result<Option<Verdict>, ReadError> {
        let Some(id) = known_group(before).filter(|_| proof.shows_token()) else {
            return Ok(None);
        };
        if let Some(trust) = self.trust.kept(service) {
            return Ok(authentication::by_own_group(claim, proof, &trust, before));
        }
        let group = self.backend.store.group(claim.scope, id).await?;
        Ok(group.and_then(|group| authentication::by_this_group(claim, proof, &group)))
    }

    /// Holds a token against every group, beside the request threads.
    async fn search(
        &self,
        exchange: &Exchange,
        now: Timestamp,
        trust: &Arc<Trust>,
        before: Option<&Registration>,
        strict: bool,
        attempt: &mut Attempt,
    ) -> Result<Verdict, Error> {
        let (scope, id) = (exchange.id_scope.clone(), exchange.registration_id.clone());
        let (evidence, before) = (exchange.evidence.clone(), before.cloned());
        let (groups, trust) = (trust.symmetric().len(), Arc::clone(trust));
        let search = move || {
            let claim = Claim {
                scope: &scope,
                registration_id: &id,
                now,
            };
            let verdict = authentication::read(claim, &evidence).and_then(|proof| {
                authentication::by_group(claim, &proof, &trust, before.as_ref(), strict)
            });
            let found = verdict.is_ok();
            (verdict, found)
        };
        let address = attempt.address().to_owned();
        let counts = attempt.course().service().map(Arc::clone);
        let counts = counts.unwrap_or_default();
        let done = self
            .searches
            .run(&exchange.id_scope, &address, now, &counts, search)
            .await;
        match done {
            Ok(verdict) => verdict.map_err(|refusal| refused(Stage::Attestation, refusal, attempt)),
            Err(NoSearch::Spent(wait)) => {
                counts.searches.count((Search::Refused,));
                attempt.stop(Stage::Attestation, &searches_spent(groups));
                Err(Error::Throttled(wait))
            }
            Err(NoSearch::Stopping) => Err(Error::Unavailable(COME_BACK)),
        }
    }
}

fn note_verdict(verdict: &Verdict, attempt: &mut Attempt) {
    let note = if verdict.enabled() {
        verdict.note.clone()
    } else {
        format!("{}: disabled", verdict.note)
    };
    attempt.pass(Stage::Attestation, note);
    attempt.course().judged(Judged::Accepted);
    if !verdict.enabled() {
        attempt.note_finding(&disabled(verdict));
    }
}

fn refused(stage: Stage, mut refusal: Refusal, attempt: &mut Attempt) -> Error {
    attempt.refuse(stage, &mut refusal);
    attempt.course().judged(Judged::Refused);
    refusal.public
}
