//! What each provisioning service trusts, kept as long as its trust version stands.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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
    kept: Mutex<HashMap<IdScope, Kept>>,
}

impl TrustCache {
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
        if let Some((version, made, trust)) = self.lock().get(scope)
            && *version == service.trust_version
            && *made == service.created
        {
            return Ok(Arc::clone(trust));
        }
        // The version was read before the records: at worst they are newer than it says, and the
        // next request, which reads a newer version, gathers them again.
        let mut groups = store
            .groups_by_kind(scope, AttestationKind::SymmetricKey)
            .await?;
        groups.extend(store.groups_by_kind(scope, AttestationKind::X509).await?);
        let trust = Arc::new(Trust::new(groups, store.certificates(scope).await?));
        let mut kept = self.lock();
        if kept.len() >= MOST {
            kept.clear();
        }
        let entry = (service.trust_version, service.created, Arc::clone(&trust));
        kept.insert(scope.clone(), entry);
        Ok(trust)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IdScope, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
