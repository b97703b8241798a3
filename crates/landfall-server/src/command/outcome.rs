//! How a command ends: the exit codes, and a failure with the words for people and for programs.

use std::process::ExitCode;

use landfall_store::OpenError;
use landfall_wire::client::{Refusal, RefusalKind, ReplyError};
use serde_json::{Value as Json, json};

use super::serve::database::refused_file;
use crate::client::ClientError;
use crate::client::tls::TlsError;

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 1: the server refused, or something failed inside.
    Refused,
    /// 2: the command line asks for something that makes no sense.
    Usage,
    /// 3: what was named is not there.
    NotFound,
    /// 4: it is there already, or it changed since it was read.
    Conflict,
    /// 5: the credential was not accepted.
    NotAuthorized,
    /// 6: no reply came.
    CannotConnect,
    /// 125: `dev` did not start, and so did not run the command it was given.
    NotStarted,
    /// 126: the command that `dev` was given cannot be executed.
    NotExecutable,
    /// 127: the command that `dev` was given is not there.
    NoCommand,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Refused => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::Conflict => 4,
            Exit::NotAuthorized => 5,
            Exit::CannotConnect => 6,
            Exit::NotStarted => 125,
            Exit::NotExecutable => 126,
            Exit::NoCommand => 127,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

/// Why a command did not do what it was asked, and what to do about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What went wrong, in one sentence.
    pub what: String,
    /// What to do, when there is something to do.
    pub fix: Option<String>,
    /// The error as the API answered it, when it did.
    pub body: Option<Box<Json>>,
}

impl Failure {
    /// Makes a failure with its remedy.
    pub fn new(exit: Exit, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Failure {
            exit,
            what: what.into(),
            fix: Some(fix.into()),
            body: None,
        }
    }

    /// A command line that asks for something that makes no sense.
    pub fn usage(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, what, fix)
    }

    /// The text for stderr: `error: …` and `fix: …`, or the error as JSON.
    pub fn render(&self, as_json: bool) -> String {
        if as_json {
            let own = json!({ "error": self.what, "fix": self.fix });
            let body = self.body.as_deref().filter(|body| !body.is_null());
            return format!("{:#}\n", body.unwrap_or(&own));
        }
        let mut text = format!("error: {}\n", self.what);
        if let Some(fix) = &self.fix {
            text.push_str(&format!("fix: {fix}\n"));
        }
        text
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        if let Some(unopened) = error.downcast_ref::<OpenError>() {
            return refused_file(unopened);
        }
        Failure {
            exit: Exit::Refused,
            what: format!("{error:#}"),
            fix: None,
            body: None,
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Failure::new(Exit::CannotConnect, error.to_string(), error.fix())
    }
}

impl From<TlsError> for Failure {
    fn from(error: TlsError) -> Self {
        Failure::usage(
            error.to_string(),
            "name a PEM file with the certificate of the server's authority: --ca FILE",
        )
    }
}

impl From<ReplyError> for Failure {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::Refused(refusal) => Failure::from(*refusal),
            ReplyError::Unreadable(_) => Failure::new(
                Exit::Refused,
                error.to_string(),
                "check that the host is a Landfall server, or one that speaks the same API",
            ),
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let (exit, fix) = match refusal.kind {
            RefusalKind::QueueFull => (
                Exit::Refused,
                "`landfall hub c2d purge ID` empties the queue; see whether the device connects and listens to messages",
            ),
            RefusalKind::NotAuthorized => (
                Exit::NotAuthorized,
                "check the policy and key of the connection string (or the control token), \
                 and this machine's clock",
            ),
            RefusalKind::NotFound => (
                Exit::NotFound,
                "check the name, and that the connection string is the one of the service that holds it; \
                 `list` shows what is there",
            ),
            RefusalKind::Changed => (
                Exit::Conflict,
                "it changed since it was read: `show` it again and pass its new --etag, or leave --etag out",
            ),
            RefusalKind::Conflict => (
                Exit::Conflict,
                "it is there already: `update` it, or `delete` it first",
            ),
            RefusalKind::Later => (
                Exit::Refused,
                "try again; the server's log knows more under the tracking id",
            ),
            RefusalKind::Other => (Exit::Refused, "correct what the message names"),
        };
        Failure {
            exit,
            what: refusal.to_string(),
            fix: Some(fix.into()),
            body: Some(Box::new(refusal.body)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;
    use landfall_wire::client::read;
    use landfall_wire::message::Reply;

    fn refused(status: StatusCode, body: &Json) -> Failure {
        Failure::from(read(&Reply::json(status, body)).expect_err("refused"))
    }

    #[test]
    fn each_refusal_has_its_exit_code_and_a_fix() {
        let body = json!({"errorCode": 1, "trackingId": "t", "message": "No."});
        for (status, code) in [
            (StatusCode::BAD_REQUEST, 1),
            (StatusCode::NOT_FOUND, 3),
            (StatusCode::CONFLICT, 4),
            (StatusCode::PRECONDITION_FAILED, 4),
            (StatusCode::UNAUTHORIZED, 5),
            (StatusCode::FORBIDDEN, 5),
            (StatusCode::TOO_MANY_REQUESTS, 1),
            (StatusCode::INTERNAL_SERVER_ERROR, 1),
        ] {
            let failure = refused(status, &body);
            assert_eq!(failure.exit.code(), code, "{status}");
            assert!(failure.fix.is_some(), "{status}");
        }
    }

    #[test]
    fn people_read_what_and_fix_and_programs_the_body_as_received() {
        let body =
            json!({"errorCode": 404201, "trackingId": "t-1", "message": "Enrollment not found."});
        let failure = refused(StatusCode::NOT_FOUND, &body);
        let text = failure.render(false);
        let mut lines = text.lines();
        assert_eq!(
            lines.next(),
            Some("error: Enrollment not found (404, code 404201, tracking id t-1)")
        );
        assert!(
            lines
                .next()
                .is_some_and(|line| line.starts_with("fix: check the name"))
        );
        let read: Json = serde_json::from_str(&failure.render(true)).expect("json");
        assert_eq!(read, body);
        let own = Failure::usage("no ID", "name one").render(true);
        let own: Json = serde_json::from_str(&own).expect("json");
        assert_eq!(own, json!({"error": "no ID", "fix": "name one"}));
    }
}
