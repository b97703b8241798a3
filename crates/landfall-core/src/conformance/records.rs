//! Records to put into a store: every field filled somewhere, so that none can get lost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::attestation::{
    AttestationKind, AttestationMechanism, Slots, TpmAttestation, X509Attestation,
};
use crate::certificate::Certificate;
use crate::certificate::ca::CaCertificate;
use crate::clock::{Entropy, Timestamp};
use crate::document::Document;
use crate::enrollment::{
    AllocationPolicy, CustomAllocation, DeviceCapabilities, EnrollmentGroup, EnrollmentTerms,
    IndividualEnrollment, InitialTwin, ProvisioningStatus, ReprovisionPolicy,
};
use crate::id::{
    CertificateName, DeviceId, EnrollmentGroupId, Etag, HubHostName, IdScope, OperationId,
    PolicyName, RegistrationId, ServiceName, TrackingId,
};
use crate::linked_hub::{HubCredential, LinkedHub, Manner, Placement};
use crate::registration::operation::{Admission, Operation, Progress};
use crate::registration::{Assignment, EnrollmentRef, Registration, RegistrationStatus, Substatus};
use crate::secret::KeyPair;
use crate::service::{AccessPolicy, ProvisioningService, Rights};

/// Two self-signed P-256 certificates, valid until 2100.
const CERTIFICATES: [&str; 2] = [
    "MIIBnDCCAUOgAwIBAgIUIKnpOLo+MWVZTkFal//TZ9Aj3skwCgYIKoZIzj0EAwIwIzEhMB8GA1UEAwwYbGFu\
     ZGZhbGwgY29uZm9ybWFuY2Ugb25lMCAXDTI2MTEyMjA3MzgzMFoYDzIxMDAxMDI1MDczODMwWjAjMSEwHwYD\
     VQQDDBhsYW5kZmFsbCBjb25mb3JtYW5jZSBvbmUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARB6IUPVu7E\
     fcLiOoKN8I5kj27fHDhrLbjTosk68LHfBXjPGJV86x4e8oTGZRah1DCUR+nUOIzzbm28iqR5ZqNXo1MwUTAd\
     BgNVHQ4EFgQUYsjyrFCn5hRJu9EOK/9bGU7TDfUwHwYDVR0jBBgwFoAUYsjyrFCn5hRJu9EOK/9bGU7TDfUw\
     DwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiB3ArVhll70qOoTMK/PUTCPp6gFHFU1+1JD+4Fm\
     Cse7KQIgQcm4SgTiWk19Yv5wq+nmwfrj6LzQgQkWYMEVBWMGqkc=",
    "MIIBnDCCAUOgAwIBAgIUc0ip74BePYStxAmtXt5qdx49sTQwCgYIKoZIzj0EAwIwIzEhMB8GA1UEAwwYbGFu\
     ZGZhbGwgY29uZm9ybWFuY2UgdHdvMCAXDTI2MTEyMjA3MzgzMFoYDzIxMDAxMDI1MDczODMwWjAjMSEwHwYD\
     VQQDDBhsYW5kZmFsbCBjb25mb3JtYW5jZSB0d28wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ8Rzi0Rv4i\
     /khoP1dELaiwDBSUvDGMZZ759tRk4nSsXs7vTyy2aJhEWeZkGWMZgnl1th2f8f+7Gfx6u0tDGdtuo1MwUTAd\
     BgNVHQ4EFgQUb0Da87Aw04LCJquAd4Fu59EjnNUwHwYDVR0jBBgwFoAUb0Da87Aw04LCJquAd4Fu59EjnNUw\
     DwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBy61i5SDGxhlQoWiQ/IWLv8/697Ck76PvIngGT\
     JbtYgwIgedlpnBVnF20R/PU76HOvKdnxURkGerTenn6jWENinvE=",
];

/// The time the records are made.
pub(super) const NOW: Timestamp = Timestamp::from_unix_micros(1_657_056_436_812_323);

/// Makes records.
pub struct Samples<'e> {
    entropy: &'e dyn Entropy,
}

impl std::fmt::Debug for Samples<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Samples")
    }
}

impl<'e> Samples<'e> {
    /// Draws keys and etags from `entropy`.
    pub fn new(entropy: &'e dyn Entropy) -> Self {
        Samples { entropy }
    }

    /// A fresh etag.
    pub fn etag(&self) -> Etag {
        Etag::draw(self.entropy)
    }

    /// A fresh pair of keys.
    pub fn keys(&self) -> KeyPair {
        KeyPair::draw(self.entropy, 64)
    }

    /// One of two certificates.
    pub fn certificate(&self, second: bool) -> Certificate {
        let text = CERTIFICATES[usize::from(second)];
        let der = STANDARD.decode(text).expect("base64");
        Certificate::from_der(&der).expect("a certificate")
    }

    /// A service with this id scope.
    pub fn service(&self, scope: &str) -> ProvisioningService {
        ProvisioningService {
            id_scope: IdScope::parse(scope).expect("a scope"),
            name: ServiceName::parse(&format!("Name-{scope}")).expect("a name"),
            host_name: "dps.example".to_owned(),
            policies: vec![
                AccessPolicy::owner(PolicyName::parse("Owner").expect("a name"), self.entropy),
                AccessPolicy {
                    name: PolicyName::parse("reader").expect("a name"),
                    keys: self.keys(),
                    rights: Rights::ENROLLMENT_READ,
                },
            ],
            allocation: AllocationPolicy::GeoLatency,
            linked_hubs: vec![LinkedHub {
                host_name: hub(),
                allocation_weight: 7,
                apply_allocation_policy: false,
                location: "north".to_owned(),
            }],
            require_verified_chain: true,
            etag: self.etag(),
            trust_version: 0,
            created: NOW,
        }
    }

    /// Terms with every field filled.
    pub fn terms(&self) -> EnrollmentTerms {
        EnrollmentTerms {
            status: ProvisioningStatus::Disabled,
            reprovision: Some(ReprovisionPolicy {
                update_hub_assignment: false,
                migrate_device_data: true,
            }),
            allocation: Some(AllocationPolicy::Custom),
            hubs: vec![hub(), HubHostName::parse("two.example").expect("a hub")],
            legacy_hub: Some(hub()),
            custom_allocation: Some(CustomAllocation {
                webhook_url: "https://example.org/hook?code=hush".to_owned(),
                api_version: "2021-10-01".to_owned(),
            }),
            capabilities: DeviceCapabilities { iot_edge: true },
            initial_twin: Some(InitialTwin {
                tags: Some(document(
                    r#"{"environment":"test","floor":{"n":3,"wet":false}}"#,
                )),
                desired: Some(document(r#"{ "period" : 1.50 }"#)),
            }),
            extra: vec![("newField".to_owned(), r#"{"a":null}"#.to_owned())],
            etag: self.etag(),
            created: NOW,
            updated: NOW.plus(std::time::Duration::from_micros(1)),
        }
    }

    /// Terms with every field left out that may be.
    pub fn bare_terms(&self) -> EnrollmentTerms {
        EnrollmentTerms {
            status: ProvisioningStatus::Enabled,
            reprovision: None,
            allocation: None,
            hubs: Vec::new(),
            legacy_hub: None,
            custom_allocation: None,
            capabilities: DeviceCapabilities::default(),
            initial_twin: None,
            extra: Vec::new(),
            etag: self.etag(),
            created: NOW,
            updated: NOW,
        }
    }

    /// An individual enrollment with keys and every field filled.
    pub fn individual(&self, id: &str) -> IndividualEnrollment {
        IndividualEnrollment {
            registration_id: registration_id(id),
            device_id: Some(DeviceId::parse("own-NAME").expect("an id")),
            device_information: Some(document(r#"[1, null, "ä"]"#)),
            attestation: AttestationMechanism::SymmetricKey(self.keys()),
            terms: self.terms(),
        }
    }

    /// An individual enrollment with this mechanism and little else.
    pub fn individual_by(
        &self,
        id: &str,
        attestation: AttestationMechanism,
    ) -> IndividualEnrollment {
        IndividualEnrollment {
            registration_id: registration_id(id),
            device_id: None,
            device_information: None,
            attestation,
            terms: self.bare_terms(),
        }
    }

    /// The device's own certificate as mechanism.
    pub fn client(&self, second: bool) -> AttestationMechanism {
        AttestationMechanism::X509(X509Attestation::Client(slots(
            self.certificate(second),
            None,
        )))
    }

    /// Every other mechanism there is.
    pub fn other_mechanisms(&self) -> Vec<AttestationMechanism> {
        let name = |name| CertificateName::parse(name).expect("a name");
        vec![
            AttestationMechanism::X509(X509Attestation::Client(slots(
                self.certificate(false),
                Some(self.certificate(true)),
            ))),
            AttestationMechanism::X509(X509Attestation::Signing(Slots {
                primary: None,
                secondary: Some(self.certificate(true)),
            })),
            AttestationMechanism::X509(X509Attestation::CaReference(slots(
                name("Root-1"),
                Some(name("root-2")),
            ))),
            AttestationMechanism::Tpm(TpmAttestation {
                endorsement_key: format!("AToAAQ{}", "x".repeat(400)),
                storage_root_key: Some("AToAAg==".to_owned()),
            }),
        ]
    }

    /// A group with this mechanism and every other field filled.
    pub fn group(&self, id: &str, attestation: AttestationMechanism) -> EnrollmentGroup {
        EnrollmentGroup {
            id: group_id(id),
            attestation,
            terms: self.terms(),
        }
    }

    /// A CA certificate under a name.
    pub fn ca(&self, name: &str, second: bool) -> CaCertificate {
        CaCertificate {
            name: CertificateName::parse(name).expect("a name"),
            certificate: self.certificate(second),
            verified: true,
            verification_code: Some("0123456789ABCDEF".repeat(3)),
            etag: self.etag(),
            created: NOW,
            updated: NOW,
        }
    }

    /// A registration that a group or an individual enrollment let in.
    pub fn registration(&self, id: &str, group: Option<&str>) -> Registration {
        Registration {
            registration_id: registration_id(id),
            enrollment: match group {
                Some(group) => EnrollmentRef::Group(group_id(group)),
                None => EnrollmentRef::Individual,
            },
            kind: AttestationKind::X509,
            status: RegistrationStatus::Assigned,
            assignment: Some(Assignment {
                hub: hub(),
                device_id: DeviceId::parse("own-NAME").expect("an id"),
                substatus: Substatus::DeviceDataMigrated,
            }),
            payload: Some(document("null")),
            etag: self.etag(),
            created: NOW,
            updated: NOW,
        }
    }

    /// What an operation knows of its device.
    pub fn admission(&self, id: &str) -> Admission {
        Admission {
            enrollment: EnrollmentRef::Group(group_id("g")),
            kind: AttestationKind::SymmetricKey,
            credential: HubCredential::Keys(self.keys()),
            device_id: DeviceId::parse("own-NAME").expect("an id"),
            terms: self.terms(),
            payload: Some(document(r#"{"a": "b"}"#)),
            before: Some(self.registration(id, Some("g"))),
        }
    }

    /// A placement.
    pub fn placement(&self, manner: Manner) -> Placement {
        Placement {
            hub: hub(),
            device_id: DeviceId::parse("own-NAME").expect("an id"),
            credential: HubCredential::Thumbprints {
                primary: "A".repeat(64),
                secondary: "B".repeat(64),
            },
            capabilities: DeviceCapabilities { iot_edge: true },
            initial_twin: InitialTwin {
                tags: Some(document(r#"{"a":1}"#)),
                desired: None,
            },
            manner,
        }
    }

    /// An operation, begun and last moved at a second after [`NOW`].
    pub fn operation(
        &self,
        scope: &IdScope,
        id: &str,
        progress: Progress,
        second: u64,
    ) -> Operation {
        let at = NOW.plus(std::time::Duration::from_secs(second));
        Operation {
            id: OperationId::draw(at, self.entropy),
            id_scope: scope.clone(),
            registration_id: registration_id(id),
            tracking_id: TrackingId::draw(at, self.entropy),
            progress,
            created: at,
            updated: at,
        }
    }

    /// A fresh tracking id.
    pub fn tracking_id(&self) -> TrackingId {
        TrackingId::draw(NOW, self.entropy)
    }
}

fn slots<T>(primary: T, secondary: Option<T>) -> Slots<T> {
    Slots {
        primary: Some(primary),
        secondary,
    }
}

pub(super) fn registration_id(id: &str) -> RegistrationId {
    RegistrationId::parse(id).expect("an id")
}

pub(super) fn group_id(id: &str) -> EnrollmentGroupId {
    EnrollmentGroupId::parse(id).expect("an id")
}

pub(super) fn document(text: &str) -> Document {
    Document::parse(text).expect("JSON")
}

pub(super) fn hub() -> HubHostName {
    HubHostName::parse("Hub.example").expect("a hub")
}
