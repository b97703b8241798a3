//! The service API over HTTPS: who asks, what for, and may they. The calls themselves stand in the
//! submodules; the rules of records in [`landfall_core::administration`].
//!
//! Source: docs/protocol/service-api.md §2, §4.

mod bulk;
mod enrollments;
mod registrations;

use http::Method;
use landfall_core::administration::{Administration, Condition};
use landfall_core::audit::Origin;
use landfall_core::clock::Timestamp;
use landfall_core::enrollment::{EnrollmentGroup, IndividualEnrollment};
use landfall_core::error::Error;
use landfall_core::id::Etag;
use landfall_core::sas::SasToken;
use landfall_core::service::access::{Operator, authenticate};
use landfall_core::service::{ProvisioningService, Rights};
use landfall_core::store::Store;
use landfall_wire::message::{Reply, Request};
use landfall_wire::route::{Collection, ServiceRoute};
use landfall_wire::service::enrollment::EnrollmentBody;
use landfall_wire::{api_version, fault};
use percent_encoding::percent_decode_str;

use crate::backend::Backend;

/// What a request asks of the service API, by path and method.
enum Operation<'a> {
    /// Many enrollments in one call.
    Bulk(Collection),
    /// A page of enrollments.
    Query(Collection),
    /// One enrollment.
    Read(Collection, &'a str),
    /// Make or replace one enrollment.
    Put(Collection, &'a str),
    /// Remove one enrollment.
    Delete(Collection, &'a str),
    /// The keys of one enrollment.
    AttestationMechanism(Collection, &'a str),
    /// One registration.
    ReadRegistration(&'a str),
    /// Remove one registration.
    DeleteRegistration(&'a str),
    /// A page of a group's registrations.
    QueryRegistrations(&'a str),
}

impl<'a> Operation<'a> {
    fn of(route: &'a ServiceRoute, method: &Method) -> Option<Self> {
        match route {
            ServiceRoute::Bulk(which) => {
                (method == Method::POST).then_some(Operation::Bulk(*which))
            }
            ServiceRoute::Item(which, id) => match *method {
                Method::GET => Some(Operation::Read(*which, id)),
                Method::PUT => Some(Operation::Put(*which, id)),
                Method::DELETE => Some(Operation::Delete(*which, id)),
                // An enrollment may be called `query`; only by POST is it the query.
                Method::POST if id.eq_ignore_ascii_case("query") => Some(Operation::Query(*which)),
                _ => None,
            },
            ServiceRoute::AttestationMechanism(which, id) => {
                (method == Method::POST).then_some(Operation::AttestationMechanism(*which, id))
            }
            ServiceRoute::Registration(id) => match *method {
                Method::GET => Some(Operation::ReadRegistration(id)),
                Method::DELETE => Some(Operation::DeleteRegistration(id)),
                _ => None,
            },
            ServiceRoute::RegistrationQuery(group) => {
                (method == Method::POST).then_some(Operation::QueryRegistrations(group))
            }
        }
    }

    /// The right that it takes.
    ///
    /// Source: docs/protocol/service-api.md §2.4 [D, I].
    fn right(&self) -> Rights {
        match self {
            Operation::Read(..) | Operation::Query(_) => Rights::ENROLLMENT_READ,
            Operation::Bulk(_)
            | Operation::Put(..)
            | Operation::Delete(..)
            | Operation::AttestationMechanism(..) => Rights::ENROLLMENT_WRITE,
            Operation::ReadRegistration(_) | Operation::QueryRegistrations(_) => {
                Rights::REGISTRATION_STATUS_READ
            }
            Operation::DeleteRegistration(_) => Rights::REGISTRATION_STATUS_WRITE,
        }
    }
}

/// The methods that a path of the service API takes, as the `Allow` header lists them.
fn allowed(route: &ServiceRoute) -> &'static str {
    match route {
        ServiceRoute::Item(_, id) if id.eq_ignore_ascii_case("query") => "GET, PUT, DELETE, POST",
        ServiceRoute::Item(..) => "GET, PUT, DELETE",
        ServiceRoute::Registration(_) => "GET, DELETE",
        ServiceRoute::Bulk(_)
        | ServiceRoute::AttestationMechanism(..)
        | ServiceRoute::RegistrationQuery(_) => "POST",
    }
}

/// Answers one request. `services` are those that answer to the host name asked for, or all when
/// none does; the signature tells which one is meant.
pub async fn answer<S: Store>(
    backend: &Backend<S>,
    services: &[ProvisioningService],
    request: &Request,
    route: &ServiceRoute,
    origin: &Origin,
) -> Reply {
    let (now, tracking) = (origin.at, &origin.tracking_id);
    let reply = match carry_out(backend, services, request, route, origin).await {
        Ok(reply) => reply,
        Err(error) => {
            let reply = fault::reply(&error, tracking, now);
            match error {
                Error::MethodNotAllowed => reply.with_header("allow", allowed(route)),
                _ => reply,
            }
        }
    };
    reply.with_header("x-ms-request-id", tracking.as_str())
}

/// Finds the service and the policy that signed the request.
///
/// # Errors
/// [`Error::Unauthorized`] when the caller did not prove who it is.
pub(crate) fn operator<'a>(
    services: &'a [ProvisioningService],
    request: &Request,
    now: Timestamp,
) -> Result<Operator<'a>, Error> {
    let token = request
        .header("authorization")
        .and_then(|value| SasToken::parse(value).ok())
        .ok_or(Error::Unauthorized)?;
    let path = percent_decode_str(&request.path).decode_utf8_lossy();
    authenticate(services, &token, &request.host(), &path, now)
}

/// One call at work.
struct Call<'a, S> {
    administration: Administration<'a, S>,
    request: &'a Request,
}

impl<S> Call<'_, S> {
    fn condition(&self) -> Result<Condition, Error> {
        condition(self.request)
    }
}

/// What a request expects of the record that it is about.
pub(crate) fn condition(request: &Request) -> Result<Condition, Error> {
    match request.headers.get("if-match") {
        None => Ok(Condition::Unstated),
        // A header that is no text is no etag either.
        Some(value) => Condition::parse(Some(value.to_str().unwrap_or("not text"))),
    }
}

async fn carry_out<S: Store>(
    backend: &Backend<S>,
    services: &[ProvisioningService],
    request: &Request,
    route: &ServiceRoute,
    origin: &Origin,
) -> Result<Reply, Error> {
    let now = origin.at;
    let operator = operator(services, request, now)?;
    let operation = Operation::of(route, &request.method).ok_or(Error::MethodNotAllowed)?;
    operator.demand(operation.right())?;
    api_version::parse(request.parameter("api-version").as_deref())?;

    let call = Call {
        administration: Administration {
            store: &*backend.store,
            service: operator.service(),
            now,
            entropy: &*backend.entropy,
            author: origin.author(operator.actor()),
        },
        request,
    };
    match operation {
        Operation::ReadRegistration(id) => call.read_registration(id).await,
        Operation::DeleteRegistration(id) => call.delete_registration(id).await,
        Operation::QueryRegistrations(group) => call.query_registrations(group).await,
        Operation::Bulk(which)
        | Operation::Query(which)
        | Operation::Read(which, _)
        | Operation::Put(which, _)
        | Operation::Delete(which, _)
        | Operation::AttestationMechanism(which, _) => match which {
            Collection::Individuals => {
                on_enrollments::<IndividualEnrollment, S>(&call, &operation, which).await
            }
            Collection::Groups => {
                on_enrollments::<EnrollmentGroup, S>(&call, &operation, which).await
            }
        },
    }
}

async fn on_enrollments<E: EnrollmentBody, S: Store>(
    call: &Call<'_, S>,
    operation: &Operation<'_>,
    which: Collection,
) -> Result<Reply, Error> {
    match operation {
        Operation::Bulk(_) => call.bulk::<E>().await,
        Operation::Query(_) => call.query::<E>(which).await,
        Operation::Read(_, id) => call.read::<E>(id).await,
        Operation::Put(_, id) => call.put::<E>(id).await,
        Operation::Delete(_, id) => call.delete::<E>(id).await,
        Operation::AttestationMechanism(_, id) => call.attestation_mechanism::<E>(id).await,
        // Registrations are answered before they come here.
        Operation::ReadRegistration(_)
        | Operation::DeleteRegistration(_)
        | Operation::QueryRegistrations(_) => Err(Error::MethodNotAllowed),
    }
}

/// A reply about one record with the mark of its state. HTTP wants the mark quoted.
pub(crate) fn marked(reply: Reply, etag: &Etag) -> Reply {
    reply.with_header("etag", &format!("\"{etag}\""))
}
