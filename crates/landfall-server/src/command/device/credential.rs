//! What a simulated device proves itself by: a key of its own, one that its group's gives, that of its
//! enrollment, or a certificate.

use std::path::PathBuf;
use std::time::Duration;

use landfall_core::clock::Clock as _;
use landfall_core::id::RegistrationId;
use landfall_core::sas;
use landfall_core::secret::SymmetricKey;
use landfall_hub::endpoint::Endpoint;
use landfall_wire::client::service::attestation_mechanism;
use landfall_wire::route::Collection;
use serde_json::Value as Json;

use super::Run;
use crate::client::tls::ClientCertificate;
use crate::command::connect::Connect;
use crate::command::key::symmetric_key;
use crate::command::outcome::{Exit, Failure};
use crate::time::SystemClock;

/// How long a token is good for; each connection has its own.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// What a device proves itself by.
pub enum Credential {
    /// By tokens that this key signs.
    Key(SymmetricKey),
    /// By the certificate of these files: with its chain, and its key.
    Certificate(PathBuf, PathBuf),
}

impl Credential {
    /// The credential that the options give, else that of the enrollment.
    pub async fn of(run: &Run, connect: &Connect, id: &RegistrationId) -> Result<Self, Failure> {
        match (
            &run.key,
            &run.group_key,
            &run.certificate,
            &run.certificate_key,
        ) {
            (Some(key), _, _, _) => Ok(Credential::Key(symmetric_key(key)?)),
            (None, Some(key), _, _) => Ok(Credential::Key(symmetric_key(key)?.derive(id.as_str()))),
            (None, None, Some(chain), Some(key)) => {
                Ok(Credential::Certificate(chain.clone(), key.clone()))
            }
            _ => Credential::enrolled(connect, id).await,
        }
    }

    /// The first key of an individual enrollment, asked as an operator asks.
    async fn enrolled(connect: &Connect, id: &RegistrationId) -> Result<Self, Failure> {
        let mut session = connect.service().await?;
        let who = session.authorization.clone();
        let request = attestation_mechanism(&who, Collection::Individuals, id.as_str());
        let Some(mechanism) = session.find(request).await? else {
            return Err(Failure::new(
                Exit::NotFound,
                format!("no individual enrollment '{id}', and no credential is given"),
                format!(
                    "make one: `landfall enrollment create --enrollment-id {id}`; a device of a group needs --group-key, or --certificate and --certificate-key"
                ),
            ));
        };
        let key = mechanism.pointer("/symmetricKey/primaryKey");
        match key.and_then(Json::as_str) {
            Some(key) => Ok(Credential::Key(symmetric_key(key)?)),
            None => Err(Failure::usage(
                format!("enrollment '{id}' attests by something else than a symmetric key"),
                "pass the device's own --certificate and --certificate-key",
            )),
        }
    }

    /// A fresh token for registering; none when a certificate is shown.
    pub fn registration_token(&self, id_scope: &str, id: &str) -> Option<String> {
        self.token(
            &format!("{id_scope}/registrations/{id}"),
            Some("registration"),
        )
    }

    /// A fresh token for a hub.
    pub fn hub_token(&self, host: &str, endpoint: &Endpoint) -> Option<String> {
        self.token(&format!("{host}{}", endpoint.path()), None)
    }

    fn token(&self, resource: &str, key_name: Option<&str>) -> Option<String> {
        match self {
            Credential::Key(key) => {
                let until = SystemClock.now().plus(TOKEN_LIFE);
                Some(sas::sign(resource, key, key_name, until))
            }
            Credential::Certificate(..) => None,
        }
    }

    /// The certificate to show, read anew: it may have been renewed.
    pub fn certificate(&self) -> Result<Option<ClientCertificate>, Failure> {
        match self {
            Credential::Key(_) => Ok(None),
            Credential::Certificate(chain, key) => match ClientCertificate::read(chain, key) {
                Ok(certificate) => Ok(Some(certificate)),
                Err(error) => Err(Failure::usage(
                    error.to_string(),
                    "name PEM files: --certificate with the device's certificate first, --certificate-key with its key",
                )),
            },
        }
    }
}
