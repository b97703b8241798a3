//! An opaque JSON document, kept as the text that was received.
//!
//! The only file of the lower floors that knows a JSON library. Rules that look inside a document
//! (twins, queries) do so through [`Json`], the parsed tree.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json as json;

/// A parsed JSON value.
pub type Json = json::Value;
/// The members of a JSON object, in the order they were written.
pub type JsonObject = json::Map<String, Json>;

/// A well-formed JSON text. Two documents are equal when their texts are. `Debug` hides the text,
/// which may be a device's payload.
#[derive(Clone, PartialEq, Eq)]
pub struct Document(Box<str>);

/// A text that is not JSON, or nests too deeply to be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not valid JSON: {0}")]
pub struct DocumentError(String);

impl Document {
    /// Takes `text` as a document.
    ///
    /// # Errors
    /// [`DocumentError`] when it is not one JSON value.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        json::from_str::<Json>(text).map_err(|e| DocumentError(e.to_string()))?;
        Ok(Document(text.trim().into()))
    }

    /// Takes a text that is known to be a document: it was one when it was written down, or a parser has
    /// read it. It is not parsed again.
    ///
    /// For stores and readers of lines: whatever else comes from outside goes through [`Document::parse`].
    pub fn kept(text: &str) -> Self {
        Document(text.into())
    }

    /// Writes a tree as a document.
    pub fn from_json(value: &Json) -> Self {
        Document(value.to_string().into())
    }

    /// The document `{}`.
    pub fn empty_object() -> Self {
        Document("{}".into())
    }

    /// This document when it is at most `longest` bytes, else one that says how long it is and which.
    ///
    /// Shape: `{"$leftOut": {"bytes": 9000, "sha256": "…"}}`; `$` begins no name of a twin's own.
    pub fn at_most(&self, longest: usize) -> Self {
        if self.0.len() <= longest {
            return self.clone();
        }
        let hash = digest(&SHA256, self.0.as_bytes());
        let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        Document::from_json(&json::json!({
            "$leftOut": {"bytes": self.0.len(), "sha256": hash},
        }))
    }

    /// The text as it was received.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tree. `null` stands for a text that no longer parses, which no constructor lets in.
    pub fn to_json(&self) -> Json {
        json::from_str(&self.0).unwrap_or(Json::Null)
    }

    /// The members, when the document is an object.
    pub fn to_object(&self) -> Option<JsonObject> {
        match self.to_json() {
            Json::Object(members) => Some(members),
            _ => None,
        }
    }

    /// True for the document `null`.
    pub fn is_null(&self) -> bool {
        &*self.0 == "null"
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({} bytes)", self.0.len())
    }
}

/// Parses a text into its tree.
///
/// # Errors
/// [`DocumentError`] when it is not one JSON value.
pub fn parse(text: &str) -> Result<Json, DocumentError> {
    json::from_str(text).map_err(|e| DocumentError(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept_as_received() {
        let text = r#"{"b":1.0, "a":[ null ]}"#;
        let document = Document::parse(text).expect("valid");
        assert_eq!(document.as_str(), text);
        assert!(Document::parse("{").is_err());
        assert!(Document::parse("{} x").is_err());
        assert_eq!(format!("{document:?}"), "Document(23 bytes)");
    }

    #[test]
    fn a_document_that_is_too_long_leaves_its_size_and_hash() {
        let document = Document::parse("[1,2]").expect("valid");
        assert_eq!(document.at_most(5), document);
        assert_eq!(
            document.at_most(4).as_str(),
            "{\"$leftOut\":{\"bytes\":5,\"sha256\":\
             \"49a64717d5d4cb19952e6eac2946415cf6879adacf9908e7d872332d32c6e684\"}}"
        );
    }
}
