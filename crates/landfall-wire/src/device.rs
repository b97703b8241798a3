//! Bodies of the device API: what a device sends, and what it reads back. HTTPS and the
//! other transports share them. Errors are written by [`crate::fault`].

use std::time::Duration;

use http::StatusCode;
use landfall_core::attestation::{AttestationKind, TpmAttestation};
use landfall_core::document::Document;
use landfall_core::error::Error;
use landfall_core::id::{OperationId, RegistrationId};
use landfall_core::registration::operation::{Operation, Progress};
use landfall_core::registration::{EnrollmentRef, Registration, RegistrationStatus};
use serde_json::{Map, Value, json};

use crate::fault::registration;
use crate::fields::{Members, parse_object};
use crate::message::Reply;
use crate::status::{self, status_name, substatus_name};

/// What a device says of itself when it registers or asks for its state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceBody {
    /// What it sends for custom allocation; `null` counts as nothing.
    pub payload: Option<Document>,
    /// Its TPM keys.
    pub tpm: Option<TpmAttestation>,
}

/// Who reads a registration state. Devices see what their SDKs need; operators see what the
/// service keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The device itself.
    Device,
    /// An operator, through the service API.
    Service,
}

/// Reads the body of register and of status lookup, which share one form. An empty body is well
/// formed; members that are not known are passed over.
///
/// Source: docs/protocol/device-api.md §1.4 [R, S].
///
/// # Errors
/// [`Error::Unreadable`] when it is not a JSON object; [`Error::Invalid`] when it names another
/// registration id than the path, or asks for a certificate, which is not served here.
pub fn parse_body(body: &[u8], path_id: &RegistrationId) -> Result<DeviceBody, Error> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(DeviceBody::default());
    }
    let object = parse_object(body)?;
    let members = Members::of(&object);
    if let Some(id) = members.text("registrationId")?
        && !id.eq_ignore_ascii_case(path_id.as_str())
    {
        return Err(Error::Invalid(
            "The registrationId of the body is not the one of the path.".to_owned(),
        ));
    }
    if members.value("csr").is_some() {
        return Err(Error::Invalid(
            "A certificate signing request (csr) is not served by this build.".to_owned(),
        ));
    }
    let tpm = match members.object("tpm")? {
        Some(tpm) => tpm
            .text("endorsementKey")?
            .map(|endorsement_key| {
                Ok::<_, Error>(TpmAttestation {
                    endorsement_key: endorsement_key.to_owned(),
                    storage_root_key: tpm.text("storageRootKey")?.map(str::to_owned),
                })
            })
            .transpose()?,
        None => None,
    };
    Ok(DeviceBody {
        payload: members.value("payload").map(Document::from_json),
        tpm,
    })
}

/// The reply to register: always 202, whether or not the operation has ended by now.
///
/// Shape: `location` is the URL of the request itself, as the cloud service gives it.
/// Source: docs/protocol/device-api.md §1.5 [R].
pub fn accepted(operation: &OperationId, location: &str, retry_after: Duration) -> Reply {
    Reply::json(
        StatusCode::ACCEPTED,
        &json!({"operationId": operation.as_str(), "status": status::ASSIGNING.word}),
    )
    .with_header("location", location)
    .with_header("retry-after", &retry_after.as_secs().to_string())
}

/// The reply to operation status: 202 while it runs, 200 with the registration state once it has
/// ended, however it ended.
///
/// Source: docs/protocol/device-api.md §1.5 [R].
pub fn operation(operation: &Operation, retry_after: Duration) -> Reply {
    match &operation.progress {
        Progress::Accepted(_) | Progress::Allocated(..) => Reply::json(
            StatusCode::ACCEPTED,
            &json!({
                "operationId": operation.id.as_str(),
                "status": status::ASSIGNING.word,
                "registrationState": {
                    "registrationId": operation.registration_id.as_str(),
                    "status": status::ASSIGNING.word,
                },
            }),
        )
        .with_header("retry-after", &retry_after.as_secs().to_string()),
        Progress::Finished(registration) => Reply::json(
            StatusCode::OK,
            &json!({
                "operationId": operation.id.as_str(),
                "status": status_name(&registration.status),
                "registrationState": registration_state_json(registration, View::Device),
            }),
        ),
    }
}

/// The reply to status lookup: the registration state alone.
///
/// Source: docs/protocol/device-api.md §1.5 [D].
pub fn registration(registration: &Registration) -> Reply {
    Reply::json(
        StatusCode::OK,
        &registration_state_json(registration, View::Device),
    )
}

/// A registration state as JSON. Members without a value are left out: several clients fail on
/// null.
///
/// Shape: while a device's last attempt failed, only operators see where it lived before.
/// Source: docs/protocol/device-api.md §1.5 [R, S]; docs/protocol/service-api.md §3.5 [S].
pub fn registration_state_json(registration: &Registration, view: View) -> Value {
    let mut state = Map::new();
    let mut put = |name: &str, value: Value| {
        state.insert(name.to_owned(), value);
    };
    let assigned = registration.status == RegistrationStatus::Assigned;

    put(
        "registrationId",
        registration.registration_id.as_str().into(),
    );
    put("createdDateTimeUtc", registration.created.to_wire().into());
    if let Some(assignment) = &registration.assignment
        && (assigned || view == View::Service)
    {
        put("assignedHub", assignment.hub.as_str().into());
        put("deviceId", assignment.device_id.as_str().into());
    }
    put("status", status_name(&registration.status).into());
    if let Some(assignment) = &registration.assignment
        && assigned
    {
        put("substatus", substatus_name(assignment.substatus).into());
    }
    match &registration.status {
        RegistrationStatus::Assigned => {}
        RegistrationStatus::Failed(failure) => {
            put("errorCode", registration::failure_code(failure).into());
            put("errorMessage", failure.public().into());
        }
        RegistrationStatus::Disabled => {
            put("errorCode", registration::DISABLED.number.into());
            put("errorMessage", registration::DISABLED_MESSAGE.into());
        }
    }
    put(
        "lastUpdatedDateTimeUtc",
        registration.updated.to_wire().into(),
    );
    put("etag", registration.etag.as_str().into());
    if let Some(payload) = &registration.payload {
        put("payload", payload.to_json());
    }
    if view == View::Device {
        match (registration.kind, &registration.enrollment) {
            (AttestationKind::X509, _) => put("x509", json!({})),
            (AttestationKind::SymmetricKey, EnrollmentRef::Group(group)) => {
                put("symmetricKey", json!({"enrollmentGroupId": group.as_str()}));
            }
            (AttestationKind::SymmetricKey, EnrollmentRef::Individual)
            | (AttestationKind::Tpm, _) => {}
        }
    }
    Value::Object(state)
}

#[cfg(test)]
mod tests;
