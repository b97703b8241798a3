//! What can go wrong, by what a caller can do about it. Status codes and error numbers are not
//! known here: `landfall-wire/fault.rs` gives each variant its row.

use std::time::Duration;

/// Why an operator's or a device's request was not carried out.
///
/// `Display` is what the caller may read. The cause for the log and for the decision trace travels
/// beside it, never inside.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The body or a header cannot be read at all.
    #[error("{0}")]
    Unreadable(String),
    /// The api version is missing or malformed.
    #[error("{0}")]
    ApiVersion(String),
    /// The request is readable and breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// The caller did not prove who it is. Deliberately says no more.
    #[error("Unauthorized")]
    Unauthorized,
    /// The caller is known and lacks the right.
    #[error("Unauthorized: the policy lacks the right '{0}'.")]
    RightMissing(&'static str),
    /// No provisioning service answers to that name.
    #[error("No provisioning service answers to this name.")]
    ServiceNotFound,
    /// The enrollment or registration is not there.
    #[error("{0} not found.")]
    NotFound(String),
    /// The enrollment group, operation or certificate is not there.
    #[error("{0} not found.")]
    OtherNotFound(String),
    /// The path is known and the method is not.
    #[error("The method is not allowed on this path.")]
    MethodNotAllowed,
    /// The record exists already.
    #[error("{0} already exists.")]
    Exists(String),
    /// The record holds others that would go with it.
    #[error("{0}")]
    InUse(String),
    /// The record is not in the state the caller knows.
    #[error("{0} has changed: the etag does not match.")]
    PreconditionFailed(String),
    /// The body is in a coding this server does not read.
    #[error("{0}")]
    MediaType(String),
    /// The body is larger than the limit, in bytes.
    #[error("The body is larger than {0} bytes.")]
    TooLarge(usize),
    /// Too many requests; come back after the span.
    #[error("Too many requests.")]
    Throttled(Duration),
    /// The server cannot answer now; come back after the span. The text is for the log only.
    #[error("The service cannot answer now.")]
    Unavailable(Duration),
    /// A fault of the server. The cause goes to the log.
    #[error("Internal error.")]
    Internal,
}
