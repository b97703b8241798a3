//! The device API: an [`Exchange`] in, a reply out, whatever the transport. The adapters turn bytes
//! into an exchange; what happens next is the same for all of them.

pub mod https;
pub mod mqtt;

use std::sync::Arc;
use std::time::Duration;

use landfall_core::error::Error;
use landfall_core::exchange::Exchange;
use landfall_core::linked_hub::HubRegistry;
use landfall_core::registration::operation::Progress;
use landfall_core::store::Store;
use landfall_core::trace::Finding;
use landfall_wire::message::Reply;
use landfall_wire::{device, fault, status};

use crate::backend::Backend;
use crate::listener::Chain;
use crate::provisioning::{Answer, Provisioning};
use crate::telemetry::{Attempt, Traces};

/// What the adapters of the device API share.
pub struct DeviceApi<S, H> {
    /// Store, clock and chance.
    pub backend: Backend<S>,
    /// The driver.
    pub provisioning: Arc<Provisioning<S, H>>,
    /// Where the reasons go.
    pub traces: Traces,
    /// What devices are told to wait between polls.
    pub retry_after: Duration,
    /// The largest body of a request, in bytes.
    pub largest_body: usize,
}

impl<S, H> DeviceApi<S, H>
where
    S: Store,
    H: HubRegistry<Write = S::HubWrite>,
{
    /// Takes an exchange down the road and writes the reply. `location` is the URL that was asked.
    async fn converse(
        &self,
        exchange: Result<Exchange, Error>,
        location: &str,
        mut attempt: Attempt,
    ) -> Reply {
        let answer = match &exchange {
            Ok(exchange) => self.provisioning.answer(exchange, &mut attempt).await,
            Err(error) => Err(error.clone()),
        };
        let reply = match &answer {
            Ok(Answer::Accepted(operation)) => {
                device::accepted(operation, location, self.retry_after)
            }
            Ok(Answer::Operation(operation)) => device::operation(operation, self.retry_after),
            Ok(Answer::Registration(registration)) => device::registration(registration),
            Err(error) => fault::reply(error, attempt.tracking_id(), self.backend.clock.now()),
        };
        let reply = reply.with_header("x-ms-request-id", attempt.tracking_id().as_str());
        let outcome = format!("{} {}", reply.status.as_u16(), spoken(&answer));
        attempt.end(outcome);
        let error = answer.as_ref().err();
        attempt.course().count(error, &self.backend.metrics);
        self.traces.keep(attempt);
        reply
    }
}

/// What a trace says of the TLS session that a device came by.
fn transport_note(chain: &Chain) -> String {
    match chain.first() {
        None => "TLS, no client certificate".to_owned(),
        Some(Ok(leaf)) => format!(
            "TLS, {} client certificate(s), leaf SHA-256 {}",
            chain.len(),
            leaf.sha256_hex()
        ),
        Some(Err(error)) => format!("TLS, {} client certificate(s), leaf: {error}", chain.len()),
    }
}

/// The answer in a word or two, for traces and the log.
fn spoken(answer: &Result<Answer, Error>) -> String {
    match answer {
        Ok(Answer::Accepted(_)) => "assigning".to_owned(),
        Ok(Answer::Operation(operation)) => match &operation.progress {
            Progress::Finished(registration) => {
                status::status_name(&registration.status).to_owned()
            }
            Progress::Accepted(_) | Progress::Allocated(..) => "assigning".to_owned(),
        },
        Ok(Answer::Registration(registration)) => {
            status::status_name(&registration.status).to_owned()
        }
        Err(error) => error.to_string(),
    }
}

/// Why a request is none that the device API reads, for its trace.
fn unreadable(error: &Error) -> Finding {
    let (check, fix) = match error {
        Error::ApiVersion(_) => (
            "request.api_version",
            "Send ?api-version=2021-06-01, or another dated version.",
        ),
        Error::TooLarge(_) => ("request.body_size", "Send less in the payload."),
        Error::MethodNotAllowed => (
            "request.method",
            "PUT …/register, GET …/operations/{id}, POST …/registrations/{id}.",
        ),
        Error::MediaType(_) => ("request.content_encoding", "Leave Content-Encoding out."),
        Error::Unreadable(_) => ("request.body", "Send one JSON object, or no body at all."),
        _ => (
            "request.ids",
            "Compare scope, registration id and body with the enrollment.",
        ),
    };
    Finding::new(
        check,
        "a request of the form that the device API reads",
        error.to_string(),
        fix,
    )
}
