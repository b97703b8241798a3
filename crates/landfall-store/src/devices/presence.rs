//! What is read with a device or module besides its record: its latest session, and how many messages wait for
//! it.

use landfall_core::clock::Timestamp;
use landfall_hub::device::Presence;

use crate::dialect::{Fault, Row, Text};

/// Joins the sessions of devices by themselves to `d`.
pub(super) const OF_DEVICES: &str = " LEFT JOIN hub_sessions s
     ON s.hub = d.hub AND s.device = d.device AND s.module = ''";

/// Joins the sessions of modules to `d`.
pub(super) const OF_MODULES: &str = " LEFT JOIN hub_sessions s
     ON s.hub = d.hub AND s.device = d.device AND s.module = d.module";

/// Adds the columns of the presence of `d` at `now`; `module` is the text of its module, or of none.
pub(super) fn columns(text: &mut Text<'_>, module: &str, now: Timestamp) {
    text.say(
        ", COALESCE(s.epoch, 0), COALESCE(s.connected, 0), COALESCE(s.changed, 0),
           COALESCE(s.last_activity, 0),
           (SELECT COUNT(*) FROM hub_messages m
             WHERE m.hub = d.hub AND m.device = d.device AND m.module = ",
    );
    text.say(module);
    text.bind(" AND m.expires > ", now.unix_micros());
    text.say(" AND m.delivery_count < 10)");
}

/// Reads them, from a column on.
pub(super) fn read(row: &Row<'_>, from: usize) -> Result<Presence, Fault> {
    let messages = u64::try_from(row.integer(from + 4)?).unwrap_or(0);
    if row.integer(from)? == 0 {
        return Ok(Presence {
            messages,
            ..Presence::default()
        });
    }
    Ok(Presence {
        connected: row.integer(from + 1)? == 1,
        connected_changed: Timestamp::from_unix_micros(row.integer(from + 2)?),
        last_activity: Timestamp::from_unix_micros(row.integer(from + 3)?),
        messages,
    })
}
