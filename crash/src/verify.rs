//! What is asked of a server that was started again: everything that was acknowledged before.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use http::StatusCode;
use landfall_server::client::Client;
use landfall_server::time::{Stopwatch, sleep};
use landfall_wire::client::{Pages, hub, service};
use landfall_wire::message::{Reply, Request};
use landfall_wire::route::Collection;

use crate::ledger::{Device, Placed, Progress, Written};
use crate::load::{accepted, place};
use landfall_crash::access::{Access, body, told_by};
use landfall_crash::server::{FIRST_HUB, SECOND_HUB, SERVICE};

/// How long an operation may go on after a start; one that a dead server left is continued then.
const ENDED_WITHIN: std::time::Duration = std::time::Duration::from_secs(20);

/// Asks for every device that was told something since it was asked for last.
///
/// # Errors
/// When a device is forgotten, put elsewhere, or not on its hub alone.
pub async fn devices(access: &Access, devices: &mut [Device]) -> anyhow::Result<()> {
    let mut asking = Asking {
        access,
        client: access.client(SERVICE),
        hubs: BTreeMap::new(),
    };
    for device in devices {
        if device.progress != Progress::Done {
            asking.end(device).await?;
            device.progress = Progress::Done;
        }
    }
    Ok(())
}

struct Asking<'a> {
    access: &'a Access,
    client: Client,
    hubs: BTreeMap<&'static str, Client>,
}

impl Asking<'_> {
    async fn end(&mut self, device: &mut Device) -> anyhow::Result<()> {
        let operation = match &device.progress {
            Progress::Accepted(operation) => operation.clone(),
            // It got no answer, and asks again as a device does.
            Progress::Asked | Progress::Done => {
                let request = self.access.register(&device.id)?;
                let reply = self.client.call(request).await?;
                accepted(device, &reply)?
            }
        };
        let watch = Stopwatch::start();
        loop {
            let request = self.access.poll(&device.id, &operation)?;
            let reply = self.client.call(request).await?;
            match reply.status {
                StatusCode::OK => {
                    place(device, &reply)?;
                    break;
                }
                StatusCode::ACCEPTED if watch.elapsed() < ENDED_WITHIN => {
                    sleep(std::time::Duration::from_millis(20)).await;
                }
                _ => bail!(
                    "LOST: {} read 202 with operation {operation}, and now {}",
                    device.id,
                    told_by(&reply)
                ),
            }
        }
        let Placed { hub, device_id } = device.placed.clone().context("it was just placed")?;
        let (here, other) = match hub.as_str() {
            FIRST_HUB => (FIRST_HUB, SECOND_HUB),
            _ => (SECOND_HUB, FIRST_HUB),
        };
        for (at, wanted) in [(here, StatusCode::OK), (other, StatusCode::NOT_FOUND)] {
            let request = hub::device(&self.access.operator_of(at), &device_id);
            let reply = self.ask(at, request).await?;
            if reply.status != wanted {
                bail!(
                    "LOST OR TWICE: {} was told {hub}, and {at} says of it {}",
                    device.id,
                    told_by(&reply)
                );
            }
        }
        Ok(())
    }

    async fn ask(&mut self, host: &'static str, request: Request) -> anyhow::Result<Reply> {
        let client = self.hubs.entry(host);
        let client = client.or_insert_with(|| self.access.client(host));
        Ok(client.call(request).await?)
    }
}

/// Asks for every enrollment.
///
/// # Errors
/// When one has neither the acknowledged value nor the one that was on its way.
pub async fn enrollments(
    access: &Access,
    all: &mut BTreeMap<String, Written>,
) -> anyhow::Result<()> {
    let mut client = access.client(SERVICE);
    let operator = access.operator();
    for (id, written) in all {
        let request = service::enrollment(&operator, Collection::Individuals, id);
        let reply = client.call(request).await?;
        let seen = match reply.status {
            StatusCode::OK => body(&reply)["initialTwin"]["tags"]["n"].as_u64(),
            StatusCode::NOT_FOUND => None,
            _ => bail!("enrollment {id}: {}", told_by(&reply)),
        };
        let before = written.clone();
        if !written.allows(seen) {
            bail!("LOST: enrollment {id} is {seen:?} after {before:?}");
        }
    }
    Ok(())
}

/// Asks where the devices that move are sent.
///
/// # Errors
/// As [`enrollments`].
pub async fn directed(access: &Access, written: &mut Written) -> anyhow::Result<()> {
    let reply = access.client(SERVICE).call(access.directed()).await?;
    let seen = body(&reply)["initialTwin"]["tags"]["n"].as_u64();
    let before = written.clone();
    if !written.allows(seen) {
        bail!("LOST: the group of those that move is {seen:?} after {before:?}");
    }
    Ok(())
}

/// Asks for the twins of these devices.
///
/// # Errors
/// When one has neither the acknowledged value nor the one that was on its way.
pub async fn twins(
    access: &Access,
    all: &mut BTreeMap<String, Written>,
    homes: &[Device],
) -> anyhow::Result<()> {
    for home in homes {
        let placed = home.placed.as_ref().context("a device without a hub")?;
        let request = hub::twin(&access.operator_of(&placed.hub), &placed.device_id);
        let reply = access.client(&placed.hub).call(request).await?;
        if reply.status != StatusCode::OK {
            bail!("LOST: twin of {}: {}", home.id, told_by(&reply));
        }
        let seen = body(&reply)["properties"]["desired"]["n"].as_u64();
        let written = all.entry(home.id.clone()).or_default();
        let before = written.clone();
        if !written.allows(seen) {
            bail!(
                "LOST: the twin of {} has {seen:?} after {before:?}",
                home.id
            );
        }
    }
    Ok(())
}

/// Lists both hubs, and holds every device to be on the one that it was told and nowhere else.
///
/// # Errors
/// When one is not.
pub async fn every_device(access: &Access, all: &[Vec<Device>]) -> anyhow::Result<usize> {
    let mut found: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for host in [FIRST_HUB, SECOND_HUB] {
        let operator = access.operator_of(host);
        let mut client = access.client(host);
        let mut pages = Pages::new(None);
        while pages.wants_more() {
            let request = hub::query(&operator, "SELECT * FROM devices", &pages);
            pages.received(&client.call(request).await?)?;
            for item in pages.take_items() {
                let id = item["deviceId"]
                    .as_str()
                    .context("a device without an id")?;
                found.entry(id.to_owned()).or_default().push(host);
            }
        }
    }
    let mut count = 0;
    for device in all.iter().flatten() {
        let Some(placed) = &device.placed else {
            continue;
        };
        count += 1;
        let on = found.get(&placed.device_id).map_or(&[][..], Vec::as_slice);
        if on != [placed.hub.as_str()] {
            bail!(
                "LOST OR TWICE: {} was told {}, and is on {on:?}",
                device.id,
                placed.hub
            );
        }
    }
    Ok(count)
}
