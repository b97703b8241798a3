//! The collector of traces that the settings name: its URL, the headers of a file, what the server is called
//! there. No part of a header's value is ever repeated.

use std::path::{Path, PathBuf};

use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::ConfigError;
use super::database::content;
use super::source::Sources;

const ENDPOINT: &str = "telemetry.otlp_endpoint";
const HEADERS: &str = "telemetry.otlp_headers_file";

/// Where spans are sent to.
#[derive(Debug, Clone, PartialEq)]
pub struct Collector {
    /// Whether it speaks TLS.
    pub secure: bool,
    /// Its host name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The path that takes spans.
    pub path: String,
    /// What it is shown with every call.
    pub headers: HeaderMap,
    /// PEM file of the authority of its certificate, when it is none that this machine trusts.
    pub ca_file: Option<PathBuf>,
    /// What this server is called there.
    pub service_name: String,
}

/// The collector, when the settings name one. `built_in` says whether this program can send to it.
pub(super) fn collector(
    sources: &Sources,
    data_dir: &Path,
    built_in: bool,
) -> Result<Option<Collector>, ConfigError> {
    let Some(text) = sources.optional_text(ENDPOINT)? else {
        return Ok(None);
    };
    if !built_in {
        return Err(sources.error(
            ENDPOINT,
            "is set, and this program was built without OpenTelemetry",
            "leave it out, or build the program with `cargo build --release -p landfall-server --features opentelemetry`",
        ));
    }
    let refused = |what: &str| {
        sources.error(
            ENDPOINT,
            what,
            "write it as http://HOST:4318 or https://HOST:PORT, without v1/traces",
        )
    };
    let url: Uri = text.parse().map_err(|_| refused("is no URL"))?;
    let secure = match url.scheme() {
        Some(scheme) if *scheme == Scheme::HTTPS => true,
        Some(scheme) if *scheme == Scheme::HTTP => false,
        _ => return Err(refused("is no URL of http or https")),
    };
    let authority = url.authority().ok_or_else(|| refused("names no host"))?;
    if authority.as_str().contains('@') || url.query().is_some() {
        return Err(refused(
            "holds a user, a password or a query, which belong into telemetry.otlp_headers_file",
        ));
    }
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let file = content(sources, HEADERS, data_dir)?;
    let ca_file = sources.optional_path("telemetry.otlp_ca_file")?;
    Ok(Some(Collector {
        secure,
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port,
        path: format!("{}/v1/traces", url.path().trim_end_matches('/')),
        headers: headers(sources, &file.unwrap_or_default())?,
        ca_file: ca_file.map(|file| data_dir.join(file)),
        service_name: sources.text("telemetry.service_name")?,
    }))
}

/// Reads lines `Name: value`; empty ones and those that begin with `#` say nothing.
fn headers(sources: &Sources, file: &[u8]) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for (number, line) in (1..).zip(file.split(|byte| *byte == b'\n')) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let header = line.iter().position(|byte| *byte == b':').and_then(|at| {
            let (name, value) = line.split_at(at);
            let name = HeaderName::from_bytes(name.trim_ascii()).ok()?;
            let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
            Some((name, value))
        });
        let Some((name, mut value)) = header else {
            return Err(sources.error(
                HEADERS,
                &format!("has no header in line {number} of its file"),
                "write one header a line, such as Authorization: Bearer TOKEN",
            ));
        };
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(lines: &str) -> Sources {
        let file = format!("[telemetry]\n{lines}\n");
        Sources::new(&[], &|_| None, Some(&file)).expect("read")
    }

    fn read(lines: &str, data_dir: &Path) -> Result<Option<Collector>, ConfigError> {
        collector(&sources(lines), data_dir, true)
    }

    #[test]
    fn a_collector_is_named_by_its_url_and_shown_the_headers_of_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read("", folder.path()), Ok(None));
        let text = "# of the vendor\n\nAuthorization: Bearer hush\r\nX-Tenant:a:b\n";
        std::fs::write(folder.path().join("headers"), text).expect("written");
        let lines = "otlp_endpoint = \"https://[2001:db8::1]/otlp/\"\notlp_headers_file = \"headers\"\nservice_name = \"dps\"";
        let found = read(lines, folder.path()).expect("read").expect("named");
        let spoken = format!("{found:?}");
        assert!(!spoken.contains("hush"), "{spoken}");
        assert_eq!(
            (
                found.secure,
                &*found.host,
                found.port,
                &*found.path,
                &*found.service_name
            ),
            (true, "2001:db8::1", 443, "/otlp/v1/traces", "dps")
        );
        assert_eq!(found.headers["authorization"], "Bearer hush");
        assert_eq!(found.headers["x-tenant"], "a:b");
        let plain = read("otlp_endpoint = \"http://collector:4318\"", folder.path());
        let plain = plain.expect("read").expect("named");
        assert_eq!(
            (plain.secure, plain.port, &*plain.path, &*plain.service_name),
            (false, 4318, "/v1/traces", "landfall")
        );
    }

    #[test]
    fn what_leads_to_no_collector_is_refused_without_repeating_a_secret() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("headers"), "Authorization hush").expect("written");
        for (lines, what) in [
            ("otlp_endpoint = \"collector:4318\"", "no URL"),
            ("otlp_endpoint = \"ftp://collector\"", "http or https"),
            (
                "otlp_endpoint = \"http://me:hush@collector\"",
                "belong into",
            ),
            (
                "otlp_endpoint = \"http://collector?key=hush\"",
                "belong into",
            ),
            (
                "otlp_endpoint = \"http://collector\"\notlp_headers_file = \"headers\"",
                "no header in line 1",
            ),
            (
                "otlp_endpoint = \"http://collector\"\notlp_headers_file = \"none\"",
                "cannot be read",
            ),
        ] {
            let error = read(lines, folder.path()).expect_err(lines);
            assert!(error.what.contains(what), "{error:?}");
            assert!(!format!("{error:?}").contains("hush"), "{error:?}");
        }
        let sources = sources("otlp_endpoint = \"http://collector:4318\"");
        let error = collector(&sources, folder.path(), false).expect_err("not built in");
        assert!(error.fix.contains("--features opentelemetry"), "{error:?}");
    }
}
