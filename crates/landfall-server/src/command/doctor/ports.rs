//! Whether the configured addresses are free, held by our own server, or by whom else.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::finding::Report;
use super::running::Announced;
use crate::command::serve::remedy;
use crate::config::Settings;

/// The state of a listening socket in the lists of Linux.
const LISTENS: &str = "0A";

/// A listening socket of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listening {
    address: SocketAddr,
    inode: u64,
}

/// Whoever holds a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    pid: u32,
    name: String,
}

/// Looks at every configured address.
pub fn look(report: &mut Report, settings: &Settings, announced: Option<&Announced>) {
    let all = &settings.https.listen;
    for address in all {
        one(report, *address, all, announced);
    }
    one(report, settings.admin_listen, &[], announced);
}

fn one(
    report: &mut Report,
    address: SocketAddr,
    all: &[SocketAddr],
    announced: Option<&Announced>,
) {
    let error = match try_bind(address, all) {
        Ok(()) => return report.fine("port", &format!("{address} is free")),
        Err(error) => error,
    };
    let listening = held(address, &listening());
    if listening.is_none() && error.kind() != io::ErrorKind::AddrInUse {
        let what = format!("cannot listen on {address}: {error}");
        return report.failure("port", &what, remedy(address, &error));
    }
    let holder = listening.and_then(|socket| holder(socket.inode));
    match (&holder, announced) {
        (Some(holder), Some(announced)) if announced.pid == Some(holder.pid) => {
            report.fine("port", &format!("{address} is the running server's (process {})", holder.pid));
        }
        // A dev server does not say its process, and another user's is not shown.
        (_, Some(announced)) if is_announced(address, announced) => {
            report.fine("port", &format!("{address} is the running server's"));
        }
        (Some(Holder { pid: 1, name }), _) => report.fine(
            "port",
            &format!("{address} is held by {name}, which hands it to the server"),
        ),
        (Some(Holder { pid, name }), _) => report.failure(
            "port",
            &format!("{address} is taken by {name} (process {pid})"),
            "stop that program, or serve on another address of this machine (https.listen, admin.listen)",
        ),
        (None, _) => report.failure(
            "port",
            &format!("{address} is taken, by a program of another user"),
            "run this as root to see whose it is (or `ss -ltnp`); stop it, or serve on another address",
        ),
    }
}

/// Binds without listening, so that nobody can connect meanwhile.
fn try_bind(address: SocketAddr, all: &[SocketAddr]) -> io::Result<()> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // All IPv6 addresses take IPv4 along unless that is configured too, as `serve` has it.
        let every_ipv4 = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
        socket.set_only_v6(!address.ip().is_unspecified() || all.contains(&every_ipv4))?;
    }
    socket.bind(&address.into())
}

fn is_announced(address: SocketAddr, announced: &Announced) -> bool {
    let https = announced.https.iter();
    https.chain(&announced.admin).any(|theirs| {
        theirs.port() == address.port()
            && (theirs.ip() == address.ip() || address.ip().is_unspecified())
    })
}

/// The socket that keeps `address` from being bound.
fn held(address: SocketAddr, all: &[Listening]) -> Option<Listening> {
    let of_port = |socket: &&Listening| socket.address.port() == address.port();
    let same = |socket: &&Listening| socket.address.ip() == address.ip();
    let any =
        |socket: &&Listening| socket.address.ip().is_unspecified() || address.ip().is_unspecified();
    let mut sockets = all.iter().filter(of_port);
    let exact = sockets.clone().find(same);
    exact.or_else(|| sockets.find(any)).copied()
}

/// Every listening socket of this machine, as Linux lists them.
fn listening() -> Vec<Listening> {
    let files = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter();
    let texts = files.filter_map(|file| fs::read_to_string(file).ok());
    texts
        .flat_map(|text| text.lines().filter_map(listed).collect::<Vec<_>>())
        .collect()
}

/// `sl local remote state queues timer retransmits uid timeout inode …`, addresses in hexadecimal.
fn listed(line: &str) -> Option<Listening> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if words.get(3) != Some(&LISTENS) {
        return None;
    }
    let (ip, port) = words.get(1)?.split_once(':')?;
    Some(Listening {
        address: SocketAddr::new(ip_of(ip)?, u16::from_str_radix(port, 16).ok()?),
        inode: words.get(9)?.parse().ok()?,
    })
}

/// An address as Linux lists it: words of four bytes, each in the order of the machine.
fn ip_of(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for at in (0..text.len()).step_by(8) {
        let word = u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

/// The process that has this socket open, of those that this user may look into.
fn holder(inode: u64) -> Option<Holder> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.filter_map(Result::ok);
    let mut pids: Vec<u32> = processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    // A manager that keeps a socket for its service has the lower number; both hold it.
    pids.sort_unstable();
    let pid = pids.into_iter().rev().find(|pid| {
        let open = fs::read_dir(format!("/proc/{pid}/fd"));
        let mut open = open.into_iter().flatten().filter_map(Result::ok);
        open.any(|file| {
            fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == wanted.as_str())
        })
    })?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = name.trim().to_owned();
    Some(Holder { pid, name })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::super::finding::Level;
    use super::*;

    #[test]
    fn a_listed_socket_is_read_and_a_connection_is_none() {
        let line =
            "0: 0100007F:2382 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 1 0";
        if cfg!(target_endian = "little") {
            let found = listed(line).expect("a socket");
            assert_eq!(found.address, "127.0.0.1:9090".parse().expect("an address"));
            assert_eq!(found.inode, 4711);
        }
        assert_eq!(listed(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(listed("sl local_address rem_address st"), None);
        let line = line.replace("0100007F", &"0".repeat(32));
        let found = listed(&line).expect("a socket");
        assert_eq!(found.address, "[::]:9090".parse().expect("an address"));
        assert_eq!(
            held("127.0.0.9:9090".parse().expect("x"), &[found]),
            Some(found)
        );
        assert_eq!(held("127.0.0.9:9091".parse().expect("x"), &[found]), None);
    }

    #[test]
    fn a_taken_port_names_the_program_that_holds_it() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = taken.local_addr().expect("an address");
        let said = |announced: Option<&Announced>| {
            let mut report = Report::default();
            one(&mut report, address, &[address], announced);
            report.findings.remove(0)
        };
        let found = said(None);
        assert_eq!(found.level, Level::Failure);
        let own = format!("(process {})", std::process::id());
        assert!(found.what.contains(&own), "{found:?}");
        let ours = Announced {
            file: "server.json".into(),
            pid: Some(std::process::id()),
            https: vec![address],
            admin: None,
        };
        assert_eq!(said(Some(&ours)).level, Level::Fine);
        drop(taken);
        assert_eq!(said(None).level, Level::Fine);
    }
}
