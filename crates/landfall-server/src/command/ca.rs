//! `landfall ca`: CA certificates and their proof of possession, through the control plane.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value as Json;

use super::connect::{Connect, Control};
use super::outcome::{Exit, Failure};
use super::print;
use super::record::file;

const LIST: [print::Column; 5] = [
    ("NAME", "/name"),
    ("SUBJECT", "/properties/subject"),
    ("VERIFIED", "/properties/isVerified"),
    ("EXPIRES", "/properties/expiry"),
    ("THUMBPRINT", "/properties/thumbprint"),
];

const SHEET: [print::Column; 9] = [
    ("Name", "/name"),
    ("Subject", "/properties/subject"),
    ("Verified", "/properties/isVerified"),
    ("Verification code", "/properties/verificationCode"),
    ("Thumbprint", "/properties/thumbprint"),
    ("Expires", "/properties/expiry"),
    ("Created", "/properties/created"),
    ("Updated", "/properties/updated"),
    ("Etag", "/etag"),
];

/// CA certificates, and the proof that their keys are yours.
#[derive(Args)]
pub struct CaCommand {
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with CA certificates.
#[derive(Subcommand)]
pub enum Action {
    /// Upload a CA certificate
    #[command(after_help = "Example:\n  landfall ca create --name factory-ca --path root-ca.pem")]
    Create(Create),
    /// List the CA certificates
    #[command(after_help = "Example:\n  landfall ca list")]
    List,
    /// Show a CA certificate
    #[command(after_help = "Example:\n  landfall ca show factory-ca")]
    Show(Name),
    /// Put another certificate in the place of one; it is to be verified anew
    #[command(
        after_help = "Example:\n  landfall ca update --name factory-ca --path renewed-ca.pem"
    )]
    Update(Update),
    /// Delete a CA certificate
    #[command(after_help = "Example:\n  landfall ca delete factory-ca")]
    Delete(Delete),
    /// Draw a code; whoever signs a certificate with it as common name proves to own the CA
    #[command(after_help = "Example:\n  landfall ca generate-verification-code factory-ca")]
    GenerateVerificationCode(Delete),
    /// Show the certificate that was signed for the code
    #[command(after_help = "Example:\n  landfall ca verify factory-ca --path verification.pem")]
    Verify(Verify),
}

/// The name, in place or by flag.
#[derive(Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Name {
    /// Name of the CA certificate
    #[arg(value_name = "NAME")]
    place: Option<String>,
    /// The same, as a flag
    #[arg(long = "name", short = 'n', visible_aliases = ["certificate-name", "cn"], value_name = "NAME")]
    flag: Option<String>,
}

impl Name {
    fn text(&self) -> &str {
        self.place
            .as_deref()
            .or(self.flag.as_deref())
            .unwrap_or_default()
    }
}

/// Options of `create` and of `update`.
#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    name: Name,
    /// Certificate file, PEM or DER
    #[arg(long, short = 'p', value_name = "FILE")]
    path: PathBuf,
    /// Take it as verified at once, without proof of possession
    #[arg(long, short = 'v', value_name = "BOOL", num_args = 0..=1, default_missing_value = "true",
        default_value = "false")]
    verified: bool,
}

/// Options of `update`.
#[derive(Args)]
pub struct Update {
    #[command(flatten)]
    upload: Create,
    /// Only this state of the certificate; the state just read when absent
    #[arg(long, short = 'e', value_name = "ETAG")]
    etag: Option<String>,
}

/// Options of `delete` and of `generate-verification-code`.
#[derive(Args)]
pub struct Delete {
    #[command(flatten)]
    name: Name,
    /// Only this state of the certificate; the state just read when absent
    #[arg(long, short = 'e', value_name = "ETAG")]
    etag: Option<String>,
}

/// Options of `verify`.
#[derive(Args)]
pub struct Verify {
    #[command(flatten)]
    name: Name,
    /// Certificate signed by the CA, with the code as its common name: PEM or DER
    #[arg(long, short = 'p', value_name = "FILE")]
    path: PathBuf,
    /// Only this state of the certificate; the state just read when absent
    #[arg(long, short = 'e', value_name = "ETAG")]
    etag: Option<String>,
}

impl CaCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let mut control = self.connect.control()?;
        if control.resource.service.is_empty() {
            return Err(Failure::usage("no service is named", "pass --service NAME"));
        }
        let who = control.session.authorization.clone();
        let json = self.connect.json;
        match self.action {
            Action::Create(options) => {
                let answer = create(&mut control, &options).await?;
                print::result(json, &answer, created);
            }
            Action::Update(options) => {
                let name = options.upload.name.text();
                let certificate = file(&options.upload.path)?;
                let etag = etag(&mut control, name, options.etag).await?;
                let verified = options.upload.verified;
                let request = control.resource.put_certificate(
                    &who,
                    name,
                    &certificate,
                    verified,
                    Some(&etag),
                );
                let answer = control.session.call(request).await?;
                print::result(json, &answer, created);
            }
            Action::List => {
                let request = control.resource.certificates(&who);
                let answer = control.session.call(request).await?;
                print::result(json, &answer, |answer| {
                    let list = answer.get("value").and_then(Json::as_array);
                    let list = list.map(Vec::as_slice).unwrap_or_default();
                    print::table(&LIST, list, "No CA certificates.")
                });
            }
            Action::Show(name) => {
                let request = control.resource.certificate(&who, name.text());
                let answer = control.session.call(request).await?;
                print::result(json, &answer, |answer| print::sheet(&SHEET, answer));
            }
            Action::Delete(options) => {
                let name = options.name.text();
                let etag = etag(&mut control, name, options.etag).await?;
                let request = control.resource.delete_certificate(&who, name, &etag);
                control.session.call(request).await?;
                print::done(json, &format!("Deleted CA certificate {name}."));
            }
            Action::GenerateVerificationCode(options) => {
                let name = options.name.text();
                let etag = etag(&mut control, name, options.etag).await?;
                let request = control.resource.verification_code(&who, name, &etag);
                let answer = control.session.call(request).await?;
                print::result(json, &answer, |answer| print::sheet(&SHEET, answer));
            }
            Action::Verify(options) => {
                let name = options.name.text();
                let proof = file(&options.path)?;
                let etag = etag(&mut control, name, options.etag).await?;
                let request = control.resource.verify(&who, name, &proof, &etag);
                let answer = control.session.call(request).await?;
                print::result(json, &answer, |answer| print::sheet(&SHEET, answer));
            }
        }
        Ok(())
    }
}

/// Uploads under a free name only: a name in use would silently lose its certificate.
async fn create(control: &mut Control, options: &Create) -> Result<Json, Failure> {
    let certificate = file(&options.path)?;
    let name = options.name.text();
    let who = control.session.authorization.clone();
    let there = control.resource.certificate(&who, name);
    if control.session.find(there).await?.is_some() {
        return Err(Failure::new(
            Exit::Conflict,
            format!("there is a CA certificate named {name} already"),
            "take another name, or replace it with `landfall ca update`",
        ));
    }
    let request =
        control
            .resource
            .put_certificate(&who, name, &certificate, options.verified, None);
    control.session.call(request).await
}

fn created(answer: &Json) -> String {
    let mut text = print::sheet(&SHEET, answer);
    let verified = answer.pointer("/properties/isVerified");
    if verified == Some(&Json::Bool(false)) {
        let name = answer
            .get("name")
            .map(print::plain_text)
            .unwrap_or_default();
        text.push_str(&format!(
            "\nNext, prove that its key is yours: landfall ca generate-verification-code {name}\n"
        ));
    }
    text
}

async fn etag(control: &mut Control, name: &str, given: Option<String>) -> Result<String, Failure> {
    if let Some(etag) = given {
        return Ok(etag);
    }
    let request = control
        .resource
        .certificate(&control.session.authorization, name);
    let stored = control.session.call(request).await?;
    Ok(super::record::etag(None, &stored))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_upload_says_what_comes_next_until_it_is_verified() {
        let mut answer = json!({"name": "factory-ca", "etag": "e1",
            "properties": {"subject": "Factory CA", "isVerified": false, "thumbprint": "AB"}});
        assert_eq!(
            created(&answer),
            "Name        factory-ca\n\
             Subject     Factory CA\n\
             Verified    no\n\
             Thumbprint  AB\n\
             Etag        e1\n\
             \nNext, prove that its key is yours: landfall ca generate-verification-code factory-ca\n"
        );
        answer["properties"]["isVerified"] = json!(true);
        assert!(!created(&answer).contains("Next"));
    }
}
