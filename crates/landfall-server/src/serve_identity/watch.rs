//! Looks at the certificate files every few seconds, when somebody says that they changed, and calls
//! to mind every day what will end or is missing.

use std::sync::Arc;
use std::time::Duration;

use landfall_hub::store::HubStore;

use super::{Remark, ServeIdentity};
use crate::backend::Backend;
use crate::daily::Daily;
use crate::signals::Reload;
use crate::stop::Stop;
use crate::time;

/// How often the files are looked at.
pub const ROUND: Duration = Duration::from_secs(2);

/// Runs until `stop` says true. `changed` is called when other certificates are shown.
pub async fn watch<S: HubStore>(
    identity: Arc<ServeIdentity>,
    backend: Backend<S>,
    mut reload: Reload,
    round: Duration,
    changed: impl Fn(),
    mut stop: Stop,
) {
    let mut reminded = Daily::default();
    reminded.done(backend.clock.now());
    remind(&identity, &backend).await;
    loop {
        let at_once = tokio::select! {
            () = time::sleep(round) => false,
            () = reload.asked() => true,
            () = stop.given() => return,
        };
        let looking = Arc::clone(&identity);
        // Files may lie on a slow disk; requests need not wait for it.
        let exchanged = tokio::task::spawn_blocking(move || looking.look(at_once))
            .await
            .unwrap_or(false);
        if exchanged {
            changed();
        }
        let now = backend.clock.now();
        if exchanged || reminded.is_due(now) {
            reminded.done(now);
            remind(&identity, &backend).await;
        }
    }
}

async fn remind<S: HubStore>(identity: &ServeIdentity, backend: &Backend<S>) {
    let names = match names_in_use(backend).await {
        Ok(names) => names,
        Err(error) => {
            tracing::warn!(%error, "the names of services and hubs could not be read");
            Vec::new()
        }
    };
    for Remark { urgent, text } in identity.remarks(&names) {
        if urgent {
            tracing::error!("{text}");
        } else {
            tracing::warn!("{text}");
        }
    }
}

/// Every name that a service or hub goes by, with whose it is.
async fn names_in_use<S: HubStore>(
    backend: &Backend<S>,
) -> Result<Vec<(String, String)>, landfall_core::store::ReadError> {
    let services = backend.store.services().await?;
    let of_services = services.into_iter().map(|service| {
        let whose = format!("provisioning service '{}'", service.name);
        (service.host_name, whose)
    });
    let hubs = backend.store.hubs().await?;
    let of_hubs = hubs
        .into_iter()
        .map(|hub| (hub.host_name.key().to_owned(), "an embedded hub".to_owned()));
    Ok(of_services.chain(of_hubs).collect())
}
