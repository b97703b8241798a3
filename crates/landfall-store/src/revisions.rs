//! Revisions of devices and modules, and epochs of their sessions, never come back: one that is made anew begins past every
//! revision that was ever removed, so that whoever read the old one cannot write over the new one.
//! Called by the writes of `devices`, and by `hubs` before a whole hub goes.

use landfall_core::id::HubHostName;

use crate::dialect::{Fault, Session};

/// The revision of a write that replaces `before`, or of a record that is new.
pub(crate) fn next(session: &Session, before: Option<i64>) -> Result<i64, Fault> {
    let last = match before {
        Some(before) => before,
        None => highest_removed(session)?,
    };
    Ok(last.saturating_add(1))
}

/// Notes that a record with this revision is removed.
pub(crate) fn retire(session: &Session, revision: Option<i64>) -> Result<(), Fault> {
    let Some(revision) = revision else {
        return Ok(());
    };
    if revision > highest_removed(session)? {
        // Big-endian bytes, since facts are kept as bytes.
        session.execute(
            "INSERT INTO store_facts (name, value) VALUES ('highest removed revision', $1)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            &[revision.to_be_bytes().to_vec().into()],
        )?;
    }
    Ok(())
}

/// Notes that all devices and modules of a hub are removed.
pub(crate) fn retire_hub(session: &Session, hub: &HubHostName) -> Result<(), Fault> {
    for sql in [
        "SELECT COALESCE(MAX(revision), 0) FROM devices WHERE hub = $1",
        "SELECT COALESCE(MAX(revision), 0) FROM modules WHERE hub = $1",
        "SELECT COALESCE(MAX(epoch), 0) FROM hub_sessions WHERE hub = $1",
    ] {
        let highest = session.first(sql, &[hub.key().into()], |row| row.integer(0))?;
        retire(session, highest.filter(|revision| *revision > 0))?;
    }
    Ok(())
}

/// The highest revision that was ever removed.
pub(crate) fn highest_removed(session: &Session) -> Result<i64, Fault> {
    let kept = session.first(
        "SELECT value FROM store_facts WHERE name = 'highest removed revision'",
        &[],
        |row| Ok(row.bytes(0)?.map(<[u8]>::to_vec)),
    )?;
    read(kept.flatten().as_deref())
}

/// The highest revision that was removed, as it is kept; 0 when none was.
pub(crate) fn read(kept: Option<&[u8]>) -> Result<i64, Fault> {
    match kept {
        None => Ok(0),
        Some(bytes) => <[u8; 8]>::try_from(bytes)
            .map(i64::from_be_bytes)
            .map_err(|_| Fault::Record("the highest removed revision is no number".to_owned())),
    }
}
