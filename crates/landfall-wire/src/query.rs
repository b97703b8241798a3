//! The two query languages of the public protocol, read into core's [`Filter`] and the hub's
//! [`Query`](landfall_hub::query::Query): one lexer, one grammar for conditions.
//!
//! `service` is the service API's dialect, which forgives almost everything but a condition it
//! cannot understand; `hub` is the hub's, which is read strictly. What a query finds is decided
//! in core and hub, not here.
//!
//! [`Filter`]: landfall_core::query::Filter

use landfall_hub::error::HubError;

mod call;
mod condition;
mod hub;
mod lexer;
mod parser;
mod service;

pub use call::HubQueryCall;
pub use hub::parse_hub_query;
pub use service::{ServiceCollection, parse_service_query};

/// Longest query text that is read, in bytes.
pub const LONGEST_QUERY: usize = 16 * 1024;

/// A query text that cannot be read, with the place where reading ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryTextError {
    /// A part of the text does not stand where it may.
    #[error("The query cannot be understood at character {position}, near {token}: {expected}")]
    Token {
        /// Where the token begins, counted in characters from 1.
        position: usize,
        /// The token in quotes, cut to a length that fits a message, or `the end`.
        token: String,
        /// What was expected, or why the token may not stand there.
        expected: String,
    },
    /// The text as a whole is refused.
    #[error("{0}")]
    Whole(String),
}

impl From<QueryTextError> for HubError {
    fn from(error: QueryTextError) -> Self {
        HubError::ArgumentInvalid(error.to_string())
    }
}

#[cfg(test)]
mod tests;
