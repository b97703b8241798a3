//! What a service manager such as systemd hands over and wants to hear: sockets that it opened for the
//! server, and when the server is ready, lives and stops. Without one, all of it is silent.

use std::io;
use std::net::TcpListener as Socket;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use listenfd::ListenFd;
use socket2::SockRef;
use tokio::net::TcpListener;

use crate::stop::Stop;
use crate::time;

/// The name that a socket unit gives to sockets for devices and operators.
pub const HTTPS: &str = "https";
/// The name that a socket unit gives to the socket of health and readiness.
pub const ADMIN: &str = "admin";
/// More sockets than anybody opens for one server.
const MOST_SOCKETS: usize = 64;
/// The descriptor of the first socket.
const FIRST: usize = 3;

/// Why sockets that were handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HandedError {
    /// The number of sockets is none.
    #[error("LISTEN_FDS is '{0}', which is not a number of sockets from 0 to {MOST_SOCKETS}")]
    Count(String),
    /// There are other names than sockets.
    #[error("LISTEN_FDS hands over {sockets} sockets, and LISTEN_FDNAMES names {names}")]
    Names {
        /// How many sockets.
        sockets: usize,
        /// How many names.
        names: usize,
    },
    /// A name that says nothing here.
    #[error(
        "socket {number} of LISTEN_FDS is named '{name}' by LISTEN_FDNAMES; the names known here are {HTTPS} and {ADMIN}"
    )]
    Name {
        /// Which one, counted from 1.
        number: usize,
        /// Its name.
        name: String,
    },
    /// A descriptor that is no listening TCP socket.
    #[error("socket {number} of LISTEN_FDS (descriptor {descriptor}, for {role}): {cause}")]
    Socket {
        /// Which one, counted from 1.
        number: usize,
        /// Its descriptor.
        descriptor: usize,
        /// What it is for.
        role: &'static str,
        /// What is wrong with it.
        cause: io::Error,
    },
    /// More than one socket for health.
    #[error("LISTEN_FDS hands over {0} sockets named {ADMIN}; one is served")]
    Admins(usize),
}

impl HandedError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            HandedError::Count(_) => {
                "let the service manager set it, or unset LISTEN_FDS: then https.listen is bound"
            }
            HandedError::Names { .. } | HandedError::Name { .. } => {
                "in the socket units, say FileDescriptorName=https or FileDescriptorName=admin"
            }
            HandedError::Socket { .. } => {
                "in the socket units, open it by ListenStream=ADDRESS:PORT with Accept=no; a shell that sets LISTEN_FDS must open that descriptor too"
            }
            HandedError::Admins(_) => "give one of the socket units FileDescriptorName=admin",
        }
    }
}

/// Sockets that were opened for this process.
#[derive(Debug, Default)]
pub struct Handed {
    /// For devices and operators; when there are none, the configured addresses are bound.
    pub https: Vec<TcpListener>,
    /// For health and readiness; when there is none, the configured address is bound.
    pub admin: Option<TcpListener>,
}

/// Takes the sockets that the environment speaks of.
///
/// # Errors
/// [`HandedError`] when one of them cannot be used: serving on a part of them would leave somebody
/// without an answer.
pub fn sockets(environment: &dyn Fn(&str) -> Option<String>) -> Result<Handed, HandedError> {
    let own = std::process::id().to_string();
    if environment("LISTEN_PID").is_some_and(|pid| !pid.is_empty() && pid != own) {
        // Another process's, inherited by accident.
        return Ok(Handed::default());
    }
    let roles = roles(environment)?;
    let mut handed = Handed::default();
    if roles.is_empty() {
        return Ok(handed);
    }
    let admins = roles.iter().filter(|role| **role == ADMIN).count();
    if admins > 1 {
        return Err(HandedError::Admins(admins));
    }
    let mut all = ListenFd::from_env();
    for (at, role) in roles.into_iter().enumerate() {
        let socket = all.take_tcp_listener(at).and_then(|socket| {
            let gone = || io::Error::new(io::ErrorKind::NotFound, "it was not handed over");
            listening(socket.ok_or_else(gone)?)
        });
        let socket = socket.map_err(|cause| HandedError::Socket {
            number: at + 1,
            descriptor: FIRST + at,
            role,
            cause,
        })?;
        if role == ADMIN {
            handed.admin = Some(socket);
        } else {
            handed.https.push(socket);
        }
    }
    Ok(handed)
}

/// What each socket is for, by its name. One without a name of ours is for devices and operators: a
/// unit that says nothing hands it over under the unit's own name.
fn roles(environment: &dyn Fn(&str) -> Option<String>) -> Result<Vec<&'static str>, HandedError> {
    let text = environment("LISTEN_FDS").filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Ok(Vec::new());
    };
    let count = text.parse().ok().filter(|count| *count <= MOST_SOCKETS);
    let count = count.ok_or(HandedError::Count(text))?;
    let Some(names) = environment("LISTEN_FDNAMES").filter(|names| !names.is_empty()) else {
        return Ok(vec![HTTPS; count]);
    };
    let names: Vec<&str> = names.split(':').collect();
    if names.len() != count {
        return Err(HandedError::Names {
            sockets: count,
            names: names.len(),
        });
    }
    let role = |(at, name): (usize, &&str)| match *name {
        ADMIN => Ok(ADMIN),
        HTTPS | "" | "unknown" => Ok(HTTPS),
        name if name.ends_with(".socket") => Ok(HTTPS),
        name => Err(HandedError::Name {
            number: at + 1,
            name: name.to_owned(),
        }),
    };
    names.iter().enumerate().map(role).collect()
}

fn listening(socket: Socket) -> io::Result<TcpListener> {
    if !SockRef::from(&socket).is_listener()? {
        let what = "it is a TCP socket that does not listen";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

/// Says to the service manager how the server is; says nothing where there is none.
#[derive(Debug)]
pub struct Notify {
    socket: Option<(UnixDatagram, String)>,
    watchdog: Option<Duration>,
}

impl Notify {
    /// Reads where to say it, and how often it is to be said that the server lives.
    pub fn new(environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let own = std::process::id().to_string();
        let watched = environment("WATCHDOG_PID").is_none_or(|pid| pid == own);
        let micros = environment("WATCHDOG_USEC").and_then(|micros| micros.parse().ok());
        let address = environment("NOTIFY_SOCKET").filter(|path| !path.is_empty());
        Notify {
            socket: address.and_then(|path| Some((UnixDatagram::unbound().ok()?, path))),
            watchdog: micros
                .filter(|micros| watched && *micros > 0)
                .map(Duration::from_micros),
        }
    }

    /// Says that the server is ready.
    pub fn ready(&self) {
        self.say("READY=1");
    }

    /// Says that the server stops.
    pub fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// Says, twice as often as asked for, that requests are still being taken up, until `stop`
    /// says true.
    pub async fn live(&self, mut stop: Stop) {
        let Some(span) = self.watchdog else {
            return;
        };
        loop {
            self.say("WATCHDOG=1");
            tokio::select! {
                () = time::sleep(span / 2) => {}
                () = stop.given() => return,
            }
        }
    }

    fn say(&self, what: &str) {
        let Some((socket, path)) = &self.socket else {
            return;
        };
        let said = match path.strip_prefix('@') {
            Some(name) => say_to_abstract(socket, name, what),
            None => socket.send_to(what.as_bytes(), path).map(drop),
        };
        if let Err(error) = said {
            tracing::warn!(%error, "{what} could not be said to NOTIFY_SOCKET");
        }
    }
}

#[cfg(target_os = "linux")]
fn say_to_abstract(socket: &UnixDatagram, name: &str, what: &str) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt as _;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    socket.send_to_addr(what.as_bytes(), &address).map(drop)
}

#[cfg(not(target_os = "linux"))]
fn say_to_abstract(_: &UnixDatagram, _: &str, _: &str) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(pairs: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        let pairs: Vec<(String, String)> = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        move |name| {
            let found = pairs.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.clone())
        }
    }

    #[test]
    fn sockets_are_told_apart_by_name_and_without_one_are_for_devices() {
        let read = |pairs: &[(&str, &str)]| roles(&said(pairs));
        assert!(read(&[]).expect("none").is_empty());
        assert!(read(&[("LISTEN_FDS", "0")]).expect("none").is_empty());
        assert_eq!(read(&[("LISTEN_FDS", "2")]).expect("two"), [HTTPS, HTTPS]);
        let named = |count, names| read(&[("LISTEN_FDS", count), ("LISTEN_FDNAMES", names)]);
        assert_eq!(
            named("4", "https:admin:landfall.socket:unknown").expect("four"),
            [HTTPS, ADMIN, HTTPS, HTTPS]
        );
        for (count, names, what) in [
            ("two", "", "'two'"),
            ("-1", "", "'-1'"),
            ("65", "", "'65'"),
            ("2", "https", "2 sockets, and LISTEN_FDNAMES names 1"),
            ("1", "htps", "socket 1 of LISTEN_FDS is named 'htps'"),
        ] {
            let error = named(count, names).expect_err(what);
            assert!(error.to_string().contains(what), "{error}");
            assert!(!error.fix().is_empty());
        }
    }

    #[test]
    fn sockets_of_another_process_are_left_alone() {
        let handed = sockets(&said(&[("LISTEN_PID", "1"), ("LISTEN_FDS", "wrong")]));
        assert!(handed.expect("nothing").https.is_empty());
    }

    #[tokio::test]
    async fn readiness_and_life_are_said_where_the_manager_listens() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("bound");
        let path = path.to_str().expect("text");
        let notify = Notify::new(&said(&[
            ("NOTIFY_SOCKET", path),
            ("WATCHDOG_USEC", "20000"),
        ]));
        let (stopper, stopped) = crate::stop::channel();
        let heard = || {
            let mut buffer = [0; 64];
            let length = manager.recv(&mut buffer).expect("heard");
            String::from_utf8_lossy(&buffer[..length]).into_owned()
        };
        notify.ready();
        assert_eq!(heard(), "READY=1");
        let live = notify.live(stopped);
        let ended = async {
            time::sleep(Duration::from_millis(50)).await;
            stopper.stop();
        };
        tokio::join!(live, ended);
        notify.stopping();
        assert_eq!(
            (heard(), heard()),
            ("WATCHDOG=1".into(), "WATCHDOG=1".into())
        );
        let nobody = Notify::new(&said(&[]));
        nobody.ready();
        assert_eq!(nobody.watchdog, None);
    }
}
