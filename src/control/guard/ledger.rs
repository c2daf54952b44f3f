//! Which wiring leaves the least movement of the house unexplained?
//!
//! For a wiring and an age of the meter's values, grid and batteries make the net load. A household's load steps now and then; under a
//! wrong wiring it also seems to step whenever a battery moves. So the ledger adds up, over the last minute, how much the net loads
//! moved: as configured, and with each battery elsewhere; for several ages, because the age is not known. Loads that pulse, and samples
//! that come while batteries move, cost every wiring the same. Only adds up; what follows from it is decided elsewhere.

use super::Placement;
use crate::control::site::{ALL_PHASES, SLOTS, Window};

/// Ages that are tried: every half second of the window of 6 s.
const AGES: usize = 13;
/// Places a battery can have: every slot, with each sign.
const PLACES: usize = 2 * SLOTS;
/// Movements of a net load that are noise, W per sample.
const NOISE_W: i64 = 30;
/// A battery that moved less between two samples did not move, W.
const STILL_W: i64 = 20;
/// After this long everything counts half, ms.
const HALF_MS: i64 = 30_000;
/// Samples further apart say nothing, ms.
const GAP_MS: i64 = 20_000;

/// One sample of the meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sample {
    /// When it arrived, ms.
    pub at_ms: i64,
    /// Power per phase, W, import positive.
    pub grid_w: [i64; 3],
}

/// What another place of a battery would explain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Claim {
    /// There it explains most.
    pub place: Placement,
    /// So much more than where it is believed to be, W; negative: less.
    pub gain_w: i64,
    /// So much more than at the next best place, W.
    pub lead_w: i64,
}

/// The sums.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Ledger {
    window: Window,
    before: Option<Sample>,
    halved_ms: i64,
    /// Per battery and age: power at the sample before, and the change since, W.
    power_w: Vec<[i64; AGES]>,
    change_w: Vec<[i64; AGES]>,
    /// Per age: movement of the net loads as believed, W.
    believed_w: [i64; AGES],
    /// Per battery, place and age: how much less it would be, W.
    gain_w: Vec<[[i64; AGES]; PLACES]>,
    /// Per battery: how much it moved, W.
    travel_w: Vec<i64>,
}

impl Ledger {
    /// For a site of `batteries`.
    pub fn new(batteries: usize) -> Ledger {
        Ledger {
            window: Window::PRIOR,
            before: None,
            halved_ms: 0,
            power_w: vec![[0; AGES]; batteries],
            change_w: vec![[0; AGES]; batteries],
            believed_w: [0; AGES],
            gain_w: vec![[[0; AGES]; PLACES]; batteries],
            travel_w: vec![0; batteries],
        }
    }

    /// Forgets all sums, not what batteries and grid did last.
    pub fn clear(&mut self) {
        self.believed_w = [0; AGES];
        self.gain_w.fill([[0; AGES]; PLACES]);
        self.travel_w.fill(0);
    }

    /// Forgets the sums of one battery.
    pub fn clear_battery(&mut self, k: usize) {
        self.gain_w[k] = [[0; AGES]; PLACES];
        self.travel_w[k] = 0;
    }

    /// How much battery `k` moved, W.
    pub fn travel_w(&self, k: usize) -> i64 {
        self.travel_w[k]
    }

    /// Takes a sample. `place`: where a battery is believed to be; `power`: what it did at a time, where that is known.
    pub fn take(&mut self, sample: Sample, window: Window, place: impl Fn(usize) -> Placement, power: impl Fn(usize, i64) -> Option<i64>) {
        if window != self.window {
            (self.window, self.before) = (window, None);
            self.clear();
        }
        let step_ms = (i64::try_from(window.hi.less(window.lo).as_ms()).unwrap_or(0) / (AGES as i64 - 1)).max(1);
        let newest_ms = sample.at_ms - i64::try_from(window.lo.as_ms()).unwrap_or(0);
        for k in 0..self.power_w.len() {
            for d in 0..AGES {
                let now_w = power(k, newest_ms - step_ms * d as i64).unwrap_or(0);
                self.change_w[k][d] = now_w - self.power_w[k][d];
                self.power_w[k][d] = now_w;
            }
        }
        let before = self.before.replace(sample);
        let Some(before) = before.filter(|b| sample.at_ms - b.at_ms <= GAP_MS) else { return };
        if sample.at_ms - self.halved_ms >= HALF_MS {
            self.halve(sample.at_ms);
        }
        let grid_w: [i64; 3] = std::array::from_fn(|f| sample.grid_w[f] - before.grid_w[f]);
        let mut slots_w = [[0; SLOTS]; AGES];
        for (k, change_w) in self.change_w.iter().enumerate() {
            let place = place(k);
            for d in 0..AGES {
                slots_w[d][place.slot] += place.shows(change_w[d]);
            }
        }
        let rest_w: [[i64; 3]; AGES] =
            std::array::from_fn(|d| std::array::from_fn(|f| grid_w[f] + slots_w[d][f] + slots_w[d][ALL_PHASES] / 3));
        for (sum, rest) in self.believed_w.iter_mut().zip(&rest_w) {
            *sum += rest.iter().map(|w| cost(*w)).sum::<i64>();
        }
        for k in 0..self.change_w.len() {
            self.compare_places(k, place(k), &rest_w);
        }
    }

    fn compare_places(&mut self, k: usize, here: Placement, rest_w: &[[i64; 3]; AGES]) {
        let change_w = self.change_w[k];
        let most_w = change_w.iter().map(|w| w.abs()).max().unwrap_or(0);
        if most_w < STILL_W {
            return;
        }
        self.travel_w[k] += change_w[0].abs();
        for (i, gains) in self.gain_w[k].iter_mut().enumerate() {
            let there = placement(i);
            if there == here || there.slot == ALL_PHASES && here.slot != ALL_PHASES {
                continue;
            }
            for d in (0..AGES).filter(|&d| change_w[d].abs() >= STILL_W) {
                for (f, &rest) in rest_w[d].iter().enumerate() {
                    let (from, to) = (here.on_phase(f, change_w[d]), there.on_phase(f, change_w[d]));
                    if from != to {
                        gains[d] += cost(rest) - cost(rest - from + to);
                    }
                }
            }
        }
    }

    fn halve(&mut self, now_ms: i64) {
        self.halved_ms = now_ms;
        self.believed_w.iter_mut().for_each(|w| *w /= 2);
        self.gain_w.iter_mut().flatten().flatten().for_each(|w| *w /= 2);
        self.travel_w.iter_mut().for_each(|w| *w /= 2);
    }

    /// The place that would explain most for battery `k`, which is believed to be `here`.
    pub fn claim(&self, k: usize, here: Placement) -> Claim {
        let believed_w = self.believed_w.iter().copied().min().unwrap_or(0);
        let (mut best, mut next) = ((i64::MIN, here), i64::MIN);
        for (i, gains) in self.gain_w[k].iter().enumerate() {
            let there = placement(i);
            if there == here || there.slot == ALL_PHASES && here.slot != ALL_PHASES {
                continue;
            }
            let least_w = (0..AGES).map(|d| self.believed_w[d] - gains[d]).min().unwrap_or(0);
            let gain_w = believed_w - least_w;
            if gain_w > best.0 {
                next = best.0;
                best = (gain_w, there);
            } else {
                next = next.max(gain_w);
            }
        }
        Claim { place: best.1, gain_w: best.0, lead_w: best.0.saturating_sub(next) }
    }
}

fn placement(i: usize) -> Placement {
    Placement { slot: i / 2, reversed: i % 2 == 1 }
}

fn cost(w: i64) -> i64 {
    (w.abs() - NOISE_W).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Placement = Placement { slot: 0, reversed: false };

    /// A load on L1 that steps every 20 s, and a battery that follows it 2 s later; the meter is `late_s` old and sees what `wired` says.
    fn life(wired: Placement, late_s: i64) -> Claim {
        let load = |t: i64| if t.max(0) / 20 % 2 == 1 { 1500 } else { 300 };
        let battery = |t: i64| load(t - 2 - late_s);
        let mut ledger = Ledger::new(1);
        for t in 10..60 {
            let then = t - late_s;
            let grid_w = std::array::from_fn(|f| if f == 0 { load(then) } else { 100 } - wired.on_phase(f, battery(then)));
            let power = |_, at_ms: i64| Some(battery(at_ms.div_euclid(1000)));
            ledger.take(Sample { at_ms: t * 1000, grid_w }, Window::PRIOR, |_| HERE, power);
        }
        ledger.claim(0, HERE)
    }

    #[test]
    fn right_wiring_explains_best_at_any_age() {
        for late_s in 0..6 {
            let claim = life(HERE, late_s);
            assert!(claim.gain_w < -500, "{late_s} s: {claim:?}");
        }
    }

    #[test]
    fn wrong_wiring_is_named_at_any_age() {
        for late_s in 0..6 {
            for slot in 0..3 {
                for reversed in [false, true] {
                    let wired = Placement { slot, reversed };
                    if wired != HERE {
                        let claim = life(wired, late_s);
                        assert!(claim.place == wired && claim.gain_w > 1200 && claim.lead_w > 600, "{wired:?} {late_s} s: {claim:?}");
                    }
                }
            }
        }
    }
}
