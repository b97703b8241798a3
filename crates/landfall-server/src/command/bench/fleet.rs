//! The devices of a run: an enrollment group made for it, what each device proves itself by, and the
//! way back: group, registrations and hub devices are removed again.

use std::sync::Arc;
use std::time::Duration;

use landfall_core::clock::{Clock as _, Entropy as _, Timestamp};
use landfall_core::sas;
use landfall_core::secret::SymmetricKey;
use landfall_hub::registry::MOST_BULK_ITEMS;
use landfall_wire::client::{hub, service};
use landfall_wire::route::Collection;
use rustls::sign::CertifiedKey;
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;

use super::Attestation;
use super::authority::Authority;
use crate::command::connect::Connect;
use crate::command::outcome::{Exit, Failure};
use crate::command::transfer::caller::Caller;
use crate::time::{SystemClock, SystemEntropy};

/// How long tokens and certificates of the devices are good for: longer than any run.
const LIFE: Duration = Duration::from_secs(3600);
/// The length of the group's key, as the service draws them.
const KEY_BYTES: usize = 64;
/// How many registration records are removed at once.
const REMOVING: u32 = 16;

/// What is to be made.
pub struct Plan {
    /// How the devices prove who they are.
    pub attestation: Attestation,
    /// How many there are.
    pub devices: u32,
    /// The id scope that they register in.
    pub id_scope: String,
}

/// A device that can register.
pub struct Device {
    /// Its registration id.
    pub id: String,
    /// What it proves itself by.
    pub proof: Proof,
}

/// What a device proves itself by.
pub enum Proof {
    /// A shared access signature.
    Token(String),
    /// A certificate with its chain, and the key.
    Certificate(Arc<CertifiedKey>),
}

/// An enrollment group and its devices.
pub struct Fleet {
    group: String,
    /// The key of the group, where it has one.
    key: Option<SymmetricKey>,
    id_scope: String,
    devices: Arc<[Device]>,
    /// The group as the service API takes it, with its key.
    record: Json,
}

impl Fleet {
    /// Makes the devices, and the record of the group that lets them in. No server knows of it yet.
    ///
    /// # Errors
    /// [`Failure`] when a certificate cannot be made.
    pub fn of(plan: Plan) -> Result<Self, Failure> {
        let mut serial = [0; 4];
        SystemEntropy.fill(&mut serial);
        let group = format!("landfall-bench-{:08x}", u32::from_be_bytes(serial));
        let until = SystemClock.now().plus(LIFE);
        let ids = (1..=plan.devices).map(|number| format!("{group}-{number:06}"));
        let (key, (attestation, devices)) = match plan.attestation {
            Attestation::SymmetricKey => {
                let key = SymmetricKey::draw(&SystemEntropy, KEY_BYTES);
                let made = with_keys(&key, &plan.id_scope, ids, until);
                (Some(key), made)
            }
            Attestation::X509 => (None, with_certificates(ids)?),
        };
        Ok(Fleet {
            key,
            record: json!({"enrollmentGroupId": group, "attestation": attestation}),
            group,
            id_scope: plan.id_scope,
            devices: devices.into(),
        })
    }

    /// Makes the group at the server of `connect`.
    ///
    /// # Errors
    /// [`Failure`] when the server refuses it.
    pub async fn enroll(&self, connect: &Connect) -> Result<(), Failure> {
        let (groups, id) = (Collection::Groups, &*self.group);
        let mut caller = connect.service_caller().await?;
        caller
            .call(|who| service::put_enrollment(who, groups, id, &self.record, None))
            .await?;
        Ok(())
    }

    /// The failure that says what stays on the server, and why.
    pub fn left(&self, why: &Failure) -> Failure {
        Failure::new(
            why.exit,
            format!("not all that the run made is removed: {}", why.what),
            format!(
                "remove enrollment group '{0}', and the registrations and hub devices whose names begin with '{0}-'",
                self.group
            ),
        )
    }

    /// The devices.
    pub fn devices(&self) -> Arc<[Device]> {
        Arc::clone(&self.devices)
    }

    /// A token by which a device of the fleet connects to a hub; none where it shows a certificate.
    pub fn hub_token(&self, id: &str, resource: &str) -> Option<String> {
        let key = self.key.as_ref()?.derive(id);
        Some(sas::sign(
            resource,
            &key,
            None,
            SystemClock.now().plus(LIFE),
        ))
    }

    /// The id scope that they register in.
    pub fn id_scope(&self) -> &str {
        &self.id_scope
    }

    /// Removes the group, then whatever the first `begun` devices left. What cannot be removed is
    /// named.
    ///
    /// # Errors
    /// [`Failure`] when anything stays.
    pub async fn remove(&self, connect: &Connect, begun: u32) -> Result<(), Failure> {
        let left = |failure: Failure| self.left(&failure);
        let mut caller = connect.service_caller().await.map_err(left)?;
        caller
            .find(|who| service::delete_enrollment(who, Collection::Groups, &self.group, None))
            .await
            .map_err(left)?;
        self.remove_registrations(&caller, begun)
            .await
            .map_err(left)?;
        self.remove_devices(connect, begun).await.map_err(left)
    }

    async fn remove_registrations(&self, caller: &Caller, begun: u32) -> Result<(), Failure> {
        let mut lanes = JoinSet::new();
        for lane in 0..REMOVING {
            let (devices, mut caller) = (self.devices(), caller.another());
            lanes.spawn(async move {
                for device in first(&devices, begun)
                    .skip(lane as usize)
                    .step_by(REMOVING as usize)
                {
                    caller
                        .find(|who| service::delete_registration(who, &device.id, None))
                        .await?;
                }
                Ok::<_, Failure>(())
            });
        }
        while let Some(lane) = lanes.join_next().await {
            lane.map_err(anyhow::Error::new)??;
        }
        Ok(())
    }

    async fn remove_devices(&self, connect: &Connect, begun: u32) -> Result<(), Failure> {
        let mut session = connect.hub().await?;
        let ids: Vec<&str> = first(&self.devices, begun)
            .map(|device| &*device.id)
            .collect();
        for ids in ids.chunks(MOST_BULK_ITEMS) {
            let request = hub::delete_devices(&session.authorization, ids);
            // The hub answers 400 with the same form when one of many is refused; the others are gone.
            let result = match session.call(request).await {
                Ok(result) => result,
                Err(Failure {
                    body: Some(result), ..
                }) if result.get("errors").is_some() => *result,
                Err(failure) => return Err(failure),
            };
            // Devices that never came as far as the hub are no fault.
            let stays = |error: &&Json| {
                let name = error.get("errorCode").and_then(Json::as_str);
                name != Some("DeviceNotFound")
            };
            let errors = result.get("errors").and_then(Json::as_array);
            if let Some(error) = errors.into_iter().flatten().find(stays) {
                let what = format!("a hub device stays: {error}");
                return Err(Failure::new(Exit::Refused, what, ""));
            }
        }
        Ok(())
    }
}

fn first(devices: &[Device], count: u32) -> impl Iterator<Item = &Device> {
    devices
        .iter()
        .take(usize::try_from(count).unwrap_or(usize::MAX))
}

/// The attestation of a group whose key gives every device its own, and the devices.
fn with_keys(
    key: &SymmetricKey,
    id_scope: &str,
    ids: impl Iterator<Item = String>,
    until: Timestamp,
) -> (Json, Vec<Device>) {
    let text = key.to_base64();
    let attestation = json!({
        "type": "symmetricKey",
        "symmetricKey": {"primaryKey": &*text, "secondaryKey": &*text},
    });
    let devices = ids.map(|id| {
        let resource = format!("{id_scope}/registrations/{id}");
        let token = sas::sign(&resource, &key.derive(&id), Some("registration"), until);
        let proof = Proof::Token(token);
        Device { id, proof }
    });
    (attestation, devices.collect())
}

/// The attestation of a group whose authority signs the intermediate of all devices, and the devices.
fn with_certificates(ids: impl Iterator<Item = String>) -> Result<(Json, Vec<Device>), Failure> {
    let authority = Authority::make(SystemClock.now(), LIFE).map_err(anyhow::Error::new)?;
    let attestation = json!({
        "type": "x509",
        "x509": {"signingCertificates": {"primary": {"certificate": authority.root()}}},
    });
    let devices = ids.map(|id| {
        let key = authority.issue(&id)?;
        let proof = Proof::Certificate(Arc::new(key));
        Ok::<_, anyhow::Error>(Device { id, proof })
    });
    Ok((attestation, devices.collect::<Result<_, _>>()?))
}
