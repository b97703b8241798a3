//! What the driver does when records change under it.

use std::sync::Mutex;

use std::sync::Arc;

use landfall_core::attestation::{AttestationKind, AttestationMechanism, Evidence};
use landfall_core::clock::Timestamp;
use landfall_core::enrollment::{
    AllocationPolicy, DeviceCapabilities, EnrollmentGroup, EnrollmentTerms, IndividualEnrollment,
    ProvisioningStatus,
};
use landfall_core::id::RegistrationId;
use landfall_core::id::{
    DeviceId, EnrollmentGroupId, HubHostName, IdScope, ServiceName, TrackingId,
};
use landfall_core::linked_hub::PlacementError;
use landfall_core::linked_hub::{HubCredential, LinkedHub, Placement};
use landfall_core::registration::operation::Progress;
use landfall_core::registration::{Assignment, RegistrationStatus, Substatus};
use landfall_core::sas::{SasToken, sign};
use landfall_core::secret::KeyPair;
use landfall_hub::device::{DeviceAuthentication, Hub};
use landfall_hub::policy::default_policies;
use landfall_hub::registry::EmbeddedHubs;
use landfall_hub::store::{HubExpect, HubStore, HubWrite};
use landfall_store::SqlStore;
use landfall_store::secret::SealingKey;
use tempfile::TempDir;

use super::*;
use crate::time::SystemEntropy;

/// The embedded hubs, and what somebody else commits between a placement and its record.
struct Overtaken {
    hubs: EmbeddedHubs<SqlStore>,
    store: Arc<SqlStore>,
    meanwhile: Mutex<Option<Change<HubWrite>>>,
}

impl HubRegistry for Overtaken {
    type Write = HubWrite;

    async fn place(&self, placement: &Placement) -> Result<Placed<HubWrite>, PlacementError> {
        let placed = self.hubs.place(placement).await;
        let meanwhile = self.meanwhile.lock().expect("whole").take();
        if let Some(change) = meanwhile {
            assert_eq!(self.store.commit(vec![change]).await, [Ok(())]);
        }
        placed
    }
}

/// A service with one hub and one group, in a database of its own.
struct House {
    provisioning: Provisioning<SqlStore, Overtaken>,
    group: EnrollmentGroup,
    keys: KeyPair,
    _folder: TempDir,
}

fn scope() -> IdScope {
    IdScope::parse("0neA").expect("a scope")
}

fn hub() -> HubHostName {
    HubHostName::parse("hub.example").expect("a name")
}

fn id() -> RegistrationId {
    RegistrationId::parse("dev").expect("an id")
}

fn device_id() -> DeviceId {
    DeviceId::parse("dev").expect("an id")
}

fn terms(status: ProvisioningStatus) -> EnrollmentTerms {
    let created = Timestamp::from_unix_seconds(1_700_000_000);
    EnrollmentTerms {
        status,
        reprovision: None,
        allocation: None,
        hubs: Vec::new(),
        legacy_hub: None,
        custom_allocation: None,
        capabilities: DeviceCapabilities::default(),
        initial_twin: None,
        extra: Vec::new(),
        etag: Etag::draw(&SystemEntropy),
        created,
        updated: created,
    }
}

impl House {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let sealing = SealingKey::generate(&SystemEntropy);
        let backend = Backend::sqlite(folder.path().join("landfall.db"), sealing).expect("a store");
        let keys = KeyPair::draw(&SystemEntropy, 64);
        let group = EnrollmentGroup {
            id: EnrollmentGroupId::parse("fleet").expect("an id"),
            attestation: AttestationMechanism::SymmetricKey(keys.clone()),
            terms: terms(ProvisioningStatus::Enabled),
        };
        let created = backend.clock.now();
        let service = ProvisioningService {
            id_scope: scope(),
            name: ServiceName::parse("dps").expect("a name"),
            host_name: "dps.test".to_owned(),
            policies: Vec::new(),
            allocation: AllocationPolicy::Hashed,
            linked_hubs: vec![LinkedHub {
                host_name: hub(),
                allocation_weight: 1,
                apply_allocation_policy: true,
                location: String::new(),
            }],
            require_verified_chain: false,
            etag: Etag::draw(&SystemEntropy),
            trust_version: 1,
            created,
        };
        let record = Hub {
            host_name: hub(),
            policies: default_policies(&SystemEntropy),
            created,
            revision: 0,
        };
        let founding = Change {
            writes: vec![
                Write::PutService(Box::new(service), Expect::Absent),
                Write::PutGroup(scope(), Box::new(group.clone()), Expect::Absent),
            ],
            hub_writes: vec![HubWrite::PutHub(Box::new(record), HubExpect::Absent)],
            ..Change::default()
        };
        assert_eq!(backend.store.commit(vec![founding]).await, [Ok(())]);
        let hubs = Overtaken {
            hubs: EmbeddedHubs::new(
                Arc::clone(&backend.store),
                Arc::clone(&backend.clock),
                Arc::clone(&backend.entropy),
            ),
            store: Arc::clone(&backend.store),
            meanwhile: Mutex::default(),
        };
        House {
            provisioning: Provisioning::new(backend, hubs),
            group,
            keys,
            _folder: folder,
        }
    }

    fn store(&self) -> &SqlStore {
        &self.provisioning.backend.store
    }

    fn meanwhile(&self, change: Change<HubWrite>) {
        *self.provisioning.hubs.meanwhile.lock().expect("whole") = Some(change);
    }

    fn attempt(&self) -> Attempt {
        let now = self.provisioning.backend.clock.now();
        Attempt::begin(
            TrackingId::draw(now, &SystemEntropy),
            "test",
            String::new(),
            now,
        )
    }

    async fn write(&self, write: Write) {
        assert_eq!(self.store().commit(vec![Change::of(write)]).await, [Ok(())]);
    }

    async fn register(&self) -> Result<OperationId, Error> {
        let key = self.keys.primary.derive("dev");
        let expiry = self.provisioning.backend.clock.now().plus(COME_BACK);
        let token = sign("0neA/registrations/dev", &key, Some("registration"), expiry);
        let exchange = Exchange {
            id_scope: scope(),
            registration_id: id(),
            action: Action::Register { payload: None },
            evidence: Evidence {
                token: Some(SasToken::parse(&token)),
                ..Evidence::default()
            },
            api_version: "2021-06-01".to_owned(),
            protocol: "test",
        };
        match self
            .provisioning
            .answer(&exchange, &mut self.attempt())
            .await?
        {
            Answer::Accepted(id) => Ok(id),
            other => panic!("{other:?}"),
        }
    }

    async fn registration(&self) -> Option<Registration> {
        let kept = self.store().registration(&scope(), &id()).await;
        kept.expect("reads")
    }

    /// An operation of the device that was written down before a crash.
    async fn unfinished(&self, keys: &KeyPair, before: Option<Registration>) -> Operation {
        let now = self.provisioning.backend.clock.now();
        let admission = Admission {
            enrollment: EnrollmentRef::Group(self.group.id.clone()),
            kind: AttestationKind::SymmetricKey,
            credential: HubCredential::Keys(keys.clone()),
            device_id: device_id(),
            terms: self.group.terms.clone(),
            payload: None,
            before,
        };
        let operation = Operation::begin(
            OperationId::draw(now, &SystemEntropy),
            scope(),
            id(),
            TrackingId::draw(now, &SystemEntropy),
            admission,
            now,
        );
        self.write(Write::PutOperation(Box::new(operation.clone())))
            .await;
        operation
    }

    async fn outcome_of(&self, operation: &Operation) -> Option<Registration> {
        let kept = self.store().operation(&scope(), &operation.id).await;
        match kept.expect("reads").expect("an operation").progress {
            Progress::Finished(registration) => Some(*registration),
            Progress::Accepted(_) | Progress::Allocated(..) => None,
        }
    }
}

#[tokio::test]
async fn an_individual_enrollment_made_meanwhile_keeps_the_device_out_of_its_group() {
    let house = House::new().await;
    let barring = IndividualEnrollment {
        registration_id: id(),
        device_id: None,
        device_information: None,
        attestation: AttestationMechanism::SymmetricKey(KeyPair::draw(&SystemEntropy, 64)),
        terms: terms(ProvisioningStatus::Disabled),
    };
    house.meanwhile(Change::of(Write::PutIndividual(
        scope(),
        Box::new(barring),
        Expect::Absent,
    )));
    assert_eq!(house.register().await, Err(Error::Unauthorized));
    assert_eq!(house.registration().await, None);
    let device = house.store().device(&hub(), &device_id()).await;
    assert_eq!(device, Ok(None));
}

#[tokio::test]
async fn an_operation_whose_registration_was_removed_is_continued_as_a_first_one() {
    let house = House::new().await;
    house.register().await.expect("registers");
    let before = house.registration().await.expect("a registration");
    let operation = house.unfinished(&house.keys, Some(before)).await;
    house
        .write(Write::DeleteRegistration(scope(), id(), Expect::Present))
        .await;
    let resumed = house
        .provisioning
        .resume(operation.clone(), &mut house.attempt())
        .await;
    assert_eq!(resumed, Ok(()));
    let registration = house.registration().await.expect("a registration");
    assert_eq!(registration.status, RegistrationStatus::Assigned);
    assert_eq!(house.outcome_of(&operation).await, Some(registration));
}

#[tokio::test]
async fn an_operation_whose_device_changed_meanwhile_still_renews_it() {
    let house = House::new().await;
    house.register().await.expect("registers");
    let before = house.registration().await.expect("a registration");
    let fresh = KeyPair::draw(&SystemEntropy, 32);
    let operation = house.unfinished(&fresh, Some(before.clone())).await;
    let device = async || {
        let kept = house.store().device(&hub(), &device_id()).await;
        kept.expect("reads").expect("a device")
    };
    let mut touched = device().await;
    touched.status_reason = Some("looked at".to_owned());
    house.meanwhile(Change::of_hub(vec![HubWrite::PutDevice(
        hub(),
        Box::new(touched),
        HubExpect::Anything,
    )]));
    let resumed = house
        .provisioning
        .resume(operation.clone(), &mut house.attempt())
        .await;
    assert_eq!(resumed, Ok(()));
    assert_eq!(
        device().await.authentication,
        DeviceAuthentication::Sas(fresh)
    );
    assert_eq!(device().await.status_reason.as_deref(), Some("looked at"));
    let after = house.registration().await.expect("a registration");
    assert_ne!(after.etag, before.etag, "it registered once more");
    assert_eq!(house.outcome_of(&operation).await, Some(after));
}

#[tokio::test]
async fn an_operation_that_another_registration_overtook_ends_as_that_one() {
    let house = House::new().await;
    let operation = house.unfinished(&house.keys, None).await;
    house.register().await.expect("registers");
    let faster = house.registration().await.expect("a registration");
    assert_eq!(
        faster.assignment,
        Some(Assignment {
            hub: hub(),
            device_id: device_id(),
            substatus: Substatus::InitialAssignment,
        })
    );
    let resumed = house
        .provisioning
        .resume(operation.clone(), &mut house.attempt())
        .await;
    assert_eq!(resumed, Ok(()));
    assert_eq!(house.registration().await.as_ref(), Some(&faster));
    assert_eq!(house.outcome_of(&operation).await, Some(faster));
}
