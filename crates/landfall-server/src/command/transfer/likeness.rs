//! Whether two records say the same, however each service spells it: defaults filled in, ids and
//! enumerations without case, certificates by thumbprint.

use landfall_core::certificate::Certificate;
use landfall_core::document::JsonObject;
use landfall_core::secret::SymmetricKey;
use landfall_wire::client::service::id_member;
use landfall_wire::route::Collection;
use serde_json::{Value as Json, json};

use super::line::bare;

/// The members in which two records of one id differ. Keys count when both show theirs.
pub fn differences(collection: Collection, one: &JsonObject, other: &JsonObject) -> Vec<String> {
    let (one, other) = (plain(collection, one), plain(collection, other));
    let mut names: Vec<&String> = one.keys().chain(other.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .filter(|name| match (one.get(*name), other.get(*name)) {
            (Some(a), Some(b)) if *name == "attestation" => !same_attestation(a, b),
            (a, b) => a != b,
        })
        .cloned()
        .collect()
}

/// The SHA-256 thumbprint of the certificate in a slot, in upper-case hex.
pub fn thumbprint(slot: &Json) -> Option<String> {
    match slot.get("certificate").and_then(Json::as_str) {
        Some(text) => {
            let certificate = Certificate::from_text(text).ok()?;
            Some(certificate.info().sha256_thumbprint)
        }
        None => slot
            .pointer("/info/sha256Thumbprint")
            .and_then(Json::as_str)
            .map(str::to_ascii_uppercase),
    }
}

/// A record in one spelling.
fn plain(collection: Collection, record: &JsonObject) -> JsonObject {
    let mut plain = record.clone();
    bare(&mut plain);
    let id = plain.remove(id_member(collection));
    // The device id that a device gets anyhow.
    if plain.get("deviceId") == id.as_ref() {
        plain.remove("deviceId");
    }
    for name in ["provisioningStatus", "allocationPolicy"] {
        if let Some(Json::String(word)) = plain.get_mut(name) {
            *word = word.to_ascii_lowercase();
        }
    }
    let defaults = [
        ("provisioningStatus", json!("enabled")),
        ("capabilities", json!({ "iotEdge": false })),
        (
            "reprovisionPolicy",
            json!({ "updateHubAssignment": true, "migrateDeviceData": true }),
        ),
    ];
    for (name, value) in defaults {
        plain.entry(name).or_insert(value);
    }
    hubs(&mut plain);
    if let Some(twin) = plain.remove("initialTwin") {
        plain.insert("tags".into(), twin.get("tags").cloned().unwrap_or_default());
        let desired = twin.pointer("/properties/desired").cloned();
        plain.insert("desired".into(), desired.unwrap_or_default());
    }
    for name in ["tags", "desired", "optionalDeviceInformation"] {
        let says_nothing = plain.get(name).is_some_and(|value| {
            value.is_null() || value.as_object().is_some_and(JsonObject::is_empty)
        });
        if says_nothing {
            plain.remove(name);
        }
    }
    plain
}

/// The deprecated single hub stands for the static policy with that hub.
fn hubs(plain: &mut JsonObject) {
    let mut hubs: Vec<String> = plain
        .remove("iotHubs")
        .as_ref()
        .and_then(Json::as_array)
        .into_iter()
        .flatten()
        .filter_map(Json::as_str)
        .map(str::to_ascii_lowercase)
        .collect();
    if let Some(Json::String(hub)) = plain.remove("iotHubHostName") {
        if hubs.is_empty() {
            hubs.push(hub.to_ascii_lowercase());
        }
        plain
            .entry("allocationPolicy")
            .or_insert_with(|| json!("static"));
    }
    hubs.sort();
    hubs.dedup();
    if !hubs.is_empty() {
        plain.insert("iotHubs".into(), json!(hubs));
    }
}

fn same_attestation(one: &Json, other: &Json) -> bool {
    let kind = |it: &Json| {
        let kind = it.get("type").and_then(Json::as_str).unwrap_or_default();
        kind.to_ascii_lowercase()
    };
    if kind(one) != kind(other) {
        return false;
    }
    match kind(one).as_str() {
        "symmetrickey" => ["primaryKey", "secondaryKey"].iter().all(|name| {
            let key = |it: &Json| {
                let text = it.get("symmetricKey")?.get(name)?.as_str()?;
                SymmetricKey::from_base64(text).ok()
            };
            match (key(one), key(other)) {
                (Some(a), Some(b)) => a.same_as(&b),
                // A key that is not shown says nothing.
                _ => true,
            }
        }),
        "x509" => slots(one) == slots(other),
        _ => ["endorsementKey", "storageRootKey"].iter().all(|name| {
            let key = |it: &Json| it.get("tpm").and_then(|tpm| tpm.get(name)).cloned();
            key(one).unwrap_or_default() == key(other).unwrap_or_default()
        }),
    }
}

/// The slots of an X.509 attestation, in order: form, place, and the thumbprint or name in it.
pub fn slots(attestation: &Json) -> Vec<(String, String, String)> {
    let forms = attestation.get("x509").and_then(Json::as_object);
    let mut found = Vec::new();
    for (form, slots) in forms.into_iter().flatten() {
        for (place, slot) in slots.as_object().into_iter().flatten() {
            let what = match slot {
                Json::Null => continue,
                Json::String(name) => name.to_ascii_lowercase(),
                slot => thumbprint(slot).unwrap_or_default(),
            };
            found.push((form.clone(), place.clone(), what));
        }
    }
    found.sort();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differ(one: Json, other: Json) -> Vec<String> {
        let object = |value: Json| value.as_object().cloned().expect("an object");
        differences(Collection::Individuals, &object(one), &object(other))
    }

    #[test]
    fn the_same_said_in_two_ways_is_the_same() {
        let none: [&str; 0] = [];
        assert_eq!(
            differ(
                json!({
                    "registrationId": "Dev", "deviceId": "Dev", "etag": "a",
                    "attestation": {"type": "SymmetricKey", "symmetricKey": {"primaryKey": "AAECAwQFBgcICQoLDA0ODw=="}},
                    "iotHubs": ["B.example", "a.example"], "allocationPolicy": "geolatency",
                    "initialTwin": {"tags": {}, "properties": {"desired": {"a": 1}}},
                }),
                json!({
                    "registrationId": "dev", "provisioningStatus": "Enabled", "etag": "b",
                    "attestation": {"type": "symmetricKey"},
                    "iotHubs": ["a.example", "b.example"], "allocationPolicy": "geoLatency",
                    "capabilities": {"iotEdge": false},
                    "reprovisionPolicy": {"updateHubAssignment": true, "migrateDeviceData": true},
                    "initialTwin": {"properties": {"desired": {"a": 1}}}, "optionalDeviceInformation": {},
                })
            ),
            none
        );
        assert_eq!(
            differ(
                json!({"iotHubHostName": "A.example"}),
                json!({"iotHubs": ["a.example"], "allocationPolicy": "static"})
            ),
            none
        );
    }

    #[test]
    fn what_differs_is_named() {
        let keys = |key: &str| json!({"attestation": {"type": "symmetricKey", "symmetricKey": {"primaryKey": key}}});
        assert_eq!(
            differ(
                keys("AAECAwQFBgcICQoLDA0ODw=="),
                keys("AAECAwQFBgcICQoLDA0OEA==")
            ),
            ["attestation"]
        );
        assert_eq!(
            differ(
                json!({"initialTwin": {"tags": {"a": 1}}, "capabilities": {"iotEdge": true}}),
                json!({"initialTwin": {"tags": {"a": 2}}, "deviceId": "d"})
            ),
            ["capabilities", "deviceId", "tags"]
        );
        let reference = |name: &str| json!({"attestation": {"type": "x509", "x509": {"caReferences": {"primary": name}}}});
        assert!(differ(reference("Root"), reference("root")).is_empty());
        assert_eq!(
            differ(reference("root"), reference("other")),
            ["attestation"]
        );
        let tpm = |ek: &str| json!({"attestation": {"type": "tpm", "tpm": {"endorsementKey": ek}}});
        assert_eq!(differ(tpm("a"), tpm("b")), ["attestation"]);
        assert_eq!(
            differ(tpm("a"), keys("AAECAwQFBgcICQoLDA0ODw==")),
            ["attestation"]
        );
    }
}
