//! `landfall key`: keys of devices in a symmetric key group. Needs no server.

use clap::{Args, Subcommand};
use landfall_core::secret::SymmetricKey;
use serde_json::json;

use super::connect::{Connect, secret};
use super::outcome::Failure;
use super::print;

/// Symmetric keys. Needs no server; connection options are accepted and not used.
#[derive(Args)]
pub struct KeyCommand {
    /// Only `--json` matters here.
    #[command(flatten)]
    pub connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with keys.
#[derive(Subcommand)]
pub enum Action {
    /// Print the key that one device of a symmetric key group uses
    #[command(
        after_help = "Example:\n  landfall key derive --key @group.key --registration-id sn-007"
    )]
    Derive(Derive),
}

/// Options of `derive`.
#[derive(Args)]
pub struct Derive {
    /// The group's key, base64, or @FILE
    #[arg(value_name = "KEY", required_unless_present = "key")]
    place: Option<String>,
    /// Registration id of the device, spelt as the device spells it
    #[arg(value_name = "ID", required_unless_present = "registration_id")]
    id: Option<String>,
    /// The group's key, as a flag
    #[arg(long, visible_alias = "symmetric-key", value_name = "KEY")]
    key: Option<String>,
    /// The registration id, as a flag
    #[arg(long, visible_alias = "rid", value_name = "ID")]
    registration_id: Option<String>,
}

impl Derive {
    /// Key and id, each in place or by flag.
    fn given(&self) -> Result<(&str, &str), Failure> {
        let places = [self.place.as_deref(), self.id.as_deref()];
        let mut places = places.into_iter().flatten();
        let key = self.key.as_deref().or_else(|| places.next());
        let id = self.registration_id.as_deref().or_else(|| places.next());
        match (key, id, places.next()) {
            (Some(key), Some(id), None) => Ok((key, id)),
            _ => Err(Failure::usage(
                "a group key and a registration id are needed, each once",
                "write `landfall key derive KEY ID`, or --key KEY --registration-id ID",
            )),
        }
    }
}

impl KeyCommand {
    /// Does what was asked.
    pub fn run(self) -> Result<(), Failure> {
        let Action::Derive(options) = self.action;
        let (key, id) = options.given()?;
        print_derived(self.connect.json, &symmetric_key(key)?, id);
        Ok(())
    }
}

/// Reads a symmetric key from the command line: base64, or `@FILE`.
pub fn symmetric_key(text: &str) -> Result<SymmetricKey, Failure> {
    SymmetricKey::from_base64(&secret(text)?).map_err(|e| {
        Failure::usage(
            e.to_string(),
            "give the key as the service shows it with --keys: base64, 16 to 64 bytes",
        )
    })
}

/// Prints the key that `group_key` gives for one registration id.
pub fn print_derived(as_json: bool, group_key: &SymmetricKey, registration_id: &str) {
    let key = group_key.derive(registration_id).to_base64();
    print::result(as_json, &json!({ "deviceKey": &*key }), |_| key.to_string());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(parts: [Option<&str>; 4]) -> Derive {
        let [place, id, key, registration_id] = parts.map(|part| part.map(str::to_owned));
        Derive {
            place,
            id,
            key,
            registration_id,
        }
    }

    #[test]
    fn key_and_id_come_in_place_or_by_flag() {
        for parts in [
            [Some("K"), Some("d"), None, None],
            [None, None, Some("K"), Some("d")],
            [Some("d"), None, Some("K"), None],
            [Some("K"), None, None, Some("d")],
        ] {
            assert_eq!(derive(parts).given(), Ok(("K", "d")), "{parts:?}");
        }
        for parts in [
            [Some("K"), None, None, None],
            [Some("x"), None, Some("K"), Some("d")],
        ] {
            assert!(derive(parts).given().is_err(), "{parts:?}");
        }
    }
}
