//! The load of registrations: so many devices at once, each of which registers as any device would, over HTTPS or
//! MQTT; the next one begins when one is done. Knows the device API by its client half alone.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use landfall_wire::client::registering::{Next, Registering};
use landfall_wire::client::{Refusal, ReplyError, read};
use landfall_wire::message::{Reply, Request};
use landfall_wire::mqtt::client::Introduction;
use landfall_wire::mqtt::provisioning;
use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::task::JoinSet;

use super::fleet::{Device, Fleet, Proof};
use super::tally::{REGISTRATIONS, Report, Tally};
use crate::client::mqtt::Carrier;
use crate::client::registration::{Asking, RegistrationError};
use crate::client::{Client, ClientError, Endpoint};
use crate::command::connect::Road;
use crate::command::outcome::Failure;
use crate::command::print;
use crate::signals;
use crate::time::{Stopwatch, sleep, timeout};

const API_VERSION: &str = "2021-06-01";
/// How long a device waits for its connection, and for each answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long devices that are registering may go on after the command is told to end.
const LAST: Duration = Duration::from_secs(5);

/// How the devices go about it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    /// One connection after the other, or one for all that come by it.
    pub(super) kept: bool,
    /// Whether each asks until it is assigned.
    pub(super) poll: bool,
    /// How many at once.
    pub(super) in_flight: u16,
    /// None begins later than this.
    pub(super) within: Duration,
    /// What carries MQTT; without it, they speak HTTPS.
    pub(super) carrier: Option<Carrier>,
}

/// Where a device was put: hub and device id.
pub(super) type Home = (String, String);

/// A load: what all its connections share.
pub(super) struct Load {
    way: Way,
    devices: Arc<[Device]>,
    id_scope: String,
    endpoint: Endpoint,
    tls: Arc<ClientConfig>,
    next: AtomicU32,
    over: AtomicBool,
    watch: Stopwatch,
    tally: Mutex<Tally>,
    homes: Mutex<Vec<(usize, Home)>>,
}

impl Load {
    /// Prepares the devices of `fleet` to register by `road`.
    ///
    /// # Errors
    /// [`Failure`] when this process may open too few files.
    pub(super) fn new(fleet: &Fleet, road: Road, way: Way) -> Result<Self, Failure> {
        enough_files(usize::from(way.in_flight))?;
        let mut tls = (*road.tls).clone();
        // Each device is another one: none resumes what another began.
        tls.resumption = Resumption::disabled();
        Ok(Load {
            way,
            devices: fleet.devices(),
            id_scope: fleet.id_scope().to_owned(),
            endpoint: road.endpoint,
            tls: Arc::new(tls),
            next: AtomicU32::new(0),
            over: AtomicBool::new(false),
            watch: Stopwatch::start(),
            tally: Mutex::default(),
            homes: Mutex::default(),
        })
    }

    /// Runs until all devices are done, the time is over, or the process is told to stop. Gives what it came to, and
    /// where each device was put that asked until it knew.
    pub(super) async fn run(self, stop: &mut signals::Stop) -> (Report, Vec<(usize, Home)>) {
        let load = Arc::new(Load {
            watch: Stopwatch::start(),
            ..self
        });
        let mut lanes = JoinSet::new();
        for _ in 0..load.way.in_flight {
            lanes.spawn(lane(Arc::clone(&load)));
        }
        let mut interrupted = false;
        let all_done = async { while lanes.join_next().await.is_some() {} };
        tokio::pin!(all_done);
        tokio::select! {
            () = &mut all_done => {}
            reason = stop.wait() => {
                interrupted = true;
                load.over.store(true, Ordering::Relaxed);
                print::aside(&format!("{reason}: waiting for the devices that are registering"));
                // Those that hang are left out of the figures.
                let _ = timeout(LAST, all_done).await;
            }
        }
        let lasted = load.watch.elapsed();
        let begun = load.next.load(Ordering::Relaxed);
        let begun = begun.min(u32::try_from(load.devices.len()).unwrap_or(u32::MAX));
        let tally = std::mem::take(&mut *load.tally());
        let homes = std::mem::take(&mut *load.homes.lock().unwrap_or_else(PoisonError::into_inner));
        let report = Report::of(REGISTRATIONS, tally, begun, lasted, interrupted);
        (report, homes)
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One device after the other.
async fn lane(load: Arc<Load>) {
    let way = load.way;
    let mut kept = None;
    while !load.over.load(Ordering::Relaxed) && load.watch.elapsed() < way.within {
        let at = load.next.fetch_add(1, Ordering::Relaxed);
        let Some(device) = usize::try_from(at).ok().and_then(|at| load.devices.get(at)) else {
            return;
        };
        let (settings, token) = match &device.proof {
            Proof::Token(token) => (Arc::clone(&load.tls), Some(token.clone())),
            Proof::Certificate(key) => (shown(&load.tls, key), None),
        };
        let watch = Stopwatch::start();
        let caller = match kept.take() {
            Some(caller) if way.kept => Ok(caller),
            _ => Caller::open(&load, device, settings, token.clone()).await,
        };
        let session = Registering::new(&load.id_scope, &device.id, token, API_VERSION, None);
        let outcome = match caller {
            Ok(mut caller) => {
                let outcome = registration(&mut caller, session, way.poll).await;
                kept = Some(caller);
                outcome
            }
            Err(kind) => Err(kind),
        };
        load.tally().add(
            outcome
                .as_ref()
                .map(|_| watch.elapsed())
                .map_err(String::clone),
        );
        if let (Ok(Some(home)), Ok(at)) = (outcome, usize::try_from(at)) {
            let mut homes = load.homes.lock().unwrap_or_else(PoisonError::into_inner);
            homes.push((at, home));
        }
    }
}

/// Settings by which a device shows its certificate.
pub(super) fn shown(tls: &ClientConfig, key: &Arc<CertifiedKey>) -> Arc<ClientConfig> {
    let mut own = tls.clone();
    own.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(Arc::clone(key)));
    Arc::new(own)
}

/// What a device asks the provisioning service by.
enum Caller {
    Https(Box<Client>),
    Mqtt(Box<Asking>),
}

impl Caller {
    /// Connects, where that is not done by the first question.
    async fn open(
        load: &Load,
        device: &Device,
        tls: Arc<ClientConfig>,
        token: Option<String>,
    ) -> Result<Self, String> {
        let Some(carrier) = load.way.carrier else {
            let client = Client::new(load.endpoint.clone(), tls).with_limit(PATIENCE);
            return Ok(Caller::Https(Box::new(client)));
        };
        let introduction = Introduction {
            client_id: device.id.clone(),
            user_name: provisioning::device::user_name(&load.id_scope, &device.id, API_VERSION),
            password: token,
            clean_session: true,
            keep_alive: 0,
        };
        let opened = Asking::open(&load.endpoint, &tls, carrier, introduction).await;
        Ok(Caller::Mqtt(Box::new(
            opened.map_err(|error| unregistered(&error))?,
        )))
    }

    async fn call(&mut self, request: Request) -> Result<Reply, String> {
        match self {
            Caller::Https(client) => client.call(request).await.map_err(|error| kind(&error)),
            Caller::Mqtt(asking) => {
                let reply = asking.call(&request).await;
                reply.map_err(|error| unregistered(&error))
            }
        }
    }
}

/// Registers one device, as far as is asked for, and says where it was put if it asked for that; an error is named by
/// its kind.
async fn registration(
    caller: &mut Caller,
    mut session: Registering,
    poll: bool,
) -> Result<Option<Home>, String> {
    let mut first = true;
    loop {
        match session.next() {
            Next::Send(request) => {
                let reply = caller.call(*request).await?;
                if let Err(ReplyError::Refused(refusal)) = read(&reply) {
                    return Err(refused(&refusal));
                }
                session.received(&reply);
                if !poll && let Next::Wait(_) = session.next() {
                    return Ok(None);
                }
            }
            // The server ends most registrations before it answers, so the first poll comes at once.
            Next::Wait(_) if first => first = false,
            Next::Wait(span) => sleep(span).await,
            Next::Done(assigned) => return Ok(Some((assigned.hub, assigned.device_id))),
            Next::Failed(failed) => {
                return Err(match failed.code {
                    Some(code) => format!("registration {} (code {code})", failed.status),
                    None => format!("registration {}", failed.status),
                });
            }
        }
    }
}

fn refused(refusal: &Refusal) -> String {
    match &refusal.code {
        Some(code) => format!("refused: {} (code {code})", refusal.status),
        None => format!("refused: {}", refusal.status),
    }
}

/// The kind of a failed registration over MQTT, likewise.
fn unregistered(error: &RegistrationError) -> String {
    match error {
        RegistrationError::Client(error) => kind(error),
        other => other.to_string(),
    }
}

/// The kind of a failed call, without what differs from device to device.
pub(super) fn kind(error: &ClientError) -> String {
    match error {
        ClientError::Connect { cause, .. } => format!("cannot connect: {cause}"),
        ClientError::Tls { cause, .. } => format!("no TLS session: {cause}"),
        ClientError::TimedOut { limit, .. } => format!("no answer within {} s", limit.as_secs()),
        ClientError::Broken { cause, .. } => format!("the connection broke: {cause}"),
        ClientError::Name(_)
        | ClientError::OtherName { .. }
        | ClientError::UnknownAuthority(_)
        | ClientError::NoWebSocket { .. }
        | ClientError::OutOfTime(_) => error.to_string(),
    }
}

/// Every device in flight takes an open file, and the process some more.
pub(super) fn enough_files(in_flight: usize) -> Result<(), Failure> {
    const OTHERS: usize = 64;
    match crate::listener::Limits::open_files() {
        Some(files) if in_flight + OTHERS > files => Err(Failure::usage(
            format!(
                "{in_flight} devices at once need more files than the {files} that this process may open"
            ),
            "raise the limit with `ulimit -n`, or take a smaller --in-flight or --count",
        )),
        _ => Ok(()),
    }
}
