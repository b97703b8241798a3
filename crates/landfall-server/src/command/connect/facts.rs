//! What a client command can tell other programs of the service that it calls.

use std::path::PathBuf;

use landfall_wire::client::connection_string::ConnectionString;
use landfall_wire::client::{ReplyError, own};
use serde_json::Value as Json;

use super::{Connect, Control, SERVICE_STRING, ServerFile, connection_string, only_service};
use crate::command::outcome::Failure;

/// A service, its hub, and whom to trust.
pub struct Facts {
    /// The id scope of the service.
    pub id_scope: String,
    /// The connection string of the service.
    pub service: ConnectionString,
    /// The connection string of its hub.
    pub hub: ConnectionString,
    /// The authority that signed the server's certificate, when it is not one of the system's.
    pub ca_file: Option<PathBuf>,
    /// The same together with the system's.
    pub bundle_file: Option<PathBuf>,
    /// Whether the server is the dev server of the data folder.
    pub is_of_data_folder: bool,
}

impl Facts {
    /// The host of the service, with the port when it is not 443.
    pub fn authority(&self) -> String {
        let host = self.service.host();
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        match self.service.port() {
            Some(port) if port != 443 => format!("{host}:{port}"),
            _ => host,
        }
    }
}

impl Connect {
    /// Gathers what there is to tell, from the dev server's file or from the server itself.
    ///
    /// # Errors
    /// [`Failure`] when only a connection string is known: it does not say the id scope.
    pub async fn facts(&self) -> Result<Facts, Failure> {
        let file = self.server_file()?;
        if self.is_looked_up() {
            return self.asked_facts(file.as_ref()).await;
        }
        let given = self.given(SERVICE_STRING)?;
        let Some(file) = file else {
            return Err(given.map_or_else(|| self.nowhere(SERVICE_STRING), |_| nameless()));
        };
        match (file.id_scope.clone(), file.service()?, file.hub()?) {
            (Some(id_scope), Some(service), Some(hub))
                if given.as_ref().is_none_or(|given| *given == service) =>
            {
                Ok(self.facts_of(&file, id_scope, service, hub))
            }
            _ if given.is_some() => Err(nameless()),
            _ => self.asked_facts(Some(&file)).await,
        }
    }

    async fn asked_facts(&self, file: Option<&ServerFile>) -> Result<Facts, Failure> {
        let Control {
            mut session,
            resource,
            port,
        } = self.control()?;
        let name = match resource.service {
            name if name.is_empty() => only_service(&mut session).await?,
            name => name,
        };
        let service = session
            .call(own::service(&session.authorization, &name, true))
            .await?;
        let text = |member: &'static str| {
            let text = service.get(member).and_then(Json::as_str);
            text.ok_or_else(|| ReplyError::Unreadable(format!("no {member}")))
        };
        let string = |member| Ok::<_, Failure>(connection_string(text(member)?)?.completed(port));
        let (service, hub) = (
            string("serviceConnectionString")?,
            string("hubConnectionString")?,
        );
        let id_scope = text("idScope")?.to_owned();
        match file {
            Some(file) if self.server.is_none() => Ok(self.facts_of(file, id_scope, service, hub)),
            _ => Ok(Facts {
                id_scope,
                service,
                hub,
                ca_file: self.ca.clone(),
                bundle_file: None,
                is_of_data_folder: false,
            }),
        }
    }

    fn facts_of(
        &self,
        file: &ServerFile,
        id_scope: String,
        service: ConnectionString,
        hub: ConnectionString,
    ) -> Facts {
        Facts {
            id_scope,
            service,
            hub,
            ca_file: self.ca.clone().or_else(|| file.ca_file.clone()),
            bundle_file: file.bundle_file.clone().filter(|_| self.ca.is_none()),
            is_of_data_folder: true,
        }
    }
}

fn nameless() -> Failure {
    Failure::usage(
        "a connection string does not say the id scope of its service",
        "name the folder of a running server with --data, or pass --server with --control-token, \
         and leave --login and LANDFALL_CONNECTION_STRING out",
    )
}
