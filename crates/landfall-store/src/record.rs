//! The pieces that every record is made of: its version, ids, words, bytes and documents.
//!
//! Records are the store's own JSON, told apart from the wire's: a field that the API renames does
//! not change what is on disk. The words are spelt here once.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use landfall_core::attestation::{AttestationKind, Slots};
use landfall_core::audit::{Action, ActorKind, Kind};
use landfall_core::clock::Timestamp;
use landfall_core::document::Document;
use landfall_core::enrollment::{AllocationPolicy, ProvisioningStatus};
use landfall_core::id::{
    CertificateName, DeviceId, EnrollmentGroupId, Etag, HubHostName, IdScope, ModuleId,
    OperationId, PolicyName, RegistrationId, ServiceName, TrackingId,
};
use landfall_core::registration::Substatus;
use landfall_core::secret::{KeyPair, SymmetricKey};
use landfall_hub::device::DeviceStatus;
use landfall_hub::event::EventKind;
use landfall_hub::message::Ack;
use serde::de::{DeserializeOwned, Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::dialect::Fault;
use crate::secret::Sealer;

/// Writes a record as the text that is kept.
pub(crate) fn to_text<T: Serialize>(record: &T) -> Result<String, Fault> {
    let kept = |e: &dyn fmt::Display| Fault::Record(format!("a record cannot be kept: {e}"));
    // Room for most, so that none is copied while it grows.
    let mut text = Vec::with_capacity(1536);
    serde_json::to_writer(&mut text, record).map_err(|e| kept(&e))?;
    String::from_utf8(text).map_err(|e| kept(&e))
}

/// Reads a record back; `what` names it when it cannot be read.
pub(crate) fn from_text<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Fault> {
    serde_json::from_str(text)
        .map_err(|e| Fault::Record(format!("a record of {what} cannot be read: {e}")))
}

/// Seals a record for one row.
pub(crate) fn seal<T: Serialize>(
    sealer: &Sealer,
    table: &str,
    keys: &[&str],
    record: &T,
) -> Result<Vec<u8>, Fault> {
    let plain = Zeroizing::new(to_text(record)?);
    sealer.seal(table, keys, plain.as_bytes())
}

/// Opens a record that was sealed for this row. The error never shows what was inside.
pub(crate) fn open<T: DeserializeOwned>(
    sealer: &Sealer,
    table: &str,
    keys: &[&str],
    blob: Option<&[u8]>,
) -> Result<T, Fault> {
    let blob = blob.ok_or_else(|| Fault::Record(format!("a row of {table} has no sealed part")))?;
    let plain = sealer.open(table, keys, blob)?;
    serde_json::from_slice(&plain).map_err(|e| {
        Fault::Record(format!(
            "the sealed part of {table} {} cannot be read at byte {}",
            keys.join("/"),
            e.column()
        ))
    })
}

/// The version of a record's form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version;

impl Version {
    const NOW: u32 = 1;
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u32(Version::NOW)
    }
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match u32::deserialize(from)? {
            Version::NOW => Ok(Version),
            other => Err(D::Error::custom(format!(
                "it has version {other}, this build reads version {}",
                Version::NOW
            ))),
        }
    }
}

/// Something that is kept as one text.
pub(crate) trait Kept: Sized {
    /// What it is, for errors.
    const WHAT: &'static str;
    /// The text.
    fn text(&self) -> &str;
    /// Reads the text back.
    fn of(text: &str) -> Option<Self>;
}

/// A value inside a record that is kept as one text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AsText<T>(pub(crate) T);

impl<T: Kept> Serialize for AsText<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.0.text())
    }
}

impl<'de, T: Kept> Deserialize<'de> for AsText<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reading<T>(std::marker::PhantomData<T>);
        impl<T: Kept> Visitor<'_> for Reading<T> {
            type Value = AsText<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::WHAT)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<AsText<T>, E> {
                T::of(text)
                    .map(AsText)
                    .ok_or_else(|| E::custom(format!("'{text}' is no {}", T::WHAT)))
            }
        }
        from.deserialize_str(Reading(std::marker::PhantomData))
    }
}

macro_rules! kept_ids {
    ($($name:ident),*) => {$(
        impl Kept for $name {
            const WHAT: &'static str = stringify!($name);
            fn text(&self) -> &str {
                self.as_str()
            }
            fn of(text: &str) -> Option<Self> {
                $name::parse(text).ok()
            }
        }
    )*};
}

kept_ids!(
    CertificateName,
    DeviceId,
    EnrollmentGroupId,
    Etag,
    HubHostName,
    IdScope,
    ModuleId,
    OperationId,
    PolicyName,
    RegistrationId,
    ServiceName,
    TrackingId
);

macro_rules! kept_words {
    ($($name:ident { $($variant:ident = $word:literal),* })*) => {$(
        impl Kept for $name {
            const WHAT: &'static str = stringify!($name);
            fn text(&self) -> &'static str {
                match self { $($name::$variant => $word),* }
            }
            fn of(text: &str) -> Option<Self> {
                match text { $($word => Some($name::$variant),)* _ => None }
            }
        }
    )*};
}

// The words stand in indexed columns as they are here; a query's word is compared in lower case,
// so a column holds `column_word` of them.
kept_words! {
    ProvisioningStatus { Enabled = "enabled", Disabled = "disabled" }
    AttestationKind { SymmetricKey = "symmetricKey", X509 = "x509", Tpm = "tpm" }
    AllocationPolicy {
        Hashed = "hashed", GeoLatency = "geoLatency", Static = "static", Custom = "custom"
    }
    Substatus {
        InitialAssignment = "initialAssignment",
        DeviceDataMigrated = "deviceDataMigrated",
        DeviceDataReset = "deviceDataReset",
        ReprovisionedToInitialAssignment = "reprovisionedToInitialAssignment"
    }
    DeviceStatus { Enabled = "enabled", Disabled = "disabled" }
    Action { Create = "create", Update = "update", Delete = "delete" }
    Kind {
        Service = "service", Policy = "policy", Enrollment = "enrollment", Group = "group",
        Certificate = "certificate", Registration = "registration", Hub = "hub",
        Device = "device", Module = "module", Twin = "twin"
    }
    Ack { None = "none", Positive = "positive", Negative = "negative", Full = "full" }
    EventKind {
        Telemetry = "telemetry", DeviceConnected = "deviceConnected",
        DeviceDisconnected = "deviceDisconnected"
    }
    ActorKind {
        ServicePolicy = "servicePolicy", HubPolicy = "hubPolicy",
        ControlToken = "controlToken", Server = "server"
    }
}

/// A word as a column holds it that is only read.
pub(crate) fn word<T: Kept>(value: &T) -> &str {
    value.text()
}

/// A word as an indexed column holds it.
pub(crate) fn column_word<T: Kept>(value: &T) -> String {
    value.text().to_ascii_lowercase()
}

/// Bytes inside a record; wiped when dropped, shown by no `Debug`.
#[derive(Clone)]
pub(crate) struct Bytes(pub(crate) Zeroizing<Vec<u8>>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bytes(hidden)")
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&Zeroizing::new(STANDARD_NO_PAD.encode(&*self.0)))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(from)?);
        STANDARD_NO_PAD
            .decode(text.as_bytes())
            .map(|bytes| Bytes(Zeroizing::new(bytes)))
            .map_err(|_| D::Error::custom("bytes that are not base64"))
    }
}

/// A pair of keys; only ever inside a sealed record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct KeysRecord {
    primary: Bytes,
    secondary: Bytes,
}

impl From<&KeyPair> for KeysRecord {
    fn from(keys: &KeyPair) -> Self {
        let bytes = |key: &SymmetricKey| Bytes(Zeroizing::new(key.bytes().to_vec()));
        KeysRecord {
            primary: bytes(&keys.primary),
            secondary: bytes(&keys.secondary),
        }
    }
}

impl From<KeysRecord> for KeyPair {
    fn from(record: KeysRecord) -> Self {
        let key = |mut bytes: Bytes| SymmetricKey::from_bytes(std::mem::take(&mut *bytes.0));
        KeyPair {
            primary: key(record.primary),
            secondary: key(record.secondary),
        }
    }
}

/// Two slots inside a record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SlotsRecord<T> {
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    primary: Option<T>,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    secondary: Option<T>,
}

impl<T> SlotsRecord<T> {
    /// Writes both slots down.
    pub(crate) fn of<U>(slots: &Slots<U>, write: impl Fn(&U) -> T) -> Self {
        SlotsRecord {
            primary: slots.primary.as_ref().map(&write),
            secondary: slots.secondary.as_ref().map(&write),
        }
    }

    /// Reads both slots back.
    pub(crate) fn read<U>(self, read: impl Fn(T) -> Result<U, Fault>) -> Result<Slots<U>, Fault> {
        Slots::new(
            self.primary.map(&read).transpose()?,
            self.secondary.map(&read).transpose()?,
        )
        .ok_or_else(|| Fault::Record("a record has two empty slots".to_owned()))
    }
}

fn none<T>() -> Option<T> {
    None
}

/// A document inside a record, as the text it is. `Debug` hides it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Embedded(Box<RawValue>);

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedded({} bytes)", self.0.get().len())
    }
}

impl Embedded {
    /// Embeds a document.
    pub(crate) fn of(document: &Document) -> Result<Self, Fault> {
        RawValue::from_string(document.as_str().to_owned())
            .map(Embedded)
            .map_err(|e| Fault::Record(format!("a document cannot be kept: {e}")))
    }

    /// Embeds a document that may be absent.
    pub(crate) fn maybe(document: Option<&Document>) -> Result<Option<Self>, Fault> {
        document.map(Embedded::of).transpose()
    }

    /// Takes the document out.
    pub(crate) fn document(&self) -> Document {
        Document::kept(self.0.get())
    }
}

/// Reads an optional embedded value. Told apart from `Option<Embedded>`, which would take the
/// document `null` for an absent one.
pub(crate) fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Embedded>, D::Error> {
    Embedded::deserialize(from).map(Some)
}

/// A time inside a record, in microseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Micros(pub(crate) i64);

impl From<Timestamp> for Micros {
    fn from(time: Timestamp) -> Self {
        Micros(time.unix_micros())
    }
}

impl From<Micros> for Timestamp {
    fn from(micros: Micros) -> Self {
        Timestamp::from_unix_micros(micros.0)
    }
}

/// Reads an id that stands in a column.
pub(crate) fn id<T: Kept>(text: &str) -> Result<T, Fault> {
    T::of(text).ok_or_else(|| Fault::Record(format!("'{text}' in the database is no {}", T::WHAT)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_keys_and_documents_are_not_printed() {
        let key = |byte| SymmetricKey::from_bytes(vec![byte; 16]);
        let keys = KeysRecord::from(&KeyPair {
            primary: key(7),
            secondary: key(7),
        });
        let document = Embedded::of(&Document::empty_object()).expect("kept");
        assert_eq!(
            format!("{keys:?} {document:?}"),
            "KeysRecord { primary: Bytes(hidden), secondary: Bytes(hidden) } Embedded(2 bytes)"
        );
    }
}
