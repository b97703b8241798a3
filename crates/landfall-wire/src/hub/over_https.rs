//! Messages of devices and modules, and messages to them, where they speak HTTPS: what a message says of itself
//! stands in headers, and one taken from the queue is named by a lock token.
//!
//! Source: docs/protocol/hub-api.md §2.3.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_TYPE, ETAG};
use http::{HeaderName, HeaderValue, StatusCode};
use landfall_core::clock::Timestamp;
use landfall_core::document::{Json, JsonObject};
use landfall_hub::endpoint::Endpoint;
use landfall_hub::error::HubError;
use landfall_hub::event::{EventKind, HubEvent, LARGEST_EVENT};
use landfall_hub::message::{CloudMessage, Lock};
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};

use super::members::Members;
use super::read_json;
use crate::message::{Reply, Request};
use crate::mqtt::hub::ack_word;

/// The content type of a body that holds several messages.
const BATCH: &str = "application/vnd.microsoft.iothub.json";
/// Most messages in one request.
const MOST_IN_A_BATCH: usize = 500;
/// What the names of a sender's own properties begin with.
const OWN: &str = "iothub-app-";
/// Headers that say what a message is, and the names that every transport keeps them under.
///
/// Source: docs/protocol/hub-api.md §2.1, §2.3 [S].
const SYSTEM: [(&str, &str); 7] = [
    ("iothub-messageid", "$.mid"),
    ("iothub-correlationid", "$.cid"),
    ("iothub-userid", "$.uid"),
    ("iothub-expiry", "$.exp"),
    ("iothub-creationtimeutc", "$.ctime"),
    ("iothub-contenttype", "$.ct"),
    ("iothub-contentencoding", "$.ce"),
];
/// What a header's name may not hold as it is.
const NOT_IN_NAMES: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

type Property = (String, Option<String>);

/// Reads the messages of a request: one in the body, or several.
///
/// # Errors
/// `TooLarge`; `Unreadable` or `ArgumentInvalid` when a body of several is none.
pub fn events(
    request: &Request,
    endpoint: &Endpoint,
    now: Timestamp,
) -> Result<Vec<HubEvent>, HubError> {
    if request.body.len() > LARGEST_EVENT {
        let text = format!("The body is larger than {LARGEST_EVENT} bytes");
        return Err(HubError::TooLarge(text));
    }
    let event = |properties, body| HubEvent {
        endpoint: endpoint.clone(),
        kind: EventKind::Telemetry,
        enqueued: now,
        properties,
        body,
    };
    if !is_batch(request) {
        return Ok(vec![event(properties(request), request.body.clone())]);
    }
    let items = read_json(&request.body)?;
    let items = items
        .as_array()
        .ok_or_else(|| invalid("The body is no array of messages"))?;
    if items.len() > MOST_IN_A_BATCH {
        let text = format!("The body holds more than {MOST_IN_A_BATCH} messages");
        return Err(HubError::TooLarge(text));
    }
    let items = items.iter().map(|item| {
        let (properties, body) = batched(item)?;
        Ok(event(properties, body))
    });
    items.collect()
}

fn invalid(what: &str) -> HubError {
    HubError::ArgumentInvalid(what.to_owned())
}

fn is_batch(request: &Request) -> bool {
    let kind = request.header("content-type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(BATCH)
}

/// What the headers of a message say of it. Names of the sender's own properties arrive in lower case: a header
/// has no case.
fn properties(request: &Request) -> Vec<Property> {
    let said = request.headers.iter().filter_map(|(name, value)| {
        let name = property_name(name.as_str())?;
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        Some((name, Some(value)))
    });
    said.collect()
}

/// The name of the property that a header or a member of a batch says; none for all other headers.
fn property_name(header: &str) -> Option<String> {
    let system = SYSTEM
        .iter()
        .find(|(spelt, _)| header.eq_ignore_ascii_case(spelt));
    if let Some((_, name)) = system {
        return Some((*name).to_owned());
    }
    let prefix = header.get(..OWN.len())?;
    let own = &header[OWN.len()..];
    let is_own = prefix.eq_ignore_ascii_case(OWN) && !own.is_empty();
    is_own.then(|| own.to_owned())
}

/// One message of several. Its body is base64 unless it says that it is not; its properties stand under
/// the names of headers, or under their own.
///
/// Source: docs/protocol/hub-api.md §2.3 [S].
fn batched(item: &Json) -> Result<(Vec<Property>, Vec<u8>), HubError> {
    let members = Members::of_body(item)?;
    let body = members
        .text("body")?
        .ok_or_else(|| HubError::ArgumentNull("A message has no body".to_owned()))?;
    let body = match members.flag("base64Encoded")? {
        Some(false) => body.as_bytes().to_vec(),
        None | Some(true) => STANDARD
            .decode(body)
            .map_err(|_| invalid("The body of a message is not base64"))?,
    };
    let none = JsonObject::new();
    let properties = members.object("properties")?.unwrap_or(&none);
    let properties = properties.iter().map(|(name, value)| {
        let name = property_name(name).unwrap_or_else(|| name.clone());
        let value = match value {
            Json::Null => None,
            Json::String(text) => Some(text.clone()),
            Json::Number(_) | Json::Bool(_) => Some(value.to_string()),
            Json::Array(_) | Json::Object(_) => {
                return Err(invalid("A property of a message is no text"));
            }
        };
        Ok((name, value))
    });
    Ok((properties.collect::<Result<_, _>>()?, body))
}

/// Says that it is done, and nothing more.
pub fn done() -> Reply {
    Reply::empty(StatusCode::NO_CONTENT)
}

/// A message from the cloud as its taker reads it.
pub fn taken(endpoint: &Endpoint, message: &CloudMessage) -> Reply {
    let mut reply = Reply {
        body: message.body.clone(),
        ..Reply::empty(StatusCode::OK)
    };
    let lock = Lock::of(message);
    let earlier = message.delivery_count.saturating_sub(1);
    let said = [
        ("iothub-sequencenumber", Some(message.sequence.to_string())),
        ("iothub-deliverycount", Some(earlier.to_string())),
        ("iothub-enqueuedtime", Some(message.enqueued.to_wire())),
        ("iothub-expiry", Some(message.expires.to_wire())),
        (
            "iothub-to",
            Some(format!("{}/messages/deviceBound", endpoint.path())),
        ),
        ("iothub-messageid", message.message_id.clone()),
        ("iothub-correlationid", message.correlation_id.clone()),
        ("iothub-userid", message.user_id.clone()),
        ("iothub-ack", ack_word(message.ack).map(str::to_owned)),
        ("contenttype", message.content_type.clone()),
        ("contentencoding", message.content_encoding.clone()),
    ];
    for (name, value) in said {
        if let Some(value) = value {
            reply
                .headers
                .insert(HeaderName::from_static(name), header_value(&value));
        }
    }
    for (name, value) in &message.properties {
        let name = format!("{OWN}{}", utf8_percent_encode(name, NOT_IN_NAMES));
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            let value = header_value(value.as_deref().unwrap_or_default());
            reply.headers.append(name, value);
        }
    }
    let token = format!("\"{}\"", lock_token(lock));
    reply.headers.insert(ETAG, header_value(&token));
    let bytes = HeaderValue::from_static("application/octet-stream");
    reply.headers.insert(CONTENT_TYPE, bytes);
    reply
}

/// A value as a header can hold it: as it is, unless it holds what would end the line.
fn header_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text)
        .or_else(|_| HeaderValue::from_bytes(text.as_bytes()))
        .or_else(|_| HeaderValue::from_str(&utf8_percent_encode(text, CONTROLS).to_string()))
        .unwrap_or(HeaderValue::from_static(""))
}

fn lock_token(lock: Lock) -> String {
    format!("{}-{}", lock.sequence, lock.delivery)
}

/// Reads a lock token, bare or in quotes.
///
/// # Errors
/// `ArgumentInvalid` when it is none of ours.
pub fn lock(token: &str) -> Result<Lock, HubError> {
    let parts = token.trim_matches('"').split_once('-');
    let lock = parts.and_then(|(sequence, delivery)| {
        Some(Lock {
            sequence: sequence.parse().ok()?,
            delivery: delivery.parse().ok()?,
        })
    });
    lock.ok_or_else(|| invalid("The lock token is none that this hub gave"))
}

#[cfg(test)]
mod tests;
