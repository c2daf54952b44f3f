//! How well informed the controller was: samples, window, fallbacks, and writes that only say again what was said (control.md 5.2).
//!
//! Fed with what was seen of it in each second.

use std::collections::BTreeMap;

use super::kpi::Mode;
use super::site::WriteEvent;

/// What a new sample of the meter was good for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sampled {
    /// It told the load exactly.
    Used,
    /// The batteries may have moved when it was taken: it only bounded the load.
    Held,
}

/// What was seen of the controller in a second.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// The newest sample, where a new one came.
    pub sample: Option<Sampled>,
    /// How old a value of the meter may be, as the controller believes, ms.
    pub window_ms: Option<(u64, u64)>,
    /// Whether that window was learned.
    pub learned: bool,
    /// How old the value that the meter shows is in truth, ms.
    pub meter_age_ms: Option<u64>,
    /// How old the newest good sample is, ms.
    pub data_age_ms: Option<u64>,
    /// What was written.
    pub written: Vec<WriteEvent>,
}

/// The figures so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Quality {
    /// Seconds with a new sample that was used.
    pub used: u64,
    /// Seconds with a new sample that was held.
    pub held: u64,
    /// Writes that repeated what the register was told last.
    pub heartbeats: u64,
    /// All writes.
    pub writes: u64,
    /// Seconds in which the true age of the meter's value lay inside the window, and in which both were known.
    pub covered: (u64, u64),
    /// The window at the end, ms, and whether it was learned.
    pub window_ms: Option<(u64, u64, bool)>,
    /// The longest time from the last good sample to the fallback, ms.
    pub fallback_ms: Option<u64>,
    told: BTreeMap<(usize, u8, u16), u16>,
    mode: Mode,
}

/// At most so many registers are watched; a controller writes to a handful of each battery.
const MAX_REGISTERS: usize = 4096;

impl Quality {
    /// Takes in a second.
    pub fn second(&mut self, seen: &Seen, mode: Mode) {
        match seen.sample {
            Some(Sampled::Used) => self.used += 1,
            Some(Sampled::Held) => self.held += 1,
            None => {}
        }
        if let (Some((low, high)), Some(age), Mode::Run) = (seen.window_ms, seen.meter_age_ms, mode) {
            self.covered.0 += u64::from((low..=high).contains(&age));
            self.covered.1 += 1;
        }
        if let Some((low, high)) = seen.window_ms {
            self.window_ms = Some((low, high, seen.learned));
        }
        if mode == Mode::Fallback && self.mode != Mode::Fallback {
            self.fallback_ms = self.fallback_ms.max(seen.data_age_ms);
        }
        self.mode = mode;
        seen.written.iter().for_each(|event| self.write(event));
    }

    fn write(&mut self, event: &WriteEvent) {
        self.writes += 1;
        let key = (event.battery, event.unit, event.address);
        if let Some(value) = self.told.get_mut(&key) {
            self.heartbeats += u64::from(*value == event.value);
            *value = event.value;
        } else if self.told.len() < MAX_REGISTERS {
            self.told.insert(key, event.value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_seen_is_counted() {
        let event = |value| WriteEvent { at_ms: 0, battery: 0, unit: 64, address: 41, value };
        let mut quality = Quality::default();
        let seen = |sample, age, written| Seen {
            sample,
            window_ms: Some((500, 1500)),
            meter_age_ms: Some(age),
            data_age_ms: Some(age * 100),
            written,
            learned: true,
        };
        quality.second(&seen(Some(Sampled::Used), 600, vec![event(5), event(5), event(6)]), Mode::Run);
        quality.second(&seen(Some(Sampled::Held), 400, vec![event(6)]), Mode::Run);
        quality.second(&seen(None, 600, vec![]), Mode::Fallback);
        quality.second(&seen(None, 900, vec![]), Mode::Fallback);
        assert_eq!((quality.used, quality.held, quality.covered), (1, 1, (1, 2)));
        assert_eq!((quality.heartbeats, quality.writes), (2, 4));
        assert_eq!((quality.fallback_ms, quality.window_ms), (Some(60_000), Some((500, 1500, true))));
    }
}
