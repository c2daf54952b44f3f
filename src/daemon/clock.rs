//! The one place where the shells read the time.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::units::{Span, Time};

/// Tells the time since the start: really, or virtually in a simulation.
pub trait Clock {
    /// Now.
    fn now(&self) -> Time;

    /// Lets this much time pass.
    fn sleep(&self, span: Span);

    /// What the wall clock shows, in seconds since 1970-01-01 00:00 UTC. Somebody may set it at any moment, to anything: it decides which
    /// window of a schedule is active, and whether a stop in good order was a moment ago, and nothing else.
    fn wall_s(&self) -> i64;

    /// The same in milliseconds, for logs.
    fn wall_ms(&self) -> i64 {
        self.wall_s().saturating_mul(1000)
    }
}

/// The monotonic clock of this machine, counted from the moment it was made.
#[derive(Clone, Copy, Debug)]
pub struct Monotonic {
    start: Instant,
}

impl Monotonic {
    /// Starts at zero.
    pub fn start() -> Monotonic {
        Monotonic { start: Instant::now() }
    }
}

impl Clock for Monotonic {
    fn now(&self) -> Time {
        Time::from_ms(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    fn sleep(&self, span: Span) {
        std::thread::sleep(span.to_duration());
    }

    fn wall_s(&self) -> i64 {
        self.wall_ms() / 1000
    }

    fn wall_ms(&self) -> i64 {
        // Before 1970 is as good as 1970: not set.
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
