//! The highest current of the house alone in the last minutes. Hobs and ovens pulse: what is free between two pulses is not free, and a
//! charger that is raised into it is thrown out by the next one.
//!
//! An estimate: what the chargers were told is taken for what they draw. Pure.

use crate::units::{Span, Time};

/// A half of the memory: what was seen is forgotten after one to two of these. The longest pulse of `spec/control.md` 5.1, an oven's, comes
/// back within 82 s.
const HALF: Span = Span::from_s(90);
/// A car follows a lower limit within this time (IEC 61851-1: 5 s; the charger itself takes about 2 s, facts/p1-load-balancer.md 2.3).
const FOLLOWS_WITHIN: Span = Span::from_s(10);

/// See the head of this file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Recent {
    /// Highest current of this half and of the one before, mA.
    most_ma: [u32; 2],
    /// When this half began.
    since: Time,
    drawn_ma: u32,
    /// When what the chargers may draw was lowered last.
    lowered: Option<Time>,
}

impl Recent {
    /// At `now` this current flows, mA, of which the chargers may draw up to `drawn_ma`. While they may still draw more than that, nothing
    /// can be said about the house.
    pub fn note(&mut self, largest_ma: u32, drawn_ma: u32, now: Time) {
        if drawn_ma < self.drawn_ma {
            self.lowered = Some(now);
        }
        self.drawn_ma = drawn_ma;
        match now.since(self.since) {
            age if age >= HALF.times(2) => (self.most_ma, self.since) = ([0, 0], now),
            age if age >= HALF => (self.most_ma, self.since) = ([0, self.most_ma[0]], now),
            _ => {}
        }
        if self.lowered.is_none_or(|at| now.since(at) >= FOLLOWS_WITHIN) {
            self.most_ma[0] = self.most_ma[0].max(largest_ma.saturating_sub(drawn_ma));
        }
    }

    /// The highest current of the house, mA.
    pub fn most_ma(&self) -> u32 {
        self.most_ma[0].max(self.most_ma[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(s: u64) -> Time {
        Time::from_ms(s * 1000)
    }

    #[test]
    fn a_pulse_is_remembered_until_the_next_one_could_have_come() {
        let mut recent = Recent::default();
        recent.note(14_000, 0, at(0));
        for s in 1..180 {
            recent.note(3_000, 0, at(s));
            assert_eq!(recent.most_ma(), 14_000, "after {s} s");
        }
        recent.note(3_000, 0, at(180));
        assert_eq!(recent.most_ma(), 3_000);
    }

    #[test]
    fn what_a_charger_draws_is_not_the_house() {
        let mut recent = Recent::default();
        recent.note(19_000, 16_000, at(0));
        // Cut, and the car still draws what it drew.
        recent.note(19_000, 3_500, at(1));
        recent.note(19_000, 0, at(9));
        assert_eq!(recent.most_ma(), 3_000);
        recent.note(4_000, 0, at(19));
        assert_eq!(recent.most_ma(), 4_000);
    }

    #[test]
    fn after_a_long_silence_nothing_is_remembered() {
        let mut recent = Recent::default();
        recent.note(14_000, 0, at(0));
        recent.note(2_000, 0, at(500));
        assert_eq!(recent.most_ma(), 2_000);
    }
}
