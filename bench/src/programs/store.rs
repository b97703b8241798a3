//! Durable registrations in the SQLite layer, and the same rows by a bare loop of the same statements,
//! 64 per commit: `store FOLDER COUNT` prints, for each of the two, how many it wrote, the nanoseconds of
//! processor time it took for them, and how often it committed.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use landfall_core::attestation::AttestationKind;
use landfall_core::audit::Author;
use landfall_core::document::Document;
use landfall_core::enrollment::{DeviceCapabilities, InitialTwin};
use landfall_core::id::{
    DeviceId, EnrollmentGroupId, Etag, HubHostName, OperationId, RegistrationId, ServiceName,
    TrackingId,
};
use landfall_core::linked_hub::{HubCredential, HubRegistry as _, Manner, Placed, Placement};
use landfall_core::registration::operation::{Operation, Progress};
use landfall_core::registration::{
    Assignment, EnrollmentRef, Registration, RegistrationStatus, Substatus,
};
use landfall_core::secret::KeyPair;
use landfall_core::service::ProvisioningService;
use landfall_core::store::{Change, Expect, Guard, Store as _, Write};
use landfall_hub::registry::EmbeddedHubs;
use landfall_hub::store::HubWrite;
use landfall_server::backend::Backend;
use landfall_server::command::bench::process::Process;
use landfall_server::founding::{self, Names};
use landfall_store::SqlStore;
use landfall_store::secret::SealingKey;
use rusqlite::Connection;
use rusqlite::types::Value;
use tokio::task::JoinSet;

use super::bare::{self, Bare};

/// Writers at once, as a busy server has.
const IN_FLIGHT: usize = 128;
/// Registrations in one commit of the bare loop.
pub(super) const PER_COMMIT: usize = 64;
/// The group that lets the devices in.
pub(super) const GROUP: &str = "fleet";

/// Writes `count` registrations through the layer and, when asked, by the bare loop.
///
/// # Errors
/// When anything cannot be written.
pub fn run(folder: &str, count: &str, both: bool) -> anyhow::Result<()> {
    let folder = Path::new(folder).join("store");
    let count = count.parse()?;
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ours = folder.join("landfall.db");
    println!("{}", runtime.block_on(layer(&ours, count))?);
    if both {
        println!("{}", bare(&ours, &folder.join("bare.db"), count)?);
    }
    Ok(())
}

/// What the process has used by now, in nanoseconds.
pub(super) fn used() -> anyhow::Result<u128> {
    let own = Process {
        id: std::process::id(),
    };
    Ok(own.used().context("no account of this process")?.as_nanos())
}

/// Through Landfall's store, as the driver of registrations writes them.
async fn layer(file: &Path, count: usize) -> anyhow::Result<String> {
    let key = SealingKey::generate(&landfall_server::time::SystemEntropy);
    let backend = Backend::sqlite(file.to_owned(), key)?;
    let (scope, group, changes) = prepared(&backend, count).await?;
    // The guard of each names a group that is there.
    let connection = Connection::open(file)?;
    connection.execute(
        "INSERT INTO enrollment_groups (scope, key, etag, provisioning_status, attestation, allocation, tags, record) \
         VALUES (?1, ?2, ?3, 'enabled', 'symmetricKey', '', '', '{}')",
        (&scope, GROUP, &group),
    )?;
    drop(connection);
    let (before, commits) = (used()?, backend.store.commits());
    written(&backend, changes).await?;
    let line = format!(
        "{count} {} {}",
        used()? - before,
        backend.store.commits() - commits
    );
    backend.store.close().await;
    Ok(line)
}

/// A service with its hub, the etag of the group that lets its devices in, and what each of them writes.
pub(super) async fn prepared(
    backend: &Backend<SqlStore>,
    count: usize,
) -> anyhow::Result<(String, String, Vec<Change<HubWrite>>)> {
    let names = Names {
        service: ServiceName::parse("bench")?,
        host: "localhost".to_owned(),
        hub: HubHostName::parse("hub.localhost")?,
    };
    let author = Author::server(backend.clock.now(), &*backend.entropy);
    let (service, _) = founding::found(backend, names, author).await?;
    let group = Etag::draw(&*backend.entropy);
    let mut changes = Vec::with_capacity(count);
    for number in 0..count {
        changes.push(change(backend, &service, &group, number).await?);
    }
    let scope = service.id_scope.key().to_owned();
    Ok((scope, group.as_str().to_owned(), changes))
}

/// Writes all, so many at once as a busy server has.
pub(super) async fn written(
    backend: &Backend<SqlStore>,
    changes: Vec<Change<HubWrite>>,
) -> anyhow::Result<()> {
    let mut writing = JoinSet::new();
    let mut changes = changes.into_iter();
    let begin = |writing: &mut JoinSet<bool>, change| {
        let store = Arc::clone(&backend.store);
        writing.spawn(async move { store.commit(vec![change]).await.iter().all(Result::is_ok) });
    };
    for change in changes.by_ref().take(IN_FLIGHT) {
        begin(&mut writing, change);
    }
    while let Some(done) = writing.join_next().await {
        ensure!(done?, "a registration was refused");
        if let Some(change) = changes.next() {
            begin(&mut writing, change);
        }
    }
    Ok(())
}

/// What one registration writes.
async fn change(
    backend: &Backend<SqlStore>,
    service: &ProvisioningService,
    group: &Etag,
    number: usize,
) -> anyhow::Result<Change<HubWrite>> {
    let id = format!("device-{number:08}");
    let (entropy, now) = (&*backend.entropy, backend.clock.now());
    let registration_id = RegistrationId::parse(&id)?;
    let hub = service.linked_hubs.first().context("no hub")?;
    let placement = Placement {
        hub: hub.host_name.clone(),
        device_id: DeviceId::parse(&id)?,
        credential: HubCredential::Keys(KeyPair::draw(entropy, 64)),
        capabilities: DeviceCapabilities::default(),
        initial_twin: InitialTwin {
            tags: None,
            desired: Document::parse("{}").ok(),
        },
        manner: Manner::Create,
    };
    let hubs = EmbeddedHubs::new(
        Arc::clone(&backend.store),
        Arc::clone(&backend.clock),
        Arc::clone(&backend.entropy),
    );
    let Placed::Writes(hub_writes) = hubs.place(&placement).await? else {
        anyhow::bail!("the embedded hub writes nothing")
    };
    let registration = Registration {
        registration_id: registration_id.clone(),
        enrollment: EnrollmentRef::Group(EnrollmentGroupId::parse(GROUP)?),
        kind: AttestationKind::SymmetricKey,
        status: RegistrationStatus::Assigned,
        assignment: Some(Assignment {
            hub: placement.hub,
            device_id: placement.device_id,
            substatus: Substatus::InitialAssignment,
        }),
        payload: None,
        etag: Etag::draw(entropy),
        created: now,
        updated: now,
    };
    let scope = service.id_scope.clone();
    let operation = Operation {
        id: OperationId::draw(now, entropy),
        id_scope: scope.clone(),
        registration_id: registration_id.clone(),
        tracking_id: TrackingId::draw(now, entropy),
        progress: Progress::Finished(Box::new(registration.clone())),
        created: now,
        updated: now,
    };
    Ok(Change {
        guards: vec![
            Guard::Group(
                scope.clone(),
                EnrollmentGroupId::parse(GROUP)?,
                Expect::Etag(group.clone()),
            ),
            Guard::Individual(scope.clone(), registration_id, Expect::Absent),
        ],
        writes: vec![
            Write::PutRegistration(scope, Box::new(registration), Expect::Absent),
            Write::PutOperation(Box::new(operation)),
        ],
        hub_writes,
        author: None,
    })
}

/// The same rows, read from the layer's own database, by a loop that knows nothing.
fn bare(from: &Path, to: &Path, count: usize) -> anyhow::Result<String> {
    let source = Connection::open(from)?;
    let target = Bare::like(&source, to)?;
    let tables = ["registrations", "operations", "devices"].map(|table| bare::rows(&source, table));
    let [registrations, operations, devices] = tables;
    let (registrations, operations, devices) = (registrations?, operations?, devices?);
    ensure!(registrations.len() == count && operations.len() == count && devices.len() == count);
    let group = Value::Text(GROUP.to_owned());
    let before = used()?;
    let mut commits = 0;
    let writes: Vec<_> = registrations
        .iter()
        .zip(&operations)
        .zip(&devices)
        .collect();
    for batch in writes.chunks(PER_COMMIT) {
        target.begin()?;
        for ((registration, operation), device) in batch {
            target.register(&group, registration, operation, device)?;
        }
        target.commit()?;
        commits += 1;
    }
    Ok(format!("{count} {} {commits}", used()? - before))
}
