//! What the control task knows, as the status document.

mod charging;

use super::control::{CLOCK_NOT_SET, ControlTask, mode_name};
use super::health::Notices;
use crate::config::{Role, Strategy};
use crate::control::decision::{BatteryDecision, Order};
use crate::control::demand::Action;
use crate::control::ladder::Mode;
use crate::schedule::{Now, Said};
use crate::serve::document::{
    Alarm, Battery, BatteryLearned, BmsStatus, Document, Errors, Limits, Meter, MeterLearned, Phase, Schedule, Site, thousandths,
};
use crate::units::{self, Span, Time};

/// How every reason begins that is an old sample of the meter; its age follows.
pub(super) const NO_METER_DATA: &str = "no good meter data";

impl ControlTask {
    /// The status at `now`.
    pub fn document(&self, now: Time) -> Document {
        let said = |(name, since): (String, Time)| Alarm { name, since_s: now.since(since).as_s() };
        let alarms = self.active_alarms().map(|(a, since)| Alarm { name: self.name_of(a), since_s: now.since(since).as_s() });
        let dead = self.dead_threads.iter().map(|t| Alarm { name: format!("thread {t}: no sign of life"), since_s: 0 });
        let ports = self.closed_ports.iter().cloned().map(said);
        // Of the last whole answer: what a lost frame left out is no message of the battery.
        let notices = self.battery_notices.iter().flat_map(Notices::named).map(said);
        let of_bms = self.bmses.iter().flat_map(|view| view.notices()).map(said);
        Document {
            version: env!("CARGO_PKG_VERSION"),
            site: self.site(now),
            meter: self.meter_status(now),
            batteries: (0..self.batteries.len()).map(|k| self.battery(k, now)).collect(),
            load_balancer: self.load_balancer(),
            chargers: self.chargers(now),
            schedule: self.schedule(),
            alarms: alarms.chain(dead).chain(ports).chain(notices).chain(of_bms).chain(self.charging_alarms(now)).collect(),
            errors: self.links.iter().map(|l| (format!("link {}", l.name), errors(l.counters))).collect(),
        }
    }

    /// Why the site is in its state, in words; empty when it simply runs.
    pub fn reason(&self) -> String {
        let decision = self.decision();
        let age = decision.meter_age.map_or_else(|| "any time".to_owned(), |a| a.to_string());
        if self.config.meter.is_none() {
            return "nothing to connect to: the configuration has no [meter] and no [[battery]]".into();
        }
        match decision.mode {
            Mode::Run { .. } if self.config.site.strategy == Strategy::Observe => "strategy \"observe\": nothing is written".into(),
            Mode::Run { .. } => String::new(),
            Mode::Init => {
                let (good, needed) = decision.progress;
                let unheard =
                    self.config.batteries.iter().zip(&self.batteries).filter(|(_, v)| v.report.as_ref().is_none_or(|r| r.sample.is_none()));
                match unheard.map(|(b, _)| b.name.as_str()).collect::<Vec<_>>().join(", ") {
                    names if good >= needed && !names.is_empty() => format!("waiting for the first answer of battery {names}"),
                    _ => match self.meter.as_ref().and_then(|m| m.fault.as_ref()) {
                        Some(fault) => format!("waiting for the meter: {fault}"),
                        None => format!("waiting for good meter samples, {good} of {needed} so far"),
                    },
                }
            }
            Mode::Ramp | Mode::Fallback if decision.meter_age.is_some_and(|a| a <= self.core.site().ladder.hold) => {
                let (good, needed) = decision.progress;
                format!("the meter is back: {good} of {needed} good samples in a row so far")
            }
            Mode::Hold { .. } => format!("{NO_METER_DATA} for {age}: commands are kept{}", self.meter_fault()),
            Mode::Ramp => format!("{NO_METER_DATA} for {age}: on the way to the fallback{}", self.meter_fault()),
            Mode::Fallback => format!("{NO_METER_DATA} for {age}{}", self.meter_fault()),
        }
    }

    fn meter_fault(&self) -> String {
        self.meter.as_ref().and_then(|m| m.fault.as_ref()).map_or_else(String::new, |f| format!(" ({f})"))
    }

    fn site(&self, now: Time) -> Site {
        let observe = self.config.site.strategy == Strategy::Observe;
        Site {
            name: self.config.site.name.clone(),
            state: if observe { "observe" } else { mode_name(self.decision().mode) },
            reason: self.reason(),
            strategy: self.config.site.strategy.name(),
            balance: self.config.site.balance.name(),
            grid_target_w: match self.demand.action {
                Some(Action::GridTarget(w)) => w,
                _ => self.core.site().target_w,
            },
            limits: self.limits(),
            remote: self.remote(now),
            uptime_s: now.as_ms() / 1000,
        }
    }

    fn limits(&self) -> Limits {
        let (limits, strategy) = (self.core.site().limits, self.config.site.strategy);
        let recharge_below_w = match strategy {
            Strategy::PeakShaving { recharge_below_w } => Some(recharge_below_w.into()),
            Strategy::SelfConsumption | Strategy::Limits | Strategy::Observe => None,
        };
        Limits { import_w: limits.import_w, recharge_below_w, export_w: limits.export_w, unbalance_va: limits.unbalance_va }
    }

    fn schedule(&self) -> Option<Schedule> {
        let schedule = self.config.schedule.as_ref()?;
        let active = if let Some(Now::Active(index)) = self.scheduled { schedule.windows.get(index) } else { None };
        Some(Schedule {
            timezone: schedule.zone.name().to_owned(),
            active: active.map(|window| window.to_string()),
            action: active.map(|window| Said(window.action).to_string()),
            reason: if self.scheduled == Some(Now::ClockNotSet) { CLOCK_NOT_SET } else { "" },
        })
    }

    fn meter_status(&self, now: Time) -> Meter {
        Meter {
            device: self.meter.as_ref().map_or_else(String::new, |m| m.device.clone()),
            age_ms: self.core.last_good().map(|t| now.since(t).as_ms()),
            power_w: self.known_total_w(now),
            frequency_hz: self.known_frequency_mhz(now).map(thousandths),
            import_wh: self.energies.import_wh,
            export_wh: self.energies.export_wh,
            phases: units::Phase::ALL.iter().map(|p| self.phase(*p, now)).collect(),
            learned: self.meter_learned(),
        }
    }

    fn meter_learned(&self) -> MeterLearned {
        let learned = self.core.learned();
        MeterLearned {
            window_ms: [learned.window.lo.as_ms(), learned.window.hi.as_ms()],
            averaging_ms: learned.averaging.as_ms(),
            movements: learned.movements,
        }
    }

    fn phase(&self, phase: units::Phase, now: Time) -> Phase {
        let (sample, current) = self.known_phase(phase, now).unzip();
        let decision = &self.decision().phases[phase.index()];
        Phase {
            phase: phase.to_string(),
            power_w: sample.map(|s| s.power_w),
            current_a: current.map(thousandths),
            voltage_v: sample.and_then(|s| s.voltage_mv).map(thousandths),
            fuse_headroom_a: current.map(|c| thousandths(i64::from(self.config.site.fuse_ma) - c)),
            age_ms: self.phases_at.map(|t| now.since(t).as_ms()),
            load_w: decision.load_w,
        }
    }

    fn bms(&self, k: usize, now: Time) -> Option<BmsStatus> {
        let (bms, ages) = (self.core.bms_state(k)?, self.core.site().batteries[k].bms?);
        let device = self.config.batteries[k].bms.as_ref().map_or("", |b| b.device.as_str());
        Some(self.bmses[k].status(bms, device, ages.fresh, now))
    }

    fn battery(&self, k: usize, now: Time) -> Battery {
        let (b, view) = (&self.config.batteries[k], &self.batteries[k]);
        let decision = &self.decision().batteries[k];
        // Of what is too old the age is still told.
        let (age, sample) = (self.battery_age(k, now), self.known_battery(k, now));
        let (charge, discharge) = limits(decision);
        let state = view.report.as_ref().and_then(|r| r.state.clone());
        Battery {
            name: b.name.clone(),
            device: view.report.as_ref().map(|r| r.device.clone()).filter(|d| !d.is_empty()).unwrap_or_else(|| b.device.clone()),
            role: if b.role == Role::Master { "master" } else { "slave" },
            phase: b.phase.to_string(),
            state: if self.battery_answers(k, now) { state.unwrap_or_else(|| "on".into()) } else { "no answer".into() },
            age_ms: age.map(|a| a.as_ms()),
            soc_pct: sample.map(|s| s.soc_pm as f64 / 10.0),
            power_w: sample.map(|s| s.power_w),
            setpoint_w: match decision.order {
                Order::Setpoint { watts, .. } => Some(watts),
                _ => None,
            },
            charge_limit_w: charge,
            discharge_limit_w: discharge,
            limited_by: if decision.reason.limits() { decision.reason.to_string() } else { String::new() },
            reason: decision.reason.to_string(),
            writes: view.writes,
            last_write: view.last_write.as_ref().map(|w| w.1.clone()),
            last_write_age_ms: view.last_write.as_ref().map(|w| now.since(w.0).as_ms()),
            bms: self.bms(k, now),
            learned: self.core.learned().batteries.get(k).map_or_else(BatteryLearned::default, |learned| BatteryLearned {
                scale: thousandths(learned.scale_pm),
                response_ms: learned.response.map(Span::as_ms),
            }),
        }
    }
}

fn limits(decision: &BatteryDecision) -> (Option<i64>, Option<i64>) {
    match decision.order {
        Order::Limits { charge_w, discharge_w, .. } => (Some(charge_w), Some(discharge_w)),
        _ if decision.capability.is_excluded() => (None, None),
        _ => (Some(decision.capability.charge_w), Some(decision.capability.discharge_w)),
    }
}

fn errors(c: crate::link::Counters) -> Errors {
    Errors {
        requests: c.requests,
        timeout: c.timeout,
        crc: c.crc,
        short: c.short,
        wrong_unit: c.wrong_unit,
        exception: c.exception,
        invalid: c.invalid,
        io: c.io,
    }
}
