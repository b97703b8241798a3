//! Embedded hubs: rows, reads and writes. Their policies' keys are sealed.

use landfall_core::id::{HubHostName, PolicyName};
use landfall_core::secret::KeyPair;
use landfall_core::store::CommitError;
use landfall_hub::device::Hub;
use landfall_hub::policy::{HubPolicy, Permissions};
use landfall_hub::store::{DeviceCounts, HubExpect};
use serde::{Deserialize, Serialize};

use crate::dialect::{Fault, Read, Row, Session};
use crate::expectation::meets_revision;
use crate::record::{AsText, KeysRecord, Micros, Version, from_text, open, seal, to_text};
use crate::revisions;
use crate::secret::Sealer;

const TABLE: &str = "hubs";

#[derive(Debug, Serialize, Deserialize)]
struct HubRecord {
    v: Version,
    host_name: AsText<HubHostName>,
    created: Micros,
    /// Absent in records of the first release, which were never changed.
    #[serde(default = "first_revision")]
    revision: i64,
}

fn first_revision() -> i64 {
    1
}

impl HubRecord {
    fn of(hub: &Hub, revision: i64) -> Self {
        HubRecord {
            v: Version,
            host_name: AsText(hub.host_name.clone()),
            created: hub.created.into(),
            revision,
        }
    }

    fn read(self, policies: Vec<HubPolicy>) -> Hub {
        Hub {
            host_name: self.host_name.0,
            policies,
            created: self.created.into(),
            revision: self.revision,
        }
    }
}

/// A hub with its policies' names and permissions, without their keys.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WholeHub {
    hub: HubRecord,
    policies: Vec<(AsText<PolicyName>, u8)>,
}

impl WholeHub {
    /// Writes everything down but keys.
    pub(crate) fn of(hub: &Hub) -> Self {
        WholeHub {
            hub: HubRecord::of(hub, hub.revision),
            policies: hub
                .policies
                .iter()
                .map(|policy| (AsText(policy.name.clone()), policy.permissions.bits()))
                .collect(),
        }
    }

    /// Reads it back; keys are [`KeyPair::hidden`].
    pub(crate) fn read(self) -> Hub {
        let policies = self.policies.into_iter();
        let policies = policies.map(|(name, permissions)| HubPolicy {
            name: name.0,
            keys: KeyPair::hidden(),
            permissions: Permissions::from_bits(permissions),
        });
        self.hub.read(policies.collect())
    }
}

/// The sealed part.
#[derive(Debug, Serialize, Deserialize)]
struct PolicyRecord {
    name: AsText<PolicyName>,
    permissions: u8,
    keys: KeysRecord,
}

/// Names a hub in errors.
pub(crate) fn spoken(hub: &HubHostName) -> String {
    format!("hub '{hub}'")
}

/// All hubs, by name.
pub(crate) fn all() -> Read<'static, Hub> {
    Read::new(
        "SELECT hub, record, secrets FROM hubs ORDER BY hub",
        Vec::new(),
        decode,
    )
}

/// One hub.
pub(crate) fn one(hub: &HubHostName) -> Read<'_, Hub> {
    Read::new(
        "SELECT hub, record, secrets FROM hubs WHERE hub = $1",
        vec![hub.key().into()],
        decode,
    )
}

fn decode(row: &Row<'_>, sealer: &Sealer) -> Result<Hub, Fault> {
    let record: HubRecord = from_text(TABLE, row.text(1)?)?;
    let policies: Vec<PolicyRecord> = open(sealer, TABLE, &[row.text(0)?], row.bytes(2)?)?;
    let policies = policies
        .into_iter()
        .map(|policy| HubPolicy {
            name: policy.name.0,
            keys: policy.keys.into(),
            permissions: Permissions::from_bits(policy.permissions),
        })
        .collect();
    Ok(record.read(policies))
}

/// How many devices a hub has. Only the disabled ones are looked at one by one.
pub(crate) fn counts(hub: &HubHostName) -> Read<'_, DeviceCounts> {
    Read::new(
        "SELECT (SELECT COUNT(*) FROM devices WHERE hub = $1),
                (SELECT COUNT(*) FROM devices WHERE hub = $1 AND status = 'disabled')",
        vec![hub.key().into()],
        |row, _| {
            let number = |column| row.integer(column).map(|n| u64::try_from(n).unwrap_or(0));
            let (total, disabled) = (number(0)?, number(1)?);
            Ok(DeviceCounts {
                total,
                enabled: total.saturating_sub(disabled),
                disabled,
            })
        },
    )
}

/// Makes or replaces a hub.
pub(crate) fn put(
    session: &Session,
    sealer: &Sealer,
    hub: &Hub,
    expect: HubExpect,
) -> Result<(), Fault> {
    let key = hub.host_name.key();
    let before = revision(session, &hub.host_name)?;
    meets_revision(expect, before, || spoken(&hub.host_name))?;
    let revision = revisions::next(session, before)?;
    let record = to_text(&HubRecord::of(hub, revision))?;
    let policies: Vec<PolicyRecord> = hub
        .policies
        .iter()
        .map(|policy| PolicyRecord {
            name: AsText(policy.name.clone()),
            permissions: policy.permissions.bits(),
            keys: (&policy.keys).into(),
        })
        .collect();
    session.execute(
        "INSERT INTO hubs (hub, record, secrets) VALUES ($1, $2, $3)
         ON CONFLICT (hub) DO UPDATE SET record = excluded.record, secrets = excluded.secrets",
        &[
            key.into(),
            record.into(),
            seal(sealer, TABLE, &[key], &policies)?.into(),
        ],
    )?;
    Ok(())
}

/// Removes a hub and everything in it.
pub(crate) fn delete(session: &Session, hub: &HubHostName, expect: HubExpect) -> Result<(), Fault> {
    let before = revision(session, hub)?;
    meets_revision(expect, before, || spoken(hub))?;
    revisions::retire_hub(session, hub)?;
    revisions::retire(session, before)?;
    session.execute("DELETE FROM hubs WHERE hub = $1", &[hub.key().into()])?;
    Ok(())
}

/// Holds that a hub has no device.
pub(crate) fn empty(session: &Session, hub: &HubHostName) -> Result<(), Fault> {
    let some = session.first(
        "SELECT 1 FROM devices WHERE hub = $1 LIMIT 1",
        &[hub.key().into()],
        |_| Ok(()),
    )?;
    match some {
        None => Ok(()),
        Some(()) => Err(Fault::Refused(CommitError::Exists(format!(
            "a device of {}",
            spoken(hub)
        )))),
    }
}

fn revision(session: &Session, hub: &HubHostName) -> Result<Option<i64>, Fault> {
    let record = session.first(
        "SELECT record FROM hubs WHERE hub = $1",
        &[hub.key().into()],
        |row| from_text::<HubRecord>(TABLE, row.text(0)?),
    )?;
    Ok(record.map(|record| record.revision))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_of_the_first_release_counts_as_never_changed() {
        let text = r#"{"v":1,"host_name":"Hub.a","created":5}"#;
        let record: HubRecord = from_text(TABLE, text).expect("readable");
        assert_eq!((record.host_name.0.as_str(), record.revision), ("Hub.a", 1));
    }
}
