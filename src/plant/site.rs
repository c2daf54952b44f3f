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
use super::charger::{Charger, ChargerParams};
use super::device::{Device, DeviceParams, Serves};
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
    /// The chargers with their cars; each needs a device that serves it, to be asked.
    pub chargers: Vec<ChargerParams>,
    /// Devices that answer by a profile, among them those of batteries that are no SAX batteries.
    pub devices: Vec<DeviceParams>,
    /// What the wall clock shows at time 0, unix seconds.
    pub wall_start_s: i64,
    /// How often a battery on its own control looks at its meter, in ms (control.md 2.5: 200 to 500).
    pub own_loop_ms: u64,
}

impl SiteParams {
    /// One ordinary battery on each of these phases.
    pub fn new(number: u64, house: House, phases: &[Phase]) -> SiteParams {
        let connected = phases.len() > 1;
        let battery = |phase: &Phase| (BatteryParams { connected, ..BatteryParams::on(*phase) }, SaxParams::default());
        SiteParams {
            number,
            house,
            meter: MeterParams::default(),
            batteries: phases.iter().map(battery).collect(),
            chargers: Vec::new(),
            devices: Vec::new(),
            wall_start_s: 0,
            own_loop_ms: 300,
        }
    }
}

/// One battery with everything around it.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) battery: Battery,
    pub(super) sax: SaxParams,
    pub(super) registers: Registers,
    /// Nobody gets an answer from it; it goes on with what it was told.
    cut_off: bool,
    writes: u64,
    requests: BTreeMap<u8, u64>,
}

/// Who answers for a unit of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Behind {
    /// The device with this number.
    Device(usize),
    /// The SAX battery with this number, which knows its units by itself.
    Sax(usize),
    /// No one.
    Nobody,
}

/// The site.
#[derive(Debug)]
pub struct Site {
    house: House,
    house_power: HousePower,
    house_until_ms: u64,
    extra_w: [i64; 3],
    /// A meter of its own, or its telegrams, are not heard.
    meter_is_silent: bool,
    meter: Meter,
    pub(super) cells: Vec<Cell>,
    pub(super) chargers: Vec<Charger>,
    pub(super) devices: Vec<Device>,
    wall_start_s: i64,
    hosts: usize,
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
        let hosts = params.devices.iter().map(|d| d.host + 1).fold(count, usize::max);
        let devices: Vec<_> = params.devices.into_iter().map(Device::new).collect();
        let cell = |(k, (battery, sax)): (usize, (BatteryParams, SaxParams))| {
            let noise_key = mix(params.number ^ fnv1a64(b"reading") ^ k as u64);
            let battery = Battery::new(BatteryParams { noise_key, ..battery });
            Cell { battery, sax, registers: Registers::default(), cut_off: false, writes: 0, requests: BTreeMap::new() }
        };
        let mut site = Site {
            house_power: bounded(params.house.at(0)),
            house_until_ms: params.house.next_change_ms(0),
            house: params.house,
            extra_w: [0; 3],
            meter_is_silent: false,
            meter: Meter::new(params.meter, params.number),
            cells: params.batteries.into_iter().enumerate().map(cell).collect(),
            chargers: params.chargers.into_iter().map(Charger::new).collect(),
            devices,
            wall_start_s: params.wall_start_s,
            hosts,
            own_loop_ms: params.own_loop_ms.max(STEP_MS),
            own_loop_next_ms: 0,
            clock_ms: 0,
            step_ms: 0,
            grid_mw: [0; 3],
            sums: Integrals { battery: vec![0; count], ..Integrals::default() },
            events: VecDeque::new(),
            // One more for the P1 port.
            faults: Faults::new(hosts + 1, params.number),
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

    /// How many hosts and buses there are: one for each battery, and those of other devices.
    pub fn hosts(&self) -> usize {
        self.hosts
    }

    /// The number under which faults of the P1 port are switched: the one behind the last host.
    pub fn p1_host(&self) -> usize {
        self.hosts
    }

    /// Whether devices that answer by a profile are on this host.
    pub fn has_devices(&self, host: usize) -> bool {
        self.devices.iter().any(|d| d.params.host == host)
    }

    /// What the wall clock shows, unix seconds.
    pub fn wall_s(&self) -> i64 {
        self.wall_start_s.saturating_add(i64::try_from(self.clock_ms / 1000).unwrap_or(i64::MAX))
    }

    /// Sets the wall clock.
    pub fn set_wall_s(&mut self, unix_s: i64) {
        self.wall_start_s = unix_s.saturating_sub(i64::try_from(self.clock_ms / 1000).unwrap_or(i64::MAX));
    }

    /// Who answers there. A battery or a charger that is down does not.
    pub(super) fn behind(&self, host: usize, unit: u8) -> Behind {
        let up = |k: &usize| self.cells.get(*k).is_some_and(|cell| cell.battery.is_up(self.clock_ms) && !cell.cut_off);
        let charger_up = |k: &usize| self.chargers.get(*k).is_some_and(|charger| charger.is_up(self.clock_ms));
        if let Some(k) = self.devices.iter().position(|d| d.params.host == host && d.params.unit == unit) {
            return match self.devices[k].params.serves {
                Serves::Battery(battery) if !up(&battery) => Behind::Nobody,
                Serves::Meter if self.meter_is_silent => Behind::Nobody,
                Serves::Charger(charger) if !charger_up(&charger) => Behind::Nobody,
                _ => Behind::Device(k),
            };
        }
        let cut_off = self.cells.get(host).is_some_and(|cell| cell.cut_off);
        if self.is_sax(host) && !cut_off { Behind::Sax(host) } else { Behind::Nobody }
    }

    /// Whether this host is a SAX battery; a meter may be behind it.
    pub(super) fn is_sax(&self, host: usize) -> bool {
        let by_profile = self.devices.iter().any(|d| d.params.serves == Serves::Battery(host));
        host < self.cells.len() && !by_profile
    }

    /// Whether there is somebody with this unit.
    pub(super) fn answers(&self, host: usize, unit: u8) -> bool {
        self.behind(host, unit) != Behind::Nobody
    }

    /// How often the batteries and chargers behind a host were started, all together; every start ends its connections.
    pub(super) fn starts(&self, host: usize) -> u32 {
        self.batteries_behind(host).map(Battery::starts).chain(self.chargers_behind(host).map(Charger::starts)).sum()
    }

    /// Whether anything behind a host answers: a gateway lives on while one of its devices is down.
    pub(super) fn is_up(&self, host: usize) -> bool {
        let batteries = self.batteries_behind(host).map(|b| b.is_up(self.clock_ms));
        let mut behind = batteries.chain(self.chargers_behind(host).map(|c| c.is_up(self.clock_ms))).peekable();
        behind.peek().is_none() || behind.any(|up| up)
    }

    fn chargers_behind(&self, host: usize) -> impl Iterator<Item = &Charger> {
        let here = move |k: usize| self.devices.iter().any(|d| d.params.host == host && d.params.serves == Serves::Charger(k));
        self.chargers.iter().enumerate().filter(move |(k, _)| here(*k)).map(|(_, charger)| charger)
    }

    fn batteries_behind(&self, host: usize) -> impl Iterator<Item = &Battery> {
        let here = move |k: usize| k == host || self.devices.iter().any(|d| d.params.host == host && d.battery() == Some(k));
        self.cells.iter().enumerate().filter(move |(k, _)| here(*k)).map(|(_, cell)| &cell.battery)
    }

    /// A load in W per phase on top of the house; holds until it is set again.
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

    /// The meter is this late from now on, ms.
    pub fn set_meter_latency_ms(&mut self, latency_ms: u64) {
        self.meter.set_latency_ms(latency_ms);
    }

    /// A meter of its own, and one that sends telegrams, is not heard from now on, or again.
    pub fn silence_meter(&mut self, silent: bool) {
        self.meter_is_silent = silent;
    }

    /// Whether nobody hears it.
    pub fn meter_is_silent(&self) -> bool {
        self.meter_is_silent
    }

    /// Nobody gets an answer from this battery from now on, or again; it goes on with what it was told.
    pub fn cut_off(&mut self, battery: usize, cut_off: bool) {
        if let Some(cell) = self.cells.get_mut(battery) {
            cell.cut_off = cut_off;
        }
    }

    /// Restarts a battery: no power and no answers for `down_ms`, and everything that was written is forgotten.
    pub fn reboot(&mut self, battery: usize, down_ms: u64) {
        if let Some(cell) = self.cells.get_mut(battery) {
            cell.battery.reboot(self.clock_ms, down_ms);
            cell.registers = Registers::default();
            self.devices.iter_mut().filter(|d| d.params.serves == Serves::Battery(battery)).for_each(Device::restart);
        }
    }

    /// Restarts a charger: no power and no answers for `down_ms`, and everything that was written is forgotten.
    pub fn reboot_charger(&mut self, charger: usize, down_ms: u64) {
        if let Some(charger) = self.chargers.get_mut(charger) {
            charger.reboot(self.clock_ms, down_ms);
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
