//! The certificate calls of the control plane. Called by the command line.
//!
//! Source: docs/protocol/control-plane.md §5.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;

use super::{Authorization, Draft};
use crate::message::Request;

/// The version asked for: the one that today's tools send, with the flat body.
///
/// Source: docs/protocol/control-plane.md §1, §5 [C].
pub const API_VERSION: &str = "2021-10-15";

/// The provisioning service that calls are about, as control plane paths name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The subscription.
    pub subscription: String,
    /// The resource group.
    pub resource_group: String,
    /// The provisioning service.
    pub service: String,
}

impl Resource {
    fn draft(&self, method: Method, rest: &[&str], authorization: &Authorization) -> Draft {
        let mut segments = vec![
            "subscriptions",
            &self.subscription,
            "resourceGroups",
            &self.resource_group,
            "providers",
            "Microsoft.Devices",
            "provisioningServices",
            &self.service,
            "certificates",
        ];
        segments.extend_from_slice(rest);
        Draft::new(method, &segments)
            .parameter("api-version", API_VERSION)
            .authorized(authorization)
    }

    /// Lists the CA certificates.
    pub fn certificates(&self, authorization: &Authorization) -> Request {
        self.draft(Method::GET, &[], authorization).done()
    }

    /// Reads a CA certificate.
    pub fn certificate(&self, authorization: &Authorization, name: &str) -> Request {
        self.draft(Method::GET, &[name], authorization).done()
    }

    /// Uploads a CA certificate; `file` is the whole file, PEM or DER. With an etag it takes the
    /// place of the one in that state.
    pub fn put_certificate(
        &self,
        authorization: &Authorization,
        name: &str,
        file: &[u8],
        verified: bool,
        etag: Option<&str>,
    ) -> Request {
        self.draft(Method::PUT, &[name], authorization)
            .if_match(etag)
            .json(&json!({ "certificate": STANDARD.encode(file), "isVerified": verified }))
            .done()
    }

    /// Deletes a CA certificate in the state that `etag` names.
    pub fn delete_certificate(
        &self,
        authorization: &Authorization,
        name: &str,
        etag: &str,
    ) -> Request {
        self.draft(Method::DELETE, &[name], authorization)
            .if_match(Some(etag))
            .done()
    }

    /// Asks for a verification code.
    pub fn verification_code(
        &self,
        authorization: &Authorization,
        name: &str,
        etag: &str,
    ) -> Request {
        let rest = [name, "generateVerificationCode"];
        self.draft(Method::POST, &rest, authorization)
            .if_match(Some(etag))
            .done()
    }

    /// Shows the certificate that proves possession; `file` is the whole file, PEM or DER.
    pub fn verify(
        &self,
        authorization: &Authorization,
        name: &str,
        file: &[u8],
        etag: &str,
    ) -> Request {
        self.draft(Method::POST, &[name, "verify"], authorization)
            .if_match(Some(etag))
            .json(&json!({ "certificate": STANDARD.encode(file) }))
            .done()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{self, ControlTarget, Route};

    #[test]
    fn every_call_reaches_the_route_it_is_meant_for() {
        let who = Authorization::bearer("t");
        let resource = Resource {
            subscription: "s".into(),
            resource_group: "g".into(),
            service: "dps".into(),
        };
        let put = resource.put_certificate(&who, "ca", b"file", true, None);
        assert_eq!(put.body, br#"{"certificate":"ZmlsZQ==","isVerified":true}"#);
        let delete = resource.delete_certificate(&who, "ca", "e1");
        assert_eq!(delete.header("if-match"), Some("e1"));
        for (request, wanted) in [
            (resource.certificates(&who), ControlTarget::Certificates),
            (
                resource.certificate(&who, "ca"),
                ControlTarget::Certificate("ca".into()),
            ),
            (put, ControlTarget::Certificate("ca".into())),
            (delete, ControlTarget::Certificate("ca".into())),
            (
                resource.verification_code(&who, "ca", "e"),
                ControlTarget::VerificationCode("ca".into()),
            ),
            (
                resource.verify(&who, "ca", b"x", "e"),
                ControlTarget::Verify("ca".into()),
            ),
        ] {
            let Some(Route::Control(found)) = route::parse(&request.path) else {
                panic!("{} is no control plane path", request.path);
            };
            assert_eq!(found.target, wanted);
            assert_eq!(found.service, "dps");
        }
    }
}
