//! What the control task says: states and alarms in words, and a line in the log for each of their changes. Decides nothing.

use std::mem::{Discriminant, discriminant};

use log::Level;

use super::ControlTask;
use crate::config::fixed_to_text;
use crate::control::alarm::Alarm;
use crate::control::input::Implausible;
use crate::control::ladder::Mode;
use crate::daemon::calm::Calm;
use crate::schedule::Said as Words;
use crate::schedule::{Now, Schedule};
use crate::units::Time;

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

    /// One line per change of state, and fewer where it changes again and again.
    pub(super) fn say_what_changed(&mut self, now: Time) {
        self.say_mode(now);
        let mut said = std::mem::take(&mut self.said.alarms);
        said.retain(|(_, calm)| !calm.is_forgotten(now));
        for (alarm, calm) in &mut said {
            if self.active_alarms().all(|(active, _)| key(active) != key(*alarm)) && calm.is_over() {
                log::info!("alarm over: {}", self.name_of(*alarm));
            }
        }
        for (alarm, _) in self.active_alarms().filter(|(alarm, _)| !is_said_elsewhere(*alarm)) {
            let known = said.iter().position(|(known, _)| key(*known) == key(alarm)).unwrap_or_else(|| {
                said.push((alarm, Calm::default()));
                said.len() - 1
            });
            if let Some(again) = said.get_mut(known).and_then(|(_, calm)| calm.holds(now)) {
                log::log!(level(alarm), "alarm: {}{again}", self.name_of(alarm));
            }
        }
        self.said.alarms = said;
    }

    fn say_mode(&mut self, now: Time) {
        let mode = mode_name(self.decision().mode);
        for (_, calm) in self.said.bad_modes.iter_mut().filter(|(bad, _)| *bad != mode) {
            // Its end is said as the next state, where it was said itself.
            calm.is_over();
        }
        let bad = self.said.bad_modes.iter_mut().find(|(bad, _)| *bad == mode);
        let is_bad = bad.is_some();
        let again = match bad {
            Some((_, calm)) => calm.holds(now),
            None => (mode != self.said.mode).then(String::new),
        };
        let Some(again) = again else { return };
        let reason = self.reason();
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        let level = if is_bad { Level::Warn } else { Level::Info };
        log::log!(level, "site: {mode}{reason}{again}");
        self.said.mode = mode;
    }
}

/// What the log says.
pub(super) struct Said {
    /// The mode that was said last.
    mode: &'static str,
    /// Modes that should not be.
    bad_modes: [(&'static str, Calm); 3],
    /// Alarms, also those that are over; one of each kind for each battery or phase.
    alarms: Vec<(Alarm, Calm)>,
}

impl Default for Said {
    fn default() -> Said {
        Said { mode: "", bad_modes: ["hold", "ramp", "fallback"].map(|mode| (mode, Calm::default())), alarms: Vec::new() }
    }
}

/// The same alarm with another value is no news.
fn key(alarm: Alarm) -> (Discriminant<Alarm>, usize) {
    let of = match alarm {
        Alarm::MeterLost | Alarm::MeterFrozen | Alarm::MeterImplausible(_) => 0,
        Alarm::FuseOverload(phase) => phase.index(),
        Alarm::BatteryLost(k) | Alarm::NotFollowed(k) | Alarm::WritesFail(k) | Alarm::SignWrong(k) | Alarm::BmsLost(k) => k,
        Alarm::PhaseWrong(k, _) => k,
    };
    (discriminant(&alarm), of)
}

/// The state of the site says that the meter is lost, and the health of a battery that its writes fail, and why.
fn is_said_elsewhere(alarm: Alarm) -> bool {
    matches!(alarm, Alarm::MeterLost | Alarm::WritesFail(_))
}

/// What does not go away by itself is an error: somebody must look.
fn level(alarm: Alarm) -> Level {
    match alarm {
        Alarm::MeterFrozen | Alarm::NotFollowed(_) | Alarm::SignWrong(_) | Alarm::PhaseWrong(..) | Alarm::BmsLost(_) => Level::Error,
        Alarm::MeterLost | Alarm::MeterImplausible(_) | Alarm::FuseOverload(_) | Alarm::BatteryLost(_) | Alarm::WritesFail(_) => {
            Level::Warn
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
    let window = |index: usize| schedule.windows.get(index).map_or_else(String::new, |w| format!("{w}: {}", Words(w.action)));
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
