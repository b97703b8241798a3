//! Reading members of a JSON body, with errors that name the member. Used by every parser of this
//! crate; `null` and absent are the same, and so is an empty text.

use landfall_core::error::Error;
use serde_json::{Map, Value};

/// Reads a body as one JSON object.
///
/// # Errors
/// [`Error::Unreadable`] when it is empty, not JSON, or another kind of value; [`Error::Invalid`]
/// when a text in it holds a NUL.
pub(crate) fn parse_object(body: &[u8]) -> Result<Map<String, Value>, Error> {
    match serde_json::from_slice(body) {
        Ok(value) if holds_nul(&value) => Err(Error::Invalid(NUL.to_owned())),
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::Unreadable(
            "The body must be a JSON object.".to_owned(),
        )),
        Err(e) => Err(Error::Unreadable(format!("The body is not JSON: {e}."))),
    }
}

/// What a caller is told whose body holds a NUL.
pub(crate) const NUL: &str = "The body holds a NUL character (\\u0000), which no text may.";

/// Whether a key or text anywhere in the value holds a NUL, which not every database can keep. The
/// parser bounds the depth.
pub(crate) fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(holds_nul),
        Value::Object(members) => members
            .iter()
            .any(|(key, value)| key.contains('\0') || holds_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The members of one object, and the way to it from the body's root.
pub(crate) struct Members<'a> {
    object: &'a Map<String, Value>,
    way: String,
}

impl<'a> Members<'a> {
    /// The members of a body's root.
    pub(crate) fn of(object: &'a Map<String, Value>) -> Self {
        Members {
            object,
            way: String::new(),
        }
    }

    /// The members of an object at a place in the body that messages shall name.
    pub(crate) fn at(object: &'a Map<String, Value>, way: &str) -> Self {
        Members {
            object,
            way: format!("{way}."),
        }
    }

    /// How messages name a member.
    pub(crate) fn name(&self, member: &str) -> String {
        format!("{}{member}", self.way)
    }

    /// An error that names a member.
    pub(crate) fn wrong(&self, member: &str, rule: &str) -> Error {
        Error::Invalid(format!("{} {rule}.", self.name(member)))
    }

    /// A member that is there and not null.
    pub(crate) fn value(&self, member: &str) -> Option<&'a Value> {
        self.object.get(member).filter(|value| !value.is_null())
    }

    /// A text.
    pub(crate) fn text(&self, member: &str) -> Result<Option<&'a str>, Error> {
        match self.value(member) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(member, "must be a string")),
        }
    }

    /// A text that must be there.
    pub(crate) fn required_text(&self, member: &str) -> Result<&'a str, Error> {
        self.text(member)?
            .ok_or_else(|| self.wrong(member, "is required"))
    }

    /// True or false.
    pub(crate) fn boolean(&self, member: &str) -> Result<Option<bool>, Error> {
        match self.value(member) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(_) => Err(self.wrong(member, "must be true or false")),
        }
    }

    /// True or false, which must be there.
    pub(crate) fn required_boolean(&self, member: &str) -> Result<bool, Error> {
        self.boolean(member)?
            .ok_or_else(|| self.wrong(member, "is required"))
    }

    /// An object.
    pub(crate) fn object(&self, member: &str) -> Result<Option<Members<'a>>, Error> {
        match self.value(member) {
            None => Ok(None),
            Some(Value::Object(object)) => Ok(Some(Members::at(object, &self.name(member)))),
            Some(_) => Err(self.wrong(member, "must be an object")),
        }
    }

    /// An object as the tree it is.
    pub(crate) fn tree(&self, member: &str) -> Result<Option<&'a Value>, Error> {
        match self.value(member) {
            None => Ok(None),
            Some(value @ Value::Object(_)) => Ok(Some(value)),
            Some(_) => Err(self.wrong(member, "must be an object")),
        }
    }

    /// A list.
    pub(crate) fn list(&self, member: &str) -> Result<Option<&'a [Value]>, Error> {
        match self.value(member) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(self.wrong(member, "must be an array")),
        }
    }

    /// One word of a list, compared without case.
    pub(crate) fn word<T: Copy>(
        &self,
        member: &str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Error> {
        let Some(text) = self.text(member)? else {
            return Ok(None);
        };
        words
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(text))
            .map(|(_, value)| Some(*value))
            .ok_or_else(|| {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                self.wrong(member, &format!("must be one of {}", words.join(", ")))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Map<String, Value> {
        parse_object(text.as_bytes()).expect("an object")
    }

    #[test]
    fn bodies_that_are_no_object_are_unreadable() {
        for body in ["", "[]", "1", "{", "{} {}"] {
            assert!(
                matches!(parse_object(body.as_bytes()), Err(Error::Unreadable(_))),
                "{body}"
            );
        }
        let deep = "[".repeat(100_000);
        assert!(matches!(
            parse_object(deep.as_bytes()),
            Err(Error::Unreadable(_))
        ));
    }

    #[test]
    fn a_nul_is_refused_wherever_it_hides() {
        for body in [
            r#"{"a":"x\u0000"}"#,
            r#"{"\u0000":1}"#,
            r#"{"a":[{"b":["\u0000"]}]}"#,
        ] {
            let refused = parse_object(body.as_bytes());
            assert_eq!(refused, Err(Error::Invalid(NUL.into())), "{body}");
        }
        assert!(parse_object(br#"{"a":"\\u0000"}"#).is_ok());
    }

    #[test]
    fn absent_null_and_empty_are_the_same_and_other_kinds_are_named() {
        let body = object(r#"{"a":null,"b":"","c":{"d":1}}"#);
        let members = Members::of(&body);
        assert_eq!(members.text("a"), Ok(None));
        assert_eq!(members.text("b"), Ok(None));
        let inner = members.object("c").expect("an object").expect("there");
        assert_eq!(
            inner.text("d"),
            Err(Error::Invalid("c.d must be a string.".into()))
        );
        assert_eq!(
            inner.required_boolean("e"),
            Err(Error::Invalid("c.e is required.".into()))
        );
    }

    #[test]
    fn words_ignore_case_and_a_wrong_one_is_told_the_right_ones() {
        let body = object(r#"{"mode":"UPDATE","other":"x"}"#);
        let members = Members::of(&body);
        let words = [("create", 1), ("update", 2)];
        assert_eq!(members.word("mode", &words), Ok(Some(2)));
        assert_eq!(
            members.word("other", &words),
            Err(Error::Invalid(
                "other must be one of create, update.".into()
            ))
        );
    }
}
