//! Spans in the JSON form of OTLP: ids in hex, times as texts of nanoseconds, kinds and statuses as numbers.
//!
//! The trace id is the tracking id, so that whoever holds one finds the other. Span ids are made of it too.

use serde_json::{Value as Json, json};

use crate::spans::{Span, Value};

/// The kind of a span that answers a request.
const SERVER: u8 = 2;
/// The kind of a span inside it.
const INTERNAL: u8 = 1;
/// The status of a span whose server is at fault.
const ERROR: u8 = 2;

/// The body of one call.
pub(super) fn body(service_name: &str, spans: &[Span]) -> Vec<u8> {
    let version = env!("CARGO_PKG_VERSION");
    let resource = [
        attribute("service.name", &service_name.into()),
        attribute("service.version", &version.into()),
    ];
    let spans: Vec<Json> = spans.iter().flat_map(written).collect();
    let scope = json!({"name": "landfall", "version": version});
    let body = json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{"scope": scope, "spans": spans}],
    }]});
    body.to_string().into_bytes()
}

/// A request's span, and those of its stages.
fn written(span: &Span) -> Vec<Json> {
    let trace: String = span
        .tracking_id
        .as_str()
        .chars()
        .filter(char::is_ascii_hexdigit)
        .collect::<String>()
        .to_ascii_lowercase();
    // The latter half is drawn but for two bits, and so differs from request to request.
    let drawn = trace.get(16..).unwrap_or_default();
    let root = u64::from_str_radix(drawn, 16).unwrap_or(1).max(1);
    let id = |number: u64| format!("{:016x}", root.wrapping_add(number).max(1));
    let began = i128::from(span.started.unix_micros()) * 1000;
    let at = |after: std::time::Duration| {
        let after = i128::try_from(after.as_nanos()).unwrap_or(0);
        began.saturating_add(after).max(0).to_string()
    };
    let attributes: Vec<Json> = span
        .attributes
        .iter()
        .map(|(name, value)| attribute(name, value))
        .collect();
    let mut whole = json!({
        "traceId": trace, "spanId": id(0), "name": span.name, "kind": SERVER,
        "startTimeUnixNano": at(std::time::Duration::ZERO), "endTimeUnixNano": at(span.lasted),
        "attributes": attributes,
    });
    if let (500.., Some(members)) = (span.status, whole.as_object_mut()) {
        members.insert("status".to_owned(), json!({"code": ERROR}));
    }
    let mut all = vec![whole];
    let mut before = std::time::Duration::ZERO;
    for (number, stage) in (1_u64..).zip(&span.stages) {
        all.push(json!({
            "traceId": trace, "spanId": id(number), "parentSpanId": id(0),
            "name": stage.stage, "kind": INTERNAL,
            "startTimeUnixNano": at(before), "endTimeUnixNano": at(stage.at),
            "attributes": [attribute("landfall.note", &(*stage.note).into())],
        }));
        before = stage.at;
    }
    all
}

fn attribute(name: &str, value: &Value) -> Json {
    let value = match value {
        Value::Text(text) => json!({"stringValue": text}),
        // Whole numbers of 64 bits are texts in this form.
        Value::Number(number) => json!({"intValue": number.to_string()}),
    };
    json!({"key": name, "value": value})
}

#[cfg(test)]
mod tests {
    use super::*;
    use landfall_core::clock::Timestamp;
    use landfall_core::id::TrackingId;
    use landfall_core::trace::Passage;
    use std::time::Duration;

    #[test]
    fn a_request_and_its_stages_are_one_trace_by_the_name_of_its_tracking_id() {
        let stage = |stage: &str, at| Passage {
            stage: stage.to_owned(),
            at: Duration::from_micros(at),
            note: "a \"note\"".to_owned(),
        };
        let span = Span {
            tracking_id: TrackingId::parse("ada7d102-449e-4031-a1e7-e60ac75804ea").expect("an id"),
            name: "register".to_owned(),
            started: Timestamp::from_unix_micros(1_900_000_000_000_001),
            lasted: Duration::from_micros(30),
            attributes: vec![("http.response.status_code", 503.into())],
            status: 503,
            stages: vec![stage("request", 10), stage("answer", 25)],
        };
        let body: Json = serde_json::from_slice(&body("dps", &[span])).expect("JSON");
        let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(
            spans[0],
            json!({
                "traceId": "ada7d102449e4031a1e7e60ac75804ea", "spanId": "a1e7e60ac75804ea", "name": "register",
                "kind": 2, "startTimeUnixNano": "1900000000000001000", "endTimeUnixNano": "1900000000000031000",
                "attributes": [{"key": "http.response.status_code", "value": {"intValue": "503"}}],
                "status": {"code": 2},
            })
        );
        assert_eq!(spans[2]["parentSpanId"], spans[0]["spanId"]);
        assert_eq!(spans[2]["spanId"], "a1e7e60ac75804ec");
        assert_eq!(spans[2]["startTimeUnixNano"], "1900000000000011000");
        assert_eq!(spans[2]["endTimeUnixNano"], "1900000000000026000");
        let name = &body["resourceSpans"][0]["resource"]["attributes"][0];
        assert_eq!(name["value"]["stringValue"], "dps");
    }
}
