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
    /// Energy in the battery now, Wh.
    StoredEnergy,
    /// Energy in the battery when it is full, Wh.
    FullEnergy,
    /// State of health, 0.1 %.
    Soh,
    /// Voltage of the pack, mV.
    PackVoltage,
    /// Current of the pack, mA, discharge positive.
    PackCurrent,
    /// Most current the pack may be charged with, mA.
    ChargeLimit,
    /// Most current the pack may be discharged with, mA.
    DischargeLimit,
    /// Voltage of the highest cell, mV.
    CellVoltageMax,
    /// Voltage of the lowest cell, mV.
    CellVoltageMin,
    /// Temperature of the hottest cell, °C.
    CellTemperatureMax,
    /// Temperature of the coldest cell, °C.
    CellTemperatureMin,
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
    /// Reactive power at the grid connection, all phases, var.
    GridReactive,
    /// Apparent power at the grid connection, all phases, VA.
    GridApparent,
    /// Power factor at the grid connection, thousandths.
    PowerFactor,
    /// Energy imported so far, Wh.
    GridImport,
    /// Energy exported so far, Wh.
    GridExport,
    /// Current of a charger on one phase, mA.
    ChargerCurrentOf(usize),
    /// Power of a charger, W.
    ChargerPower,
    /// Energy of the charging session, Wh.
    SessionEnergy,
    /// The limit that a charger keeps to now, mA.
    ChargerInForce,
    /// The limit that was written to a charger last, mA.
    ChargerLimit,
    /// The largest limit that a charger was set up for, mA.
    ChargerMost,
    /// The limit to which a charger falls when it is left alone, mA.
    ChargerFallback,
    /// After this silence a charger counts as left alone, s.
    ChargerTimeout,
}

/// More power than any site that this program is for, W: a battery of megawatts is told from a wrong register, no more. What is possible
/// at this site is for the core to judge.
const MOST_W: i64 = 5_000_000;
/// More energy than any meter counts, Wh.
const MOST_WH: i64 = 1_000_000_000_000_000;
/// More current than any charger deals with, mA; 256 A is said in place of none (facts/p1-load-balancer.md 2.3).
const MOST_CHARGER_MA: i64 = 1_000_000;

/// Every quantity, with its name in profiles, the decimals of its integer, and its plausible range in units of the last decimal.
/// Values outside are unknown.
const TABLE: [(&str, Quantity, u32, i64, i64); 49] = [
    ("power_w", Quantity::Power, 0, -MOST_W, MOST_W),
    ("soc_pct", Quantity::Soc, 1, 0, 1000),
    ("state", Quantity::State, 0, i64::MIN, i64::MAX),
    ("event", Quantity::Event, 0, i64::MIN, i64::MAX),
    ("temperature_c", Quantity::Temperature, 0, -60, 150),
    ("charge_available_w", Quantity::ChargeAvailable, 0, 0, MOST_W),
    ("discharge_available_w", Quantity::DischargeAvailable, 0, 0, MOST_W),
    ("reference_power_w", Quantity::ReferencePower, 0, 1, MOST_W),
    ("capacity_wh", Quantity::Capacity, 0, 1, 100_000_000),
    ("stored_energy_wh", Quantity::StoredEnergy, 0, 0, 100_000_000),
    ("full_energy_wh", Quantity::FullEnergy, 0, 1, 100_000_000),
    ("soh_pct", Quantity::Soh, 1, 0, 1000),
    ("pack_voltage_v", Quantity::PackVoltage, 3, 0, 3_000_000),
    ("pack_current_a", Quantity::PackCurrent, 3, -10_000_000, 10_000_000),
    ("charge_limit_a", Quantity::ChargeLimit, 3, 0, 10_000_000),
    ("discharge_limit_a", Quantity::DischargeLimit, 3, 0, 10_000_000),
    ("cell_voltage_max_v", Quantity::CellVoltageMax, 3, 0, 6_000),
    ("cell_voltage_min_v", Quantity::CellVoltageMin, 3, 0, 6_000),
    ("cell_temperature_max_c", Quantity::CellTemperatureMax, 0, -60, 150),
    ("cell_temperature_min_c", Quantity::CellTemperatureMin, 0, -60, 150),
    ("grid_power_w", Quantity::GridPower, 0, -MOST_W, MOST_W),
    ("grid_power_l1_w", Quantity::GridPowerOf(0), 0, -MOST_W, MOST_W),
    ("grid_power_l2_w", Quantity::GridPowerOf(1), 0, -MOST_W, MOST_W),
    ("grid_power_l3_w", Quantity::GridPowerOf(2), 0, -MOST_W, MOST_W),
    ("grid_current_l1_a", Quantity::GridCurrentOf(0), 3, -10_000_000, 10_000_000),
    ("grid_current_l2_a", Quantity::GridCurrentOf(1), 3, -10_000_000, 10_000_000),
    ("grid_current_l3_a", Quantity::GridCurrentOf(2), 3, -10_000_000, 10_000_000),
    ("grid_voltage_l1_v", Quantity::GridVoltageOf(0), 3, 0, 500_000),
    ("grid_voltage_l2_v", Quantity::GridVoltageOf(1), 3, 0, 500_000),
    ("grid_voltage_l3_v", Quantity::GridVoltageOf(2), 3, 0, 500_000),
    ("grid_reactive_l1_var", Quantity::GridReactiveOf(0), 0, -MOST_W, MOST_W),
    ("grid_reactive_l2_var", Quantity::GridReactiveOf(1), 0, -MOST_W, MOST_W),
    ("grid_reactive_l3_var", Quantity::GridReactiveOf(2), 0, -MOST_W, MOST_W),
    ("frequency_hz", Quantity::Frequency, 3, 10_000, 100_000),
    ("grid_reactive_var", Quantity::GridReactive, 0, -MOST_W, MOST_W),
    ("grid_apparent_va", Quantity::GridApparent, 0, 0, MOST_W),
    ("power_factor", Quantity::PowerFactor, 3, -1000, 1000),
    ("grid_import_wh", Quantity::GridImport, 0, 0, MOST_WH),
    ("grid_export_wh", Quantity::GridExport, 0, 0, MOST_WH),
    ("charger_current_l1_a", Quantity::ChargerCurrentOf(0), 3, 0, MOST_CHARGER_MA),
    ("charger_current_l2_a", Quantity::ChargerCurrentOf(1), 3, 0, MOST_CHARGER_MA),
    ("charger_current_l3_a", Quantity::ChargerCurrentOf(2), 3, 0, MOST_CHARGER_MA),
    ("charger_power_w", Quantity::ChargerPower, 0, 0, MOST_W),
    ("session_energy_wh", Quantity::SessionEnergy, 0, 0, 100_000_000),
    ("charger_limit_in_force_a", Quantity::ChargerInForce, 3, 0, MOST_CHARGER_MA),
    ("charger_limit_a", Quantity::ChargerLimit, 3, 0, MOST_CHARGER_MA),
    ("charger_most_a", Quantity::ChargerMost, 3, 6_000, MOST_CHARGER_MA),
    ("charger_fallback_a", Quantity::ChargerFallback, 3, 0, MOST_CHARGER_MA),
    ("charger_timeout_s", Quantity::ChargerTimeout, 0, 0, 65_535),
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

    /// It describes the battery, not the grid connection, and not a charger.
    pub fn is_battery(self) -> bool {
        !self.is_total() && !self.is_phase() && !self.is_beside_phases() && !self.is_charger()
    }

    /// It describes a charger.
    fn is_charger(self) -> bool {
        use Quantity::*;
        let limit = matches!(self, ChargerInForce | ChargerLimit | ChargerMost | ChargerFallback | ChargerTimeout);
        limit || matches!(self, ChargerCurrentOf(_) | ChargerPower | SessionEnergy)
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

    /// It moves all the time in a meter that measures. Counters do not belong to it: they may go on where nothing is measured any more.
    pub fn is_lively_with_phases(self) -> bool {
        self.is_phase() || self == Quantity::Frequency
    }

    /// It is read with the phases: they themselves, and what mostly lies beside them.
    pub fn is_read_with_phases(self) -> bool {
        self.is_phase() || self.is_beside_phases() || self == Quantity::Frequency
    }

    /// It describes the grid connection, and nothing is decided by it.
    fn is_beside_phases(self) -> bool {
        use Quantity::*;
        matches!(self, GridReactive | GridApparent | PowerFactor | GridImport | GridExport)
    }

    fn row(self) -> &'static (&'static str, Quantity, u32, i64, i64) {
        TABLE.iter().find(|row| row.1 == self).unwrap_or(&TABLE[2])
    }
}
