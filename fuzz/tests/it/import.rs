//! Files that are imported: no bytes break what cuts and reads them, and a refusal repeats no key.

use std::sync::LazyLock;

use landfall_wire::client::table::Columns;
use landfall_wire::own::import::{Cutter, Told, parse};

use crate::read_corpus;

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| read_corpus("import"));

/// What the seeds hold where a key belongs; a refusal must not say it.
const KEY: &str = "q7Zt0Vb3JmXk9LrYc2NwUe8HsDf5Ga";

/// Cuts in pieces of a size that the bytes choose, and reads every line.
fn lines(bytes: &[u8]) {
    let mut whole = Cutter::default();
    whole.feed(bytes);
    whole.finish();
    let whole = whole.cut();
    let mut parted = Cutter::default();
    let size = bytes.first().map_or(1, |byte| usize::from(*byte) % 17 + 1);
    bytes.chunks(size).for_each(|part| parted.feed(part));
    parted.finish();
    let parted = parted.cut();
    assert!(
        whole.lines().eq(parted.lines()),
        "lines depend on how they arrived"
    );
    for (_, line) in whole.lines() {
        let line = line.unwrap_or_default();
        if let Err(bad) = parse(line) {
            let id = bad.record.as_ref().map_or("", |(_, id)| id.as_str());
            // A key in the place of an id is shown as one.
            assert!(
                !bad.reason.contains(KEY) || id.contains(KEY) || !bytes.is_ascii(),
                "{}",
                bad.reason
            );
        }
        if let Some(told) = Told::parse(line) {
            assert_eq!(Told::parse(told.text().as_bytes()), Some(told));
        }
    }
}

#[test]
fn lines_of_an_import_are_read_whatever_they_are() {
    feed!(CORPUS, lines);
}

/// Reads the first line as a header and the others as rows.
fn table(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut rows = text.lines().map(|row| row.split(','));
    let Some(Ok(columns)) = rows.next().map(Columns::parse) else {
        return;
    };
    for row in rows {
        if let Err(reason) = columns.record(row) {
            assert!(!reason.contains(KEY), "{reason}");
        }
    }
}

#[test]
fn rows_of_a_table_are_read_whatever_they_are() {
    feed!(CORPUS, table);
}
