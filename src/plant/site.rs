//! The whole site: house, meter and batteries advanced together, and the truth about them.
//!
//! Deterministic: the same parameters and the same writes at the same times give the same numbers, however the time is cut into calls
//! of [`Site::advance_to`]. Steps are 10 ms while something moves and longer while nothing does, with the same result. Never reads a
//! clock, never opens anything.

mod physics;
mod truth;

use std::collections::{BTreeMap, VecDeque};

pub use truth::{Integrals, Truth, WriteEvent};

use super::battery::{Battery, STEP_MS};
use super::battery_params::{BatteryParams, SaxParams};
use super::faults::Faults;
use super::house::{House, HousePower};
use super::meter::{Meter, MeterParams};
use super::rng::{fnv1a64, mix};
use super::sax::Registers;
use crate::units::Phase;

/// At most this many writes are remembered; older ones are dropped.
pub const MAX_EVENTS: usize = 10_000;

/// Most a phase of the house takes or gives, in W.
const MAX_W: i64 = 20_000;

/// What to build.
#[derive(Clone, Debug)]
pub struct SiteParams {
    /// Everything random follows from this number.
    pub number: u64,
    /// The house.
    pub house: House,
    /// The meter at the grid connection, which the batteries report.
    pub meter: MeterParams,
    /// The batteries and what they say on Modbus.
    pub batteries: Vec<(BatteryParams, SaxParams)>,
    /// How often a battery on its own control looks at its meter, in ms (control.md 2.5: 200 to 500).
    pub own_loop_ms: u64,
}

impl SiteParams {
    /// One ordinary battery on each of these phases.
    pub fn new(number: u64, house: House, phases: &[Phase]) -> SiteParams {
        let connected = phases.len() > 1;
        let battery = |phase: &Phase| (BatteryParams { connected, ..BatteryParams::on(*phase) }, SaxParams::default());
        SiteParams { number, house, meter: MeterParams::default(), batteries: phases.iter().map(battery).collect(), own_loop_ms: 300 }
    }
}

/// One battery with everything around it.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) battery: Battery,
    pub(super) sax: SaxParams,
    pub(super) registers: Registers,
    writes: u64,
    requests: BTreeMap<u8, u64>,
}

/// The site.
#[derive(Debug)]
pub struct Site {
    house: House,
    house_power: HousePower,
    house_until_ms: u64,
    extra_w: [i64; 3],
    meter: Meter,
    pub(super) cells: Vec<Cell>,
    own_loop_ms: u64,
    own_loop_next_ms: u64,
    clock_ms: u64,
    step_ms: u64,
    grid_mw: [i64; 3],
    sums: Integrals,
    events: VecDeque<WriteEvent>,
    faults: Faults,
}

impl Site {
    /// Builds the site at time 0.
    pub fn new(params: SiteParams) -> Site {
        let count = params.batteries.len();
        let cell = |(k, (battery, sax)): (usize, (BatteryParams, SaxParams))| {
            let noise_key = mix(params.number ^ fnv1a64(b"reading") ^ k as u64);
            let battery = Battery::new(BatteryParams { noise_key, ..battery });
            Cell { battery, sax, registers: Registers::default(), writes: 0, requests: BTreeMap::new() }
        };
        let mut site = Site {
            house_power: bounded(params.house.at(0)),
            house_until_ms: params.house.next_change_ms(0),
            house: params.house,
            extra_w: [0; 3],
            meter: Meter::new(params.meter, params.number),
            cells: params.batteries.into_iter().enumerate().map(cell).collect(),
            own_loop_ms: params.own_loop_ms.max(STEP_MS),
            own_loop_next_ms: 0,
            clock_ms: 0,
            step_ms: 0,
            grid_mw: [0; 3],
            sums: Integrals { battery: vec![0; count], ..Integrals::default() },
            events: VecDeque::new(),
            faults: Faults::new(count, params.number),
        };
        site.grid_mw = site.net_load_mw();
        site
    }

    /// Lets time pass until `now_ms`; times in the past change nothing.
    pub fn advance_to(&mut self, now_ms: u64) {
        self.clock_ms = self.clock_ms.max(now_ms);
        while self.step_ms + STEP_MS <= self.clock_ms {
            self.step(self.clock_ms);
        }
    }

    /// The time in ms.
    pub fn now_ms(&self) -> u64 {
        self.clock_ms
    }

    /// A load in W per phase on top of the house, for example a car; holds until it is set again.
    pub fn set_extra_load_w(&mut self, extra_w: [i64; 3]) {
        self.extra_w = extra_w.map(|w| w.clamp(-MAX_W, MAX_W));
    }

    /// Puts another house behind the connection.
    pub fn set_house(&mut self, house: House) {
        self.house_power = bounded(house.at(self.step_ms));
        self.house_until_ms = house.next_change_ms(self.step_ms);
        self.house = house;
    }

    /// The switches for faults.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Stops the meter at what it says now, or lets it go on.
    pub fn freeze_meter(&mut self, frozen: bool) {
        self.meter.freeze(self.clock_ms, frozen);
    }

    /// Restarts a battery: no power and no answers for `down_ms`, and everything that was written is forgotten.
    pub fn reboot(&mut self, battery: usize, down_ms: u64) {
        if let Some(cell) = self.cells.get_mut(battery) {
            cell.battery.reboot(self.clock_ms, down_ms);
            cell.registers = Registers::default();
        }
    }
}

/// So that no house makes the sums overflow within a century.
fn bounded(power: HousePower) -> HousePower {
    let within = |w: i64| w.clamp(-MAX_W, MAX_W);
    HousePower { load_w: power.load_w.map(within), pv_w: power.pv_w.map(within) }
}

fn watts(milliwatts: i64) -> i64 {
    (milliwatts + 500).div_euclid(1000)
}
