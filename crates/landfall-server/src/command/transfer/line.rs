//! The lines of an export: `{"kind":"enrollment"|"group","record":{…}}`, and a note at the end that
//! says what else the records name.

use std::collections::BTreeSet;

use landfall_core::document::JsonObject;
use landfall_wire::route::Collection;
use serde_json::{Value as Json, json};

/// The members that a service fills in, and that mean nothing to another.
const READ_ONLY: [&str; 4] = [
    "etag",
    "registrationState",
    "createdDateTimeUtc",
    "lastUpdatedDateTimeUtc",
];

/// What people call a record.
pub fn noun(collection: Collection) -> &'static str {
    match collection {
        Collection::Individuals => "enrollment",
        Collection::Groups => "group",
    }
}

/// Takes out of a record what only its own service knows, and what says nothing: services show
/// members that were never set as `null` or as the empty text.
pub fn bare(record: &mut JsonObject) {
    let says_nothing = |value: &Json| value.is_null() || value.as_str() == Some("");
    record.retain(|name, value| !says_nothing(value) && !READ_ONLY.contains(&name.as_str()));
    let Some(attestation) = record.get_mut("attestation").and_then(Json::as_object_mut) else {
        return;
    };
    attestation.retain(|_, value| !says_nothing(value));
    for form in attestation.values_mut().filter_map(Json::as_object_mut) {
        form.retain(|_, value| !says_nothing(value));
        for slots in form.values_mut().filter_map(Json::as_object_mut) {
            slots.retain(|_, value| !says_nothing(value));
        }
    }
}

/// A record as its line, without the end of the line.
pub fn text(collection: Collection, record: &JsonObject) -> String {
    json!({ "kind": noun(collection), "record": record }).to_string()
}

/// What a line of a file is.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A record.
    Record(Collection, JsonObject),
    /// For people.
    Note,
}

/// Reads a line. The reason of a bad one never repeats what stands in it: that may be a key.
///
/// # Errors
/// Why it is none.
pub fn parse(bytes: &[u8]) -> Result<Line, String> {
    let line: Json = serde_json::from_slice(bytes).map_err(|e| {
        format!(
            "it is no JSON: it cannot be read from column {} on",
            e.column()
        )
    })?;
    let Json::Object(mut line) = line else {
        return Err("it is no JSON object".into());
    };
    let collection = match line.get("kind").and_then(Json::as_str) {
        Some("enrollment") => Collection::Individuals,
        Some("group") => Collection::Groups,
        Some("note") => return Ok(Line::Note),
        Some(_) => return Err("its kind is none of enrollment, group and note".into()),
        None => return Err("it has no kind".into()),
    };
    match line.remove("record") {
        Some(Json::Object(record)) => Ok(Line::Record(collection, record)),
        _ => Err("its record is no JSON object".into()),
    }
}

/// What records name that does not travel with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// CA certificates, by name.
    pub authorities: BTreeSet<String>,
    /// Certificates that the service shows by thumbprint only.
    pub certificates: BTreeSet<String>,
    /// Linked hubs.
    pub hubs: BTreeSet<String>,
}

impl Needs {
    /// Takes in what one record names.
    pub fn add(&mut self, record: &JsonObject) {
        let texts = |value: Option<&Json>| -> Vec<String> {
            let items = match value {
                Some(Json::Array(items)) => items.iter().collect(),
                Some(one) => vec![one],
                None => Vec::new(),
            };
            let texts = items.iter().filter_map(|item| item.as_str());
            texts.map(str::to_owned).collect()
        };
        self.hubs.extend(texts(record.get("iotHubs")));
        self.hubs.extend(texts(record.get("iotHubHostName")));
        let x509 = record.get("attestation").and_then(|it| it.get("x509"));
        for (form, slots) in x509.and_then(Json::as_object).into_iter().flatten() {
            for slot in slots
                .as_object()
                .into_iter()
                .flatten()
                .map(|(_, slot)| slot)
            {
                if form == "caReferences" {
                    self.authorities.extend(texts(Some(slot)));
                } else if slot.get("certificate").is_none_or(Json::is_null) {
                    let thumbprint = slot.pointer("/info/sha256Thumbprint");
                    self.certificates.extend(texts(thumbprint));
                }
            }
        }
    }

    /// The note that says so, without the end of the line.
    pub fn text(&self) -> String {
        json!({
            "kind": "note",
            "caCertificates": self.authorities,
            "certificatesByThumbprint": self.certificates,
            "iotHubs": self.hubs,
        })
        .to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(value: Json) -> JsonObject {
        value.as_object().cloned().expect("an object")
    }

    #[test]
    fn a_record_comes_back_from_its_line() {
        let mut record = object(json!({
            "registrationId": "dev", "etag": "e", "deviceId": null, "registrationState": {},
            "iotHubHostName": "", "attestation": {"type": "x509", "tpm": null, "x509": {
                "signingCertificates": null, "caReferences": {"primary": "root", "secondary": null}}},
            "createdDateTimeUtc": "t", "lastUpdatedDateTimeUtc": "t",
            "initialTwin": {"tags": {"etag": null}},
        }));
        bare(&mut record);
        let line = text(Collection::Individuals, &record);
        assert!(!line.contains('\n'));
        let wanted = json!({
            "registrationId": "dev", "initialTwin": {"tags": {"etag": null}},
            "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "root"}}},
        });
        assert_eq!(
            parse(line.as_bytes()),
            Ok(Line::Record(Collection::Individuals, object(wanted)))
        );
    }

    #[test]
    fn a_bad_line_is_told_without_its_content() {
        for (line, word) in [
            ("", "no JSON"),
            ("{\"primaryKey\":\"hush\"", "no JSON"),
            ("[\"hush\"]", "no JSON object"),
            ("{\"record\":{}}", "no kind"),
            ("{\"kind\":\"hush\",\"record\":{}}", "none of"),
            ("{\"kind\":\"group\",\"record\":\"hush\"}", "record"),
            ("{\"kind\":\"group\"}", "record"),
        ] {
            let reason = parse(line.as_bytes()).expect_err(line);
            assert!(
                reason.contains(word) && !reason.contains("hush"),
                "{reason}"
            );
        }
        assert!(parse(b"\xff\xfe{}").is_err());
        assert_eq!(parse(Needs::default().text().as_bytes()), Ok(Line::Note));
    }

    #[test]
    fn what_records_name_is_gathered() {
        let mut needs = Needs::default();
        needs.add(&object(json!({
            "iotHubs": ["a.example", "b.example"],
            "attestation": {"type": "x509", "x509": {"caReferences": {"primary": "root", "secondary": "root-2"}}},
        })));
        needs.add(&object(json!({
            "iotHubHostName": "a.example",
            "attestation": {"type": "x509", "x509": {"signingCertificates": {
                "primary": {"info": {"sha256Thumbprint": "AB"}},
                "secondary": {"certificate": "MII", "info": {"sha256Thumbprint": "CD"}},
            }}},
        })));
        let note: Json = serde_json::from_str(&needs.text()).expect("JSON");
        assert_eq!(
            note,
            json!({
                "kind": "note",
                "caCertificates": ["root", "root-2"],
                "certificatesByThumbprint": ["AB"],
                "iotHubs": ["a.example", "b.example"],
            })
        );
    }
}
