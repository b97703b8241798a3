//! What a simulated device prints: a line for each thing that happens to it, for people or as JSON.

use landfall_wire::client::registering::Assigned;
use landfall_wire::mqtt::hub::Property;
use serde_json::{Map, Value as Json, json};

use crate::command::print;

/// Most characters of a line for people.
const LONGEST: usize = 8192;

/// Prints.
#[derive(Clone, Copy)]
pub struct Told {
    as_json: bool,
}

impl Told {
    /// Prints for people, or as JSON.
    pub fn new(as_json: bool) -> Self {
        Told { as_json }
    }

    /// It was put somewhere.
    pub fn registered(self, assigned: &Assigned) {
        let how = assigned.substatus.as_deref().unwrap_or("assigned");
        self.say(
            "registered",
            &format!("{} on {} ({how})", assigned.device_id, assigned.hub),
            &[("registrationState", assigned.state.clone())],
        );
    }

    /// It is on the hub.
    pub fn connected(self, hub: &str, device: &str) {
        self.say(
            "connected",
            &format!("{device} on {hub}"),
            &[("hub", json!(hub)), ("deviceId", json!(device))],
        );
    }

    /// Its twin as the hub has it.
    pub fn twin(self, twin: &Json) {
        self.say("twin", &twin.to_string(), &[("twin", twin.clone())]);
    }

    /// Desired properties changed.
    pub fn desired(self, version: i64, patch: &Json) {
        self.say(
            "desired",
            &patch.to_string(),
            &[("version", json!(version)), ("patch", patch.clone())],
        );
    }

    /// It reported something.
    pub fn reported(self, version: Option<i64>) {
        let people = version.map_or_else(String::new, |version| format!("version {version}"));
        self.say("reported", &people, &[("version", json!(version))]);
    }

    /// What it asked of its twin, or reported, was refused.
    pub fn refused(self, status: u16, why: &Json) {
        self.say(
            "refused",
            &format!("what it asked of its twin, with {status}: {why}"),
            &[("status", json!(status)), ("error", why.clone())],
        );
    }

    /// A message from the cloud.
    pub fn command(self, properties: &[Property], body: &[u8]) {
        let named = properties.iter().find(|(name, _)| name == "$.ct");
        let is_json = named.is_some_and(|(_, value)| value.as_deref() == Some("application/json"));
        let (member, body) = body_of(body, is_json);
        let mut people = String::new();
        let mut all = Map::new();
        for (name, value) in properties {
            all.insert(name.clone(), json!(value));
            // Where it goes is known here.
            if name != "$.to" {
                let value = value.as_deref();
                let value = value.map_or_else(String::new, |value| format!("={value}"));
                people.push_str(&format!("{name}{value}  "));
            }
        }
        people.push_str(body.as_str().unwrap_or(&body.to_string()));
        self.say(
            "command",
            &people,
            &[("properties", Json::Object(all)), (member, body)],
        );
    }

    /// A method was called, and answered with a status.
    pub fn method(self, name: &str, payload: &Json, status: i64) {
        self.say(
            "method",
            &format!("{name}  {payload}  answered {status}"),
            &[
                ("name", json!(name)),
                ("payload", payload.clone()),
                ("status", json!(status)),
            ],
        );
    }

    /// The hub has the message of that line; people are told of all at the end.
    pub fn acknowledged(self, line: u64) {
        if self.as_json {
            self.say("acknowledged", "", &[("line", json!(line))]);
        }
    }

    /// The connection ended, or none comes about.
    pub fn away(self, why: &str, seconds: f32) {
        print::aside(&format!("landfall: {why}; again in {seconds:.1} s"));
    }

    /// It leaves.
    pub fn leaves(self, sent: u64) {
        if !self.as_json && sent > 0 {
            print::aside(&format!(
                "landfall: {} acknowledged",
                print::many(sent, "message")
            ));
        }
    }

    fn say(self, event: &str, people: &str, members: &[(&str, Json)]) {
        if self.as_json {
            let mut line = Map::new();
            line.insert("event".to_owned(), json!(event));
            for (name, value) in members {
                line.insert((*name).to_owned(), value.clone());
            }
            print::text(&Json::Object(line).to_string());
        } else {
            print::text(&print::one_line(&format!("{event:<10}  {people}"), LONGEST));
        }
    }
}

/// A body as a member of JSON.
fn body_of(body: &[u8], is_json: bool) -> (&'static str, Json) {
    use base64::Engine as _;
    if is_json && let Ok(value) = serde_json::from_slice(body) {
        return ("body", value);
    }
    match std::str::from_utf8(body) {
        Ok(text) => ("body", json!(text)),
        Err(_) => {
            let text = base64::engine::general_purpose::STANDARD.encode(body);
            ("bodyBase64", json!(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_shown_as_what_it_is() {
        assert_eq!(body_of(b"{\"a\":1}", true), ("body", json!({"a": 1})));
        assert_eq!(body_of(b"{\"a\":1}", false), ("body", json!("{\"a\":1}")));
        assert_eq!(body_of(b"{", true), ("body", json!("{")));
        assert_eq!(body_of(b"\xff\x00", false), ("bodyBase64", json!("/wA=")));
    }
}
