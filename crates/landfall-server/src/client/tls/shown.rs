//! Trusts the certificates that a server on this machine says it shows, whoever signed them and
//! whatever their names: who may write the server's data folder is the server.

use landfall_core::certificate::Certificate;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// The verifier; see the module.
#[derive(Debug)]
pub struct Shown {
    sha256: Vec<String>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Shown {
    /// Trusts the certificates of these SHA-256 in hex digits.
    pub fn new(sha256: Vec<String>, provider: &CryptoProvider) -> Self {
        Shown {
            sha256,
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let print = Certificate::from_der(end_entity)
            .map_err(|_| CertificateError::BadEncoding)?
            .sha256_hex();
        if self
            .sha256
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&print))
        {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
