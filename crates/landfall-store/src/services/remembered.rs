//! Services as they were read last, so that a device's request need not open their policies' keys again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use landfall_core::service::ProvisioningService;

use super::decode;
use crate::dialect::{Fault, Row};
use crate::secret::Sealer;

/// Most services that are remembered.
const MOST: usize = 256;

/// Services by scope. A row with the same etag and trust version says the same: whoever changes a service
/// gives it another etag.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<HashMap<String, Known>>);

struct Known {
    etag: String,
    trust_version: i64,
    service: Arc<ProvisioningService>,
}

impl Remembered {
    /// The service of a row of [`super::one`].
    pub(crate) fn read(
        &self,
        row: &Row<'_>,
        sealer: &Sealer,
    ) -> Result<Arc<ProvisioningService>, Fault> {
        let (scope, etag, trust_version) = (row.text(0)?, row.text(1)?, row.integer(2)?);
        if let Some(known) = self.lock().get(scope)
            && known.etag == etag
            && known.trust_version == trust_version
        {
            return Ok(Arc::clone(&known.service));
        }
        let service = Arc::new(decode(row, sealer)?);
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        let known = Known {
            etag: etag.to_owned(),
            trust_version,
            service: Arc::clone(&service),
        };
        all.insert(scope.to_owned(), known);
        Ok(service)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // A map of whole entries cannot be left half-changed by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
