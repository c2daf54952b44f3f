//! A simulated car at a charger: what it wants, and how its current follows what the charger permits.
//!
//! Integers only, steps of 10 ms, like everything in the site. It never decides whether the contactor is closed; the
//! [`charger`](super::charger) does. Figures: `spec/control.md` 5.1 ("EV"), facts/p1-load-balancer.md 2.3.

use std::collections::VecDeque;

use super::battery::STEP_MS;

/// Below this a charger permits nothing (IEC 61851-1), mA.
pub const LEAST_MA: i64 = 6_000;
/// Rise and fall of the current, mA per step: 4 A/s and 8 A/s (`spec/control.md` 5.1).
const RISE_MA: i64 = 40;
const FALL_MA: i64 = 80;
/// Voltage of every phase, V (`spec/control.md` 5.1).
const VOLTAGE_V: i64 = 230;
/// mW times 10 ms in a watt-hour.
const UNITS_PER_WH: i64 = 360_000_000;
/// At most so many changes of the pilot are on their way; further ones replace the newest.
const MAX_IN_FLIGHT: usize = 1024;

/// What the car is like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CarParams {
    /// The phases it charges on.
    pub phases: [bool; 3],
    /// Most that it draws from each of them, mA.
    pub most_ma: i64,
    /// It is plugged in from this time of the site on, ms.
    pub plug_ms: u64,
    /// Energy that it wants then, Wh.
    pub need_wh: i64,
    /// It wants as much again each time this has passed since then, ms.
    pub again_ms: Option<u64>,
    /// From a change of the pilot signal to the beginning of the change of the current, ms.
    pub follow_ms: u64,
    /// From the permission after a pause to the first current, ms: 10 to 30 s (facts 2.3).
    pub resume_ms: u64,
}

impl Default for CarParams {
    /// On three phases with 16 A each, plugged in from the start, and hungry for hours.
    fn default() -> CarParams {
        CarParams { phases: [true; 3], most_ma: 16_000, plug_ms: 0, need_wh: 60_000, again_ms: None, follow_ms: 3_000, resume_ms: 15_000 }
    }
}

/// The car.
#[derive(Clone, Debug)]
pub struct Car {
    params: CarParams,
    /// What the pilot permits, on its way: from when on the car acts on it.
    in_flight: VecDeque<(u64, i64)>,
    /// What the pilot permits, as far as the car acts on it, mA.
    permitted_ma: i64,
    current_ma: i64,
    /// mW times 10 ms.
    energy: i64,
    hungry: bool,
}

impl Car {
    /// A car that has drawn nothing yet.
    pub fn new(params: CarParams) -> Car {
        Car { params, in_flight: VecDeque::new(), permitted_ma: 0, current_ma: 0, energy: 0, hungry: false }
    }

    /// What it is like.
    pub fn params(&self) -> &CarParams {
        &self.params
    }

    /// Whether it is at the charger.
    pub fn is_plugged(&self, now_ms: u64) -> bool {
        now_ms >= self.params.plug_ms
    }

    /// Whether it wants energy, by what was found at the last full second.
    pub fn is_hungry(&self) -> bool {
        self.hungry
    }

    /// What it draws from each phase, mA.
    pub fn current_ma(&self) -> [i64; 3] {
        self.params.phases.map(|on| if on { self.current_ma } else { 0 })
    }

    /// Power of each phase, mW.
    pub fn power_mw(&self) -> [i64; 3] {
        self.current_ma().map(|ma| ma * VOLTAGE_V)
    }

    /// Energy that it has got so far, Wh.
    pub fn charged_wh(&self) -> i64 {
        self.energy / UNITS_PER_WH
    }

    /// Once per second: whether it wants energy.
    pub(super) fn manage(&mut self, now_ms: u64) {
        let since_ms = now_ms.checked_sub(self.params.plug_ms);
        let times = since_ms.map_or(0, |ms| 1 + self.params.again_ms.map_or(0, |again_ms| ms / again_ms.max(1)));
        let wanted = self.params.need_wh.saturating_mul(UNITS_PER_WH).saturating_mul(i64::try_from(times).unwrap_or(i64::MAX));
        self.hungry = self.energy < wanted;
    }

    /// The pilot permits this much from now on; 0 for a pause.
    pub(super) fn signal(&mut self, now_ms: u64, permitted_ma: i64) {
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            self.in_flight.pop_back();
        }
        self.in_flight.push_back((now_ms + self.params.follow_ms, permitted_ma));
    }

    /// The contactor opens under load, and what was permitted is past.
    pub(super) fn cut_off(&mut self) {
        self.in_flight.clear();
        (self.permitted_ma, self.current_ma) = (0, 0);
    }

    /// Takes in what is due at this time.
    pub(super) fn arrive(&mut self, now_ms: u64) {
        while let Some((_, permitted_ma)) = self.in_flight.front().copied().filter(|(due, _)| *due <= now_ms) {
            self.in_flight.pop_front();
            self.permitted_ma = permitted_ma;
        }
    }

    /// One step, or `steps` equal ones when its current stays.
    pub(super) fn advance(&mut self, connected: bool, steps: u64) {
        self.current_ma = self.next_ma(connected);
        let power_mw: i64 = self.power_mw().iter().sum();
        self.energy = self.energy.saturating_add(power_mw.saturating_mul(steps as i64));
    }

    /// Whether its current stays as it is until the next event.
    pub(super) fn is_settled(&self, connected: bool) -> bool {
        self.next_ma(connected) == self.current_ma
    }

    /// When something changes by itself, ms.
    pub(super) fn next_event_ms(&self, now_ms: u64) -> u64 {
        let due = self.in_flight.front().map_or(u64::MAX, |(at, _)| *at);
        let plug = if self.params.plug_ms > now_ms { self.params.plug_ms } else { u64::MAX };
        due.min(plug)
    }

    fn next_ma(&self, connected: bool) -> i64 {
        let wants = connected && self.hungry && self.permitted_ma >= LEAST_MA;
        let target_ma = if wants { self.permitted_ma.min(self.params.most_ma) } else { 0 };
        let connected_ma = if connected { self.current_ma } else { 0 };
        (connected_ma + (target_ma - connected_ma).clamp(-FALL_MA, RISE_MA)).max(0)
    }
}

const _: () = assert!(STEP_MS == 10);
