//! What the threads of a process have used: those that write to the store apart from the others, and how much
//! of it inside the kernel.

use std::fs;
use std::ops::{AddAssign, Sub};
use std::path::Path;

/// The name of a thread that writes to the store, as the kernel shows it.
const WRITER: &str = "store-writer";

/// Processor time, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(in super::super) struct Spent {
    /// By the threads that write to the store.
    pub(in super::super) writer: f64,
    /// By all others.
    pub(in super::super) others: f64,
    /// In ticks of the kernel's other account, which tells where a thread was: outside the kernel…
    user: f64,
    /// … and inside.
    kernel: f64,
}

impl Spent {
    /// By the threads that a process has now, since they began.
    pub(super) fn by(process: u32) -> Self {
        let mut spent = Spent::default();
        let threads = fs::read_dir(format!("/proc/{process}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            // A thread may end between the two readings.
            spent += Spent::by_thread(&thread.path()).unwrap_or_default();
        }
        spent
    }

    fn by_thread(thread: &Path) -> Option<Self> {
        let read = |file| fs::read_to_string(thread.join(file)).ok();
        let micros = first(&read("schedstat")?)? / 1e3;
        let stat = read("stat")?;
        // The name stands in brackets, and may hold brackets itself.
        let (_, after) = stat.rsplit_once(')')?;
        let mut fields = after.split_ascii_whitespace().skip(11);
        let (user, kernel) = (first(fields.next()?)?, first(fields.next()?)?);
        let writes = read("comm")?.trim() == WRITER;
        let (writer, others) = if writes { (micros, 0.0) } else { (0.0, micros) };
        Some(Spent {
            writer,
            others,
            user,
            kernel,
        })
    }

    /// The share of each of `pieces`.
    pub(super) fn by_each(self, pieces: u64) -> Self {
        let pieces = pieces as f64;
        Spent {
            writer: self.writer / pieces,
            others: self.others / pieces,
            user: self.user / pieces,
            kernel: self.kernel / pieces,
        }
    }

    /// How much of it was inside the kernel, from 0 to 1; nothing when the account is too coarse to say.
    pub(in super::super) fn in_kernel(&self) -> Option<f64> {
        let all = self.user + self.kernel;
        (all > 0.0).then(|| self.kernel / all)
    }
}

fn first(text: &str) -> Option<f64> {
    text.split_ascii_whitespace().next()?.parse().ok()
}

impl AddAssign for Spent {
    fn add_assign(&mut self, more: Self) {
        self.writer += more.writer;
        self.others += more.others;
        self.user += more.user;
        self.kernel += more.kernel;
    }
}

impl Sub for Spent {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Spent {
            writer: self.writer - before.writer,
            others: self.others - before.others,
            user: self.user - before.user,
            kernel: self.kernel - before.kernel,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn the_writer_is_told_from_other_threads() {
        let me = std::process::id();
        let before = Spent::by(me);
        let (done, worked) = mpsc::channel();
        let (end, ended) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .name(WRITER.to_owned())
            .spawn(move || {
                let mut number = 1_u64;
                for _ in 0..20_000_000 {
                    number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005));
                }
                let _ = done.send(number);
                // It stays until it was looked at.
                let _ = ended.recv();
            })
            .expect("a thread");
        worked.recv().expect("work");
        let spent = Spent::by(me) - before;
        drop(end);
        thread.join().expect("an end");
        assert!(spent.writer > 0.0, "{spent:?}");
        assert!(spent.others < spent.writer, "{spent:?}");
    }
}
