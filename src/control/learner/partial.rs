//! Does the meter average? A step of the load then often shows in two samples: first a part of it, then the whole.
//!
//! A sample of an average over `w` shows a part of a step that lies within `w` before it, so of all steps the share `w / T_m` shows in two
//! samples. (`spec/control.md` 2.2 fits the battery's own movement instead; polled once a second that cannot tell a mean from a lag.)

use crate::units::Span;

/// A first sample with a share of the step in this range shows a part of it, per mille.
const PART_PM: std::ops::RangeInclusive<i64> = 60..=880;
/// … and in this one the whole.
const WHOLE_PM: std::ops::RangeInclusive<i64> = 881..=1200;
/// Steps before anything is decided.
const LEAST: u32 = 5;
/// Weight of what was seen before, per mille.
const KEPT_PM: i64 = 930;
/// Share of steps that show in two samples, per mille: from these on the average is over half a period, or a whole one.
const HALF_PM: i64 = 330;
const WHOLE_PERIOD_PM: i64 = 620;
/// What was decided stands until the share is this much less.
const HYSTERESIS_PM: i64 = 120;

/// Weighs the steps seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Partial {
    parts: i64,
    all: i64,
    seen: u32,
}

impl Partial {
    /// The first sample of a step showed `share_pm` of it.
    pub fn note(&mut self, share_pm: i64) {
        let part = PART_PM.contains(&share_pm);
        if !part && !WHOLE_PM.contains(&share_pm) {
            return;
        }
        self.parts = self.parts * KEPT_PM / 1000 + if part { 1000 } else { 0 };
        self.all = self.all * KEPT_PM / 1000 + 1000;
        self.seen = self.seen.saturating_add(1);
    }

    /// Over how long the meter averages, given what was believed until now.
    pub fn averaging(&self, before: Span, meter_period: Span) -> Span {
        if self.seen < LEAST {
            return before;
        }
        let share = self.parts * 1000 / self.all.max(1);
        let half = Span::from_ms(meter_period.as_ms() / 2);
        let kept = |at: Span| if before >= at { HYSTERESIS_PM } else { 0 };
        match () {
            () if share >= WHOLE_PERIOD_PM - kept(meter_period) => meter_period,
            () if share >= HALF_PM - kept(half) => half,
            () => Span::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_parts_tells_the_length() {
        let learn = |shares: &[i64]| {
            let mut p = Partial::default();
            shares.iter().for_each(|s| p.note(*s));
            p.averaging(Span::ZERO, Span::from_s(1))
        };
        assert_eq!(learn(&[500; 4]), Span::ZERO);
        assert_eq!(learn(&[1000, 990, 1010, 300, 1000, 1000]), Span::ZERO);
        assert_eq!(learn(&[1000, 400, 1000, 300, 1000, 700]), Span::from_ms(500));
        assert_eq!(learn(&[100, 400, 800, 300, 950, 700]), Span::from_s(1));
    }
}
