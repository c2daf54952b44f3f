//! The course of a simulated day, second by second: what a table of it, or a picture, is made of.
//!
//! Only keeps; [`run`](super::run) fills it. With three batteries a second takes about 250 bytes, a week 150 MB.

use crate::plant::kpi::{Mode, Second};
use crate::plant::site::Site;

/// A stretch of time with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Overlay {
    /// What is so then.
    pub name: String,
    /// Its first second.
    pub from_s: u32,
    /// The second after its last one.
    pub to_s: u32,
}

/// A second: means of it, but for state of charge, setpoint and limit, which are as they were at its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moment {
    /// What each phase of the house takes, without cars, W.
    pub load_w: [i32; 3],
    /// What the sun gives, all phases, W.
    pub pv_w: i32,
    /// Grid power of each phase, import positive, W.
    pub grid_w: [i32; 3],
    /// What the cars take from each phase, W.
    pub car_w: [i32; 3],
    /// Power of each battery, discharge positive, W.
    pub battery_w: Vec<i32>,
    /// The setpoint in force for each battery, W; `None` while it is left to itself.
    pub setpoint_w: Vec<Option<i32>>,
    /// State of charge of each battery, 0.1 %.
    pub soc_pm: Vec<u16>,
    /// The limit that each charger was told last, mA; `None` before the first.
    pub limit_ma: Vec<Option<i32>>,
    /// What the controller did.
    pub mode: Mode,
}

/// A while of a site.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Course {
    /// Rating of the main fuse, mA.
    pub fuse_ma: i64,
    /// The names of the batteries, in the order of every list of them.
    pub batteries: Vec<String>,
    /// The names of the chargers.
    pub chargers: Vec<String>,
    /// What went wrong, and when; in order of its beginning.
    pub overlays: Vec<Overlay>,
    /// Second by second.
    pub moments: Vec<Moment>,
}

impl Course {
    /// The names of what is so in this second.
    pub fn overlays_at(&self, second: u32) -> impl Iterator<Item = &str> {
        self.overlays.iter().filter(move |o| (o.from_s..o.to_s).contains(&second)).map(|o| o.name.as_str())
    }

    /// Adds a second; `cars_mw` is what the cars took in it.
    pub(super) fn add(&mut self, second: &Second, cars_mw: [i64; 3], site: &Site) {
        let limits = (0..site.chargers()).map(|k| site.charger(k).filter(|c| c.was_limited()).map(|c| narrow(c.limit_ma())));
        self.moments.push(Moment {
            load_w: std::array::from_fn(|k| watts(second.load_mw[k] - cars_mw[k])),
            pv_w: watts(second.pv_mw),
            grid_w: second.grid_mw.map(watts),
            car_w: cars_mw.map(watts),
            battery_w: second.battery_mw.iter().map(|mw| watts(*mw)).collect(),
            setpoint_w: second.setpoint_w.iter().map(|w| w.map(narrow)).collect(),
            soc_pm: (0..site.batteries()).filter_map(|k| site.battery(k)).map(|b| b.soc_pm()).collect(),
            limit_ma: limits.collect(),
            mode: second.mode,
        });
    }
}

fn watts(mw: i64) -> i32 {
    narrow((mw + 500).div_euclid(1000))
}

fn narrow(value: i64) -> i32 {
    value.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}
