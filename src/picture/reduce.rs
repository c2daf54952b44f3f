//! From the seconds of a course to the columns of a picture: of each column the least, the greatest and the mean value, so that no peak
//! gets lost. Pure.

use crate::plant::kpi::Mode;
use crate::simulated_day::course::{Course, Moment, Overlay};

/// Voltage at which powers are turned into currents (control.md 5.1).
pub(super) const VOLTAGE_V: i32 = 230;
/// More batteries than this do not get a lane of their own.
pub(super) const LANES_MOST: usize = 12;

/// A value over the columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Band {
    pub low: Vec<i32>,
    pub high: Vec<i32>,
    pub mean: Vec<i32>,
}

impl Band {
    fn of(moments: &[Moment], columns: usize, value: impl Fn(&Moment) -> i32) -> Band {
        let mut band = Band { low: Vec::new(), high: Vec::new(), mean: Vec::new() };
        for k in 0..columns {
            let (from, to) = column(k, columns, moments.len());
            let (mut low, mut high, mut sum) = (i32::MAX, i32::MIN, 0_i64);
            for moment in &moments[from..to] {
                let value = value(moment);
                (low, high, sum) = (low.min(value), high.max(value), sum + i64::from(value));
            }
            band.low.push(low);
            band.high.push(high);
            band.mean.push((sum / (to - from).max(1) as i64) as i32);
        }
        band
    }

    /// Least and greatest value of all.
    pub(super) fn range(&self) -> (i64, i64) {
        let low = self.low.iter().min().copied().unwrap_or(0);
        (low.into(), self.high.iter().max().copied().unwrap_or(0).into())
    }
}

/// A phase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PhaseBands {
    /// What the house takes, with cars, W.
    pub load: Band,
    /// Grid power, W.
    pub grid: Band,
    /// How much more current the fuse would carry, mA.
    pub room: Band,
}

/// A battery, or all that got no lane of their own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Lane {
    pub name: String,
    /// Power, W.
    pub power: Band,
    /// State of charge, 0.1 %.
    pub soc: Band,
}

/// A course cut into columns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Reduced {
    pub phases: [PhaseBands; 3],
    /// What the sun gives on each phase, W.
    pub sun: Band,
    pub lanes: Vec<Lane>,
    /// The largest current that the cars draw from a phase, mA; `None` without chargers.
    pub drawn: Option<Band>,
    /// What chargers may draw together, mA; `None` where none was ever told.
    pub limit: Option<Band>,
    /// The worst of each column.
    pub modes: Vec<Mode>,
    /// The first second of each column, and the second after the last one.
    pub starts: Vec<u32>,
}

impl Reduced {
    /// No more columns than there are seconds; none of a course without seconds.
    pub(super) fn of(course: &Course, columns: usize) -> Reduced {
        let moments = &course.moments;
        let columns = columns.min(moments.len());
        let band = |value: &dyn Fn(&Moment) -> i32| Band::of(moments, columns, value);
        let fuse_ma = i32::try_from(course.fuse_ma).unwrap_or(i32::MAX);
        let phase = |f: usize| PhaseBands {
            load: band(&|m| m.load_w[f].saturating_add(m.car_w[f])),
            grid: band(&|m| m.grid_w[f]),
            room: band(&|m| fuse_ma.saturating_sub(milliamperes(m.grid_w[f]))),
        };
        let told = moments.iter().any(|m| m.limit_ma.iter().any(Option::is_some));
        let largest = |m: &Moment| m.car_w.into_iter().map(milliamperes).max().unwrap_or(0);
        let modes = (0..columns).map(|k| {
            let (from, to) = column(k, columns, moments.len());
            moments[from..to].iter().map(|m| m.mode).max_by_key(|mode| badness(*mode)).unwrap_or_default()
        });
        let start = |k: usize| column(k, columns.max(1), moments.len()).0 as u32;
        Reduced {
            phases: [phase(0), phase(1), phase(2)],
            sun: band(&|m| m.pv_w / 3),
            lanes: lanes(course, &band),
            drawn: (!course.chargers.is_empty()).then(|| band(&largest)),
            limit: told.then(|| band(&|m| m.limit_ma.iter().flatten().fold(0, |sum, ma| sum.saturating_add(*ma)))),
            modes: modes.collect(),
            starts: (0..=columns).map(start).collect(),
        }
    }
}

/// Makes a band of a value of each second.
type Banded<'a> = dyn Fn(&dyn Fn(&Moment) -> i32) -> Band + 'a;

fn lanes(course: &Course, band: &Banded) -> Vec<Lane> {
    let count = course.batteries.len();
    let own = if count > LANES_MOST { LANES_MOST - 1 } else { count };
    let lane = |k: usize| Lane {
        name: course.batteries[k].clone(),
        power: band(&|m| m.battery_w.get(k).copied().unwrap_or(0)),
        soc: band(&|m| m.soc_pm.get(k).copied().unwrap_or(0).into()),
    };
    let mut lanes: Vec<Lane> = (0..own).map(lane).collect();
    if own < count {
        lanes.push(Lane {
            name: format!("{} more", count - own),
            power: band(&|m| m.battery_w.iter().skip(own).fold(0, |sum, w| sum.saturating_add(*w))),
            soc: band(&|m| m.soc_pm.iter().skip(own).map(|pm| i32::from(*pm)).sum::<i32>() / (count - own) as i32),
        });
    }
    lanes
}

/// Seconds of a column: from, and the first after it.
fn column(k: usize, columns: usize, seconds: usize) -> (usize, usize) {
    (k * seconds / columns.max(1), (k + 1) * seconds / columns.max(1))
}

fn milliamperes(watts: i32) -> i32 {
    (i64::from(watts).abs() * 1000 / i64::from(VOLTAGE_V)).min(i32::MAX.into()) as i32
}

/// What matters more hides what matters less.
pub(super) fn badness(mode: Mode) -> u8 {
    match mode {
        Mode::Run => 0,
        Mode::Init => 1,
        Mode::Hold => 2,
        Mode::Ramp => 3,
        Mode::Fallback => 4,
    }
}

/// A course, cut for a picture of this width.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct View {
    pub(super) seconds: i64,
    pub(super) fuse_ma: i64,
    pub(super) chargers: Vec<String>,
    pub(super) overlays: Vec<Overlay>,
    /// One for each pixel.
    pub(super) columns: Reduced,
    /// Longer stretches, whose values are shown under the pointer.
    pub(super) cells: Reduced,
}

impl View {
    /// The course of one of `panes` pictures side by side. Nothing is lost by dropping the course afterwards.
    pub fn of(course: &Course, panes: usize) -> View {
        let lanes = course.batteries.len().min(LANES_MOST);
        // About 300 kB of texts under the pointer.
        let room = 300_000 / (panes.max(1) * (450 + 70 * lanes));
        let seconds = course.moments.len();
        let cell_s = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600].into_iter().find(|s| seconds / s <= room.min(300));
        View {
            seconds: seconds as i64,
            fuse_ma: course.fuse_ma,
            chargers: course.chargers.clone(),
            overlays: course.overlays.clone(),
            columns: Reduced::of(course, super::columns(panes)),
            cells: Reduced::of(course, seconds.div_ceil(cell_s.unwrap_or(7200))),
        }
    }
}
