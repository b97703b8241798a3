//! Provisioning services: rows, reads and writes. Their policies' keys are sealed.

mod remembered;

use landfall_core::enrollment::AllocationPolicy;
use landfall_core::id::{Etag, IdScope, PolicyName, ServiceName};
use landfall_core::linked_hub::LinkedHub;
use landfall_core::secret::KeyPair;
use landfall_core::service::{AccessPolicy, ProvisioningService, Rights};
use landfall_core::store::{CommitError, Contents, Expect};
use serde::{Deserialize, Serialize};

use crate::dialect::{Fault, Read, Row, Session};
use crate::expectation::meets;
use crate::linked_hubs::LinkedHubRecord;
use crate::record::{AsText, KeysRecord, Micros, Version, from_text, id, open, seal, to_text};
use crate::secret::Sealer;
pub(crate) use remembered::Remembered;

const TABLE: &str = "services";

#[derive(Debug, Serialize, Deserialize)]
struct ServiceRecord {
    v: Version,
    id_scope: AsText<IdScope>,
    name: AsText<ServiceName>,
    host_name: String,
    allocation: AsText<AllocationPolicy>,
    linked_hubs: Vec<LinkedHubRecord>,
    require_verified_chain: bool,
    created: Micros,
}

impl ServiceRecord {
    fn of(service: &ProvisioningService) -> Self {
        ServiceRecord {
            v: Version,
            id_scope: AsText(service.id_scope.clone()),
            name: AsText(service.name.clone()),
            host_name: service.host_name.clone(),
            allocation: AsText(service.allocation),
            linked_hubs: service
                .linked_hubs
                .iter()
                .map(LinkedHubRecord::from)
                .collect(),
            require_verified_chain: service.require_verified_chain,
            created: service.created.into(),
        }
    }

    fn read(
        self,
        policies: Vec<AccessPolicy>,
        etag: Etag,
        trust_version: i64,
    ) -> ProvisioningService {
        ProvisioningService {
            id_scope: self.id_scope.0,
            name: self.name.0,
            host_name: self.host_name,
            policies,
            allocation: self.allocation.0,
            linked_hubs: self.linked_hubs.into_iter().map(LinkedHub::from).collect(),
            require_verified_chain: self.require_verified_chain,
            etag,
            trust_version,
            created: self.created.into(),
        }
    }
}

/// A service with its policies' names and rights, without their keys.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct WholeService {
    service: ServiceRecord,
    policies: Vec<(AsText<PolicyName>, u8)>,
    etag: AsText<Etag>,
    trust_version: i64,
}

impl WholeService {
    /// Writes everything down but keys.
    pub(crate) fn of(service: &ProvisioningService) -> Self {
        WholeService {
            service: ServiceRecord::of(service),
            policies: service
                .policies
                .iter()
                .map(|policy| (AsText(policy.name.clone()), policy.rights.bits()))
                .collect(),
            etag: AsText(service.etag.clone()),
            trust_version: service.trust_version,
        }
    }

    /// Reads it back; keys are [`KeyPair::hidden`].
    pub(crate) fn read(self) -> ProvisioningService {
        let policies = self
            .policies
            .into_iter()
            .map(|(name, rights)| AccessPolicy {
                name: name.0,
                keys: KeyPair::hidden(),
                rights: Rights::from_bits(rights),
            });
        self.service
            .read(policies.collect(), self.etag.0, self.trust_version)
    }
}

/// The sealed part.
#[derive(Debug, Serialize, Deserialize)]
struct PolicyRecord {
    name: AsText<PolicyName>,
    rights: u8,
    keys: KeysRecord,
}

/// Names a service in errors.
pub(crate) fn spoken(scope: &IdScope) -> String {
    format!("provisioning service '{scope}'")
}

/// All services, by name.
pub(crate) fn all() -> Read<'static, ProvisioningService> {
    Read::new(
        "SELECT scope, etag, trust_version, record, secrets FROM services
         ORDER BY name_key, scope",
        Vec::new(),
        decode,
    )
}

/// One service.
pub(crate) fn one(scope: &IdScope) -> Read<'_, ProvisioningService> {
    Read::new(
        "SELECT scope, etag, trust_version, record, secrets FROM services WHERE scope = $1",
        vec![scope.key().into()],
        decode,
    )
}

fn decode(row: &Row<'_>, sealer: &Sealer) -> Result<ProvisioningService, Fault> {
    let record: ServiceRecord = from_text(TABLE, row.text(3)?)?;
    let policies: Vec<PolicyRecord> = open(sealer, TABLE, &[row.text(0)?], row.bytes(4)?)?;
    let policies = policies
        .into_iter()
        .map(|policy| AccessPolicy {
            name: policy.name.0,
            keys: policy.keys.into(),
            rights: Rights::from_bits(policy.rights),
        })
        .collect();
    Ok(record.read(policies, id::<Etag>(row.text(1)?)?, row.integer(2)?))
}

/// How much there is in a service.
pub(crate) fn contents(scope: &IdScope) -> Read<'_, Contents> {
    Read::new(
        "SELECT (SELECT COUNT(*) FROM individual_enrollments WHERE scope = $1),
                (SELECT COUNT(*) FROM enrollment_groups WHERE scope = $1),
                (SELECT COUNT(*) FROM ca_certificates WHERE scope = $1),
                (SELECT COUNT(*) FROM registrations WHERE scope = $1)",
        vec![scope.key().into()],
        |row, _| {
            let number = |column| row.integer(column).map(|n| u64::try_from(n).unwrap_or(0));
            Ok(Contents {
                individuals: number(0)?,
                groups: number(1)?,
                certificates: number(2)?,
                registrations: number(3)?,
            })
        },
    )
}

/// Holds that there is nothing in a service.
pub(crate) fn empty(session: &Session, scope: &IdScope) -> Result<(), Fault> {
    for (sql, what) in [
        (
            "SELECT 1 FROM individual_enrollments WHERE scope = $1 LIMIT 1",
            "an enrollment",
        ),
        (
            "SELECT 1 FROM enrollment_groups WHERE scope = $1 LIMIT 1",
            "an enrollment group",
        ),
        (
            "SELECT 1 FROM ca_certificates WHERE scope = $1 LIMIT 1",
            "a CA certificate",
        ),
        (
            "SELECT 1 FROM registrations WHERE scope = $1 LIMIT 1",
            "a registration",
        ),
    ] {
        if session
            .first(sql, &[scope.key().into()], |_| Ok(()))?
            .is_some()
        {
            let what = format!("{what} of {}", spoken(scope));
            return Err(Fault::Refused(CommitError::Exists(what)));
        }
    }
    Ok(())
}

/// Makes or replaces a service. The trust version of one that is there stays the store's own.
pub(crate) fn put(
    session: &Session,
    sealer: &Sealer,
    service: &ProvisioningService,
    expect: &Expect,
) -> Result<(), Fault> {
    let scope = service.id_scope.key();
    check(session, &service.id_scope, expect)?;
    let record = to_text(&ServiceRecord::of(service))?;
    let policies: Vec<PolicyRecord> = service
        .policies
        .iter()
        .map(|policy| PolicyRecord {
            name: AsText(policy.name.clone()),
            rights: policy.rights.bits(),
            keys: (&policy.keys).into(),
        })
        .collect();
    session.execute(
        "INSERT INTO services (scope, name_key, etag, trust_version, record, secrets)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (scope) DO UPDATE SET name_key = excluded.name_key, etag = excluded.etag,
           record = excluded.record, secrets = excluded.secrets",
        &[
            scope.into(),
            service.name.key().into(),
            service.etag.as_str().into(),
            service.trust_version.into(),
            record.into(),
            seal(sealer, TABLE, &[scope], &policies)?.into(),
        ],
    )?;
    Ok(())
}

/// Removes a service and everything in it.
pub(crate) fn delete(session: &Session, scope: &IdScope, expect: &Expect) -> Result<(), Fault> {
    check(session, scope, expect)?;
    // Traces may name a scope that has no service, so no reference takes them along.
    session.execute("DELETE FROM traces WHERE scope = $1", &[scope.key().into()])?;
    session.execute(
        "DELETE FROM services WHERE scope = $1",
        &[scope.key().into()],
    )?;
    Ok(())
}

/// Says that what the service trusts has changed.
pub(crate) fn advance_trust(session: &Session, scope: &IdScope) -> Result<(), Fault> {
    session.execute(
        "UPDATE services SET trust_version = trust_version + 1 WHERE scope = $1",
        &[scope.key().into()],
    )?;
    Ok(())
}

/// Refuses when there is no such service.
pub(crate) fn there(session: &Session, scope: &IdScope) -> Result<(), Fault> {
    check(session, scope, &Expect::Present)
}

fn check(session: &Session, scope: &IdScope, expect: &Expect) -> Result<(), Fault> {
    if *expect == Expect::Anything {
        return Ok(());
    }
    let there = session.first(
        "SELECT etag FROM services WHERE scope = $1",
        &[scope.key().into()],
        |row| row.text(0).map(str::to_owned),
    )?;
    meets(expect, there.as_deref(), || spoken(scope))
}
