//! Finds a meter that answers but no longer measures (`spec/control.md` 2.6, "frozen").
//!
//! Bit-identical registers are suspicious only when they should have changed: a battery moved and the change had time to arrive, or the
//! block holds voltages, which never rest for long. A calm night must not trip it, so a single unchanged value alone never does.

use super::history::{Series, ms};
use crate::units::{Span, Time};

/// A battery that moved by this much must show at the meter, W.
const MOVED_W: i64 = 200;
/// Fewer identical answers than this prove nothing.
const LEAST_ANSWERS: u32 = 4;

/// The same for a block with voltages, whose last digits never rest.
const LEAST_LIVELY_ANSWERS: u32 = 3;

/// Watches one block of the meter.
#[derive(Clone, PartialEq, Debug)]
pub struct Frozen {
    print: Option<u64>,
    since: Time,
    answers: u32,
    /// Power of every battery when this print was first seen, W.
    start_w: Vec<Option<i64>>,
    netted: bool,
}

/// What an answer is worth.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// It differs from the one before.
    New,
    /// The same bits again: alive, but nothing new.
    Repeated,
    /// The same bits since then, although they should have changed.
    Frozen {
        /// When the bits were first seen.
        since: Time,
    },
}

impl Frozen {
    /// For a site of `batteries`. `netted`: the block holds only the sum of all phases.
    pub fn new(batteries: usize, netted: bool) -> Frozen {
        Frozen { print: None, since: Time::ZERO, answers: 0, start_w: vec![None; batteries], netted }
    }

    /// Judges the answer with digest `print`. `lively_for`: how long the block may stay the same where it holds voltages.
    /// `settle`: how long a battery's movement may take to show.
    pub fn judge<'a>(
        &mut self,
        print: u64,
        taken: Time,
        lively_for: Option<Span>,
        settle: Span,
        polled: impl Iterator<Item = &'a Series>,
    ) -> Freshness {
        if self.print != Some(print) {
            self.print = Some(print);
            self.since = taken;
            self.answers = 1;
            for (start, series) in self.start_w.iter_mut().zip(polled) {
                *start = series.newest().map(|p| p.1);
            }
            return Freshness::New;
        }
        self.answers = self.answers.saturating_add(1);
        let unchanged = taken.since(self.since);
        let stale_voltages = self.answers >= LEAST_LIVELY_ANSWERS && lively_for.is_some_and(|limit| unchanged >= limit);
        let missed_movement = self.answers >= LEAST_ANSWERS && unchanged > settle && self.moved(ms(taken.before(settle)), polled);
        if stale_voltages || missed_movement { Freshness::Frozen { since: self.since } } else { Freshness::Repeated }
    }

    fn moved<'a>(&self, at_ms: i64, polled: impl Iterator<Item = &'a Series>) -> bool {
        let mut sum = 0;
        let mut most = 0;
        for (start, series) in self.start_w.iter().zip(polled) {
            if let (Some(start), Some(then)) = (start, series.at(at_ms)) {
                sum += then - start;
                most = most.max((then - start).abs());
            }
        }
        if self.netted { sum.abs() >= MOVED_W } else { most >= MOVED_W }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(seconds: u64) -> Time {
        Time::from_ms(seconds * 1000)
    }

    fn judge(f: &mut Frozen, print: u64, at: u64, series: &Series, lively: bool) -> Freshness {
        f.judge(print, s(at), lively.then_some(Span::from_s(58)), Span::from_s(8), std::iter::once(series))
    }

    #[test]
    fn a_calm_night_is_not_frozen() {
        let (mut f, mut battery) = (Frozen::new(1, true), Series::default());
        for t in 1..3600 {
            battery.push(s(t), 300 + (t as i64 % 7));
            assert_ne!(judge(&mut f, 42, t, &battery, false), Freshness::Frozen { since: s(1) });
        }
    }

    #[test]
    fn a_battery_that_moved_unseen_is_a_frozen_meter() {
        let (mut f, mut battery) = (Frozen::new(1, false), Series::default());
        let mut found = None;
        for t in 1..60 {
            battery.push(s(t), if t < 10 { 0 } else { 250 });
            if let Freshness::Frozen { since } = judge(&mut f, 42, t, &battery, false) {
                found = found.or(Some((t, since)));
            }
        }
        assert_eq!(found, Some((18, s(1))));
    }

    #[test]
    fn voltages_that_rest_for_too_long_are_frozen() {
        let (mut f, battery) = (Frozen::new(1, false), Series::default());
        let verdicts: Vec<_> = (0..60).map(|t| judge(&mut f, 7, t, &battery, true)).collect();
        assert_eq!(verdicts[57], Freshness::Repeated);
        assert_eq!(verdicts[58], Freshness::Frozen { since: s(0) });
        assert_eq!(judge(&mut f, 8, 61, &battery, true), Freshness::New);
    }
}
