//! The least that a provisioning server can do: TLS, HTTP, the statements of a registration in commits of up
//! to 64, and the two answers. It checks nothing. `least DATABASE FOLDER` takes tables and the rows to repeat
//! from a database of Landfall that holds at least one registration, and keeps its own in FOLDER; `least-client`
//! asks its clients for certificates as well.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use anyhow::Context as _;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use landfall_core::id::{OperationId, TrackingId};
use landfall_server::time::SystemEntropy;
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;

use super::bare::{self, Bare};
use super::hs;
use super::store::PER_COMMIT;

/// Rows that every registration repeats, with ids of its own.
struct Rows {
    group: Value,
    registration: Vec<Value>,
    operation: Vec<Value>,
    device: Vec<Value>,
    trace: Vec<Value>,
}

/// What the writer is asked for.
enum Ask {
    Register(Device, oneshot::Sender<()>),
    /// Nobody waits for it.
    Trace(String),
}

/// A device that registers, and its operation.
struct Device {
    id: String,
    operation: String,
}

/// Serves until it is stopped.
///
/// # Errors
/// When there is no database to repeat, no port or no certificate.
pub fn run(from: &str, folder: &str, ask: bool) -> anyhow::Result<()> {
    let folder = Path::new(folder);
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let own = folder.join("least.db");
    let source = Connection::open(from)?;
    let target = Bare::like(&source, &own)?;
    let rows = Rows::of(&source)?;
    let scope = rows.operation.first().context("no scope")?.clone();
    drop(source);
    let (asks, asked) = mpsc::channel();
    std::thread::Builder::new()
        .name("store-writer".to_owned())
        .spawn(move || {
            if let Err(error) = write(&target, &rows, &asked) {
                eprintln!("error: {error}");
                std::process::exit(1);
            }
        })?;
    let reader = Connection::open_with_flags(&own, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    reader.execute_batch("PRAGMA query_only = ON; PRAGMA mmap_size = 1073741824")?;
    let face = Arc::new(Face {
        asks,
        reader: Mutex::new(reader),
        scope,
    });
    hs::serve(hs::settings(ask)?, move |stream| {
        let face = Arc::clone(&face);
        async move {
            let service = service_fn(move |request| {
                let face = Arc::clone(&face);
                async move { Ok::<_, Infallible>(face.answer(request).await) }
            });
            http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await?;
            Ok(())
        }
    })
}

impl Rows {
    fn of(source: &Connection) -> anyhow::Result<Self> {
        let last = |table: &str| {
            let row = bare::rows(source, table)?.pop();
            row.with_context(|| format!("{table} is empty"))
        };
        let registration = last("registrations")?;
        Ok(Rows {
            group: registration.get(3).context("no group")?.clone(),
            registration,
            operation: last("operations")?,
            device: last("devices")?,
            trace: last("traces")?,
        })
    }
}

/// Writes what is asked for, up to so many registrations at once, and answers when it is on the disk.
fn write(target: &Bare, rows: &Rows, asked: &mpsc::Receiver<Ask>) -> rusqlite::Result<()> {
    let mut clock = 0;
    while let Ok(first) = asked.recv() {
        let mut waiting = Vec::new();
        let mut next = Some(first);
        target.begin()?;
        while let Some(ask) = next {
            clock += 1;
            let now = Value::Integer(clock);
            match ask {
                Ask::Register(device, done) => {
                    device.register(target, rows, now)?;
                    waiting.push(done);
                }
                Ask::Trace(id) => {
                    let tracking = TrackingId::draw(&SystemEntropy).as_str().to_owned();
                    let named = [(0, Value::Text(tracking)), (2, Value::Text(id)), (3, now)];
                    target.trace(&with(&rows.trace, named))?;
                }
            }
            let room = waiting.len() < PER_COMMIT;
            next = room.then(|| asked.try_recv().ok()).flatten();
        }
        target.commit()?;
        for done in waiting {
            // Whoever asked may be gone.
            let _ = done.send(());
        }
    }
    Ok(())
}

impl Device {
    fn register(self, target: &Bare, rows: &Rows, now: Value) -> rusqlite::Result<()> {
        let id = Value::Text(self.id);
        let operation = [(1, Value::Text(self.operation)), (3, now.clone()), (4, now)];
        target.register(
            &rows.group,
            &with(&rows.registration, [(1, id.clone())]),
            &with(&rows.operation, operation),
            &with(&rows.device, [(1, id)]),
        )
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

struct Face {
    asks: mpsc::Sender<Ask>,
    reader: Mutex<Connection>,
    scope: Value,
}

impl Face {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        // As every server, it reads what was sent to it.
        let _ = body.collect().await;
        let mut path = parts.uri.path().split('/').skip(3);
        let (id, rest) = (path.next().unwrap_or_default(), path.nth(1));
        let _ = self.asks.send(Ask::Trace(id.to_owned()));
        let (status, body) = match (parts.method, rest) {
            (Method::PUT, _) => self.register(id).await,
            (_, Some(operation)) => self.poll(operation),
            _ => (StatusCode::NOT_FOUND, String::new()),
        };
        let mut response = Response::new(Full::new(Bytes::from(body)));
        *response.status_mut() = status;
        let json = header::HeaderValue::from_static("application/json; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }

    async fn register(&self, id: &str) -> (StatusCode, String) {
        let operation = OperationId::draw(&SystemEntropy).as_str().to_owned();
        let body = format!("{{\"operationId\":\"{operation}\",\"status\":\"assigning\"}}");
        let device = Device {
            id: id.to_owned(),
            operation,
        };
        let (done, written) = oneshot::channel();
        let _ = self.asks.send(Ask::Register(device, done));
        match written.await {
            Ok(()) => (StatusCode::ACCEPTED, body),
            Err(_) => (StatusCode::SERVICE_UNAVAILABLE, String::new()),
        }
    }

    fn poll(&self, operation: &str) -> (StatusCode, String) {
        let record = self.record(operation);
        match record {
            Ok(record) => (
                StatusCode::OK,
                format!(
                    "{{\"operationId\":\"{operation}\",\"status\":\"assigned\",\"registrationState\":{record}}}"
                ),
            ),
            Err(_) => (StatusCode::NOT_FOUND, String::new()),
        }
    }

    fn record(&self, operation: &str) -> rusqlite::Result<String> {
        let reader = self.reader.lock();
        let reader = reader.unwrap_or_else(PoisonError::into_inner);
        let mut read = reader.prepare_cached(
            "SELECT scope, id, created, updated, record, sealed FROM operations WHERE scope = ?1 AND id = ?2",
        )?;
        read.query_row((&self.scope, operation), |row| row.get(4))
    }
}
