//! The whole site: house, meter and batteries advanced together, and the truth about them.
//!
//! Deterministic: the same parameters and the same writes at the same times give the same numbers, however the time is cut into calls
//! of [`Site::advance_to`]. Steps are 10 ms while something moves and longer while nothing does, with the same result. Never reads a
//! clock, never opens anything.

use std::collections::{BTreeMap, VecDeque};

use super::battery::{Battery, STEP_MS};
use super::battery_params::{BatteryParams, SaxParams};
use super::faults::Faults;
use super::house::{House, HousePower};
use super::meter::{Meter, MeterParams, MeterReading};
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

/// A register that was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WriteEvent {
    /// When, in ms of the site.
    pub at_ms: u64,
    /// Which battery.
    pub battery: usize,
    /// Through which unit.
    pub unit: u8,
    /// Wire address.
    pub address: u16,
    /// Raw value.
    pub value: u16,
}

/// Sums since the start, in mW times 10 ms (10 µJ); differences of two of them are exact means.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Integrals {
    /// The time they were taken, in ms.
    pub at_ms: u64,
    /// Grid power of each phase, import positive.
    pub grid: [i64; 3],
    /// What each phase of the house takes, with [`Site::set_extra_load_w`], without sun.
    pub load: [i64; 3],
    /// What the sun gives on each phase.
    pub pv: [i64; 3],
    /// Power of each battery, discharge positive.
    pub battery: Vec<i64>,
    /// Import of all phases together, where positive.
    pub import: i64,
    /// Export of all phases together, where positive.
    pub export: i64,
}

/// The truth at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Truth {
    /// When, in ms of the site.
    pub at_ms: u64,
    /// Grid power of each phase in W, import positive.
    pub grid_w: [i64; 3],
    /// The house.
    pub house: HousePower,
    /// Power of each battery in W, discharge positive.
    pub battery_w: Vec<i64>,
    /// State of charge of each battery in 0.1 %.
    pub soc_pm: Vec<u16>,
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

    /// The meter at the grid connection.
    pub fn meter_mut(&mut self) -> &mut Meter {
        &mut self.meter
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

/// The truth.
impl Site {
    /// Everything at a glance.
    pub fn truth(&self) -> Truth {
        Truth {
            at_ms: self.clock_ms,
            grid_w: self.grid_w(),
            house: self.house_power,
            battery_w: (0..self.cells.len()).map(|k| self.battery_w(k)).collect(),
            soc_pm: self.cells.iter().map(|cell| cell.battery.soc_pm()).collect(),
        }
    }

    /// Grid power of each phase in W, import positive.
    pub fn grid_w(&self) -> [i64; 3] {
        self.grid_mw.map(watts)
    }

    /// What the house takes and gives; without [`Site::set_extra_load_w`].
    pub fn house_power(&self) -> HousePower {
        self.house_power
    }

    /// True power of a battery in W, discharge positive; 0 for a battery that does not exist.
    pub fn battery_w(&self, battery: usize) -> i64 {
        self.battery(battery).map_or(0, |b| watts(b.power_mw()))
    }

    /// A battery.
    pub fn battery(&self, battery: usize) -> Option<&Battery> {
        self.cells.get(battery).map(|cell| &cell.battery)
    }

    /// A battery, to do something to it by hand.
    pub fn battery_mut(&mut self, battery: usize) -> Option<&mut Battery> {
        self.cells.get_mut(battery).map(|cell| &mut cell.battery)
    }

    /// How many batteries there are.
    pub fn batteries(&self) -> usize {
        self.cells.len()
    }

    /// The sums since the start.
    pub fn integrals(&self) -> &Integrals {
        &self.sums
    }

    /// What the meter says at this time.
    pub fn meter_reading(&self) -> MeterReading {
        self.meter.reading(self.clock_ms)
    }

    /// The newest writes, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = &WriteEvent> {
        self.events.iter()
    }

    /// How many registers of this battery were written.
    pub fn writes(&self, battery: usize) -> u64 {
        self.cells.get(battery).map_or(0, |cell| cell.writes)
    }

    /// How many requests reached this unit of this battery.
    pub fn requests(&self, battery: usize, unit: u8) -> u64 {
        self.cells.get(battery).and_then(|cell| cell.requests.get(&unit)).copied().unwrap_or(0)
    }

    pub(super) fn note_request(&mut self, battery: usize, unit: u8) {
        if let Some(cell) = self.cells.get_mut(battery) {
            *cell.requests.entry(unit).or_default() += 1;
        }
    }

    pub(super) fn note_write(&mut self, battery: usize, unit: u8, address: u16, value: u16) {
        if let Some(cell) = self.cells.get_mut(battery) {
            cell.writes += 1;
        }
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(WriteEvent { at_ms: self.clock_ms, battery, unit, address, value });
    }
}

/// The physics.
impl Site {
    fn step(&mut self, until_ms: u64) {
        let now_ms = self.step_ms;
        if now_ms >= self.house_until_ms {
            self.house_power = bounded(self.house.at(now_ms));
            self.house_until_ms = self.house.next_change_ms(now_ms);
        }
        for cell in &mut self.cells {
            cell.battery.arrive(now_ms);
            if now_ms % 1000 == 0 {
                cell.battery.manage();
            }
            cell.battery.advance(now_ms, 1);
        }
        self.grid_mw = self.net_load_mw();
        for cell in &self.cells {
            self.grid_mw[cell.battery.params().phase.index()] -= cell.battery.power_mw();
        }
        self.meter.visit(now_ms, self.grid_mw, self.sums.grid);
        if now_ms >= self.own_loop_next_ms {
            self.own_loop_next_ms = now_ms + self.own_loop_ms;
            self.own_loops(now_ms);
        }
        let steps = self.steps_alike(now_ms, until_ms);
        for cell in &mut self.cells {
            if steps > 1 {
                cell.battery.advance(now_ms + STEP_MS, steps - 1);
            }
        }
        self.sum_up(steps as i64);
        self.step_ms = now_ms + steps * STEP_MS;
        self.sums.at_ms = self.step_ms;
    }

    fn net_load_mw(&self) -> [i64; 3] {
        let HousePower { load_w, pv_w } = self.house_power;
        std::array::from_fn(|k| (load_w[k] + self.extra_w[k] - pv_w[k]) * 1000)
    }

    fn own_loops(&mut self, now_ms: u64) {
        let grid_mw = self.grid_mw;
        for phase in Phase::ALL {
            let mine = |cell: &Cell| cell.battery.params().phase == phase && cell.battery.on_own_meter(now_ms);
            let share = self.cells.iter().filter(|cell| mine(cell)).count() as i64;
            for cell in self.cells.iter_mut().filter(|cell| mine(cell)) {
                cell.battery.see_own_meter(now_ms, grid_mw[phase.index()], share);
            }
        }
    }

    /// How many steps from here are like this one: 1 while a battery moves.
    fn steps_alike(&self, now_ms: u64, until_ms: u64) -> u64 {
        let mut event_ms = self.house_until_ms.min(self.meter.next_event_ms()).min(self.own_loop_next_ms).min((now_ms / 1000 + 1) * 1000);
        for cell in &self.cells {
            if !cell.battery.is_settled(now_ms) {
                return 1;
            }
            event_ms = event_ms.min(cell.battery.next_event_ms(now_ms));
        }
        let to_event = event_ms.saturating_sub(now_ms).div_ceil(STEP_MS);
        to_event.min((until_ms - now_ms) / STEP_MS).max(1)
    }

    fn sum_up(&mut self, steps: i64) {
        let sums = &mut self.sums;
        let HousePower { load_w, pv_w } = self.house_power;
        for k in 0..3 {
            sums.grid[k] += self.grid_mw[k] * steps;
            sums.load[k] += (load_w[k] + self.extra_w[k]) * 1000 * steps;
            sums.pv[k] += pv_w[k] * 1000 * steps;
        }
        let total: i64 = self.grid_mw.iter().sum();
        sums.import += total.max(0) * steps;
        sums.export += (-total).max(0) * steps;
        for (sum, cell) in sums.battery.iter_mut().zip(&self.cells) {
            *sum += cell.battery.power_mw() * steps;
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
