//! `landfall policy`: shared access policies of a service or of a hub, through Landfall's own routes.

use clap::{Args, Subcommand, ValueEnum};
use landfall_core::document::JsonObject;
use landfall_wire::client::own;
use serde_json::{Value as Json, json};

use super::connect::Connect;
use super::connect::holder::Holder;
use super::key::symmetric_key;
use super::outcome::Failure;
use super::{print, record};

const LIST: [print::Column; 2] = [("POLICY", "/keyName"), ("RIGHTS", "/rights")];

const LIST_WITH_KEYS: [print::Column; 4] = [
    ("POLICY", "/keyName"),
    ("RIGHTS", "/rights"),
    ("PRIMARY KEY", "/primaryKey"),
    ("SECONDARY KEY", "/secondaryKey"),
];

const SHEET: [print::Column; 5] = [
    ("Policy", "/keyName"),
    ("Rights", "/rights"),
    ("Primary key", "/primaryKey"),
    ("Secondary key", "/secondaryKey"),
    ("Etag", "/etag"),
];

/// Shared access policies: named keys with rights, of a service or a hub.
#[derive(Args)]
pub struct PolicyCommand {
    /// Of the service's hub instead of the service
    #[arg(long, global = true)]
    pub hub: bool,
    /// Of the hub with this host name
    #[arg(long, visible_alias = "hn", global = true, value_name = "HOST")]
    pub hub_name: Option<String>,
    // Last: its heading would name the options above too.
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do with policies.
#[derive(Subcommand)]
pub enum Action {
    /// List the policies and their rights
    #[command(after_help = "Example:\n  landfall policy list --hub")]
    List(List),
    /// Show a policy
    #[command(after_help = "Example:\n  landfall policy show provisioningserviceowner --keys")]
    Show(Show),
    /// Create a policy; its keys are drawn by the server unless they are given
    #[command(
        after_help = "Example:\n  landfall policy create dashboard --rights EnrollmentRead RegistrationStatusRead"
    )]
    Create(Create),
    /// Change the rights or keys given of a policy and leave the others as they are
    #[command(
        after_help = "Example:\n  landfall policy update dashboard --rights RegistrationStatusRead"
    )]
    Update(Update),
    /// Delete a policy: its tokens open nothing any more
    #[command(after_help = "Example:\n  landfall policy delete dashboard")]
    Delete(Delete),
    /// Exchange keys of a policy: the primary becomes the secondary, and a new primary is drawn
    #[command(
        visible_alias = "renew-key",
        after_help = "Example:\n  landfall policy rotate dashboard"
    )]
    Rotate(Rotate),
}

/// The policy, in place or by flag.
#[derive(Clone, Args)]
#[group(required = true, multiple = false)]
pub struct Name {
    /// Name of the policy
    #[arg(value_name = "NAME")]
    place: Option<String>,
    /// The same, as a flag
    #[arg(long = "policy-name", visible_aliases = ["pn", "name"], short = 'n', value_name = "NAME")]
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

/// Options of `list`.
#[derive(Args)]
pub struct List {
    /// Show the keys
    #[arg(long, visible_alias = "show-keys")]
    keys: bool,
}

/// Options of `show`.
#[derive(Args)]
pub struct Show {
    #[command(flatten)]
    name: Name,
    /// Show its keys
    #[arg(long, visible_alias = "show-keys")]
    keys: bool,
}

/// Keys that are given.
#[derive(Clone, Default, Args)]
pub struct Keys {
    /// Primary key, base64 of 16 to 64 bytes, or @FILE
    #[arg(long, visible_alias = "pk", value_name = "KEY")]
    primary_key: Option<String>,
    /// Secondary key, as the primary
    #[arg(long, visible_alias = "sk", value_name = "KEY")]
    secondary_key: Option<String>,
}

impl Keys {
    /// Writes the keys given into a body, after holding them against the rule of keys.
    fn apply(&self, body: &mut JsonObject) -> Result<(), Failure> {
        for (name, key) in [
            ("primaryKey", &self.primary_key),
            ("secondaryKey", &self.secondary_key),
        ] {
            if let Some(key) = key {
                let key = symmetric_key(key)?.to_base64();
                body.insert(name.into(), json!(*key));
            }
        }
        Ok(())
    }
}

/// Options of `create`.
#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    name: Name,
    /// Rights of a service's policy: ServiceConfig, EnrollmentRead, EnrollmentWrite, DeviceConnect,
    /// RegistrationStatusRead, RegistrationStatusWrite; of a hub's: RegistryRead, RegistryWrite,
    /// ServiceConnect, DeviceConnect
    #[arg(long, short = 'r', visible_alias = "permissions", value_name = "RIGHT",
        num_args = 1.., value_delimiter = ',', required = true)]
    rights: Vec<String>,
    #[command(flatten)]
    keys: Keys,
    /// Show the keys of the result
    #[arg(id = "show", long = "keys", visible_alias = "show-keys")]
    show: bool,
}

/// Options of `update`.
#[derive(Args)]
pub struct Update {
    #[command(flatten)]
    name: Name,
    /// All rights that it shall have, as for `create`
    #[arg(long, short = 'r', visible_alias = "permissions", value_name = "RIGHT",
        num_args = 1.., value_delimiter = ',')]
    rights: Vec<String>,
    #[command(flatten)]
    keys: Keys,
    /// Change only this state, or * for any; the state just read when absent
    #[arg(long, short = 'e', value_name = "ETAG")]
    etag: Option<String>,
    /// Show the keys of the result
    #[arg(id = "show", long = "keys", visible_alias = "show-keys")]
    show: bool,
}

/// Options of `delete`.
#[derive(Args)]
pub struct Delete {
    #[command(flatten)]
    name: Name,
    /// Delete only this state
    #[arg(long, short = 'e', value_name = "ETAG")]
    etag: Option<String>,
}

/// Which keys are exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Exchange {
    /// A new primary; the secondary stays
    Primary,
    /// A new secondary; the primary stays
    Secondary,
    /// Two new keys: everyone who holds one is shut out at once
    Both,
    /// Primary and secondary change places
    Swap,
}

/// Options of `rotate`.
#[derive(Args)]
pub struct Rotate {
    #[command(flatten)]
    name: Name,
    /// Exchange this key only, at once; without it the primary moves to the secondary's place
    #[arg(long, visible_aliases = ["renew-key", "rk"], value_name = "KEY")]
    key: Option<Exchange>,
    /// Let primary and secondary change places
    #[arg(long, conflicts_with = "key")]
    swap: bool,
    #[command(flatten)]
    keys: Keys,
    /// Rotate only this state, or * for any; the state just read when absent
    #[arg(long, short = 'e', value_name = "ETAG")]
    etag: Option<String>,
    /// Show the keys of the result
    #[arg(id = "show", long = "keys", visible_alias = "show-keys")]
    show: bool,
}

impl Rotate {
    /// What is exchanged; `None` for the usual rotation.
    fn exchange(&self) -> Option<Exchange> {
        self.swap.then_some(Exchange::Swap).or(self.key)
    }

    fn body(&self) -> Result<Json, Failure> {
        let rotation = match self.exchange() {
            None => "shift",
            Some(Exchange::Primary) => "primary",
            Some(Exchange::Secondary) => "secondary",
            Some(Exchange::Both) => "both",
            Some(Exchange::Swap) => "swap",
        };
        let mut body = JsonObject::new();
        body.insert("rotation".into(), json!(rotation));
        self.keys.apply(&mut body)?;
        Ok(Json::Object(body))
    }

    /// What is valid now, and what to do next.
    fn advice(&self, hub: bool) -> String {
        let of = if hub { " --hub" } else { "" };
        let name = self.name.text();
        let string = format!("landfall connection-string{of} --policy {name}");
        match self.exchange() {
            None => format!(
                "Valid now: the new primary, and the former primary as the secondary. The former secondary is dead.\n\
                 Next: give everyone the new string ({string}).\n\
                 When nobody uses the old key any more: landfall policy rotate {name}{of} --key secondary"
            ),
            Some(Exchange::Primary) => format!(
                "Valid now: the new primary, and the secondary as it was. The former primary is dead.\n\
                 Next: give those who used the primary the new string ({string})."
            ),
            Some(Exchange::Secondary) => format!(
                "Valid now: the primary as it was, and the new secondary. The former secondary is dead.\n\
                 Next: nothing, unless someone used the secondary ({string} --key secondary)."
            ),
            Some(Exchange::Both) => format!(
                "Valid now: the two new keys. Both former keys are dead.\n\
                 Next: give everyone the new string ({string})."
            ),
            Some(Exchange::Swap) => format!(
                "Valid now: both keys, as before; primary and secondary have changed places.\n\
                 Next: {string} prints the one that is the primary now."
            ),
        }
    }
}

impl PolicyCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let json = self.connect.json;
        let of_hub = self.hub || self.hub_name.is_some();
        let mut holder = if of_hub {
            self.connect
                .policies_of_hub(self.hub_name.as_deref())
                .await?
        } else {
            self.connect.policies_of_service().await?
        };
        match self.action {
            Action::List(options) => list(json, &mut holder, options.keys).await,
            Action::Show(options) => {
                let policy = holder.policy(options.name.text(), options.keys).await?;
                show(json, &policy);
                Ok(())
            }
            Action::Create(options) => {
                let mut body = JsonObject::new();
                body.insert("rights".into(), json!(options.rights.join(", ")));
                options.keys.apply(&mut body)?;
                let name = options.name.text();
                let body = Json::Object(body);
                put(json, &mut holder, name, &body, None, options.show).await
            }
            Action::Update(options) => {
                let mut body = JsonObject::new();
                if !options.rights.is_empty() {
                    body.insert("rights".into(), json!(options.rights.join(", ")));
                }
                options.keys.apply(&mut body)?;
                if body.is_empty() {
                    return Err(Failure::usage(
                        "nothing to change is named",
                        "pass --rights, --primary-key or --secondary-key; `policy rotate` draws new keys",
                    ));
                }
                let name = options.name.text();
                let etag = state(&mut holder, name, options.etag).await?;
                let body = Json::Object(body);
                put(json, &mut holder, name, &body, Some(&etag), options.show).await
            }
            Action::Delete(options) => {
                let name = options.name.text();
                let who = &holder.session.authorization;
                let etag = options.etag.as_deref();
                let request = own::delete_policy(who, &holder.name, name, etag);
                holder.session.call(request).await?;
                print::done(json, &format!("Deleted policy {name}."));
                Ok(())
            }
            Action::Rotate(options) => rotate(json, &mut holder, options, of_hub).await,
        }
    }
}

async fn list(json: bool, holder: &mut Holder, keys: bool) -> Result<(), Failure> {
    let request = own::policies(&holder.session.authorization, &holder.name, keys);
    let answer = holder.session.call(request).await?;
    print::result(json, &answer, |answer| {
        let list = answer.get("value").and_then(Json::as_array);
        let list = list.map(Vec::as_slice).unwrap_or_default();
        if keys {
            print::table(&LIST_WITH_KEYS, list, "No policies.")
        } else {
            print::table(&LIST, list, "No policies.")
        }
    });
    Ok(())
}

async fn put(
    json: bool,
    holder: &mut Holder,
    name: &str,
    body: &Json,
    etag: Option<&str>,
    keys: bool,
) -> Result<(), Failure> {
    let who = &holder.session.authorization;
    let request = own::put_policy(who, &holder.name, name, body, etag, keys);
    let policy = holder.session.call(request).await?;
    show(json, &policy);
    Ok(())
}

async fn rotate(
    json: bool,
    holder: &mut Holder,
    options: Rotate,
    of_hub: bool,
) -> Result<(), Failure> {
    let name = options.name.text();
    let body = options.body()?;
    let etag = state(holder, name, options.etag.clone()).await?;
    let who = &holder.session.authorization;
    let request = own::rotate_policy(who, &holder.name, name, &body, &etag, options.show);
    let policy = holder.session.call(request).await?;
    print::result(json, &policy, |policy| {
        let sheet = print::sheet(&SHEET, policy);
        format!("{sheet}\n{}\n", options.advice(of_hub))
    });
    Ok(())
}

/// The state that a change is for: the one given, else the one just read.
async fn state(holder: &mut Holder, name: &str, given: Option<String>) -> Result<String, Failure> {
    match given {
        Some(etag) => Ok(etag),
        None => {
            let policy = holder.policy(name, false).await?;
            Ok(record::etag(None, &policy))
        }
    }
}

fn show(json: bool, policy: &Json) {
    print::result(json, policy, |policy| print::sheet(&SHEET, policy));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotate(key: Option<Exchange>, swap: bool) -> Rotate {
        Rotate {
            name: Name {
                place: Some("reader".into()),
                flag: None,
            },
            key,
            swap,
            keys: Keys::default(),
            etag: None,
            show: false,
        }
    }

    #[test]
    fn every_rotation_says_what_is_valid_now_and_what_comes_next() {
        for (options, word, valid) in [
            (
                rotate(None, false),
                "shift",
                "former primary as the secondary",
            ),
            (
                rotate(Some(Exchange::Primary), false),
                "primary",
                "the secondary as it was",
            ),
            (
                rotate(Some(Exchange::Secondary), false),
                "secondary",
                "the primary as it was",
            ),
            (rotate(Some(Exchange::Both), false), "both", "two new keys"),
            (rotate(None, true), "swap", "both keys"),
        ] {
            assert_eq!(options.body(), Ok(json!({ "rotation": word })));
            let advice = options.advice(true);
            assert!(
                advice.contains(valid) && advice.contains("Next: "),
                "{advice}"
            );
            assert!(
                advice.contains("landfall connection-string --hub --policy reader"),
                "{advice}"
            );
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused_before_it_is_sent() {
        let mut options = rotate(None, false);
        options.keys.primary_key = Some("c2VjcmV0".into());
        let failure = options.body().expect_err("refused");
        assert!(failure.what.contains("16 to 64 bytes"), "{}", failure.what);
        options.keys.primary_key = Some(String::new());
        assert!(options.body().is_err());
    }
}
