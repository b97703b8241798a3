//! Whose shared access policies a command is about, and a session that may keep them: by a connection
//! string of the service or hub itself, else by the control token.

use landfall_wire::client::connection_string::ConnectionString;
use landfall_wire::client::{ReplyError, own};
use landfall_wire::route::PolicyHolder;
use serde_json::Value as Json;

use super::{Connect, Control, Failure, Session, only_service};
use crate::command::key::symmetric_key;
use crate::command::outcome::Exit;

/// A service or hub whose policies a command is about.
pub struct Holder {
    /// The connection, with a credential that may keep the policies.
    pub session: Session,
    /// The service or hub.
    pub name: PolicyHolder,
    port: u16,
}

/// Which of a policy's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum KeyType {
    /// The first
    #[default]
    Primary,
    /// The second
    Secondary,
}

impl Connect {
    /// The policies of the service: by its connection string where one is given, else by the control
    /// token.
    pub async fn policies_of_service(&self) -> Result<Holder, Failure> {
        if let Some(string) = self.given("LANDFALL_CONNECTION_STRING")? {
            let mut session = self.session(&string, true)?;
            // A policy sees its own service only.
            let name = only_service(&mut session).await?;
            return Ok(Holder::new(
                session,
                PolicyHolder::Service(name),
                port(&string),
            ));
        }
        let (session, name, port) = self.controlled_service().await?;
        Ok(Holder::new(session, PolicyHolder::Service(name), port))
    }

    /// The policies of the hub named, or of the service's own: by a connection string of the hub
    /// where one is given, else by the control token.
    pub async fn policies_of_hub(&self, host: Option<&str>) -> Result<Holder, Failure> {
        if let Some(string) = self.given("LANDFALL_HUB_CONNECTION_STRING")? {
            let host = host.unwrap_or(string.host()).to_owned();
            let session = self.session(&string, true)?;
            return Ok(Holder::new(session, PolicyHolder::Hub(host), port(&string)));
        }
        if let Some(host) = host {
            let Control { session, port, .. } = self.control()?;
            return Ok(Holder::new(
                session,
                PolicyHolder::Hub(host.to_owned()),
                port,
            ));
        }
        let (mut session, name, port) = self.controlled_service().await?;
        let request = own::service(&session.authorization, &name, false);
        let service = session.call(request).await?;
        let hub = service.pointer("/hubHostNames/0").and_then(Json::as_str);
        let hub = hub.ok_or_else(|| {
            Failure::new(
                Exit::NotFound,
                format!("service {name} has no linked hub"),
                "name a hub with --hub-name HOST",
            )
        })?;
        let hub = PolicyHolder::Hub(hub.to_owned());
        Ok(Holder::new(session, hub, port))
    }

    /// A session with the control token, and the service that is meant.
    pub async fn controlled_service(&self) -> Result<(Session, String, u16), Failure> {
        let Control {
            mut session,
            resource,
            port,
        } = self.control()?;
        let name = match resource.service {
            name if name.is_empty() => only_service(&mut session).await?,
            name => name,
        };
        Ok((session, name, port))
    }
}

impl Holder {
    fn new(session: Session, name: PolicyHolder, port: u16) -> Self {
        Holder {
            session,
            name,
            port,
        }
    }

    /// A policy as it stands, with its keys when asked.
    pub async fn policy(&mut self, name: &str, keys: bool) -> Result<Json, Failure> {
        let request = own::policy(&self.session.authorization, &self.name, name, keys);
        self.session.call(request).await
    }

    /// The connection string of a policy, with one of its keys.
    pub async fn connection_string(
        &mut self,
        policy: &str,
        key: KeyType,
    ) -> Result<ConnectionString, Failure> {
        let answer = self.policy(policy, true).await?;
        let member = match key {
            KeyType::Primary => "primaryKey",
            KeyType::Secondary => "secondaryKey",
        };
        let key = symmetric_key(text(&answer, member)?)?;
        let policy = text(&answer, "keyName")?;
        let host = self.host().await?;
        let port = (self.port != 443).then_some(self.port);
        Ok(ConnectionString::new(&host, port, policy, key))
    }

    /// The host name that the holder answers on.
    async fn host(&mut self) -> Result<String, Failure> {
        match &self.name {
            PolicyHolder::Hub(host) => Ok(host.clone()),
            PolicyHolder::Service(name) => {
                let request = own::service(&self.session.authorization, name, false);
                let service = self.session.call(request).await?;
                Ok(text(&service, "serviceHostName")?.to_owned())
            }
        }
    }
}

fn port(string: &ConnectionString) -> u16 {
    string.port().unwrap_or(443)
}

fn text<'a>(answer: &'a Json, member: &str) -> Result<&'a str, Failure> {
    let text = answer.get(member).and_then(Json::as_str);
    text.ok_or_else(|| ReplyError::Unreadable(format!("no {member}")).into())
}
