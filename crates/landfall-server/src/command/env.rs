//! `landfall env`: the variables that samples and SDKs read, for a new throw-away device of a running
//! server. What each is for stands in docs/operating/ci.md; how it is written, in [`form`].

pub mod form;

use std::path::{Path, PathBuf};

use clap::Args;
use landfall_core::clock::Entropy;
use landfall_core::id::RegistrationId;
use landfall_core::secret::KeyPair;
use landfall_wire::client::service::put_enrollment;
use landfall_wire::route::Collection;
use serde_json::{Value as Json, json};

use self::form::Form;
use super::connect::{Connect, Facts};
use super::outcome::{Exit, Failure};
use super::print;
use crate::seed::{Chance, Seed};

/// How many ids are drawn before it is given up that one is free.
const DRAWS: u64 = 1000;
/// The length of the keys, as the service draws them.
const KEY_BYTES: usize = 64;

/// Print what samples and SDKs read, for a new throw-away device.
#[derive(Args)]
pub struct EnvCommand {
    /// As lines for a shell, for `eval "$(landfall env)"`; this is the default
    #[arg(long, conflicts_with_all = ["dotenv", "json"])]
    shell: bool,
    /// As a .env file
    #[arg(long, conflicts_with = "json")]
    dotenv: bool,
    /// Registration id of the new device; else one is drawn
    #[arg(long, value_name = "ID")]
    registration_id: Option<String>,
    // Last: its heading would name the options above too.
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
}

impl EnvCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let form = match (self.connect.json, self.dotenv) {
            (true, _) => Form::Json,
            (false, true) => Form::Dotenv,
            (false, false) => Form::Shell,
        };
        let wanted = self.registration_id.as_deref();
        let variables = of_a_new_device(&self.connect, wanted).await?;
        print::text(&form.write(&variables)?);
        Ok(())
    }
}

/// Names and values, in the order in which they are printed.
pub type Variables = Vec<(&'static str, String)>;

/// Enrolls a new device at the server of `connect` and gives the variables for it.
///
/// # Errors
/// [`Failure`] when the server is not reached, or a device of the `wanted` id is enrolled already.
pub async fn of_a_new_device(
    connect: &Connect,
    wanted: Option<&str>,
) -> Result<Variables, Failure> {
    let facts = connect.facts().await?;
    let seed = facts
        .is_of_data_folder
        .then(|| Seed::kept_in(&connect.data));
    let chance = seed.flatten().map_or(Chance::Machine, Chance::Seed);
    let (id, keys) = enroll(connect, wanted, &chance).await?;
    Ok(variables(&facts, &connect.data, &id, &keys))
}

async fn enroll(
    connect: &Connect,
    wanted: Option<&str>,
    chance: &Chance,
) -> Result<(String, KeyPair), Failure> {
    let mut session = connect.service().await?;
    for draw in 0..DRAWS {
        let id = match wanted {
            Some(id) => checked(id)?,
            None => draw_id(&*chance.of(&format!("env: id {draw}"))),
        };
        let keys = KeyPair::draw(&*chance.of(&format!("env: keys of {id}")), KEY_BYTES);
        let request = put_enrollment(
            &session.authorization,
            Collection::Individuals,
            &id,
            &record(&id, &keys),
            None,
        );
        match session.call(request).await {
            Ok(_) => return Ok((id, keys)),
            Err(failure) if failure.exit == Exit::Conflict && wanted.is_none() => {}
            Err(failure) => return Err(failure),
        }
    }
    Err(Failure::new(
        Exit::Conflict,
        format!("{DRAWS} ids were drawn and all of them are enrolled"),
        "name one with --registration-id, or delete enrollments that are no longer used",
    ))
}

fn checked(id: &str) -> Result<String, Failure> {
    match RegistrationId::parse(id) {
        Ok(id) => Ok(id.as_str().to_owned()),
        Err(error) => Err(Failure::usage(
            format!("--registration-id '{id}': {error}"),
            "name a device as it will call itself, for instance dev-1",
        )),
    }
}

/// Draws an id that says where it comes from.
fn draw_id(entropy: &dyn Entropy) -> String {
    let mut bytes = [0; 4];
    entropy.fill(&mut bytes);
    format!("env-{:08x}", u32::from_be_bytes(bytes))
}

fn record(id: &str, keys: &KeyPair) -> Json {
    json!({
        "registrationId": id,
        "attestation": {
            "type": "symmetricKey",
            "symmetricKey": {
                "primaryKey": &**keys.primary.to_base64(),
                "secondaryKey": &**keys.secondary.to_base64(),
            },
        },
    })
}

/// What is read by whom: docs/operating/ci.md.
fn variables(facts: &Facts, data: &Path, id: &str, keys: &KeyPair) -> Variables {
    let (host, scope) = (facts.authority(), facts.id_scope.clone());
    let primary = (*keys.primary.to_base64()).clone();
    let secondary = (*keys.secondary.to_base64()).clone();
    let mut all = vec![
        ("PROVISIONING_HOST", host.clone()),
        ("PROVISIONING_IDSCOPE", scope.clone()),
        ("PROVISIONING_REGISTRATION_ID", id.to_owned()),
        ("PROVISIONING_SYMMETRIC_KEY", primary.clone()),
        ("IOTHUB_DEVICE_SECURITY_TYPE", "DPS".to_owned()),
        ("IOTHUB_DEVICE_DPS_ENDPOINT", host.clone()),
        ("IOTHUB_DEVICE_DPS_ID_SCOPE", scope.clone()),
        ("IOTHUB_DEVICE_DPS_DEVICE_ID", id.to_owned()),
        ("IOTHUB_DEVICE_DPS_DEVICE_KEY", primary.clone()),
        ("DPS_IDSCOPE", scope),
        ("PRIMARY_SYMMETRIC_KEY", primary),
        ("SECONDARY_SYMMETRIC_KEY", secondary),
        ("PROVISIONING_CONNECTION_STRING", facts.service.to_text()),
        ("IOTHUB_CONNECTION_STRING", facts.hub.to_text()),
        ("IOTHUB_DEVICE_ID", id.to_owned()),
        ("LANDFALL_URL", format!("https://{host}")),
    ];
    if let Some(ca) = &facts.ca_file {
        let path = |file: &Path| absolute(file).display().to_string();
        // The others replace the system's roots; node's stands beside them.
        let bundle = facts.bundle_file.as_ref().unwrap_or(ca);
        all.extend([
            ("NODE_EXTRA_CA_CERTS", path(ca)),
            ("REQUESTS_CA_BUNDLE", path(bundle)),
            ("CURL_CA_BUNDLE", path(bundle)),
            ("SSL_CERT_FILE", path(bundle)),
            ("LANDFALL_CA_FILE", path(ca)),
        ]);
    }
    if facts.is_of_data_folder {
        all.push(("LANDFALL_DATA", absolute(data).display().to_string()));
    }
    all
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use landfall_core::secret::SymmetricKey;
    use landfall_wire::client::connection_string::ConnectionString;

    use super::*;
    use crate::time::SystemEntropy;

    fn facts(port: Option<u16>) -> Facts {
        let string = |host, policy| {
            ConnectionString::new(host, port, policy, SymmetricKey::from_bytes(vec![1; 32]))
        };
        Facts {
            id_scope: "0ne00000001".to_owned(),
            service: string("localhost", "owner"),
            hub: string("127.0.0.1", "iothubowner"),
            ca_file: Some("/data/ca.pem".into()),
            bundle_file: None,
            is_of_data_folder: true,
        }
    }

    fn value<'a>(variables: &'a Variables, name: &str) -> Option<&'a str> {
        let found = variables.iter().find(|(is, _)| *is == name);
        found.map(|(_, value)| value.as_str())
    }

    #[test]
    fn every_reader_is_told_the_same_device_and_a_port_that_is_not_the_official_one() {
        let keys = KeyPair::draw(&SystemEntropy, 64);
        let data = Path::new("/data");
        let here = variables(&facts(Some(8443)), data, "env-1", &keys);
        for name in ["PROVISIONING_HOST", "IOTHUB_DEVICE_DPS_ENDPOINT"] {
            assert_eq!(value(&here, name), Some("localhost:8443"));
        }
        for name in [
            "PROVISIONING_REGISTRATION_ID",
            "IOTHUB_DEVICE_DPS_DEVICE_ID",
        ] {
            assert_eq!(value(&here, name), Some("env-1"));
        }
        assert_eq!(value(&here, "LANDFALL_DATA"), Some("/data"));
        let official = variables(&facts(None), data, "env-1", &keys);
        assert_eq!(value(&official, "PROVISIONING_HOST"), Some("localhost"));
        assert_eq!(value(&official, "LANDFALL_URL"), Some("https://localhost"));
    }

    #[test]
    fn the_bundle_goes_to_those_that_drop_the_systems_roots() {
        let keys = KeyPair::draw(&SystemEntropy, 64);
        let mut facts = facts(None);
        facts.bundle_file = Some("/data/bundle.pem".into());
        let here = variables(&facts, Path::new("/data"), "env-1", &keys);
        assert_eq!(value(&here, "NODE_EXTRA_CA_CERTS"), Some("/data/ca.pem"));
        assert_eq!(value(&here, "REQUESTS_CA_BUNDLE"), Some("/data/bundle.pem"));
        assert_eq!(value(&here, "SSL_CERT_FILE"), Some("/data/bundle.pem"));
        facts.ca_file = None;
        let elsewhere = variables(&facts, Path::new("/data"), "env-1", &keys);
        assert_eq!(value(&elsewhere, "SSL_CERT_FILE"), None);
    }
}
