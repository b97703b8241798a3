//! Keeps `dev.json` true while a development server runs: keys rotate, the service is called
//! otherwise, or is deleted and the next oldest takes its place.

use std::sync::Arc;

use landfall_core::store::Store as _;
use landfall_store::SqlStore;
use tokio::sync::mpsc;

use super::names::hub_of;
use super::place::Place;
use super::ready;
use crate::backend::Backend;
use crate::data_folder::DataFolder;
use crate::own_api::changes::Change;
use crate::stop::Stop;

/// Writes `dev.json` anew at every change, until the server stops.
pub async fn run(
    backend: Backend<SqlStore>,
    folder: Arc<DataFolder>,
    mut place: Place,
    mut changes: mpsc::Receiver<Change>,
    mut stop: Stop,
) {
    loop {
        let change = tokio::select! {
            change = changes.recv() => change,
            () = stop.given() => None,
        };
        let Some(followed) = change else {
            return;
        };
        if let Err(error) = write(&backend, &folder, &mut place).await {
            tracing::warn!(
                "dev.json could not be written after a change, so programs read what was: {error:#}"
            );
        }
        // Whoever made the change may have gone.
        let _ = followed.send(());
    }
}

/// What a program needs, as it is now. Without a service, what was stays: the control token in it
/// makes the next one.
async fn write(
    backend: &Backend<SqlStore>,
    folder: &DataFolder,
    place: &mut Place,
) -> anyhow::Result<()> {
    let services = backend.store.services().await?;
    let Some(service) = services.into_iter().min_by_key(|service| service.created) else {
        return Ok(());
    };
    place.hub = hub_of(backend, &service).await?;
    place.service = service;
    folder.write("dev.json", ready::json(place).as_bytes(), true)?;
    Ok(())
}
