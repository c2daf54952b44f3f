//! What a battery management system says: the authority on what the cells allow.

use super::decode::{Registers, value};
use super::profile::{Block, Profile};
use super::quantity::Quantity;
use super::status::{Judgement, judge};

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
    /// The settings that give `base`, `stride` and `count` instead; without them there is no group.
    pub from: [Option<String>; 3],
}

impl Group {
    /// The first registers of all of them that lie in the address space.
    pub fn firsts(&self) -> impl Iterator<Item = u16> {
        let (base, stride) = (u32::from(self.base), u32::from(self.stride));
        (0..u32::from(self.count)).filter_map(move |n| u16::try_from(base + n * stride).ok())
    }

    /// What may be read together for each of them.
    pub fn blocks(&self) -> impl Iterator<Item = Block> {
        let (low, high) = (self.charge_limit.min(self.discharge_limit), self.charge_limit.max(self.discharge_limit));
        let count = (high - low).saturating_add(1);
        let one = move |first: u16| Some(Block { function: 3, address: first.checked_add(low)?, count });
        self.firsts().filter_map(one).filter(|b| b.address.checked_add(b.count - 1).is_some())
    }

    /// The sum of a limit over those in operation, mA; `None` where one of them is unknown. What is not known to be in operation, as all
    /// beyond the sixteenth, gives nothing.
    fn sum(&self, registers: &Registers, limit: u16) -> Option<i64> {
        let running = registers.get(self.running_at)?;
        let mut sum_ma = 0;
        for (n, first) in self.firsts().take(16).enumerate() {
            if running >> n & 1 == 1 {
                let raw = registers.get(first.checked_add(limit)?)?;
                // All ones is what devices say where they know nothing.
                sum_ma += if raw == u16::MAX { return None } else { i64::from(raw) * 100 };
            }
        }
        Some(sum_ma)
    }
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
pub fn read(profile: &Profile, registers: &Registers) -> BmsValues {
    let get = |quantity| value(profile, registers, quantity);
    let Judgement { may_charge, may_discharge, mut notices, shown } = judge(profile, registers);
    let none = BmsParts::default();
    let parts = profile.bms.as_ref().unwrap_or(&none);
    notices.extend(parts.contradictions.iter().filter(|c| c.holds(registers)).map(|c| c.name.clone()));
    let limit = |quantity, by: fn(&Group) -> u16| get(quantity).or_else(|| parts.group.as_ref().and_then(|g| g.sum(registers, by(g))));
    BmsValues {
        may_charge,
        may_discharge,
        soc_pm: get(Quantity::Soc),
        soh_pm: get(Quantity::Soh),
        voltage_mv: get(Quantity::PackVoltage),
        current_ma: get(Quantity::PackCurrent),
        charge_limit_ma: limit(Quantity::ChargeLimit, |g| g.charge_limit),
        discharge_limit_ma: limit(Quantity::DischargeLimit, |g| g.discharge_limit),
        cell_mv: (get(Quantity::CellVoltageMax), get(Quantity::CellVoltageMin)),
        cell_c: (get(Quantity::CellTemperatureMax), get(Quantity::CellTemperatureMin)),
        alive: parts.alive_at.and_then(|at| registers.get(at)),
        clock_s: parts.clock_at.and_then(|at| clock(registers, at)),
        counters: parts.counters.iter().map(|(_, at)| registers.get(*at)).collect(),
        notices,
        shown,
    }
}

impl Contradiction {
    fn holds(&self, registers: &Registers) -> bool {
        let bit = registers.get(self.bit_address).map(|flags| u32::from(flags) >> self.bit & 1);
        registers.get(self.address) == Some(self.value) && bit == Some(0)
    }
}

/// Six registers, year to second, as seconds since 1970; `None` where they are no date and time.
fn clock(registers: &Registers, at: u16) -> Option<i64> {
    let part = |n: u16| registers.get(at.checked_add(n)?).map(i64::from);
    let (year, month, day) = (part(0)?, part(1)?, part(2)?);
    let (hour, minute, second) = (part(3)?, part(4)?, part(5)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if is_leap { 29 } else { 28 };
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let is_valid = (1970..=2199).contains(&year) && (1..=length).contains(&day) && hour < 24 && minute < 60 && second < 60;
    let before = year - 1;
    let leap_days = |y: i64| y / 4 - y / 100 + y / 400;
    let months: i64 = lengths.iter().take(usize::try_from(month - 1).ok()?).sum();
    let days = (year - 1970) * 365 + leap_days(before) - leap_days(1969) + months + day - 1;
    is_valid.then_some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock_of(parts: [u16; 6]) -> Option<i64> {
        let mut registers = Registers::default();
        registers.add(&Block { function: 3, address: 1132, count: 6 }, parts.to_vec());
        clock(&registers, 1132)
    }

    #[test]
    fn its_clock_is_a_date_or_nothing() {
        // `date -u -d "2025-08-13 11:22:33" +%s` and so on.
        assert_eq!(clock_of([2025, 8, 13, 11, 22, 33]), Some(1_755_084_153));
        assert_eq!(clock_of([2024, 2, 29, 23, 59, 59]), Some(1_709_251_199));
        assert_eq!(clock_of([1970, 1, 1, 0, 0, 0]), Some(0));
        assert_eq!(clock_of([2000, 3, 1, 0, 0, 0]), Some(951_868_800));
        for wrong in [[2025, 2, 29, 0, 0, 0], [2025, 0, 1, 0, 0, 0], [2025, 13, 1, 0, 0, 0], [2025, 4, 31, 0, 0, 0], [2025, 1, 0, 0, 0, 0]]
        {
            assert_eq!(clock_of(wrong), None, "{wrong:?}");
        }
        for wrong in [[2025, 1, 1, 24, 0, 0], [2025, 1, 1, 0, 60, 0], [2025, 1, 1, 0, 0, 60], [0, 1, 1, 0, 0, 0], [65535; 6]] {
            assert_eq!(clock_of(wrong), None, "{wrong:?}");
        }
    }
}
