//! Who is let in: reads what is in force for a device and holds its evidence against it.

use std::sync::Arc;

use landfall_core::authentication::{self, Claim, Proof, Refusal, Trust, Verdict, known_group};
use landfall_core::clock::Timestamp;
use landfall_core::error::Error;
use landfall_core::exchange::Exchange;
use landfall_core::linked_hub::HubRegistry;
use landfall_core::registration::Registration;
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
    pub(super) service: ProvisioningService,
    pub(super) verdict: Verdict,
    pub(super) before: Option<Registration>,
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
        let store = &self.backend.store;
        let scope = &exchange.id_scope;
        let id = &exchange.registration_id;
        let claim = Claim {
            scope,
            registration_id: id,
            now: self.backend.clock.now(),
        };
        let unread =
            |error: ReadError, attempt: &mut Attempt| unreadable(Stage::Service, &error, attempt);

        let service = store
            .service(scope)
            .await
            .map_err(|error| unread(error, attempt))?;
        let Some(service) = service else {
            attempt.stop(Stage::Service, &unknown_scope(exchange));
            return Err(Error::Unauthorized);
        };
        let counts = self.backend.metrics.services.of(service.name.as_str());
        attempt.course().is_for(counts);
        attempt.pass(
            Stage::Service,
            format!("provisioning service '{}'", service.name),
        );

        let proof = authentication::read(claim, &exchange.evidence)
            .map_err(|refusal| refused(Stage::Request, refusal, attempt))?;
        let individual = store
            .individual(scope, id)
            .await
            .map_err(|error| unread(error, attempt))?;
        let before = store
            .registration(scope, id)
            .await
            .map_err(|error| unread(error, attempt))?;
        if individual.is_none()
            && let Some(verdict) = self
                .known(claim, &proof, &service, before.as_ref())
                .await
                .map_err(|error| unread(error, attempt))?
        {
            attempt.pass(
                Stage::Enrollment,
                "no individual enrollment; the group of before",
            );
            return Ok(let_in(service, verdict, before, attempt));
        }
        // Most individual enrollments need nothing of what the service trusts; gathering it costs
        // as much as the service has groups.
        let trust = match &individual {
            Some(enrollment) if !enrollment.names_authorities() => Arc::default(),
            _ => self
                .trust
                .of(&**store, &service)
                .await
                .map_err(|error| unread(error, attempt))?,
        };

        let verdict = match &individual {
            Some(enrollment) => {
                attempt.pass(
                    Stage::Enrollment,
                    format!("individual enrollment '{}'", enrollment.registration_id),
                );
                authentication::by_individual(claim, &proof, enrollment, &trust)
                    .map_err(|refusal| refused(Stage::Attestation, refusal, attempt))?
            }
            None => {
                let groups = trust.symmetric().len() + trust.anchors().len();
                attempt.pass(Stage::Enrollment, format!("no individual enrollment; {groups} group key(s) and certificate(s) in question"));
                let strict = service.require_verified_chain;
                if proof.shows_token() && trust.symmetric().len() > GROUPS_INLINE {
                    self.search(
                        exchange,
                        claim.now,
                        &trust,
                        before.as_ref(),
                        strict,
                        attempt,
                    )
                    .await?
                } else {
                    authentication::by_group(claim, &proof, &trust, before.as_ref(), strict)
                        .map_err(|refusal| refused(Stage::Attestation, refusal, attempt))?
                }
            }
        };
        Ok(let_in(service, verdict, before, attempt))
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

fn let_in(
    service: ProvisioningService,
    verdict: Verdict,
    before: Option<Registration>,
    attempt: &mut Attempt,
) -> Admitted {
    let note = if verdict.enabled() {
        verdict.note.clone()
    } else {
        format!("{}: disabled", verdict.note)
    };
    attempt.pass(Stage::Attestation, note);
    attempt.course().judged(Judged::Accepted);
    if !verdict.enabled() {
        attempt.note_finding(&disabled(&verdict));
    }
    Admitted {
        service,
        verdict,
        before,
    }
}

fn refused(stage: Stage, mut refusal: Refusal, attempt: &mut Attempt) -> Error {
    attempt.refuse(stage, &mut refusal);
    attempt.course().judged(Judged::Refused);
    refusal.public
}
