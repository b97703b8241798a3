//! How far a long command is, how fast, and for how long still: in place on a terminal, else a line
//! now and then.

use std::io::IsTerminal as _;
use std::time::Duration;

use super::print;
use crate::time::Stopwatch;

/// How often it is told: on a terminal, and elsewhere.
const ON_TERMINAL: Duration = Duration::from_millis(200);
const ELSEWHERE: Duration = Duration::from_secs(10);

/// Characters of the bar.
const WIDTH: u64 = 24;

/// Measures and tells.
pub struct Meter {
    /// What there is to do, in bytes, when it is known.
    whole: Option<u64>,
    watch: Stopwatch,
    told: Duration,
    terminal: bool,
}

impl Meter {
    /// Begins to measure.
    pub fn new(whole: Option<u64>) -> Self {
        Meter {
            whole: whole.filter(|whole| *whole > 0),
            watch: Stopwatch::start(),
            told: Duration::ZERO,
            terminal: std::io::stderr().is_terminal(),
        }
    }

    /// Tells that so many bytes and lines are done, unless it told a moment ago.
    pub fn show(&mut self, bytes: u64, lines: u64) {
        let now = self.watch.elapsed();
        let pause = if self.terminal {
            ON_TERMINAL
        } else {
            ELSEWHERE
        };
        if now.saturating_sub(self.told) < pause {
            return;
        }
        self.told = now;
        if self.terminal {
            print::progress(&told(self.whole, bytes, lines, now, true));
        } else {
            print::aside(&told(self.whole, bytes, lines, now, false));
        }
    }

    /// Clears what stands on the terminal.
    pub fn end(&self) {
        print::progress("");
    }
}

fn told(whole: Option<u64>, bytes: u64, lines: u64, elapsed: Duration, bar: bool) -> String {
    let rate = |done: u64| done as f64 / elapsed.as_secs_f64().max(0.001);
    let text = format!(
        "{} settled, {:.0}/s",
        print::many(lines, "line"),
        rate(lines)
    );
    let Some(whole) = whole else {
        return text;
    };
    let done = bytes.min(whole);
    let left = (whole - done) as f64 / rate(done).max(1.0);
    let percent = done.saturating_mul(100) / whole;
    let text = format!("{percent} %, {text}, {} left", span(left));
    if !bar {
        return text;
    }
    let filled = done.saturating_mul(WIDTH) / whole;
    let bar: String = (0..WIDTH)
        .map(|at| if at < filled { '#' } else { '.' })
        .collect();
    format!("[{bar}] {text}")
}

/// Seconds as people read them.
fn span(seconds: f64) -> String {
    let seconds = seconds.ceil().min(359_999.0) as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_and_time_left_are_told() {
        let second = Duration::from_secs(1);
        assert_eq!(
            told(Some(400), 100, 30, second, false),
            "25 %, 30 lines settled, 30/s, 3 s left"
        );
        assert_eq!(
            told(Some(400), 100, 30, second, true),
            "[######..................] 25 %, 30 lines settled, 30/s, 3 s left"
        );
        assert_eq!(told(None, 100, 1, second * 2, true), "1 line settled, 0/s");
        // A file that grew while it was read.
        assert!(told(Some(1), 2, 2, second, false).starts_with("100 %"));
        assert_eq!(
            told(Some(9), 0, 0, Duration::ZERO, false),
            "0 %, 0 lines settled, 0/s, 9 s left"
        );
        assert_eq!(span(75.2), "1 min 16 s");
        assert_eq!(span(7260.0), "2 h 1 min");
    }
}
