//! Enrollments as records. Keys and the webhook's address are sealed apart; etag and tags stand in
//! columns of their own, except inside an operation, where the record is whole.

use landfall_core::attestation::{AttestationMechanism, TpmAttestation, X509Attestation};
use landfall_core::document::Document;
use landfall_core::enrollment::{
    AllocationPolicy, CustomAllocation, DeviceCapabilities, EnrollmentTerms, ProvisioningStatus,
    ReprovisionPolicy,
};
use landfall_core::id::{CertificateName, Etag, HubHostName};
use landfall_core::secret::{KeyPair, SymmetricKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::certificates::{certificate, der};
use crate::dialect::Fault;
use crate::linked_hubs::InitialTwinRecord;
use crate::record::{AsText, Bytes, KeysRecord, Micros, SlotsRecord, to_text};

/// How a device proves itself, without the keys.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum AttestationRecord {
    SymmetricKey,
    Client(SlotsRecord<Bytes>),
    Signing(SlotsRecord<Bytes>),
    CaReference(SlotsRecord<AsText<CertificateName>>),
    Tpm {
        endorsement_key: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        storage_root_key: Option<String>,
    },
}

impl From<&AttestationMechanism> for AttestationRecord {
    fn from(mechanism: &AttestationMechanism) -> Self {
        match mechanism {
            AttestationMechanism::SymmetricKey(_) => AttestationRecord::SymmetricKey,
            AttestationMechanism::X509(X509Attestation::Client(slots)) => {
                AttestationRecord::Client(SlotsRecord::of(slots, der))
            }
            AttestationMechanism::X509(X509Attestation::Signing(slots)) => {
                AttestationRecord::Signing(SlotsRecord::of(slots, der))
            }
            AttestationMechanism::X509(X509Attestation::CaReference(slots)) => {
                AttestationRecord::CaReference(SlotsRecord::of(slots, |name| AsText(name.clone())))
            }
            AttestationMechanism::Tpm(tpm) => AttestationRecord::Tpm {
                endorsement_key: tpm.endorsement_key.clone(),
                storage_root_key: tpm.storage_root_key.clone(),
            },
        }
    }
}

impl AttestationRecord {
    /// Reads the mechanism back, with the keys from the sealed part.
    pub(super) fn read(self, keys: Option<KeysRecord>) -> Result<AttestationMechanism, Fault> {
        Ok(match self {
            AttestationRecord::SymmetricKey => AttestationMechanism::SymmetricKey(
                keys.ok_or_else(|| Fault::Record("an enrollment has lost its keys".to_owned()))?
                    .into(),
            ),
            AttestationRecord::Client(slots) => AttestationMechanism::X509(
                X509Attestation::Client(slots.read(|der| certificate(&der))?),
            ),
            AttestationRecord::Signing(slots) => AttestationMechanism::X509(
                X509Attestation::Signing(slots.read(|der| certificate(&der))?),
            ),
            AttestationRecord::CaReference(slots) => AttestationMechanism::X509(
                X509Attestation::CaReference(slots.read(|name| Ok(name.0))?),
            ),
            AttestationRecord::Tpm {
                endorsement_key,
                storage_root_key,
            } => AttestationMechanism::Tpm(TpmAttestation {
                endorsement_key,
                storage_root_key,
            }),
        })
    }
}

/// The sealed part of an enrollment. It has no `Debug`: a webhook's address may hold a key.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct EnrollmentSecrets {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keys: Option<KeysRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) webhook_url: Option<String>,
}

/// What a sealed part begins with that is a pair of keys and nothing else: then the length of the first,
/// and both. JSON never begins so. Where there are a million, each byte is a megabyte.
const KEYS_ALONE: u8 = 1;

impl EnrollmentSecrets {
    /// What must be sealed of an enrollment, as it is sealed; `None` when nothing.
    pub(super) fn of(
        mechanism: &AttestationMechanism,
        terms: &EnrollmentTerms,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        let keys = match mechanism {
            AttestationMechanism::SymmetricKey(keys) => Some(keys),
            AttestationMechanism::X509(_) | AttestationMechanism::Tpm(_) => None,
        };
        match (keys, &terms.custom_allocation) {
            (None, None) => Ok(None),
            (Some(keys), None) => match u8::try_from(keys.primary.bytes().len()) {
                Ok(length) => {
                    let parts = [
                        &[KEYS_ALONE, length],
                        keys.primary.bytes(),
                        keys.secondary.bytes(),
                    ];
                    Ok(Some(Zeroizing::new(parts.concat())))
                }
                Err(_) => EnrollmentSecrets::json(Some(keys), None).map(Some),
            },
            (keys, webhook) => {
                let webhook = webhook.as_ref().map(|webhook| webhook.webhook_url.clone());
                EnrollmentSecrets::json(keys, webhook).map(Some)
            }
        }
    }

    fn json(
        keys: Option<&KeyPair>,
        webhook_url: Option<String>,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let secrets = EnrollmentSecrets {
            keys: keys.map(KeysRecord::from),
            webhook_url,
        };
        to_text(&secrets).map(|text| Zeroizing::new(text.into_bytes()))
    }

    /// Reads back what was sealed; nothing when it is none of the two forms.
    pub(super) fn read(plain: &[u8]) -> Option<Self> {
        let Some((&KEYS_ALONE, rest)) = plain.split_first() else {
            return serde_json::from_slice(plain).ok();
        };
        let (&length, keys) = rest.split_first()?;
        let (primary, secondary) = keys.split_at_checked(usize::from(length))?;
        let key = |bytes: &[u8]| SymmetricKey::from_bytes(bytes.to_vec());
        Some(EnrollmentSecrets {
            keys: Some(KeysRecord::from(&KeyPair {
                primary: key(primary),
                secondary: key(secondary),
            })),
            webhook_url: None,
        })
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct ReprovisionRecord {
    update_hub: bool,
    migrate_data: bool,
}

/// What an enrollment says about its devices.
#[derive(Serialize, Deserialize)]
pub(crate) struct TermsRecord {
    status: AsText<ProvisioningStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reprovision: Option<ReprovisionRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    allocation: Option<AsText<AllocationPolicy>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hubs: Vec<AsText<HubHostName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    legacy_hub: Option<AsText<HubHostName>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook_api_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook_url: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    iot_edge: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    initial_twin: Option<InitialTwinRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extra: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<AsText<Etag>>,
    created: Micros,
    /// Absent where it is the time of `created`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    updated: Option<Micros>,
}

impl TermsRecord {
    /// Writes everything down, webhook address included: for records that are sealed whole.
    pub(crate) fn whole(terms: &EnrollmentTerms) -> Result<Self, Fault> {
        let mut record = TermsRecord::apart(terms)?;
        record.initial_twin = terms
            .initial_twin
            .as_ref()
            .map(|twin| InitialTwinRecord::of(twin, true))
            .transpose()?;
        record.webhook_url = terms
            .custom_allocation
            .as_ref()
            .map(|webhook| webhook.webhook_url.clone());
        record.etag = Some(AsText(terms.etag.clone()));
        Ok(record)
    }

    /// Writes down what does not stand in columns or in the sealed part.
    pub(super) fn apart(terms: &EnrollmentTerms) -> Result<Self, Fault> {
        Ok(TermsRecord {
            status: AsText(terms.status),
            reprovision: terms.reprovision.map(|policy| ReprovisionRecord {
                update_hub: policy.update_hub_assignment,
                migrate_data: policy.migrate_device_data,
            }),
            allocation: terms.allocation.map(AsText),
            hubs: terms.hubs.iter().cloned().map(AsText).collect(),
            legacy_hub: terms.legacy_hub.clone().map(AsText),
            webhook_api_version: terms
                .custom_allocation
                .as_ref()
                .map(|webhook| webhook.api_version.clone()),
            webhook_url: None,
            iot_edge: terms.capabilities.iot_edge,
            initial_twin: terms
                .initial_twin
                .as_ref()
                .map(|twin| InitialTwinRecord::of(twin, false))
                .transpose()?,
            extra: terms.extra.clone(),
            etag: None,
            created: terms.created.into(),
            updated: (terms.updated != terms.created).then(|| terms.updated.into()),
        })
    }

    /// Reads back what was written whole.
    pub(crate) fn read_whole(mut self) -> Result<EnrollmentTerms, Fault> {
        let etag = self
            .etag
            .take()
            .ok_or_else(|| Fault::Record("an operation has lost an etag".to_owned()))?;
        let webhook_url = self.webhook_url.take();
        Ok(self.read(etag.0, None, webhook_url))
    }

    /// Reads back, with what stood apart. Empty `tags` are absent ones.
    pub(super) fn read(
        self,
        etag: Etag,
        tags: Option<Document>,
        webhook_url: Option<String>,
    ) -> EnrollmentTerms {
        EnrollmentTerms {
            status: self.status.0,
            reprovision: self.reprovision.map(|policy| ReprovisionPolicy {
                update_hub_assignment: policy.update_hub,
                migrate_device_data: policy.migrate_data,
            }),
            allocation: self.allocation.map(|word| word.0),
            hubs: self.hubs.into_iter().map(|hub| hub.0).collect(),
            legacy_hub: self.legacy_hub.map(|hub| hub.0),
            custom_allocation: webhook_url.zip(self.webhook_api_version).map(
                |(webhook_url, api_version)| CustomAllocation {
                    webhook_url,
                    api_version,
                },
            ),
            capabilities: DeviceCapabilities {
                iot_edge: self.iot_edge,
            },
            initial_twin: self.initial_twin.map(|record| {
                let mut twin = record.read();
                twin.tags = twin.tags.or(tags);
                twin
            }),
            extra: self.extra,
            etag,
            created: self.created.into(),
            updated: self.updated.unwrap_or(self.created).into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_a_sealed_part_are_read() {
        let plain = [&[KEYS_ALONE, 2], &b"abcde"[..]].concat();
        let keys = |plain: &[u8]| {
            let secrets = EnrollmentSecrets::read(plain).expect("a sealed part");
            let keys = KeyPair::from(secrets.keys.expect("keys"));
            (
                keys.primary.bytes().to_vec(),
                keys.secondary.bytes().to_vec(),
            )
        };
        assert_eq!(keys(&plain), (b"ab".to_vec(), b"cde".to_vec()));
        let older = br#"{"keys":{"primary":"YWI","secondary":"Y2Rl"}}"#;
        assert_eq!(keys(older), keys(&plain));
        for none in [&[][..], &[KEYS_ALONE], &[KEYS_ALONE, 9, 1], b"{", &[7, 7]] {
            assert!(EnrollmentSecrets::read(none).is_none(), "{none:?}");
        }
    }

    #[test]
    fn what_was_kept_before_with_every_member_is_read() {
        let older = r#"{"status":"enabled","iot_edge":false,"created":1,"updated":2}"#;
        let terms: TermsRecord = serde_json::from_str(older).expect("terms");
        let (created, updated) = (terms.created, terms.updated.expect("a time"));
        assert_eq!((created.0, updated.0, terms.iot_edge), (1, 2, false));
    }
}
