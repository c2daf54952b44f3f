//! What a battery management system says: the authority on what the cells allow.

use super::decode::Registers;
use super::profile::Profile;

/// Parts of a profile that only a BMS has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BmsParts {
    /// Must be polled at least this often, ms; its own watchdog counts on it.
    pub longest_poll_ms: Option<u32>,
    /// A register that must change while the BMS lives, as on the wire (SunSpec 802 `Hb`).
    pub alive_at: Option<u16>,
    /// A register that we count up once a second, as on the wire, written with function 16 (SunSpec 802 `CtrlHb`).
    pub heartbeat_at: Option<u16>,
    /// First of six registers: year, month, day, hour, minute, second.
    pub clock_at: Option<u16>,
    /// Counters of 16 bits that wrap: name and register.
    pub counters: Vec<(String, u16)>,
    /// Two registers that contradict each other.
    pub contradictions: Vec<Contradiction>,
    /// Sub-units (clusters) whose limits are summed.
    pub group: Option<Group>,
    /// The registers are those of this SunSpec model, counted from its id register; the model is looked for.
    pub sunspec_model: Option<u16>,
}

/// It is to be told when register `address` holds `value` and bit `bit` of register `bit_address` is not set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contradiction {
    /// In words.
    pub name: String,
    /// As on the wire.
    pub address: u16,
    /// The code.
    pub value: u16,
    /// As on the wire.
    pub bit_address: u16,
    /// 0 to 15.
    pub bit: u8,
}

/// Sub-units, each with the same registers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// First register of the first one.
    pub base: u16,
    /// From one to the next.
    pub stride: u16,
    /// How many there are at most.
    pub count: u16,
    /// A register whose bits say which of the first 16 are in operation.
    pub running_at: u16,
    /// Charge limit of one: distance from its first register, 0.1 A.
    pub charge_limit: u16,
    /// Discharge limit of one: distance from its first register, 0.1 A.
    pub discharge_limit: u16,
}

/// What one poll of a BMS brought; `None` is unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BmsValues {
    /// Charging is not forbidden.
    pub may_charge: bool,
    /// Discharging is not forbidden.
    pub may_discharge: bool,
    /// State of charge, 0.1 %.
    pub soc_pm: Option<i64>,
    /// State of health, 0.1 %.
    pub soh_pm: Option<i64>,
    /// Voltage of the pack, mV.
    pub voltage_mv: Option<i64>,
    /// Current of the pack, mA, discharge positive.
    pub current_ma: Option<i64>,
    /// Most current it may be charged with, mA, ≥ 0.
    pub charge_limit_ma: Option<i64>,
    /// Most current it may be discharged with, mA, ≥ 0.
    pub discharge_limit_ma: Option<i64>,
    /// Highest and lowest cell voltage, mV.
    pub cell_mv: (Option<i64>, Option<i64>),
    /// Highest and lowest cell temperature, °C.
    pub cell_c: (Option<i64>, Option<i64>),
    /// The register that must change.
    pub alive: Option<u16>,
    /// Its clock, in seconds since 1970 as if it showed UTC.
    pub clock_s: Option<i64>,
    /// Its counters, in the order of the profile.
    pub counters: Vec<Option<u16>>,
    /// What someone should know, in words.
    pub notices: Vec<String>,
    /// Every status register in words: name, and what it says.
    pub shown: Vec<(String, String)>,
}

/// Decodes a poll.
pub fn read(_profile: &Profile, _registers: &Registers) -> BmsValues {
    BmsValues::default()
}
