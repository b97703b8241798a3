//! All that a request of a device rests on, read at once: on SQLite as of one moment, on PostgreSQL with one
//! wait for all answers.

use landfall_core::id::{IdScope, OperationId, RegistrationId};
use landfall_core::store::{InForce, ReadError};

use super::readers::{Files, Readers, unread};
use crate::dialect::{Fault, Pool, Session};
use crate::secret::Sealer;
use crate::services::{self, Remembered};
use crate::{enrollments, operations, registrations};

impl Readers {
    /// What is in force for one device.
    pub(super) async fn in_force(
        &self,
        services: &Remembered,
        scope: &IdScope,
        id: &RegistrationId,
        operation: Option<&OperationId>,
    ) -> Result<InForce, ReadError> {
        match self {
            Readers::Sqlite(files) => of_a_file(files, services, scope, id, operation),
            Readers::Postgres(pool, sealer) => {
                let found = of_a_pool(pool, sealer, services, scope, id, operation);
                found.await.map_err(unread)
            }
        }
    }
}

fn of_a_file(
    files: &Files,
    services: &Remembered,
    scope: &IdScope,
    id: &RegistrationId,
    operation: Option<&OperationId>,
) -> Result<InForce, ReadError> {
    let sealer = &files.sealer;
    let look = |session: &Session| {
        let service = session.first_of(&services::one(scope), |row| services.read(row, sealer))?;
        if service.is_none() {
            return Ok(InForce::default());
        }
        let individual = session.one(&enrollments::individual(scope, id), sealer)?;
        let registration = if operation.is_none() || individual.is_none() {
            session.one(&registrations::one(scope, id), sealer)?
        } else {
            None
        };
        let operation = match operation {
            Some(operation) => session.one(&operations::one(scope, operation), sealer)?,
            None => None,
        };
        Ok::<_, Fault>(InForce {
            service,
            individual,
            registration,
            operation,
        })
    };
    files.with(|session| session.at_one_moment(|| look(session)))
}

async fn of_a_pool(
    pool: &Pool,
    sealer: &Sealer,
    services: &Remembered,
    scope: &IdScope,
    id: &RegistrationId,
    operation: Option<&OperationId>,
) -> Result<InForce, Fault> {
    let individual = enrollments::individual(scope, id);
    let registration = registrations::one(scope, id);
    let operation = operation.map(|operation| operations::one(scope, operation));
    let found = pool
        .together(
            &services::one(scope),
            &individual,
            &registration,
            operation.as_ref(),
        )
        .await?;
    let service = found.first(0, |row| services.read(row, sealer))?;
    if service.is_none() {
        return Ok(InForce::default());
    }
    let individual = found.first(1, |row| individual.decode(row, sealer))?;
    let registration = match (&operation, &individual) {
        (Some(_), Some(_)) => None,
        _ => found.first(2, |row| registration.decode(row, sealer))?,
    };
    let operation = match &operation {
        Some(operation) => found.first(3, |row| operation.decode(row, sealer))?,
        None => None,
    };
    Ok(InForce {
        service,
        individual,
        registration,
        operation,
    })
}
