//! What `landfall dev` says when it is ready: to people on standard output, to programs in
//! `dev.json`.

use std::path::PathBuf;
use std::time::Duration;

use landfall_core::clock::{Clock, Entropy};
use landfall_core::sas;
use landfall_core::secret::SymmetricKey;
use serde_json::json;

use super::place::Place;
use super::self_check::Road;
use crate::control_names::{RESOURCE_GROUP, SUBSCRIPTION};

/// The device that the printed commands enroll and register. It is nobody's until they are run.
const TRIAL_DEVICE: &str = "dev-1";
/// How long the printed token is good for.
const TRIAL_LIFE: Duration = Duration::from_secs(24 * 3600);

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
}

impl Ready {
    /// `dev.json`: what a program needs.
    pub fn json(&self) -> String {
        let place = &self.place;
        let document = json!({
            "host": place.service.host_name,
            "httpsPort": place.port,
            "idScope": place.service.id_scope.as_str(),
            "serviceConnectionString": place.service_connection_string(),
            "hubConnectionString": place.hub_connection_string(),
            "caFile": place.ca_file,
            "controlPlane": {
                "url": place.url(),
                "token": &**place.control_token.to_base64(),
                "subscription": SUBSCRIPTION,
                "resourceGroup": RESOURCE_GROUP,
                "name": place.service.name.as_str(),
            },
            "adminUrl": format!("http://{}", place.admin),
        });
        format!("{document:#}\n")
    }

    /// Tells people, ready to paste.
    pub fn print(&self, took: Duration) {
        let place = &self.place;
        println!(
            "A simulated device was provisioned through {} (TLS verified; the wait between polls left out):",
            place.url()
        );
        for (what, took) in &self.road.device {
            println!("  {:>9}  {what}", milliseconds(*took));
        }
        println!("  on the server, counted from the request:");
        for (stage, at, note) in &self.road.server {
            println!("  {:>9}  {stage:<12} {note}", milliseconds(*at));
        }
        println!(
            "  assigned to hub {}. The device was removed again.\n",
            self.road.hub
        );
        println!("Landfall is ready ({}).\n", milliseconds(took));
        println!("  id scope            {}", place.service.id_scope);
        println!("  device endpoint     {}", place.url());
        println!(
            "  service connection  {}",
            place.service_connection_string()
        );
        println!("  hub connection      {}", place.hub_connection_string());
        println!("  CA certificate      {}", place.ca_file.display());
        println!("  health              http://{}/readyz", place.admin);
        println!(
            "  for programs        {}\n",
            self.folder.join("dev.json").display()
        );
        // The binary by its path: after `cargo run` it is on nobody's PATH.
        let binary = std::env::current_exe().unwrap_or_else(|_| PathBuf::from("landfall"));
        let landfall = format!("{} --data {}", binary.display(), self.folder.display());
        println!("Try it from another terminal, the second line after the first:");
        println!(
            "  {landfall} enrollment create --enrollment-id {TRIAL_DEVICE} --primary-key {}",
            &**self.trial.key.to_base64()
        );
        println!(
            "  curl --cacert {} -X PUT -H 'Content-Type: application/json' -H 'Authorization: {}' -d '{{}}' '{}/{}/registrations/{TRIAL_DEVICE}/register?api-version=2021-06-01'",
            place.ca_file.display(),
            self.trial.token,
            place.url(),
            place.service.id_scope
        );
        println!("Why a device was answered as it was:");
        println!("  {landfall} explain {TRIAL_DEVICE}");
        println!("Stop with Ctrl-C.");
    }
}

fn milliseconds(span: Duration) -> String {
    format!("{:.2} ms", span.as_secs_f64() * 1000.0)
}
