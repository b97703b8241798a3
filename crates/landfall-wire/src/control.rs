//! Bodies of the control plane: CA certificates, in both directions; services and their keys are
//! [`service`]'s.

pub mod service;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfall_core::administration::certificates::CertificateUpload;
use landfall_core::certificate::Certificate;
use landfall_core::certificate::ca::CaCertificate;
use landfall_core::error::Error;
use landfall_core::id::CertificateName;
use serde_json::{Map, Value, json};

use crate::fields::{Members, parse_object};
use crate::service::invalid_id;

/// Reads a certificate name of a path.
///
/// # Errors
/// [`Error::Invalid`] with the rule that the name breaks.
pub fn certificate_name(text: &str) -> Result<CertificateName, Error> {
    CertificateName::parse(text).map_err(invalid_id)
}

/// Reads the body of an upload: flat as older clients send it, or below `properties` as newer ones
/// do.
///
/// Source: docs/protocol/control-plane.md §5 [R, S].
///
/// # Errors
/// [`Error::Unreadable`] when it is no JSON object, [`Error::Invalid`] when the certificate is
/// missing or cannot be read.
pub fn parse_upload(body: &[u8]) -> Result<CertificateUpload, Error> {
    let object = parse_object(body)?;
    let root = Members::of(&object);
    let members = match root.object("properties")? {
        Some(properties) => properties,
        None => root,
    };
    Ok(CertificateUpload {
        certificate: parse_certificate(&members)?,
        verified: members.boolean("isVerified")?,
    })
}

/// Reads the body of a proof of possession.
///
/// Source: docs/protocol/control-plane.md §5 [R].
///
/// # Errors
/// As [`parse_upload`].
pub fn parse_proof(body: &[u8]) -> Result<Certificate, Error> {
    let object = parse_object(body)?;
    parse_certificate(&Members::of(&object))
}

fn parse_certificate(members: &Members<'_>) -> Result<Certificate, Error> {
    let text = members.required_text("certificate")?;
    Certificate::from_text(text)
        .map_err(|error| Error::Invalid(format!("{}: {error}.", members.name("certificate"))))
}

/// A CA certificate as JSON. The certificate itself is not given back.
///
/// Shape: `subject` is the CN alone; `resource` is the path under which the certificate stands.
/// Source: docs/protocol/control-plane.md §5 [R].
pub fn certificate_json(certificate: &CaCertificate, resource: &str) -> Value {
    resource_json(certificate, resource, properties(certificate, Value::Null))
}

/// A CA certificate with its verification code as JSON; here the certificate is given back.
///
/// Source: docs/protocol/control-plane.md §5 [R].
pub fn verification_code_json(certificate: &CaCertificate, resource: &str) -> Value {
    let text = STANDARD.encode(certificate.certificate.der());
    let mut properties = properties(certificate, text.into());
    if let Some(code) = &certificate.verification_code {
        properties.insert("verificationCode".to_owned(), code.as_str().into());
    }
    resource_json(certificate, resource, properties)
}

/// A list as the control plane writes it.
pub fn list_json(items: Vec<Value>) -> Value {
    json!({"value": items})
}

fn properties(certificate: &CaCertificate, text: Value) -> Map<String, Value> {
    let info = certificate.certificate.info();
    let subject = certificate
        .certificate
        .common_name()
        .unwrap_or(info.subject_name);
    let mut out = Map::new();
    for (name, value) in [
        ("subject", Value::from(subject)),
        ("expiry", info.not_after.to_rfc1123().into()),
        ("thumbprint", info.sha1_thumbprint.into()),
        ("isVerified", certificate.verified.into()),
        ("created", certificate.created.to_rfc1123().into()),
        ("updated", certificate.updated.to_rfc1123().into()),
        ("certificate", text),
    ] {
        out.insert(name.to_owned(), value);
    }
    out
}

fn resource_json(
    certificate: &CaCertificate,
    resource: &str,
    properties: Map<String, Value>,
) -> Value {
    json!({
        "id": resource,
        "name": certificate.name.as_str(),
        "type": "Microsoft.Devices/provisioningServices/Certificates",
        "etag": certificate.etag.as_str(),
        "properties": properties,
    })
}

#[cfg(test)]
mod tests;
