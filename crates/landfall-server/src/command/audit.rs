//! `landfall audit`: who changed what, as a table for people and as JSON Lines to be kept elsewhere.

use std::time::Duration;

use clap::Args;
use landfall_core::clock::{Clock as _, Timestamp};
use landfall_wire::client::own;
use landfall_wire::message::ascii_only;
use serde_json::{Value as Json, json};

use super::connect::{Connect, Session};
use super::outcome::Failure;
use super::print;
use crate::time::SystemClock;

/// Entries that one call gives at most.
const PAGE: usize = 200;
/// Entries that are shown when nobody says how many.
const USUAL: usize = 50;
/// Ids of a call about many that are shown in a table.
const SHOWN_IDS: usize = 3;

const TABLE: [print::Column; 8] = [
    ("AT", "/at"),
    ("WHO", "/who"),
    ("FROM", "/from"),
    ("ACTION", "/action"),
    ("KIND", "/kind"),
    ("ID", "/id"),
    ("WHERE", "/where"),
    ("NOTE", "/note"),
];

/// Show who changed what: by which policy or token, from which address, with what before and after.
#[derive(Args)]
pub struct AuditCommand {
    /// Not older than this: a span such as 90m, 2h, 7d, or a time such as 2030-01-31T12:00:00Z
    #[arg(long, value_name = "SPAN|TIME", value_parser = moment)]
    since: Option<Moment>,
    /// Older than this, in the same forms
    #[arg(long, value_name = "SPAN|TIME", value_parser = moment)]
    until: Option<Moment>,
    /// By the shared access policy of this name
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// By this sort of actor
    #[arg(long, value_name = "ACTOR", value_parser = ["servicePolicy", "hubPolicy", "controlToken", "server"])]
    actor: Option<String>,
    /// What was done
    #[arg(long, value_name = "ACTION", value_parser = ["create", "update", "delete"])]
    action: Option<String>,
    /// What it was done to
    #[arg(long, value_name = "KIND", value_parser = [
        "service", "policy", "enrollment", "group", "certificate", "registration", "hub", "device",
        "module", "twin",
    ])]
    kind: Option<String>,
    /// Id of the record, in any case; of a device, its modules and twins too
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// On the embedded hub of this host name
    #[arg(long, value_name = "HOST", conflicts_with = "service")]
    hub: Option<String>,
    /// From this IP address
    #[arg(long, value_name = "ADDRESS")]
    address: Option<String>,
    /// At most so many entries, the newest; 50 when absent, with --jsonl all
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Print each entry whole, as one line of JSON, newest first
    #[arg(long, conflicts_with = "json")]
    pub jsonl: bool,
    // Last: its heading would name the options above too.
    /// Where to call.
    #[command(flatten)]
    pub connect: Connect,
}

/// A point in time as an operator says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

impl Moment {
    fn to_wire(self, now: Timestamp) -> String {
        match self {
            Moment::Ago(span) => now.minus(span),
            Moment::At(time) => time,
        }
        .to_wire()
    }
}

fn moment(text: &str) -> Result<Moment, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let span = units.iter().find_map(|(unit, seconds)| {
        let count: u64 = text.strip_suffix(unit)?.parse().ok()?;
        count.checked_mul(*seconds).map(Duration::from_secs)
    });
    span.map(Moment::Ago)
        .or_else(|| Timestamp::parse(text).map(Moment::At))
        .or_else(|| Timestamp::parse(&format!("{text}T00:00:00Z")).map(Moment::At))
        .ok_or_else(|| {
            "give a span (90s, 30m, 2h, 7d), a day (2030-01-31) or a time (2030-01-31T12:00:00Z)"
                .to_owned()
        })
}

impl AuditCommand {
    /// Does what was asked.
    pub async fn run(self) -> Result<(), Failure> {
        let mut session = self.session().await?;
        let filters = self.filters();
        let top = match self.top {
            Some(top) => top,
            None if self.jsonl => usize::MAX,
            None => USUAL,
        };
        let mut entries = Vec::new();
        let mut given = 0;
        let mut after = None;
        while given < top {
            let wanted = PAGE.min(top - given);
            let mut asked = filters.clone();
            asked.push(("top", wanted.to_string()));
            asked.extend(after.take().map(|after| ("continuation", after)));
            let page = session
                .call(own::audit(&session.authorization, &asked))
                .await?;
            let found = page.get("value").and_then(Json::as_array);
            let found = found.map(Vec::as_slice).unwrap_or_default();
            given += found.len();
            if self.jsonl {
                // Page by page: the trail may be longer than this machine's memory.
                found.iter().for_each(|entry| print::text(&line(entry)));
                print::arrived()?;
            } else {
                entries.extend_from_slice(found);
            }
            // A page may be empty and still name a next one: the server looks at so many at a time.
            match page.get("continuation").and_then(Json::as_str) {
                Some(next) => after = Some(next.to_owned()),
                None => break,
            }
        }
        if !self.jsonl {
            let answer = json!({"value": entries});
            print::result(self.connect.json, &answer, |_| table(&entries));
        }
        Ok(())
    }

    /// Opens the whole trail with the control token; else, by a connection string, that service's part.
    async fn session(&self) -> Result<Session, Failure> {
        if self.connect.login.is_some() {
            return self.connect.service().await;
        }
        match self.connect.control() {
            Ok(control) => Ok(control.session),
            Err(no_token) => self.connect.service().await.map_err(|_| no_token),
        }
    }

    fn filters(&self) -> Vec<(&'static str, String)> {
        let now = SystemClock.now();
        let time = |moment: Option<Moment>| moment.map(|moment| moment.to_wire(now));
        [
            ("from", time(self.since)),
            ("to", time(self.until)),
            ("policy", self.policy.clone()),
            ("actor", self.actor.clone()),
            ("action", self.action.clone()),
            ("kind", self.kind.clone()),
            ("id", self.id.clone()),
            ("hub", self.hub.clone()),
            ("service", self.connect.service.clone()),
            ("address", self.address.clone()),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
        .collect()
    }
}

/// An entry as one line that no terminal takes for a command: all but printable ASCII is escaped.
fn line(entry: &Json) -> String {
    ascii_only(&entry.to_string()).replace('\u{7f}', "\\u007f")
}

/// Entries as people read them, a line each.
fn table(entries: &[Json]) -> String {
    let rows: Vec<Json> = entries.iter().map(row).collect();
    print::table(&TABLE, &rows, "No entries.")
}

fn row(entry: &Json) -> Json {
    let text = |pointer: &str| {
        entry
            .pointer(pointer)
            .map(print::plain_text)
            .unwrap_or_default()
    };
    let who = match text("/actor/type").as_str() {
        "controlToken" => "control token".to_owned(),
        "server" => "the server".to_owned(),
        _ => text("/actor/policy"),
    };
    let place = ["/service", "/idScope", "/hub"].map(text);
    json!({
        "at": seconds(&text("/at")),
        "who": who,
        "from": text("/address"),
        "action": text("/action"),
        "kind": text("/kind"),
        "id": ids(entry),
        "where": place.into_iter().find(|name| !name.is_empty()),
        "note": note(entry),
    })
}

/// A time without the part of a second.
fn seconds(time: &str) -> String {
    match time.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => time.to_owned(),
    }
}

fn ids(entry: &Json) -> String {
    if let Some(id) = entry.get("id") {
        return print::plain_text(id);
    }
    let ids = entry.get("ids").and_then(Json::as_array);
    if ids.is_none()
        && let Some(count) = entry.get("count").and_then(Json::as_u64)
    {
        let kind = entry.get("kind").and_then(Json::as_str);
        return print::many(count, kind.unwrap_or("record"));
    }
    let ids = ids.map(Vec::as_slice).unwrap_or_default();
    let first: Vec<String> = ids.iter().take(SHOWN_IDS).map(print::plain_text).collect();
    let more = ids.len().saturating_sub(SHOWN_IDS);
    match more {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}

fn note(entry: &Json) -> String {
    let secrets = entry.get("changedSecrets").map(print::plain_text);
    let secrets = secrets.map(|names| format!("new {names}"));
    let along = entry.get("takenAlong").and_then(Json::as_object);
    let along = along.map(|counts| {
        let counts = counts
            .iter()
            .map(|(kind, count)| print::many(count.as_u64().unwrap_or(0), kind));
        format!("with {}", counts.collect::<Vec<_>>().join(", "))
    });
    let both = secrets.into_iter().chain(along);
    both.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_span_a_day_or_a_time() {
        let at = |text| Timestamp::parse(text).expect("a time");
        for (text, meant) in [
            ("90s", Moment::Ago(Duration::from_secs(90))),
            ("30m", Moment::Ago(Duration::from_secs(1800))),
            ("2h", Moment::Ago(Duration::from_secs(7200))),
            ("7d", Moment::Ago(Duration::from_secs(604_800))),
            ("2030-01-31", Moment::At(at("2030-01-31T00:00:00Z"))),
            (
                "2030-01-31T13:00:00+01:00",
                Moment::At(at("2030-01-31T12:00:00Z")),
            ),
        ] {
            assert_eq!(moment(text), Ok(meant), "{text}");
        }
        for wrong in [
            "",
            "2",
            "h",
            "-2h",
            "2w",
            "yesterday",
            "99999999999999999999d",
        ] {
            assert!(moment(wrong).is_err(), "{wrong}");
        }
        let far = Moment::Ago(Duration::from_secs(u64::MAX));
        assert!(!far.to_wire(at("2030-01-31T00:00:00Z")).is_empty());
    }

    #[test]
    fn the_table_has_a_line_for_each_entry() {
        let entries = [
            json!({"at": "2030-01-31T12:00:00.1234560Z", "action": "update", "kind": "policy",
                "actor": {"type": "servicePolicy", "policy": "owner"}, "address": "192.0.2.1",
                "id": "reader", "idScope": "0ne1", "service": "dev",
                "changedSecrets": ["primaryKey"]}),
            json!({"at": "2030-01-31T12:00:00.0000000Z", "action": "create", "kind": "device",
                "actor": {"type": "controlToken"}, "hub": "hub.example", "count": 5,
                "ids": ["a", "b", "c", "d", "e"]}),
            json!({"at": "2030-01-31T11:00:00.0000000Z", "action": "delete", "kind": "service",
                "actor": {"type": "server"}, "idScope": "0ne2", "id": "old\u{1b}[2J",
                "takenAlong": {"group": 1, "registration": 40}}),
        ];
        assert_eq!(
            table(&entries),
            "AT                    WHO            FROM       ACTION  KIND     ID                  WHERE        NOTE\n\
             2030-01-31T12:00:00Z  owner          192.0.2.1  update  policy   reader              dev          new primaryKey\n\
             2030-01-31T12:00:00Z  control token  -          create  device   a, b, c and 2 more  hub.example  -\n\
             2030-01-31T11:00:00Z  the server     -          delete  service  old[2J              0ne2         with 1 group, 40 registrations\n"
        );
        assert_eq!(table(&[]), "No entries.\n");
    }

    #[test]
    fn no_text_of_an_entry_reaches_a_terminal_as_a_command() {
        let entry = json!({"id": "\u{1b}]0;x\u{7}\u{9b}2J\u{7f}\u{202e}\n"});
        assert_eq!(
            line(&entry),
            r#"{"id":"\u001b]0;x\u0007\u009b2J\u007f\u202e\n"}"#
        );
    }
}
