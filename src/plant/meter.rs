//! The smart meter at the grid connection: late, periodic, averaging, noisy, and sometimes stuck.
//!
//! A reading at a time is the newest refresh that is older than the latency. Never looks ahead and never reads a clock; the site hands
//! it the true powers and their integrals (control.md 1.1).

use std::collections::VecDeque;

use super::rng::Rng;

/// How the meter behaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MeterParams {
    /// Time between refreshes in ms, a multiple of 10 from 10 on.
    pub period_ms: u64,
    /// Time of the first refresh in ms.
    pub phase_ms: u64,
    /// From refresh to visibility, in ms.
    pub latency_ms: u64,
    /// Length of the average in ms, at most the period; 0 for the momentary value.
    pub window_ms: u64,
    /// Standard deviation of the noise in W.
    pub noise_w: i64,
    /// A refresh becomes visible up to this much later than after the latency, in ms, at random; never before an earlier one.
    pub jitter_ms: u64,
}

impl Default for MeterParams {
    fn default() -> MeterParams {
        MeterParams { period_ms: 1000, phase_ms: 0, latency_ms: 600, window_ms: 0, noise_w: 5, jitter_ms: 0 }
    }
}

/// What the meter says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MeterReading {
    /// When it was taken, in ms of the site.
    pub taken_ms: u64,
    /// Power of each phase in W, import positive.
    pub power_w: [i64; 3],
    /// Voltage of each phase against neutral in mV.
    pub voltage_mv: [i64; 3],
    /// Frequency in mHz.
    pub frequency_mhz: i64,
}

impl MeterReading {
    /// Power of all phases in W, import positive.
    pub fn total_w(&self) -> i64 {
        self.power_w.iter().sum()
    }

    /// Current of each phase in mA, a magnitude, at power factor 1.
    pub fn current_ma(&self) -> [i64; 3] {
        std::array::from_fn(|k| self.power_w[k].abs() * 1_000_000 / self.voltage_mv[k].max(1))
    }
}

/// The meter.
#[derive(Clone, Debug)]
pub struct Meter {
    params: MeterParams,
    rng: Rng,
    next_ms: u64,
    window_from: Option<[i64; 3]>,
    /// With the time from which on each is visible, in ms.
    readings: VecDeque<(u64, MeterReading)>,
    frozen: Option<MeterReading>,
}

/// At most this many readings on their way; older ones are dropped.
const MAX_ON_THE_WAY: usize = 4096;

impl Meter {
    /// A meter that says 0 W until its first refresh is visible.
    pub fn new(params: MeterParams, number: u64) -> Meter {
        let period_ms = (params.period_ms / 10).max(1) * 10;
        let params = MeterParams {
            period_ms,
            phase_ms: params.phase_ms / 10 * 10,
            window_ms: (params.window_ms / 10 * 10).min(period_ms),
            ..params
        };
        let silence = MeterReading { taken_ms: 0, power_w: [0; 3], voltage_mv: [230_000; 3], frequency_mhz: 50_000 };
        let next_ms = params.phase_ms;
        Meter { params, rng: Rng::new(number, "meter"), next_ms, window_from: None, readings: VecDeque::from([(0, silence)]), frozen: None }
    }

    /// The newest reading that is visible at this time.
    pub fn reading(&self, now_ms: u64) -> MeterReading {
        let newest = self.readings.iter().rev().find(|r| r.0 <= now_ms).or(self.readings.front());
        self.frozen.or(newest.map(|r| r.1)).unwrap_or(MeterReading { taken_ms: 0, power_w: [0; 3], voltage_mv: [0; 3], frequency_mhz: 0 })
    }

    /// Stops it at what it says at this time, or lets it go on.
    pub fn freeze(&mut self, now_ms: u64, frozen: bool) {
        self.frozen = frozen.then(|| self.reading(now_ms));
    }

    /// From now on it is this late.
    pub fn set_latency_ms(&mut self, latency_ms: u64) {
        self.params.latency_ms = latency_ms;
    }

    /// When it next wants [`Meter::visit`], in ms.
    pub fn next_event_ms(&self) -> u64 {
        match self.window_from {
            None if self.params.window_ms > 0 => self.next_ms.saturating_sub(self.params.window_ms),
            _ => self.next_ms,
        }
    }

    /// Lets it look at the true powers in mW and at their integrals in mW times 10 ms, if it is time.
    pub fn visit(&mut self, now_ms: u64, grid_mw: [i64; 3], integral: [i64; 3]) {
        if now_ms >= self.next_ms {
            self.refresh(now_ms, grid_mw, integral);
            self.next_ms += self.params.period_ms;
            self.window_from = None;
        }
        if self.window_from.is_none() && now_ms >= self.next_event_ms() {
            self.window_from = Some(integral);
        }
    }

    fn refresh(&mut self, now_ms: u64, grid_mw: [i64; 3], integral: [i64; 3]) {
        let steps = (self.params.window_ms / 10) as i64;
        let seen_mw = match self.window_from {
            Some(from) if steps > 0 => std::array::from_fn(|k| (integral[k] - from[k]) / steps),
            _ => grid_mw,
        };
        let power_w = seen_mw.map(|mw| (mw + self.rng.gauss(self.params.noise_w * 1000) + 500).div_euclid(1000));
        // 0.25 ohm to the transformer: export lifts the voltage, import lowers it.
        let voltage_mv = power_w.map(|w| (230_500 + self.rng.gauss(300) - w * 1000 / 920).clamp(180_000, 265_000));
        let frequency_mhz = 50_000 + self.rng.gauss(12);
        let late_ms = if self.params.jitter_ms > 0 { self.rng.range(0, self.params.jitter_ms as i64).unsigned_abs() } else { 0 };
        let visible_ms = (now_ms + self.params.latency_ms + late_ms).max(self.readings.back().map_or(0, |r| r.0));
        self.readings.push_back((visible_ms, MeterReading { taken_ms: now_ms, power_w, voltage_mv, frequency_mhz }));
        while self.readings.len() > MAX_ON_THE_WAY || self.readings.get(1).is_some_and(|r| r.0 <= now_ms) {
            self.readings.pop_front();
        }
    }
}
