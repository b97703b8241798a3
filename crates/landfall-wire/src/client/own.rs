//! The calls of Landfall's own routes: services, decision traces of attempts, and chains
//! that are to be judged.
//!
//! Source: docs/divergences.md, own routes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use landfall_core::administration::import::Manner;
use landfall_core::certificate::Certificate;
use landfall_core::clock::Timestamp;
use serde_json::{Value as Json, json};

use super::{Authorization, Draft};
use crate::message::Request;
use crate::own::import::word;
use crate::route::PolicyHolder;

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

/// Changes what `change` names of a provisioning service.
pub fn update_service(
    authorization: &Authorization,
    name: &str,
    change: &Json,
    etag: Option<&str>,
) -> Request {
    Draft::new(Method::PATCH, &["landfall", "services", name])
        .authorized(authorization)
        .if_match(etag)
        .json(change)
        .done()
}

/// Removes a provisioning service; with all that is in it when `force`, without its embedded hubs
/// when `keep_hubs`.
pub fn delete_service(
    authorization: &Authorization,
    name: &str,
    force: bool,
    keep_hubs: bool,
    etag: Option<&str>,
) -> Request {
    let mut draft = Draft::new(Method::DELETE, &["landfall", "services", name]);
    if force {
        draft = draft.parameter("force", "true");
    }
    if keep_hubs {
        draft = draft.parameter("keepHubs", "true");
    }
    draft.authorized(authorization).if_match(etag).done()
}

/// Lists the shared access policies of a service or hub; with their keys when `keys`.
pub fn policies(authorization: &Authorization, holder: &PolicyHolder, keys: bool) -> Request {
    let draft = about_policies(Method::GET, holder, &[]);
    with_keys(draft, keys).authorized(authorization).done()
}

/// Reads a shared access policy; with its keys when `keys`.
pub fn policy(
    authorization: &Authorization,
    holder: &PolicyHolder,
    name: &str,
    keys: bool,
) -> Request {
    let draft = about_policies(Method::GET, holder, &[name]);
    with_keys(draft, keys).authorized(authorization).done()
}

/// Makes a shared access policy, or changes one when `etag` says that it is there.
pub fn put_policy(
    authorization: &Authorization,
    holder: &PolicyHolder,
    name: &str,
    policy: &Json,
    etag: Option<&str>,
    keys: bool,
) -> Request {
    let draft = about_policies(Method::PUT, holder, &[name]);
    with_keys(draft, keys)
        .authorized(authorization)
        .if_match(etag)
        .json(policy)
        .done()
}

/// Removes a shared access policy.
pub fn delete_policy(
    authorization: &Authorization,
    holder: &PolicyHolder,
    name: &str,
    etag: Option<&str>,
) -> Request {
    about_policies(Method::DELETE, holder, &[name])
        .authorized(authorization)
        .if_match(etag)
        .done()
}

/// Rotates the keys of a shared access policy that is in the state `etag`.
pub fn rotate_policy(
    authorization: &Authorization,
    holder: &PolicyHolder,
    name: &str,
    rotation: &Json,
    etag: &str,
    keys: bool,
) -> Request {
    let draft = about_policies(Method::POST, holder, &[name, "rotate"]);
    with_keys(draft, keys)
        .authorized(authorization)
        .if_match(Some(etag))
        .json(rotation)
        .done()
}

fn about_policies(method: Method, holder: &PolicyHolder, rest: &[&str]) -> Draft {
    let (collection, name) = match holder {
        PolicyHolder::Service(name) => ("services", name),
        PolicyHolder::Hub(host) => ("hubs", host),
    };
    let path = [&["landfall", collection, name, "policies"], rest].concat();
    Draft::new(method, &path)
}

/// Reads a page of the audit trail; `filters` are names and values.
pub fn audit(authorization: &Authorization, filters: &[(&str, String)]) -> Request {
    filters
        .iter()
        .fold(
            Draft::new(Method::GET, &["landfall", "audit"]),
            |draft, (name, value)| draft.parameter(name, value),
        )
        .authorized(authorization)
        .done()
}

/// Sends lines to import; they are the body of the call, which is not there yet.
pub fn import(authorization: &Authorization, manner: Manner) -> Request {
    let mut draft = Draft::new(Method::POST, &["landfall", "enrollments", "import"])
        .parameter("onConflict", word(manner.on_conflict));
    if manner.dry_run {
        draft = draft.parameter("dryRun", "true");
    }
    draft.authorized(authorization).done()
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

/// Asks what a device would get that registers with a chain, leaf first; at another time than now
/// when `at` says so.
pub fn inspection(
    authorization: &Authorization,
    id: &str,
    chain: &[Certificate],
    at: Option<Timestamp>,
) -> Request {
    let chain: Vec<String> = chain
        .iter()
        .map(|certificate| STANDARD.encode(certificate.der()))
        .collect();
    let mut body = json!({ "chain": chain });
    if let Some(at) = at {
        body["at"] = at.to_wire().into();
    }
    let segments = ["landfall", "registrations", id, "inspection"];
    Draft::new(Method::POST, &segments)
        .authorized(authorization)
        .json(&body)
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
        let holder = PolicyHolder::Service("second".into());
        let hub = PolicyHolder::Hub("hub.a".into());
        let keys = services(&who, true);
        assert_eq!(keys.parameter("keys").as_deref(), Some("true"));
        for (request, wanted) in [
            (create, OwnRoute::Services),
            (keys, OwnRoute::Services),
            (
                service(&who, "second", false),
                OwnRoute::Service("second".into()),
            ),
            (
                update_service(&who, "second", &json!({}), None),
                OwnRoute::Service("second".into()),
            ),
            (
                delete_service(&who, "second", true, true, Some("e")),
                OwnRoute::Service("second".into()),
            ),
            (
                policies(&who, &holder, true),
                OwnRoute::Policies(holder.clone()),
            ),
            (
                put_policy(&who, &hub, "a@b", &json!({}), None, false),
                OwnRoute::Policy(hub.clone(), "a@b".into()),
            ),
            (
                rotate_policy(&who, &hub, "a/b", &json!({}), "*", false),
                OwnRoute::PolicyRotation(hub.clone(), "a/b".into()),
            ),
            (audit(&who, &[("id", "d:1".into())]), OwnRoute::Audit),
            (import(&who, Manner::default()), OwnRoute::Import),
            (trace(&who, "t-1"), OwnRoute::Trace("t-1".into())),
            (
                registration_traces(&who, "d:1", 5),
                OwnRoute::RegistrationTraces("d:1".into()),
            ),
            (
                inspection(&who, "d:1", &[], None),
                OwnRoute::Inspection("d:1".into()),
            ),
        ] {
            assert_eq!(route::parse(&request.path), Some(Route::Own(wanted)));
        }
    }
}
