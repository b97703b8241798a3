//! What a device or module says to its hub over MQTT: its user name, the topics it publishes and subscribes
//! to, and the topics of what the hub sends. Bodies are those of [`crate::hub`]. Here they are read and made as
//! the hub does it, in [`device`] as a device does.
//!
//! Source: docs/protocol/hub-api.md §2.1.

pub mod device;

use landfall_core::id::{DeviceId, ModuleId};
use landfall_hub::endpoint::Endpoint;
use landfall_hub::message::{Ack, CloudMessage};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};

use crate::mqtt::session::{Connecting, Refused};

/// Everything but what stands for itself in any query.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const EVENTS: &str = "messages/events/";
const TWIN: &str = "$iothub/twin/";
const METHODS: &str = "$iothub/methods/";
const COMMANDS: &str = "messages/devicebound/";
const DESIRED: &str = "PATCH/properties/desired/";
const REPORTED: &str = "PATCH/properties/reported/";
const TWIN_ANSWERS_FILTER: &str = "$iothub/twin/res/#";
const DESIRED_FILTER: &str = "$iothub/twin/PATCH/properties/desired/#";
const METHODS_FILTER: &str = "$iothub/methods/POST/#";

/// Who a device or module says it is, by its user name and client id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The host name of the hub, as it was given.
    pub host: String,
    /// Which of its devices or modules.
    pub endpoint: Endpoint,
}

/// Why a user name is none of a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unnamed {
    /// It is not of the form of any.
    #[error("the user name is not {{hub}}/{{client id}}/?api-version=…")]
    Form,
    /// The client id is not the one of the user name.
    #[error("the client id is not the one that the user name holds")]
    ClientId,
    /// The client id is neither a device id nor one with a module id.
    #[error("the client id is neither a device id nor {{device id}}/{{module id}}")]
    Ids,
}

impl Unnamed {
    /// What the peer is told.
    ///
    /// Source: docs/protocol/hub-api.md §2.1 [S].
    pub fn refusal(self) -> Refused {
        match self {
            Unnamed::Form | Unnamed::Ids => Refused::BadUserName,
            Unnamed::ClientId => Refused::ClientId,
        }
    }
}

/// Reads who a peer says it is. Its ids are compared to the letter, case and all.
///
/// Shape: `{host}/{client id}[/][?api-version=…&…]`; the query says nothing that is needed.
/// Source: docs/protocol/hub-api.md §2.1 [R, S].
///
/// # Errors
/// [`Unnamed`] when the user name is no such, or contradicts the client id.
pub fn named(connecting: &Connecting) -> Result<Named, Unnamed> {
    let user_name = connecting.user_name.as_deref().unwrap_or_default();
    let (host, rest) = user_name.split_once('/').ok_or(Unnamed::Form)?;
    if host.is_empty() {
        return Err(Unnamed::Form);
    }
    // A device id may hold `?`, so that the client id says where the user name's ends.
    let query = rest
        .strip_prefix(connecting.client_id.as_str())
        .ok_or(Unnamed::ClientId)?;
    let query = query.strip_prefix('/').unwrap_or(query);
    if !(query.is_empty() || query.starts_with('?')) {
        return Err(Unnamed::ClientId);
    }
    let (device, module) = match connecting.client_id.split_once('/') {
        Some((device, module)) => (device, Some(module)),
        None => (connecting.client_id.as_str(), None),
    };
    Ok(Named {
        host: host.to_owned(),
        endpoint: Endpoint {
            device: DeviceId::parse(device).map_err(|_| Unnamed::Ids)?,
            module: module
                .map(ModuleId::parse)
                .transpose()
                .map_err(|_| Unnamed::Ids)?,
        },
    })
}

/// What a device or module publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// A message to the cloud, with its properties.
    Event(Vec<Property>),
    /// It wants its twin.
    TwinGet {
        /// Repeated in the answer.
        request_id: String,
    },
    /// It says what it is.
    Reported {
        /// Repeated in the answer.
        request_id: String,
    },
    /// What came of a method.
    MethodAnswer {
        /// The device's own status of it.
        status: i64,
        /// Of the call.
        request_id: String,
    },
}

/// A property of a message; one without `=` has no value.
pub type Property = (String, Option<String>);

/// Reads a topic that `endpoint` publishes to; `None` when the hub has no such for it, which ends the
/// connection.
///
/// Source: docs/protocol/hub-api.md §2.1 [S].
pub fn published(topic: &str, endpoint: &Endpoint) -> Option<Published> {
    if let Some(bag) = topic.strip_prefix(&format!("{}{EVENTS}", prefix(endpoint))) {
        return Some(Published::Event(properties(bag)));
    }
    if let Some(rest) = topic.strip_prefix(TWIN) {
        let (path, query) = rest.split_once('?')?;
        let request_id = parameter(query, "$rid")?;
        return match path {
            "GET/" => Some(Published::TwinGet { request_id }),
            REPORTED => Some(Published::Reported { request_id }),
            _ => None,
        };
    }
    let (path, query) = topic.strip_prefix(METHODS)?.split_once('?')?;
    let status = path.strip_prefix("res/")?.trim_end_matches('/');
    Some(Published::MethodAnswer {
        status: status.parse().ok()?,
        request_id: parameter(query, "$rid")?,
    })
}

/// What a device or module subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subscription {
    /// Messages from the cloud.
    Commands,
    /// Answers about its twin.
    TwinAnswers,
    /// Changes of its desired properties.
    Desired,
    /// Methods to carry out.
    Methods,
    /// Messages of other modules, which only an edge hub passes on.
    Inputs,
}

/// Reads a filter that `endpoint` subscribes to; `None` when the hub has no such for it.
///
/// Source: docs/protocol/hub-api.md §2.1 [S].
pub fn subscription(filter: &str, endpoint: &Endpoint) -> Option<Subscription> {
    match filter {
        TWIN_ANSWERS_FILTER => return Some(Subscription::TwinAnswers),
        DESIRED_FILTER => return Some(Subscription::Desired),
        METHODS_FILTER => return Some(Subscription::Methods),
        _ => {}
    }
    let own = filter.strip_prefix(&prefix(endpoint))?;
    match (own, &endpoint.module) {
        (own, _) if own.strip_suffix('#') == Some(COMMANDS) => Some(Subscription::Commands),
        ("inputs/#" | "#", Some(_)) => Some(Subscription::Inputs),
        _ => None,
    }
}

/// The topic of an answer about a twin.
pub fn twin_answer_topic(status: u16, request_id: &str, version: Option<i64>) -> String {
    match version {
        Some(version) => format!("{TWIN}res/{status}/?$rid={request_id}&$version={version}"),
        None => format!("{TWIN}res/{status}/?$rid={request_id}"),
    }
}

/// The topic of a change of desired properties.
pub fn desired_topic(version: i64) -> String {
    format!("{TWIN}{DESIRED}?$version={version}")
}

/// The topic of a method to carry out.
pub fn method_topic(name: &str, request_id: u64) -> String {
    format!("{METHODS}POST/{name}/?$rid={request_id:x}")
}

/// The topic of a message from the cloud, with its properties; names and values are percent-encoded.
///
/// Source: docs/protocol/hub-api.md §2.1 [S].
pub fn command_topic(endpoint: &Endpoint, message: &CloudMessage) -> String {
    let to = format!("{}/messages/devicebound", endpoint.path());
    let expires = message.expires.to_wire();
    let system = [
        ("$.to", Some(to.as_str())),
        ("$.mid", message.message_id.as_deref()),
        ("$.cid", message.correlation_id.as_deref()),
        ("$.uid", message.user_id.as_deref()),
        ("$.ct", message.content_type.as_deref()),
        ("$.ce", message.content_encoding.as_deref()),
        ("$.exp", Some(expires.as_str())),
        ("iothub-ack", ack_word(message.ack)),
    ];
    let system = system.into_iter().filter(|(_, value)| value.is_some());
    let own = message.properties.iter();
    let own = own.map(|(name, value)| (name.as_str(), value.as_deref()));
    format!("{}{COMMANDS}{}", prefix(endpoint), bag(system.chain(own)))
}

/// A bag of properties; names and values are percent-encoded.
fn bag<'a>(properties: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let pairs: Vec<String> = properties
        .map(|(name, value)| match value {
            Some(value) => format!("{}={}", encoded(name), encoded(value)),
            None => encoded(name),
        })
        .collect();
    pairs.join("&")
}

/// What the sender wants to hear of a message; nothing when it wants to hear nothing.
pub(crate) fn ack_word(ack: Ack) -> Option<&'static str> {
    match ack {
        Ack::None => None,
        Ack::Positive => Some("positive"),
        Ack::Negative => Some("negative"),
        Ack::Full => Some("full"),
    }
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, PLAIN).to_string()
}

/// What every topic of a device or module begins with.
fn prefix(endpoint: &Endpoint) -> String {
    match &endpoint.module {
        None => format!("devices/{}/", endpoint.device),
        Some(module) => format!("devices/{}/modules/{module}/", endpoint.device),
    }
}

/// The properties of a bag, names and values decoded: some clients encode the `$` of names, some do not.
/// A `/` behind it, which one client writes, is none of it.
fn properties(bag: &str) -> Vec<Property> {
    let bag = bag.strip_suffix('/').unwrap_or(bag);
    let pairs = bag.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) => (decoded(name), Some(decoded(value))),
            None => (decoded(pair), None),
        })
        .collect()
}

/// The value of a pair of a query, as it stands there.
fn parameter(query: &str, name: &str) -> Option<String> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (decoded(key) == name && (1..=1024).contains(&value.len())).then(|| value.to_owned())
    })
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(device: &str, module: Option<&str>) -> Endpoint {
        Endpoint {
            device: DeviceId::parse(device).expect("an id"),
            module: module.map(|module| ModuleId::parse(module).expect("an id")),
        }
    }

    fn read(user_name: &str, client_id: &str) -> Result<Named, Unnamed> {
        named(&Connecting {
            client_id: client_id.to_owned(),
            user_name: Some(user_name.to_owned()),
            password: None,
            clean_session: false,
            will: None,
        })
    }

    #[test]
    fn user_names_of_official_clients_are_read() {
        let query =
            "?api-version=2019-10-01&DeviceClientType=azure-iot-device-iothub-py%2F2.14.0%28x%29";
        for (user_name, client_id, device, module) in [
            (format!("my.hub/Dev1/{query}"), "Dev1", "Dev1", None),
            (
                format!("my.hub/Dev1/mod/{query}"),
                "Dev1/mod",
                "Dev1",
                Some("mod"),
            ),
            ("my.hub/Dev1".to_owned(), "Dev1", "Dev1", None),
            ("my.hub/Dev1/".to_owned(), "Dev1", "Dev1", None),
            ("my.hub/what?/?x".to_owned(), "what?", "what?", None),
        ] {
            let named = read(&user_name, client_id).expect(&user_name);
            assert_eq!(
                (named.host.as_str(), named.endpoint),
                ("my.hub", endpoint(device, module))
            );
        }
    }

    #[test]
    fn malformed_user_names_are_told_from_contradictions() {
        for (user_name, client_id, refused) in [
            ("", "d", Refused::BadUserName),
            ("my.hub", "d", Refused::BadUserName),
            ("/d/?x", "d", Refused::BadUserName),
            ("my.hub/dev/?x", "Dev", Refused::ClientId),
            ("my.hub/dev1/?x", "dev", Refused::ClientId),
            ("my.hub/dev/mod/?x", "dev", Refused::ClientId),
            ("my.hub/a b/?x", "a b", Refused::BadUserName),
            ("my.hub//?x", "", Refused::BadUserName),
        ] {
            let unnamed = read(user_name, client_id).expect_err(user_name);
            assert_eq!(unnamed.refusal(), refused, "{user_name}");
        }
    }

    #[test]
    fn topics_are_those_of_the_endpoint_itself() {
        let (device, module) = (endpoint("d", None), endpoint("d", Some("m")));
        let events = |topic: &str, endpoint: &Endpoint| match published(topic, endpoint) {
            Some(Published::Event(properties)) => Some(properties),
            _ => None,
        };
        assert_eq!(
            events("devices/d/messages/events/", &device),
            Some(Vec::new())
        );
        let value = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        assert_eq!(
            events(
                "devices/d/messages/events/%24.mid=a%20b&alone&empty=&p=1+1",
                &device
            ),
            Some(vec![
                value("$.mid", Some("a b")),
                value("alone", None),
                value("empty", Some("")),
                value("p", Some("1+1")),
            ])
        );
        let output = "devices/d/modules/m/messages/events/$.on=out/";
        assert_eq!(
            events(output, &module),
            Some(vec![value("$.on", Some("out"))])
        );
        for topic in [
            output,
            "devices/e/messages/events/",
            "devices/d/messages/devicebound/",
            "x",
        ] {
            assert_eq!(published(topic, &device), None, "{topic}");
        }
        let request_id = "a%20b".to_owned();
        assert_eq!(
            published("$iothub/twin/GET/?$rid=a%20b", &device),
            Some(Published::TwinGet {
                request_id: request_id.clone()
            })
        );
        assert_eq!(
            published(
                "$iothub/twin/PATCH/properties/reported/?$rid=a%20b",
                &module
            ),
            Some(Published::Reported {
                request_id: request_id.clone()
            })
        );
        assert_eq!(
            published("$iothub/methods/res/-7/?$rid=a%20b", &device),
            Some(Published::MethodAnswer {
                status: -7,
                request_id
            })
        );
        for topic in [
            "$iothub/twin/GET/",
            "$iothub/twin/GET/?rid=1",
            "$iothub/twin/PATCH/properties/desired/?$rid=1",
            "$iothub/methods/POST/x/?$rid=1",
            "$iothub/methods/res/ok/?$rid=1",
        ] {
            assert_eq!(published(topic, &device), None, "{topic}");
        }
    }

    #[test]
    fn filters_are_those_of_the_list() {
        let (device, module) = (endpoint("d", None), endpoint("d", Some("m")));
        for (filter, of_device, of_module) in [
            (
                "devices/d/messages/devicebound/#",
                Some(Subscription::Commands),
                None,
            ),
            (
                "devices/d/modules/m/inputs/#",
                None,
                Some(Subscription::Inputs),
            ),
            ("devices/d/modules/m/#", None, Some(Subscription::Inputs)),
            (
                "$iothub/twin/res/#",
                Some(Subscription::TwinAnswers),
                Some(Subscription::TwinAnswers),
            ),
            (
                "$iothub/methods/POST/#",
                Some(Subscription::Methods),
                Some(Subscription::Methods),
            ),
            ("#", None, None),
            ("devices/d/#", None, None),
            ("devices/+/messages/devicebound/#", None, None),
        ] {
            assert_eq!(subscription(filter, &device), of_device, "{filter}");
            assert_eq!(subscription(filter, &module), of_module, "{filter}");
        }
        assert_eq!(
            twin_answer_topic(204, "x", Some(3)),
            "$iothub/twin/res/204/?$rid=x&$version=3"
        );
        assert_eq!(
            method_topic("reboot", 26),
            "$iothub/methods/POST/reboot/?$rid=1a"
        );
        assert_eq!(
            desired_topic(4),
            "$iothub/twin/PATCH/properties/desired/?$version=4"
        );
    }
}
