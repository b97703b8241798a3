//! `landfall hub monitor`: prints what devices send and what becomes of them, as it comes.

use clap::Args;
use landfall_wire::client::events::{Sent, Stream, follow};
use serde_json::Value as Json;

use super::connect::{Connect, Session};
use super::outcome::{Exit, Failure};
use super::print;
use crate::time;

/// How long to wait before a connection that broke is made again.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);
/// Most characters of a body on a terminal line.
const LONGEST_BODY: usize = 4096;

/// Options of `monitor`.
#[derive(Args)]
pub struct Monitor {
    /// Only events of this device and its modules
    #[arg(long, short = 'd', value_name = "ID")]
    device_id: Option<String>,
    /// Begin behind the event of this number, as far back as events are kept (0: from the oldest on);
    /// without it, begin with what comes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// End after so many events
    #[arg(long, value_name = "N")]
    count: Option<u64>,
}

impl Monitor {
    /// Follows the hub until somebody ends it. A connection that breaks is made again, and goes on behind
    /// the last event that was printed.
    ///
    /// # Errors
    /// [`Failure`] when the first connection fails, or a later one is refused.
    pub async fn run(
        &self,
        connect: &Connect,
        session: &Session,
        host: &str,
    ) -> Result<(), Failure> {
        let mut after = self.after;
        let mut left = self.count;
        let mut is_first = true;
        loop {
            let request = follow(
                &session.authorization,
                host,
                after,
                self.device_id.as_deref(),
            );
            let mut coming = match session.follow(request).await {
                Ok(coming) => coming,
                // A server that is away, or starts, answers later.
                Err(failure)
                    if !is_first && matches!(failure.exit, Exit::CannotConnect | Exit::Refused) =>
                {
                    time::sleep(AGAIN).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            is_first = false;
            let mut stream = Stream::default();
            while let Ok(Some(piece)) = coming.next().await {
                for sent in stream.take(&piece) {
                    after = sent.sequence.or(after);
                    show(&sent, connect.json);
                    if sent.sequence.is_some()
                        && let Some(left) = &mut left
                    {
                        *left = left.saturating_sub(1);
                        if *left == 0 {
                            return Ok(());
                        }
                    }
                }
            }
            print::aside("landfall: the connection ended; it is made again");
            time::sleep(AGAIN).await;
        }
    }
}

fn show(sent: &Sent, as_json: bool) {
    if sent.sequence.is_none() {
        print::aside(&format!("landfall: {}", missed(&sent.data)));
    } else if as_json {
        print::text(&sent.data.to_string());
    } else {
        print::text(&line(&sent.data));
    }
}

/// What a reader is told who comes too late.
fn missed(gap: &Json) -> String {
    format!(
        "the events behind {} are not all there any more: the oldest that is kept is {}",
        gap["asked"], gap["oldest"]
    )
}

/// An event as one line that no terminal takes for a command.
fn line(event: &Json) -> String {
    let text = |name: &str| event[name].as_str().unwrap_or_default();
    let mut endpoint = text("deviceId").to_owned();
    if let Some(module) = event["moduleId"].as_str() {
        endpoint = format!("{endpoint}/{module}");
    }
    let mut line = format!("{}  {endpoint}  {}", text("enqueuedTimeUtc"), text("event"));
    for (name, members) in [("", "properties"), ("$", "systemProperties")] {
        for (key, value) in event[members].as_object().into_iter().flatten() {
            let value = value
                .as_str()
                .map_or_else(String::new, |value| format!("={value}"));
            line.push_str(&format!("  {name}{key}{value}"));
        }
    }
    let body = match (&event["body"], &event["bodyBase64"]) {
        (Json::Null, Json::String(base64)) => format!("base64:{base64}"),
        (Json::String(text), _) => text.clone(),
        (body, _) => body.to_string(),
    };
    print::one_line(&format!("{line}  {body}"), LONGEST_BODY)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_one_line_that_no_terminal_takes_for_a_command() {
        let event = json!({
            "sequenceNumber": 7, "event": "telemetry", "deviceId": "d", "moduleId": "m",
            "enqueuedTimeUtc": "2033-05-18T03:33:20.0000000Z",
            "systemProperties": {"message-id": "1"}, "properties": {"alarm": "on", "alone": null},
            "body": "two\nlines\u{1b}[31m",
        });
        assert_eq!(
            line(&event),
            "2033-05-18T03:33:20.0000000Z  d/m  telemetry  alarm=on  alone  $message-id=1  two\\nlines\\u{1b}[31m"
        );
        let bytes = json!({"event": "telemetry", "deviceId": "d", "enqueuedTimeUtc": "t", "bodyBase64": "/wA="});
        assert_eq!(line(&bytes), "t  d  telemetry  base64:/wA=");
        let object = json!({"event": "telemetry", "deviceId": "d", "enqueuedTimeUtc": "t", "body": {"t": 1}});
        assert_eq!(line(&object), "t  d  telemetry  {\"t\":1}");
    }
}
