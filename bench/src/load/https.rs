//! A device that provisions over HTTPS.

use anyhow::{Context as _, ensure};

use super::connection::Connection;

/// A device that is to register.
pub(super) struct Device<'a> {
    pub(super) id_scope: &'a str,
    pub(super) id: String,
    pub(super) token: Option<String>,
    pub(super) poll: bool,
}

impl Device<'_> {
    /// Registers, and asks what came of it when it polls, which must be that the device is assigned.
    pub(super) async fn register(self, connection: &mut Connection) -> anyhow::Result<()> {
        let body = format!("{{\"registrationId\":\"{}\"}}", self.id);
        let request = format!(
            "{}Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n{body}",
            self.head("PUT", "register"),
            body.len()
        );
        let answer = connection.exchange(request.as_bytes()).await?;
        ensure!(answer.status == 202, "register: status {}", answer.status);
        if !self.poll {
            return Ok(());
        }
        let operation = answer
            .body
            .split_once("\"operationId\":\"")
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(operation, _)| operation)
            .context("register: no operationId")?;
        let request = format!(
            "{}\r\n",
            self.head("GET", &format!("operations/{operation}"))
        );
        let answer = connection.exchange(request.as_bytes()).await?;
        ensure!(answer.status == 200, "poll: status {}", answer.status);
        let assigned = answer.body.contains("\"status\":\"assigned\"");
        ensure!(assigned, "poll: not assigned at once");
        Ok(())
    }

    fn head(&self, method: &str, rest: &str) -> String {
        let (scope, id) = (&self.id_scope, &self.id);
        let mut head = format!(
            "{method} /{scope}/registrations/{id}/{rest}?api-version=2021-06-01 HTTP/1.1\r\nHost: localhost\r\n"
        );
        if let Some(token) = &self.token {
            head.push_str(&format!("Authorization: {token}\r\n"));
        }
        head
    }
}
