//! What goes into the core: samples of the meter and the batteries, each with the time at which it was taken.

use crate::units::Time;

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
    /// Digest of the raw registers of the total.
    pub total_print: u64,
    /// Digest of the raw registers of the phases, where they were read.
    pub phase_print: Option<u64>,
    /// The phase registers hold voltages or the frequency, which are never constant for long in a living meter.
    pub phase_print_is_lively: bool,
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

/// What came of a write to a battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// The device acknowledged this setpoint, W.
    Setpoint(i64),
    /// The setpoint may or may not have reached the device.
    Unknown(i64),
    /// The device refused the write: it was not executed.
    Refused,
    /// Limits were written.
    Limits,
    /// Limits may or may not have reached the device.
    LimitsUnknown,
    /// Handed back to its own control.
    Released,
}
