//! A simulated single-phase battery: what it does with setpoints, limits and its own smart meter.
//!
//! Integers only: power in mW, energy in units of 10 nJ (a milliwatt for a step of 10 ms, in thousandths), so that a run of equal steps
//! can be taken at once with exactly the same result. Knows nothing of registers ([`sax`](super::sax)) and remembers nothing over
//! [`Battery::reboot`]. Model: control.md 1.1; device behaviour: facts/sax.md 2.

use std::collections::VecDeque;

use super::battery_params::BatteryParams;
use super::rng::gauss_of;

/// Length of a step of the physics in ms.
pub const STEP_MS: u64 = 10;

/// Stored energy: thousandths of a milliwatt during one step.
const UNITS_PER_MWH: i64 = 3600 * 100 * 1000;
/// At most this many commands on their way; further ones replace the newest.
const MAX_IN_FLIGHT: usize = 256;
/// Beyond this it has no power to speak of.
const QUIET_MW: i64 = 10_000;

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
    timeout_s: u16,
    limits: Option<(u64, u16, u16)>,
    fast_writes: Option<(u64, u64)>,
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
            timeout_s,
            limits: None,
            fast_writes: None,
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

    /// Switches it on or off.
    pub fn switch(&mut self, on: bool) {
        self.on = on;
    }

    /// Starts anew, unreachable and without power for `down_ms`, and knows nothing of what was written.
    pub fn reboot(&mut self, now_ms: u64, down_ms: u64) {
        let (energy, full, empty) = (self.energy, self.full, self.empty);
        *self =
            Battery { energy, full, empty, down_until_ms: now_ms + down_ms, quiet_since_ms: now_ms, ..Battery::new(self.params.clone()) };
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

/// The physics.
impl Battery {
    /// Its own control looks at its meter: `grid_mw` is the true power of its phase, `share` the number of batteries that do the same.
    pub fn see_own_meter(&mut self, now_ms: u64, grid_mw: i64, share: i64) {
        let (discharge_w, charge_w) = self.limits_w(now_ms);
        let target = self.power_mw + grid_mw / share.max(1);
        self.own_target_mw = target.clamp(-i64::from(charge_w) * 1000, i64::from(discharge_w) * 1000);
    }

    /// Whether its own control decides at this time.
    pub fn on_own_meter(&self, now_ms: u64) -> bool {
        valid(self.applied, now_ms) == Control::OwnMeter
    }

    /// Once per second: what its management does about full and empty, and whether there is anything left to live on.
    pub fn manage(&mut self) {
        let capacity = self.params.capacity_wh.saturating_mul(1000).saturating_mul(UNITS_PER_MWH);
        let floor = capacity / 1000 * i64::from(self.params.floor_pm);
        self.full = self.energy >= if self.full { capacity - capacity / 200 } else { capacity };
        self.empty = self.energy <= if self.empty { floor + capacity / 100 } else { floor };
        self.drain = if self.energy > 0 { self.params.standby_mw * 1000 } else { 0 };
    }

    /// When something changes by itself: a command arrives or expires, or it is up again; in ms.
    pub fn next_event_ms(&self, now_ms: u64) -> u64 {
        let due = self.in_flight.front().map_or(u64::MAX, |(at, _)| *at);
        let expiry = match self.applied {
            Control::Commanded { until_ms, .. } if until_ms > now_ms => until_ms,
            _ => u64::MAX,
        };
        let up = if self.down_until_ms > now_ms { self.down_until_ms } else { u64::MAX };
        due.min(expiry).min(up)
    }

    /// Whether its power stays as it is until the next event.
    pub fn is_settled(&self, now_ms: u64) -> bool {
        self.next_power(now_ms) == self.power_mw
    }

    /// Takes in what is due at this time.
    pub fn arrive(&mut self, now_ms: u64) {
        self.apply(valid(self.applied, now_ms));
        while let Some((_, control)) = self.in_flight.front().copied().filter(|(due, _)| *due <= now_ms) {
            self.in_flight.pop_front();
            self.apply(valid(control, now_ms));
        }
    }

    /// Its own control starts from the power it finds.
    fn apply(&mut self, control: Control) {
        if control == Control::OwnMeter && self.applied != Control::OwnMeter {
            self.own_target_mw = self.power_mw;
        }
        self.applied = control;
    }

    /// One step of `STEP_MS`, or `steps` equal ones when it is settled.
    pub fn advance(&mut self, now_ms: u64, steps: u64) {
        self.power_mw = self.next_power(now_ms);
        if self.power_mw.abs() > QUIET_MW {
            self.quiet_since_ms = now_ms + (steps - 1) * STEP_MS;
        }
        let stored = match self.power_mw {
            p if p < 0 => -p * i64::from(self.params.charge_efficiency_pm),
            p => -p * 1_000_000 / i64::from(self.params.discharge_efficiency_pm.max(1)),
        };
        self.energy += (stored - self.drain) * steps as i64;
    }

    fn target_mw(&self, now_ms: u64) -> i64 {
        if !self.on || !self.is_up(now_ms) {
            return 0;
        }
        let wanted = match valid(self.applied, now_ms) {
            Control::OwnMeter => self.own_target_mw,
            Control::Commanded { power_w, .. } if power_w.abs() > 1 => {
                (power_w.clamp(-100_000, 100_000) + self.params.tracking_bias_w) * 1000
            }
            Control::Commanded { .. } => 0,
        };
        let most = if self.empty || !self.params.remote_discharge && !self.on_own_meter(now_ms) { 0 } else { self.params.max_discharge_w };
        let least = if self.full { 0 } else { self.params.max_charge_w };
        wanted.clamp(-least * 1000, most * 1000)
    }

    /// First-order lag by Euler's rule; a difference too small to move it is closed at once, so that it comes to rest.
    fn next_power(&self, now_ms: u64) -> i64 {
        if !self.is_up(now_ms) {
            return 0;
        }
        let missing = self.target_mw(now_ms) - self.power_mw;
        let lagged = match missing * STEP_MS as i64 / (self.params.tau_ms.max(STEP_MS) as i64) {
            0 => missing,
            part => part,
        };
        // Watts per second are ten milliwatts per step.
        let ramp = self.params.ramp_w_per_s.map_or(i64::MAX, |w| w.max(1).saturating_mul(10));
        self.power_mw + lagged.clamp(-ramp, ramp)
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
