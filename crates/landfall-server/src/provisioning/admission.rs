//! Who is let in: reads what is in force for a device and holds its evidence against it.

use std::sync::Arc;

use landfall_core::authentication::{self, Claim, Proof, Refusal, Trust, Verdict};
use landfall_core::error::Error;
use landfall_core::exchange::Exchange;
use landfall_core::linked_hub::HubRegistry;
use landfall_core::registration::Registration;
use landfall_core::service::ProvisioningService;
use landfall_core::store::{ReadError, Store};
use landfall_core::trace::Stage;

use super::Provisioning;
use super::findings::{disabled, unknown_scope, unreadable};
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
            }
            None => {
                let groups = trust.symmetric().len() + trust.anchors().len();
                attempt.pass(Stage::Enrollment, format!("no individual enrollment; {groups} group key(s) and certificate(s) in question"));
                let turn = attempt.address().to_owned();
                self.search(claim, &proof, &trust, before.as_ref(), &service, turn)
                    .await
            }
        };
        let verdict = verdict.map_err(|refusal| refused(Stage::Attestation, refusal, attempt))?;
        let note = if verdict.enabled() {
            verdict.note.clone()
        } else {
            format!("{}: disabled", verdict.note)
        };
        attempt.pass(Stage::Attestation, note);
        if !verdict.enabled() {
            attempt.note_finding(&disabled(&verdict));
        }
        Ok(Admitted {
            service,
            verdict,
            before,
        })
    }

    async fn search(
        &self,
        claim: Claim<'_>,
        proof: &Proof<'_>,
        trust: &Arc<Trust>,
        before: Option<&Registration>,
        service: &ProvisioningService,
        address: String,
    ) -> Result<Verdict, Refusal> {
        let strict = service.require_verified_chain;
        let look = || authentication::by_group(claim, proof, trust, before, strict);
        if !proof.shows_token() || trust.symmetric().len() <= GROUPS_INLINE {
            return look();
        }
        if let Some(verdict) = authentication::by_own_group(claim, proof, trust, before) {
            return Ok(verdict);
        }
        let _turn = self.searches.take(address).await;
        tokio::task::block_in_place(look)
    }
}

fn refused(stage: Stage, mut refusal: Refusal, attempt: &mut Attempt) -> Error {
    attempt.refuse(stage, &mut refusal);
    refusal.public
}
