//! What is measured at the running server: the import, its memory, pages, and how soon it listens.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use landfall_server::command::connect::Connect;
use landfall_server::command::outcome::Failure;
use landfall_server::time::{Stopwatch, sleep, timeout};
use landfall_wire::client::{Pages, service};
use landfall_wire::route::Collection;
use tokio::net::TcpStream;

use super::super::row::Figure;
use super::super::stage::{Client, Home};
use super::rows::Facts;
use crate::programs::fleet;

/// How often memory is read during the import.
const PULSE: Duration = Duration::from_millis(20);
/// What a server is left alone for before its steady memory is read.
const REST: Duration = Duration::from_secs(3);
/// Pages that are asked for, and records of each.
const PAGES: usize = 40;
const PAGE: usize = 100;
/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Imports the file into a new server, then reads pages from it.
pub(super) async fn import(
    home: &Home,
    lines: &Path,
    count: usize,
    facts: &mut Facts,
) -> anyhow::Result<()> {
    let server = home.serve()?;
    home.client.wait()?;
    let before = server.rested().await?;
    let memory_before = server.memory()?;
    let watch = Stopwatch::start();
    let mut importing = home
        .client
        .command(&["enrollment", "import", &lines.to_string_lossy(), "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut most = memory_before;
    while importing.try_wait()?.is_none() {
        most = most.max(server.memory()?);
        sleep(PULSE).await;
    }
    let lasted = watch.elapsed();
    let done = importing.wait_with_output()?;
    let told: serde_json::Value = serde_json::from_slice(&done.stdout)?;
    ensure!(done.status.success() && told["created"] == count, "{told}");
    let used = server.rested().await?.saturating_sub(before);
    facts.import = Some(Figure {
        cost: used.as_secs_f64() * 1e6 / count as f64,
        rate: count as f64 / lasted.as_secs_f64(),
    });
    facts.grown = most - memory_before;
    let before = server.rested().await?;
    pages(&home.client).await?;
    let used = server.rested().await?.saturating_sub(before);
    facts.page = used.as_secs_f64() * 1e3 / PAGES as f64;
    sleep(REST).await;
    facts.steady = server.memory()?;
    server.stop()
}

/// Reads some pages, each of another site's enrollments, over one connection.
async fn pages(client: &Client) -> anyhow::Result<()> {
    let connect = Connect {
        data: client.folder.join("data"),
        ..Connect::default()
    };
    let failed = |failure: Failure| anyhow!(failure.what);
    let mut session = connect.service().await.map_err(failed)?;
    let page = Pages::new(Some(PAGE));
    for number in 0..PAGES {
        let request = service::query_enrollments(
            &session.authorization,
            Collection::Individuals,
            &fleet::query(number),
            &page,
        );
        let found = session.call(request).await.map_err(failed)?;
        let many = found.as_array().map_or(0, Vec::len);
        ensure!(many > 0 && many <= PAGE, "a page of {many}");
    }
    Ok(())
}

/// The milliseconds from the start of a server until it takes connections.
pub(super) async fn start(home: &Home) -> anyhow::Result<f64> {
    let watch = Stopwatch::start();
    let server = home.serve()?;
    let listens = async {
        while TcpStream::connect(server.address).await.is_err() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, listens).await?;
    let span = watch.elapsed().as_secs_f64() * 1e3;
    home.client.wait()?;
    server.stop()?;
    Ok(span)
}
