//! What `landfall dev` says when it is ready: to people on standard output, to programs in
//! `dev.json`.

use std::env;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use landfall_core::clock::{Clock, Entropy};
use landfall_core::sas;
use landfall_core::secret::SymmetricKey;
use serde_json::json;

use super::place::Place;
use super::self_check::Road;
use crate::command::print;
use crate::control_names::{RESOURCE_GROUP, SUBSCRIPTION};
use crate::time::Stopwatch;

/// The device that the printed commands enroll and register. It is nobody's until they are run.
const TRIAL_DEVICE: &str = "dev-1";
/// How long the printed token is good for.
const TRIAL_LIFE: Duration = Duration::from_secs(24 * 3600);

/// How long the parts of a start took.
pub struct Parts {
    watch: Stopwatch,
    done: Vec<(&'static str, Duration)>,
}

impl Parts {
    /// Starts measuring.
    pub fn start() -> Self {
        Parts {
            watch: Stopwatch::start(),
            done: Vec::new(),
        }
    }

    /// Notes that a part is done; the next one begins.
    pub fn done(&mut self, part: &'static str) {
        let before: Duration = self.done.iter().map(|(_, took)| *took).sum();
        let took = self.watch.elapsed().saturating_sub(before);
        self.done.push((part, took));
    }

    /// All of them, and each.
    fn told(&self) -> String {
        let whole: Duration = self.done.iter().map(|(_, took)| *took).sum();
        let parts = self
            .done
            .iter()
            .map(|(part, took)| format!("{part} {}", took.as_millis()));
        let parts: Vec<_> = parts.collect();
        format!("{} ms: {}", whole.as_millis(), parts.join(", "))
    }
}

/// A key for the trial device, and a token made with it, so that the printed lines work as they are.
pub struct Trial {
    key: SymmetricKey,
    token: String,
}

impl Trial {
    /// Draws the key and signs the token.
    pub fn draw(place: &Place, clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
        let key = SymmetricKey::draw(entropy, 32);
        let resource = format!("{}/registrations/{TRIAL_DEVICE}", place.service.id_scope);
        let expiry = clock.now().plus(TRIAL_LIFE);
        let token = sas::sign(&resource, &key, Some("registration"), expiry);
        Trial { key, token }
    }
}

/// A server that is ready.
pub struct Ready {
    /// Where everything is.
    pub place: Place,
    /// The road of the simulated device.
    pub road: Road,
    /// The data folder.
    pub folder: PathBuf,
    /// What the printed commands work with.
    pub trial: Trial,
    /// What the start was spent on.
    pub parts: Parts,
}

/// `dev.json`: what a program needs.
pub fn json(place: &Place) -> String {
    let document = json!({
        "host": place.service.host_name,
        "hosts": place.hosts,
        "address": place.address(),
        "httpsPort": place.port,
        "mqttPort": place.mqtt_port,
        "idScope": place.service.id_scope.as_str(),
        "serviceConnectionString": place.service_connection_string(),
        "hubConnectionString": place.hub_connection_string(),
        "caFile": place.ca_file,
        "bundleFile": place.bundle_file,
        "controlPlane": {
            "url": place.url(),
            "token": &**place.control_token.to_base64(),
            "subscription": SUBSCRIPTION,
            "resourceGroup": RESOURCE_GROUP,
            "name": place.service.name.as_str(),
        },
        "adminUrl": place.admin_url(),
    });
    format!("{document:#}\n")
}

impl Ready {
    /// Tells people where the command's server is, in one line; standard output is the command's.
    pub fn print_in_brief(&self) {
        let place = &self.place;
        print::aside(&format!(
            "landfall: ready on {}, id scope {} ({})",
            place.url(),
            place.service.id_scope,
            self.parts.told()
        ));
    }

    /// Tells people, ready to paste.
    pub fn print(&self) {
        let mut out = String::new();
        // A text takes everything.
        let _ = self.write(&mut out);
        print::text(&out);
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        let place = &self.place;
        writeln!(
            out,
            "A simulated device was provisioned through {} (TLS verified; the wait between polls left out):",
            place.url()
        )?;
        for (what, took) in &self.road.device {
            writeln!(out, "  {:>9}  {what}", milliseconds(*took))?;
        }
        writeln!(out, "  on the server, counted from the request:")?;
        for (stage, at, note) in &self.road.server {
            writeln!(out, "  {:>9}  {stage:<12} {note}", milliseconds(*at))?;
        }
        writeln!(
            out,
            "  assigned to hub {}. The device was removed again.\n",
            self.road.hub
        )?;
        writeln!(out, "Landfall is ready ({}).\n", self.parts.told())?;
        writeln!(out, "  id scope            {}", place.service.id_scope)?;
        writeln!(out, "  device endpoint     {}", place.url())?;
        writeln!(
            out,
            "  MQTT over TLS       {}:{}",
            place.service.host_name, place.mqtt_port
        )?;
        writeln!(
            out,
            "  service connection  {}",
            place.service_connection_string()
        )?;
        writeln!(
            out,
            "  hub connection      {}",
            place.hub_connection_string()
        )?;
        writeln!(out, "  CA certificate      {}", place.ca_file.display())?;
        writeln!(out, "  health              {}/readyz", place.admin_url())?;
        writeln!(
            out,
            "  for programs        {}\n",
            self.folder.join("dev.json").display()
        )?;
        let landfall = format!("{} --data {}", pasted(&own_name()), pasted(&self.folder));
        writeln!(
            out,
            "Try it from another terminal, the second line after the first:"
        )?;
        writeln!(
            out,
            "  {landfall} enrollment create --enrollment-id {TRIAL_DEVICE} --primary-key {}",
            &**self.trial.key.to_base64()
        )?;
        writeln!(
            out,
            "  curl --cacert {}{} -X PUT -H 'Content-Type: application/json' -H 'Authorization: {}' -d '{{}}' '{}/{}/registrations/{TRIAL_DEVICE}/register?api-version=2021-06-01'",
            pasted(&place.ca_file),
            place.resolved_for_curl(),
            self.trial.token,
            place.url(),
            place.service.id_scope
        )?;
        writeln!(out, "Why a device was answered as it was:")?;
        writeln!(out, "  {landfall} explain {TRIAL_DEVICE}")?;
        writeln!(out, "Stop with Ctrl-C.")
    }
}

fn milliseconds(span: Duration) -> String {
    format!("{:.2} ms", span.as_secs_f64() * 1000.0)
}

/// What a shell here calls this executable: `landfall` when its path leads to it, else its file,
/// which `cargo run` leaves off the path.
fn own_name() -> PathBuf {
    let name = PathBuf::from("landfall");
    let Ok(own) = env::current_exe() else {
        return name;
    };
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .map(|folder| folder.join(&name))
        .find(|file| file.is_file());
    if found.and_then(|file| file.canonicalize().ok()).as_ref() == Some(&own) {
        return name;
    }
    own
}

/// A path as a shell reads it back.
pub(super) fn pasted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_quoted_only_where_a_shell_would_split_it() {
        assert_eq!(
            pasted(Path::new("/tmp/data-1.d/ca.pem")),
            "/tmp/data-1.d/ca.pem"
        );
        assert_eq!(pasted(Path::new("/tmp/my data")), "'/tmp/my data'");
        assert_eq!(pasted(Path::new("it's")), r"'it'\''s'");
    }

    #[test]
    fn an_executable_off_the_path_is_named_by_its_file() {
        // The test's own executable is not called `landfall`.
        assert!(own_name().is_absolute());
    }
}
