//! What is really the case in a site, whatever its batteries report, and what was done to it.

use super::{MAX_EVENTS, Site, watts};
use crate::plant::battery::Battery;
use crate::plant::charger::Charger;
use crate::plant::device::{Device, Serves};
use crate::plant::house::{HousePower, Running};
use crate::plant::meter::MeterReading;

/// Wire addresses of setpoints of a SAX battery: unit 64 and unit 100 (facts/sax.md 1.1, 1.3).
const SAX_SETPOINTS: [u16; 3] = [41, 40049, 49];

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
    /// What each phase of the house takes, with cars and [`Site::set_extra_load_w`], without sun.
    pub load: [i64; 3],
    /// What the cars take from each phase; part of `load`.
    pub cars: [i64; 3],
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
    /// What the cars draw from each phase together, mA.
    pub cars_ma: [i64; 3],
}

impl Site {
    /// Everything at a glance.
    pub fn truth(&self) -> Truth {
        Truth {
            at_ms: self.clock_ms,
            grid_w: self.grid_w(),
            house: self.house_power,
            battery_w: (0..self.cells.len()).map(|k| self.battery_w(k)).collect(),
            soc_pm: self.cells.iter().map(|cell| cell.battery.soc_pm()).collect(),
            cars_ma: self.cars_ma(),
        }
    }

    /// Grid power of each phase in W, import positive.
    pub fn grid_w(&self) -> [i64; 3] {
        self.grid_mw.map(watts)
    }

    /// What the house takes and gives; without cars and [`Site::set_extra_load_w`].
    pub fn house_power(&self) -> HousePower {
        self.house_power
    }

    /// What is switched on in the house, where it has names for it.
    pub fn running(&self) -> Vec<Running> {
        self.house.running(self.step_ms)
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

    /// What the cars draw from each phase together, mA.
    pub fn cars_ma(&self) -> [i64; 3] {
        self.chargers.iter().fold([0; 3], |sum, charger| {
            let car = charger.car().current_ma();
            std::array::from_fn(|k| sum[k] + car[k])
        })
    }

    /// A charger with its car.
    pub fn charger(&self, charger: usize) -> Option<&Charger> {
        self.chargers.get(charger)
    }

    /// A charger, to do something to it by hand.
    pub fn charger_mut(&mut self, charger: usize) -> Option<&mut Charger> {
        self.chargers.get_mut(charger)
    }

    /// How many chargers there are.
    pub fn chargers(&self) -> usize {
        self.chargers.len()
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

    /// How many requests reached each unit of this battery.
    pub fn all_requests(&self, battery: usize) -> Vec<(u8, u64)> {
        self.cells.get(battery).map_or_else(Vec::new, |cell| cell.requests.iter().map(|(unit, n)| (*unit, *n)).collect())
    }

    /// When a setpoint was first written to this battery, as far as writes are remembered.
    pub fn first_setpoint_ms(&self, battery: usize) -> Option<u64> {
        let own = |d: &&Device| d.params.serves == Serves::Battery(battery);
        let by_profile = self.devices.iter().filter(own).filter_map(|d| Some(d.profile.setpoint.as_ref()?.register.address));
        let mut addresses: Vec<u16> = by_profile.collect();
        if addresses.is_empty() {
            addresses.extend(SAX_SETPOINTS);
        }
        self.events.iter().find(|e| e.battery == battery && addresses.contains(&e.address)).map(|e| e.at_ms)
    }

    pub(in crate::plant) fn note_request(&mut self, battery: usize, unit: u8) {
        if let Some(cell) = self.cells.get_mut(battery) {
            *cell.requests.entry(unit).or_default() += 1;
        }
    }

    /// Whoever asks the device `k` shows its charger, if it is one, that somebody is there.
    pub(in crate::plant) fn ask_charger(&mut self, k: usize) {
        let now_ms = self.clock_ms;
        let Some(Serves::Charger(charger)) = self.devices.get(k).map(|d| d.params.serves) else { return };
        if let Some(charger) = self.chargers.get_mut(charger) {
            charger.ask(now_ms);
        }
    }

    pub(in crate::plant) fn note_write(&mut self, battery: usize, unit: u8, address: u16, value: u16) {
        if let Some(cell) = self.cells.get_mut(battery) {
            cell.writes += 1;
        }
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(WriteEvent { at_ms: self.clock_ms, battery, unit, address, value });
    }
}
