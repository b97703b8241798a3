//! The calls of the hub API that an operator's tool needs. Called by the command line.
//!
//! Source: docs/protocol/hub-api.md §1.2.

use http::Method;
use serde_json::{Value as Json, json};

use super::{Authorization, Draft, Pages};
use crate::message::Request;

/// The version asked for.
///
/// Source: docs/protocol/hub-api.md §0, rule 8 [S].
pub const API_VERSION: &str = "2021-04-12";

fn draft(method: Method, segments: &[&str], authorization: &Authorization) -> Draft {
    Draft::new(method, segments)
        .parameter("api-version", API_VERSION)
        .authorized(authorization)
}

/// Reads a device identity.
pub fn device(authorization: &Authorization, id: &str) -> Request {
    draft(Method::GET, &["devices", id], authorization).done()
}

/// Reads a device's twin.
pub fn twin(authorization: &Authorization, id: &str) -> Request {
    draft(Method::GET, &["twins", id], authorization).done()
}

/// Changes a device's twin: what stands in `change` is merged into it, null deletes.
pub fn change_twin(authorization: &Authorization, id: &str, change: &Json) -> Request {
    draft(Method::PATCH, &["twins", id], authorization)
        .if_match(Some("*"))
        .json(change)
        .done()
}

/// Lets a device, or one of its modules, carry out a method.
pub fn invoke_method(
    authorization: &Authorization,
    id: &str,
    module: Option<&str>,
    call: &Json,
) -> Request {
    let path: &[&str] = match module {
        None => &["twins", id, "methods"],
        Some(module) => &["twins", id, "modules", module, "methods"],
    };
    draft(Method::POST, path, authorization).json(call).done()
}

/// Queues a message for a device.
pub fn send_message(authorization: &Authorization, id: &str, message: &Json) -> Request {
    let path = ["devices", id, "messages", "deviceBound"];
    draft(Method::POST, &path, authorization)
        .json(message)
        .done()
}

/// Empties the queue of messages of a device.
pub fn purge_messages(authorization: &Authorization, id: &str) -> Request {
    draft(Method::DELETE, &["devices", id, "commands"], authorization).done()
}

/// Removes a device identity, in whatever state it is.
pub fn delete_device(authorization: &Authorization, id: &str) -> Request {
    draft(Method::DELETE, &["devices", id], authorization)
        .if_match(Some("*"))
        .done()
}

/// Removes device identities in one bulk call, each in whatever state it is; its result names those
/// that stay.
pub fn delete_devices(authorization: &Authorization, ids: &[&str]) -> Request {
    let records: Vec<_> = ids
        .iter()
        .map(|id| json!({ "id": id, "importMode": "delete" }))
        .collect();
    draft(Method::POST, &["devices"], authorization)
        .json(&json!(records))
        .done()
}

/// Asks for the next page of what `query` picks.
pub fn query(authorization: &Authorization, query: &str, pages: &Pages) -> Request {
    pages
        .mark(draft(Method::POST, &["devices", "query"], authorization))
        .json(&json!({ "query": query }))
        .done()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{self, HubRoute, Route};

    #[test]
    fn every_call_reaches_the_route_it_is_meant_for() {
        let who = Authorization::bearer("t");
        let pages = Pages::new(None);
        for (request, wanted) in [
            (device(&who, "$edge/1"), HubRoute::Device("$edge/1".into())),
            (twin(&who, "Dev 1"), HubRoute::Twin("Dev 1".into())),
            (
                send_message(&who, "d", &json!({})),
                HubRoute::Messages("d".into()),
            ),
            (purge_messages(&who, "d"), HubRoute::Commands("d".into())),
            (
                change_twin(&who, "d", &json!({})),
                HubRoute::Twin("d".into()),
            ),
            (
                invoke_method(&who, "d", None, &json!({})),
                HubRoute::Method("d".into(), None),
            ),
            (
                invoke_method(&who, "d", Some("$m"), &json!({})),
                HubRoute::Method("d".into(), Some("$m".into())),
            ),
            (delete_devices(&who, &["a", "b"]), HubRoute::Devices),
            (
                query(&who, "SELECT * FROM devices", &pages),
                HubRoute::Query,
            ),
        ] {
            assert_eq!(route::parse(&request.path), Some(Route::Hub(wanted)));
            assert_eq!(
                request.parameter("api-version").as_deref(),
                Some(API_VERSION)
            );
        }
    }
}
