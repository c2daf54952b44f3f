//! What one telegram says.
//!
//! Telegrams with a CRC are trusted: a value that is no number, has another unit or cannot be is unknown, everything else counts. Those
//! without one (DSMR 2.2 and 3.0) are only taken when every line is in order, no object comes twice, and the powers can be: not both
//! directions at once, none negative, none above [`UNCHECKED_MOST_MW`]. What still gets through there is a digit of a power that became
//! another digit: it is then wrong by at most that bound, for one telegram (energies and such are no power, and serve nothing).
//! A telegram that says its version or its time is of a later kind, which always has a CRC: without one it is not taken.

use super::Flaw;
use super::decimal::decimal;
use super::line::{Line, is_continuation};
use super::time::MeterTime;

/// Without a CRC a power above this is taken for noise, mW: 3 x 80 A, the largest connection of such meters, is 55 kW.
pub const UNCHECKED_MOST_MW: i64 = 60_000_000;

/// No value of a grid connection has a larger magnitude: mW, mA, mV, Wh.
const MOST_MW: i64 = 10_000_000_000;
const MOST_MA: i64 = 10_000_000;
const MOST_MV: i64 = 1_000_000;
const MOST_WH: i64 = 1_000_000_000_000_000;

/// Longest identification that is kept, characters.
const LONGEST_IDENTIFICATION: usize = 64;

/// The values of a telegram; what it does not hold, or what is no usable value, is `None`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Telegram {
    /// The first line without its "/".
    pub identification: String,
    /// It had a CRC, and that was right.
    pub checked: bool,
    /// `1-3:0.2.8` (42, 50) or, in Belgium, `0-0:96.1.4` (50217).
    pub version: Option<u32>,
    /// The meter's clock.
    pub time: Option<MeterTime>,
    /// `0-0:96.14.0`: which tariff counts now (NL 1 is low, BE 1 is day).
    pub tariff: Option<u16>,
    /// Power taken from the grid, all phases, mW.
    pub power_in_mw: Option<i64>,
    /// Power given to the grid, all phases, mW.
    pub power_out_mw: Option<i64>,
    /// L1, L2, L3.
    pub phases: [PhaseValues; 3],
    /// Energy taken from the grid, Wh: `1.8.0`, the sum, then `1.8.1` to `1.8.4`.
    pub energy_in_wh: [Option<i64>; 5],
    /// Energy given to the grid, Wh: `2.8.0`, the sum, then `2.8.1` to `2.8.4`.
    pub energy_out_wh: [Option<i64>; 5],
    /// Digest of all its bytes: another telegram has another, because it has another time or counts further.
    pub digest: u64,
}

/// The values of one phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PhaseValues {
    /// The telegram has a line about this phase, whatever it says: meters on one phase have none about L2 and L3.
    pub present: bool,
    /// Power taken from the grid, mW.
    pub power_in_mw: Option<i64>,
    /// Power given to the grid, mW.
    pub power_out_mw: Option<i64>,
    /// Current, mA. Meters print a magnitude; it has the sign of the phase's power where that is known, import positive.
    pub current_ma: Option<i64>,
    /// Voltage to neutral, mV.
    pub voltage_mv: Option<i64>,
}

impl PhaseValues {
    /// Power, W, import positive.
    pub fn power_w(&self) -> Option<i64> {
        net_w(self.power_in_mw, self.power_out_mw)
    }
}

impl Telegram {
    /// Power of all phases, W, import positive; the sum of the phases where a meter gives no total.
    pub fn power_w(&self) -> Option<i64> {
        let sum = || self.phases.iter().map(PhaseValues::power_w).sum::<Option<i64>>();
        net_w(self.power_in_mw, self.power_out_mw).or_else(sum)
    }

    /// Whether it speaks of L1 and of no other phase.
    pub fn is_single_phase(&self) -> bool {
        self.phases.map(|phase| phase.present) == [true, false, false]
    }

    /// Reads what stands from "/" to "!", both included. `checked`: with a right CRC.
    pub(super) fn parse(bytes: &[u8], checked: bool) -> Result<Telegram, Flaw> {
        let mut lines = bytes.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let first = lines.next().and_then(|line| line.strip_prefix(b"/")).unwrap_or_default();
        let identification = String::from_utf8_lossy(first).chars().take(LONGEST_IDENTIFICATION).collect();
        let mut telegram = Telegram { identification, checked, digest: digest(bytes), ..Telegram::default() };
        let mut seen = Vec::new();
        for line in lines.take_while(|line| *line != b"!").filter(|line| !line.is_empty()) {
            match Line::parse(line) {
                Some(line) => telegram.take(line, &mut seen)?,
                None if checked || is_continuation(line) => {}
                None => return Err(malformed(line)),
            }
        }
        telegram.forget_half_known(&seen);
        telegram.give_currents_a_sign();
        if checked { Ok(telegram) } else { telegram.unless_doubtful(first, &seen) }
    }

    fn take<'t>(&mut self, line: Line<'t>, seen: &mut Vec<Line<'t>>) -> Result<(), Flaw> {
        let known = self.slot(line.code).is_some() || is_head(line.code);
        if !known && self.checked {
            return Ok(());
        }
        if let Some(before) = seen.iter().find(|before| before.code == line.code) {
            let harmless = self.checked && *before == line;
            return if harmless { Ok(()) } else { Err(Flaw::Spliced(line.code.to_owned())) };
        }
        seen.push(line);
        match line.code {
            "1-3:0.2.8" | "0-0:96.1.4" => self.version = line.only().and_then(|v| whole(v, 999_999)).or(self.version),
            "0-0:1.0.0" => self.time = line.only().and_then(MeterTime::parse),
            "0-0:96.14.0" => self.tariff = line.only().and_then(|v| u16::try_from(whole(v, 9_999)?).ok()),
            code => {
                if let Some(phase) = phase_of(code) {
                    self.phases[phase].present = true;
                }
                if let Some((slot, kind)) = self.slot(code) {
                    *slot = line.measured().and_then(|(number, unit)| kind.value(number, unit));
                }
            }
        }
        Ok(())
    }

    /// Where the value of a code belongs, and what it measures.
    fn slot(&mut self, code: &str) -> Option<(&mut Option<i64>, Kind)> {
        let code = code.strip_prefix("1-0:")?;
        let index = |prefix: &str| ["0", "1", "2", "3", "4"].iter().position(|tariff| code.strip_prefix(prefix) == Some(tariff));
        if let Some(tariff) = index("1.8.") {
            return Some((&mut self.energy_in_wh[tariff], Kind::Energy));
        }
        if let Some(tariff) = index("2.8.") {
            return Some((&mut self.energy_out_wh[tariff], Kind::Energy));
        }
        // Without zeros before it: `01` would be another code for the same.
        let quantity: u8 = code.strip_suffix(".7.0").filter(|quantity| !quantity.starts_with('0'))?.parse().ok()?;
        // 1 and 2 for all phases, 21 and on for L1, 41 and on for L2, 61 and on for L3.
        let phase = usize::from(quantity / 20).checked_sub(1).and_then(|f| self.phases.get_mut(f));
        match (quantity, phase) {
            (1, None) => Some((&mut self.power_in_mw, Kind::Power)),
            (2, None) => Some((&mut self.power_out_mw, Kind::Power)),
            (21 | 41 | 61, Some(phase)) => Some((&mut phase.power_in_mw, Kind::Power)),
            (22 | 42 | 62, Some(phase)) => Some((&mut phase.power_out_mw, Kind::Power)),
            (31 | 51 | 71, Some(phase)) => Some((&mut phase.current_ma, Kind::Current)),
            (32 | 52 | 72, Some(phase)) => Some((&mut phase.voltage_mv, Kind::Voltage)),
            _ => None,
        }
    }

    /// A power of which one direction is no usable value is unknown in both; a direction without a line is none.
    fn forget_half_known(&mut self, seen: &[Line<'_>]) {
        for line in seen {
            let unusable = self.slot(line.code).is_some_and(|(value, kind)| kind == Kind::Power && value.is_none());
            match phase_of(line.code).filter(|_| unusable) {
                Some(f) => (self.phases[f].power_in_mw, self.phases[f].power_out_mw) = (None, None),
                None if unusable => (self.power_in_mw, self.power_out_mw) = (None, None),
                None => {}
            }
        }
    }

    /// The direction of a current is only in the powers (facts/p1-load-balancer.md 3.3).
    fn give_currents_a_sign(&mut self) {
        for phase in &mut self.phases {
            let power_mw = phase.power_in_mw.unwrap_or(0) - phase.power_out_mw.unwrap_or(0);
            phase.current_ma = match power_mw.signum() {
                0 => phase.current_ma,
                sign => phase.current_ma.map(|current| sign * current.abs()),
            };
        }
    }

    /// A telegram without a CRC, unless something speaks against it.
    fn unless_doubtful(self, first: &[u8], seen: &[Line<'_>]) -> Result<Telegram, Flaw> {
        if seen.iter().any(|line| is_head(line.code) && line.code != "0-0:96.14.0") {
            return Err(Flaw::NoCrc);
        }
        if !first.iter().all(|b| (b' '..=b'~').contains(b)) || first.is_empty() {
            return Err(malformed(first));
        }
        // Signed powers, and none for the other direction, have only meters that print group F (EasyMeter).
        let group_f = |code: &str| seen.iter().any(|line| line.code == code && line.has_group_f);
        let signed = group_f("1-0:1.7.0") && self.power_out_mw.is_none();
        let can_be = |mw: i64| if signed { mw.abs() <= UNCHECKED_MOST_MW } else { (0..=UNCHECKED_MOST_MW).contains(&mw) };
        let total = match (self.power_in_mw, self.power_out_mw) {
            (Some(power_in), None) => signed && can_be(power_in),
            (Some(power_in), Some(power_out)) => can_be(power_in) && can_be(power_out) && (power_in == 0 || power_out == 0),
            (None, _) => false,
        };
        if !total {
            return Err(Flaw::Malformed("1-0:1.7.0 or 1-0:2.7.0".into()));
        }
        let phases = self.phases.iter().flat_map(|phase| [phase.power_in_mw, phase.power_out_mw]).flatten();
        if phases.into_iter().all(can_be) { Ok(self) } else { Err(Flaw::Malformed("the power of a phase".into())) }
    }
}

/// The objects that are no measured values.
fn is_head(code: &str) -> bool {
    matches!(code, "1-3:0.2.8" | "0-0:96.1.4" | "0-0:1.0.0" | "0-0:96.14.0")
}

/// The phase that a momentary value belongs to.
fn phase_of(code: &str) -> Option<usize> {
    let quantity: usize = code.strip_prefix("1-0:")?.strip_suffix(".7.0")?.parse().ok()?;
    (quantity / 20).checked_sub(1).filter(|phase| *phase < 3)
}

/// What is measured, in which unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Power,
    Current,
    Voltage,
    Energy,
}

impl Kind {
    /// In mW, mA, mV or Wh.
    fn value(self, number: &str, unit: &str) -> Option<i64> {
        let (decimals, least, most) = match (self, unit) {
            (Kind::Power, "kW") => (6, -MOST_MW, MOST_MW),
            (Kind::Power, "W") => (3, -MOST_MW, MOST_MW),
            (Kind::Current, "A") => (3, -MOST_MA, MOST_MA),
            (Kind::Voltage, "V") => (3, 0, MOST_MV),
            (Kind::Energy, "kWh") => (3, 0, MOST_WH),
            (Kind::Energy, "Wh") => (0, 0, MOST_WH),
            _ => return None,
        };
        decimal(number, decimals).filter(|value| (least..=most).contains(value))
    }
}

fn whole(text: &str, most: i64) -> Option<u32> {
    decimal(text, 0).filter(|value| (0..=most).contains(value)).and_then(|value| u32::try_from(value).ok())
}

/// W, import positive. A meter without a line for one direction knows nothing of it, so that it is none.
fn net_w(power_in_mw: Option<i64>, power_out_mw: Option<i64>) -> Option<i64> {
    let mw = match (power_in_mw, power_out_mw) {
        (None, None) => return None,
        (power_in, power_out) => power_in.unwrap_or(0) - power_out.unwrap_or(0),
    };
    Some((mw + 500).div_euclid(1000))
}

fn malformed(line: &[u8]) -> Flaw {
    Flaw::Malformed(line.iter().take(40).map(|b| char::from(*b)).flat_map(char::escape_default).collect())
}

/// FNV-1a, 64 bits.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0100_0000_01b3))
}
