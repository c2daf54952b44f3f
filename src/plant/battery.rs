//! A simulated battery: what it does with setpoints, limits and its own smart meter.
//!
//! Integers only: power in mW, energy in units of 10 nJ (a milliwatt for a step of 10 ms, in thousandths), so that a run of equal steps
//! can be taken at once with exactly the same result. Knows nothing of registers ([`sax`](super::sax)) and remembers nothing over
//! [`Battery::reboot`]. How it moves is in `physics` (control.md 1.1); what the device does is from facts/sax.md 2.

mod physics;

use std::collections::VecDeque;

use super::battery_params::BatteryParams;
use super::rng::gauss_of;

/// Length of a step of the physics in ms.
pub const STEP_MS: u64 = 10;

/// Stored energy: thousandths of a milliwatt during one step.
const UNITS_PER_MWH: i64 = 3600 * 100 * 1000;
/// At most this many commands on their way; further ones replace the newest.
const MAX_IN_FLIGHT: usize = 256;
/// So near to the most it can do, it does all it can, W.
const SPENT_W: i64 = 100;
/// So near to full or empty it is left alone, 0.1 % of its capacity.
const SPENT_PM: u16 = 20;

/// What decides about the power.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Control {
    /// Its own loop on its own smart meter, within the limits.
    OwnMeter,
    /// A setpoint that holds until `until_ms`.
    Commanded {
        /// The setpoint in W, positive discharges.
        power_w: i64,
        /// When it expires, in ms of the site.
        until_ms: u64,
    },
}

/// What register 45 says (facts/sax.md 1.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// Switched off: 1.
    Off,
    /// Switched on: 2.
    On,
    /// Switched on in a system of several: 3, "Verbund".
    Connected,
    /// Switched on, nothing to do for a minute: 4.
    Standby,
}

impl State {
    /// The code in register 45.
    pub const fn code(self) -> u16 {
        match self {
            State::Off => 1,
            State::On => 2,
            State::Connected => 3,
            State::Standby => 4,
        }
    }
}

/// The battery.
#[derive(Clone, Debug)]
pub struct Battery {
    params: BatteryParams,
    control: Control,
    in_flight: VecDeque<(u64, Control)>,
    applied: Control,
    own_target_mw: i64,
    power_mw: i64,
    energy: i64,
    drain: i64,
    full: bool,
    empty: bool,
    on: bool,
    quiet_since_ms: u64,
    down_until_ms: u64,
    starts: u32,
    timeout_s: u16,
    limits: Option<(u64, u16, u16)>,
    fast_writes: Option<(u64, u64)>,
    /// What its management lets through of the ratings, in 0.1 %.
    derated_pm: u16,
}

impl Battery {
    /// A battery at rest, just started.
    pub fn new(params: BatteryParams) -> Battery {
        let energy = params.capacity_wh.saturating_mul(i64::from(params.soc_pm)).saturating_mul(UNITS_PER_MWH);
        let timeout_s = params.setpoint_timeout_s;
        Battery {
            params,
            control: Control::OwnMeter,
            in_flight: VecDeque::new(),
            applied: Control::OwnMeter,
            own_target_mw: 0,
            power_mw: 0,
            energy,
            drain: 0,
            full: false,
            empty: false,
            on: true,
            quiet_since_ms: 0,
            down_until_ms: 0,
            starts: 1,
            timeout_s,
            limits: None,
            fast_writes: None,
            derated_pm: 1000,
        }
    }

    /// Takes a setpoint in W (positive discharges): it acts after the dead time and holds until the timeout.
    pub fn command(&mut self, now_ms: u64, power_w: i64) {
        if !self.params.accepts_setpoint || self.stalled(now_ms) {
            return;
        }
        let until_ms = now_ms + u64::from(self.timeout_s) * 1000;
        self.enqueue(now_ms, Control::Commanded { power_w, until_ms });
    }

    /// Gives control back to its own smart meter.
    pub fn release(&mut self, now_ms: u64) {
        self.enqueue(now_ms, Control::OwnMeter);
    }

    /// Sets the limits of its own control in W; they are forgotten after a while (facts/sax.md 2, Rates).
    pub fn set_limits(&mut self, now_ms: u64, discharge_w: u16, charge_w: u16) {
        self.limits = Some((now_ms, discharge_w, charge_w));
    }

    /// Sets how long further setpoints hold, in s.
    pub fn set_timeout_s(&mut self, timeout_s: u16) {
        self.timeout_s = timeout_s;
    }

    /// Its management lets this much of the ratings through from now on, in 0.1 %.
    pub fn derate(&mut self, permille: u16) {
        self.derated_pm = permille.min(1000);
    }

    /// Most it can do at the moment, discharging and charging, W; full and empty are another matter.
    pub fn ability_w(&self) -> (i64, i64) {
        let part = |w: i64| w * i64::from(self.derated_pm) / 1000;
        (part(self.params.max_discharge_w), part(self.params.max_charge_w))
    }

    /// Whether it gives all it can at the moment, and whether it takes all it can. A controller leaves it alone near full
    /// and empty, for its limits of the state of charge have a hysteresis.
    pub fn is_spent(&self) -> [bool; 2] {
        let (discharge_w, charge_w) = self.ability_w();
        let is_empty = self.empty || self.soc_pm() <= self.params.floor_pm + SPENT_PM;
        let is_full = self.full || self.soc_pm() + SPENT_PM >= 1000;
        let (most, least) = (if is_empty { 0 } else { discharge_w }, if is_full { 0 } else { charge_w });
        [self.power_mw >= (most - SPENT_W) * 1000, -self.power_mw >= (least - SPENT_W) * 1000]
    }

    /// Switches it on or off.
    pub fn switch(&mut self, on: bool) {
        self.on = on;
    }

    /// Starts anew, unreachable and without power for `down_ms`, and knows nothing of what was written.
    pub fn reboot(&mut self, now_ms: u64, down_ms: u64) {
        let old = std::mem::replace(self, Battery::new(self.params.clone()));
        (self.energy, self.full, self.empty, self.drain) = (old.energy, old.full, old.empty, old.drain);
        self.derated_pm = old.derated_pm;
        (self.starts, self.down_until_ms, self.quiet_since_ms) = (old.starts.saturating_add(1), now_ms + down_ms, now_ms);
    }

    fn enqueue(&mut self, now_ms: u64, control: Control) {
        self.control = control;
        if self.in_flight.len() >= MAX_IN_FLIGHT {
            self.in_flight.pop_back();
        }
        self.in_flight.push_back((now_ms + self.params.dead_ms, control));
    }

    /// Notes the write and says whether the battery has stalled: written more often than every 2 s for more than `stall_after_ms` it
    /// keeps its value until nothing was written for 30 s (facts/sax.md 2, Rates: 1 write per cycle, frozen after 2-3 min).
    fn stalled(&mut self, now_ms: u64) -> bool {
        let Some(after_ms) = self.params.stall_after_ms else { return false };
        let since = match self.fast_writes {
            Some((since, last)) => {
                let pause_ms = if last.saturating_sub(since) > after_ms { 30_000 } else { 2_000 };
                if now_ms.saturating_sub(last) <= pause_ms { since } else { now_ms }
            }
            None => now_ms,
        };
        self.fast_writes = Some((since, now_ms));
        now_ms.saturating_sub(since) > after_ms
    }
}

/// What it is like at the moment.
impl Battery {
    /// How it was built.
    pub fn params(&self) -> &BatteryParams {
        &self.params
    }

    /// True power at the terminals in mW, positive discharges.
    pub fn power_mw(&self) -> i64 {
        self.power_mw
    }

    /// What its own reading says in W: scale error, bias, and noise that follows from time alone.
    pub fn reported_w(&self, now_ms: u64) -> i64 {
        let noise = gauss_of(self.params.noise_key ^ (now_ms / 200), self.params.reading_noise_w * 1000);
        (self.power_mw * i64::from(self.params.reading_scale_pm) / 1000 + noise + 500).div_euclid(1000) + self.params.reading_bias_w
    }

    /// State of charge in 0.1 %.
    pub fn soc_pm(&self) -> u16 {
        let capacity = self.params.capacity_wh.max(1).saturating_mul(1000).saturating_mul(UNITS_PER_MWH);
        (i128::from(self.energy) * 1000 / i128::from(capacity)).clamp(0, 1000) as u16
    }

    /// Stored energy in mWh.
    pub fn energy_mwh(&self) -> i64 {
        self.energy / UNITS_PER_MWH
    }

    /// Full: takes nothing until it has lost half a percent.
    pub fn is_full(&self) -> bool {
        self.full
    }

    /// Empty: gives nothing until it has gained one percent.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// What the newest command that was accepted and has not expired asks for, whether or not the dead time is over.
    pub fn control(&self, now_ms: u64) -> Control {
        valid(self.control, now_ms)
    }

    /// Limits of its own control at this time: discharge and charge in W.
    pub fn limits_w(&self, now_ms: u64) -> (u16, u16) {
        let remembered = self.limits.filter(|(at, _, _)| {
            let forget_ms = u64::from(self.params.limits_forget_s) * 1000;
            forget_ms == 0 || now_ms < at + forget_ms
        });
        let defaults = (clamp_u16(self.params.max_discharge_w), clamp_u16(self.params.max_charge_w));
        remembered.map_or(defaults, |(_, discharge, charge)| (discharge.min(defaults.0), charge.min(defaults.1)))
    }

    /// How long a setpoint holds, in s.
    pub fn timeout_s(&self) -> u16 {
        self.timeout_s
    }

    /// Whether it answers at all: not while it starts.
    pub fn is_up(&self, now_ms: u64) -> bool {
        now_ms >= self.down_until_ms
    }

    /// How often it was started; every start ends its connections.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// Its state.
    pub fn state(&self, now_ms: u64) -> State {
        match self.params.connected {
            _ if !self.on => State::Off,
            _ if now_ms.saturating_sub(self.quiet_since_ms) > 60_000 => State::Standby,
            true => State::Connected,
            false => State::On,
        }
    }
}

fn valid(control: Control, now_ms: u64) -> Control {
    match control {
        Control::Commanded { until_ms, .. } if now_ms >= until_ms => Control::OwnMeter,
        other => other,
    }
}

fn clamp_u16(value: i64) -> u16 {
    value.clamp(0, i64::from(u16::MAX)) as u16
}
