//! The one place where the shells read the time.

use std::time::Instant;

use crate::units::{Span, Time};

/// Tells the time since the start: really, or virtually in a simulation.
pub trait Clock {
    /// Now.
    fn now(&self) -> Time;

    /// Lets this much time pass.
    fn sleep(&self, span: Span);
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
}
