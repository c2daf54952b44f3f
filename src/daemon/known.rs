//! What the control task knows at a moment, for all who show it: what is too old is unknown, never the last value.

use super::control::ControlTask;
use crate::control::input::{BatterySample, PhaseSample};
use crate::units::{Phase, Span, Time};

/// The frequency is read with the phases, which come every minute at least.
const FREQUENCY_AGE: Span = Span::from_s(90);

impl ControlTask {
    /// Power of all phases as the meter gives it, W.
    pub(super) fn known_total_w(&self, now: Time) -> Option<i64> {
        let report = self.meter.as_ref().filter(|m| now.since(m.at) <= self.core.site().ladder.hold)?;
        report.sample.and_then(|s| s.total_w)
    }

    /// A phase, and its current, mA.
    pub(super) fn known_phase(&self, phase: Phase, now: Time) -> Option<(PhaseSample, i64)> {
        self.core.last_good().filter(|t| now.since(*t) <= self.core.site().ladder.ramp_start)?;
        let sample = self.core.phases()?[phase.index()];
        let nominal_mv = self.config.site.voltage_mv.into();
        Some((sample, sample.current_ma.map_or_else(|| sample.current_by_power_ma(nominal_mv), i64::saturating_abs)))
    }

    /// Frequency, mHz.
    pub(super) fn known_frequency_mhz(&self, now: Time) -> Option<i64> {
        self.frequency.filter(|f| now.since(f.1) <= FREQUENCY_AGE).map(|f| f.0)
    }

    /// How long ago battery `k` has said something usable.
    pub(super) fn battery_age(&self, k: usize, now: Time) -> Option<Span> {
        self.core.battery_sample(k).map(|s| now.since(s.taken))
    }

    /// What battery `k` says.
    pub(super) fn known_battery(&self, k: usize, now: Time) -> Option<&BatterySample> {
        let longest = self.core.site().batteries.get(k)?.exclude_age;
        self.core.battery_sample(k).filter(|s| now.since(s.taken) <= longest)
    }

    /// Whether battery `k` answers.
    pub(super) fn battery_answers(&self, k: usize, now: Time) -> bool {
        let report = self.batteries.get(k).and_then(|view| view.report.as_ref());
        let longest = self.core.site().batteries.get(k).map(|b| b.cap_age);
        report.is_some_and(|r| r.fault.is_none()) || self.battery_age(k, now).zip(longest).is_some_and(|(age, longest)| age <= longest)
    }
}
