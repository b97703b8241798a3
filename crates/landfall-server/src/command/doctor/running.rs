//! Whether a server runs on the folder, by what it announced there, and whether it answers.

use std::net::SocketAddr;
use std::path::Path;

use landfall_core::clock::Clock as _;
use serde_json::Value as Json;

use super::finding::Report;
use crate::client::Endpoint;
use crate::command::ready;
use crate::data_folder::ANNOUNCEMENTS;
use crate::time::SystemClock;

/// How far two clocks may be apart before tokens and certificates are judged differently.
const CLOCKS_APART_SECONDS: i64 = 5;

/// What a server said of itself when it was ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announced {
    /// The file that says so.
    pub file: String,
    /// Its process, where it says that.
    pub pid: Option<u32>,
    /// Where it serves devices and operators.
    pub https: Vec<SocketAddr>,
    /// Where it answers about its health.
    pub admin: Option<SocketAddr>,
}

impl Announced {
    /// Reads the file of a data folder; `None` when no server is ready on it.
    pub fn read(folder: &Path) -> Option<Self> {
        ANNOUNCEMENTS.iter().find_map(|name| {
            let path = folder.join(name);
            let text = std::fs::read(&path).ok()?;
            let file: Json = serde_json::from_slice(&text).ok()?;
            Some(Announced::of(path.display().to_string(), &file))
        })
    }

    fn of(path: String, file: &Json) -> Self {
        let text = |member: &str| file.get(member).and_then(Json::as_str);
        let number = |member: &str| file.get(member).and_then(Json::as_u64);
        let port = number("httpsPort").and_then(|port| u16::try_from(port).ok());
        let addresses = file.get("addresses").and_then(Json::as_array);
        let all = addresses.into_iter().flatten().filter_map(Json::as_str);
        let mut https: Vec<SocketAddr> = all.filter_map(|text| text.parse().ok()).collect();
        if let (Some(address), Some(port)) = (text("address"), port)
            && let Ok(address) = address.parse()
        {
            https.push(SocketAddr::new(address, port));
        }
        Announced {
            file: path,
            pid: number("pid").and_then(|pid| u32::try_from(pid).ok()),
            https,
            admin: text("adminUrl")
                .and_then(|url| url.strip_prefix("http://"))
                .and_then(|address| address.trim_end_matches('/').parse().ok()),
        }
    }
}

/// Asks the announced server whether it is ready, and compares its clock with ours.
pub async fn answers(report: &mut Report, announced: &Announced) {
    let Some(admin) = announced.admin else {
        return;
    };
    let endpoint = Endpoint::new(&admin.ip().to_string(), admin.port());
    match ready::asked(&endpoint).await {
        Err(_) => report.warning(
            "server",
            &format!(
                "{} says that a server runs, and nobody answers at {admin}",
                announced.file
            ),
            "it was killed, or its machine was: start it again, which also removes the file; its log says why it ended",
        ),
        Ok(said) if said.ready => {
            report.fine("server", &format!("runs and is ready ({admin})"));
            clocks(report, said.date.as_deref());
        }
        Ok(said) => report.failure(
            "server",
            &format!("runs and is not ready: {}", said.text.trim()),
            "see the server's log; what is found below may be the reason",
        ),
    }
}

fn clocks(report: &mut Report, date: Option<&str>) {
    let theirs = date.and_then(|date| {
        let format = &time::format_description::well_known::Rfc2822;
        time::OffsetDateTime::parse(date, format).ok()
    });
    let Some(theirs) = theirs else {
        return;
    };
    let apart = SystemClock.now().unix_seconds() - theirs.unix_timestamp();
    if apart.abs() > CLOCKS_APART_SECONDS {
        report.failure(
            "clock",
            &format!("the server's clock and that of this command are {apart} s apart"),
            "let both have the same clock, that of the machine: look for faketime, or a container with a clock of its own",
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_announcements_are_read() {
        let kept = json!({"pid": 7, "httpsPort": 443, "addresses": ["[::1]:443", "127.0.0.1:443"],
            "adminUrl": "http://127.0.0.1:9080"});
        let kept = Announced::of("server.json".into(), &kept);
        assert_eq!(kept.pid, Some(7));
        assert_eq!(kept.https.len(), 2);
        let dev = json!({"address": "127.0.0.3", "httpsPort": 8443, "adminUrl": "http://127.0.0.3:9765/"});
        let dev = Announced::of("dev.json".into(), &dev);
        assert_eq!(dev.https, ["127.0.0.3:8443".parse().expect("an address")]);
        assert_eq!(dev.admin, "127.0.0.3:9765".parse().ok());
        let odd = Announced::of("x".into(), &json!([1]));
        assert_eq!((odd.pid, odd.https.len(), odd.admin), (None, 0, None));
    }

    #[test]
    fn a_clock_that_differs_from_the_servers_is_told() {
        let mut report = Report::default();
        clocks(&mut report, Some(&SystemClock.now().to_rfc1123()));
        clocks(&mut report, Some("yesterday"));
        assert_eq!(report.findings, []);
        clocks(&mut report, Some("Thu, 01 Jan 2026 00:00:00 GMT"));
        assert_eq!(report.failures(), 1);
    }
}
