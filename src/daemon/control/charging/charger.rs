//! One charger in the control task: what it is told, and what it said. What is too old is unknown. Decides nothing.

use crate::balancer::gate::{Gate, Rules, Told};
use crate::config::Charger;
use crate::daemon::calm::Calm;
use crate::daemon::charger::{ChargerReport, ChargerValues, amperes};
use crate::daemon::health::{Health, Notices};
use crate::daemon::message::WriteReport;
use crate::units::{Span, Time};

/// What a charger said counts for so many of its polls.
const POLLS: u64 = 3;
/// More than this is drawn by a car, mA: meters have an offset.
const DRAWS_MA: u32 = 1_000;

/// What the control task knows of a charger.
pub struct ChargerView {
    pub(in crate::daemon) name: String,
    pub(in crate::daemon) gate: Gate,
    /// The newest report.
    pub(in crate::daemon) report: Option<ChargerReport>,
    /// What it said last, and when, as far as it said anything.
    pub(in crate::daemon) known: Option<(Time, ChargerValues)>,
    /// Acknowledged writes.
    pub(in crate::daemon) writes: u64,
    /// The newest write.
    pub(in crate::daemon) last_write: Option<(Time, String)>,
    pub(in crate::daemon) notices: Notices,
    /// How long what it said counts.
    age: Span,
    /// Pausing comes and goes.
    paused: Calm,
    /// It was told a current before.
    was_on: bool,
    health: Health,
    write_health: Health,
}

impl ChargerView {
    /// A charger that was not heard yet.
    pub(super) fn new(config: &Charger) -> ChargerView {
        let name = format!("charger {}", config.name);
        let rules = Rules {
            min_current_ma: config.min_current_ma,
            min_pause: Span::from_s(config.min_pause_s.into()),
            min_run: Span::from_s(config.min_run_s.into()),
        };
        ChargerView {
            name: config.name.clone(),
            gate: Gate::new(rules),
            report: None,
            known: None,
            writes: 0,
            last_write: None,
            notices: Notices::new(name.clone()),
            paused: Calm::default(),
            was_on: false,
            age: Span::from_ms(config.poll_ms.into()).times(POLLS),
            write_health: Health::new(format!("{name}: writing")),
            health: Health::new(name),
        }
    }

    /// What it said, unless that is too old.
    pub(in crate::daemon) fn values(&self, now: Time) -> Option<&ChargerValues> {
        self.known.as_ref().filter(|(at, _)| now.since(*at) <= self.age).map(|(_, values)| values)
    }

    /// It was asked in vain, and what it said before is too old.
    pub(in crate::daemon) fn is_lost(&self, now: Time) -> bool {
        self.report.as_ref().is_some_and(|r| r.fault.is_some()) && self.values(now).is_none()
    }

    /// Whether a car is connected; `None`: unknown.
    pub(in crate::daemon) fn connected(&self, now: Time) -> Option<bool> {
        self.values(now)?.connected
    }

    /// Whether it may be drawing current.
    pub(super) fn may_draw(&self, now: Time) -> bool {
        self.gate.may_draw(self.draws(now), now)
    }

    /// Whether it draws current, by what it said since it is told to go on.
    fn draws(&self, now: Time) -> Option<bool> {
        let Told::Runs { since, .. } = self.gate.told() else { return Some(false) };
        let values = self.values(now).filter(|_| self.known.as_ref().is_some_and(|(at, _)| *at > since))?;
        let flows = values.current_ma.iter().flatten().max().map(|ma| *ma > DRAWS_MA);
        if flows == Some(true) { flows } else { values.charging.or(flows) }
    }

    /// Its share of the limit goes through its gate; what changes is said where it is `told`.
    pub(super) fn pass(&mut self, share_ma: u32, forced: bool, told: bool, now: Time) {
        let limit_ma = self.gate.pass(share_ma, forced, now);
        if !told {
            return;
        }
        if limit_ma > 0 {
            if self.paused.is_over() || !self.was_on {
                log::info!("charger {}: may draw {}", self.name, amperes(limit_ma));
            }
            self.was_on = true;
        } else if self.was_on {
            if let Some(again) = self.paused.holds(now) {
                let min = amperes(self.gate.min_current_ma());
                log::info!("charger {}: paused, {} are left for it and it needs {min}{again}", self.name, amperes(share_ma));
            }
        }
    }

    /// It was asked.
    pub(super) fn take(&mut self, report: ChargerReport) {
        self.health.note(report.fault.as_ref(), report.at);
        if let Some(values) = &report.values {
            self.notices.note(&values.notices, report.at);
            self.known = Some((report.at, values.clone()));
        }
        // What it is stays known while it does not answer.
        let device = Some(report.device.clone()).filter(|d| !d.is_empty());
        let device = device.or_else(|| self.report.as_ref().map(|r| r.device.clone())).unwrap_or_default();
        self.report = Some(ChargerReport { device, ..report });
    }

    /// A limit was written to it, or may have been.
    pub(super) fn take_written(&mut self, report: WriteReport) {
        self.write_health.note(report.fault.as_ref(), report.at);
        log::debug!("charger {}: {}{}", self.name, report.what, if report.fault.is_some() { ", not acknowledged" } else { "" });
        if report.fault.is_none() {
            self.writes = self.writes.saturating_add(1);
            self.last_write = Some((report.at, report.what));
        }
    }
}
