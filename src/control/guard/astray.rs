//! For how long does each phase, and their sum, not come to its target? Only counts time; what is strange about it is decided elsewhere.

use crate::control::site::SLOTS;

/// A phase that is further off its target has not come to rest, W.
const ASTRAY_W: i64 = 100;

/// The counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Astray {
    /// For how long each slot was off its target, less the time in which it was not, ms; and from when on that is strange.
    ms: [i64; SLOTS],
    least_ms: i64,
    /// Each of them was off its target at the newest sample.
    is_off: [bool; SLOTS],
}

impl Astray {
    /// Each slot is `error_w` off its target, since the sample `passed_ms` ago. `usual_ms`: what a step takes until it has settled.
    pub fn note(&mut self, error_w: [i64; SLOTS], passed_ms: i64, usual_ms: i64) {
        self.least_ms = usual_ms;
        // What the sample before said held until now: phases that are asked for because the total has moved end a calm time, of any length.
        for ((ms, is_off), error_w) in self.ms.iter_mut().zip(&mut self.is_off).zip(error_w) {
            let was_off = std::mem::replace(is_off, error_w.abs() > ASTRAY_W);
            *ms = (*ms + if was_off { passed_ms } else { -passed_ms }).clamp(0, 2 * usual_ms);
        }
    }

    /// It does not come to its target: a battery in its place brings it there, whatever the house does meanwhile.
    pub fn is_strange(&self, slot: usize) -> bool {
        self.ms[slot] >= self.least_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL_MS: i64 = 16_000;
    const OFF: [i64; SLOTS] = [2000, 0, 0, 2000];

    /// Phases that are read every 30 s while nothing happens, and at once when a load steps.
    #[test]
    fn a_step_after_a_long_calm_is_not_strange_at_once() {
        let mut astray = Astray::default();
        (0..10).for_each(|_| astray.note([0; SLOTS], 30_000, USUAL_MS));
        for _ in 0..16 {
            assert!(!astray.is_strange(0) && !astray.is_strange(3));
            astray.note(OFF, if astray.is_off[0] { 1000 } else { 30_000 }, USUAL_MS);
        }
        astray.note(OFF, 1000, USUAL_MS);
        assert!(astray.is_strange(0) && astray.is_strange(3) && !astray.is_strange(1), "what lasts is");
    }

    /// One phase stays off its target however the polls come.
    #[test]
    fn what_lasts_is_strange_after_its_time_at_any_pace() {
        for paces in [[1000, 1000], [5000, 1000], [200, 7000]] {
            let (mut astray, mut passed_ms) = (Astray::default(), 0);
            astray.note(OFF, 30_000, USUAL_MS);
            for pace_ms in paces.into_iter().cycle().take(40) {
                assert_eq!(astray.is_strange(0), passed_ms >= USUAL_MS, "{paces:?} after {passed_ms} ms");
                astray.note(OFF, pace_ms, USUAL_MS);
                passed_ms += pace_ms;
            }
        }
    }
}
