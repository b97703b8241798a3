//! Whether a device or module is let in, by whatever transport: its identity is read and its proof held against
//! it. Why not is told to operators alone.

use landfall_core::clock::Timestamp;
use landfall_core::store::ReadError;
use landfall_core::trace::Finding;
use landfall_hub::access::endpoint::{Identity, Proof, Refusal, admit};
use landfall_hub::device::Hub;
use landfall_hub::endpoint::Endpoint;
use landfall_hub::store::HubStore;

/// Says until when an endpoint of a hub is let in, or why it is not; `host` is the name that it calls the hub by.
pub(super) async fn admitted<S: HubStore>(
    store: &S,
    hub: &Hub,
    endpoint: &Endpoint,
    host: &str,
    proof: &Proof<'_>,
    now: Timestamp,
) -> Result<Result<Option<Timestamp>, Refusal>, ReadError> {
    let Some(device) = store.device(&hub.host_name, &endpoint.device).await? else {
        return Ok(Err(Refusal::NotThere));
    };
    let module = match &endpoint.module {
        None => None,
        Some(id) => match store.module(&hub.host_name, &endpoint.device, id).await? {
            None => return Ok(Err(Refusal::NotThere)),
            module => module,
        },
    };
    let identity = Identity {
        device: &device,
        module: module.as_ref(),
    };
    Ok(admit(hub, identity, endpoint, host, proof, now))
}

/// A refusal as an operator reads it.
pub(super) fn finding(refusal: &Refusal) -> Finding {
    Finding::new(
        "hub.credential",
        "an enabled device or module of this hub, and its own credential",
        refusal.to_string(),
        "`landfall hub device show ID --keys` tells what the hub asks for. A device that was provisioned connects with the credential it registered with.",
    )
}
