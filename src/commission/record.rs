//! What was measured while commissioning: bounded series of the grid's phases and of every battery.

use crate::control::input::MeterSample;
use crate::units::{Span, Time};

/// Points kept of each series; the older half makes room.
const CAPACITY: usize = 1024;
/// Fewer refreshes than this say nothing about their period.
const REFRESHES: i64 = 5;

/// What the meter said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Grid {
    /// When the answer arrived.
    pub at: Time,
    /// Power of each phase, W.
    pub power_w: [i64; 3],
    /// The meter has measured anew since the point before.
    pub fresh: bool,
}

/// What a battery said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// When the answer arrived.
    pub at: Time,
    /// Its power, W.
    pub power_w: i64,
}

/// All series.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    grid: Vec<Grid>,
    print: Option<u64>,
    /// Points that were fresh, and the time of the first one.
    refreshes: (i64, Time),
    batteries: Vec<Vec<Reading>>,
}

impl Record {
    /// Nothing of so many batteries.
    pub fn new(batteries: usize) -> Record {
        Record { grid: Vec::new(), print: None, refreshes: (0, Time::ZERO), batteries: vec![Vec::new(); batteries] }
    }

    /// Takes a sample of the meter that holds the phases.
    pub fn meter(&mut self, sample: &MeterSample) {
        let Some(phases) = sample.phases else { return };
        let power_w = phases.map(|p| p.power_w);
        let print = sample.phase_print;
        let fresh = print != self.print || self.grid.last().is_none_or(|g| g.power_w != power_w);
        self.print = print;
        if fresh {
            let first = if self.refreshes.0 == 0 { sample.taken } else { self.refreshes.1 };
            self.refreshes = (self.refreshes.0 + 1, first);
        }
        push(&mut self.grid, Grid { at: sample.taken, power_w, fresh });
    }

    /// Takes a reading of a battery.
    pub fn battery(&mut self, k: usize, at: Time, power_w: i64) {
        if let Some(series) = self.batteries.get_mut(k) {
            push(series, Reading { at, power_w });
        }
    }

    /// What the meter said, oldest first.
    pub fn grid(&self) -> &[Grid] {
        &self.grid
    }

    /// What the meter said anew after `from` and until `to`.
    pub fn fresh(&self, from: Time, to: Time) -> impl DoubleEndedIterator<Item = &Grid> {
        self.grid.iter().filter(move |g| g.fresh && g.at > from && g.at <= to)
    }

    /// What a battery said, oldest first.
    pub fn readings(&self, k: usize) -> &[Reading] {
        self.batteries.get(k).map_or(&[], Vec::as_slice)
    }

    /// How many batteries there are.
    pub fn batteries(&self) -> usize {
        self.batteries.len()
    }

    /// The mean time between two points that were fresh.
    pub fn spacing(&self) -> Option<Span> {
        let (n, first) = self.refreshes;
        let last = self.grid.iter().rev().find(|g| g.fresh)?.at;
        (n >= REFRESHES).then(|| Span::from_ms(last.since(first).as_ms() / u64::try_from(n - 1).unwrap_or(1).max(1)))
    }

    /// The longest period at which the meter can measure, given how often it did: `n` refreshes lie at least `n - 2` periods apart, as
    /// the first and the last were seen up to one period late.
    pub fn refresh(&self) -> Option<Span> {
        let (n, first) = self.refreshes;
        let last = self.grid.iter().rev().find(|g| g.fresh)?.at;
        let ms = last.since(first).as_ms();
        (n >= REFRESHES).then(|| Span::from_ms(ms.div_ceil(u64::try_from(n - 2).unwrap_or(1).max(1))))
    }
}

fn push<T>(series: &mut Vec<T>, point: T) {
    if series.len() >= CAPACITY {
        series.drain(..CAPACITY / 2);
    }
    series.push(point);
}
