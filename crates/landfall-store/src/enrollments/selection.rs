//! Which enrollments a query asks for: the terms that an index answers, as one statement.
//!
//! Answered: the id, `provisioningStatus`, `attestation.type`, `allocationPolicy` (words compared
//! without case) and `initialTwin.tags.*`. Any other term is left to the caller.

use landfall_core::id::IdScope;
use landfall_core::query::{IndexedTerm, Literal};
use landfall_core::store::Selection;

use super::Kind;
use crate::dialect::Text;
use crate::tags;

/// The statement that gives `columns` of the rows that `selection` asks for, in key order.
pub(super) fn statement<'a>(
    kind: Kind,
    columns: &str,
    scope: &'a IdScope,
    selection: &'a Selection,
) -> Text<'a> {
    let after = selection.after.as_deref().unwrap_or("");
    let mut leaves = selection.terms.iter().filter_map(leaf);
    let mut text = Text::default();
    text.say("SELECT ");
    text.say(columns);
    // The rarest condition first: a tag drives, else the tightest column's index. CROSS JOIN keeps
    // SQLite from turning the order around; to PostgreSQL it is a join like any other.
    let key = if let Some((path, value)) = leaves.next() {
        text.say(" FROM enrollment_tags t CROSS JOIN ");
        text.say(kind.table());
        text.bind(
            " e WHERE e.scope = t.scope AND e.key = t.key AND t.scope = ",
            scope.key(),
        );
        text.bind(" AND t.kind = ", kind.word());
        text.bind(" AND t.path = ", path);
        text.bind(" AND t.value = ", value);
        "t.key"
    } else {
        text.say(" FROM ");
        text.say(kind.table());
        text.bind(" e WHERE e.scope = ", scope.key());
        "e.key"
    };
    text.say(" AND ");
    text.say(key);
    text.bind(" > ", after);
    for (path, value) in leaves {
        text.bind(
            " AND EXISTS (SELECT 1 FROM enrollment_tags o WHERE o.scope = e.scope AND o.kind = ",
            kind.word(),
        );
        text.bind(" AND o.path = ", path);
        text.bind(" AND o.value = ", value);
        text.say(" AND o.key = e.key)");
    }
    for (column, word) in selection.terms.iter().filter_map(|term| word(kind, term)) {
        text.say(" AND e.");
        text.say(column);
        text.bind(" = ", word);
    }
    text.say(" ORDER BY ");
    text.say(key);
    text.bind(
        " LIMIT ",
        i64::try_from(selection.limit).unwrap_or(i64::MAX),
    );
    text
}

fn leaf(term: &IndexedTerm) -> Option<tags::Leaf> {
    let names = match term.path.0.as_slice() {
        [twin, tags, names @ ..] if twin == "initialTwin" && tags == "tags" => names,
        _ => return None,
    };
    Some((tags::path_of(names)?, tags::value_of(&term.value)?))
}

fn word(kind: Kind, term: &IndexedTerm) -> Option<(&'static str, String)> {
    let Literal::Text(word) = &term.value else {
        return None;
    };
    let path: Vec<&str> = term.path.0.iter().map(String::as_str).collect();
    let column = match path.as_slice() {
        [id] if *id == kind.id_name() => "key",
        ["provisioningStatus"] => "provisioning_status",
        ["attestation", "type"] => "attestation",
        ["allocationPolicy"] => "allocation",
        _ => return None,
    };
    Some((column, word.to_ascii_lowercase()))
}
