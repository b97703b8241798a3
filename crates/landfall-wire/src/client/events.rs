//! The other end of a hub's stream of events: pieces of bytes in, events out.

use http::Method;
use serde_json::Value as Json;

use super::{Authorization, Draft};
use crate::message::Request;

/// Asks for the events of a hub: those after a number, or those that come; of one device, or of all.
pub fn follow(
    authorization: &Authorization,
    host: &str,
    after: Option<i64>,
    device: Option<&str>,
) -> Request {
    let mut draft =
        Draft::new(Method::GET, &["landfall", "hubs", host, "events"]).authorized(authorization);
    if let Some(after) = after {
        draft = draft.parameter("after", &after.to_string());
    }
    if let Some(device) = device {
        draft = draft.parameter("deviceId", device);
    }
    draft.done()
}

/// One event as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Sent {
    /// Its number; none for what is no event of the hub.
    pub sequence: Option<i64>,
    /// What it is: `telemetry`, or `gap` when some of what was asked for is not there.
    pub name: String,
    /// What stands in it.
    pub data: Json,
}

/// A stream that is read.
#[derive(Debug, Default)]
pub struct Stream {
    buffer: Vec<u8>,
}

impl Stream {
    /// Takes the next bytes and gives the events that they complete. What keeps the connection alive is
    /// none.
    pub fn take(&mut self, bytes: &[u8]) -> Vec<Sent> {
        self.buffer.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            events.extend(read(&String::from_utf8_lossy(&block)));
        }
        events
    }
}

fn read(block: &str) -> Option<Sent> {
    let field = |name: &str| {
        let mut lines = block.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    Some(Sent {
        sequence: field("id").and_then(|id| id.parse().ok()),
        name: field("event")?.to_owned(),
        data: serde_json::from_str(field("data")?).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::own::events::ALIVE;
    use crate::route::{self, OwnRoute, Route};

    #[test]
    fn events_are_read_in_whatever_pieces_they_come() {
        let text = format!(
            "event: gap\ndata: {{\"asked\":1}}\n\n{ALIVE}id: 7\nevent: telemetry\ndata: {{\"body\":\"ä\"}}\n\nid: 8\n"
        );
        let wanted = [
            (None, "gap", json!({"asked": 1})),
            (Some(7), "telemetry", json!({"body": "ä"})),
        ];
        for length in [1, 3, text.len()] {
            let mut stream = Stream::default();
            let pieces = text.as_bytes().chunks(length);
            let events: Vec<Sent> = pieces.flat_map(|piece| stream.take(piece)).collect();
            let seen: Vec<_> = events
                .iter()
                .map(|sent| (sent.sequence, sent.name.as_str(), sent.data.clone()))
                .collect();
            assert_eq!(seen, wanted, "in pieces of {length}");
        }
    }

    #[test]
    fn the_call_reaches_its_route() {
        let request = follow(&Authorization::bearer("t"), "My.Hub", Some(7), Some("a b"));
        let wanted = Route::Own(OwnRoute::HubEvents("My.Hub".to_owned()));
        assert_eq!(route::parse(&request.path), Some(wanted));
        assert_eq!(request.parameter("after").as_deref(), Some("7"));
        assert_eq!(request.parameter("deviceId").as_deref(), Some("a b"));
    }
}
