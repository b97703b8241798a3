//! The composition root: which store, which clock, which source of chance, and all that runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use landfall_core::secret::SymmetricKey;
use landfall_hub::registry::EmbeddedHubs;
use landfall_store::SqlStore;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::admin::Asked;
use crate::backend::Backend;
use crate::data_folder::DataFolder;
use crate::device_api::DeviceApi;
use crate::device_api::https::LARGEST_BODY;
use crate::faces::AllFaces;
use crate::feed::Feed;
use crate::hub_api::mqtt::HubDevices;
use crate::listener::{self, Limits, Slots};
use crate::metrics::scrape::Scrape;
use crate::own_api::{Changes, Naming, OwnApi};
use crate::provisioning::{Provisioning, USUAL_SHARE};
use crate::relay::{self, Relay};
use crate::spans::Spans;
use crate::stop::{self, Stop, Stopper};
use crate::telemetry::{TraceRetention, Traces};
use crate::tls::ServerIdentity;
use crate::worker::Retention;
use crate::{admin, time, worker};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How a server runs, whoever configured it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What devices are told to wait between polls.
    pub retry_after: Duration,
    /// How long things are kept that only time removes.
    pub retention: Retention,
    /// How long and how many decision traces are kept.
    pub traces: TraceRetention,
    /// Bounds of the listeners.
    pub limits: Limits,
    /// The largest body of a device's request, in bytes.
    pub device_body: usize,
    /// The share of one processor for the group searches of each id scope, in hundredths.
    pub search_share: u8,
    /// The authority that clients are to trust, for whoever asks the admin listener.
    pub ca: admin::Ca,
    /// Where requests are offered to a collector of traces.
    pub spans: Spans,
    /// The certificates that are shown, for whoever asks when they end.
    pub shown: Arc<ServerIdentity>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            retry_after: Duration::from_secs(2),
            retention: Retention {
                operations: DAY,
                audit: 400 * DAY,
                events: DAY,
                event_count: 1_000_000,
            },
            traces: TraceRetention {
                age: 7 * DAY,
                count: 100_000,
            },
            limits: Limits::default(),
            device_body: LARGEST_BODY,
            search_share: USUAL_SHARE,
            ca: admin::Ca::default(),
            spans: Spans::default(),
            shown: ServerIdentity::new(Vec::new()),
        }
    }
}

/// Where to listen: an address that is bound when its turn comes, or a socket that is bound already.
#[derive(Debug)]
pub enum Door {
    /// To be bound.
    At(SocketAddr),
    /// By [`bind`].
    Bound(TcpListener),
}

/// Asks the running server to open one more door.
pub type Listen = (Door, oneshot::Sender<io::Result<SocketAddr>>);

/// A server that runs: all faces, all workers. [`Running::stop`] ends it in order.
pub struct Running {
    /// Store, clock and chance.
    pub backend: Backend<SqlStore>,
    /// The driver, for whoever continues operations.
    pub provisioning: Arc<Provisioning<SqlStore, EmbeddedHubs<SqlStore>>>,
    /// What changes of services, hubs and policies.
    pub changes: Changes,
    listen: mpsc::Sender<Listen>,
    stop: Stopper,
    stopped: Stop,
    listening: JoinHandle<()>,
    workers: Vec<JoinHandle<()>>,
    ca: admin::Ca,
    scrape: Scrape,
    traces: Option<(Traces, JoinHandle<()>)>,
    /// Held, so that no second server works on the folder.
    _folder: Arc<DataFolder>,
}

impl Running {
    /// Starts faces and workers. Nothing listens yet: [`Running::listen`] opens each address.
    pub fn start(
        backend: Backend<SqlStore>,
        folder: Arc<DataFolder>,
        tls: TlsAcceptor,
        control_token: SymmetricKey,
        naming: impl FnOnce(mpsc::Sender<Listen>) -> Naming,
        settings: &Settings,
    ) -> Self {
        time::warn_of_a_clock_behind(backend.clock.now());
        let (stop, stopped) = stop::channel();
        let (listen, requests) = mpsc::channel(8);
        let hubs = EmbeddedHubs::new(
            Arc::clone(&backend.store),
            Arc::clone(&backend.clock),
            Arc::clone(&backend.entropy),
        );
        let provisioning = Arc::new(
            Provisioning::new(backend.clone(), hubs.clone())
                .with_search_share(settings.search_share),
        );
        let (traces, writer) = Traces::start(&backend, settings.traces);
        let traces = traces.offering(settings.spans.clone());
        let changes = Changes::default();
        let (feed, relay) = (Feed::default(), Arc::<Relay>::default());
        let faces = Arc::new(AllFaces {
            backend: backend.clone(),
            hub: HubDevices {
                backend: backend.clone(),
                relay: Arc::clone(&relay),
                feed: feed.clone(),
                traces: traces.clone(),
            },
            device: DeviceApi {
                backend: backend.clone(),
                provisioning: Arc::clone(&provisioning),
                traces: traces.clone(),
                retry_after: settings.retry_after,
                largest_body: settings.device_body,
            },
            own: OwnApi {
                backend: backend.clone(),
                traces: traces.clone(),
                control_token: control_token.clone(),
                naming: naming(listen.clone()),
                embedded: hubs,
                changing: tokio::sync::Mutex::new(()),
                changes: changes.clone(),
                feed,
            },
            control_token,
        });
        let slots = Slots::new(settings.limits.within_open_files());
        let listening = tokio::spawn(open_doors(
            requests,
            tls,
            faces,
            slots.clone(),
            stopped.clone(),
        ));
        let scrape = Scrape {
            metrics: Arc::clone(&backend.metrics),
            slots,
            search_share: settings.search_share,
            shown: Arc::clone(&settings.shown),
        };
        let worker = tokio::spawn(worker::run(
            backend.clone(),
            Arc::clone(&provisioning),
            traces.clone(),
            settings.retention,
            stopped.clone(),
        ));
        let relaying = tokio::spawn(relay::serve(backend.clone(), relay, stopped.clone()));
        Running {
            backend,
            provisioning,
            changes,
            listen,
            stop,
            stopped,
            listening,
            workers: vec![worker, relaying],
            ca: Arc::clone(&settings.ca),
            scrape,
            traces: Some((traces, writer)),
            _folder: folder,
        }
    }

    /// Listens on `address` with TLS, and gives the address that was bound.
    ///
    /// # Errors
    /// What the system said to the attempt.
    pub async fn listen(&self, address: SocketAddr) -> io::Result<SocketAddr> {
        listen(&self.listen, Door::At(address)).await
    }

    /// Listens with TLS on a socket that [`bind`] gave, and gives its address.
    ///
    /// # Errors
    /// When the server is stopping.
    pub async fn listen_on(&self, socket: TcpListener) -> io::Result<SocketAddr> {
        listen(&self.listen, Door::Bound(socket)).await
    }

    /// Answers health checks and scrapes on `address`, in plain HTTP.
    ///
    /// # Errors
    /// What the system said to the attempt.
    pub async fn listen_admin(&mut self, address: SocketAddr) -> io::Result<SocketAddr> {
        self.listen_admin_on(TcpListener::bind(address).await?)
    }

    /// Answers health checks and scrapes on a socket that is bound already, and gives its address.
    ///
    /// # Errors
    /// When the socket has no address.
    pub fn listen_admin_on(&mut self, socket: TcpListener) -> io::Result<SocketAddr> {
        let bound = socket.local_addr()?;
        let asked = Asked {
            store: Arc::clone(&self.backend.store),
            ca: Arc::clone(&self.ca),
            scrape: self.scrape.clone(),
        };
        self.beside(|stop| admin::serve(socket, asked, stop));
        Ok(bound)
    }

    /// Lets something run beside the requests; it ends when it is told to stop.
    pub fn beside<F>(&mut self, work: impl FnOnce(Stop) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.workers.push(tokio::spawn(work(self.stopped.clone())));
    }

    /// Ends in order: no new connections, running requests end, workers end, traces are written,
    /// the store closes. No accepted registration is lost.
    pub async fn stop(mut self) {
        self.stop.stop();
        drop(self.listen);
        if let Err(error) = self.listening.await {
            tracing::error!(%error, "the listeners ended badly");
        }
        for worker in self.workers {
            if let Err(error) = worker.await {
                tracing::error!(%error, "a worker ended badly");
            }
        }
        drop(self.provisioning);
        if let Some((traces, writer)) = self.traces.take() {
            traces.flush().await;
            drop(traces);
            let _ = writer.await;
        }
        self.backend.store.close().await;
    }
}

/// Asks a running server to open `door`.
///
/// # Errors
/// What the system said to the attempt, or that the server stops.
pub async fn listen(doors: &mpsc::Sender<Listen>, door: Door) -> io::Result<SocketAddr> {
    let (answer, answered) = oneshot::channel();
    let stopping = || io::Error::other("the server is stopping");
    doors.send((door, answer)).await.map_err(|_| stopping())?;
    answered.await.map_err(|_| stopping())?
}

/// Opens each address that is asked for and serves it, until the server stops.
async fn open_doors(
    mut requests: mpsc::Receiver<Listen>,
    tls: TlsAcceptor,
    faces: Arc<AllFaces<SqlStore>>,
    slots: Slots,
    mut stop: Stop,
) {
    let mut open = tokio::task::JoinSet::new();
    loop {
        let request = tokio::select! {
            request = requests.recv() => request,
            () = stop.given() => None,
        };
        let Some((door, answer)) = request else {
            break;
        };
        let listener = match door {
            Door::At(address) => bind(address),
            Door::Bound(listener) => Ok(listener),
        };
        let bound = match listener.and_then(|listener| Ok((listener.local_addr()?, listener))) {
            Ok((bound, listener)) => {
                let (tls, faces) = (tls.clone(), Arc::clone(&faces));
                open.spawn(listener::serve(
                    listener,
                    tls,
                    faces,
                    slots.clone(),
                    stop.clone(),
                ));
                Ok(bound)
            }
            Err(error) => Err(error),
        };
        let _ = answer.send(bound);
    }
    while open.join_next().await.is_some() {}
}

/// Binds with a backlog that takes a storm, and so that a restart does not wait for old sessions.
/// A program that this one starts does not inherit the socket. All IPv6 addresses (`[::]`) take those of
/// IPv4 along.
///
/// # Errors
/// What the system said to the attempt.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    bind_as(address, !address.ip().is_unspecified())
}

/// Binds all IPv6 addresses without those of IPv4, which another socket has.
///
/// # Errors
/// What the system said to the attempt.
pub fn bind_ipv6_alone(address: SocketAddr) -> io::Result<TcpListener> {
    bind_as(address, true)
}

fn bind_as(address: SocketAddr, ipv6_alone: bool) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(ipv6_alone)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(4096)?;
    TcpListener::from_std(socket.into())
}
