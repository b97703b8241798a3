//! Whether a device or module may connect: its status, and its proof held against what the hub asks of it.

use landfall_core::certificate::Certificate;
use landfall_core::clock::{Timestamp, spoken};
use landfall_core::sas::{LEEWAY, SasError, SasToken, covers};
use landfall_core::secret::KeyPair;

use super::{AccessError, authorize, without_port};
use crate::device::{Device, DeviceAuthentication, DeviceStatus, Hub, Module};
use crate::endpoint::Endpoint;
use crate::policy::Permissions;

/// What a device or module shows of itself.
#[derive(Debug, Clone, Default)]
pub struct Proof<'a> {
    /// Its token, or why what stands in its place is none.
    pub token: Option<Result<SasToken, SasError>>,
    /// The certificate of its TLS session, when it can be read.
    pub certificate: Option<&'a Certificate>,
}

/// Why a device or module is not let in. It is told none of it; the words are for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The hub does not know it.
    #[error("the hub has no such device or module")]
    NotThere,
    /// Its device is disabled.
    #[error("the device is disabled")]
    Disabled,
    /// It is a module that an edge runtime has yet to give a key.
    #[error("it has no credential of its own: it cannot connect by itself")]
    NoCredential,
    /// It shows neither a token nor a certificate.
    #[error("it sent neither a token nor a client certificate")]
    Nothing,
    /// What it sent is no token.
    #[error("{0}")]
    Token(SasError),
    /// It sent a token, and the hub asks for a certificate.
    #[error("it sent a token, and the hub asks it for a certificate")]
    TokenForCertificate,
    /// It showed a certificate alone, and the hub asks for a token.
    #[error("it sent no token, and the hub asks it for one")]
    CertificateForToken,
    /// The token is for something else.
    #[error("the token's resource (sr) is '{0}', which is not this device or module")]
    Resource(String),
    /// Neither key made the signature.
    #[error("the token is signed by neither of its keys")]
    Signature,
    /// The token has ended.
    #[error("the token expired {0} ago")]
    Expired(String),
    /// The token names a policy, which does not open this.
    #[error("{0}")]
    Policy(AccessError),
    /// The certificate is another one.
    #[error(
        "its certificate has the SHA-256 thumbprint {0}, which is not one that the hub asks for"
    )]
    Thumbprint(String),
    /// The hub asks for a certificate under an authority that it was told of.
    #[error(
        "the hub asks for a certificate under an uploaded authority, which this build does not check"
    )]
    Authority,
}

/// The identity that a proof is held against.
#[derive(Debug, Clone, Copy)]
pub struct Identity<'a> {
    /// Its device.
    pub device: &'a Device,
    /// The module, when it is one.
    pub module: Option<&'a Module>,
}

/// Says until when a device or module is let in; `None` when its proof has no end of its own.
///
/// Shape: `host` is the name that it calls the hub by, without port.
/// Source: docs/protocol/hub-api.md §0 rules 3 and 4 [R], §1.1 [D], §2.1 [R, S].
///
/// # Errors
/// [`Refusal`] naming the first check that refused.
pub fn admit(
    hub: &Hub,
    identity: Identity<'_>,
    endpoint: &Endpoint,
    host: &str,
    proof: &Proof<'_>,
    now: Timestamp,
) -> Result<Option<Timestamp>, Refusal> {
    let authentication = match identity.module {
        Some(module) => &module.authentication,
        None => &identity.device.authentication,
    };
    let hosts = [hub.host_name.key(), host];
    let path = endpoint.path();
    let until = match &proof.token {
        Some(Err(error)) => return Err(Refusal::Token(*error)),
        Some(Ok(token)) if token.key_name().is_some() => {
            let needed = Permissions::DEVICE_CONNECT;
            authorize(&hub.policies, token, &hosts, &path, needed, now).map_err(Refusal::Policy)?;
            Some(token.expiry())
        }
        Some(Ok(token)) => {
            let keys = keys(authentication)?;
            signed(token, keys, &hosts, &path, now)?;
            Some(token.expiry())
        }
        None => {
            certified(authentication, proof.certificate)?;
            None
        }
    };
    // Only who proved to be the device is told from a stranger by its status.
    match identity.device.status {
        DeviceStatus::Enabled => Ok(until),
        DeviceStatus::Disabled => Err(Refusal::Disabled),
    }
}

fn keys(authentication: &DeviceAuthentication) -> Result<&KeyPair, Refusal> {
    match authentication {
        DeviceAuthentication::Sas(keys) => Ok(keys),
        DeviceAuthentication::SelfSigned { .. } | DeviceAuthentication::CertificateAuthority => {
            Err(Refusal::TokenForCertificate)
        }
        DeviceAuthentication::None => Err(Refusal::NoCredential),
    }
}

fn signed(
    token: &SasToken,
    keys: &KeyPair,
    hosts: &[&str],
    path: &str,
    now: Timestamp,
) -> Result<(), Refusal> {
    let primary = token.signed_by(&keys.primary);
    let secondary = token.signed_by(&keys.secondary);
    if !(primary | secondary) {
        return Err(Refusal::Signature);
    }
    if token.expired(now, LEEWAY) {
        return Err(Refusal::Expired(spoken(now.since(token.expiry()))));
    }
    let granted = without_port(token.resource());
    let covered = |host: &&str| covers(&granted, &format!("{host}{path}"));
    if hosts.iter().any(covered) {
        Ok(())
    } else {
        Err(Refusal::Resource(granted))
    }
}

fn certified(
    authentication: &DeviceAuthentication,
    certificate: Option<&Certificate>,
) -> Result<(), Refusal> {
    let Some(certificate) = certificate else {
        return Err(Refusal::Nothing);
    };
    match authentication {
        DeviceAuthentication::SelfSigned { primary, secondary } => {
            let shown = [certificate.sha256_hex(), certificate.info().sha1_thumbprint];
            let mut known = [primary, secondary].into_iter().flatten();
            if known.any(|known| shown.iter().any(|shown| shown.eq_ignore_ascii_case(known))) {
                Ok(())
            } else {
                let [sha256, _] = shown;
                Err(Refusal::Thumbprint(sha256))
            }
        }
        DeviceAuthentication::CertificateAuthority => Err(Refusal::Authority),
        DeviceAuthentication::Sas(_) => Err(Refusal::CertificateForToken),
        DeviceAuthentication::None => Err(Refusal::NoCredential),
    }
}

#[cfg(test)]
mod tests;
