//! What our registers show of the site and its batteries: facts of the moment, as the status tells them. Decides nothing.

use super::ControlTask;
use crate::config::Strategy;
use crate::control::alarm::Alarm;
use crate::control::capability::{Capability, Cause};
use crate::control::ladder::Mode;
use crate::serve::registers::list::BATTERIES_MOST;
use crate::serve::registers::remote::RemoteState;
use crate::serve::registers::view::{AlarmBit, Alarms, BatteryState, BatteryView, SiteState, SiteView};
use crate::units::{Phase, Span, Time};

impl ControlTask {
    pub(super) fn site_view(&self, now: Time) -> SiteView {
        let phases = Phase::ALL.map(|phase| self.known_phase(phase, now));
        let phase_w = phases.map(|p| p.map(|(sample, _)| sample.power_w));
        let sum = |of: fn(&crate::config::Battery) -> i32| self.config.batteries.iter().map(|b| i64::from(of(b))).sum();
        let (charge_w, discharge_w) = self.allowed_w();
        let (power_w, soc_pm) = self.batteries_together(now);
        SiteView {
            state: self.site_state(),
            alarms: self.alarms(now),
            meter_age_s: self.core.last_good().map(|t| seconds(now.since(t))),
            grid_w: self.known_total_w(now).or_else(|| phase_w.into_iter().sum()),
            phase_w,
            phase_ma: phases.map(|p| p.map(|(_, current_ma)| current_ma)),
            frequency_mhz: self.known_frequency_mhz(now),
            power_w,
            soc_pm,
            capacity_wh: sum(|b| b.capacity_wh),
            charge_w,
            discharge_w,
            rated_charge_w: sum(|b| b.max_charge_w),
            rated_discharge_w: sum(|b| b.max_discharge_w),
            batteries: i64::try_from(self.config.batteries.len()).unwrap_or(i64::MAX),
        }
    }

    /// The batteries that have registers.
    pub(super) fn battery_views(&self, now: Time) -> Vec<BatteryView> {
        let mut alarms = [0; BATTERIES_MOST];
        for (alarm, _) in self.active_alarms() {
            let (bit, k) = place(alarm);
            if let Some(bits) = k.and_then(|k| alarms.get_mut(k)) {
                *bits |= bit.mask();
            }
        }
        (0..self.batteries.len()).zip(alarms).map(|(k, alarms)| self.battery_view(k, alarms, now)).collect()
    }

    fn battery_view(&self, k: usize, mut alarms: u16, now: Time) -> BatteryView {
        if self.own_messages(k) > 0 {
            alarms |= AlarmBit::OwnMessage.mask();
        }
        let sample = self.known_battery(k, now);
        let capability = self.decision().batteries.get(k).map(|b| b.capability).unwrap_or_default();
        let usable = if self.site_state().is_working() { capability } else { Capability::default() };
        BatteryView {
            power_w: sample.map(|s| s.power_w),
            soc_pm: sample.map(|s| s.soc_pm),
            state: match capability.charge_cause {
                _ if !self.battery_answers(k, now) => BatteryState::NoAnswer,
                Cause::NoData | Cause::Distrusted | Cause::BmsUnheard | Cause::BmsLost => BatteryState::LeftOut,
                _ => BatteryState::InUse,
            },
            charge_w: usable.charge_w,
            discharge_w: usable.discharge_w,
            age_s: self.battery_age(k, now).map(seconds),
            alarms,
        }
    }

    fn site_state(&self) -> SiteState {
        match self.decision().mode {
            _ if self.config.site.strategy == Strategy::Observe => SiteState::Observe,
            Mode::Init => SiteState::Init,
            Mode::Run { .. } => SiteState::Run,
            Mode::Hold { .. } => SiteState::Hold,
            Mode::Ramp => SiteState::Ramp,
            Mode::Fallback => SiteState::Fallback,
        }
    }

    /// What the batteries may be charged and discharged with now, W: what they can and may do, as far as the fuses leave it. What another
    /// controller asks for does not count: it would take its own limit for the batteries'.
    fn allowed_w(&self) -> (i64, i64) {
        if !self.site_state().is_working() {
            return (0, 0);
        }
        let decision = self.decision();
        let plans = decision.phases.iter().map(|p| &p.plan).chain([&decision.three_phase]);
        let fuses = plans.fold((0, 0), |sum, p| (sum.0 + (-p.policy_lo).max(0), sum.1 + p.policy_hi.max(0)));
        let caps = decision.batteries.iter().map(|b| &b.capability);
        let able = caps.fold((0, 0), |sum, c| (sum.0 + c.charge_w, sum.1 + c.discharge_w));
        (fuses.0.min(able.0), fuses.1.min(able.1))
    }

    /// Power, W, and state of charge, 0.1 %, of the batteries that are heard.
    fn batteries_together(&self, now: Time) -> (Option<i64>, Option<i64>) {
        let (mut heard, mut power_w, mut energy, mut capacity) = (false, 0, 0, 0);
        for (k, battery) in self.config.batteries.iter().enumerate() {
            if let Some(sample) = self.known_battery(k, now) {
                let weight = i64::from(battery.capacity_wh).max(1);
                heard = true;
                power_w += sample.power_w;
                energy += sample.soc_pm * weight;
                capacity += weight;
            }
        }
        (heard.then_some(power_w), heard.then(|| (energy + capacity / 2) / capacity))
    }

    fn alarms(&self, now: Time) -> Alarms {
        let mut alarms = Alarms::default();
        for (alarm, _) in self.active_alarms() {
            alarms.add(place(alarm).0, 1);
        }
        alarms.add(AlarmBit::ThreadDead, self.dead_threads.len());
        let chargers = || self.charging.iter().flat_map(|c| &c.chargers);
        let lost = chargers().filter(|c| c.is_lost(now)).count();
        alarms.add(AlarmBit::Charger, chargers().map(|c| c.notices.count()).sum::<usize>() + lost);
        let dropped = self.remote_command().is_some_and(|r| r.state() == RemoteState::Dropped);
        alarms.add(AlarmBit::RemoteLost, dropped.into());
        alarms.add(AlarmBit::OwnMessage, (0..self.batteries.len()).map(|k| self.own_messages(k)).sum());
        alarms
    }

    /// How much battery `k` and its BMS report themselves.
    fn own_messages(&self, k: usize) -> usize {
        self.battery_notices.get(k).map_or(0, |n| n.count()) + self.bmses.get(k).map_or(0, |b| b.notice_count())
    }
}

/// The bit that shows an alarm, and the battery that it is about.
fn place(alarm: Alarm) -> (AlarmBit, Option<usize>) {
    match alarm {
        Alarm::MeterLost => (AlarmBit::MeterLost, None),
        Alarm::MeterFrozen => (AlarmBit::MeterFrozen, None),
        Alarm::MeterImplausible(_) => (AlarmBit::MeterImplausible, None),
        Alarm::FuseOverload(_) => (AlarmBit::FuseOverload, None),
        Alarm::BatteryLost(k) => (AlarmBit::BatteryLost, Some(k)),
        Alarm::NotFollowed(k) => (AlarmBit::NotFollowed, Some(k)),
        Alarm::WritesFail(k) => (AlarmBit::WritesFail, Some(k)),
        Alarm::SignWrong(k) => (AlarmBit::SignWrong, Some(k)),
        Alarm::PhaseWrong(k, _) => (AlarmBit::PhaseWrong, Some(k)),
        Alarm::BmsLost(k) => (AlarmBit::BmsLost, Some(k)),
    }
}

fn seconds(span: Span) -> i64 {
    i64::try_from(span.as_s()).unwrap_or(i64::MAX)
}
