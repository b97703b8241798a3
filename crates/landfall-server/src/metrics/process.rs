//! What the system tells of this process, read when it is asked for. Where the system does not tell, there is
//! nothing.

use std::fs;

use crate::listener::Limits;

/// What `/proc` tells of this process.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Bytes in the machine's memory.
    pub resident: Option<u64>,
    /// Bytes of address space.
    pub virtual_size: Option<u64>,
    /// Threads.
    pub threads: Option<u64>,
    /// Open files.
    pub open_files: Option<usize>,
    /// The most of them.
    pub most_files: Option<usize>,
}

impl Process {
    /// Reads it.
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kilobytes = |name: &str| number(&status, name).map(|many| many * 1024);
        Process {
            resident: kilobytes("VmRSS:"),
            virtual_size: kilobytes("VmSize:"),
            threads: number(&status, "Threads:"),
            // The reading itself has one open.
            open_files: fs::read_dir("/proc/self/fd")
                .ok()
                .map(|files| files.count().saturating_sub(1)),
            most_files: Limits::open_files(),
        }
    }
}

/// The number of a line of `/proc/self/status`.
fn number(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_threads_and_files() {
        let process = Process::read();
        assert!(process.resident > Some(1024 * 1024), "{process:?}");
        assert!(process.virtual_size >= process.resident, "{process:?}");
        assert!(
            process.threads >= Some(1) && process.open_files >= Some(3),
            "{process:?}"
        );
        assert!(process.most_files >= process.open_files, "{process:?}");
    }

    #[test]
    fn a_status_without_the_line_tells_nothing() {
        assert_eq!(number("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(number("VmRSS:\t  12 kB\n", "Threads:"), None);
    }
}
