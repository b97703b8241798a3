//! Devices and modules of embedded hubs: rows, reads and writes, with the path table of tags. What is read with
//! them besides (`presence`) is written elsewhere.

mod presence;
mod read;
mod record;
mod selection;

use landfall_core::id::{DeviceId, HubHostName, ModuleId};
use landfall_hub::device::{Device, Module};
use landfall_hub::endpoint::Endpoint;
use landfall_hub::store::HubExpect;

pub(crate) use self::read::{device, devices, module, modules, modules_of};
use self::record::{DeviceRecord, ModuleRecord};
pub(crate) use self::record::{WholeDevice, WholeModule};
use crate::dialect::{Fault, Session, Value};
use crate::expectation::meets_revision;
use crate::hubs;
use crate::record::{column_word, id, seal, to_text};
use crate::revisions;
use crate::secret::Sealer;
use crate::sessions;
use crate::tags;

const DEVICES: &str = "devices";
const MODULES: &str = "modules";

/// Revision and tags of what is there.
pub(crate) type Standing = Option<(i64, String)>;

/// What stands of a device, once it is as expected.
pub(crate) fn hold_device(
    session: &Session,
    hub: &HubHostName,
    id: &DeviceId,
    expect: HubExpect,
) -> Result<Standing, Fault> {
    let before = standing_device(session, hub, id)?;
    let revision = before.as_ref().map(|before| before.0);
    meets_revision(expect, revision, || spoken_device(id))?;
    Ok(before)
}

fn standing_device(session: &Session, hub: &HubHostName, id: &DeviceId) -> Result<Standing, Fault> {
    session.first(
        "SELECT revision, tags FROM devices WHERE hub = $1 AND device = $2",
        &[hub.key().into(), id.as_str().into()],
        |row| Ok((row.integer(0)?, row.text(1)?.to_owned())),
    )
}

fn standing_module(
    session: &Session,
    hub: &HubHostName,
    device: &DeviceId,
    id: &ModuleId,
) -> Result<Standing, Fault> {
    session.first(
        "SELECT revision, tags FROM modules WHERE hub = $1 AND device = $2 AND module = $3",
        &[hub.key().into(), device.as_str().into(), id.as_str().into()],
        |row| Ok((row.integer(0)?, row.text(1)?.to_owned())),
    )
}

/// Names a device in errors.
pub(crate) fn spoken_device(id: &DeviceId) -> String {
    format!("device '{id}'")
}

/// Names a module in errors.
pub(crate) fn spoken_module(device: &DeviceId, id: &ModuleId) -> String {
    format!("module '{id}' of device '{device}'")
}

/// Makes or replaces a device.
pub(crate) fn put_device(
    session: &Session,
    sealer: &Sealer,
    hub: &HubHostName,
    device: &Device,
    expect: HubExpect,
) -> Result<(), Fault> {
    let before = hold_device(session, hub, &device.id, expect)?;
    let next = revisions::next(session, before.as_ref().map(|before| before.0))?;
    write_device(session, sealer, hub, device, before, next)
}

/// Makes or replaces a device, over what stands of it, at its next revision.
pub(crate) fn write_device(
    session: &Session,
    sealer: &Sealer,
    hub: &HubHostName,
    device: &Device,
    before: Standing,
    next: i64,
) -> Result<(), Fault> {
    let id = device.id.as_str();
    session
        .execute(
            "INSERT INTO devices (hub, device, revision, status, iot_edge, tags, record, secrets)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (hub, device) DO UPDATE SET revision = excluded.revision,
               status = excluded.status, iot_edge = excluded.iot_edge, tags = excluded.tags,
               record = excluded.record, secrets = excluded.secrets",
            &device_row(sealer, hub, device, next)?,
        )
        .map_err(|fault| fault.orphan_of(|| hubs::spoken(hub)))?;
    let before = before.map(|before| before.1).unwrap_or_default();
    keep_tags(session, (hub, id, ""), &before, device.twin.tags.as_str())
}

/// Makes or replaces many devices, each by its `device_row`; no two of one id.
pub(crate) const PUT_MANY: &str =
    "INSERT INTO devices (hub, device, revision, status, iot_edge, tags, record, secrets)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[],
       $6::text[], $7::text[], $8::bytea[])
     ON CONFLICT (hub, device) DO UPDATE SET revision = excluded.revision,
       status = excluded.status, iot_edge = excluded.iot_edge, tags = excluded.tags,
       record = excluded.record, secrets = excluded.secrets";

/// Adds many leaves of twins' tags: hub, path, value, device, module.
pub(crate) const ADD_TAGS: &str = "INSERT INTO twin_tags (hub, path, value, device, module)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
     ON CONFLICT (hub, path, value, device, module) DO NOTHING";

/// Removes many leaves of twins' tags, named likewise.
pub(crate) const REMOVE_TAGS: &str = "DELETE FROM twin_tags t
     USING unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
       AS gone (hub, path, value, device, module)
     WHERE t.hub = gone.hub AND t.path = gone.path AND t.value = gone.value
       AND t.device = gone.device AND t.module = gone.module";

/// The columns of a device, at a revision.
pub(crate) fn device_row<'a>(
    sealer: &Sealer,
    hub: &'a HubHostName,
    device: &'a Device,
    revision: i64,
) -> Result<[Value<'a>; 8], Fault> {
    let id = device.id.as_str();
    let secrets = record::secrets(&device.authentication)
        .map(|keys| seal(sealer, DEVICES, &[hub.key(), id], &keys))
        .transpose()?;
    Ok([
        hub.key().into(),
        id.into(),
        revision.into(),
        column_word(&device.status).into(),
        i64::from(device.iot_edge).into(),
        device.twin.tags.as_str().into(),
        to_text(&DeviceRecord::of(device)?)?.into(),
        secrets.into(),
    ])
}

/// Makes or replaces a module of a device that is there.
pub(crate) fn put_module(
    session: &Session,
    sealer: &Sealer,
    hub: &HubHostName,
    module: &Module,
    expect: HubExpect,
) -> Result<(), Fault> {
    let (device, id) = (module.device_id.as_str(), module.id.as_str());
    let before = standing_module(session, hub, &module.device_id, &module.id)?;
    let revision = before.as_ref().map(|before| before.0);
    meets_revision(expect, revision, || {
        spoken_module(&module.device_id, &module.id)
    })?;
    let secrets = record::secrets(&module.authentication)
        .map(|keys| seal(sealer, MODULES, &[hub.key(), device, id], &keys))
        .transpose()?;
    let tags = module.twin.tags.as_str();
    session
        .execute(
            "INSERT INTO modules (hub, device, module, revision, tags, record, secrets)
             VALUES ($1, $2, $3, $4, $5, $6, $7)
             ON CONFLICT (hub, device, module) DO UPDATE SET revision = excluded.revision,
               tags = excluded.tags, record = excluded.record, secrets = excluded.secrets",
            &[
                hub.key().into(),
                device.into(),
                id.into(),
                revisions::next(session, revision)?.into(),
                tags.into(),
                to_text(&ModuleRecord::of(module)?)?.into(),
                secrets.into(),
            ],
        )
        .map_err(|fault| fault.orphan_of(|| spoken_device(&module.device_id)))?;
    let before = before.map(|before| before.1).unwrap_or_default();
    keep_tags(session, (hub, device, id), &before, tags)
}

/// Removes a device and its modules.
pub(crate) fn delete_device(
    session: &Session,
    hub: &HubHostName,
    id: &DeviceId,
    expect: HubExpect,
) -> Result<(), Fault> {
    let before = hold_device(session, hub, id, expect)?;
    let revision = before.as_ref().map(|before| before.0);
    for module in module_ids(session, hub, id)? {
        delete_module(session, hub, id, &module, HubExpect::Anything)?;
    }
    sessions::remove(session, hub, &Endpoint::device(id.clone()))?;
    session.execute(
        "DELETE FROM devices WHERE hub = $1 AND device = $2",
        &[hub.key().into(), id.as_str().into()],
    )?;
    revisions::retire(session, revision)?;
    let before = before.map(|before| before.1).unwrap_or_default();
    keep_tags(session, (hub, id.as_str(), ""), &before, "")
}

/// The ids of a device's modules, in order.
pub(crate) fn module_ids(
    session: &Session,
    hub: &HubHostName,
    device: &DeviceId,
) -> Result<Vec<ModuleId>, Fault> {
    session.every(
        "SELECT module FROM modules WHERE hub = $1 AND device = $2 ORDER BY module",
        &[hub.key().into(), device.as_str().into()],
        |row| id(row.text(0)?),
    )
}

/// Removes a module.
pub(crate) fn delete_module(
    session: &Session,
    hub: &HubHostName,
    device: &DeviceId,
    id: &ModuleId,
    expect: HubExpect,
) -> Result<(), Fault> {
    let before = standing_module(session, hub, device, id)?;
    let revision = before.as_ref().map(|before| before.0);
    meets_revision(expect, revision, || spoken_module(device, id))?;
    session.execute(
        "DELETE FROM modules WHERE hub = $1 AND device = $2 AND module = $3",
        &[hub.key().into(), device.as_str().into(), id.as_str().into()],
    )?;
    let endpoint = Endpoint {
        device: device.clone(),
        module: Some(id.clone()),
    };
    sessions::remove(session, hub, &endpoint)?;
    session.execute(
        "DELETE FROM hub_messages WHERE hub = $1 AND device = $2 AND module = $3",
        &[hub.key().into(), device.as_str().into(), id.as_str().into()],
    )?;
    revisions::retire(session, revision)?;
    let before = before.map(|before| before.1).unwrap_or_default();
    keep_tags(session, (hub, device.as_str(), id.as_str()), &before, "")
}

fn keep_tags(
    session: &Session,
    (hub, device, module): (&HubHostName, &str, &str),
    before: &str,
    after: &str,
) -> Result<(), Fault> {
    tags::keep_step(
        before,
        after,
        |(path, value)| {
            session.execute(
                "DELETE FROM twin_tags
                 WHERE hub = $1 AND path = $2 AND value = $3 AND device = $4 AND module = $5",
                &[
                    hub.key().into(),
                    path.as_str().into(),
                    value.as_str().into(),
                    device.into(),
                    module.into(),
                ],
            )
        },
        |(path, value)| {
            session.execute(
                "INSERT INTO twin_tags (hub, path, value, device, module)
                 VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (hub, path, value, device, module) DO NOTHING",
                &[
                    hub.key().into(),
                    path.as_str().into(),
                    value.as_str().into(),
                    device.into(),
                    module.into(),
                ],
            )
        },
    )
}
