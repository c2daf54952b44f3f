//! Phases that were not measured, but are shares of a measured total, or on which batteries work that divide their power as they like:
//! what is exact is the sum, so the sum is estimated.
//!
//! A battery on one phase shows on the shares of all three, and a share that is off shows as load that is not there; one estimate for the
//! sum, with the hull of all batteries, knows neither. How it divides into phases only decides who does the work and what the fuse
//! of a phase is taken to carry. Never judges a single phase.

use super::Core;
use crate::control::estimate::{Circumstances, PhaseEstimate};
use crate::control::input::PhaseSample;
use crate::control::math::clamp;
use crate::control::site::{Connection, Window};

/// Shares waver by this with every sample, W: within it the division into phases is kept.
const WAVER_W: i64 = 200;

impl Core {
    /// What the phases show says nothing about what the batteries do there: they were not measured, or a battery divides its power over them
    /// as it likes.
    pub(super) fn only_sum_is_known(&self) -> bool {
        self.apportioned || self.site.batteries.iter().any(|b| b.phases_vary && b.connection == Connection::AllPhases)
    }

    /// Takes the total of these shares into the estimate of the sum, and divides that. The sample is as old as `window` says at `now_ms`.
    pub(super) fn estimate_sum(&mut self, phases: &[PhaseSample; 3], window: Window, now_ms: i64) {
        let (from, to) = (now_ms - window.hi.signed_ms(), now_ms - window.lo.signed_ms());
        let thens: [_; 3] = std::array::from_fn(|f| self.batteries_then(f, from, to));
        let mut all = thens[0];
        for then in &thens[1..] {
            all.hull.lo += then.hull.lo;
            all.hull.hi += then.hull.hi;
            all.middle_w += then.middle_w;
            all.absolute_w += then.absolute_w;
        }
        let total_w = phases.iter().map(|p| p.power_w).sum();
        let saturated = (0..3).all(|f| self.trim_towards(f, phases).1);
        let confirm = (0..3).any(|f| self.must_confirm(f, &phases[f]));
        let around = Circumstances { target_w: self.targets_w.iter().sum(), saturated, window, confirm };
        self.sum.take(total_w, &all, &around, &self.site.tuning);
        self.divide(std::array::from_fn(|f| {
            let (share_w, hull) = (phases[f].power_w, thens[f].hull);
            (share_w + hull.lo - WAVER_W, share_w + hull.hi + WAVER_W)
        }));
    }

    /// The estimates of the phases make the sum. `says_w` is what their shares say, from and to: while a battery moves, not much.
    fn divide(&mut self, says_w: [(i64, i64); 3]) {
        let sum = self.sum;
        let seeded = self.estimates[0].seeded;
        let loads_w: [i64; 3] = std::array::from_fn(|f| {
            let (lo, hi) = says_w[f];
            if seeded { clamp(self.estimates[f].load_w, lo, hi) } else { (lo + hi).div_euclid(2) }
        });
        let missing_w = sum.load_w - loads_w.iter().sum::<i64>();
        for (f, load_w) in loads_w.into_iter().enumerate() {
            let load_w = load_w + part(missing_w, f);
            self.estimates[f] = PhaseEstimate { load_w, trim_w: part(sum.trim_w, f), ..sum };
        }
    }
}

/// A third of `w`; the three of them make it exactly.
fn part(w: i64, f: usize) -> i64 {
    (w + 2 - f as i64).div_euclid(3)
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn three_parts_make_the_whole() {
        for w in -100..100 {
            let parts: [i64; 3] = std::array::from_fn(|f| part(w, f));
            assert_eq!(parts.iter().sum::<i64>(), w);
            assert!(parts.iter().all(|p| (3 * p - w).abs() < 3), "{w}: {parts:?}");
        }
    }
}
