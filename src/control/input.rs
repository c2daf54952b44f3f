//! What goes into the core: samples of the meter and the batteries, each with the time at which it was taken.

use crate::units::{Phase, Time};

/// No phase and no battery of a household has more power, W (`spec/control.md` 2.6); [`Site`](super::site::Site) knows larger ones.
pub const PLAUSIBLE_W: i64 = 60_000;
/// No battery of a household has more power, W: three SAX units have 13,800 W (facts/sax.md 1.3), and a register of theirs that holds nothing
/// says 16,384 W, because that is its offset.
pub const PLAUSIBLE_BATTERY_W: i64 = 15_000;
/// Plausible voltages, mV (2.6).
const PLAUSIBLE_MV: std::ops::RangeInclusive<i64> = 180_000..=265_000;
/// A phase with less and without power is not connected, mV.
const ABSENT_MV: i64 = 50_000;

/// One answer of the meter.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct MeterSample {
    /// When the answer arrived.
    pub taken: Time,
    /// Power of all phases, W, import positive.
    pub total_w: Option<i64>,
    /// The phases, where this answer holds them. `None` means that they were not asked for, or not given.
    pub phases: Option<[PhaseSample; 3]>,
    /// The phases ought to have come with this sample (their period is over, or the total has moved) and did not.
    pub phases_missing: bool,
    /// The phases were not measured: they are the total, apportioned.
    pub phases_apportioned: bool,
    /// Digest of the raw registers of the total.
    pub total_print: u64,
    /// Digest of the raw registers of the phases, where they were read.
    pub phase_print: Option<u64>,
    /// The phase registers hold voltages or the frequency, which are never constant for long in a living meter.
    pub phase_print_is_lively: bool,
}

impl MeterSample {
    /// Whether it can be true where no phase has more power than `most_w`. A phase without voltage and power is not connected, unless a
    /// battery is connected to it.
    pub fn is_plausible(&self, used_phases: [bool; 3], most_w: i64) -> bool {
        self.implausible(used_phases, most_w).is_none()
    }

    /// The first of its values that cannot be true; see [`is_plausible`](MeterSample::is_plausible).
    pub fn implausible(&self, used_phases: [bool; 3], most_w: i64) -> Option<Implausible> {
        if self.total_w.is_none() && self.phases.is_none() {
            return Some(Implausible::Nothing);
        }
        let total = self.total_w.filter(|w| !is_within(*w, 3 * most_w)).map(|power_w| Implausible::Total { power_w });
        total.or_else(|| {
            let phases = self.phases.as_ref()?;
            Phase::ALL.into_iter().find_map(|phase| phases[phase.index()].implausible(phase, used_phases[phase.index()], most_w))
        })
    }
}

impl PhaseSample {
    /// Current that the active power alone stands for, mA, a magnitude; `nominal_mv` where the meter gives no voltage that could carry it.
    pub fn current_by_power_ma(&self, nominal_mv: i64) -> i64 {
        let voltage_mv = self.voltage_mv.filter(|v| *v >= ABSENT_MV).unwrap_or(nominal_mv).max(1);
        self.power_w.saturating_abs().saturating_mul(1_000_000) / voltage_mv
    }

    /// Current of the phase, mA, a magnitude: as the meter gives it, or what its power stands for where that is more.
    pub fn most_current_ma(&self, nominal_mv: i64) -> i64 {
        self.current_by_power_ma(nominal_mv).max(self.current_ma.unwrap_or(0).saturating_abs())
    }

    /// The same as a load, mA: a phase that exports is none.
    pub fn load_ma(&self, nominal_mv: i64) -> u32 {
        if self.power_w < 0 { 0 } else { u32::try_from(self.most_current_ma(nominal_mv)).unwrap_or(u32::MAX) }
    }

    fn implausible(&self, phase: Phase, used: bool, most_w: i64) -> Option<Implausible> {
        let PhaseSample { power_w, reactive_var, .. } = *self;
        if !is_within(power_w, most_w) {
            return Some(Implausible::Power { phase, power_w });
        }
        if !is_within(reactive_var, most_w) {
            return Some(Implausible::ReactivePower { phase, reactive_var });
        }
        let voltage_mv = self.voltage_mv.filter(|v| !PLAUSIBLE_MV.contains(v))?;
        match (is_within(power_w, 10) && (0..ABSENT_MV).contains(&voltage_mv), used) {
            (true, false) => None,
            (true, true) => Some(Implausible::NotConnected { phase, power_w, voltage_mv }),
            (false, _) => Some(Implausible::Voltage { phase, voltage_mv }),
        }
    }
}

/// Why an answer of the meter cannot be true, with the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Implausible {
    /// It has neither a total nor phases.
    Nothing,
    /// More power of all phases together than fuses and batteries have.
    Total {
        /// W, import positive.
        power_w: i64,
    },
    /// More power than the fuse and the batteries have.
    Power {
        /// Where.
        phase: Phase,
        /// W, import positive.
        power_w: i64,
    },
    /// More reactive power than the fuse and the batteries have.
    ReactivePower {
        /// Where.
        phase: Phase,
        /// var.
        reactive_var: i64,
    },
    /// No grid has this voltage.
    Voltage {
        /// Where.
        phase: Phase,
        /// mV.
        voltage_mv: i64,
    },
    /// Neither voltage nor power, as of a phase that is not connected, but a battery is on it.
    NotConnected {
        /// Where.
        phase: Phase,
        /// W, import positive.
        power_w: i64,
        /// mV.
        voltage_mv: i64,
    },
}

/// One phase of the grid connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PhaseSample {
    /// Active power, W, import positive.
    pub power_w: i64,
    /// Reactive power, var; 0 where unknown.
    pub reactive_var: i64,
    /// Voltage, mV.
    pub voltage_mv: Option<i64>,
    /// Current as the meter gives it, mA, mostly a magnitude.
    pub current_ma: Option<i64>,
}

/// One answer of a battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatterySample {
    /// When the answer arrived.
    pub taken: Time,
    /// AC power, W, discharge positive.
    pub power_w: i64,
    /// State of charge, 0.1 %.
    pub soc_pm: i64,
    /// The device's state allows charging.
    pub may_charge: bool,
    /// The device's state allows discharging.
    pub may_discharge: bool,
    /// Charge power that the device says it can take now, W.
    pub charge_available_w: Option<i64>,
    /// Discharge power that the device says it can give now, W.
    pub discharge_available_w: Option<i64>,
    /// Cell temperature, °C.
    pub temperature_c: Option<i64>,
}

impl BatterySample {
    /// Whether it can be true of a battery that never has more power than `most_w`.
    pub fn is_plausible(&self, most_w: i64) -> bool {
        is_within(self.power_w, most_w) && (0..=1000).contains(&self.soc_pm)
    }
}

/// One answer of the battery management system of a battery: the authority on what its cells allow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BmsSample {
    /// When the answer arrived.
    pub taken: Time,
    /// It allows charging.
    pub may_charge: bool,
    /// It allows discharging.
    pub may_discharge: bool,
    /// Most power it may be charged with, W, ≥ 0; `None`: it does not say, so none.
    pub charge_limit_w: Option<i64>,
    /// Most power it may be discharged with, W, ≥ 0; `None`: it does not say, so none.
    pub discharge_limit_w: Option<i64>,
    /// State of charge, 0.1 %, where it gives one.
    pub soc_pm: Option<i64>,
}

impl BmsSample {
    /// Whether it can be true.
    pub fn is_plausible(&self) -> bool {
        let limits = [self.charge_limit_w, self.discharge_limit_w].into_iter().flatten().all(|w| w >= 0);
        limits && self.soc_pm.is_none_or(|soc| (0..=1000).contains(&soc))
    }

    /// Charge and discharge power that it allows, W: a limit that is not given, and a direction that is forbidden, are no power.
    pub fn most_w(&self) -> (i64, i64) {
        let said_w = |may: bool, limit_w: Option<i64>| limit_w.filter(|_| may).unwrap_or(0).max(0);
        (said_w(self.may_charge, self.charge_limit_w), said_w(self.may_discharge, self.discharge_limit_w))
    }

    /// This answer, allowing nothing that `other` does not; age and state of charge stay.
    pub fn lowered_by(&self, other: &BmsSample) -> BmsSample {
        let smaller = |a: Option<i64>, b: Option<i64>| a.zip(b).map(|(a, b)| a.min(b));
        BmsSample {
            may_charge: self.may_charge && other.may_charge,
            may_discharge: self.may_discharge && other.may_discharge,
            charge_limit_w: smaller(self.charge_limit_w, other.charge_limit_w),
            discharge_limit_w: smaller(self.discharge_limit_w, other.discharge_limit_w),
            ..*self
        }
    }
}

/// Whether the magnitude of `x` is at most `most`, for any `x` at all.
fn is_within(x: i64, most: i64) -> bool {
    (-most..=most).contains(&x)
}

/// What came of a write to a battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// This setpoint, W, is being sent: from now on it may be in force.
    Sending(i64),
    /// The device acknowledged this setpoint, W.
    Setpoint(i64),
    /// The setpoint may or may not have reached the device.
    Unknown(i64),
    /// The device refused the write: it was not executed.
    Refused,
    /// Limits were written.
    Limits,
    /// A write that is needed, but is no setpoint, may or may not have reached the device.
    NotAcknowledged,
    /// Handed back to its own control.
    Released,
}
