//! What the control task says: states and alarms in words, and a line in the log for each of their changes. Decides nothing.

use super::ControlTask;
use crate::config::fixed_to_text;
use crate::control::alarm::Alarm;
use crate::control::input::Implausible;
use crate::control::ladder::Mode;
use crate::schedule::{Now, Said, Schedule};

impl ControlTask {
    /// An alarm in words.
    pub fn name_of(&self, alarm: Alarm) -> String {
        let battery = |k: usize| self.config.batteries.get(k).map_or("?", |b| b.name.as_str());
        match alarm {
            Alarm::MeterLost => "meter: no good data".into(),
            Alarm::MeterFrozen => "meter: frozen, it answers but no longer measures".into(),
            Alarm::MeterImplausible(what) => format!("meter: values that cannot be ({})", implausible(what)),
            Alarm::FuseOverload(phase) => format!("fuse {phase}: overload"),
            Alarm::BatteryLost(k) => format!("battery {}: no usable data", battery(k)),
            Alarm::NotFollowed(k) => format!("battery {}: command not followed", battery(k)),
            Alarm::WritesFail(k) => format!("battery {}: writes fail", battery(k)),
            Alarm::SignWrong(k) => format!("battery {}: wrong sign, the grid power moves the wrong way", battery(k)),
            Alarm::BmsLost(k) => format!("battery {}: BMS Comm Loss", battery(k)),
            Alarm::PhaseWrong(k, phase) => format!("battery {}: wrong phase, it works on {phase}", battery(k)),
        }
    }

    /// One line per change of state.
    pub(super) fn say_what_changed(&mut self) {
        let mode = mode_name(self.decision().mode);
        if mode != self.said_mode {
            let reason = self.reason();
            let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            match self.decision().mode {
                Mode::Init | Mode::Run { .. } => log::info!("site: {mode}{reason}"),
                _ => log::warn!("site: {mode}{reason}"),
            }
            self.said_mode = mode;
        }
        let active: Vec<Alarm> = self.active_alarms().map(|a| a.0).collect();
        if active != self.said_alarms {
            for alarm in active.iter().filter(|a| !self.said_alarms.contains(a)) {
                log::warn!("alarm: {}", self.name_of(*alarm));
            }
            for alarm in self.said_alarms.iter().filter(|a| !active.contains(a)) {
                log::info!("alarm over: {}", self.name_of(*alarm));
            }
            self.said_alarms = active;
        }
    }
}

/// Which value it was.
fn implausible(what: Implausible) -> String {
    let volts = |mv| fixed_to_text(mv, 3);
    match what {
        Implausible::Nothing => "neither a total nor phases".into(),
        Implausible::Total { power_w } => format!("{power_w} W in all"),
        Implausible::Power { phase, power_w } => format!("{phase}: {power_w} W"),
        Implausible::ReactivePower { phase, reactive_var } => format!("{phase}: {reactive_var} var"),
        Implausible::Voltage { phase, voltage_mv } => format!("{phase}: {} V", volts(voltage_mv)),
        Implausible::NotConnected { phase, power_w, voltage_mv } => {
            format!("{phase}: {power_w} W at {} V although a battery is connected there", volts(voltage_mv))
        }
    }
}

/// One line for what ends and one for what begins.
pub(super) fn say_schedule(schedule: &Schedule, before: Option<Now>, now: Now) {
    let window = |index: usize| schedule.windows.get(index).map_or_else(String::new, |w| format!("{w}: {}", Said(w.action)));
    if let Some(Now::Active(index)) = before {
        log::info!("schedule: the window {} is over", window(index));
    }
    match now {
        Now::Active(index) => log::info!("schedule: the window {} has begun", window(index)),
        Now::ClockNotSet => log::warn!("schedule: {CLOCK_NOT_SET}"),
        Now::Nothing if before == Some(Now::ClockNotSet) => log::info!("schedule: the wall clock is set now, no window is active"),
        Now::Nothing => {}
    }
}

/// For log and status.
pub(in crate::daemon) const CLOCK_NOT_SET: &str = "the wall clock was never set, so no window is active; a time server would set it";

/// The site's state in one word.
pub fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Init => "init",
        Mode::Run { .. } => "run",
        Mode::Hold { .. } => "hold",
        Mode::Ramp => "ramp",
        Mode::Fallback => "fallback",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Phase;

    #[test]
    fn a_value_that_cannot_be_is_said_with_its_unit() {
        let phase = Phase::L3;
        let said = [
            Implausible::Nothing,
            Implausible::Total { power_w: -500_000 },
            Implausible::Power { phase, power_w: 99_999 },
            Implausible::ReactivePower { phase, reactive_var: -99_999 },
            Implausible::Voltage { phase, voltage_mv: 120_500 },
            Implausible::NotConnected { phase, power_w: -3, voltage_mv: 250 },
        ]
        .map(implausible);
        let expected = [
            "neither a total nor phases",
            "-500000 W in all",
            "L3: 99999 W",
            "L3: -99999 var",
            "L3: 120.5 V",
            "L3: -3 W at 0.25 V although a battery is connected there",
        ];
        assert_eq!(said, expected);
    }
}
