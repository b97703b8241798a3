//! The control plane over HTTPS: provisioning services and their keys, to read, and their CA
//! certificates.
//!
//! Source: docs/protocol/control-plane.md §1, §2, §4, §5, §6.

use http::{Method, StatusCode};
use landfall_core::administration::{Administration, Condition};
use landfall_core::audit::{Actor, Origin};
use landfall_core::error::Error;
use landfall_core::id::ServiceName;
use landfall_core::policy::Policies;
use landfall_core::secret::{SymmetricKey, same_bytes};
use landfall_core::service::{ProvisioningService, Rights};
use landfall_core::store::Store;
use landfall_wire::control::service::{Place, key_json, service_json};
use landfall_wire::message::{Reply, Request};
use landfall_wire::own::policies::policy_name;
use landfall_wire::route::{ControlRoute, ControlTarget};
use landfall_wire::service::{LARGEST_BODY, check_size};
use landfall_wire::{api_version, control, fault};

use crate::backend::{Backend, shown};
use crate::control_names::RESOURCE_GROUP;
use crate::service_api::condition;

/// Answers one request. `services` are all of the server; the path names one. `token` is the key
/// whose base64 text callers bear.
pub async fn answer<S: Store>(
    backend: &Backend<S>,
    services: &[ProvisioningService],
    request: &Request,
    route: &ControlRoute,
    token: &SymmetricKey,
    origin: &Origin,
) -> Reply {
    let tracking = &origin.tracking_id;
    match carry_out(backend, services, request, route, token, origin).await {
        Ok(reply) => reply
            .with_header("x-ms-request-id", tracking.as_str())
            .with_header("cache-control", "no-cache")
            .with_header("x-content-type-options", "nosniff"),
        Err(error) => {
            let reply = fault::control::reply(&error, tracking);
            match error {
                Error::MethodNotAllowed => reply.with_header("allow", allowed(&route.target)),
                _ => reply,
            }
        }
    }
}

/// True when the request bears the token. The comparison takes the same time wherever they differ.
pub(crate) fn bears(request: &Request, token: &SymmetricKey) -> bool {
    request
        .header("authorization")
        .and_then(|value| value.split_once(' '))
        .is_some_and(|(scheme, text)| {
            scheme.eq_ignore_ascii_case("bearer")
                && same_bytes(text.trim().as_bytes(), token.to_base64().as_bytes())
        })
}

fn allowed(target: &ControlTarget) -> &'static str {
    match target {
        ControlTarget::Services | ControlTarget::Service | ControlTarget::Certificates => "GET",
        ControlTarget::Certificate(_) => "GET, PUT, DELETE",
        ControlTarget::Keys
        | ControlTarget::Key(_)
        | ControlTarget::VerificationCode(_)
        | ControlTarget::Verify(_) => "POST",
    }
}

async fn carry_out<S: Store>(
    backend: &Backend<S>,
    services: &[ProvisioningService],
    request: &Request,
    route: &ControlRoute,
    token: &SymmetricKey,
    origin: &Origin,
) -> Result<Reply, Error> {
    if !bears(request, token) {
        return Err(Error::Unauthorized);
    }
    let mut methods = allowed(&route.target).split(", ");
    if !methods.any(|method| method == request.method.as_str()) {
        return Err(Error::MethodNotAllowed);
    }
    if route.target == ControlTarget::Services {
        return list_services(services, request, route);
    }
    let service = ServiceName::parse(&route.service)
        .ok()
        .and_then(|name| services.iter().find(|service| service.name == name))
        .ok_or_else(|| {
            Error::OtherNotFound(format!("Provisioning service '{}'", shown(&route.service)))
        })?;
    api_version::parse(request.parameter("api-version").as_deref())?;
    check_size(&request.body, LARGEST_BODY)?;
    let administration = Administration {
        store: &*backend.store,
        service,
        now: origin.at,
        entropy: &*backend.entropy,
        author: origin.author(Actor::ControlToken),
    };
    let call = Call {
        administration,
        request,
        route,
    };
    match (&route.target, &request.method) {
        (ControlTarget::Service, &Method::GET) => {
            let body = service_json(service, place(route));
            Ok(Reply::json(StatusCode::OK, &body))
        }
        (ControlTarget::Keys, &Method::POST) => {
            let keys = service.policies.iter().map(key_json).collect();
            Ok(Reply::json(StatusCode::OK, &control::list_json(keys)))
        }
        (ControlTarget::Key(name), &Method::POST) => {
            let policies = Policies {
                standing: &service.policies,
                caller: Rights::ALL,
            };
            let policy = policies.find(&policy_name(name)?)?;
            Ok(Reply::json(StatusCode::OK, &key_json(policy)))
        }
        (ControlTarget::Certificates, &Method::GET) => call.list().await,
        (ControlTarget::Certificate(name), &Method::GET) => call.read(name).await,
        (ControlTarget::Certificate(name), &Method::PUT) => call.put(name).await,
        (ControlTarget::Certificate(name), &Method::DELETE) => call.delete(name).await,
        (ControlTarget::VerificationCode(name), &Method::POST) => call.draw_code(name).await,
        (ControlTarget::Verify(name), &Method::POST) => call.verify(name).await,
        _ => Err(Error::MethodNotAllowed),
    }
}

/// All services of the server, in whichever subscription and resource group they are asked for.
///
/// Source: docs/protocol/control-plane.md §2.1 [S].
fn list_services(
    services: &[ProvisioningService],
    request: &Request,
    route: &ControlRoute,
) -> Result<Reply, Error> {
    api_version::parse(request.parameter("api-version").as_deref())?;
    let all = services
        .iter()
        .map(|service| service_json(service, place(route)))
        .collect();
    Ok(Reply::json(StatusCode::OK, &control::list_json(all)))
}

/// Where the services stand for this caller: as the path says.
fn place(route: &ControlRoute) -> Place<'_> {
    let named = Some(route.resource_group.as_str()).filter(|group| !group.is_empty());
    Place {
        subscription: &route.subscription,
        resource_group: named.unwrap_or(RESOURCE_GROUP),
    }
}

/// One call at work.
struct Call<'a, S> {
    administration: Administration<'a, S>,
    request: &'a Request,
    route: &'a ControlRoute,
}

impl<S: Store> Call<'_, S> {
    fn condition(&self) -> Result<Condition, Error> {
        condition(self.request)
    }

    /// The path of a certificate, as its `id` gives it back.
    fn resource(&self, name: &str) -> String {
        let service = place(self.route).resource(self.administration.service);
        format!("{service}/certificates/{name}")
    }

    async fn list(&self) -> Result<Reply, Error> {
        let certificates = self.administration.certificates().await?;
        let items = certificates
            .iter()
            .map(|c| control::certificate_json(c, &self.resource(c.name.as_str())))
            .collect();
        Ok(Reply::json(StatusCode::OK, &control::list_json(items)))
    }

    async fn read(&self, name: &str) -> Result<Reply, Error> {
        let name = control::certificate_name(name)?;
        let certificate = self
            .administration
            .certificate(&name, &self.condition()?)
            .await?;
        let body =
            control::certificate_json(&certificate, &self.resource(certificate.name.as_str()));
        Ok(Reply::json(StatusCode::OK, &body))
    }

    async fn put(&self, name: &str) -> Result<Reply, Error> {
        let name = control::certificate_name(name)?;
        let upload = control::parse_upload(&self.request.body)?;
        let certificate = self
            .administration
            .put_certificate(&name, upload, &self.condition()?)
            .await?;
        let body =
            control::certificate_json(&certificate, &self.resource(certificate.name.as_str()));
        Ok(Reply::json(StatusCode::OK, &body))
    }

    async fn delete(&self, name: &str) -> Result<Reply, Error> {
        let name = control::certificate_name(name)?;
        let was_there = self
            .administration
            .delete_certificate(&name, &self.condition()?)
            .await?;
        Ok(Reply::empty(if was_there {
            StatusCode::OK
        } else {
            StatusCode::NO_CONTENT
        }))
    }

    async fn draw_code(&self, name: &str) -> Result<Reply, Error> {
        let name = control::certificate_name(name)?;
        let certificate = self
            .administration
            .renew_verification_code(&name, &self.condition()?)
            .await?;
        let body = control::verification_code_json(
            &certificate,
            &self.resource(certificate.name.as_str()),
        );
        Ok(Reply::json(StatusCode::OK, &body))
    }

    async fn verify(&self, name: &str) -> Result<Reply, Error> {
        let name = control::certificate_name(name)?;
        let proof = control::parse_proof(&self.request.body)?;
        let certificate = self
            .administration
            .verify_certificate(&name, &proof, &self.condition()?)
            .await?;
        let body =
            control::certificate_json(&certificate, &self.resource(certificate.name.as_str()));
        Ok(Reply::json(StatusCode::OK, &body))
    }
}
