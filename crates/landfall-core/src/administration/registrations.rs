//! Registrations as operators see them: read and delete. Only devices make them.

use super::{Administration, Condition, refused};
use crate::error::Error;
use crate::id::RegistrationId;
use crate::registration::Registration;
use crate::store::{Change, Expect, Store, Write};

fn spoken(id: &RegistrationId) -> String {
    format!("Registration '{id}'")
}

impl<S: Store> Administration<'_, S> {
    /// Reads a registration, whichever enrollment let the device in.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none.
    pub async fn registration(&self, id: &RegistrationId) -> Result<Registration, Error> {
        self.store
            .registration(self.scope(), id)
            .await?
            .ok_or_else(|| Error::NotFound(spoken(id)))
    }

    /// Removes a registration: the device's next one is its first. The device stays on its hub.
    ///
    /// Source: docs/protocol/service-api.md §4.4, §5 [D, I].
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is none, [`Error::PreconditionFailed`] when it is not in the
    /// state asked for.
    pub async fn delete_registration(
        &self,
        id: &RegistrationId,
        condition: &Condition,
    ) -> Result<(), Error> {
        let expect = match condition {
            Condition::Unstated | Condition::Present => Expect::Present,
            Condition::Etag(etag) => Expect::Etag(etag.clone()),
        };
        let write = Write::DeleteRegistration(self.scope().clone(), id.clone(), expect);
        self.commit(Change::of(write))
            .await
            .map_err(|error| refused(error, &spoken(id), Error::NotFound(spoken(id))))
    }
}
