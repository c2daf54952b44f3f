//! The net load of a phase, estimated by interval projection (`spec/control.md` 2.2).
//!
//! A meter value is old by an unknown latency. For every latency that is still possible the battery may have had another power, so a
//! sample says only that the net load lies in an interval; the old estimate is projected onto it. Samples taken while the battery moves
//! move nothing; the first sample after a load step is exact. Never integrates the grid power, so it cannot oscillate.

use super::history::Hull;
use super::math::{clamp, per_mille};
use super::site::{Tuning, Window};

/// A window this narrow counts as learned, ms.
const LEARNED_WINDOW_MS: u64 = 1600;

/// On a meter that averages, a clean change by more than this may be a part of a step, W (`spec/control.md` 2.2, confirm rule, has 250 W; the
/// last tenth of a step that came in two parts would then be taken for a step of its own, and leave a residual).
const PARTIAL_W: i64 = 100;

/// After one that was held, a hull that is so many times wider than an exact one will do.
const HELD_NARROW: i64 = 3;

/// What is believed about one phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PhaseEstimate {
    /// Net load: grid + battery, W.
    pub load_w: i64,
    /// Small correction for what the battery delivers beside its command, W.
    pub trim_w: i64,
    /// `load_w` comes from a sample.
    pub seeded: bool,
    /// How far apart the possible battery powers were at the newest sample, W.
    pub width_w: i64,
    /// A clean change was seen that may be a part of a step: the next clean sample decides.
    pub held: bool,
}

/// What else decides about a sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Circumstances {
    /// Aim at the phase, W.
    pub target_w: i64,
    /// The batteries could not do what was wanted, so the trim rests.
    pub saturated: bool,
    /// How old the sample may be.
    pub window: Window,
    /// The first sample of a step may show a part of it, and there is time to wait for the next one.
    pub confirm: bool,
}

/// What the batteries of a phase may have done when the sample was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatteriesThen {
    /// Sum of the hulls over the window.
    pub hull: Hull,
    /// Power in the middle of the window, W.
    pub middle_w: i64,
    /// Sum of the newest absolute powers, W.
    pub absolute_w: i64,
}

impl PhaseEstimate {
    /// Takes a new sample `grid_w` of the phase into account.
    pub fn take(&mut self, grid_w: i64, then: &BatteriesThen, around: &Circumstances, tuning: &Tuning) {
        let hull = then.hull;
        let noise = tuning.noise_w + per_mille(then.absolute_w, tuning.noise_pm);
        let (lo, hi) = (grid_w + hull.lo - noise, grid_w + hull.hi + noise);
        let middle = (lo + hi).div_euclid(2);
        let width = hull.hi - hull.lo;
        let exact = width <= tuning.narrow_w;
        self.width_w = width;
        if !self.seeded {
            self.load_w = middle;
            self.seeded = true;
        } else if (lo..=hi).contains(&self.load_w) {
            self.held = false;
            if exact {
                self.load_w += per_mille(middle - self.load_w, tuning.alpha_pm);
                self.trim(grid_w - around.target_w, around.saturated, tuning);
            }
        } else if exact {
            self.held = around.confirm && !self.held && (middle - self.load_w).abs() > PARTIAL_W.max(tuning.narrow_w);
            if !self.held {
                self.load_w = middle;
            }
        } else if self.held && width <= HELD_NARROW * tuning.narrow_w {
            // It has waited for this one, which is nearly exact.
            (self.load_w, self.held) = (middle, false);
        } else {
            self.load_w = contaminated(self.load_w, (lo, hi), noise, grid_w + then.middle_w, width, around.window);
        }
    }

    fn trim(&mut self, error_w: i64, saturated: bool, tuning: &Tuning) {
        if error_w.abs() < tuning.trim_reach_w && !saturated {
            let trim = self.trim_w + per_mille(error_w, tuning.trim_gain_pm);
            self.trim_w = clamp(trim, -tuning.trim_max_w, tuning.trim_max_w);
        }
    }

    /// Forgets the load, so that the next sample seeds it anew.
    pub fn reset(&mut self) {
        *self = PhaseEstimate::default();
    }
}

/// The load has certainly changed, but the batteries moved while the sample was taken: go to the nearest edge of the interval, or, with a
/// learned window and a clear change, to what the middle of the window says.
fn contaminated(load: i64, (lo, hi): (i64, i64), noise: i64, middle_says: i64, width: i64, window: Window) -> i64 {
    let edge = if load < lo { lo + noise } else { hi - noise };
    let learned = window.hi.less(window.lo).as_ms() <= LEARNED_WINDOW_MS;
    if learned && (edge - load).abs() >= 100.max(width.div_euclid(4)) { clamp(middle_says, lo, hi) } else { edge }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn still(at_w: i64) -> BatteriesThen {
        BatteriesThen { hull: Hull { lo: at_w, hi: at_w }, middle_w: at_w, absolute_w: at_w.abs() }
    }

    fn take(e: &mut PhaseEstimate, grid_w: i64, then: &BatteriesThen) {
        e.take(grid_w, then, &AROUND, &Tuning::default());
    }

    const AROUND: Circumstances = Circumstances { target_w: 0, saturated: false, window: Window::PRIOR, confirm: false };

    #[test]
    fn a_step_with_a_resting_battery_is_exact_at_once() {
        let mut e = PhaseEstimate::default();
        take(&mut e, 460, &still(0));
        assert_eq!(e.load_w, 460);
        take(&mut e, 3680, &still(460));
        assert_eq!(e.load_w, 4140);
    }

    #[test]
    fn samples_taken_while_the_battery_travels_move_nothing() {
        let mut e = PhaseEstimate { load_w: 4140, seeded: true, ..Default::default() };
        let travelling = BatteriesThen { hull: Hull { lo: 460, hi: 4140 }, middle_w: 2000, absolute_w: 2000 };
        for grid in [3680, 3000, 1200, 0] {
            take(&mut e, grid, &travelling);
            assert_eq!(e.load_w, 4140, "at grid {grid}");
        }
    }

    #[test]
    fn the_trim_is_bounded_and_rests_when_saturated() {
        let mut e = PhaseEstimate { load_w: 0, seeded: true, ..Default::default() };
        let rest = BatteriesThen { hull: Hull { lo: -150, hi: -150 }, middle_w: -150, absolute_w: 150 };
        for _ in 0..1000 {
            take(&mut e, 150, &rest);
        }
        assert!(e.trim_w > 100 && e.trim_w <= 150, "trim {}", e.trim_w);
        let before = e.trim_w;
        e.take(-150, &still(150), &Circumstances { saturated: true, ..AROUND }, &Tuning::default());
        assert_eq!(e.trim_w, before);
    }

    #[test]
    fn a_part_of_a_step_is_held_for_one_sample() {
        let confirm = Circumstances { confirm: true, ..AROUND };
        let mut e = PhaseEstimate { load_w: 400, seeded: true, ..Default::default() };
        e.take(1300, &still(400), &confirm, &Tuning::default());
        assert_eq!((e.load_w, e.held), (400, true));
        e.take(3000, &still(400), &confirm, &Tuning::default());
        assert_eq!((e.load_w, e.held), (3400, false));
        e.take(490, &still(3000), &confirm, &Tuning::default());
        assert_eq!(e.load_w, 3490, "a small change is taken at once");
    }
}
