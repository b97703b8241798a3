//! Whether one certificate's signature was made by another's key, under strong algorithms only.
//!
//! Source: docs/protocol/x509.md §2.3: RSA of 2048 to 8192 bits, P-256, P-384, P-521 and Ed25519,
//! with SHA-256, SHA-384 or SHA-512. Chains and proofs of possession share this.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

use super::{Certificate, der};

const RSA_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];
const ED25519_ID: &[u8] = &[0x2b, 0x65, 0x70];
const RSA_SIGNATURES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];

/// The parameters of RSA-PSS for SHA-256, SHA-384 and SHA-512 with a salt as long as the digest;
/// the two octets that differ are zero here.
const PSS_PARAMETERS: [u8; 54] = [
    0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02,
    0, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01,
    0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0, 0x05,
    0x00, 0xa2, 0x03, 0x02, 0x01, 0,
];

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The signature is made with SHA-1 or MD5.
    #[error("the signature uses SHA-1 or MD5, which can be forged")]
    WeakDigest,
    /// The signature algorithm is not one of those accepted.
    #[error(
        "the signature algorithm is not RSA, ECDSA or Ed25519 with SHA-256, SHA-384 or SHA-512"
    )]
    Algorithm,
    /// The certificate names one algorithm in its signed part and another beside the signature.
    #[error("the certificate names two different signature algorithms")]
    TwoAlgorithms,
    /// The signing key is too weak, too large or of an unknown kind.
    #[error("the signing key is {0}")]
    Key(KeyFault),
    /// The key did not make the signature.
    #[error("the signature was not made by that key")]
    Mismatch,
}

/// Why a public key may not sign certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// An RSA key outside 2048 to 8192 bits.
    #[error("an RSA key of {0} bits; 2048 to 8192 are accepted")]
    RsaSize(usize),
    /// An RSA key with an even, trivial or huge exponent.
    #[error("an RSA key with a public exponent outside 3 to 2^33")]
    RsaExponent,
    /// A curve other than the three accepted.
    #[error("on a curve other than P-256, P-384 and P-521")]
    Curve,
    /// Neither RSA, nor elliptic curve, nor Ed25519.
    #[error("of a kind other than RSA, elliptic curve and Ed25519")]
    Kind,
    /// It does not parse.
    #[error("malformed")]
    Malformed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    P521,
    Ed25519,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Digest {
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    RsaPkcs1(Digest),
    RsaPss(Digest),
    Ecdsa(Digest),
    Ed25519,
}

/// Whether the public key is strong enough to sign certificates.
pub(crate) fn key_strength(certificate: &Certificate) -> Result<(), KeyFault> {
    kind_of(certificate).map(drop)
}

/// Whether `signer`'s key made the signature on `signed`. Looks at nothing else of either. That it did is
/// remembered with `signed`, for as long as somebody holds it: neither of the two ever changes.
pub(crate) fn verify(signed: &Certificate, signer: &Certificate) -> Result<(), SignatureFault> {
    let known = &signed.0.signed_by;
    if known.get() == Some(signer.sha256()) {
        return Ok(());
    }
    find_out(signed, signer)?;
    // The first signer that is found stays; a second one of the same key is found out each time.
    known.get_or_init(|| *signer.sha256());
    Ok(())
}

fn find_out(signed: &Certificate, signer: &Certificate) -> Result<(), SignatureFault> {
    let signature = &signed.facts().signed;
    if !signature.algorithm_repeated {
        return Err(SignatureFault::TwoAlgorithms);
    }
    let scheme = scheme_of(&signature.algorithm)?;
    let kind = kind_of(signer).map_err(SignatureFault::Key)?;
    let algorithm: &'static dyn VerificationAlgorithm = match (scheme, kind) {
        (Scheme::RsaPkcs1(Digest::Sha256), Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA256,
        (Scheme::RsaPkcs1(Digest::Sha384), Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA384,
        (Scheme::RsaPkcs1(Digest::Sha512), Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA512,
        (Scheme::RsaPss(Digest::Sha256), Kind::Rsa) => &RSA_PSS_2048_8192_SHA256,
        (Scheme::RsaPss(Digest::Sha384), Kind::Rsa) => &RSA_PSS_2048_8192_SHA384,
        (Scheme::RsaPss(Digest::Sha512), Kind::Rsa) => &RSA_PSS_2048_8192_SHA512,
        (Scheme::Ecdsa(Digest::Sha256), Kind::P256) => &ECDSA_P256_SHA256_ASN1,
        (Scheme::Ecdsa(Digest::Sha384), Kind::P256) => &ECDSA_P256_SHA384_ASN1,
        (Scheme::Ecdsa(Digest::Sha512), Kind::P256) => &ECDSA_P256_SHA512_ASN1,
        (Scheme::Ecdsa(Digest::Sha256), Kind::P384) => &ECDSA_P384_SHA256_ASN1,
        (Scheme::Ecdsa(Digest::Sha384), Kind::P384) => &ECDSA_P384_SHA384_ASN1,
        (Scheme::Ecdsa(Digest::Sha512), Kind::P384) => &ECDSA_P384_SHA512_ASN1,
        (Scheme::Ecdsa(Digest::Sha256), Kind::P521) => &ECDSA_P521_SHA256_ASN1,
        (Scheme::Ecdsa(Digest::Sha384), Kind::P521) => &ECDSA_P521_SHA384_ASN1,
        (Scheme::Ecdsa(Digest::Sha512), Kind::P521) => &ECDSA_P521_SHA512_ASN1,
        (Scheme::Ed25519, Kind::Ed25519) => &ED25519,
        _ => return Err(SignatureFault::Mismatch),
    };
    UnparsedPublicKey::new(algorithm, &signer.facts().key_bits)
        .verify(&signature.part, &signature.value)
        .map_err(|_| SignatureFault::Mismatch)
}

/// Reads the content of an AlgorithmIdentifier as a signature scheme.
fn scheme_of(algorithm: &[u8]) -> Result<Scheme, SignatureFault> {
    let (oid, parameters) = der::read(algorithm)
        .filter(|(oid, _)| oid.tag == der::OBJECT_IDENTIFIER)
        .ok_or(SignatureFault::Algorithm)?;
    let null_or_nothing = parameters.is_empty() || parameters == [0x05, 0x00];
    match oid.content.split_last() {
        Some((last, RSA_SIGNATURES)) => match last {
            0x02..=0x05 => Err(SignatureFault::WeakDigest),
            0x0a => pss_digest(parameters).map(Scheme::RsaPss),
            0x0b if null_or_nothing => Ok(Scheme::RsaPkcs1(Digest::Sha256)),
            0x0c if null_or_nothing => Ok(Scheme::RsaPkcs1(Digest::Sha384)),
            0x0d if null_or_nothing => Ok(Scheme::RsaPkcs1(Digest::Sha512)),
            _ => Err(SignatureFault::Algorithm),
        },
        Some((last, ECDSA_SHA2)) if parameters.is_empty() => match last {
            0x02 => Ok(Scheme::Ecdsa(Digest::Sha256)),
            0x03 => Ok(Scheme::Ecdsa(Digest::Sha384)),
            0x04 => Ok(Scheme::Ecdsa(Digest::Sha512)),
            _ => Err(SignatureFault::Algorithm),
        },
        _ if oid.content == ED25519_ID && parameters.is_empty() => Ok(Scheme::Ed25519),
        _ if oid.content == [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01] => {
            Err(SignatureFault::WeakDigest)
        }
        _ => Err(SignatureFault::Algorithm),
    }
}

fn pss_digest(parameters: &[u8]) -> Result<Digest, SignatureFault> {
    let choices = [
        (0x01, 0x20, Digest::Sha256),
        (0x02, 0x30, Digest::Sha384),
        (0x03, 0x40, Digest::Sha512),
    ];
    for (digest_octet, salt, digest) in choices {
        let mut expected = PSS_PARAMETERS;
        for (position, octet) in [(16, digest_octet), (46, digest_octet), (53, salt)] {
            if let Some(slot) = expected.get_mut(position) {
                *slot = octet;
            }
        }
        if parameters == expected {
            return Ok(digest);
        }
    }
    Err(SignatureFault::Algorithm)
}

fn kind_of(certificate: &Certificate) -> Result<Kind, KeyFault> {
    let facts = certificate.facts();
    let (oid, parameters) = der::read(&facts.key_algorithm)
        .filter(|(oid, _)| oid.tag == der::OBJECT_IDENTIFIER)
        .ok_or(KeyFault::Malformed)?;
    match oid.content {
        RSA_KEY => rsa_strength(&facts.key_bits).map(|()| Kind::Rsa),
        EC_KEY => match der::only(parameters, der::OBJECT_IDENTIFIER).map(|curve| curve.content) {
            Some(P256) => Ok(Kind::P256),
            Some(P384) => Ok(Kind::P384),
            Some(P521) => Ok(Kind::P521),
            _ => Err(KeyFault::Curve),
        },
        ED25519_ID => Ok(Kind::Ed25519),
        _ => Err(KeyFault::Kind),
    }
}

/// The kind of a public key, as people call it: `RSA 2048`, `P-256`.
pub(crate) fn key_words(certificate: &Certificate) -> String {
    match kind_of(certificate) {
        Ok(Kind::Rsa) => {
            let parts = der::only(&certificate.facts().key_bits, der::SEQUENCE);
            let parts = parts.and_then(|key| key.children()).unwrap_or_default();
            let bits = parts.first().map(|modulus| bit_length(modulus.content));
            format!("RSA {}", bits.unwrap_or_default())
        }
        Ok(Kind::P256) => "P-256".to_owned(),
        Ok(Kind::P384) => "P-384".to_owned(),
        Ok(Kind::P521) => "P-521".to_owned(),
        Ok(Kind::Ed25519) => "Ed25519".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

fn rsa_strength(key: &[u8]) -> Result<(), KeyFault> {
    let parts = der::only(key, der::SEQUENCE)
        .and_then(|key| key.children())
        .ok_or(KeyFault::Malformed)?;
    let [modulus, exponent] = parts.as_slice() else {
        return Err(KeyFault::Malformed);
    };
    if modulus.tag != der::INTEGER || exponent.tag != der::INTEGER {
        return Err(KeyFault::Malformed);
    }
    let bits = bit_length(modulus.content);
    if !(2048..=8192).contains(&bits) {
        return Err(KeyFault::RsaSize(bits));
    }
    let odd = exponent.content.last().is_some_and(|last| last & 1 == 1);
    if !odd || !(2..=33).contains(&bit_length(exponent.content)) {
        return Err(KeyFault::RsaExponent);
    }
    Ok(())
}

fn bit_length(integer: &[u8]) -> usize {
    let digits: Vec<u8> = integer.iter().copied().skip_while(|d| *d == 0).collect();
    match digits.first() {
        Some(first) => digits.len() * 8 - first.leading_zeros() as usize,
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::forge::{sequence, tlv};
    use rustls_pki_types::alg_id;

    #[test]
    fn algorithm_identifiers_are_the_published_ones() {
        for (id, scheme) in [
            (alg_id::RSA_PSS_SHA256, Scheme::RsaPss(Digest::Sha256)),
            (alg_id::RSA_PSS_SHA384, Scheme::RsaPss(Digest::Sha384)),
            (alg_id::RSA_PSS_SHA512, Scheme::RsaPss(Digest::Sha512)),
            (alg_id::RSA_PKCS1_SHA256, Scheme::RsaPkcs1(Digest::Sha256)),
            (alg_id::RSA_PKCS1_SHA384, Scheme::RsaPkcs1(Digest::Sha384)),
            (alg_id::RSA_PKCS1_SHA512, Scheme::RsaPkcs1(Digest::Sha512)),
            (alg_id::ECDSA_SHA256, Scheme::Ecdsa(Digest::Sha256)),
            (alg_id::ECDSA_SHA384, Scheme::Ecdsa(Digest::Sha384)),
            (alg_id::ECDSA_SHA512, Scheme::Ecdsa(Digest::Sha512)),
            (alg_id::ED25519, Scheme::Ed25519),
        ] {
            assert_eq!(scheme_of(&id), Ok(scheme));
        }
        assert_eq!(
            scheme_of(&[
                0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5, 5, 0
            ]),
            Err(SignatureFault::WeakDigest)
        );
        assert_eq!(scheme_of(&[]), Err(SignatureFault::Algorithm));
    }

    #[test]
    fn rsa_keys_outside_size_and_exponent_are_refused() {
        let key = |bits: usize, exponent: &[u8]| {
            let mut modulus = vec![0x00];
            modulus.extend(std::iter::repeat_n(0xff, bits / 8));
            sequence(&[tlv(0x02, &modulus), tlv(0x02, exponent)])
        };
        assert_eq!(rsa_strength(&key(2048, &[1, 0, 1])), Ok(()));
        assert_eq!(rsa_strength(&key(8192, &[3])), Ok(()));
        assert_eq!(
            rsa_strength(&key(1536, &[1, 0, 1])),
            Err(KeyFault::RsaSize(1536))
        );
        assert_eq!(
            rsa_strength(&key(8200, &[1, 0, 1])),
            Err(KeyFault::RsaSize(8200))
        );
        for bad in [&[2][..], &[1], &[0x02, 0, 0, 0, 1, 1], &[1, 0, 0]] {
            assert_eq!(rsa_strength(&key(2048, bad)), Err(KeyFault::RsaExponent));
        }
        assert_eq!(rsa_strength(&[0x30, 0x00]), Err(KeyFault::Malformed));
    }
}
