//! How a battery moves: target, lag, ramp, energy, and what its management forbids. Integers only.

use super::{Battery, Control, STEP_MS, UNITS_PER_MWH, valid};

/// Beyond this it has no power to speak of.
const QUIET_MW: i64 = 10_000;

impl Battery {
    /// Its own control looks at its meter: `grid_mw` is the true power of its phase (or of all three), `share` the number of batteries that do the same.
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
            Control::OwnMeter if !self.params.own_meter => 0,
            Control::OwnMeter => self.own_target_mw,
            Control::Commanded { power_w, .. } if power_w.abs() > 1 => {
                (power_w.clamp(-100_000, 100_000) + self.params.tracking_bias_w) * 1000
            }
            Control::Commanded { .. } => 0,
        };
        let (discharge_w, charge_w) = self.ability_w();
        let most = if self.empty || !self.params.remote_discharge && !self.on_own_meter(now_ms) { 0 } else { discharge_w };
        let least = if self.full { 0 } else { charge_w };
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
