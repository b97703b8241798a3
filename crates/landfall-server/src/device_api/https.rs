//! The device API over HTTPS: path, header, certificate chain and body become an exchange.
//!
//! Source: docs/protocol/device-api.md §1.

use std::net::SocketAddr;

use http::Method;
use landfall_core::attestation::Evidence;
use landfall_core::error::Error;
use landfall_core::exchange::{Action, Exchange};
use landfall_core::id::{IdScope, OperationId, RegistrationId, TrackingId};
use landfall_core::linked_hub::HubRegistry;
use landfall_core::sas::SasToken;
use landfall_core::store::Store;
use landfall_core::trace::Stage;
use landfall_wire::message::{Reply, Request};
use landfall_wire::route::DeviceRoute;
use landfall_wire::{api_version, device};

use super::{DeviceApi, transport_note, unreadable};
use crate::faces::request_error;
use crate::listener::{Chain, Unread};
use crate::metrics::label::{Asked, Protocol};
use crate::telemetry::Attempt;

/// The largest body of a device request, in bytes.
///
/// Source: docs/protocol/device-api.md §1.7 [D].
pub const LARGEST_BODY: usize = 96 * 1024;

/// What one HTTPS request to the device API brought.
pub struct Incoming<'a> {
    /// Where it came from.
    pub peer: SocketAddr,
    /// The chain of its TLS session.
    pub chain: &'a Chain,
    /// The request.
    pub request: &'a Request,
    /// What its path names.
    pub route: &'a DeviceRoute,
    /// Why its body could not be read, if it could not.
    pub unread: Option<Unread>,
}

impl<S, H> DeviceApi<S, H>
where
    S: Store,
    H: HubRegistry<Write = S::HubWrite>,
{
    /// Answers one HTTPS request.
    pub async fn answer_https(&self, incoming: Incoming<'_>) -> Reply {
        let now = self.backend.clock.now();
        let tracking_id = TrackingId::draw(now, &*self.backend.entropy);
        let mut attempt = Attempt::begin(tracking_id, "https", incoming.peer.to_string(), now);
        let (asked, action, scope, id) = match incoming.route {
            DeviceRoute::Register(scope, id) => (Asked::Register, "register", scope, id),
            DeviceRoute::Operation(scope, id, _) => {
                (Asked::Operation, "operation status", scope, id)
            }
            DeviceRoute::Registration(scope, id) => (Asked::Lookup, "status lookup", scope, id),
        };
        attempt.asked(action, scope, id);
        attempt.course().asks(asked, Protocol::Https);
        attempt.pass(Stage::Transport, transport_note(incoming.chain));
        let exchange = read(&incoming).inspect_err(|error| {
            attempt.stop(Stage::Request, &unreadable(error));
        });
        let host = incoming.request.header("host").unwrap_or_default();
        let location = format!("https://{host}{}", incoming.request.path);
        self.converse(exchange, &location, attempt).await
    }
}

/// Reads a request into an exchange.
fn read(incoming: &Incoming<'_>) -> Result<Exchange, Error> {
    let request = incoming.request;
    if let Some(unread) = incoming.unread {
        return Err(request_error(unread));
    }
    refuse_codings(request)?;
    let (scope, id) = match incoming.route {
        DeviceRoute::Register(scope, id)
        | DeviceRoute::Operation(scope, id, _)
        | DeviceRoute::Registration(scope, id) => (scope, id),
    };
    let api_version = api_version::parse(request.parameter("api-version").as_deref())?;
    let id_scope = IdScope::parse(scope).map_err(|error| Error::Invalid(error.to_string()))?;
    let registration_id =
        RegistrationId::parse(id).map_err(|error| Error::Invalid(error.to_string()))?;
    let mut evidence = Evidence {
        token: request.header("authorization").map(SasToken::parse),
        chain: incoming.chain.to_vec(),
        tpm: None,
    };
    let action = match (incoming.route, &request.method) {
        (DeviceRoute::Register(..), &Method::PUT) => {
            let body = device::parse_body(&request.body, &registration_id)?;
            evidence.tpm = body.tpm;
            Action::Register {
                payload: body.payload,
            }
        }
        // Node polls with a JSON body on GET: it was read, and says nothing.
        (DeviceRoute::Operation(_, _, operation), &Method::GET) => Action::OperationStatus(
            OperationId::parse(operation).map_err(|error| Error::Invalid(error.to_string()))?,
        ),
        (DeviceRoute::Registration(..), &Method::POST) => {
            let body = device::parse_body(&request.body, &registration_id)?;
            evidence.tpm = body.tpm;
            Action::StatusLookup
        }
        _ => return Err(Error::MethodNotAllowed),
    };
    Ok(Exchange {
        id_scope,
        registration_id,
        action,
        evidence,
        api_version: api_version.as_str().to_owned(),
        protocol: "https",
    })
}

/// `Content-Encoding: utf-8`, which the articles send, is no coding; a real one is not read here.
///
/// Source: docs/protocol/device-api.md §1.3 [R].
fn refuse_codings(request: &Request) -> Result<(), Error> {
    let Some(coding) = request.header("content-encoding") else {
        return Ok(());
    };
    let known = ["", "utf-8", "utf8", "identity"];
    if coding
        .split(',')
        .all(|part| known.contains(&part.trim().to_ascii_lowercase().as_str()))
    {
        return Ok(());
    }
    Err(Error::MediaType(
        "The Content-Encoding is not one this server reads; send the body as it is.".to_owned(),
    ))
}
