//! `landfall explain`: why an attempt of a device ended as it did, from its decision trace; or what a
//! code means, from the reference.

mod code;

use clap::Args;
use landfall_wire::client::own;
use serde_json::{Value as Json, json};

use super::connect::Connect;
use super::outcome::{Exit, Failure};
use super::print;

/// Say why a device's attempt ended as it did: the stages it passed and the check that failed. Or
/// say what a code means.
#[derive(Args)]
pub struct ExplainCommand {
    /// Tracking id that the device was given, or a registration id for its last attempts
    #[arg(
        value_name = "TRACKING-ID|REGISTRATION-ID",
        required_unless_present = "code"
    )]
    id: Option<String>,
    /// What a number, check, status or hub error name means; asks no server
    #[arg(long, value_name = "CODE", conflicts_with = "id")]
    code: Option<String>,
    /// At most so many attempts of a registration id
    #[arg(long, value_name = "N", default_value_t = 5)]
    top: usize,
    // Last: its heading would name the options above too.
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
}

impl ExplainCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        match (&self.code, &self.id) {
            (Some(code), _) => code::explain(code, self.connect.json),
            (None, Some(id)) => self.attempts(id).await,
            // The command line wants one of the two.
            (None, None) => Ok(()),
        }
    }

    /// Explains the attempt of a tracking id, or the last ones of a registration id.
    async fn attempts(&self, id: &str) -> Result<(), Failure> {
        let mut session = self.connect.service().await?;
        let who = session.authorization.clone();
        // Only a tracking id looks like one; a registration id that does too is asked for second.
        let trace = if looks_like_tracking_id(id) {
            session.find(own::trace(&who, id)).await?
        } else {
            None
        };
        let trace = match trace {
            None => self.nobodys(id).await?,
            found => found,
        };
        if let Some(trace) = trace {
            print::result(self.connect.json, &trace, explained);
            return Ok(());
        }
        let request = own::registration_traces(&who, id, self.top);
        let found = session
            .find(request)
            .await?
            .unwrap_or_else(|| json!({ "value": [] }));
        let traces = found.get("value").and_then(Json::as_array);
        let traces = traces.map(Vec::as_slice).unwrap_or_default();
        if traces.is_empty() {
            return Err(Failure::new(
                Exit::NotFound,
                format!("no attempt under '{}' is kept by this service", id),
                "check the id and the service (--service); old traces are dropped after a while, and attempts under an id scope that no service has are found by their tracking id only",
            ));
        }
        print::result(self.connect.json, &found, |_| {
            traces.iter().map(explained).collect::<Vec<_>>().join("\n")
        });
        Ok(())
    }
}

impl ExplainCommand {
    /// The trace of an attempt under an id scope of no service: no service's policy may read it, the
    /// server's control token may. Not asked where `--login` leads to another server.
    async fn nobodys(&self, id: &str) -> Result<Option<Json>, Failure> {
        if !looks_like_tracking_id(id) || self.connect.login.is_some() {
            return Ok(None);
        }
        let Ok(mut control) = self.connect.control() else {
            return Ok(None);
        };
        let request = own::trace(&control.session.authorization, id);
        control.session.find(request).await
    }
}

fn looks_like_tracking_id(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// One trace as people read it.
pub fn explained(trace: &Json) -> String {
    let text = |pointer: &str| {
        trace
            .pointer(pointer)
            .map(print::plain_text)
            .unwrap_or_default()
    };
    let mut out = format!(
        "Attempt {}: {} of '{}' over {} from {}\n",
        text("/trackingId"),
        text("/action"),
        text("/registrationId"),
        text("/protocol"),
        text("/peer"),
    );
    out.push_str(&print::pairs(
        [
            ("Started", text("/started")),
            ("Id scope", text("/idScope")),
            ("Operation", text("/operationId")),
            ("Outcome", text("/outcome")),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value)),
    ));

    let stages = trace.get("stages").and_then(Json::as_array);
    let stages = stages.map(Vec::as_slice).unwrap_or_default();
    if !stages.is_empty() {
        out.push('\n');
    }
    for stage in stages {
        let text = |name: &str| stage.get(name).map(print::plain_text).unwrap_or_default();
        let at = stage
            .get("atMicroseconds")
            .and_then(Json::as_u64)
            .unwrap_or_default();
        out.push_str(&format!(
            "  {:<12} {:>11}  {}\n",
            text("stage"),
            milliseconds(at),
            text("note")
        ));
    }

    if trace.get("finding").is_some_and(Json::is_object) {
        out.push_str(&format!(
            "\nFailed check: {}\n  expected: {}\n  seen:     {}\n  fix:      {}\n",
            text("/finding/check"),
            text("/finding/expected"),
            text("/finding/seen"),
            text("/finding/fix"),
        ));
    }
    out
}

/// `1234` microseconds as `1.234 ms`.
pub fn milliseconds(micros: u64) -> String {
    format!("{}.{:03} ms", micros / 1000, micros % 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_attempt_reads_as_stages_then_the_failed_check() {
        let trace = json!({
            "trackingId": "ada7d102-449e-4031-a1e7-e60ac75804ea", "idScope": "0ne00000001",
            "registrationId": "dev1", "action": "register", "protocol": "https",
            "peer": "127.0.0.1:50000", "started": "2030-01-01T00:00:00.0000000Z",
            "stages": [
                {"stage": "transport", "atMicroseconds": 12, "note": "TLS 1.3, no client certificate"},
                {"stage": "attestation", "atMicroseconds": 1234, "note": "refused\u{7}"}],
            "outcome": "401002 Unauthorized",
            "finding": {"check": "sas.group_key_used", "expected": "a token signed with the derived key",
                "seen": "a token signed with the group key itself",
                "fix": "derive the device key: landfall key derive"}});
        assert_eq!(
            explained(&trace),
            "Attempt ada7d102-449e-4031-a1e7-e60ac75804ea: register of 'dev1' over https from 127.0.0.1:50000\n\
             Started   2030-01-01T00:00:00.0000000Z\n\
             Id scope  0ne00000001\n\
             Outcome   401002 Unauthorized\n\
             \n\
             \x20 transport       0.012 ms  TLS 1.3, no client certificate\n\
             \x20 attestation     1.234 ms  refused\n\
             \n\
             Failed check: sas.group_key_used\n\
             \x20 expected: a token signed with the derived key\n\
             \x20 seen:     a token signed with the group key itself\n\
             \x20 fix:      derive the device key: landfall key derive\n"
        );
    }

    #[test]
    fn an_attempt_that_went_well_has_no_failed_check() {
        let text = explained(
            &json!({"trackingId": "t", "outcome": "202 assigning", "stages": [],
            "finding": null}),
        );
        assert!(text.contains("Outcome  202 assigning"));
        assert!(!text.contains("Failed check"));
    }

    #[test]
    fn tracking_ids_are_told_from_registration_ids_by_their_form() {
        assert!(looks_like_tracking_id(
            "ada7d102-449e-4031-a1e7-e60ac75804ea"
        ));
        assert!(!looks_like_tracking_id(
            "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6"
        ));
    }
}
