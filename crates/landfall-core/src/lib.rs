//! What provisioning means: the rules of the service, without socket, clock, randomness or SQL.
//!
//! One registration, in ten lines:
//! 1. an adapter (HTTPS today) turns bytes into an [`exchange::Exchange`];
//! 2. [`authentication`] holds its evidence against the enrollment in force and gives [`attestation::Attested`];
//! 3. [`registration::operation::Operation`] begins from that proof and says its next step;
//! 4. [`allocation`] picks one of the [`linked_hub`]s;
//! 5. the [`linked_hub::HubRegistry`] port makes, keeps, moves or resets the device there;
//! 6. the [`store::Store`] port writes operation, registration and device in one durable commit;
//! 7. `landfall-wire` says the answer; [`trace`] keeps the reason.
//!
//! Rules of this floor: nothing here awaits except [`administration`], which awaits ports only;
//! time and chance are arguments; JSON is an opaque [`document::Document`].

pub mod administration;
pub mod allocation;
pub mod attestation;
pub mod audit;
pub mod authentication;
pub mod certificate;
pub mod clock;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod document;
pub mod enrollment;
pub mod error;
pub mod exchange;
pub mod id;
pub mod linked_hub;
pub mod policy;
pub mod query;
pub mod registration;
pub mod sas;
pub mod secret;
pub mod service;
pub mod store;
pub mod trace;
pub mod twin;
