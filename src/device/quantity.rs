//! The quantities a profile can give, with the unit of their integers.

/// What a point means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Quantity {
    /// AC power of the battery, W, discharge positive.
    Power,
    /// State of charge, 0.1 %.
    Soc,
    /// Operating state, a code with names.
    State,
    /// Event or fault, a code with names.
    Event,
    /// Cell temperature, °C.
    Temperature,
    /// Charge power the device can take now, W.
    ChargeAvailable,
    /// Discharge power the device can give now, W.
    DischargeAvailable,
    /// Power that a relative setpoint of 100 % stands for, W.
    ReferencePower,
    /// Energy, Wh.
    Capacity,
    /// Power at the grid connection, all phases, W, import positive.
    GridPower,
    /// The same of one phase (0, 1, 2).
    GridPowerOf(usize),
    /// Current of one phase, mA, a magnitude.
    GridCurrentOf(usize),
    /// Voltage of one phase to neutral, mV.
    GridVoltageOf(usize),
    /// Reactive power of one phase, var.
    GridReactiveOf(usize),
    /// Grid frequency, mHz.
    Frequency,
}

/// Every quantity, with its name in profiles, the decimals of its integer, and its plausible range in units of the last decimal.
/// Values outside are unknown.
const TABLE: [(&str, Quantity, u32, i64, i64); 23] = [
    ("power_w", Quantity::Power, 0, -60_000, 60_000),
    ("soc_pct", Quantity::Soc, 1, 0, 1000),
    ("state", Quantity::State, 0, i64::MIN, i64::MAX),
    ("event", Quantity::Event, 0, i64::MIN, i64::MAX),
    ("temperature_c", Quantity::Temperature, 0, -60, 150),
    ("charge_available_w", Quantity::ChargeAvailable, 0, 0, 1_000_000),
    ("discharge_available_w", Quantity::DischargeAvailable, 0, 0, 1_000_000),
    ("reference_power_w", Quantity::ReferencePower, 0, 1, 1_000_000),
    ("capacity_wh", Quantity::Capacity, 0, 1, 10_000_000),
    ("grid_power_w", Quantity::GridPower, 0, -1_000_000, 1_000_000),
    ("grid_power_l1_w", Quantity::GridPowerOf(0), 0, -1_000_000, 1_000_000),
    ("grid_power_l2_w", Quantity::GridPowerOf(1), 0, -1_000_000, 1_000_000),
    ("grid_power_l3_w", Quantity::GridPowerOf(2), 0, -1_000_000, 1_000_000),
    ("grid_current_l1_a", Quantity::GridCurrentOf(0), 3, -2_000_000, 2_000_000),
    ("grid_current_l2_a", Quantity::GridCurrentOf(1), 3, -2_000_000, 2_000_000),
    ("grid_current_l3_a", Quantity::GridCurrentOf(2), 3, -2_000_000, 2_000_000),
    ("grid_voltage_l1_v", Quantity::GridVoltageOf(0), 3, 0, 500_000),
    ("grid_voltage_l2_v", Quantity::GridVoltageOf(1), 3, 0, 500_000),
    ("grid_voltage_l3_v", Quantity::GridVoltageOf(2), 3, 0, 500_000),
    ("grid_reactive_l1_var", Quantity::GridReactiveOf(0), 0, -1_000_000, 1_000_000),
    ("grid_reactive_l2_var", Quantity::GridReactiveOf(1), 0, -1_000_000, 1_000_000),
    ("grid_reactive_l3_var", Quantity::GridReactiveOf(2), 0, -1_000_000, 1_000_000),
    ("frequency_hz", Quantity::Frequency, 3, 10_000, 100_000),
];

impl Quantity {
    /// Names as profiles write them, for a choice.
    pub fn names() -> Vec<(&'static str, Quantity)> {
        TABLE.iter().map(|row| (row.0, row.1)).collect()
    }

    /// The name in profiles.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// How many decimals its integer has: 3 means thousandths of the unit in the name.
    pub fn decimals(self) -> u32 {
        self.row().2
    }

    /// Whether a value can be true at all.
    pub fn is_plausible(self, value: i64) -> bool {
        let (.., lo, hi) = *self.row();
        (lo..=hi).contains(&value)
    }

    /// It describes the battery, not the grid connection.
    pub fn is_battery(self) -> bool {
        !self.is_total() && !self.is_phase()
    }

    /// It belongs to the frequent reading of the meter.
    pub fn is_total(self) -> bool {
        matches!(self, Quantity::GridPower | Quantity::Frequency)
    }

    /// It belongs to the rarer per-phase reading of the meter.
    pub fn is_phase(self) -> bool {
        use Quantity::*;
        matches!(self, GridPowerOf(_) | GridCurrentOf(_) | GridVoltageOf(_) | GridReactiveOf(_))
    }

    /// It is read with the phases: they themselves, and the frequency that mostly lies beside them.
    pub fn is_read_with_phases(self) -> bool {
        self.is_phase() || self == Quantity::Frequency
    }

    fn row(self) -> &'static (&'static str, Quantity, u32, i64, i64) {
        TABLE.iter().find(|row| row.1 == self).unwrap_or(&TABLE[2])
    }
}
