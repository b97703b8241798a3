//! The `api-version` parameter: a date, perhaps with `-preview`. Every face reads it here.
//!
//! No list of known versions is kept: official clients send dates that no document names, and the
//! bodies of all served versions are one and the same.

use landfall_core::administration::terms::version_date;
use landfall_core::error::Error;

/// A well-formed api version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiVersion(String);

impl ApiVersion {
    /// The version as it was sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Reads the parameter of a request.
///
/// Source: docs/protocol/device-api.md §1.2; docs/protocol/service-api.md §1 [S, I].
///
/// # Errors
/// [`Error::ApiVersion`] when it is missing, or is not a date of the form `YYYY-MM-DD`, with or
/// without `-preview`.
pub fn parse(parameter: Option<&str>) -> Result<ApiVersion, Error> {
    let text = parameter.filter(|text| !text.is_empty()).ok_or_else(|| {
        Error::ApiVersion("The api-version parameter is missing; 2021-10-01 is served.".to_owned())
    })?;
    if version_date(text).is_none() {
        return Err(Error::ApiVersion(
            "The api-version is not of the form YYYY-MM-DD or YYYY-MM-DD-preview; 2021-10-01 is \
             served."
                .to_owned(),
        ));
    }
    Ok(ApiVersion(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_that_clients_send_are_accepted() {
        for version in [
            "2017-11-15",
            "2018-09-01-preview",
            "2019-03-31",
            "2021-10-01",
            "2026-11-02-preview",
            "2026-11-15-Preview",
        ] {
            assert_eq!(parse(Some(version)).expect("accepted").as_str(), version);
        }
    }

    #[test]
    fn missing_and_malformed_versions_are_told_apart_from_other_faults() {
        for version in [
            None,
            Some(""),
            Some("latest"),
            Some("2021-13-01"),
            Some("2021-10-32"),
            Some("2021-10-01-beta"),
            Some("2021-10-1"),
            Some("２021-10-01"),
            Some("2021-10-01 "),
        ] {
            assert!(
                matches!(parse(version), Err(Error::ApiVersion(_))),
                "{version:?}"
            );
        }
    }
}
