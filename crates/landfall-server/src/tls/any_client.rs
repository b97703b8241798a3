//! Takes any client certificate whose key the client proves to hold, and nothing on trust.
//!
//! The library's own signature check parses the certificate strictly and would refuse version 1
//! certificates and unknown critical extensions before anybody could say why. This one reads the
//! public key alone, with the reader that the enrollment's checks use too, and leaves every judgement
//! of the certificate to the enrollment.
//!
//! Source: docs/protocol/x509.md §1.1, §1.2.

use landfall_core::certificate::{LONGEST, public_key};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved,
    SignatureScheme,
};

/// Most certificates in a chain.
const MOST_CERTIFICATES: usize = 10;

/// The verifier; see the module.
#[derive(Debug)]
pub struct AnyClient {
    algorithms: WebPkiSupportedAlgorithms,
}

impl AnyClient {
    /// A verifier with the signature algorithms of `provider`.
    pub fn new(provider: &CryptoProvider) -> Self {
        AnyClient {
            algorithms: provider.signature_verification_algorithms,
        }
    }

    fn verify(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
        first_only: bool,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = public_key(certificate)
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let candidates = self
            .algorithms
            .mapping
            .iter()
            .find(|(scheme, _)| *scheme == signed.scheme)
            .map(|(_, candidates)| *candidates)
            .ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // In TLS 1.3 a scheme names its curve; in 1.2 it does not, and the key's own curve counts.
        let considered = if first_only {
            candidates.get(..1).unwrap_or_default()
        } else {
            candidates
        };
        let verified = considered
            .iter()
            .filter(|candidate| candidate.public_key_alg_id().as_ref() == key.algorithm)
            .any(|candidate| {
                candidate
                    .verify_signature(key.bits, message, signed.signature())
                    .is_ok()
            });
        if verified {
            Ok(HandshakeSignatureValid::assertion())
        } else {
            Err(Error::InvalidCertificate(CertificateError::BadSignature))
        }
    }
}

impl ClientCertVerifier for AnyClient {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// Empty: some clients withhold a certificate whose issuer is not on a list.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let sent = intermediates.len() + 1;
        if sent > MOST_CERTIFICATES {
            return Err(Error::General(format!(
                "the client sent {sent} certificates; at most {MOST_CERTIFICATES} are read"
            )));
        }
        let mut lengths = std::iter::once(end_entity)
            .chain(intermediates)
            .map(|link| link.len());
        if let Some(length) = lengths.find(|length| *length > LONGEST) {
            return Err(Error::General(format!(
                "the client sent a certificate of {length} bytes; at most {LONGEST} are read"
            )));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verify(message, certificate, signed, false)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        use SignatureScheme::{
            ECDSA_SHA1_Legacy, RSA_PKCS1_SHA1, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        };
        let outdated = [
            RSA_PKCS1_SHA1,
            RSA_PKCS1_SHA256,
            RSA_PKCS1_SHA384,
            RSA_PKCS1_SHA512,
            ECDSA_SHA1_Legacy,
        ];
        if outdated.contains(&signed.scheme) {
            return Err(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme.into());
        }
        self.verify(message, certificate, signed, true)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
