//! `landfall sas`: shared access signatures, for devices and for operators. Calls no server.

use std::time::Duration;

use clap::Args;
use landfall_core::clock::{Clock, Timestamp};
use landfall_core::sas;
use serde_json::json;

use super::connect::Connect;
use super::outcome::Failure;
use super::{key, print};
use crate::time::SystemClock;

/// Print a shared access signature: for a device that registers, or for any resource.
#[derive(Args)]
pub struct SasCommand {
    /// Id scope of the service; the dev server's when absent
    #[arg(long, value_name = "SCOPE", conflicts_with = "resource")]
    id_scope: Option<String>,
    /// Registration id of the device
    #[arg(
        long,
        visible_alias = "rid",
        value_name = "ID",
        conflicts_with = "resource",
        required_unless_present = "resource"
    )]
    registration_id: Option<String>,
    /// What the token opens, such as a host name, instead of a registration
    #[arg(long, value_name = "URI")]
    resource: Option<String>,
    /// The key to sign with, base64, or @FILE
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Name of the shared access policy; `registration` for a device
    #[arg(long, visible_aliases = ["pn", "key-name"], value_name = "NAME")]
    policy_name: Option<String>,
    /// Seconds until the token ends
    #[arg(
        long,
        visible_alias = "du",
        value_name = "SECONDS",
        default_value_t = 3600
    )]
    expiry: u64,
    /// When the token ends, instead: seconds since 1970, or a time such as 2030-01-01T00:00:00Z
    #[arg(long, value_name = "TIME", conflicts_with = "expiry", value_parser = moment)]
    expires_at: Option<Timestamp>,
    // Last: its heading would name the options above too.
    /// Only `--json` and `--data` matter here.
    #[command(flatten)]
    pub connect: Connect,
}

impl SasCommand {
    /// Does what was asked.
    pub fn run(self) -> Result<(), Failure> {
        let token = self.token(&SystemClock)?;
        print::result(self.connect.json, &json!({ "sas": token }), |_| {
            token.clone()
        });
        Ok(())
    }

    fn token(&self, clock: &dyn Clock) -> Result<String, Failure> {
        let key = key::symmetric_key(&self.key)?;
        let expiry = match self.expires_at {
            Some(end) => end,
            None => clock.now().plus(Duration::from_secs(self.expiry)),
        };
        let (resource, policy) = match (&self.resource, &self.registration_id) {
            (None, Some(id)) => (
                format!("{}/registrations/{id}", self.scope()?),
                Some(self.policy_name.as_deref().unwrap_or("registration")),
            ),
            (resource, _) => (
                resource.clone().unwrap_or_default(),
                self.policy_name.as_deref(),
            ),
        };
        Ok(sas::sign(&resource, &key, policy, expiry))
    }

    fn scope(&self) -> Result<String, Failure> {
        if let Some(scope) = &self.id_scope {
            return Ok(scope.clone());
        }
        let file = self.connect.server_file()?;
        file.and_then(|file| file.id_scope).ok_or_else(|| {
            Failure::usage(
                "no id scope is given",
                "pass --id-scope, or name the dev server's folder with --data",
            )
        })
    }
}

/// Reads a moment of the command line: seconds since 1970, or the form that traces and logs show.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let seconds = text.parse().ok().map(Timestamp::from_unix_seconds);
    seconds.or_else(|| Timestamp::parse(text)).ok_or_else(|| {
        "neither seconds since 1970 nor a time such as 2030-01-01T00:00:00Z".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    const KEY: &str = "Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=";

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        sas: SasCommand,
    }

    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_unix_seconds(1_893_456_000 - 3600)
        }
    }

    fn token(arguments: &[&str]) -> String {
        let line = Line::try_parse_from([&["sas"], arguments].concat()).expect("arguments");
        line.sas.token(&Still).expect("token")
    }

    /// Signature: docs/protocol/device-api.md §2, worked example with `%2F`.
    #[test]
    fn a_device_token_is_the_one_the_libraries_make() {
        assert_eq!(
            token(&[
                "--id-scope",
                "0ne00ABC123",
                "--registration-id",
                "sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6",
                "--key",
                KEY,
            ]),
            "SharedAccessSignature sr=0ne00ABC123%2Fregistrations%2Fsn-007-888-abc-mac-a1-b2-c3-d4-e5-f6\
             &sig=%2FNhonhe3KCcG4ONQL1h8qY1c5XP%2F8kJCsVv9i557Fy8%3D&se=1893456000&skn=registration"
        );
    }

    #[test]
    fn a_token_ends_when_it_is_told_to() {
        let ending = |end: &str| {
            let ends = ["--resource", "h", "--key", KEY, "--expires-at", end];
            Line::try_parse_from([&["sas"][..], &ends].concat())
        };
        let end = |text: &str| {
            ending(text)
                .expect("arguments")
                .sas
                .token(&Still)
                .expect("token")
        };
        let wanted = token(&["--resource", "h", "--key", KEY]);
        assert_eq!(end("1893456000"), wanted);
        assert_eq!(end("2030-01-01T01:00:00+01:00"), wanted);
        assert!(ending("tomorrow").is_err());
    }

    #[test]
    fn a_resource_token_names_a_policy_only_when_told() {
        let plain = token(&[
            "--resource",
            "hub.example.net",
            "--key",
            KEY,
            "--expiry",
            "60",
        ]);
        assert!(plain.contains("sr=hub.example.net&") && plain.contains("se=1893452460"));
        assert!(!plain.contains("skn"));
        let named = token(&["--resource", "h", "--key", KEY, "--policy-name", "service"]);
        assert!(named.ends_with("&skn=service"));
        assert!(Line::try_parse_from(["sas", "--key", KEY]).is_err());
    }
}
