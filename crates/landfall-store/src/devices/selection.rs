//! Which devices or modules a query asks for: the terms that an index answers, as one statement.
//!
//! Answered: `deviceId` and `tags.*`; for devices also `status` and `capabilities.iotEdge`. Any
//! other term is left to the caller. Disabled devices and edge devices are the few and have an
//! index each; a search for the many walks the keys.

use landfall_core::id::HubHostName;
use landfall_core::query::{IndexedTerm, Literal};
use landfall_hub::device::DeviceStatus;
use landfall_hub::store::HubSelection;

use super::presence;
use crate::dialect::Text;
use crate::record::column_word;
use crate::tags;

/// The statement that gives `columns` of the devices that `selection` asks for.
pub(super) fn devices<'a>(
    hub: &'a HubHostName,
    selection: &'a HubSelection,
    columns: impl FnOnce(&mut Text<'a>),
) -> Text<'a> {
    let mut text = Text::default();
    let key = drive(&mut text, columns, "devices", hub, selection);
    let after = selection
        .after
        .as_ref()
        .map_or("", |after| after.0.as_str());
    text.say(" AND ");
    text.say(key);
    text.bind(".device > ", after);
    if key == "t" {
        text.say(" AND t.module = ''");
    }
    for term in &selection.terms {
        if let Some(condition) = literal_condition(term) {
            text.say(condition);
        }
    }
    other_leaves(&mut text, selection, "''");
    finish(&mut text, selection, &[key, ".device"]);
    text
}

/// The statement that gives `columns` of the modules that `selection` asks for.
pub(super) fn modules<'a>(
    hub: &'a HubHostName,
    selection: &'a HubSelection,
    columns: impl FnOnce(&mut Text<'a>),
) -> Text<'a> {
    let mut text = Text::default();
    let key = drive(&mut text, columns, "modules", hub, selection);
    if key == "t" {
        text.say(" AND t.module = d.module AND t.module <> ''");
    }
    if let Some((device, module)) = &selection.after {
        text.say(" AND (");
        text.say(key);
        text.say(".device, ");
        text.say(key);
        text.bind(".module) > (", device.as_str());
        text.bind(", ", module.as_str());
        text.say(")");
    }
    other_leaves(&mut text, selection, "d.module");
    finish(&mut text, selection, &[key, ".device, ", key, ".module"]);
    text
}

/// Begins the statement; gives the name of the table whose keys order the answer.
fn drive<'a>(
    text: &mut Text<'a>,
    columns: impl FnOnce(&mut Text<'a>),
    table: &str,
    hub: &'a HubHostName,
    selection: &'a HubSelection,
) -> &'static str {
    text.say("SELECT ");
    columns(text);
    let presence = match table {
        "devices" => presence::OF_DEVICES,
        _ => presence::OF_MODULES,
    };
    let key = if let Some((path, value)) = selection.terms.iter().find_map(leaf) {
        text.say(" FROM twin_tags t CROSS JOIN ");
        text.say(table);
        text.say(" d");
        text.say(presence);
        text.bind(
            " WHERE d.hub = t.hub AND d.device = t.device AND t.hub = ",
            hub.key(),
        );
        text.bind(" AND t.path = ", path);
        text.bind(" AND t.value = ", value);
        "t"
    } else {
        text.say(" FROM ");
        text.say(table);
        text.say(" d");
        text.say(presence);
        text.bind(" WHERE d.hub = ", hub.key());
        "d"
    };
    for term in &selection.terms {
        if let ([name], Literal::Text(id)) = (term.path.0.as_slice(), &term.value)
            && name == "deviceId"
        {
            text.bind(" AND d.device = ", id.as_str());
        }
    }
    key
}

fn other_leaves<'a>(text: &mut Text<'a>, selection: &'a HubSelection, module: &str) {
    for (path, value) in selection.terms.iter().filter_map(leaf).skip(1) {
        text.bind(
            " AND EXISTS (SELECT 1 FROM twin_tags o WHERE o.hub = d.hub AND o.path = ",
            path,
        );
        text.bind(" AND o.value = ", value);
        text.say(" AND o.device = d.device AND o.module = ");
        text.say(module);
        text.say(")");
    }
}

fn finish(text: &mut Text<'_>, selection: &HubSelection, order: &[&str]) {
    text.say(" ORDER BY ");
    for part in order {
        text.say(part);
    }
    text.bind(
        " LIMIT ",
        i64::try_from(selection.limit).unwrap_or(i64::MAX),
    );
}

fn leaf(term: &IndexedTerm) -> Option<tags::Leaf> {
    let names = match term.path.0.as_slice() {
        [tags, names @ ..] if tags == "tags" => names,
        _ => return None,
    };
    Some((tags::path_of(names)?, tags::value_of(&term.value)?))
}

/// Conditions that a partial index answers must stand in the text as they stand in the index.
fn literal_condition(term: &IndexedTerm) -> Option<&'static str> {
    let path: Vec<&str> = term.path.0.iter().map(String::as_str).collect();
    match (path.as_slice(), &term.value) {
        (["status"], Literal::Text(word)) => {
            let word = word.to_ascii_lowercase();
            if word == column_word(&DeviceStatus::Disabled) {
                Some(" AND d.status = 'disabled'")
            } else if word == column_word(&DeviceStatus::Enabled) {
                Some(" AND d.status = 'enabled'")
            } else {
                Some(" AND d.status = ''")
            }
        }
        (["capabilities", "iotEdge"], Literal::Bool(true)) => Some(" AND d.iot_edge = 1"),
        (["capabilities", "iotEdge"], Literal::Bool(false)) => Some(" AND d.iot_edge = 0"),
        _ => None,
    }
}
