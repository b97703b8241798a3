//! `POST /devices/query` on a hub: the call read by wire, answered over the store, written by wire.
//! The caller has shown its right to ask.

use landfall_hub::device::Hub;
use landfall_hub::error::HubError;
use landfall_hub::query::{self, Rendering};
use landfall_hub::store::HubStore;
use landfall_wire::hub::{module_twin_json, twin_json};
use landfall_wire::message::{Reply, Request};
use landfall_wire::query::HubQueryCall;
use tokio::sync::Semaphore;

use crate::backend::Backend;

/// The turn to read every record of a hub: one aggregate at a time in the whole process, so that
/// no number of them keeps devices from registering.
static AGGREGATE: Semaphore = Semaphore::const_new(1);

/// Answers a query of `hub` with one page.
///
/// # Errors
/// As [`HubQueryCall::read`] and [`query::answer`] say.
pub async fn answer<S: HubStore>(
    backend: &Backend<S>,
    hub: &Hub,
    request: &Request,
) -> Result<Reply, HubError> {
    let call = HubQueryCall::read(request)?;
    let _turn = if call.query.is_aggregate() {
        let turn = AGGREGATE.acquire().await;
        Some(turn.map_err(|error| HubError::Internal(error.to_string()))?)
    } else {
        None
    };
    let rendering = Rendering {
        device: &twin_json,
        module: &module_twin_json,
    };
    let page = query::answer(
        &*backend.store,
        &hub.host_name,
        &call.query,
        &rendering,
        &call.page,
    )
    .await?;
    Ok(call.reply(page))
}
