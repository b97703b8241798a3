//! `landfall cert inspect`: what a chain is worth. By itself it is judged here, by the code that the server
//! judges with; against an enrollment the server judges it, since only it has all that counts.

use std::path::{Path, PathBuf};

use clap::Args;
use landfall_core::attestation::x509::inspect_unenrolled;
use landfall_core::certificate::{Certificate, CertificateError, CertificateFile};
use landfall_core::clock::{Clock as _, Timestamp};
use landfall_core::id::RegistrationId;
use landfall_core::trace::Finding;
use landfall_wire::client::{own, service};
use landfall_wire::own::inspection::{Decided, LONGEST_CHAIN, finding_json, inspection};
use landfall_wire::route::Collection;
use serde_json::{Value as Json, json};

use super::report;
use crate::command::connect::Connect;
use crate::command::outcome::{Exit, Failure};
use crate::command::sas::moment;
use crate::command::{print, record};
use crate::time::SystemClock;

/// Options of `inspect`.
#[derive(Args)]
pub struct Inspect {
    /// File of the chain as the device sends it, its own certificate first: PEM, or the DER of one; `-`
    /// for standard input
    #[arg(value_name = "CHAIN")]
    file: PathBuf,
    /// Judge it for this individual enrollment
    #[arg(long, visible_alias = "eid", value_name = "ID", conflicts_with_all = ["group", "id"])]
    enrollment: Option<String>,
    /// Judge it for this enrollment group
    #[arg(long, visible_alias = "gid", value_name = "ID")]
    group: Option<String>,
    /// Registration id of the device; the CN of the first certificate when absent
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    id: Option<String>,
    /// As if it were this time: seconds since 1970, or a time such as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Timestamp>,
    // Last: its heading would name the options above too.
    /// Where the enrollment is; without one no server is called.
    #[command(flatten)]
    pub connect: Connect,
}

impl Inspect {
    /// Inspects the chain and prints what was found.
    ///
    /// # Errors
    /// [`Failure`] when it would be refused, or cannot be read or judged.
    pub async fn run(self) -> Result<(), Failure> {
        let file = read(&self.file)?;
        let mut found = match (&self.enrollment, &self.group) {
            (None, None) => self.alone(&file.certificates)?,
            (Some(id), _) => {
                self.asked(&file.certificates, Collection::Individuals, id)
                    .await?
            }
            (None, Some(id)) => {
                self.asked(&file.certificates, Collection::Groups, id)
                    .await?
            }
        };
        add_hints(&mut found, beside(&file));
        print::result(self.connect.json, &found, report::text);
        match found.get("finding") {
            None => Ok(()),
            Some(finding) => Err(refused(finding)),
        }
    }

    /// Judges the chain by itself, as far as that goes.
    pub(super) fn alone(&self, chain: &[Certificate]) -> Result<Json, Failure> {
        let id = self.id.as_deref().map(registration_id).transpose()?;
        let at = self.at.unwrap_or_else(|| SystemClock.now());
        let inspected = inspect_unenrolled(chain, id.as_ref(), at);
        let decided = Decided {
            registration_id: id.as_ref().map(RegistrationId::as_str),
            at,
            enrollment: None,
            finding: inspected.finding(),
        };
        Ok(inspection(&inspected, &decided))
    }

    /// Has the chain judged by the server that keeps the enrollment.
    async fn asked(
        &self,
        chain: &[Certificate],
        collection: Collection,
        enrollment: &str,
    ) -> Result<Json, Failure> {
        let id = match collection {
            Collection::Individuals => registration_id(enrollment)?,
            Collection::Groups => self.device(chain)?,
        };
        let mut session = self.connect.service().await?;
        // Is it there at all? The server's judge would only say that nothing fits.
        let request = service::enrollment(&session.authorization, collection, enrollment);
        let kept = session.call(request).await?;
        let request = own::inspection(&session.authorization, id.as_str(), chain, self.at);
        let mut found = session.find(request).await?.ok_or_else(|| {
            Failure::new(
                Exit::Refused,
                "this server has the enrollment and judges no chains: it is no Landfall, or an older one",
                "leave out --enrollment and --group to have the chain judged by itself",
            )
        })?;
        if collection == Collection::Groups {
            hold_to_group(&mut found, enrollment, &kept);
        }
        Ok(found)
    }

    /// The registration id of a device that comes through a group.
    fn device(&self, chain: &[Certificate]) -> Result<RegistrationId, Failure> {
        if let Some(id) = &self.id {
            return registration_id(id);
        }
        let name = chain.first().and_then(|leaf| leaf.common_name().ok());
        name.and_then(|name| RegistrationId::parse(&name).ok())
            .ok_or_else(|| {
                Failure::usage(
                    "the first certificate has no CN that can be a registration id",
                    "name the device with --id; its certificate's CN must be that id to be let in",
                )
            })
    }
}

/// Reads the chain file.
fn read(path: &Path) -> Result<CertificateFile, Failure> {
    let name = path.display();
    let bytes = if path == Path::new("-") {
        record::input(std::io::stdin().lock(), "standard input")?
    } else {
        record::file(path)?
    };
    let file = Certificate::chain_from_file(&bytes)
        .map_err(|error| Failure::usage(format!("{name}: {}", said(&error)), fix_of(&error)))?;
    let count = file.certificates.len();
    if count > LONGEST_CHAIN {
        return Err(Failure::new(
            Exit::Refused,
            format!(
                "{name} holds {count} certificates: the server reads {LONGEST_CHAIN} of a device and ends the connection at more"
            ),
            "leave out all that does not lead from the device's certificate to the CA",
        ));
    }
    Ok(file)
}

fn said(error: &CertificateError) -> String {
    match error {
        // What is right to say of an upload is wrong here: this file stays where it is.
        CertificateError::PrivateKey => "it holds a private key and no certificate".to_owned(),
        other => other.to_string(),
    }
}

fn fix_of(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::PrivateKey => {
            "name the file of the certificate, often called …_cert.pem, …_fullchain.pem or …crt"
        }
        CertificateError::NoCertificate(label) if label.contains("REQUEST") => {
            "this is a request for a certificate: have a CA sign it, and name what the CA gives back"
        }
        CertificateError::NoCertificate(label) if label == "PKCS7" => {
            "take the certificates out of it: openssl pkcs7 -print_certs -in FILE -out FILE.pem"
        }
        CertificateError::FileTooLarge(_) => {
            "name the file of one device's chain, which is a few certificates long"
        }
        CertificateError::Empty => "the program that should have written it failed: make it anew",
        _ => {
            "name a file with certificates as PEM, or with one as DER; `openssl x509 -in FILE -noout -text` must read it"
        }
    }
}

/// What the file itself tells, beside its certificates.
fn beside(file: &CertificateFile) -> Vec<String> {
    let mut hints = Vec::new();
    if file.is_der {
        hints.push(
            "The file is DER. The service takes that for an upload; curl and most device programs want \
             PEM: openssl x509 -inform der -in FILE -out FILE.pem"
                .to_owned(),
        );
    }
    if file.holds_private_key {
        hints.push(
            "The file holds a private key too: leave it on the device, and upload the certificate alone."
                .to_owned(),
        );
    }
    hints
}

fn add_hints(found: &mut Json, more: Vec<String>) {
    if let Some(hints) = found.get_mut("hints").and_then(Json::as_array_mut) {
        hints.extend(more.into_iter().map(Json::from));
    }
}

/// Whether it is this group that decides; the server says only which one does.
fn hold_to_group(found: &mut Json, group: &str, kept: &Json) {
    let individual = found.pointer("/enrollment/type") == Some(&json!("individual"));
    let decides = found.pointer("/enrollment/id").and_then(Json::as_str);
    let seen = match decides {
        _ if individual => {
            "an individual enrollment for this registration id, which alone decides".to_owned()
        }
        Some(id) if !id.eq_ignore_ascii_case(group) => {
            format!("enrollment group '{id}', whose certificate comes first on the way up")
        }
        _ => {
            let kind = kept.pointer("/attestation/type").and_then(Json::as_str);
            if kind.is_some_and(|kind| kind != "x509") {
                let hint = format!(
                    "Enrollment group '{group}' takes no certificates: its attestation is by symmetric key."
                );
                add_hints(found, vec![hint]);
            }
            return;
        }
    };
    if found.get("accepted") == Some(&Json::Bool(true)) {
        found["accepted"] = false.into();
        found["finding"] = finding_json(&Finding::new(
            "enrollment.other",
            format!("enrollment group '{group}' to decide"),
            seen,
            "the device is let in, but not through this group: change or delete what comes first, \
             if it shall be",
        ));
    } else {
        add_hints(found, vec![format!("What decides is {seen}.")]);
    }
}

fn registration_id(text: &str) -> Result<RegistrationId, Failure> {
    RegistrationId::parse(text).map_err(|error| {
        Failure::usage(
            error.to_string(),
            "give the id under which the device registers",
        )
    })
}

/// The end of a command whose chain would be refused.
fn refused(finding: &Json) -> Failure {
    let text = |name: &str| finding.get(name).map(print::plain_text).unwrap_or_default();
    Failure::new(
        Exit::Refused,
        format!(
            "this chain would be refused: {}: {}",
            text("check"),
            text("seen")
        ),
        text("fix"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(enrollment: Json, accepted: bool) -> Json {
        let mut found = json!({"accepted": accepted, "enrollment": enrollment, "hints": []});
        if !accepted {
            found["finding"] = json!({"check": "x509.validity"});
        }
        found
    }

    fn held(mut found: Json, kind: &str) -> Json {
        hold_to_group(&mut found, "g1", &json!({"attestation": {"type": kind}}));
        found
    }

    #[test]
    fn a_device_that_comes_in_by_another_enrollment_does_not_come_in_by_this_one() {
        let own = judged(json!({"type": "group", "id": "G1"}), true);
        assert_eq!(held(own.clone(), "x509"), own);
        for (enrollment, wanted) in [
            (
                json!({"type": "group", "id": "g2"}),
                "enrollment group 'g2'",
            ),
            (json!({"type": "individual"}), "an individual enrollment"),
        ] {
            let found = held(judged(enrollment.clone(), true), "x509");
            assert_eq!(found["accepted"], json!(false));
            assert_eq!(found["finding"]["check"], json!("enrollment.other"));
            let seen = found["finding"]["seen"].as_str().expect("a text");
            assert!(seen.starts_with(wanted), "{seen}");
            let refused = held(judged(enrollment, false), "x509");
            assert_eq!(refused["finding"]["check"], json!("x509.validity"));
            assert!(
                refused["hints"][0]
                    .as_str()
                    .expect("a hint")
                    .contains(wanted)
            );
        }
        let other_kind = held(judged(Json::Null, false), "symmetricKey");
        let hint = other_kind["hints"][0].as_str().expect("a hint");
        assert!(hint.contains("'g1' takes no certificates"), "{hint}");
    }

    #[test]
    fn what_is_no_certificate_is_told_with_what_to_do() {
        for (error, what, fix) in [
            (
                CertificateError::PrivateKey,
                "private key and no certificate",
                "_cert.pem",
            ),
            (
                CertificateError::NoCertificate("CERTIFICATE REQUEST".to_owned()),
                "CERTIFICATE REQUEST",
                "have a CA sign it",
            ),
            (
                CertificateError::NoCertificate("PKCS7".to_owned()),
                "PKCS7",
                "-print_certs",
            ),
            (
                CertificateError::NotText,
                "neither PEM nor base64",
                "as PEM",
            ),
        ] {
            assert!(said(&error).contains(what), "{}", said(&error));
            assert!(fix_of(&error).contains(fix), "{}", fix_of(&error));
        }
    }
}
