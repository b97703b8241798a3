//! Durable registrations in the PostgreSQL layer, and the same rows by a bare loop of the same statements, 64
//! per commit: `store-postgres URL COUNT` prints, for each of the two, how many it wrote, the nanoseconds that
//! passed, and how often it committed. It works in a database of its own, `bench`, which it makes anew.

use anyhow::{Context as _, ensure};
use landfall_server::backend::Backend;
use landfall_server::time::{Stopwatch, SystemEntropy};
use landfall_store::PostgresUrl;
use landfall_store::secret::SealingKey;
use tokio_postgres::{Client, NoTls, Row};

use super::store::{GROUP, PER_COMMIT, prepared, written};

/// What a batch asks: enrollments, registrations, devices and the highest revision removed.
const STANDING: &str =
    "SELECT 'individual', e.scope, e.key, e.etag, '', CAST(0 AS BIGINT), CAST(NULL AS BYTEA)
       FROM unnest($1::text[], $2::text[]) AS k (scope, key)
       JOIN individual_enrollments e ON e.scope = k.scope AND e.key = k.key
     UNION ALL SELECT 'group', e.scope, e.key, e.etag, '', 0, NULL
       FROM unnest($3::text[], $4::text[]) AS k (scope, key)
       JOIN enrollment_groups e ON e.scope = k.scope AND e.key = k.key
     UNION ALL SELECT 'registration', r.scope, r.key, r.etag, '', 0, NULL
       FROM unnest($5::text[], $6::text[]) AS k (scope, key)
       JOIN registrations r ON r.scope = k.scope AND r.key = k.key
     UNION ALL SELECT 'device', d.hub, d.device, '', d.tags, d.revision, NULL
       FROM unnest($7::text[], $8::text[]) AS k (hub, device)
       JOIN devices d ON d.hub = k.hub AND d.device = k.device
     UNION ALL SELECT 'removed', '', '', '', '', 0, f.value
       FROM store_facts f WHERE f.name = 'highest removed revision'";

const REGISTRATIONS: &str = "INSERT INTO registrations (scope, key, etag, group_key, record)
     SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
     ON CONFLICT (scope, key) DO UPDATE SET etag = excluded.etag,
       group_key = excluded.group_key, record = excluded.record";
const OPERATIONS: &str =
    "INSERT INTO operations (scope, id, finished, created, updated, record, sealed, node)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[],
       $6::text[], $7::bytea[], $8::text[])
     ON CONFLICT (scope, id) DO UPDATE SET finished = excluded.finished,
       created = excluded.created, updated = excluded.updated, record = excluded.record,
       sealed = excluded.sealed, node = excluded.node";
const DEVICES: &str =
    "INSERT INTO devices (hub, device, revision, status, iot_edge, tags, record, secrets)
     SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bigint[],
       $6::text[], $7::text[], $8::bytea[])
     ON CONFLICT (hub, device) DO UPDATE SET revision = excluded.revision,
       status = excluded.status, iot_edge = excluded.iot_edge, tags = excluded.tags,
       record = excluded.record, secrets = excluded.secrets";

/// Writes `count` registrations through the layer and, when asked, the same rows by the bare loop.
///
/// # Errors
/// When anything cannot be written.
pub fn run(url: &str, count: &str, both: bool) -> anyhow::Result<()> {
    let count = count.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let url = anew(url).await?;
        println!("{}", layer(&url, count).await?);
        if both {
            println!("{}", bare(&url, count).await?);
        }
        Ok(())
    })
}

/// Makes the database anew, and gives its URL.
async fn anew(url: &str) -> anyhow::Result<String> {
    let client = connected(url).await?;
    client.execute("DROP DATABASE IF EXISTS bench", &[]).await?;
    client.execute("CREATE DATABASE bench", &[]).await?;
    // What it takes to drop and make one is not to be written while others are measured.
    client.execute("CHECKPOINT", &[]).await?;
    let (before, after) = url
        .split_once("/postgres?")
        .context("the URL must name the database postgres")?;
    Ok(format!("{before}/bench?{after}"))
}

async fn connected(url: &str) -> anyhow::Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn layer(url: &str, count: usize) -> anyhow::Result<String> {
    let key = SealingKey::generate(&SystemEntropy);
    let backend = Backend::postgres(PostgresUrl::parse(url)?, key).await?;
    let (scope, group, changes) = prepared(&backend, count).await?;
    let client = connected(url).await?;
    // The guard of each names a group that is there.
    client
        .execute(
            "INSERT INTO enrollment_groups (scope, key, etag, provisioning_status, attestation, allocation, tags, record) \
             VALUES ($1, $2, $3, 'enabled', 'symmetricKey', '', '', '{}')",
            &[&scope, &GROUP, &group],
        )
        .await?;
    let (watch, commits) = (Stopwatch::start(), backend.store.commits());
    written(&backend, changes).await?;
    let line = format!(
        "{count} {} {}",
        watch.elapsed().as_nanos(),
        backend.store.commits() - commits
    );
    backend.store.close().await;
    Ok(line)
}

/// The texts of one column of many rows.
fn texts(rows: &[Row], column: usize) -> Vec<&str> {
    rows.iter().map(|row| row.get(column)).collect()
}

fn numbers(rows: &[Row], column: usize) -> Vec<i64> {
    rows.iter().map(|row| row.get(column)).collect()
}

fn bytes(rows: &[Row], column: usize) -> Vec<Option<&[u8]>> {
    rows.iter().map(|row| row.get(column)).collect()
}

async fn bare(url: &str, count: usize) -> anyhow::Result<String> {
    let client = connected(url).await?;
    client
        .batch_execute(
            "SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off",
        )
        .await?;
    let registrations = client
        .query(
            "SELECT scope, key, etag, group_key, record FROM registrations ORDER BY 1, 2",
            &[],
        )
        .await?;
    let operations = client
        .query("SELECT scope, id, finished, created, updated, record, sealed, node FROM operations ORDER BY created", &[])
        .await?;
    let devices = client
        .query("SELECT hub, device, revision, status, iot_edge, tags, record, secrets FROM devices ORDER BY 1, 2", &[])
        .await?;
    ensure!(registrations.len() == count && operations.len() == count && devices.len() == count);
    client
        .batch_execute("TRUNCATE registrations, operations, devices CASCADE")
        .await?;
    let standing = client.prepare(STANDING).await?;
    let puts = [
        client.prepare(REGISTRATIONS).await?,
        client.prepare(OPERATIONS).await?,
        client.prepare(DEVICES).await?,
    ];
    let [put_registrations, put_operations, put_devices] = &puts;
    let scope: &str = registrations.first().context("no row")?.get(0);
    let watch = Stopwatch::start();
    let mut commits = 0;
    for ((r, o), d) in registrations
        .chunks(PER_COMMIT)
        .zip(operations.chunks(PER_COMMIT))
        .zip(devices.chunks(PER_COMMIT))
    {
        client
            .batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE schema_versions IN ROW SHARE MODE")
            .await?;
        let found = client
            .query(
                &standing,
                &[
                    &texts(r, 0),
                    &texts(r, 1),
                    &vec![scope],
                    &vec![GROUP],
                    &texts(r, 0),
                    &texts(r, 1),
                    &texts(d, 0),
                    &texts(d, 1),
                ],
            )
            .await?;
        std::hint::black_box(found.len());
        let (rc, oc, dc) = (
            (
                texts(r, 0),
                texts(r, 1),
                texts(r, 2),
                texts(r, 3),
                texts(r, 4),
            ),
            (
                (texts(o, 0), texts(o, 1), numbers(o, 2), numbers(o, 3)),
                (numbers(o, 4), texts(o, 5), bytes(o, 6), texts(o, 7)),
            ),
            (
                (texts(d, 0), texts(d, 1), numbers(d, 2), texts(d, 3)),
                (numbers(d, 4), texts(d, 5), texts(d, 6), bytes(d, 7)),
            ),
        );
        let rp: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
            [&rc.0, &rc.1, &rc.2, &rc.3, &rc.4];
        let op: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
            &oc.0.0, &oc.0.1, &oc.0.2, &oc.0.3, &oc.1.0, &oc.1.1, &oc.1.2, &oc.1.3,
        ];
        let dp: [&(dyn tokio_postgres::types::ToSql + Sync); 8] = [
            &dc.0.0, &dc.0.1, &dc.0.2, &dc.0.3, &dc.1.0, &dc.1.1, &dc.1.2, &dc.1.3,
        ];
        tokio::try_join!(
            client.execute(put_registrations, &rp),
            client.execute(put_operations, &op),
            client.execute(put_devices, &dp),
        )?;
        client.batch_execute("COMMIT").await?;
        commits += 1;
    }
    Ok(format!("{count} {} {commits}", watch.elapsed().as_nanos()))
}
