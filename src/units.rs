//! Time as the core sees it, and the conversions between what outside says and our integers.
//!
//! Physical values are plain integers whose unit stands in the name (`power_w`, `current_ma`, `voltage_mv`, `soc_pm` in 0.1 %).
//! Powers: grid import is positive, battery discharge is positive. This module never reads a clock.

use std::fmt;
use std::ops::{Add, AddAssign};

/// A point on the monotonic clock of this process, in milliseconds since its start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Time(u64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span(u64);

impl Time {
    /// The start of the process.
    pub const ZERO: Time = Time(0);

    /// The point `ms` milliseconds after the start.
    pub const fn from_ms(ms: u64) -> Time {
        Time(ms)
    }

    /// Milliseconds since the start.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub const fn since(self, earlier: Time) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }

    /// The point `span` before this one, not before the start.
    pub const fn before(self, span: Span) -> Time {
        Time(self.0.saturating_sub(span.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Span {
        Span(ms)
    }

    /// `s` seconds.
    pub const fn from_s(s: u64) -> Span {
        Span(s.saturating_mul(1000))
    }

    /// The length in milliseconds.
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// Milliseconds as a signed number, for differences; so bounded that sums of a few do not overflow.
    pub fn signed_ms(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX).min(i64::MAX / 4)
    }

    /// The length in whole seconds, rounded down.
    pub const fn as_s(self) -> u64 {
        self.0 / 1000
    }

    /// `n` times as long.
    pub const fn times(self, n: u64) -> Span {
        Span(self.0.saturating_mul(n))
    }

    /// What is left after `other`; zero when nothing is.
    pub const fn less(self, other: Span) -> Span {
        Span(self.0.saturating_sub(other.0))
    }

    /// For the standard library's timeouts.
    pub const fn to_duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl Add<Span> for Time {
    type Output = Time;

    fn add(self, span: Span) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Span> for Time {
    fn add_assign(&mut self, span: Span) {
        *self = *self + span;
    }
}

impl Add for Span {
    type Output = Span;

    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            ms @ 0..=999 => write!(f, "{ms} ms"),
            ms if ms < 10_000 || (ms < 60_000 && ms % 1000 == 500) => write!(f, "{}.{} s", ms / 1000, ms % 1000 / 100),
            ms => write!(f, "{} s", ms / 1000),
        }
    }
}

/// One of the three phases of the grid connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Phase {
    /// The first phase.
    L1,
    /// The second phase.
    L2,
    /// The third phase.
    L3,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Phase; 3] = [Phase::L1, Phase::L2, Phase::L3];

    /// 0, 1 or 2.
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(["L1", "L2", "L3"][self.index()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_saturates_instead_of_wrapping() {
        assert_eq!(Time::from_ms(5).since(Time::from_ms(9)), Span::ZERO);
        assert_eq!(Time::from_ms(5).before(Span::from_ms(9)), Time::ZERO);
        assert_eq!(Time::from_ms(u64::MAX) + Span::from_ms(1), Time::from_ms(u64::MAX));
    }

    #[test]
    fn spans_read_like_a_person_would_say_them() {
        let said: Vec<_> = [80, 1500, 42_000].map(|ms| Span::from_ms(ms).to_string()).into();
        assert_eq!(said, ["80 ms", "1.5 s", "42 s"]);
    }
}
