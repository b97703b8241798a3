//! An inspected chain as people read it: each certificate, what it passed and what it failed.

use serde_json::Value as Json;

use crate::command::print;

/// Draws an inspection from its JSON. The finding that decides is said by whoever ends the command.
pub(super) fn text(found: &Json) -> String {
    let mut out = String::new();
    for link in list(found, "/links") {
        out.push_str(&of_link(link));
        out.push('\n');
    }
    for hint in list(found, "/hints") {
        out.push_str(&format!("Note: {}\n", print::plain_text(hint)));
    }
    out.push_str(&verdict(found));
    out
}

fn list<'a>(value: &'a Json, pointer: &str) -> &'a [Json] {
    let list = value.pointer(pointer).and_then(Json::as_array);
    list.map(Vec::as_slice).unwrap_or_default()
}

fn word(value: &Json, pointer: &str) -> String {
    value
        .pointer(pointer)
        .map(print::plain_text)
        .unwrap_or_default()
}

fn of_link(link: &Json) -> String {
    let subject = word(link, "/info/subjectName");
    let mut out = match link.get("place") {
        Some(place) => format!("Certificate {}: {subject}\n", print::plain_text(place)),
        None => format!("Not sent, the server has it: {subject}\n"),
    };
    let checks = list(link, "/checks");
    let passed: Vec<String> = checks
        .iter()
        .filter(|checked| checked.get("passed") == Some(&Json::Bool(true)))
        .map(|checked| word(checked, "/check").replacen("x509.", "", 1))
        .collect();
    let rows = [
        ("Issuer", word(link, "/info/issuerName")),
        ("Serial", word(link, "/info/serialNumber")),
        ("SHA-1", word(link, "/info/sha1Thumbprint")),
        ("SHA-256", word(link, "/info/sha256Thumbprint")),
        (
            "Valid",
            format!(
                "{} to {}",
                word(link, "/info/notBeforeUtc"),
                word(link, "/info/notAfterUtc")
            ),
        ),
        ("Version", word(link, "/info/version")),
        ("Key", word(link, "/key")),
        ("CA", authority(link)),
        ("Extended key usages", word(link, "/extendedKeyUsages")),
        ("Held by", holder(link)),
        (
            "Passed",
            if checks.is_empty() {
                "not needed on the way".to_owned()
            } else {
                passed.join(", ")
            },
        ),
    ];
    let rows = rows
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value));
    for line in print::pairs(rows).lines() {
        out.push_str(&format!("  {line}\n"));
    }
    for checked in checks
        .iter()
        .filter(|checked| checked.get("finding").is_some())
    {
        out.push_str(&failed(checked, "  "));
    }
    out
}

fn failed(owner: &Json, indent: &str) -> String {
    format!(
        "{indent}Failed check: {}\n{indent}  expected: {}\n{indent}  seen:     {}\n{indent}  fix:      {}\n",
        word(owner, "/finding/check"),
        word(owner, "/finding/expected"),
        word(owner, "/finding/seen"),
        word(owner, "/finding/fix"),
    )
}

fn authority(link: &Json) -> String {
    let length = word(link, "/pathLength");
    match word(link, "/isCa") {
        yes if !length.is_empty() => format!("{yes}, path length {length}"),
        plain => plain,
    }
}

fn holder(link: &Json) -> String {
    let name = word(link, "/holder/name");
    match word(link, "/holder/type").as_str() {
        "group" => format!("enrollment group '{}'", word(link, "/holder/id")),
        "certificate" => match link.pointer("/holder/isVerified") {
            Some(Json::Bool(true)) => format!("CA certificate '{name}', verified"),
            _ => format!("CA certificate '{name}', not verified"),
        },
        _ => String::new(),
    }
}

/// The last lines: what it comes to.
fn verdict(found: &Json) -> String {
    let id = word(found, "/registrationId");
    let at = word(found, "/at");
    if found.get("finding").is_some() {
        return format!("\nRefused, at {at}.\n{}", failed(found, ""));
    }
    match word(found, "/enrollment/type").as_str() {
        "individual" => format!("\nAccepted, at {at}: individual enrollment '{id}'.\n"),
        "group" => format!(
            "\nAccepted, at {at}: '{id}' through enrollment group '{}'.\n",
            word(found, "/enrollment/id")
        ),
        _ => format!(
            "\nNothing wrong with it, at {at}. Whether a device is let in depends on its enrollment: \
             name it with --enrollment or --group.\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn found() -> Json {
        json!({
            "registrationId": "dev1", "at": "2040-06-01T00:00:00Z", "accepted": false,
            "finding": {"check": "x509.chain", "expected": "a way", "seen": "it stops", "fix": "send all"},
            "links": [
                {"place": 1, "info": {"subjectName": "CN=dev1", "issuerName": "CN=ca",
                    "serialNumber": "0A", "sha1Thumbprint": "S1", "sha256Thumbprint": "S256",
                    "notBeforeUtc": "2040-01-01T00:00:00Z", "notAfterUtc": "2041-01-01T00:00:00Z",
                    "version": 3},
                 "key": "P-256", "isCa": false, "extendedKeyUsages": ["clientAuth"],
                 "checks": [{"check": "x509.key", "passed": true}, {"check": "x509.validity",
                    "passed": false, "finding": {"check": "x509.validity", "expected": "valid",
                        "seen": "ended", "fix": "renew"}}]},
                {"holder": {"type": "group", "id": "g1"}, "info": {"subjectName": "CN=ca",
                    "notBeforeUtc": "a", "notAfterUtc": "b", "version": 3},
                 "key": "RSA 2048", "isCa": true, "pathLength": 0, "extendedKeyUsages": [], "checks": []}],
            "hints": ["Mind the order."]})
    }

    #[test]
    fn each_link_reads_as_its_facts_then_its_failures() {
        assert_eq!(
            text(&found()),
            "Certificate 1: CN=dev1\n\
             \x20 Issuer               CN=ca\n\
             \x20 Serial               0A\n\
             \x20 SHA-1                S1\n\
             \x20 SHA-256              S256\n\
             \x20 Valid                2040-01-01T00:00:00Z to 2041-01-01T00:00:00Z\n\
             \x20 Version              3\n\
             \x20 Key                  P-256\n\
             \x20 CA                   no\n\
             \x20 Extended key usages  clientAuth\n\
             \x20 Passed               key\n\
             \x20 Failed check: x509.validity\n\
             \x20   expected: valid\n\
             \x20   seen:     ended\n\
             \x20   fix:      renew\n\
             \n\
             Not sent, the server has it: CN=ca\n\
             \x20 Valid    a to b\n\
             \x20 Version  3\n\
             \x20 Key      RSA 2048\n\
             \x20 CA       yes, path length 0\n\
             \x20 Held by  enrollment group 'g1'\n\
             \x20 Passed   not needed on the way\n\
             \n\
             Note: Mind the order.\n\
             \n\
             Refused, at 2040-06-01T00:00:00Z.\n\
             Failed check: x509.chain\n\
             \x20 expected: a way\n\
             \x20 seen:     it stops\n\
             \x20 fix:      send all\n"
        );
    }

    #[test]
    fn the_verdict_names_who_lets_the_device_in() {
        let mut found = found();
        let members = found.as_object_mut().expect("an object");
        members.remove("finding");
        assert!(text(&found).contains("Nothing wrong with it"));
        found["enrollment"] = json!({"type": "group", "id": "g1"});
        assert!(text(&found).ends_with("'dev1' through enrollment group 'g1'.\n"));
        found["enrollment"] = json!({"type": "individual"});
        assert!(text(&found).ends_with("individual enrollment 'dev1'.\n"));
    }
}
