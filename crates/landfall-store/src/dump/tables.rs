//! Every table that holds data, with its columns, in an order in which nothing comes before what it
//! belongs to. A test holds the list to the schema at each of its versions.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A text.
    Text,
    /// A whole number.
    Integer,
    /// Bytes, or none where the column may be empty.
    Bytes,
}

use Kind::{Bytes, Integer, Text};

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
    /// The schema version that brought it.
    pub(crate) since: i64,
}

/// A table that holds data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// How many of the first columns make its key.
    pub(crate) keys: usize,
    columns: &'static [Column],
}

impl Table {
    /// The columns that it has at a schema version; none before it was made.
    pub(crate) fn columns(&self, schema: i64) -> impl Iterator<Item = &'static Column> + use<> {
        self.columns
            .iter()
            .filter(move |column| column.since <= schema)
    }

    /// Whether a schema version has it.
    pub(crate) fn is_in(&self, schema: i64) -> bool {
        self.columns(schema).next().is_some()
    }
}

const fn column(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        since: 1,
    }
}

/// A column that schema version 2 brought.
const fn second(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        since: 2,
    }
}

/// A column that schema version 3 brought.
const fn third(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        since: 3,
    }
}

/// A column that schema version 4 brought.
const fn fourth(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        since: 4,
    }
}

/// A column that schema version 5 brought.
const fn fifth(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        since: 5,
    }
}

const fn table(name: &'static str, keys: usize, columns: &'static [Column]) -> Table {
    Table {
        name,
        keys,
        columns,
    }
}

/// The table of decision traces, which a backup may leave out.
pub(crate) const TRACES: &str = "traces";

/// The tables that hold data.
pub(crate) const TABLES: &[Table] = &[
    table(
        "store_facts",
        1,
        &[column("name", Text), column("value", Bytes)],
    ),
    table(
        "services",
        1,
        &[
            column("scope", Text),
            column("name_key", Text),
            column("etag", Text),
            column("trust_version", Integer),
            column("record", Text),
            column("secrets", Bytes),
        ],
    ),
    table(
        "individual_enrollments",
        2,
        &[
            column("scope", Text),
            column("key", Text),
            column("etag", Text),
            column("provisioning_status", Text),
            column("attestation", Text),
            column("allocation", Text),
            column("identities", Text),
            column("tags", Text),
            column("record", Text),
            column("secrets", Bytes),
        ],
    ),
    table(
        "individual_identities",
        3,
        &[
            column("scope", Text),
            column("identity", Text),
            column("key", Text),
        ],
    ),
    table(
        "enrollment_groups",
        2,
        &[
            column("scope", Text),
            column("key", Text),
            column("etag", Text),
            column("provisioning_status", Text),
            column("attestation", Text),
            column("allocation", Text),
            column("tags", Text),
            column("record", Text),
            column("secrets", Bytes),
        ],
    ),
    table(
        "enrollment_tags",
        5,
        &[
            column("scope", Text),
            column("kind", Text),
            column("path", Text),
            column("value", Text),
            column("key", Text),
        ],
    ),
    table(
        "ca_certificates",
        2,
        &[
            column("scope", Text),
            column("key", Text),
            column("etag", Text),
            column("thumbprint", Text),
            column("record", Text),
        ],
    ),
    table(
        "registrations",
        2,
        &[
            column("scope", Text),
            column("key", Text),
            column("etag", Text),
            column("group_key", Text),
            column("record", Text),
        ],
    ),
    table(
        "operations",
        2,
        &[
            column("scope", Text),
            column("id", Text),
            column("finished", Integer),
            column("created", Integer),
            column("updated", Integer),
            column("record", Text),
            column("sealed", Bytes),
            third("node", Text),
        ],
    ),
    table(
        TRACES,
        1,
        &[
            column("tracking_id", Text),
            column("scope", Text),
            column("registration_key", Text),
            column("started", Integer),
            column("record", Text),
        ],
    ),
    table(
        "hubs",
        1,
        &[
            column("hub", Text),
            column("record", Text),
            column("secrets", Bytes),
        ],
    ),
    table(
        "devices",
        2,
        &[
            column("hub", Text),
            column("device", Text),
            column("revision", Integer),
            column("status", Text),
            column("iot_edge", Integer),
            column("tags", Text),
            column("record", Text),
            column("secrets", Bytes),
        ],
    ),
    table(
        "modules",
        3,
        &[
            column("hub", Text),
            column("device", Text),
            column("module", Text),
            column("revision", Integer),
            column("tags", Text),
            column("record", Text),
            column("secrets", Bytes),
        ],
    ),
    table(
        "twin_tags",
        5,
        &[
            column("hub", Text),
            column("path", Text),
            column("value", Text),
            column("device", Text),
            column("module", Text),
        ],
    ),
    table(
        "audit_entries",
        2,
        &[
            second("at", Integer),
            second("number", Integer),
            second("scope", Text),
            second("hub", Text),
            second("actor", Text),
            second("policy", Text),
            second("address", Text),
            second("tracking_id", Text),
            second("action", Text),
            second("kind", Text),
            second("subjects", Text),
            second("record", Text),
        ],
    ),
    table(
        "audit_subjects",
        3,
        &[
            second("key", Text),
            second("at", Integer),
            second("number", Integer),
        ],
    ),
    table(
        "hub_event_counts",
        1,
        &[fourth("hub", Text), fourth("newest", Integer)],
    ),
    table(
        "hub_events",
        2,
        &[
            fourth("hub", Text),
            fourth("sequence", Integer),
            fourth("enqueued", Integer),
            fourth("device", Text),
            fourth("module", Text),
            fourth("kind", Text),
            fourth("properties", Text),
            fourth("body", Bytes),
        ],
    ),
    table(
        "hub_message_counts",
        1,
        &[fourth("hub", Text), fourth("newest", Integer)],
    ),
    table(
        "hub_messages",
        4,
        &[
            fourth("hub", Text),
            fourth("device", Text),
            fourth("module", Text),
            fourth("sequence", Integer),
            fourth("expires", Integer),
            fourth("delivery_count", Integer),
            fourth("record", Text),
            fourth("body", Bytes),
            fifth("locked_until", Integer),
        ],
    ),
    table(
        "hub_sessions",
        3,
        &[
            fourth("hub", Text),
            fourth("device", Text),
            fourth("module", Text),
            fourth("epoch", Integer),
            fourth("node", Text),
            fourth("connected", Integer),
            fourth("clean", Integer),
            fourth("opened", Integer),
            fourth("changed", Integer),
            fourth("last_activity", Integer),
            fourth("subscriptions", Text),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use landfall_core::clock::Timestamp;

    use super::*;
    use crate::dialect::Sqlite;
    use crate::migrate;

    /// The tables whose rows are the schema's own, or those of running servers, and since when.
    const NOT_KEPT: [(&str, i64); 3] = [("schema_versions", 1), ("nodes", 3), ("hub_relayed", 6)];

    /// What a database of a schema version really has: its tables, their columns and kinds.
    fn found(schema: i64) -> BTreeMap<String, Vec<(String, Kind, bool)>> {
        let folder = tempfile::tempdir().expect("a folder");
        let session = Sqlite::loading(&folder.path().join("landfall.db")).expect("opens");
        migrate::migrate_to(schema, &session, Timestamp::from_unix_seconds(1), || Ok(()))
            .expect("steps");
        let names = session
            .every(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'",
                &[],
                |row| Ok(row.text(0)?.to_owned()),
            )
            .expect("tables");
        let mut tables = BTreeMap::new();
        for name in names {
            let columns = session
                .every(
                    "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid",
                    &[name.as_str().into()],
                    |row| {
                        let kind = match row.text(1)? {
                            "TEXT" => Text,
                            "INTEGER" => Integer,
                            "BLOB" => Bytes,
                            other => panic!("{name} has a column of type {other}"),
                        };
                        Ok((row.text(0)?.to_owned(), kind, row.integer(2)? > 0))
                    },
                )
                .expect("columns");
            tables.insert(name, columns);
        }
        tables
    }

    #[test]
    fn every_table_and_column_of_the_schema_stands_in_the_list() {
        for schema in 1..=migrate::known() {
            let mut found = found(schema);
            for (own, since) in NOT_KEPT {
                let there = found.remove(own).is_some();
                assert_eq!(there, schema >= since, "{own} in schema version {schema}");
            }
            let listed: BTreeMap<String, Vec<(String, Kind, bool)>> = TABLES
                .iter()
                .filter(|table| table.is_in(schema))
                .map(|table| {
                    let columns = table
                        .columns(schema)
                        .enumerate()
                        .map(|(at, column)| (column.name.to_owned(), column.kind, at < table.keys));
                    (table.name.to_owned(), columns.collect())
                })
                .collect();
            assert_eq!(
                listed, found,
                "schema version {schema}: what a backup holds is told in dump/tables.rs"
            );
        }
    }

    #[test]
    fn nothing_comes_before_what_it_belongs_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let session = Sqlite::loading(&folder.path().join("landfall.db")).expect("opens");
        migrate::migrate(&session, Timestamp::from_unix_seconds(1), || Ok(())).expect("steps");
        let place = |name: &str| TABLES.iter().position(|table| table.name == name);
        for (at, table) in TABLES.iter().enumerate() {
            let parents = session
                .every(
                    "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list($1)",
                    &[table.name.into()],
                    |row| Ok(row.text(0)?.to_owned()),
                )
                .expect("parents");
            for parent in parents {
                assert!(place(&parent) < Some(at), "{} before {parent}", table.name);
            }
        }
    }
}
