//! Values out of registers. Whatever is not there, not implemented, not finite or not plausible is unknown, never a number.

use super::profile::{Block, Code, Kind, Profile};
use super::quantity::Quantity;

/// A battery that says it holds more than this of what it holds when full says nonsense, 0.1 %.
const MOST_SOC_PM: i64 = 1020;

/// Registers as read, by address.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Registers {
    runs: Vec<(u16, Vec<u16>)>,
}

impl Registers {
    /// Adds the answer to a request.
    pub fn add(&mut self, request: &Block, values: Vec<u16>) {
        self.runs.push((request.address, values));
    }

    /// One register.
    pub fn get(&self, address: u16) -> Option<u16> {
        self.runs.iter().find_map(|(start, values)| values.get(usize::from(address.checked_sub(*start)?)).copied())
    }

    /// Digest (FNV-1a) of the raw registers of the chosen points, to tell a new answer from the same one again.
    pub fn print(&self, profile: &Profile, chosen: impl Fn(Quantity) -> bool) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for point in profile.points.iter().filter(|p| chosen(p.quantity)) {
            for i in 0..point.kind.words() {
                let word = self.get(point.address.saturating_add(i)).map_or(0x1_0000, u64::from);
                hash = (hash ^ word).wrapping_mul(0x0100_0000_01b3);
            }
        }
        hash
    }
}

/// The value of a quantity in units of its last decimal; `None` where it is unknown.
pub fn value(profile: &Profile, registers: &Registers, quantity: Quantity) -> Option<i64> {
    let Some(point) = profile.point(quantity) else {
        return if quantity == Quantity::Soc { soc_of_energies(profile, registers) } else { None };
    };
    let exponent = match point.scale_factor_at {
        Some(at) => scale_factor(registers, at)?,
        None => 0,
    };
    let scaled = match raw(registers, point.address, point.kind, profile.low_word_first)? {
        Raw::Integer(raw) if point.invalid.contains(&raw) => return None,
        Raw::Integer(raw) => (i128::from(raw) + i128::from(point.offset)) * i128::from(point.scale_millionths),
        Raw::Float(raw) => {
            let raw = millionths(raw)?.checked_add(i128::from(point.offset) * 1_000_000)?;
            raw.checked_mul(i128::from(point.scale_millionths))? / 1_000_000
        }
    };
    let scaled = shift(scaled, exponent + i32::try_from(quantity.decimals()).ok()?)?;
    let value = i64::try_from(round_div(scaled, 1_000_000)).ok()?;
    quantity.is_plausible(value).then_some(value)
}

/// State of charge in 0.1 %, of a device that gives two energies instead. A little more than full is full.
fn soc_of_energies(profile: &Profile, registers: &Registers) -> Option<i64> {
    profile.point(Quantity::StoredEnergy)?;
    let (stored_wh, full_wh) = (value(profile, registers, Quantity::StoredEnergy)?, value(profile, registers, Quantity::FullEnergy)?);
    let soc_pm = stored_wh.checked_mul(1000)?.checked_div(full_wh)?;
    (soc_pm <= MOST_SOC_PM).then_some(soc_pm.min(1000))
}

/// The whole number that these registers hold; `None` where one is missing, or where they hold a float.
pub fn integer(registers: &Registers, address: u16, kind: Kind, low_word_first: bool) -> Option<i64> {
    match raw(registers, address, kind, low_word_first)? {
        Raw::Integer(raw) => Some(raw),
        Raw::Float(_) => None,
    }
}

/// The code that a state or event register holds now; `None` where the register is unknown or its value has no name.
pub fn code<'p>(profile: &'p Profile, registers: &Registers, quantity: Quantity) -> Option<&'p Code> {
    let value = value(profile, registers, quantity)?;
    profile.point(quantity)?.codes.iter().find(|c| c.value == value)
}

/// A SunSpec scale factor: a power of ten between −10 and 10, otherwise unknown (facts/sax.md 1.3: invalid ones were seen in the field).
pub fn scale_factor(registers: &Registers, at: u16) -> Option<i32> {
    let exponent = i32::from(registers.get(at)? as i16);
    (-10..=10).contains(&exponent).then_some(exponent)
}

enum Raw {
    Integer(i64),
    Float(f32),
}

fn raw(registers: &Registers, address: u16, kind: Kind, low_word_first: bool) -> Option<Raw> {
    let first = registers.get(address)?;
    if kind.words() == 1 {
        return Some(Raw::Integer(if kind == Kind::I16 { i64::from(first as i16) } else { i64::from(first) }));
    }
    let second = registers.get(address.checked_add(1)?)?;
    let (high, low) = if low_word_first { (second, first) } else { (first, second) };
    let word = u32::from(high) << 16 | u32::from(low);
    Some(match kind {
        Kind::F32 => Raw::Float(f32::from_bits(word)),
        Kind::I32 => Raw::Integer(i64::from(word as i32)),
        _ => Raw::Integer(i64::from(word)),
    })
}

/// NaN, infinity and numbers beyond any physical value are unknown.
fn millionths(raw: f32) -> Option<i128> {
    (raw.is_finite() && raw.abs() < 1e12).then(|| (f64::from(raw) * 1e6).round() as i128)
}

fn shift(value: i128, exponent: i32) -> Option<i128> {
    let factor = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 { value.checked_mul(factor) } else { Some(round_div(value, factor)) }
}

/// Rounds half away from zero.
fn round_div(value: i128, by: i128) -> i128 {
    let half = by / 2;
    if value >= 0 { value.saturating_add(half) / by } else { value.saturating_sub(half) / by }
}
