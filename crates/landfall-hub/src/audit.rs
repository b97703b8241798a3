//! Hub records as audit entries keep them, and what a write changed of them.
//!
//! As `landfall-core/src/audit/` does for the records of a provisioning service. A device's identity
//! and its twin are told apart: an entry is about the one that changed. Reported properties are the
//! device's own and are not kept.

use landfall_core::audit::Kind;
use landfall_core::audit::difference::{Difference, Named, changed_keys, of_policies};
use landfall_core::audit::record::{LONGEST_DOCUMENT, Record};
use landfall_core::document::Document;
use landfall_core::id::{DeviceId, Etag, ModuleId};
use landfall_core::secret::KeyPair;

use crate::device::{Device, DeviceAuthentication, Hub, Module, Presence};
use crate::policy::HubPolicy;
use crate::twin::{Twin, TwinSection};

/// A hub record without its secrets. Key pairs in it are [`KeyPair::hidden`].
#[derive(Debug, Clone, PartialEq)]
pub enum HubRecord {
    /// A hub, with its policies.
    Hub(Box<Hub>),
    /// A policy of a hub.
    Policy(Box<HubPolicy>),
    /// A device. Of its twin there are tags and desired properties, without metadata.
    Device(Box<Device>),
    /// A module. Of its twin there are tags and desired properties, without metadata.
    Module(Box<Module>),
    /// The twin of a device or module.
    Twin(Box<TwinRecord>),
}

/// What operators say of a device or module in its twin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TwinRecord {
    /// The device.
    pub device_id: DeviceId,
    /// The module; none for the device's own twin.
    pub module_id: Option<ModuleId>,
    /// See [`Twin::tags`].
    pub tags: Document,
    /// See [`Twin::desired`]; without metadata and version.
    pub desired: Document,
    /// See [`Twin::version`].
    pub version: i64,
    /// See [`Twin::etag`].
    pub etag: Etag,
}

impl HubRecord {
    fn hub(hub: &Hub) -> Record<Self> {
        let mut hub = hub.clone();
        for policy in &mut hub.policies {
            policy.keys = KeyPair::hidden();
        }
        hub.revision = 0;
        Record::Hub(HubRecord::Hub(Box::new(hub)))
    }

    fn policy(policy: &HubPolicy) -> Record<Self> {
        Record::Hub(HubRecord::Policy(Box::new(HubPolicy {
            keys: KeyPair::hidden(),
            ..policy.clone()
        })))
    }

    fn device(device: &Device) -> Record<Self> {
        let mut device = device.clone();
        hide_keys(&mut device.authentication);
        bound(&mut device.twin);
        device.presence = Presence::default();
        device.revision = 0;
        Record::Hub(HubRecord::Device(Box::new(device)))
    }

    fn module(module: &Module) -> Record<Self> {
        let mut module = module.clone();
        hide_keys(&mut module.authentication);
        bound(&mut module.twin);
        module.presence = Presence::default();
        module.revision = 0;
        Record::Hub(HubRecord::Module(Box::new(module)))
    }

    fn twin(device: &DeviceId, module: Option<&ModuleId>, twin: &Twin) -> Record<Self> {
        Record::Hub(HubRecord::Twin(Box::new(TwinRecord {
            device_id: device.clone(),
            module_id: module.cloned(),
            tags: twin.tags.at_most(LONGEST_DOCUMENT),
            desired: twin.desired.properties.at_most(LONGEST_DOCUMENT),
            version: twin.version,
            etag: twin.etag.clone(),
        })))
    }
}

fn hide_keys(authentication: &mut DeviceAuthentication) {
    if let DeviceAuthentication::Sas(keys) = authentication {
        *keys = KeyPair::hidden();
    }
}

fn bound(twin: &mut Twin) {
    twin.tags = twin.tags.at_most(LONGEST_DOCUMENT);
    twin.desired.properties = twin.desired.properties.at_most(LONGEST_DOCUMENT);
    twin.desired.metadata = Document::empty_object();
    twin.reported = TwinSection {
        properties: Document::empty_object(),
        metadata: Document::empty_object(),
        version: twin.reported.version,
    };
}

/// What changed of a hub. Policies of a hub that stays have differences of their own.
pub fn of_hub(before: Option<&Hub>, after: Option<&Hub>) -> Vec<Named<HubRecord>> {
    let policies = match (before, after) {
        (Some(before), Some(after)) => {
            of_policies(&before.policies, &after.policies, HubRecord::policy)
        }
        _ => Vec::new(),
    };
    // A put that changes nothing is told as one of the hub.
    let whole = before.or(after).filter(|_| policies.is_empty());
    let whole = whole.and_then(|hub| {
        let states = (before.map(HubRecord::hub), after.map(HubRecord::hub));
        let what = Difference::between(Kind::Hub, states.0, states.1)?;
        Some((hub.host_name.to_string(), what))
    });
    whole.into_iter().chain(policies).collect()
}

/// What changed of a device: its identity, its twin, or both. A put that changes neither is told as
/// one of the identity.
pub fn of_device(before: Option<&Device>, after: Option<&Device>) -> Vec<Named<HubRecord>> {
    let Some(device) = before.or(after) else {
        return Vec::new();
    };
    let name = device.id.to_string();
    let twin = before.zip(after).and_then(|(before, after)| {
        let states = (&before.twin, &after.twin);
        of_twin(&device.id, None, states)
    });
    let same = before.zip(after).is_some_and(|(before, after)| {
        let before = Device {
            twin: after.twin.clone(),
            presence: after.presence,
            revision: after.revision,
            ..before.clone()
        };
        before == *after
    });
    let secrets = changed_keys(
        before.and_then(|d| keys(&d.authentication)),
        after.and_then(|d| keys(&d.authentication)),
    );
    let states = (before.map(HubRecord::device), after.map(HubRecord::device));
    identity_and_twin(name, Kind::Device, states, secrets, twin, same)
}

/// What changed of a module, as [`of_device`] tells it.
pub fn of_module(before: Option<&Module>, after: Option<&Module>) -> Vec<Named<HubRecord>> {
    let Some(module) = before.or(after) else {
        return Vec::new();
    };
    let name = module_subject(&module.device_id, &module.id);
    let twin = before.zip(after).and_then(|(before, after)| {
        let states = (&before.twin, &after.twin);
        of_twin(&module.device_id, Some(&module.id), states)
    });
    let same = before.zip(after).is_some_and(|(before, after)| {
        let before = Module {
            twin: after.twin.clone(),
            presence: after.presence,
            revision: after.revision,
            ..before.clone()
        };
        before == *after
    });
    let secrets = changed_keys(
        before.and_then(|m| keys(&m.authentication)),
        after.and_then(|m| keys(&m.authentication)),
    );
    let states = (before.map(HubRecord::module), after.map(HubRecord::module));
    identity_and_twin(name, Kind::Module, states, secrets, twin, same)
}

/// Two states of a record.
type States = (Option<Record<HubRecord>>, Option<Record<HubRecord>>);

fn identity_and_twin(
    name: String,
    kind: Kind,
    states: States,
    secrets: Vec<String>,
    twin: Option<Difference<HubRecord>>,
    same_identity: bool,
) -> Vec<Named<HubRecord>> {
    let identity = Difference::between(kind, states.0, states.1)
        .filter(|_| !same_identity || twin.is_none())
        .map(|what| what.with_secrets(secrets));
    let both = identity.into_iter().chain(twin);
    both.map(|what| (name.clone(), what)).collect()
}

/// What an operator changed of a twin; reported properties do not count.
fn of_twin(
    device: &DeviceId,
    module: Option<&ModuleId>,
    (before, after): (&Twin, &Twin),
) -> Option<Difference<HubRecord>> {
    if before.etag == after.etag && before.tags == after.tags && before.desired == after.desired {
        return None;
    }
    let state = |twin| Some(HubRecord::twin(device, module, twin));
    Difference::between(Kind::Twin, state(before), state(after))
}

/// How entries name a module: by its device and its own name.
pub fn module_subject(device: &DeviceId, module: &ModuleId) -> String {
    format!("{device}/{module}")
}

fn keys(authentication: &DeviceAuthentication) -> Option<&KeyPair> {
    match authentication {
        DeviceAuthentication::Sas(keys) => Some(keys),
        DeviceAuthentication::SelfSigned { .. }
        | DeviceAuthentication::CertificateAuthority
        | DeviceAuthentication::None => None,
    }
}
