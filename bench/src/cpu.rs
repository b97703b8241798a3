//! How much processor time a process has used, as the scheduler counts it. Every program here that
//! compares costs asks for it: it moves far less from run to run than elapsed time does.

use std::time::Duration;

use anyhow::Context;

/// The time that the threads of a process have run since they began; those that ended are not in it.
///
/// # Errors
/// When there is no such process, or the kernel keeps no such account.
pub fn used_by(process: u32) -> anyhow::Result<Duration> {
    let folder = format!("/proc/{process}/task");
    let threads = std::fs::read_dir(&folder).with_context(|| format!("{folder} is not there"))?;
    let mut sum = Duration::ZERO;
    for thread in threads {
        let file = thread?.path().join("schedstat");
        // A thread may end between the two readings.
        let Ok(text) = std::fs::read_to_string(&file) else {
            continue;
        };
        let first = text.split_ascii_whitespace().next().unwrap_or_default();
        let nanos = first
            .parse()
            .with_context(|| format!("{} says '{first}'", file.display()))?;
        sum += Duration::from_nanos(nanos);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_of_this_process_is_counted() {
        let before = used_by(std::process::id()).expect("an account");
        let mut number = 1_u64;
        while used_by(std::process::id()).expect("an account") == before {
            number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005));
        }
        assert!(used_by(u32::MAX).is_err());
    }
}
