//! The mark at which the next page of a query begins. Opaque to callers, and not bound to a page
//! size: the `az` tool shrinks its last page while it replays the token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use landfall_core::id::{DeviceId, ModuleId};

use super::QueryError;

/// Longest token that is looked at: two ids, a count, and the cost of base64.
const LONGEST: usize = 512;

/// Where a next page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Position {
    /// After the record with this key; so many rows were given before.
    Record {
        /// Device id, and module id where modules are listed.
        after: (String, String),
        /// How many rows the earlier pages gave, for `TOP`.
        given: u64,
    },
    /// After so many groups. Groups are counted anew for each page, in the order of their values,
    /// so a group that comes or goes between two pages may shift the others by one.
    Group {
        /// How many rows the earlier pages gave.
        given: u64,
    },
}

impl Position {
    /// The token that stands for the position.
    pub fn to_token(&self) -> String {
        let text = match self {
            Position::Record {
                after: (device, module),
                given,
            } => format!("r\n{given}\n{device}\n{module}"),
            Position::Group { given } => format!("g\n{given}"),
        };
        URL_SAFE_NO_PAD.encode(text)
    }

    /// The position that a token stands for.
    ///
    /// # Errors
    /// [`QueryError::Continuation`] when no position has this token.
    pub fn from_token(token: &str) -> Result<Self, QueryError> {
        Self::read(token).ok_or(QueryError::Continuation)
    }

    fn read(token: &str) -> Option<Self> {
        if token.len() > LONGEST {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let parts: Vec<&str> = text.split('\n').collect();
        match parts.as_slice() {
            ["r", given, device, module] => {
                DeviceId::parse(device).ok()?;
                if !module.is_empty() {
                    ModuleId::parse(module).ok()?;
                }
                Some(Position::Record {
                    after: ((*device).to_owned(), (*module).to_owned()),
                    given: given.parse().ok()?,
                })
            }
            ["g", given] => Some(Position::Group {
                given: given.parse().ok()?,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_its_position_back() {
        for position in [
            Position::Record {
                after: ("Dev#1;$'".into(), String::new()),
                given: 7,
            },
            Position::Record {
                after: ("d".repeat(128), "$edgeAgent".into()),
                given: u64::MAX,
            },
            Position::Group { given: 3 },
        ] {
            let token = position.to_token();
            assert!(
                token
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
                "{token} passes through any header"
            );
            assert_eq!(Position::from_token(&token), Ok(position));
        }
    }

    #[test]
    fn garbage_is_no_position() {
        let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
        for bad in [
            String::new(),
            "!!".into(),
            "AAAA".into(),
            encoded("r\n1\n\n"),
            encoded("r\nx\nd\n"),
            encoded("r\n1\na b\n"),
            encoded("r\n-1\nd\n"),
            encoded("g\n1\n2"),
            "A".repeat(513),
        ] {
            assert_eq!(
                Position::from_token(&bad),
                Err(QueryError::Continuation),
                "{bad}"
            );
        }
    }
}
