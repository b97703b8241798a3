//! Reading members of a JSON body with errors that name the member and never quote its value,
//! which may be a key.

use landfall_core::document::{Json, JsonObject};
use landfall_hub::error::HubError;

/// An object of a body, with the way to it.
pub(super) struct Members<'a> {
    path: String,
    object: &'a JsonObject,
}

impl<'a> Members<'a> {
    /// The body itself, which must be an object.
    pub(super) fn of_body(body: &'a Json) -> Result<Self, HubError> {
        match body {
            Json::Object(object) => Ok(Members {
                path: String::new(),
                object,
            }),
            _ => Err(HubError::ArgumentInvalid(
                "The body must be a JSON object".to_owned(),
            )),
        }
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, HubError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "a text")),
        }
    }

    /// A text that counts as absent when it is empty.
    pub(super) fn filled(&self, name: &str) -> Result<Option<&'a str>, HubError> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    /// `true` or `false`.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, HubError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// An object, to be read further.
    pub(super) fn members(&self, name: &str) -> Result<Option<Members<'a>>, HubError> {
        Ok(self.object(name)?.map(|object| Members {
            path: self.way(name),
            object,
        }))
    }

    /// An object, as it is.
    pub(super) fn object(&self, name: &str) -> Result<Option<&'a JsonObject>, HubError> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::Object(object)) => Ok(Some(object)),
            Some(_) => Err(self.wrong(name, "an object")),
        }
    }

    /// An array of texts.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, HubError> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let items = value
            .as_array()
            .ok_or_else(|| self.wrong(name, "an array of texts"))?;
        items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect::<Option<Vec<_>>>()
            .map(Some)
            .ok_or_else(|| self.wrong(name, "an array of texts"))
    }

    /// True when the member is there as `null`.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.object.get(name).is_some_and(Json::is_null)
    }

    /// The way to a member, for messages.
    pub(super) fn way(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    fn value(&self, name: &str) -> Option<&'a Json> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn wrong(&self, name: &str, should: &str) -> HubError {
        HubError::ArgumentInvalid(format!("'{}' must be {should}", self.way(name)))
    }
}
