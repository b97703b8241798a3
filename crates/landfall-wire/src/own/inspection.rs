//! An inspected chain as JSON, and the request for one. The command line writes the same JSON for a chain
//! that it inspects by itself.

use landfall_core::attestation::x509::{Checked, Holder, Inspection, Link};
use landfall_core::certificate::Certificate;
use landfall_core::clock::Timestamp;
use landfall_core::error::Error;
use landfall_core::registration::EnrollmentRef;
use landfall_core::trace::Finding;
use serde_json::{Map, Value, json};

use crate::fields::{Members, parse_object};
use crate::service::attestation::info_json;

/// Most certificates that a device may send, and so be asked about.
///
/// Source: docs/protocol/x509.md §1.2.
pub const LONGEST_CHAIN: usize = 10;

/// A chain that is to be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectionRequest {
    /// The certificates, leaf first.
    pub chain: Vec<Certificate>,
    /// The time at which the device would come; now when absent.
    pub at: Option<Timestamp>,
}

/// Reads what a caller wants to have judged.
///
/// # Errors
/// [`Error::Unreadable`] when it is no JSON object; [`Error::Invalid`] when the chain is missing, too
/// long, or holds something else than certificates.
pub fn parse(body: &[u8]) -> Result<InspectionRequest, Error> {
    let object = parse_object(body)?;
    let members = Members::of(&object);
    let list = members.list("chain")?.unwrap_or_default();
    if list.is_empty() || list.len() > LONGEST_CHAIN {
        let rule = format!("must hold 1 to {LONGEST_CHAIN} certificates");
        return Err(members.wrong("chain", &rule));
    }
    let chain = list
        .iter()
        .enumerate()
        .map(|(place, item)| {
            let text = item.as_str().unwrap_or_default();
            Certificate::from_text(text)
                .map_err(|error| Error::Invalid(format!("chain[{place}]: {error}.")))
        })
        .collect::<Result<_, _>>()?;
    let at = members
        .text("at")?
        .map(|text| {
            Timestamp::parse(text)
                .ok_or_else(|| members.wrong("at", "must be a time such as 2030-01-01T00:00:00Z"))
        })
        .transpose()?;
    Ok(InspectionRequest { chain, at })
}

/// What was decided of a chain as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// The registration id in question.
    pub registration_id: Option<&'a str>,
    /// The time in question.
    pub at: Timestamp,
    /// The enrollment that decides, when one does.
    pub enrollment: Option<&'a EnrollmentRef>,
    /// Why the device is not let in; `None` when it is.
    pub finding: Option<&'a Finding>,
}

/// An inspected chain as JSON.
///
/// Shape: `place` counts from 1 and is absent for a certificate that only the server has; a link without
/// checks was not needed.
pub fn inspection(inspection: &Inspection, decided: &Decided<'_>) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    if let Some(id) = decided.registration_id {
        put("registrationId", id.into());
    }
    put("at", decided.at.to_wire_seconds().into());
    put("accepted", decided.finding.is_none().into());
    match decided.enrollment {
        Some(EnrollmentRef::Individual) => put("enrollment", json!({"type": "individual"})),
        Some(EnrollmentRef::Group(id)) => {
            put("enrollment", json!({"type": "group", "id": id.as_str()}));
        }
        None => {}
    }
    if let Some(finding) = decided.finding {
        put("finding", finding_json(finding));
    }
    put("links", inspection.links.iter().map(link).collect());
    put("hints", inspection.hints.as_slice().into());
    Value::Object(out)
}

fn link(link: &Link) -> Value {
    let profile = link.certificate.profile();
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    if let Some(place) = link.sent {
        put("place", (place + 1).into());
    }
    if let Some(holder) = &link.holder {
        put("holder", holder_json(holder));
    }
    put("info", info_json(&link.certificate.info()));
    put("key", profile.key.into());
    put("isCa", profile.is_ca.into());
    if let Some(length) = profile.path_length {
        put("pathLength", length.into());
    }
    put("extendedKeyUsages", profile.extended_key_usages.into());
    put("checks", link.checks.iter().map(checked).collect());
    Value::Object(out)
}

fn holder_json(holder: &Holder) -> Value {
    match holder {
        Holder::Group(id) => json!({"type": "group", "id": id.as_str()}),
        Holder::Verified(name) => {
            let name = name.as_ref().map(|name| name.as_str());
            json!({"type": "certificate", "name": name, "isVerified": true})
        }
        Holder::Unverified(name) => {
            json!({"type": "certificate", "name": name.as_str(), "isVerified": false})
        }
    }
}

fn checked(checked: &Checked) -> Value {
    match &checked.finding {
        None => json!({"check": checked.check, "passed": true}),
        Some(finding) => {
            json!({"check": checked.check, "passed": false, "finding": finding_json(finding)})
        }
    }
}

/// Why a check refused, as JSON.
pub fn finding_json(finding: &Finding) -> Value {
    json!({
        "check": finding.check,
        "expected": finding.expected,
        "seen": finding.seen,
        "fix": finding.fix,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_hold_no_chain_are_refused_by_the_member_that_is_wrong() {
        let eleven = json!({"chain": vec!["AAAA"; 11]}).to_string();
        for (body, wanted) in [
            ("[]", "The body must be a JSON object."),
            ("{}", "chain must hold 1 to 10 certificates."),
            (eleven.as_str(), "chain must hold 1 to 10 certificates."),
            (r#"{"chain": [7]}"#, "chain[0]: the certificate is empty."),
        ] {
            let error = parse(body.as_bytes()).expect_err("refused");
            assert_eq!(error.to_string(), wanted);
        }
    }

    #[test]
    fn a_decision_without_links_reads_as_its_finding() {
        let nothing = Inspection {
            links: Vec::new(),
            hints: vec!["a hint".to_owned()],
        };
        let finding = Finding::new("x509.chain", "e", "s", "f");
        let decided = Decided {
            registration_id: Some("dev1"),
            at: Timestamp::from_unix_seconds(1_893_456_000),
            enrollment: Some(&EnrollmentRef::Individual),
            finding: Some(&finding),
        };
        assert_eq!(
            inspection(&nothing, &decided).to_string(),
            concat!(
                r#"{"registrationId":"dev1","at":"2030-01-01T00:00:00Z","accepted":false,"#,
                r#""enrollment":{"type":"individual"},"#,
                r#""finding":{"check":"x509.chain","expected":"e","seen":"s","fix":"f"},"#,
                r#""links":[],"hints":["a hint"]}"#
            )
        );
    }
}
