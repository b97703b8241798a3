//! What reads of many enrollments cost, in a server's data while no server runs, and in the plain table
//! of `plain`: `reads DATA DATABASE COUNT` prints the nanoseconds of processor time of the middle one of
//! many look-ups by id in the layer, the same in the table, and those of counting all through the layer.

use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use landfall_core::id::{IdScope, RegistrationId};
use landfall_core::store::Store as _;
use landfall_server::backend::Backend;
use landfall_server::command::bench::process::Process;
use landfall_server::data_folder::DataFolder;
use landfall_server::time::thread_cpu;
use landfall_store::SqlStore;
use rusqlite::Connection;

use super::fleet;

/// Look-ups that count, each way.
const LOOKUPS: usize = 20_000;
/// How often all are counted.
const COUNTS: usize = 7;

/// Measures.
///
/// # Errors
/// When something cannot be read, or is not there.
pub fn run(data: &str, database: &str, count: &str) -> anyhow::Result<()> {
    let count = count.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(Path::new(data), database, count))
}

async fn measure(data: &Path, database: &str, count: usize) -> anyhow::Result<()> {
    let folder = DataFolder::open(data)?;
    let key = folder.kept_sealing_key(Path::new("sealing.key"))?;
    let backend = Backend::sqlite(folder.file("landfall.db"), key.context("no key")?)?;
    let store = Arc::clone(&backend.store);
    let services = store.services().await?;
    let scope = services.first().context("no service")?.id_scope.clone();
    let table = Connection::open(database)?;
    table.execute_batch(
        "PRAGMA query_only = ON; PRAGMA mmap_size = 1073741824; PRAGMA cache_size = -1000",
    )?;
    let (mut layer, mut bare) = (Vec::new(), Vec::new());
    // The first time warms up.
    for counts in [false, true] {
        for number in spread(count) {
            let id = fleet::id(number);
            let ours = in_layer(&store, &scope, &id).await?;
            let theirs = in_table(&table, &id)?;
            if counts {
                layer.push(ours);
                bare.push(theirs);
            }
        }
    }
    println!("{}", middle(layer));
    println!("{}", middle(bare));
    let mut counted = Vec::new();
    for _ in 0..COUNTS {
        let before = used()?;
        let contents = store.contents(&scope).await?;
        counted.push(used()? - before);
        ensure!(contents.individuals == count as u64, "{contents:?}");
    }
    println!("{}", middle(counted));
    store.close().await;
    Ok(())
}

async fn in_layer(store: &SqlStore, scope: &IdScope, id: &str) -> anyhow::Result<u128> {
    let id = RegistrationId::parse(id)?;
    let before = thread_cpu();
    let found = store.individual(scope, &id).await?;
    let spent = thread_cpu() - before;
    ensure!(found.is_some(), "{id} is not there");
    Ok(spent.as_nanos())
}

fn in_table(table: &Connection, id: &str) -> anyhow::Result<u128> {
    let before = thread_cpu();
    let line: String = table
        .prepare_cached("SELECT line FROM plain WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    let spent = thread_cpu() - before;
    black_box(line);
    Ok(spent.as_nanos())
}

/// Numbers all over the fleet, in no order.
fn spread(count: usize) -> impl Iterator<Item = usize> {
    // A prime, so that no number comes twice before all have come.
    (0..LOOKUPS).map(move |step| step * 7_919_117 % count)
}

fn used() -> anyhow::Result<u128> {
    let own = Process {
        id: std::process::id(),
    };
    Ok(own.used().context("no account of this process")?.as_nanos())
}

fn middle(mut costs: Vec<u128>) -> u128 {
    costs.sort_unstable();
    costs.get(costs.len() / 2).copied().unwrap_or(0)
}
