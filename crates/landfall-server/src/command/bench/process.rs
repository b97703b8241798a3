//! A server process of this machine: found by the address that it listens at, and asked how much
//! processor time it has used, and how much memory it has. Called by `bench`, and by what measures Landfall in the workspace.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A process that runs on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub id: u32,
}

/// The state of a listening socket in the kernel's table.
const LISTENING: &str = "0A";

impl Process {
    /// The process that listens at an address; `None` when none does, or when this user may not see.
    pub fn listening_at(address: SocketAddr) -> Option<Self> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let inode = tables.iter().find_map(|table| {
            let text = fs::read_to_string(table).ok()?;
            text.lines()
                .skip(1)
                .find_map(|line| inode_of(line, address))
        })?;
        let wanted = format!("socket:[{inode}]");
        fs::read_dir("/proc").ok()?.find_map(|entry| {
            let id: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
            let mut files = fs::read_dir(format!("/proc/{id}/fd")).ok()?;
            files
                .any(|file| {
                    file.is_ok_and(|file| {
                        fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == &*wanted)
                    })
                })
                .then_some(Process { id })
        })
    }

    /// The time that its threads have run since they began, as the scheduler counts it; those that
    /// ended are not in it. `None` when the process is gone or the kernel keeps no such account.
    pub fn used(&self) -> Option<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.id)).ok()?;
        let mut sum = Duration::ZERO;
        for thread in threads {
            // A thread may end between the two readings.
            let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else {
                continue;
            };
            let nanos = text.split_ascii_whitespace().next()?.parse().ok()?;
            sum += Duration::from_nanos(nanos);
        }
        Some(sum)
    }

    /// The bytes that it has in memory of its own, as the kernel counts them; `None` when the process is gone.
    pub fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.id)).ok()?;
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        Some(kilobytes * 1024)
    }
}

/// The inode of a line of the table, when it is that of a socket which listens at `address`.
fn inode_of(line: &str, address: SocketAddr) -> Option<u64> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, state) = (fields.next()?, fields.nth(1)?);
    let (ip, port) = local.split_once(':')?;
    let here = u16::from_str_radix(port, 16).ok()? == address.port()
        && state == LISTENING
        && ip_of(ip).is_some_and(|ip| ip.is_unspecified() || ip == address.ip());
    here.then(|| fields.nth(5)?.parse().ok()).flatten()
}

/// An address as the table writes it: in words of 32 bits, each in the order of this machine.
fn ip_of(text: &str) -> Option<IpAddr> {
    let words: Option<Vec<u32>> = (0..text.len() / 8)
        .map(|n| u32::from_str_radix(text.get(n * 8..n * 8 + 8)?, 16).ok())
        .collect();
    let bytes: Vec<u8> = words?.into_iter().flat_map(u32::to_ne_bytes).collect();
    if let Ok(four) = <[u8; 4]>::try_from(&*bytes) {
        return Some(Ipv4Addr::from(four).into());
    }
    let sixteen = <[u8; 16]>::try_from(&*bytes).ok()?;
    Some(IpAddr::from(Ipv6Addr::from(sixteen)).to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_process_is_found_by_the_address_that_it_listens_at() {
        let own = Some(Process {
            id: std::process::id(),
        });
        for bound in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(bound) else {
                assert!(bound.starts_with('['), "{bound}");
                continue;
            };
            let mut address = listener.local_addr().expect("an address");
            if address.ip().is_unspecified() {
                address.set_ip(Ipv4Addr::LOCALHOST.into());
            }
            assert_eq!(Process::listening_at(address), own, "{bound}");
            if bound.starts_with("127") {
                let other = SocketAddr::new(Ipv4Addr::new(127, 9, 9, 9).into(), address.port());
                assert_eq!(Process::listening_at(other), None);
            }
            drop(listener);
            assert_eq!(Process::listening_at(address), None);
        }
    }

    #[test]
    fn work_of_a_process_is_counted() {
        let own = Process {
            id: std::process::id(),
        };
        let before = own.used().expect("an account");
        let mut number = 1_u64;
        while own.used().expect("an account") == before {
            number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005));
        }
        assert_eq!(Process { id: u32::MAX }.used(), None);
        assert!(own.memory().is_some_and(|bytes| bytes > 100_000));
        assert_eq!(Process { id: u32::MAX }.memory(), None);
    }
}
