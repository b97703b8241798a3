//! What the hub asks of a device or module: read from a request, settled against what is there.
//!
//! Called by `identity`, which makes and changes the records.

use landfall_core::clock::Entropy;
use landfall_core::secret::{KeyPair, SymmetricKey};

use crate::device::DeviceAuthentication;
use crate::error::HubError;

/// Length of the keys that the hub draws, in bytes.
const DRAWN_KEY: usize = 32;

/// What an operator wants the hub to ask of a device or module.
#[derive(Debug, Clone, PartialEq)]
pub enum AuthenticationRequest {
    /// A token. Without keys: those it has, or new ones.
    Sas {
        /// The first key.
        primary: Option<SymmetricKey>,
        /// The second key.
        secondary: Option<SymmetricKey>,
    },
    /// A certificate of its own.
    SelfSigned {
        /// The first thumbprint.
        primary: Option<String>,
        /// The second thumbprint.
        secondary: Option<String>,
    },
    /// A certificate under an uploaded CA.
    CertificateAuthority,
    /// Nothing.
    None,
}

/// What the hub asks of an identity after `request`, given what it asked before.
pub(super) fn settle(
    request: Option<&AuthenticationRequest>,
    before: Option<&DeviceAuthentication>,
    entropy: &dyn Entropy,
) -> Result<DeviceAuthentication, HubError> {
    match (request, before) {
        (None, Some(before)) => Ok(before.clone()),
        (
            Some(AuthenticationRequest::Sas {
                primary: Some(primary),
                secondary: Some(secondary),
            }),
            _,
        ) => Ok(DeviceAuthentication::Sas(KeyPair {
            primary: primary.clone(),
            secondary: secondary.clone(),
        })),
        (
            None
            | Some(AuthenticationRequest::Sas {
                primary: None,
                secondary: None,
            }),
            before,
        ) => Ok(match before {
            Some(DeviceAuthentication::Sas(keys)) => DeviceAuthentication::Sas(keys.clone()),
            _ => DeviceAuthentication::Sas(KeyPair::draw(entropy, DRAWN_KEY)),
        }),
        (Some(AuthenticationRequest::Sas { .. }), _) => Err(HubError::ArgumentInvalid(
            "Give both primaryKey and secondaryKey, or neither".to_owned(),
        )),
        (
            Some(AuthenticationRequest::SelfSigned {
                primary: None,
                secondary: None,
            }),
            Some(before @ DeviceAuthentication::SelfSigned { .. }),
        ) => Ok(before.clone()),
        (Some(AuthenticationRequest::SelfSigned { primary, secondary }), _) => {
            if primary.is_none() && secondary.is_none() {
                return Err(HubError::ArgumentInvalid(
                    "Authentication type selfSigned needs a primaryThumbprint or a \
                     secondaryThumbprint"
                        .to_owned(),
                ));
            }
            for thumbprint in primary.iter().chain(secondary) {
                check_thumbprint(thumbprint)?;
            }
            Ok(DeviceAuthentication::SelfSigned {
                primary: primary.clone(),
                secondary: secondary.clone(),
            })
        }
        (Some(AuthenticationRequest::CertificateAuthority), _) => {
            Ok(DeviceAuthentication::CertificateAuthority)
        }
        (Some(AuthenticationRequest::None), _) => Ok(DeviceAuthentication::None),
    }
}

fn check_thumbprint(thumbprint: &str) -> Result<(), HubError> {
    let hex = thumbprint.bytes().all(|b| b.is_ascii_hexdigit());
    if hex && matches!(thumbprint.len(), 40 | 64) {
        Ok(())
    } else {
        Err(HubError::ArgumentInvalid(
            "A thumbprint is 40 (SHA-1) or 64 (SHA-256) hex digits without separators".to_owned(),
        ))
    }
}
