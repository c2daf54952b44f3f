//! Learns while running how old the meter's values are, whether they are averages, and how the batteries' own readings are scaled
//! (`spec/control.md` 2.2, passive learner).
//!
//! It looks at single movements of single batteries: the battery rested, was told something, moved, and rested again, while no other
//! battery of its phase moved. When such a movement shows at the meter says how old the meter's values are. What cannot be judged teaches
//! nothing, and what contradicts makes the window wider at once: a window that is too wide costs some speed in ramps, one that is too
//! narrow voids the law. It never touches estimates or commands, and it does not allocate after its construction.

pub mod ages;
pub mod event;
pub mod movement;
pub mod partial;
pub mod samples;
pub mod swing;

use super::history::Series;
use super::learned::Learned;
use super::site::{Connection, Site, Window};
use crate::units::Span;
use ages::Ages;
use event::{Event, Finding, Judged};
use movement::Movement;
use partial::Partial;
use samples::{Samples, TOTAL};
use swing::Swing;

/// Longest latency that is looked for, ms (`spec/control.md` 2.2).
pub const LONGEST_MS: i64 = 15_000;
/// Movements that the window needs before it is narrower than the prior one (2.2).
pub const LEAST_MOVEMENTS: u32 = 3;
/// Bounds of a battery's scale, per mille (2.2).
const SCALE_PM: (i64, i64) = (850, 1150);
/// A smaller movement says nothing about the scale, W (`spec/control/plant.py`).
const LEAST_FOR_SCALE_W: i64 = 800;
/// What a battery's scale is moved by, of what is missing: one part in this many (2.2: EWMA 0.25).
const SCALE_PART: i64 = 4;
/// … and one in this many while less than this is missing, per mille: of one movement, noise may look so.
const SCALE_PART_FINE: i64 = 8;
const SCALE_FINE_PM: i64 = 20;
/// A battery that has moved by more than this did not rest, W (2.2).
pub const REST_W: i64 = 130;
/// How long a battery must rest before and after, ms (2.2).
pub const REST_MS: i64 = 7000;

/// What is known of a battery beside the learner, for one call.
pub trait Batteries {
    /// Its power as it was read, W.
    fn polled(&self, k: usize) -> &Series;
    /// What it was told, W.
    fn commands(&self, k: usize) -> &Series;
}

/// The state of learning for one site.
#[derive(Clone, PartialEq, Debug)]
pub struct Learner {
    samples: Samples,
    movements: Vec<Movement>,
    ages: Ages,
    partial: Partial,
    swing: Swing,
    /// The battery that is looked at next: one event per call.
    next: usize,
    /// Only the sum of the phases was measured.
    netted: bool,
}

impl Learner {
    /// A learner that has seen nothing, for a site of `batteries`.
    pub fn new(batteries: usize, prior: Window) -> Learner {
        Learner {
            samples: Samples::default(),
            movements: vec![Movement::default(); batteries],
            ages: Ages::new(prior),
            partial: Partial::default(),
            swing: Swing::default(),
            next: 0,
            netted: false,
        }
    }

    /// What was learned before counts as the beginning.
    pub fn remember(&mut self, learned: &Learned) {
        self.ages = Ages::new(learned.window);
        self.partial = Partial::default();
    }

    /// Battery `k` was read.
    pub fn polled(&mut self, k: usize, at_ms: i64, power_w: i64) {
        if let Some(m) = self.movements.get_mut(k) {
            m.polled(at_ms, power_w);
        }
    }

    /// Battery `k` is wanted to do `power_w` from now on, whenever it will be told.
    pub fn wanted(&mut self, k: usize, at_ms: i64, power_w: i64) {
        if let Some(m) = self.movements.get_mut(k) {
            m.wanted(at_ms, power_w);
        }
    }

    /// Nothing is known about the past of battery `k` any more.
    pub fn forget(&mut self, k: usize) {
        if let Some(m) = self.movements.get_mut(k) {
            *m = Movement::default();
        }
    }

    /// The meter has given something new. `netted`: only the sum of the phases was measured.
    pub fn sample(&mut self, at_ms: i64, power_w: [i64; 3], netted: bool) {
        self.samples.push(at_ms, power_w);
        self.netted = netted;
    }

    /// Does a bounded part of the work that is due. True when `learned` has changed.
    pub fn work(&mut self, site: &Site, batteries: &impl Batteries, learned: &mut Learned, now_ms: i64) -> bool {
        for _ in 0..self.movements.len().min(16) {
            let k = self.next;
            self.next = (k + 1) % self.movements.len();
            if let Some(event) = self.movements[k].due(now_ms) {
                return self.evaluate(k, &event, site, batteries, learned);
            }
        }
        match self.swing.work(site, batteries, &self.samples, learned, now_ms, self.netted) {
            Some(latency_ms) => {
                self.ages.restart(learned.window, Some(latency_ms));
                learned.window = self.ages.window();
                learned.movements = learned.movements.clamp(1, LEAST_MOVEMENTS - 1);
                true
            }
            None => false,
        }
    }

    /// A battery on one phase is looked for there; a three-phase one on every phase, until one says something; and where only the sum was
    /// measured, each of them there.
    fn evaluate(&mut self, k: usize, event: &Event, site: &Site, batteries: &impl Batteries, learned: &mut Learned) -> bool {
        let Some(connection) = site.batteries.get(k).map(|b| b.connection) else { return false };
        let at_once = event.first_told_ms == event.told_ms;
        let alone = || (0..self.movements.len()).all(|i| i == k || !self.movements[i].was_told_near(event.told_ms));
        // What moves several phases, and in parts, is no step: the sun, or a car.
        if !(at_once || alone()) {
            return false;
        }
        let (lines, part) = match connection {
            _ if self.netted => (TOTAL..TOTAL + 1, 1),
            Connection::Phase(f) => (f..f + 1, 1),
            Connection::AllPhases => (0..3, 3),
        };
        let past = learned.batteries[k].past(batteries.polled(k), batteries.commands(k));
        let window_ms = (learned.window.lo.signed_ms(), learned.window.hi.signed_ms());
        let shows = |i: usize, line: usize| line == TOTAL || site.batteries[i].connection.is_on(line);
        let others = |line: usize| (0..site.batteries.len()).filter(move |&i| i != k && shows(i, line));
        let judged = lines
            .filter(|&line| others(line).all(|i| event.rests(batteries.polled(i))))
            .map(|line| event.judge(&past, part, &self.samples, line, window_ms, learned.averaging.signed_ms()))
            .find(|judged| *judged != Judged::default());
        let Some(judged) = judged else { return false };
        let before = (learned.averaging, learned.window);
        if let Some(share) = judged.first_share {
            self.partial.note(share);
            learned.averaging = self.partial.averaging(learned.averaging, site.meter_period);
        }
        if learned.averaging != before.0 {
            // What was learned by taking parts of steps for steps is worth nothing.
            learned.batteries.iter_mut().for_each(|b| b.scale_pm = 1000);
            self.ages.restart(learned.window, None);
        }
        self.learn_ages(k, &judged, learned) || learned.averaging != before.0
    }

    fn learn_ages(&mut self, k: usize, judged: &Judged, learned: &mut Learned) -> bool {
        let Some(Finding { at_least_ms, at_most_ms, effect_pm, response_ms }) = judged.finding else { return false };
        self.ages.note(at_least_ms, at_most_ms);
        learned.window = self.ages.window();
        learned.movements = learned.movements.saturating_add(1);
        let battery = &mut learned.batteries[k];
        if let Some(ms) = response_ms {
            let seen = Span::from_ms(u64::try_from(ms).unwrap_or(0));
            battery.response = Some(battery.response.map_or(seen, |r| r.max(seen)));
        }
        if let Some(effect_pm) = effect_pm.filter(|_| learned.averaging == Span::ZERO) {
            let part = if (effect_pm - 1000).abs() < SCALE_FINE_PM { SCALE_PART_FINE } else { SCALE_PART };
            let scale = battery.scale_pm + battery.scale_pm * (effect_pm - 1000) / (1000 * part);
            battery.scale_pm = scale.clamp(SCALE_PM.0, SCALE_PM.1);
        }
        true
    }
}
