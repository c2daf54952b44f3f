//! One movement of one battery: when it is over, what battery and grid did, and whether the two agree.

use super::record::{Grid, Reading, Record};
use crate::control::site::Connection;
use crate::units::{Span, Time};

/// A reading this much like the one before, W, is at rest; what the resolution of 10 W and some noise make of rest.
const STEADY_W: i64 = 25;
/// Two values of the meter that differ by less, W, are of the same state.
const CALM_W: i64 = 30;
/// Two values that differ by less, W, are averaged: the resolution of many meters.
const ALIKE_W: i64 = 10;
/// Changes of a phase below this, W, may be the house.
const HOUSE_W: i64 = 60;
/// A battery at rest does not move by more than this, W.
const RESTING_W: i64 = 100;

/// One movement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leg {
    /// The battery.
    pub battery: usize,
    /// What it was told before, W.
    pub from_w: i64,
    /// What it is told, W.
    pub to_w: i64,
    /// Since when it was at rest before.
    pub since: Time,
    /// When the setpoint was sent.
    pub sent: Time,
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Movement {
    /// Change that the setpoint asked for, W.
    pub asked_w: i64,
    /// Power of the battery before, W.
    pub before_w: i64,
    /// Change that the battery reported, W.
    pub battery_w: i64,
    /// The phases before, W.
    pub grid_before_w: [i64; 3],
    /// Their changes, W.
    pub grid_w: [i64; 3],
    /// Another battery that moved as well.
    pub other: Option<usize>,
}

/// What to think of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Battery and grid agree.
    Clean(Clean),
    /// The battery did not move, or far too little. `grid_moved`: the grid did.
    NotFollowed {
        /// Only the battery's reading stood still.
        grid_moved: bool,
    },
    /// Something else happened in the meantime.
    Disturbed(Why),
}

/// A movement that battery and grid agree about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Clean {
    /// Where the grid moved.
    pub connection: Connection,
    /// The battery's reading moved as the setpoint asked.
    pub with_command: bool,
    /// The grid moved by minus the battery's movement.
    pub against_battery: bool,
    /// Change of the grid there, W.
    pub grid_w: i64,
}

/// Why a leg is not clean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// The grid moved in another way.
    House,
    /// The grid did not move.
    GridStill,
    /// Another battery moved.
    Other(usize),
    /// It is not known which of two writes moved the battery.
    Rewritten,
}

/// Since when battery and grid are at rest again after a movement; `None`: not yet. `noise_w`: of each phase.
pub fn settled(record: &Record, leg: &Leg, noise_w: &[i64; 3]) -> Option<Time> {
    let readings = after(record.readings(leg.battery), leg.sent);
    let [.., a, b] = readings else { return None };
    let before_w = level(record.readings(leg.battery), leg)?;
    let asked_w = (leg.to_w - leg.from_w).abs();
    let near = (b.power_w.abs() - leg.to_w.abs()).abs() <= (asked_w * 15 / 100).max(60);
    let still = || readings.len() >= 3 && range(readings[readings.len() - 3..].iter().map(|r| r.power_w)) <= 15;
    let rested = (b.power_w - a.power_w).abs() <= (asked_w / 12).max(STEADY_W) && (near || still());
    if !rested || (b.power_w - before_w).abs() < asked_w / 2 {
        return None;
    }
    let grid_before_w = grid_level(record, leg)?;
    let points: Vec<&Grid> = record.fresh(leg.sent, Time::from_ms(u64::MAX)).collect();
    let [.., previous, last] = points.as_slice() else { return None };
    let part = |point: &Grid| {
        let moved: [i64; 3] = std::array::from_fn(|f| point.power_w[f] - grid_before_w[f]);
        let most = moved.iter().map(|w| w.abs()).max().unwrap_or(0).max(moved.iter().sum::<i64>().abs());
        most * 100 / (b.power_w - before_w).abs().max(1)
    };
    // As much as the battery; or less or more than that, but no longer on its way.
    let calm = |points: &[&Grid]| (0..3).all(|f| range(points.iter().map(|g| g.power_w[f])) <= CALM_W.max(2 * noise_w[f]));
    let whole = (92..=108).contains(&part(previous)) && (92..=108).contains(&part(last)) && calm(&points[points.len() - 2..]);
    let shown = whole || part(last) >= 60 && points.len() >= 3 && calm(&points[points.len() - 3..]);
    shown.then(|| a.at.max(last.at))
}

/// What happened until now; `None` without any answer of battery or meter.
pub fn movement(record: &Record, leg: &Leg) -> Option<Movement> {
    let readings = record.readings(leg.battery);
    let before_w = level(readings, leg)?;
    let now_w = newest(after(readings, leg.sent).iter().map(|r| r.power_w))?;
    let grid_before_w = grid_level(record, leg)?;
    let mut grid_w = [0; 3];
    for (f, change) in grid_w.iter_mut().enumerate() {
        let points: Vec<i64> = record.fresh(leg.sent, Time::from_ms(u64::MAX)).map(|g| g.power_w[f]).collect();
        *change = newest(points.iter().copied()).unwrap_or(grid_before_w[f]) - grid_before_w[f];
    }
    let others = (0..record.batteries()).filter(|j| *j != leg.battery);
    let other = others
        .filter_map(|j| Some((j, record.readings(j).last()?.power_w - level(record.readings(j), leg)?)))
        .find(|(_, moved)| moved.abs() > RESTING_W)
        .map(|(j, _)| j);

    Some(Movement { asked_w: leg.to_w - leg.from_w, before_w, battery_w: now_w - before_w, grid_before_w, grid_w, other })
}

/// Judges a movement.
pub fn judge(m: &Movement, noise_w: &[i64; 3]) -> Verdict {
    let house_w = |f: usize, part_w: i64| HOUSE_W.max(2 * noise_w[f]).max(part_w * 15 / 100);
    let moved_on = |f: usize, w: i64| {
        let fits = (m.grid_w[f].abs() - w).abs() * 10 <= w * 3;
        fits && (0..3).all(|g| g == f || m.grid_w[g].abs() <= house_w(g, w))
    };
    if m.battery_w.abs() * 10 < m.asked_w.abs() * 4 {
        return Verdict::NotFollowed { grid_moved: (0..3).any(|f| moved_on(f, m.asked_w.abs())) };
    }
    if let Some(j) = m.other {
        return Verdict::Disturbed(Why::Other(j));
    }
    let w = m.battery_w.abs();
    let total_w: i64 = m.grid_w.iter().sum();
    let thirds = (0..3).all(|f| (m.grid_w[f] - total_w / 3).abs() <= house_w(f, w / 3)) && (total_w.abs() - w).abs() * 10 <= w * 3;
    let (connection, grid_w) = match (0..3).find(|f| moved_on(*f, w)) {
        Some(f) => (Connection::Phase(f), m.grid_w[f]),
        None if thirds => (Connection::AllPhases, total_w),
        None if (0..3).all(|f| m.grid_w[f].abs() <= house_w(f, w)) => return Verdict::Disturbed(Why::GridStill),
        None => return Verdict::Disturbed(Why::House),
    };
    Verdict::Clean(Clean {
        connection,
        with_command: (m.battery_w > 0) == (m.asked_w > 0),
        against_battery: (grid_w > 0) != (m.battery_w > 0),
        grid_w,
    })
}

/// Readings that arrived after `sent`.
pub fn after(readings: &[Reading], sent: Time) -> &[Reading] {
    &readings[readings.partition_point(|r| r.at <= sent)..]
}

/// What a battery did before the leg: the mean of its last readings at rest, the very last one where there is none.
fn level(readings: &[Reading], leg: &Leg) -> Option<i64> {
    let until = readings.partition_point(|r| r.at <= leg.sent);
    let rest = readings[..until].iter().rev().take(3).filter(|r| r.at >= leg.since).map(|r| r.power_w);
    mean(rest).or_else(|| readings[..until].last().map(|r| r.power_w))
}

/// The same of the phases.
fn grid_level(record: &Record, leg: &Leg) -> Option<[i64; 3]> {
    let from = leg.since.before(Span::from_ms(1));
    let rest: Vec<&Grid> = record.fresh(from, leg.sent).rev().take(3).collect();
    let last = || record.grid().iter().rev().find(|g| g.at <= leg.sent).map(|g| g.power_w);
    if rest.is_empty() { last() } else { Some(std::array::from_fn(|f| mean(rest.iter().map(|g| g.power_w[f])).unwrap_or(0))) }
}

/// The mean of the last two values where they agree, else the last one.
fn newest(values: impl DoubleEndedIterator<Item = i64>) -> Option<i64> {
    let mut values = values.rev();
    let last = values.next()?;
    Some(values.next().filter(|v| (last - v).abs() <= ALIKE_W).map_or(last, |v| (last + v).div_euclid(2)))
}

fn mean(values: impl Iterator<Item = i64>) -> Option<i64> {
    let (n, sum) = values.fold((0, 0), |(n, sum), v| (n + 1, sum + v));
    (n > 0).then(|| (2 * sum + n).div_euclid(2 * n))
}

fn range(values: impl Iterator<Item = i64>) -> i64 {
    let (lo, hi) = values.fold((i64::MAX, i64::MIN), |(lo, hi), v| (lo.min(v), hi.max(v)));
    hi.saturating_sub(lo)
}
