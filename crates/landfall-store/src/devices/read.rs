//! How devices and modules are read, each with what is known of it besides its record.

use landfall_core::clock::Timestamp;
use landfall_core::id::{DeviceId, HubHostName, ModuleId};
use landfall_hub::device::{Device, Module};
use landfall_hub::store::HubSelection;

use super::record::{DeviceRecord, ModuleRecord};
use super::{DEVICES, MODULES, presence, selection};
use crate::dialect::{Fault, Read, Row, Text};
use crate::record::{KeysRecord, from_text, id, open};
use crate::secret::Sealer;

const DEVICE_COLUMNS: &str = "d.hub, d.device, d.revision, d.tags, d.record, d.secrets";
const MODULE_COLUMNS: &str = "d.hub, d.device, d.module, d.revision, d.tags, d.record, d.secrets";

/// What stands for the module in rows of a device by itself, and in those of a module.
const OF_DEVICE: &str = "''";
const OF_MODULE: &str = "d.module";

/// One device, as it is at `now`.
pub(crate) fn device<'a>(
    hub: &'a HubHostName,
    id: &'a DeviceId,
    now: Timestamp,
) -> Read<'a, Device> {
    let mut text = Text::default();
    text.say("SELECT ");
    text.say(DEVICE_COLUMNS);
    presence::columns(&mut text, OF_DEVICE, now);
    text.say(" FROM devices d");
    text.say(presence::OF_DEVICES);
    text.bind(" WHERE d.hub = ", hub.key());
    text.bind(" AND d.device = ", id.as_str());
    text.read(decode_device)
}

/// A page of devices, as they are at `now`.
pub(crate) fn devices<'a>(
    hub: &'a HubHostName,
    selection: &'a HubSelection,
    now: Timestamp,
) -> Read<'a, Device> {
    selection::devices(hub, selection, |text| {
        text.say(DEVICE_COLUMNS);
        presence::columns(text, OF_DEVICE, now);
    })
    .read(decode_device)
}

/// One module, as it is at `now`.
pub(crate) fn module<'a>(
    hub: &'a HubHostName,
    device: &'a DeviceId,
    id: &'a ModuleId,
    now: Timestamp,
) -> Read<'a, Module> {
    let mut text = of_modules(hub, device, now);
    text.bind(" AND d.module = ", id.as_str());
    text.read(decode_module)
}

/// All modules of a device, by id, as they are at `now`.
pub(crate) fn modules_of<'a>(
    hub: &'a HubHostName,
    device: &'a DeviceId,
    now: Timestamp,
) -> Read<'a, Module> {
    let mut text = of_modules(hub, device, now);
    text.say(" ORDER BY d.module");
    text.read(decode_module)
}

fn of_modules<'a>(hub: &'a HubHostName, device: &'a DeviceId, now: Timestamp) -> Text<'a> {
    let mut text = Text::default();
    text.say("SELECT ");
    text.say(MODULE_COLUMNS);
    presence::columns(&mut text, OF_MODULE, now);
    text.say(" FROM modules d");
    text.say(presence::OF_MODULES);
    text.bind(" WHERE d.hub = ", hub.key());
    text.bind(" AND d.device = ", device.as_str());
    text
}

/// A page of modules of all devices, as they are at `now`.
pub(crate) fn modules<'a>(
    hub: &'a HubHostName,
    selection: &'a HubSelection,
    now: Timestamp,
) -> Read<'a, Module> {
    selection::modules(hub, selection, |text| {
        text.say(MODULE_COLUMNS);
        presence::columns(text, OF_MODULE, now);
    })
    .read(decode_module)
}

fn decode_device(row: &Row<'_>, sealer: &Sealer) -> Result<Device, Fault> {
    let record: DeviceRecord = from_text(DEVICES, row.text(4)?)?;
    let keys = keys(
        sealer,
        DEVICES,
        &[row.text(0)?, row.text(1)?],
        row.bytes(5)?,
    )?;
    let device = record.read(id(row.text(1)?)?, row.integer(2)?, row.text(3)?, keys)?;
    Ok(Device {
        presence: presence::read(row, 6)?,
        ..device
    })
}

fn decode_module(row: &Row<'_>, sealer: &Sealer) -> Result<Module, Fault> {
    let record: ModuleRecord = from_text(MODULES, row.text(5)?)?;
    let place = [row.text(0)?, row.text(1)?, row.text(2)?];
    let keys = keys(sealer, MODULES, &place, row.bytes(6)?)?;
    let ids = (id(row.text(1)?)?, id(row.text(2)?)?);
    let module = record.read(ids, row.integer(3)?, row.text(4)?, keys)?;
    Ok(Module {
        presence: presence::read(row, 7)?,
        ..module
    })
}

fn keys(
    sealer: &Sealer,
    table: &str,
    place: &[&str],
    blob: Option<&[u8]>,
) -> Result<Option<KeysRecord>, Fault> {
    match blob {
        None => Ok(None),
        blob => open(sealer, table, place, blob).map(Some),
    }
}
