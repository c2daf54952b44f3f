//! Which wiring leaves the least movement of the house unexplained?
//!
//! For a wiring and an age of the meter's values, grid and batteries make the net load. A household's load steps now and then; under a
//! wrong wiring it also seems to step whenever a battery moves. So the ledger adds up, over the last minute, how much the net loads
//! moved: as configured, and with each battery elsewhere; for several ages, because the age is not known. Loads that pulse, and samples
//! that come while batteries move, cost every wiring the same. Only adds up; what follows from it is decided elsewhere.

use super::Placement;
use crate::control::history::Series;
use crate::control::site::{ALL_PHASES, SLOTS, Window};

/// Ages that are tried: every half second.
const AGES: usize = 33;
/// While no latency was learned the meter may also be older than the window, ms; then nothing can be proven, but nobody is suspected.
const OLDEST_MS: i64 = 16_000;
/// Places a battery can have: every slot, with each sign.
pub(super) const PLACES: usize = 2 * SLOTS;
/// Movements of a net load that are noise, W per sample.
const NOISE_W: i64 = 30;
/// A battery that moved less between two samples did not move, W.
const STILL_W: i64 = 20;
/// A battery is at rest while its power differs by less than this, W, and by this part of it, per mille.
const REST_W: i64 = 60;
const REST_PM: i64 = 30;
/// So many batteries are looked at per sample: those that moved most.
const MOST: usize = 8;
/// After this long everything counts half, ms.
const HALF_MS: i64 = 30_000;
/// Samples further apart say nothing, ms.
const GAP_MS: i64 = 30_000;

/// One sample of the meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Sample {
    /// When it arrived, ms.
    pub at_ms: i64,
    /// Power per phase, W, import positive.
    pub grid_w: [i64; 3],
}

/// The sums.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Ledger {
    most_w: i64,
    window: Window,
    before: Option<Sample>,
    /// When the first sample came: before the batteries were heard for as long as the window, nothing is known.
    first_ms: Option<i64>,
    halved_ms: i64,
    /// So many of the ages lie in the window.
    relevant: usize,
    /// Per battery and age: power at the sample before, and the change since, W.
    power_w: Vec<[i64; AGES]>,
    heard: Vec<bool>,
    change_w: Vec<[i64; AGES]>,
    /// Per age: movement of the net loads as believed, W.
    believed_w: [i64; AGES],
    /// Per battery, place and age: how much less it would be, W.
    gain_w: Vec<[[i64; AGES]; PLACES]>,
    /// How much the batteries that moved most did so at the newest sample, W, and which they are.
    moved: Vec<(i64, usize)>,
    /// Per battery: how much it moved, W.
    travel_w: Vec<i64>,
    /// Per wiring that concerns all batteries, and age: movement of the net loads, W.
    joint_w: [[i64; AGES]; JOINTS],
}

/// A wiring in which every battery is wrong in the same way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Joint(usize);

/// The phases of a meter as they are, and the five ways to mix them up: phase `f` of the house shows as phase `MIXED[i][f]`.
const MIXED: [[usize; 3]; 6] = [[0, 1, 2], [1, 2, 0], [2, 0, 1], [1, 0, 2], [0, 2, 1], [2, 1, 0]];
/// Each of them with each sign, except for the one that is as it should be.
const JOINTS: usize = 2 * MIXED.len() - 1;

impl Joint {
    fn reversed(self) -> bool {
        self.0 % 2 == 0
    }

    fn mixed(self) -> [usize; 3] {
        MIXED[self.0.div_ceil(2)]
    }

    /// Where a battery is that is believed to be `here`.
    pub fn place(self, here: Placement) -> Placement {
        let slot = self.mixed().get(here.slot).copied().unwrap_or(here.slot);
        Placement { slot, reversed: here.reversed != self.reversed() }
    }
}

impl Ledger {
    /// For a site of `batteries`. Steps in which a phase or a battery moves by more than `most_w` are left out.
    pub fn new(batteries: usize, most_w: i64) -> Ledger {
        Ledger {
            most_w,
            window: Window::PRIOR,
            before: None,
            first_ms: None,
            halved_ms: 0,
            relevant: AGES,
            power_w: vec![[0; AGES]; batteries],
            heard: vec![false; batteries],
            change_w: vec![[0; AGES]; batteries],
            believed_w: [0; AGES],
            gain_w: vec![[[0; AGES]; PLACES]; batteries],
            moved: Vec::with_capacity(MOST),
            travel_w: vec![0; batteries],
            joint_w: [[0; AGES]; JOINTS],
        }
    }

    /// Forgets all sums, not what batteries and grid did last.
    pub fn clear(&mut self) {
        self.believed_w = [0; AGES];
        self.gain_w.fill([[0; AGES]; PLACES]);
        self.travel_w.fill(0);
        self.joint_w = [[0; AGES]; JOINTS];
    }

    /// How much battery `k` moved, W.
    pub fn travel_w(&self, k: usize) -> i64 {
        self.travel_w[k]
    }

    /// Starts anew, as if nothing had been seen yet.
    pub fn restart(&mut self) {
        if self.before.take().is_some() {
            self.clear();
        }
    }

    /// Whether battery `k` is heard.
    pub fn is_heard(&self, k: usize) -> bool {
        self.heard[k]
    }

    /// What battery `k` did last, W, discharge positive.
    pub fn newest_w(&self, k: usize) -> i64 {
        self.power_w[k][0]
    }

    /// Whether battery `k` did the same over the whole window.
    pub fn rests(&self, k: usize) -> bool {
        let (least, most) = self.power_w[k][..self.relevant].iter().fold((i64::MAX, i64::MIN), |(lo, hi), w| (lo.min(*w), hi.max(*w)));
        most - least <= REST_W + most.abs().max(least.abs()) * REST_PM / 1000
    }

    /// Takes a sample. `place`: where a battery is believed to be; `polled`: what it said that it did.
    pub fn take<'a>(&mut self, sample: Sample, window: Window, place: impl Fn(usize) -> Placement, polled: impl Fn(usize) -> &'a Series) {
        if window != self.window {
            (self.window, self.before) = (window, None);
            self.clear();
        }
        self.take_batteries(sample.at_ms, polled);
        let before = self.before.replace(sample);
        let Some(before) = before else {
            self.first_ms = Some(sample.at_ms);
            return;
        };
        if sample.at_ms - before.at_ms > GAP_MS {
            return;
        }
        if self.first_ms.is_some_and(|t| sample.at_ms - t < window.hi.signed_ms()) {
            return;
        }
        if sample.at_ms - self.halved_ms >= HALF_MS {
            self.halve(sample.at_ms);
        }
        let grid_w: [i64; 3] = std::array::from_fn(|f| sample.grid_w[f] - before.grid_w[f]);
        if grid_w.iter().chain(self.change_w.iter().flatten()).any(|w| w.abs() > self.most_w) {
            return;
        }
        let mut phases_w = [[0; 3]; AGES];
        for (k, change_w) in self.change_w.iter().enumerate() {
            let place = place(k);
            for d in 0..AGES {
                (0..3).for_each(|f| phases_w[d][f] += place.on_phase(f, change_w[d]));
            }
        }
        let rest_w: [[i64; 3]; AGES] = std::array::from_fn(|d| std::array::from_fn(|f| grid_w[f] + phases_w[d][f]));
        for d in 0..AGES {
            self.believed_w[d] += rest_w[d].iter().map(|w| cost(*w)).sum::<i64>();
            for (i, sums) in self.joint_w.iter_mut().enumerate() {
                let (mixed, sign) = (Joint(i).mixed(), if Joint(i).reversed() { -1 } else { 1 });
                sums[d] += (0..3).map(|f| cost(grid_w[mixed[f]] + sign * phases_w[d][f])).sum::<i64>();
            }
        }
        for i in 0..self.moved.len() {
            let k = self.moved[i].1;
            self.compare_places(k, place(k), &rest_w);
        }
    }

    /// The batteries that moved most at the newest sample.
    pub fn moved(&self) -> impl Iterator<Item = usize> + '_ {
        self.moved.iter().map(|m| m.1)
    }

    /// Notes that battery `k` moved by `by_w`, where that is among the most.
    fn note_movement(&mut self, k: usize, by_w: i64) {
        if by_w < STILL_W {
            return;
        }
        if self.moved.len() < MOST {
            self.moved.push((by_w, k));
        } else if let Some(least) = self.moved.iter_mut().min_by_key(|m| m.0).filter(|m| m.0 < by_w) {
            *least = (by_w, k);
        }
    }

    /// Notes what the batteries did.
    fn take_batteries<'a>(&mut self, at_ms: i64, polled: impl Fn(usize) -> &'a Series) {
        let width_ms = self.window.hi.less(self.window.lo).signed_ms();
        let step_ms = (if self.window == Window::PRIOR { OLDEST_MS } else { width_ms } / (AGES as i64 - 1)).max(1);
        self.relevant = (usize::try_from(width_ms / step_ms).unwrap_or(AGES) + 1).min(AGES);
        let newest_ms = at_ms - self.window.lo.signed_ms();
        self.moved.clear();
        for k in 0..self.power_w.len() {
            let polled = polled(k);
            self.heard[k] = !polled.is_empty();
            // One that is not heard any more counts as resting where it was: part of the load.
            let mut now = self.power_w[k];
            at_ages(polled, newest_ms, step_ms, &mut now);
            self.change_w[k] = std::array::from_fn(|d| now[d] - self.power_w[k][d]);
            self.power_w[k] = now;
            let by_w = self.change_w[k].iter().map(|w| w.abs()).max().unwrap_or(0);
            self.note_movement(k, by_w);
        }
    }

    fn compare_places(&mut self, k: usize, here: Placement, rest_w: &[[i64; 3]; AGES]) {
        let change_w = self.change_w[k];
        self.travel_w[k] += change_w[self.relevant / 2].abs();
        for (i, gains) in self.gain_w[k].iter_mut().enumerate() {
            let there = placement(i);
            if !is_possible(there, here) {
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
        self.joint_w.iter_mut().flatten().for_each(|w| *w /= 2);
    }

    /// The wiring of all batteries that would explain most, and how much more than the believed one, W.
    pub fn joint(&self) -> (Joint, i64) {
        let gain = |i: usize| least(&self.believed_w) - least(&self.joint_w[i]);
        let best = (0..JOINTS).rev().max_by_key(|&i| gain(i)).unwrap_or(0);
        (Joint(best), gain(best))
    }

    /// How much the net loads moved as believed, W.
    pub fn unexplained_w(&self) -> i64 {
        least(&self.believed_w)
    }

    /// How much more the best other place of battery `k` explains than `here`, W; negative: less. The age of the meter's values is that
    /// which suits each of them best.
    pub fn claim_w(&self, k: usize, here: Placement) -> i64 {
        let places = (0..PLACES).filter(|&i| is_possible(placement(i), here));
        let there_w = places.map(|i| (0..AGES).map(|d| self.believed_w[d] - self.gain_w[k][i][d]).min().unwrap_or(0));
        least(&self.believed_w) - there_w.min().unwrap_or(i64::MAX / 2)
    }
}

/// The power at every age, in one pass from the newest poll backwards: linear between polls, flat outside; as it was without any.
fn at_ages(polled: &Series, newest_ms: i64, step_ms: i64, power_w: &mut [i64; AGES]) {
    let Some(mut later) = polled.newest() else { return };
    let mut d = 0;
    for i in (0..polled.len()).rev() {
        let Some(earlier) = polled.get(i) else { break };
        while d < AGES && earlier.0 <= newest_ms - step_ms * d as i64 {
            let passed = (newest_ms - step_ms * d as i64 - earlier.0).min(later.0 - earlier.0);
            power_w[d] = earlier.1 + ((later.1 - earlier.1) * passed).div_euclid((later.0 - earlier.0).max(1));
            d += 1;
        }
        if d == AGES {
            return;
        }
        later = earlier;
    }
    power_w[d..].fill(later.1);
}

fn least(sums: &[i64; AGES]) -> i64 {
    sums.iter().copied().min().unwrap_or(0)
}

/// A battery elsewhere than it is believed to be; one on a single phase is never on all.
pub(super) fn is_possible(there: Placement, here: Placement) -> bool {
    there != here && (there.slot != ALL_PHASES || here.slot == ALL_PHASES)
}

/// The `i`-th place a battery can have.
pub(super) fn placement(i: usize) -> Placement {
    Placement { slot: i / 2, reversed: i % 2 == 1 }
}

fn cost(w: i64) -> i64 {
    (w.abs() - NOISE_W).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Time;

    const HERE: Placement = Placement { slot: 0, reversed: false };

    /// A load on L1 that steps every 20 s, and a battery that follows it 2 s later; the meter is `late_s` old and sees what `wired` says.
    /// Returns what the configured place, and what the true one explains more than the best other.
    fn life(wired: Placement, late_s: i64) -> (i64, i64) {
        let load = |t: i64| if t.max(0) / 20 % 2 == 1 { 1500 } else { 300 };
        let battery = |t: i64| load(t - 2 - late_s);
        let claim_w = |believed: Placement| {
            let mut ledger = Ledger::new(1, i64::MAX);
            let mut polled = Series::default();
            for t in 10..60 {
                let then = t - late_s;
                let grid_w = std::array::from_fn(|f| if f == 0 { load(then) } else { 100 } - wired.on_phase(f, battery(then)));
                polled.push(Time::from_ms(t as u64 * 1000), battery(t));
                ledger.take(Sample { at_ms: t * 1000, grid_w }, Window::PRIOR, |_| believed, |_| &polled);
            }
            ledger.claim_w(0, believed)
        };
        (-claim_w(HERE), -claim_w(wired))
    }

    #[test]
    fn right_wiring_explains_best_at_any_age() {
        for late_s in 0..6 {
            let (here_w, _) = life(HERE, late_s);
            assert!(here_w > 500, "{late_s} s: {here_w} W");
        }
    }

    #[test]
    fn wrong_wiring_is_seen_at_any_age() {
        for late_s in 0..6 {
            for wired in (0..2 * ALL_PHASES).map(placement).filter(|p| *p != HERE) {
                let (here_w, there_w) = life(wired, late_s);
                assert!(here_w < -1200 && there_w > 500, "{wired:?} {late_s} s: {here_w} W, {there_w} W");
            }
        }
    }
}
