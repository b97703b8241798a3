//! The calls of Landfall's own routes: services, and the decision traces of attempts.
//!
//! Source: docs/divergences.md, own routes.

use http::Method;
use serde_json::json;

use super::{Authorization, Draft};
use crate::message::Request;

/// Lists the provisioning services of a server; with connection strings when `keys`.
pub fn services(authorization: &Authorization, keys: bool) -> Request {
    with_keys(Draft::new(Method::GET, &["landfall", "services"]), keys)
        .authorized(authorization)
        .done()
}

/// Reads a provisioning service; with connection strings when `keys`.
pub fn service(authorization: &Authorization, name: &str, keys: bool) -> Request {
    let draft = Draft::new(Method::GET, &["landfall", "services", name]);
    with_keys(draft, keys).authorized(authorization).done()
}

fn with_keys(draft: Draft, keys: bool) -> Draft {
    if keys {
        draft.parameter("keys", "true")
    } else {
        draft
    }
}

/// Makes a provisioning service with an embedded hub linked to it.
pub fn create_service(
    authorization: &Authorization,
    name: &str,
    host: Option<&str>,
    hub_host: Option<&str>,
) -> Request {
    let mut body = json!({ "name": name });
    if let Some(host) = host {
        body["hostName"] = json!(host);
    }
    if let Some(hub_host) = hub_host {
        body["hubHostName"] = json!(hub_host);
    }
    Draft::new(Method::POST, &["landfall", "services"])
        .authorized(authorization)
        .json(&body)
        .done()
}

/// Reads the decision trace of one attempt.
pub fn trace(authorization: &Authorization, tracking_id: &str) -> Request {
    Draft::new(Method::GET, &["landfall", "traces", tracking_id])
        .authorized(authorization)
        .done()
}

/// Reads the last `top` decision traces of a registration id.
pub fn registration_traces(authorization: &Authorization, id: &str, top: usize) -> Request {
    Draft::new(Method::GET, &["landfall", "registrations", id, "traces"])
        .parameter("top", &top.to_string())
        .authorized(authorization)
        .done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{self, OwnRoute, Route};

    #[test]
    fn every_call_reaches_the_route_it_is_meant_for() {
        let who = Authorization::bearer("t");
        let create = create_service(&who, "second", None, Some("hub.example.net"));
        assert_eq!(
            create.body,
            br#"{"name":"second","hubHostName":"hub.example.net"}"#
        );
        let keys = services(&who, true);
        assert_eq!(keys.parameter("keys").as_deref(), Some("true"));
        for (request, wanted) in [
            (create, OwnRoute::Services),
            (keys, OwnRoute::Services),
            (
                service(&who, "second", false),
                OwnRoute::Service("second".into()),
            ),
            (trace(&who, "t-1"), OwnRoute::Trace("t-1".into())),
            (
                registration_traces(&who, "d:1", 5),
                OwnRoute::RegistrationTraces("d:1".into()),
            ),
        ] {
            assert_eq!(route::parse(&request.path), Some(Route::Own(wanted)));
        }
    }
}
