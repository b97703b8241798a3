//! Audit entries as JSON, and the filters of a listing as callers write them.
//!
//! States of records are rendered by the functions that render the API's answers; keys were taken out
//! before an entry was kept, and their members are left out here.

use std::net::IpAddr;

use landfall_core::administration::audit::AuditPage;
use landfall_core::audit::record::Record;
use landfall_core::audit::{Action, Actor, ActorKind, AuditEntry, Kind, Place, Position, Search};
use landfall_core::clock::Timestamp;
use landfall_core::error::Error;
use landfall_core::id::{HubHostName, IdScope, PolicyName};
use landfall_core::policy::Policy;
use landfall_core::secret::repeated;
use landfall_core::service::ProvisioningService;
use landfall_hub::audit::{HubRecord, TwinRecord};
use landfall_hub::device::{Device, Hub, Module};
use landfall_hub::twin::Twin;
use serde_json::{Map, Value, json};

use super::policies::rights;
use crate::control;
use crate::device::{View, registration_state_json};
use crate::hub::{AuthenticationWords, device_json, module_json};
use crate::message::Request;
use crate::service::enrollment::EnrollmentBody as _;

/// Most entries of one page: each may hold two states with long documents.
pub const MOST_ENTRIES: usize = 200;
/// Entries of a page when the caller does not say.
const USUAL_ENTRIES: usize = 100;
/// Longest id that is looked for, in bytes; a module's has two parts.
const LONGEST_ID: usize = 300;

/// The filters that a listing takes.
const FILTERS: [&str; 13] = [
    "from",
    "to",
    "service",
    "hub",
    "actor",
    "policy",
    "action",
    "kind",
    "id",
    "address",
    "top",
    "continuation",
    "api-version",
];

const ACTIONS: [(&str, Action); 3] = [
    ("create", Action::Create),
    ("update", Action::Update),
    ("delete", Action::Delete),
];

const KINDS: [(&str, Kind); 10] = [
    ("service", Kind::Service),
    ("policy", Kind::Policy),
    ("enrollment", Kind::Enrollment),
    ("group", Kind::Group),
    ("certificate", Kind::Certificate),
    ("registration", Kind::Registration),
    ("hub", Kind::Hub),
    ("device", Kind::Device),
    ("module", Kind::Module),
    ("twin", Kind::Twin),
];

const ACTORS: [(&str, ActorKind); 4] = [
    ("servicePolicy", ActorKind::ServicePolicy),
    ("hubPolicy", ActorKind::HubPolicy),
    ("controlToken", ActorKind::ControlToken),
    ("server", ActorKind::Server),
];

/// A listing as it was asked for: the search, and whose entries it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Everything but the place.
    pub search: Search,
    /// The service that was named, by name or id scope; not yet looked up.
    pub service: Option<String>,
    /// The hub that was named.
    pub hub: Option<HubHostName>,
}

/// Reads the filters of a listing.
///
/// # Errors
/// [`Error::Invalid`] naming the filter that is unknown or not of its form, and what it takes.
pub fn parse_search(request: &Request) -> Result<Asked, Error> {
    if let Some(unknown) = unknown_filter(request) {
        return Err(Error::Invalid(format!(
            "There is no filter '{unknown}'; there are {}.",
            FILTERS[..12].join(", ")
        )));
    }
    let text = |name| request.parameter(name).filter(|text| !text.is_empty());
    let time = |name| {
        parsed(
            name,
            text(name),
            "a time such as 2030-01-31T12:00:00Z",
            Timestamp::parse,
        )
    };
    let search = Search {
        from: time("from")?,
        to: time("to")?,
        place: None,
        actor: word("actor", text("actor"), &ACTORS)?,
        policy: parsed("policy", text("policy"), "the name of a policy", |text| {
            PolicyName::parse(text).ok()
        })?,
        action: word("action", text("action"), &ACTIONS)?,
        kind: word("kind", text("kind"), &KINDS)?,
        id: parsed("id", text("id"), "the id of a record", |text| {
            let plain = text.len() <= LONGEST_ID && !text.chars().any(char::is_control);
            plain.then(|| text.to_owned())
        })?,
        address: parsed("address", text("address"), "an IP address", |text| {
            text.parse::<IpAddr>().ok().map(|a| a.to_canonical())
        })?,
        after: parsed(
            "continuation",
            text("continuation"),
            "as a page gave it",
            Position::parse,
        )?,
        down_to: None,
        skip: 0,
        limit: parsed("top", text("top"), "a number from 1 to 200", |text| {
            text.parse()
                .ok()
                .filter(|top| (1..=MOST_ENTRIES).contains(top))
        })?
        .unwrap_or(USUAL_ENTRIES),
    };
    let hub = parsed("hub", text("hub"), "the host name of a hub", |text| {
        HubHostName::parse(text).ok()
    })?;
    let service = text("service");
    if service.is_some() && hub.is_some() {
        return Err(Error::Invalid(
            "An entry is about a service or about a hub: give 'service' or 'hub'.".to_owned(),
        ));
    }
    Ok(Asked {
        search,
        service,
        hub,
    })
}

/// A filter that no listing takes, as far as it can be shown.
fn unknown_filter(request: &Request) -> Option<String> {
    let query = request.query.as_deref().unwrap_or_default();
    let names = query.split('&').filter(|pair| !pair.is_empty());
    names
        .map(|pair| pair.split_once('=').map_or(pair, |(name, _)| name))
        .find(|name| {
            FILTERS
                .iter()
                .all(|known| !known.eq_ignore_ascii_case(name))
        })
        .map(|name| repeated(name, 64))
}

fn parsed<T>(
    name: &str,
    text: Option<String>,
    form: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Error> {
    let wrong = || Error::Invalid(format!("The filter '{name}' is not {form}."));
    text.map(|text| parse(&text).ok_or_else(wrong)).transpose()
}

fn word<T: Copy>(
    name: &str,
    text: Option<String>,
    words: &[(&str, T)],
) -> Result<Option<T>, Error> {
    let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    let form = format!("one of {}", known.join(", "));
    parsed(name, text, &form, |text| {
        let found = words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text));
        found.map(|(_, value)| *value)
    })
}

/// The name of a value in a table of words.
fn named<T: PartialEq>(words: &[(&'static str, T)], value: &T) -> &'static str {
    let found = words.iter().find(|(_, known)| known == value);
    found.map_or("", |(word, _)| word)
}

/// A page of entries, newest first. `services` are those that exist now, by whose names entries are
/// shown.
///
/// Shape: `continuation` where the next page begins, also beside few entries or none.
pub fn page(page: &AuditPage<HubRecord>, services: &[ProvisioningService]) -> Value {
    let value: Vec<Value> = page
        .entries
        .iter()
        .map(|(position, one)| entry(*position, one, services))
        .collect();
    let mut out = json!({"value": value});
    if let (Some(next), Some(members)) = (page.next, out.as_object_mut()) {
        members.insert("continuation".to_owned(), next.to_word().into());
    }
    out
}

/// One entry.
///
/// Shape: `id` of an entry about one record, `ids` and `count` of one about a call for many.
fn entry(
    position: Position,
    entry: &AuditEntry<HubRecord>,
    services: &[ProvisioningService],
) -> Value {
    let mut out = Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    let (origin, what) = (&entry.author.origin, &entry.what);
    put("entry", position.to_word().into());
    put("at", position.at.to_wire().into());
    put("actor", actor(&entry.author.actor));
    if let Some(address) = origin.address {
        put("address", address.to_string().into());
    }
    put("trackingId", origin.tracking_id.as_str().into());
    put("action", named(&ACTIONS, &what.action).into());
    put("kind", named(&KINDS, &what.kind).into());
    match &entry.place {
        Place::Service(scope) => {
            put("idScope", scope.as_str().into());
            let service = services.iter().find(|service| service.id_scope == *scope);
            if let Some(service) = service {
                put("service", service.name.as_str().into());
            }
        }
        Place::Hub(hub) => put("hub", hub.as_str().into()),
    }
    match entry.subjects.as_slice() {
        [id] if !entry.author.bulk => put("id", id.as_str().into()),
        // An import counts its records and names none.
        [] => {
            let counts = what.taken_along.iter();
            let own = counts.filter(|(kind, _)| *kind == what.kind);
            put("count", own.map(|(_, count)| count).sum::<u64>().into());
        }
        ids => {
            put("count", ids.len().into());
            put("ids", ids.into());
        }
    }
    if !what.changed_secrets.is_empty() {
        put("changedSecrets", what.changed_secrets.as_slice().into());
    }
    if !what.taken_along.is_empty() && !entry.subjects.is_empty() {
        let counts = what.taken_along.iter();
        let counts = counts.map(|(kind, count)| (named(&KINDS, kind).to_owned(), json!(count)));
        put("takenAlong", Value::Object(counts.collect()));
    }
    if let Some(before) = &what.before {
        put("before", state(before));
    }
    if let Some(after) = &what.after {
        put("after", state(after));
    }
    Value::Object(out)
}

fn actor(actor: &Actor) -> Value {
    let kind = named(&ACTORS, &actor.kind());
    match actor {
        Actor::ServicePolicy(scope, policy) => {
            json!({"type": kind, "policy": policy.as_str(), "idScope": scope.as_str()})
        }
        Actor::HubPolicy(hub, policy) => {
            json!({"type": kind, "policy": policy.as_str(), "hub": hub.as_str()})
        }
        Actor::ControlToken | Actor::Server => json!({"type": kind}),
    }
}

fn state(record: &Record<HubRecord>) -> Value {
    match record {
        Record::Service(service) => service_json(service),
        Record::Policy(one) => policy(&**one),
        Record::Individual(enrollment) => enrollment.render(None),
        Record::Group(group) => group.render(None),
        Record::Certificate(ca) => certificate(&control::certificate_json(ca, "")),
        Record::Registration(registration) => registration_state_json(registration, View::Service),
        Record::Hub(HubRecord::Hub(hub)) => hub_json(hub),
        Record::Hub(HubRecord::Policy(one)) => policy(&**one),
        Record::Hub(HubRecord::Device(device)) => device_state(device),
        Record::Hub(HubRecord::Module(module)) => module_state(module),
        Record::Hub(HubRecord::Twin(twin)) => twin_state(twin),
    }
}

fn service_json(service: &ProvisioningService) -> Value {
    let mut out = super::service(service, &[], None, false);
    out["policies"] = service.policies.iter().map(policy).collect();
    out
}

/// A policy, without its keys and without the etag that it shares with its holder.
fn policy<P: Policy>(policy: &P) -> Value {
    json!({"keyName": policy.name().as_str(), "rights": rights(policy.rights())})
}

fn hub_json(hub: &Hub) -> Value {
    json!({
        "hostName": hub.host_name.as_str(),
        "createdDateTimeUtc": hub.created.to_wire(),
        "policies": hub.policies.iter().map(policy).collect::<Vec<_>>(),
    })
}

/// The members of a CA certificate that say something of it; its path is the caller's own.
fn certificate(resource: &Value) -> Value {
    let mut properties = resource["properties"].clone();
    if let Some(members) = properties.as_object_mut() {
        members.remove("certificate");
    }
    json!({"name": resource["name"], "etag": resource["etag"], "properties": properties})
}

fn device_state(device: &Device) -> Value {
    identity(device_json(device), &device.twin)
}

fn module_state(module: &Module) -> Value {
    identity(
        module_json(module, AuthenticationWords::Current),
        &module.twin,
    )
}

/// An identity's document without keys and without what no operator says, with the operator's part of
/// its twin where that has any.
fn identity(mut document: Value, twin: &Twin) -> Value {
    let Some(members) = document.as_object_mut() else {
        return document;
    };
    for name in [
        "connectionState",
        "connectionStateUpdatedTime",
        "lastActivityTime",
        "cloudToDeviceMessageCount",
    ] {
        members.remove(name);
    }
    if let Some(authentication) = members.get_mut("authentication") {
        let authentication = authentication.as_object_mut();
        authentication.map(|authentication| authentication.remove("symmetricKey"));
    }
    if twin.tags.as_str() != "{}" {
        members.insert("tags".to_owned(), twin.tags.to_json());
    }
    if twin.desired.properties.as_str() != "{}" {
        let desired = json!({"desired": twin.desired.properties.to_json()});
        members.insert("properties".to_owned(), desired);
    }
    document
}

fn twin_state(twin: &TwinRecord) -> Value {
    let mut out = json!({
        "deviceId": twin.device_id.as_str(),
        "etag": twin.etag.as_str(),
        "version": twin.version,
        "tags": twin.tags.to_json(),
        "properties": {"desired": twin.desired.to_json()},
    });
    if let Some(module) = &twin.module_id {
        out["moduleId"] = module.as_str().into();
    }
    out
}

/// Whether a text that names no service of today may still be an id scope of one that is gone.
pub fn as_id_scope(text: &str) -> Option<IdScope> {
    let drawn = text
        .get(..3)
        .is_some_and(|head| head.eq_ignore_ascii_case("0ne"));
    IdScope::parse(text).ok().filter(|_| drawn)
}

#[cfg(test)]
mod tests;
