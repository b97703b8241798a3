//! What each provisioning service trusts, kept as long as its trust version stands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use landfall_core::attestation::AttestationKind;
use landfall_core::authentication::Trust;
use landfall_core::clock::Timestamp;
use landfall_core::id::IdScope;
use landfall_core::service::ProvisioningService;
use landfall_core::store::{ReadError, Store};

/// Most services whose trust is kept at once.
const MOST: usize = 256;

/// The trust of one service, with what must not have changed since: its trust version, and when the
/// service was made, since a service may be deleted and another be made under its id scope.
type Kept = (i64, Timestamp, Arc<Trust>);

/// The trust of the services that were asked for lately.
#[derive(Default)]
pub struct TrustCache {
    places: Mutex<HashMap<IdScope, Arc<Place>>>,
}

/// Where the trust of one service is kept.
#[derive(Default)]
struct Place {
    kept: Mutex<Option<Kept>>,
    /// Held by who gathers: the others of that service wait for what it finds.
    gathering: tokio::sync::Mutex<()>,
}

impl TrustCache {
    /// The trust of `service` as of its trust version, when it is at hand.
    pub fn kept(&self, service: &ProvisioningService) -> Option<Arc<Trust>> {
        self.place(&service.id_scope).of(service)
    }

    /// The trust of `service` as of its trust version.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn of<S: Store>(
        &self,
        store: &S,
        service: &ProvisioningService,
    ) -> Result<Arc<Trust>, ReadError> {
        let scope = &service.id_scope;
        let place = self.place(scope);
        if let Some(trust) = place.of(service) {
            return Ok(trust);
        }
        let _gathering = place.gathering.lock().await;
        if let Some(trust) = place.of(service) {
            return Ok(trust);
        }
        // The version was read before the records: at worst they are newer than it says, and the
        // next request, which reads a newer version, gathers them again.
        let mut groups = store
            .groups_by_kind(scope, AttestationKind::SymmetricKey)
            .await?;
        groups.extend(store.groups_by_kind(scope, AttestationKind::X509).await?);
        let trust = Arc::new(Trust::new(groups, store.certificates(scope).await?));
        let kept = (service.trust_version, service.created, Arc::clone(&trust));
        *lock(&place.kept) = Some(kept);
        Ok(trust)
    }

    fn place(&self, scope: &IdScope) -> Arc<Place> {
        let mut places = lock(&self.places);
        if let Some(place) = places.get(scope) {
            return Arc::clone(place);
        }
        if places.len() >= MOST {
            places.clear();
        }
        Arc::clone(places.entry(scope.clone()).or_default())
    }
}

impl Place {
    fn of(&self, service: &ProvisioningService) -> Option<Arc<Trust>> {
        match &*lock(&self.kept) {
            Some((version, made, trust))
                if *version == service.trust_version && *made == service.created =>
            {
                Some(Arc::clone(trust))
            }
            _ => None,
        }
    }
}

fn lock<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
