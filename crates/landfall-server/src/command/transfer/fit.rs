//! What is done to a record before another service may take it: hubs get the names they have there,
//! certificates get their text.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::administration::import::LackingKeys;
use landfall_core::certificate::Certificate;
use landfall_core::document::JsonObject;
use landfall_wire::client::service::id_member;
use landfall_wire::route::Collection;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value as Json, json};

use super::likeness::thumbprint;
use super::line::bare;
use crate::command::outcome::Failure;

/// The hubs of the old service, by the names of the new one.
#[derive(Debug, Clone, Default)]
pub struct Hubs {
    /// New names, by old ones in lower case.
    pub names: BTreeMap<String, String>,
    /// Whether hubs are left out instead.
    pub dropped: bool,
}

impl Hubs {
    /// Reads `OLD=NEW` pairs.
    ///
    /// # Errors
    /// [`Failure`] naming the pair that is none.
    pub fn parse(pairs: &[String], dropped: bool) -> Result<Self, Failure> {
        let mut names = BTreeMap::new();
        for pair in pairs {
            let (old, new) = pair
                .split_once('=')
                .filter(|(old, new)| !old.trim().is_empty() && !new.trim().is_empty())
                .ok_or_else(|| {
                    Failure::usage(
                        format!("--map-hub '{pair}' is not of the form OLD=NEW"),
                        "give host names: --map-hub old-hub.example=new-hub.example",
                    )
                })?;
            names.insert(old.trim().to_ascii_lowercase(), new.trim().to_owned());
        }
        Ok(Hubs { names, dropped })
    }

    fn apply(&self, record: &mut JsonObject) {
        if self.dropped {
            record.remove("iotHubHostName");
            record.remove("iotHubs");
            let policy = record.get("allocationPolicy").and_then(Json::as_str);
            // Without its hub the policy means nothing; the service's own stands in.
            if policy.is_some_and(|policy| policy.eq_ignore_ascii_case("static")) {
                record.remove("allocationPolicy");
            }
            return;
        }
        let renamed = |name: &mut Json| {
            let new = name
                .as_str()
                .and_then(|name| self.names.get(&name.to_ascii_lowercase()));
            if let Some(new) = new {
                *name = json!(new);
            }
        };
        if let Some(hub) = record.get_mut("iotHubHostName") {
            renamed(hub);
        }
        if let Some(Json::Array(hubs)) = record.get_mut("iotHubs") {
            hubs.iter_mut().for_each(renamed);
        }
    }
}

/// The certificates at hand, as base64 of DER, by SHA-256 thumbprint in upper-case hex.
#[derive(Debug, Clone, Default)]
pub struct Certificates(BTreeMap<String, String>);

impl Certificates {
    /// Reads the certificates of files and folders; of a folder, those of its files that hold some.
    ///
    /// # Errors
    /// [`Failure`] naming the path that cannot be read, or the file that holds none.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Failure> {
        let unread = |path: &Path, error: &dyn std::fmt::Display| {
            Failure::usage(
                format!("cannot read certificates from {}: {error}", path.display()),
                "name files, or a folder of files, with certificates in PEM or DER",
            )
        };
        let mut found = Certificates::default();
        for path in paths {
            if path.is_dir() {
                let entries = std::fs::read_dir(path).map_err(|error| unread(path, &error))?;
                for entry in entries {
                    let file = entry.map_err(|error| unread(path, &error))?.path();
                    if file.is_file() {
                        let bytes = std::fs::read(&file).map_err(|error| unread(&file, &error))?;
                        found.add(&bytes);
                    }
                }
            } else {
                let bytes = std::fs::read(path).map_err(|error| unread(path, &error))?;
                if found.add(&bytes) == 0 {
                    return Err(unread(path, &"it holds none"));
                }
            }
        }
        Ok(found)
    }

    fn add(&mut self, bytes: &[u8]) -> usize {
        let mut ders: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(bytes)
            .map_while(Result::ok)
            .map(|der| der.to_vec())
            .collect();
        if ders.is_empty() {
            ders.push(bytes.to_vec());
        }
        let mut added = 0;
        for der in ders {
            if let Ok(certificate) = Certificate::from_der(&der) {
                let thumbprint = certificate.info().sha256_thumbprint;
                self.0.insert(thumbprint, STANDARD.encode(&der));
                added += 1;
            }
        }
        added
    }

    /// Gives each slot of an X.509 attestation its text; gives the thumbprints of those that stay
    /// without.
    fn apply(&self, attestation: &mut Json) -> Vec<String> {
        let mut missing = Vec::new();
        let Some(forms) = attestation.get_mut("x509").and_then(Json::as_object_mut) else {
            return missing;
        };
        forms.retain(|_, slots| !slots.is_null());
        for slots in forms.values_mut().filter_map(Json::as_object_mut) {
            for (_, slot) in slots.iter_mut().filter(|(_, slot)| slot.is_object()) {
                if slot.get("certificate").is_some_and(Json::is_string) {
                    continue;
                }
                let thumbprint = thumbprint(slot).unwrap_or_default();
                match self.0.get(&thumbprint) {
                    Some(text) => *slot = json!({ "certificate": text }),
                    None => missing.push(thumbprint),
                }
            }
        }
        missing
    }
}

/// A record that is fit to be written.
#[derive(Debug, Clone)]
pub struct Item {
    /// Its kind.
    pub collection: Collection,
    /// Its id.
    pub id: String,
    /// What is written.
    pub record: JsonObject,
    /// Why it cannot be made anew: what it lacks.
    pub lacks: Option<String>,
}

/// How records are made fit.
#[derive(Debug, Clone, Default)]
pub struct Fit {
    /// Hubs.
    pub hubs: Hubs,
    /// Certificates.
    pub certificates: Certificates,
}

impl Fit {
    /// Whether records are fit as they are.
    pub fn changes_nothing(&self) -> bool {
        self.hubs.names.is_empty() && !self.hubs.dropped && self.certificates.0.is_empty()
    }

    /// Makes a record fit for another service.
    ///
    /// # Errors
    /// Why it is no record.
    pub fn item(&self, collection: Collection, mut record: JsonObject) -> Result<Item, String> {
        bare(&mut record);
        let member = id_member(collection);
        let id = match record.get(member).and_then(Json::as_str) {
            Some(id) if !id.is_empty() => id.to_owned(),
            _ => return Err(format!("its record has no {member}")),
        };
        self.hubs.apply(&mut record);
        let attestation = record
            .get_mut("attestation")
            .filter(|it| it.is_object())
            .ok_or("its record has no attestation")?;
        let missing = self.certificates.apply(attestation);
        let lacks = if !missing.is_empty() {
            Some(format!(
                "services do not show the text of certificates: give the one with SHA-256 thumbprint {} by --certificates",
                missing.join(" and ")
            ))
        } else {
            lacking_keys(attestation).map(|lacking| format!("{lacking}: export it with --keys"))
        };
        Ok(Item {
            collection,
            id,
            record,
            lacks,
        })
    }
}

fn lacking_keys(attestation: &Json) -> Option<LackingKeys> {
    let kind = attestation.get("type").and_then(Json::as_str);
    if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("symmetricKey")) {
        return None;
    }
    let has = |name| {
        let key = attestation.get("symmetricKey").and_then(|it| it.get(name));
        key.and_then(Json::as_str)
            .is_some_and(|key| !key.is_empty())
    };
    LackingKeys::of(has("primaryKey"), has("secondaryKey"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(fit: &Fit, record: Json) -> Result<Item, String> {
        let record = record.as_object().cloned().expect("an object");
        fit.item(Collection::Individuals, record)
    }

    fn keys() -> Json {
        let key = "AAECAwQFBgcICQoLDA0ODw==";
        json!({"type": "symmetricKey", "symmetricKey": {"primaryKey": key, "secondaryKey": key}})
    }

    #[test]
    fn hubs_get_their_new_names_or_are_left_out() {
        let record = json!({
            "registrationId": "d", "attestation": keys(), "allocationPolicy": "static",
            "iotHubs": ["Old.example", "kept.example"], "iotHubHostName": "old.example", "etag": "e",
        });
        let hubs = Hubs::parse(&["OLD.example=new.example".into()], false).expect("a pair");
        let fit = Fit {
            hubs,
            ..Fit::default()
        };
        let mapped = item(&fit, record.clone()).expect("fits").record;
        assert_eq!(
            mapped.get("iotHubs"),
            Some(&json!(["new.example", "kept.example"]))
        );
        assert_eq!(mapped.get("iotHubHostName"), Some(&json!("new.example")));
        assert_eq!(mapped.get("etag"), None);

        let hubs = Hubs {
            dropped: true,
            ..Hubs::default()
        };
        let dropped = item(
            &Fit {
                hubs,
                ..Fit::default()
            },
            record,
        )
        .expect("fits")
        .record;
        let names: Vec<&String> = dropped.keys().collect();
        assert_eq!(names, ["registrationId", "attestation"]);
        for pair in ["a", "=b", "a=", ""] {
            assert!(Hubs::parse(&[pair.into()], false).is_err(), "{pair}");
        }
    }

    #[test]
    fn what_a_record_lacks_is_told() {
        let fit = Fit::default();
        let lacks = |attestation: Json| {
            item(
                &fit,
                json!({"registrationId": "d", "attestation": attestation}),
            )
            .expect("fits")
            .lacks
        };
        assert_eq!(lacks(keys()), None);
        assert!(lacks(json!({"type": "symmetricKey"})).is_some_and(|it| it.contains("--keys")));
        for (left_out, named) in [
            ("primaryKey", "no primary key"),
            ("secondaryKey", "no secondary key"),
        ] {
            let mut one = keys();
            one["symmetricKey"][left_out] = json!("");
            assert!(lacks(one).is_some_and(|it| it.contains(named) && it.contains("--keys")));
        }
        let info = json!({"type": "x509", "x509": {"clientCertificates": {"primary": {"info": {"sha256Thumbprint": "ab"}}}}});
        assert!(lacks(info).is_some_and(|it| it.contains("AB") && it.contains("--certificates")));
        let named = json!({"type": "x509", "x509": {"caReferences": {"primary": "root"}, "clientCertificates": null}});
        assert_eq!(lacks(named), None);
        assert_eq!(
            lacks(json!({"type": "tpm", "tpm": {"endorsementKey": "e"}})),
            None
        );
        for bad in [
            json!({}),
            json!({"registrationId": "d"}),
            json!({"registrationId": 7}),
        ] {
            assert!(item(&fit, bad).is_err());
        }
    }

    #[test]
    fn certificates_are_found_by_thumbprint_in_files_and_folders() {
        let folder = tempfile::tempdir().expect("a folder");
        let pem = || {
            let key = rcgen::KeyPair::generate().expect("a key");
            let params = rcgen::CertificateParams::new(vec!["d".to_owned()]).expect("params");
            params.self_signed(&key).expect("signed")
        };
        let (one, two) = (pem(), pem());
        let bundle = folder.path().join("bundle.pem");
        std::fs::write(&bundle, one.pem() + &two.pem()).expect("written");
        let sub = folder.path().join("sub");
        std::fs::create_dir(&sub).expect("made");
        std::fs::write(sub.join("two.cer"), two.der()).expect("written");
        std::fs::write(sub.join("notes.txt"), "none here").expect("written");
        assert_eq!(Certificates::read(&[bundle]).expect("read").0.len(), 2);
        let found = Certificates::read(std::slice::from_ref(&sub)).expect("read");
        assert_eq!(found.0.len(), 1);
        assert!(Certificates::read(&[sub.join("notes.txt")]).is_err());
        assert!(Certificates::read(&[sub.join("nowhere")]).is_err());

        let thumbprint = found.0.keys().next().expect("one").clone();
        let fit = Fit {
            certificates: found,
            ..Fit::default()
        };
        let record = json!({"registrationId": "d", "attestation": {"type": "x509", "x509": {
            "clientCertificates": {"primary": {"info": {"sha256Thumbprint": thumbprint}}}}}});
        let filled = item(&fit, record).expect("fits");
        assert_eq!(filled.lacks, None);
        let text = filled.record["attestation"]
            .pointer("/x509/clientCertificates/primary/certificate")
            .and_then(Json::as_str)
            .map(str::to_owned);
        assert_eq!(text, Some(STANDARD.encode(two.der())));
    }
}
