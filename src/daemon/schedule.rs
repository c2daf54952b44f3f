//! When to poll next: a fixed grid without drift; polls that were missed are skipped, not made up for.

use crate::units::{Span, Time};

/// A poll schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Schedule {
    period: Span,
    regular: Time,
    retry: Option<Time>,
    failures: u32,
    retries: u32,
}

impl Schedule {
    /// Every `period`, first at `first`; after a failure up to `retries` more tries, where they fit in before the next regular poll.
    pub fn new(period: Span, first: Time, retries: u32) -> Schedule {
        Schedule { period, regular: first, retry: None, failures: 0, retries }
    }

    /// When the next poll is due.
    pub fn due(&self) -> Time {
        self.retry.map_or(self.regular, |r| r.min(self.regular))
    }

    /// How often it is polled.
    pub fn period(&self) -> Span {
        self.period
    }

    /// A poll starts now.
    pub fn started(&mut self, now: Time) {
        self.retry = None;
        if now >= self.regular {
            let missed = now.since(self.regular).as_ms() / self.period.as_ms().max(1);
            self.regular += self.period.times(missed + 1);
            self.failures = 0;
        }
    }

    /// The poll has failed: try again after 1 s, 2 s, … (reference 3), never beyond the next regular poll.
    pub fn failed(&mut self, now: Time) {
        self.failures += 1;
        let next = now + Span::from_s(u64::from(self.failures));
        if self.failures <= self.retries && next < self.regular {
            self.retry = Some(next);
        }
    }

    /// One more poll at `at`, unless a regular one comes before.
    pub fn also(&mut self, at: Time) {
        self.retry = Some(at);
    }

    /// The next regular poll is moved to `at`, the grid with it.
    pub fn restart(&mut self, at: Time) {
        self.regular = at;
        self.retry = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_does_not_drift_and_skips_what_was_missed() {
        let mut s = Schedule::new(Span::from_s(1), Time::from_ms(100), 0);
        s.started(Time::from_ms(107));
        assert_eq!(s.due(), Time::from_ms(1100));
        s.started(Time::from_ms(5350));
        assert_eq!(s.due(), Time::from_ms(6100));
    }

    #[test]
    fn a_poll_in_between_leaves_the_grid_alone() {
        let mut s = Schedule::new(Span::from_s(5), Time::ZERO, 0);
        s.started(Time::ZERO);
        s.also(Time::from_ms(1000));
        assert_eq!(s.due(), Time::from_ms(1000));
        s.started(Time::from_ms(1003));
        assert_eq!(s.due(), Time::from_ms(5000));
        s.also(Time::from_ms(6000));
        assert_eq!(s.due(), Time::from_ms(5000));
    }

    #[test]
    fn retries_stay_inside_the_period() {
        let mut s = Schedule::new(Span::from_s(5), Time::ZERO, 3);
        s.started(Time::ZERO);
        s.failed(Time::from_ms(500));
        assert_eq!(s.due(), Time::from_ms(1500));
        s.started(Time::from_ms(1500));
        s.failed(Time::from_ms(2000));
        assert_eq!(s.due(), Time::from_ms(4000));
        s.started(Time::from_ms(4000));
        s.failed(Time::from_ms(4500));
        assert_eq!(s.due(), Time::from_ms(5000), "the third try would come too late");
    }
}
