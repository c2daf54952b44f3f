//! How often a device may be written: spacing, a burst, and a slow refill. (facts/sax.md 2: writing a SAX every second makes it stall
//! after two to three minutes.)

use super::profile::Budget;
use crate::units::{Span, Time};

/// The writes that are left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bucket {
    budget: Budget,
    /// Time that is saved up: one refill per write, at most burst + 1.
    saved: Span,
    counted: Time,
    last: Option<Time>,
}

impl Bucket {
    /// A full bucket.
    pub fn new(budget: Budget) -> Bucket {
        Bucket { budget, saved: most(&budget), counted: Time::ZERO, last: None }
    }

    /// When the next write may go out. A fuse alarm may use the last one, and need not keep the spacing.
    pub fn ready_at(&self, urgent: bool, now: Time) -> Time {
        let needed = if urgent { self.budget.refill } else { self.budget.refill.times(2) };
        let refilled = now + needed.less(self.saved_at(now));
        match self.last {
            Some(last) if !urgent => refilled.max(last + self.budget.spacing),
            _ => refilled,
        }
    }

    /// A write went out.
    pub fn spend(&mut self, now: Time) {
        self.saved = self.saved_at(now).less(self.budget.refill);
        self.counted = now;
        self.last = Some(now);
    }

    /// A write went out that need not keep the spacing to the next one: part of a sequence.
    pub fn spend_in_sequence(&mut self, now: Time) {
        let last = self.last;
        self.spend(now);
        self.last = last;
    }

    fn saved_at(&self, now: Time) -> Span {
        (self.saved + now.since(self.counted)).min(most(&self.budget))
    }
}

fn most(budget: &Budget) -> Span {
    budget.refill.times(u64::from(budget.burst) + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAX: Budget = Budget { spacing: Span::from_s(1), burst: 3, refill: Span::from_s(5) };

    #[test]
    fn three_writes_in_a_row_then_one_per_five_seconds() {
        let mut bucket = Bucket::new(SAX);
        let mut now = Time::from_ms(10_000);
        let mut at = Vec::new();
        for _ in 0..6 {
            now = bucket.ready_at(false, now).max(now);
            at.push(now.as_ms() - 10_000);
            bucket.spend(now);
        }
        assert_eq!(at, [0, 1000, 2000, 5000, 10_000, 15_000]);
    }

    #[test]
    fn a_fuse_alarm_always_finds_one() {
        let mut bucket = Bucket::new(SAX);
        let now = Time::from_ms(10_000);
        (0..3).for_each(|_| bucket.spend(now));
        assert!(bucket.ready_at(false, now) > now);
        assert_eq!(bucket.ready_at(true, now), now);
        bucket.spend(now);
        assert_eq!(bucket.ready_at(true, now), now + Span::from_s(5));
    }
}
