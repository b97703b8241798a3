//! All that a registration leaves in SQLite, by a bare loop: `written DATABASE FOLDER COUNT` takes tables and the
//! rows to repeat from a database of Landfall that holds at least one registration, and writes that many of them
//! into databases in FOLDER, 64 per commit: once with one decision trace each, as a registration alone leaves,
//! once with two, as a registration and its poll do. It prints for each how many it wrote, the nanoseconds of
//! processor time that they took, and how often it committed.

use std::path::Path;

use anyhow::Context as _;
use landfall_core::clock::Clock as _;
use landfall_core::id::{OperationId, TrackingId};
use landfall_server::time::{SystemClock, SystemEntropy};
use rusqlite::Connection;
use rusqlite::types::Value;

use super::bare::{self, Bare};
use super::store::{PER_COMMIT, used};

/// Rows that every registration repeats, with ids of its own.
struct Pattern {
    group: Value,
    registration: Vec<Value>,
    operation: Vec<Value>,
    device: Vec<Value>,
    trace: Vec<Value>,
}

/// The rows of one registration.
struct Rows {
    registration: Vec<Value>,
    operation: Vec<Value>,
    device: Vec<Value>,
    traces: Vec<Vec<Value>>,
}

/// Writes them, with one trace and with two.
///
/// # Errors
/// When there is nothing to repeat, or nothing can be written.
pub fn run(from: &str, folder: &str, count: &str) -> anyhow::Result<()> {
    let folder = Path::new(folder).join("written");
    let count = count.parse()?;
    let source = Connection::open(from)?;
    let pattern = Pattern::of(&source)?;
    for traces in [1, 2] {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let target = Bare::like(&source, &folder.join("bare.db"))?;
        let all: Vec<Rows> = (0..count)
            .map(|number| pattern.repeated(number, traces))
            .collect();
        let before = used()?;
        let commits = write(&target, &pattern.group, &all)?;
        println!("{count} {} {commits}", used()? - before);
    }
    Ok(())
}

fn write(target: &Bare, group: &Value, all: &[Rows]) -> rusqlite::Result<usize> {
    let mut commits = 0;
    for batch in all.chunks(PER_COMMIT) {
        target.begin()?;
        for rows in batch {
            target.register(group, &rows.registration, &rows.operation, &rows.device)?;
            for trace in &rows.traces {
                target.trace(trace)?;
            }
        }
        target.commit()?;
        commits += 1;
    }
    Ok(commits)
}

impl Pattern {
    fn of(source: &Connection) -> anyhow::Result<Self> {
        let last = |table: &str| {
            let row = bare::rows(source, table)?.pop();
            row.with_context(|| format!("{table} is empty"))
        };
        let registration = last("registrations")?;
        Ok(Pattern {
            group: registration.get(3).context("no group")?.clone(),
            registration,
            operation: last("operations")?,
            device: last("devices")?,
            trace: last("traces")?,
        })
    }

    /// The rows of one more registration. Its operation and its traces have ids of their own, as Landfall's have.
    fn repeated(&self, number: i64, traces: usize) -> Rows {
        let id = Value::Text(format!("device-{number:08}"));
        let operation = OperationId::draw(SystemClock.now(), &SystemEntropy)
            .as_str()
            .to_owned();
        let (operation, now) = (Value::Text(operation), Value::Integer(number));
        let trace = |_| {
            let tracking = TrackingId::draw(SystemClock.now(), &SystemEntropy)
                .as_str()
                .to_owned();
            let own = [
                (0, Value::Text(tracking)),
                (2, id.clone()),
                (3, now.clone()),
            ];
            with(&self.trace, own)
        };
        Rows {
            traces: (0..traces).map(trace).collect(),
            registration: with(&self.registration, [(1, id.clone())]),
            operation: with(
                &self.operation,
                [(1, operation), (3, now.clone()), (4, now.clone())],
            ),
            device: with(&self.device, [(1, id.clone())]),
        }
    }
}

/// A row with other values at some places.
fn with<const N: usize>(row: &[Value], named: [(usize, Value); N]) -> Vec<Value> {
    let mut row = row.to_vec();
    for (at, value) in named {
        if let Some(place) = row.get_mut(at) {
            *place = value;
        }
    }
    row
}
