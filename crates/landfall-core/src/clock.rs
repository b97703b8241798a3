//! Points in time and the two things a pure crate must be handed: a clock and a source of chance.
//!
//! Nothing here reads the machine's clock. Callers pass a [`Timestamp`], or a port that gives one.

use std::time::Duration;

use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// A point in time, as whole microseconds since the Unix epoch, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest time that is ever written: 0001-01-01, what the hub API prints for "never".
    pub const NEVER: Timestamp = Timestamp(-62_135_596_800_000_000);

    /// Gives the time `micros` microseconds after the Unix epoch.
    pub const fn from_unix_micros(micros: i64) -> Self {
        Timestamp(micros)
    }

    /// Gives the time `seconds` seconds after the Unix epoch.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Timestamp(seconds.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This time moved later by `by`.
    pub fn plus(self, by: Duration) -> Self {
        Timestamp(
            self.0
                .saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// This time moved earlier by `by`.
    pub fn minus(self, by: Duration) -> Self {
        Timestamp(
            self.0
                .saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// How long `earlier` lies before this time; zero when it does not.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The wire form of the provisioning service: `2022-07-05T21:27:16.8123230Z`.
    ///
    /// Shape: always seven fractional digits and `Z`.
    /// Source: docs/protocol/device-api.md §1.5 [R].
    pub fn to_wire(self) -> String {
        let t = self.civil();
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}0Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second(),
            self.0.rem_euclid(1_000_000)
        )
    }

    /// The short form that hub documents use for whole seconds: `0001-01-01T00:00:00Z`.
    pub fn to_wire_seconds(self) -> String {
        let t = self.civil();
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
            t.year(),
            u8::from(t.month()),
            t.day(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }

    /// The form of HTTP dates and of the control plane: `Fri, 06 May 2022 17:50:01 GMT`.
    ///
    /// Source: docs/protocol/control-plane.md §5 [R].
    pub fn to_rfc1123(self) -> String {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        const MONTHS: [&str; 12] = [
            "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
        ];
        let t = self.civil();
        format!(
            "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
            DAYS[usize::from(t.weekday().number_days_from_monday())],
            t.day(),
            MONTHS[usize::from(u8::from(t.month())) - 1],
            t.year(),
            t.hour(),
            t.minute(),
            t.second()
        )
    }

    /// Reads an RFC 3339 time; `None` when the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        let t = OffsetDateTime::parse(text, &Rfc3339)
            .ok()?
            .to_offset(UtcOffset::UTC);
        i64::try_from(t.unix_timestamp_nanos().div_euclid(1_000))
            .ok()
            .map(Timestamp)
    }

    fn civil(self) -> OffsetDateTime {
        // Outside years 1 to 9999 there is no wire form; the ends of that range stand in for it.
        let seconds = self.unix_seconds().clamp(-62_135_596_800, 253_402_300_799);
        OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// Says how long a span is, as people say it: `2 h 3 min`, `45 s`, `1 d 0 h`.
pub fn spoken(span: Duration) -> String {
    let s = span.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3_600 => format!("{} min {} s", s / 60, s % 60),
        3_600..86_400 => format!("{} h {} min", s / 3_600, s % 3_600 / 60),
        _ => format!("{} d {} h", s / 86_400, s % 86_400 / 3_600),
    }
}

/// Gives the time when asked. The composition root decides which clock that is.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// Fills buffers with unpredictable bytes. The composition root decides where they come from.
pub trait Entropy: Send + Sync {
    /// Overwrites all of `buffer`.
    fn fill(&self, buffer: &mut [u8]);
}

/// Draws a version 4 UUID from `entropy`, as 32 lower-case hex digits with hyphens.
pub fn uuid(entropy: &dyn Entropy) -> String {
    let mut b = [0_u8; 16];
    entropy.fill(&mut b);
    uuid_text(b, 0x40)
}

/// Draws a version 7 UUID, whose text begins with the milliseconds of `now`. Names that are drawn one
/// after the other stand side by side in an index: writing many of them touches few of its pages.
pub fn uuid_of_time(now: Timestamp, entropy: &dyn Entropy) -> String {
    let millis = u64::try_from(now.unix_micros() / 1000).unwrap_or_default();
    let mut b = [0_u8; 16];
    entropy.fill(&mut b);
    let [_, _, time @ ..] = millis.to_be_bytes();
    for (byte, of_time) in b.iter_mut().zip(time) {
        *byte = of_time;
    }
    uuid_text(b, 0x70)
}

fn uuid_text(mut b: [u8; 16], version: u8) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    b[6] = b[6] & 0x0f | version;
    b[8] = b[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (i, byte) in b.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(DIGITS[usize::from(byte >> 4)]);
        text.push(DIGITS[usize::from(byte & 0x0f)]);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fives;
    impl Entropy for Fives {
        fn fill(&self, buffer: &mut [u8]) {
            buffer.fill(0x55);
        }
    }

    #[test]
    fn uuids_have_their_form_and_those_of_time_its_order() {
        assert_eq!(uuid(&Fives), "55555555-5555-4555-9555-555555555555");
        let early = Timestamp::from_unix_micros(1_657_056_436_812_323);
        let late = early.plus(Duration::from_millis(1));
        // RFC 9562 §5.7: 48 bits of milliseconds, version, chance, variant, chance.
        assert_eq!(
            uuid_of_time(early, &Fives),
            format!(
                "{:08x}-{:04x}-7555-9555-555555555555",
                1_657_056_436_812_u64 >> 16,
                1_657_056_436_812_u64 & 0xffff
            )
        );
        assert!(uuid_of_time(early, &Fives) < uuid_of_time(late, &Fives));
    }

    #[test]
    fn wire_forms_are_the_recorded_ones() {
        let t = Timestamp::from_unix_micros(1_657_056_436_812_323);
        assert_eq!(t.to_wire(), "2022-07-05T21:27:16.8123230Z");
        assert_eq!(Timestamp::parse(&t.to_wire()), Some(t));
        assert_eq!(Timestamp::NEVER.to_wire_seconds(), "0001-01-01T00:00:00Z");
        assert_eq!(
            Timestamp::from_unix_seconds(1_651_859_401).to_rfc1123(),
            "Fri, 06 May 2022 17:50:01 GMT"
        );
    }

    #[test]
    fn spans_are_spoken_in_two_units() {
        assert_eq!(
            spoken(Duration::from_secs(2 * 3600 + 3 * 60 + 4)),
            "2 h 3 min"
        );
        assert_eq!(spoken(Duration::from_secs(59)), "59 s");
    }
}
