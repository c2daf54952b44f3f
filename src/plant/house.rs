//! What the house takes and the sun gives, phase by phase: a pure function of time.
//!
//! Several houses: a reference day, a lively one for people to look at, and plain ones for measurements. Never knows of batteries.

use std::sync::Arc;

use super::day::{DAY_S, Day};
use super::demo;
use crate::units::Phase;

/// What is behind the grid connection besides the batteries.
#[derive(Clone, Debug)]
pub enum House {
    /// A short scripted day that repeats, with something happening every few seconds; the number makes its noise.
    Demo(u64),
    /// A reference day; repeats.
    Day(Arc<Day>),
    /// One phase alternates between two loads, the others take nothing.
    Steps {
        /// The phase.
        phase: Phase,
        /// The load in the first half of a period, in W.
        low_w: i64,
        /// The load in the second half, in W.
        high_w: i64,
        /// Length of a period in ms.
        period_ms: u64,
        /// How far into the period it starts, in ms.
        phase_shift: u64,
    },
    /// Always the same, in W; negative gives.
    Fixed([i64; 3]),
    /// A recorded while; what was last holds for ever.
    Recorded(Arc<Recorded>),
    /// From each time in ms on, the powers in W; in order of time; nothing before the first.
    Trace(Vec<(u64, [i64; 3])>),
}

/// A recorded load.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Recorded {
    /// In order of time: from when on, ms; the load of each phase and what the sun gives, W. What is first holds before it too.
    pub points: Vec<(u32, [i32; 3], i32)>,
    /// How long it is, ms.
    pub span_ms: u32,
}

impl Recorded {
    /// How many of the points have passed.
    fn passed(&self, now_ms: u64) -> usize {
        self.points.partition_point(|(at_ms, ..)| u64::from(*at_ms) <= now_ms)
    }
}

/// Powers of the house at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct HousePower {
    /// What each phase takes, in W.
    pub load_w: [i64; 3],
    /// What the sun gives on each phase, in W, not negative.
    pub pv_w: [i64; 3],
}

/// A device of the house that is switched on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Running {
    /// What it is.
    pub name: &'static str,
    /// Where.
    pub phase: Phase,
    /// What it takes, in W.
    pub power_w: i64,
}

impl House {
    /// What is switched on at this time, in houses that have names for it.
    pub fn running(&self, now_ms: u64) -> Vec<Running> {
        match self {
            House::Demo(_) => demo::running(now_ms).collect(),
            _ => Vec::new(),
        }
    }

    /// 460 W and 4140 W on this phase, changing every half period: 2 A and 18 A.
    pub fn steps(phase: Phase, period_ms: u64) -> House {
        House::Steps { phase, low_w: 460, high_w: 4140, period_ms, phase_shift: 0 }
    }

    /// The powers at this time.
    pub fn at(&self, now_ms: u64) -> HousePower {
        match self {
            House::Demo(number) => demo::at(*number, now_ms),
            House::Day(day) => of_day(day, now_ms),
            House::Steps { phase, low_w, high_w, period_ms, phase_shift } => {
                let period_ms = (*period_ms).max(2);
                let low = (now_ms + phase_shift) % period_ms < period_ms / 2;
                let mut load_w = [0; 3];
                load_w[phase.index()] = if low { *low_w } else { *high_w };
                HousePower { load_w, pv_w: [0; 3] }
            }
            House::Fixed(load_w) => HousePower { load_w: *load_w, pv_w: [0; 3] },
            House::Recorded(recorded) => {
                let point = recorded.points.get(recorded.passed(now_ms).saturating_sub(1));
                point.map_or_else(HousePower::default, |(_, load_w, pv_w)| of_house(load_w.map(i64::from), i64::from(*pv_w)))
            }
            House::Trace(points) => {
                let passed = points.partition_point(|(at_ms, _)| *at_ms <= now_ms);
                let load_w = passed.checked_sub(1).map_or([0; 3], |last| points[last].1);
                HousePower { load_w, pv_w: [0; 3] }
            }
        }
    }

    /// The next time the powers can be other than at this time, in ms.
    pub fn next_change_ms(&self, now_ms: u64) -> u64 {
        match self {
            House::Demo(_) => (now_ms / demo::TICK_MS + 1) * demo::TICK_MS,
            House::Day(_) => (now_ms / 1000 + 1) * 1000,
            House::Steps { period_ms, phase_shift, .. } => {
                let period_ms = (*period_ms).max(2);
                let into = (now_ms + phase_shift) % period_ms;
                now_ms + if into < period_ms / 2 { period_ms / 2 - into } else { period_ms - into }
            }
            House::Fixed(_) => u64::MAX,
            House::Recorded(recorded) => recorded.points.get(recorded.passed(now_ms)).map_or(u64::MAX, |(at_ms, ..)| u64::from(*at_ms)),
            House::Trace(points) => points.get(points.partition_point(|(at_ms, _)| *at_ms <= now_ms)).map_or(u64::MAX, |(at_ms, _)| *at_ms),
        }
    }
}

/// The panels feed all phases alike, what does not divide goes to L1 (control.md 5.1).
fn of_house(load_w: [i64; 3], pv: i64) -> HousePower {
    HousePower { load_w, pv_w: [pv / 3 + pv % 3, pv / 3, pv / 3] }
}

fn of_day(day: &Day, now_ms: u64) -> HousePower {
    let second = (now_ms / 1000 % DAY_S as u64) as usize;
    let watts = |list: &[i32]| list.get(second).copied().map_or(0, i64::from);
    of_house([0, 1, 2].map(|k| watts(&day.load_w[k])), watts(&day.pv_w))
}
