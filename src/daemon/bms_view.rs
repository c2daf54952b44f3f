//! The BMS of one battery as the control thread knows it: for log and status. Decides nothing.

use super::health::{Health, Notices};
use super::message::BmsReport;
use crate::control::bms::{Bms, Contact};
use crate::control::input::BmsSample;
use crate::serve::document::{BmsStatus, thousandths};
use crate::units::{Span, Time};

/// What was reported so far.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct BmsView {
    health: Health,
    /// The newest report, and the newest one that said something.
    report: Option<BmsReport>,
    spoken: Option<BmsReport>,
    notices: Notices,
}

impl BmsView {
    /// Of the battery with this name.
    pub fn new(battery: &str) -> BmsView {
        let name = format!("battery {battery}: BMS");
        BmsView { health: Health::new(name.clone()), report: None, spoken: None, notices: Notices::new(name) }
    }

    /// Takes a report.
    pub fn take(&mut self, report: BmsReport) {
        self.health.note(report.fault.as_ref(), report.at);
        if let Some((_, seen)) = &report.said {
            self.notices.note(&seen.notices, report.at);
            self.spoken = Some(report.clone());
        }
        self.report = Some(report);
    }

    /// What the newest report allows.
    pub fn newest_sample(&self) -> Option<BmsSample> {
        self.report.as_ref().and_then(|r| r.sample)
    }

    /// What someone should know, with its name, and since when.
    pub fn notices(&self) -> impl Iterator<Item = (String, Time)> + '_ {
        self.notices.named()
    }

    /// How much someone should know.
    pub fn notice_count(&self) -> usize {
        self.notices.count()
    }

    /// For the status document. `fresh`: up to this age it is heard.
    pub fn status(&self, bms: &Bms, device: &str, fresh: Span, now: Time) -> BmsStatus {
        let age = bms.newest().map(|s| now.since(s.taken));
        let normal = bms.contact() == Contact::Heard && age.is_some_and(|a| a <= fresh);
        let fault = self.report.as_ref().and_then(|r| r.fault.as_ref());
        let mut status = BmsStatus {
            device: device.to_owned(),
            state: if normal { "Normal" } else { "Disconnected" },
            fault: fault.map_or_else(String::new, ToString::to_string),
            age_ms: age.map(Span::as_ms),
            ..BmsStatus::default()
        };
        // Too old is unknown, never the last value.
        let Some((values, seen)) = self.spoken.as_ref().filter(|r| now.since(r.at) <= fresh).and_then(|r| r.said.as_ref()) else {
            return status;
        };
        let tenths = |pm: Option<i64>| pm.map(|pm| pm as f64 / 10.0);
        status.soc_pct = tenths(values.soc_pm);
        status.soh_pct = tenths(values.soh_pm);
        status.voltage_v = values.voltage_mv.map(thousandths);
        status.current_a = values.current_ma.map(thousandths);
        status.charge_limit_a = seen.charge_limit_ma.map(thousandths);
        status.discharge_limit_a = seen.discharge_limit_ma.map(thousandths);
        status.charge_allowed = Some(values.may_charge);
        status.discharge_allowed = Some(values.may_discharge);
        status.cell_voltage_max_v = values.cell_mv.0.map(thousandths);
        status.cell_voltage_min_v = values.cell_mv.1.map(thousandths);
        (status.cell_temperature_max_c, status.cell_temperature_min_c) = values.cell_c;
        status.counters.extend(seen.counters.iter().cloned());
        status.clock_drift_s = seen.clock_drift_s;
        status.status.extend(values.shown.iter().cloned());
        status.notices.clone_from(&seen.notices);
        status
    }
}
