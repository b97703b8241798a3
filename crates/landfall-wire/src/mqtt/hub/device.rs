//! What a device or module makes of the topics of its hub: its user name, what it subscribes to, where it
//! publishes, and what a message of the hub is.
//!
//! Source: docs/protocol/hub-api.md §2.1.

use landfall_hub::endpoint::Endpoint;

use super::{
    COMMANDS, DESIRED, DESIRED_FILTER, EVENTS, METHODS, METHODS_FILTER, Property, REPORTED,
    Subscription, TWIN, TWIN_ANSWERS_FILTER, bag, parameter, prefix, properties,
};
use crate::client::hub::API_VERSION;

/// The user name of a device or module on the hub of that host name.
///
/// Source: docs/protocol/hub-api.md §2.1 [R].
pub fn user_name(host: &str, endpoint: &Endpoint) -> String {
    format!("{host}/{endpoint}/?api-version={API_VERSION}")
}

/// The filter by which an endpoint subscribes.
pub fn filter(subscription: Subscription, endpoint: &Endpoint) -> String {
    match subscription {
        Subscription::Commands => format!("{}{COMMANDS}#", prefix(endpoint)),
        Subscription::TwinAnswers => TWIN_ANSWERS_FILTER.to_owned(),
        Subscription::Desired => DESIRED_FILTER.to_owned(),
        Subscription::Methods => METHODS_FILTER.to_owned(),
        Subscription::Inputs => format!("{}inputs/#", prefix(endpoint)),
    }
}

/// The topic of a message to the cloud, with its properties.
pub fn events_topic(endpoint: &Endpoint, properties: &[Property]) -> String {
    let properties = properties
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_deref()));
    format!("{}{EVENTS}{}", prefix(endpoint), bag(properties))
}

/// The topic by which an endpoint asks for its twin.
pub fn twin_get_topic(request_id: &str) -> String {
    format!("{TWIN}GET/?$rid={request_id}")
}

/// The topic by which an endpoint says what it is.
pub fn reported_topic(request_id: &str) -> String {
    format!("{TWIN}{REPORTED}?$rid={request_id}")
}

/// The topic by which an endpoint says what came of a method; `request_id` is the one of the call.
pub fn method_answer_topic(status: i64, request_id: &str) -> String {
    format!("{METHODS}res/{status}/?$rid={request_id}")
}

/// What a hub sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// A message from the cloud, with its properties and those of the hub (`$.to`, …).
    Command(Vec<Property>),
    /// An answer about the twin.
    TwinAnswer {
        /// Whether it could be done, as a status of HTTP.
        status: u16,
        /// Of the question.
        request_id: String,
        /// Of the reported properties, once they are changed.
        version: Option<i64>,
    },
    /// Desired properties changed.
    Desired {
        /// Their version from now on.
        version: i64,
    },
    /// A method is to be carried out.
    Method {
        /// Its name.
        name: String,
        /// To be repeated in the answer.
        request_id: String,
    },
}

/// Reads the topic of a message that `endpoint` received; `None` when it is none of those above.
///
/// Source: docs/protocol/hub-api.md §2.1 [S].
pub fn received(topic: &str, endpoint: &Endpoint) -> Option<Received> {
    if let Some(bag) = topic.strip_prefix(&format!("{}{COMMANDS}", prefix(endpoint))) {
        return Some(Received::Command(properties(bag)));
    }
    if let Some(rest) = topic.strip_prefix(TWIN) {
        let (path, query) = rest.split_once('?')?;
        let version = || parameter(query, "$version")?.parse().ok();
        if path == DESIRED {
            return Some(Received::Desired {
                version: version()?,
            });
        }
        let status = path.strip_prefix("res/")?.trim_end_matches('/');
        return Some(Received::TwinAnswer {
            status: status.parse().ok()?,
            request_id: parameter(query, "$rid")?,
            version: version(),
        });
    }
    let (path, query) = topic.strip_prefix(METHODS)?.split_once('?')?;
    let name = path.strip_prefix("POST/")?.strip_suffix('/')?;
    Some(Received::Method {
        name: name.to_owned(),
        request_id: parameter(query, "$rid")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{
        Published, command_topic, desired_topic, method_topic, named, published, subscription,
        twin_answer_topic,
    };
    use super::*;
    use crate::mqtt::session::Connecting;
    use landfall_core::clock::Timestamp;
    use landfall_core::id::{DeviceId, ModuleId};
    use landfall_hub::message::{Ack, CloudMessage};

    fn endpoints() -> [Endpoint; 2] {
        let device = DeviceId::parse("d?1").expect("an id");
        let module = Some(ModuleId::parse("m").expect("an id"));
        [
            Endpoint::device(device.clone()),
            Endpoint { device, module },
        ]
    }

    #[test]
    fn the_hub_reads_who_an_endpoint_says_it_is() {
        for endpoint in endpoints() {
            let named = named(&Connecting {
                client_id: endpoint.to_string(),
                user_name: Some(user_name("hub.example.net", &endpoint)),
                password: None,
                clean_session: false,
                will: None,
            });
            let named = named.expect("a name");
            assert_eq!(named.host, "hub.example.net");
            assert_eq!(named.endpoint, endpoint);
        }
    }

    #[test]
    fn the_hub_reads_what_an_endpoint_says() {
        for endpoint in endpoints() {
            for asked in [
                Subscription::Commands,
                Subscription::TwinAnswers,
                Subscription::Desired,
                Subscription::Methods,
            ] {
                let filter = filter(asked, &endpoint);
                assert_eq!(subscription(&filter, &endpoint), Some(asked), "{filter}");
            }
            let properties = vec![
                ("$.ct".to_owned(), Some("application/json".to_owned())),
                ("a b&c=d".to_owned(), Some("%/ü+".to_owned())),
                ("alone".to_owned(), None),
                ("empty".to_owned(), Some(String::new())),
            ];
            let topic = events_topic(&endpoint, &properties);
            assert_eq!(
                published(&topic, &endpoint),
                Some(Published::Event(properties))
            );
            let request_id = "1f".to_owned();
            for (topic, read) in [
                (
                    twin_get_topic("1f"),
                    Published::TwinGet {
                        request_id: request_id.clone(),
                    },
                ),
                (
                    reported_topic("1f"),
                    Published::Reported {
                        request_id: request_id.clone(),
                    },
                ),
                (
                    method_answer_topic(-1, "1f"),
                    Published::MethodAnswer {
                        status: -1,
                        request_id: request_id.clone(),
                    },
                ),
            ] {
                assert_eq!(published(&topic, &endpoint), Some(read), "{topic}");
            }
        }
        let [_, module] = endpoints();
        let inputs = filter(Subscription::Inputs, &module);
        assert_eq!(subscription(&inputs, &module), Some(Subscription::Inputs));
    }

    #[test]
    fn an_endpoint_reads_what_the_hub_sends() {
        let message = CloudMessage {
            sequence: 1,
            message_id: Some("m 1".to_owned()),
            correlation_id: None,
            user_id: None,
            content_type: Some("text/plain".to_owned()),
            content_encoding: None,
            ack: Ack::None,
            enqueued: Timestamp::from_unix_seconds(0),
            expires: Timestamp::from_unix_seconds(60),
            delivery_count: 0,
            properties: vec![("level".to_owned(), Some("3&4".to_owned()))],
            body: Vec::new(),
        };
        for endpoint in endpoints() {
            let topic = command_topic(&endpoint, &message);
            let Some(Received::Command(properties)) = received(&topic, &endpoint) else {
                panic!("{topic} is a command");
            };
            for (name, value) in [("$.mid", "m 1"), ("$.ct", "text/plain"), ("level", "3&4")] {
                let pair = (name.to_owned(), Some(value.to_owned()));
                assert!(properties.contains(&pair), "{properties:?}");
            }
            let [device, module] = endpoints();
            let other = if endpoint == device { module } else { device };
            assert_eq!(received(&topic, &other), None, "it is of another");
            let request_id = "1f".to_owned();
            for (topic, read) in [
                (
                    twin_answer_topic(204, "1f", Some(3)),
                    Received::TwinAnswer {
                        status: 204,
                        request_id: request_id.clone(),
                        version: Some(3),
                    },
                ),
                (
                    twin_answer_topic(429, "1f", None),
                    Received::TwinAnswer {
                        status: 429,
                        request_id: request_id.clone(),
                        version: None,
                    },
                ),
                (desired_topic(4), Received::Desired { version: 4 }),
                (
                    method_topic("re/boot", 31),
                    Received::Method {
                        name: "re/boot".to_owned(),
                        request_id,
                    },
                ),
            ] {
                assert_eq!(received(&topic, &endpoint), Some(read), "{topic}");
            }
        }
        for topic in [
            "x",
            "$iothub/twin/PATCH/properties/desired/",
            "$iothub/twin/res/ok/?$rid=1",
            "$iothub/methods/POST/x",
            "$iothub/methods/res/200/?$rid=1",
        ] {
            let [device, _] = endpoints();
            assert_eq!(received(topic, &device), None, "{topic}");
        }
    }
}
