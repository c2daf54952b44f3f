//! The inverse of [`decode`](super::decode) and [`encode`](super::encode): registers out of values, and watts out of a written setpoint.
//! For simulated devices, which answer by the same profile that reads them.
//!
//! Saturates at what a register can hold. Never decides what a value is.

use super::profile::{FixedWrite, Kind, Point, Profile, RawWrite, Register, Setpoint};
use super::quantity::Quantity;

/// The registers of `point` when its quantity is `value` (in units of its last decimal) and its scale factor register holds `exponent`.
pub fn registers(profile: &Profile, point: &Point, value: i64, exponent: i32) -> Vec<u16> {
    let millionths = i128::from(value) * 1_000_000;
    let exponent = exponent + i32::try_from(point.quantity.decimals()).unwrap_or(0);
    let scale = i128::from(point.scale_millionths);
    if point.kind == Kind::F32 {
        let raw = millionths as f64 / if scale == 0 { 1.0 } else { scale as f64 } / 10f64.powi(exponent);
        return words(profile, (raw as f32).to_bits());
    }
    let factor = 10_i128.saturating_pow(exponent.unsigned_abs());
    let (above, below) = if exponent >= 0 { (millionths, scale * factor) } else { (millionths * factor, scale) };
    let raw = divided(above, if below == 0 { 1 } else { below }) - i128::from(point.offset);
    match point.kind {
        Kind::U16 => vec![raw.clamp(0, 0xFFFF) as u16],
        Kind::I16 => vec![raw.clamp(-0x8000, 0x7FFF) as i16 as u16],
        Kind::I32 => words(profile, raw.clamp(i128::from(i32::MIN), i128::from(i32::MAX)) as i32 as u32),
        _ => words(profile, raw.clamp(0, i128::from(u32::MAX)) as u32),
    }
}

/// The registers of `point` when it has no value: the first of its profile's words for that, else what IEEE 754 and SunSpec have.
pub fn not_a_number(profile: &Profile, point: &Point) -> Vec<u16> {
    let own = point.invalid.first().map(|raw| *raw as u32);
    match point.kind {
        Kind::U16 => vec![own.unwrap_or(0xFFFF) as u16],
        Kind::I16 => vec![own.unwrap_or(0x8000) as u16],
        Kind::U32 => words(profile, own.unwrap_or(0xFFFF_FFFF)),
        Kind::I32 => words(profile, own.unwrap_or(0x8000_0000)),
        Kind::F32 => words(profile, f32::NAN.to_bits()),
    }
}

/// The power of ten for a scale factor register: the finest with which every point that uses it holds its `largest` value.
pub fn exponent(profile: &Profile, at: u16, largest: impl Fn(Quantity) -> i64) -> i32 {
    let holds = |point: &Point, exponent: i32| {
        let most: i128 = match point.kind {
            Kind::U16 => 0xFFFE,
            Kind::I16 => 0x7FFE,
            _ => 0x7FFF_FFFE,
        };
        let steps = i32::try_from(point.quantity.decimals()).unwrap_or(0) + exponent;
        let factor = 10_i128.saturating_pow(steps.unsigned_abs());
        let wanted = i128::from(largest(point.quantity).abs()) * 1_000_000;
        let unit = i128::from(point.scale_millionths.abs().max(1));
        if steps >= 0 { wanted <= most * unit * factor } else { wanted.saturating_mul(factor) <= most * unit }
    };
    let users = || profile.points.iter().filter(|p| p.scale_factor_at == Some(at));
    let finest = users().map(|p| -(i32::try_from(p.quantity.decimals()).unwrap_or(0))).min().unwrap_or(0);
    (finest..10).find(|e| users().all(|p| holds(p, *e))).unwrap_or(0)
}

/// What a written setpoint means, W, discharge positive. `raw` is the number as an integer of its kind, `offset` that of the encoding.
pub fn watts(setpoint: &Setpoint, raw: i64, offset: i64, reference_w: i64, exponent: i32) -> i64 {
    let raw = i128::from(raw) - i128::from(offset);
    if !setpoint.percent_of_reference {
        return scaled(&setpoint.register, saturated(raw));
    }
    let factor = 10_i128.saturating_pow(exponent.unsigned_abs());
    let percent = raw * i128::from(reference_w);
    saturated(if exponent < 0 { divided(percent, 100 * factor) } else { percent * factor / 100 })
}

fn words(profile: &Profile, value: u32) -> Vec<u16> {
    let (high, low) = ((value >> 16) as u16, value as u16);
    if profile.low_word_first { vec![low, high] } else { vec![high, low] }
}

fn saturated(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// Rounds half away from zero.
fn divided(value: i128, by: i128) -> i128 {
    let (value, by) = if by < 0 { (-value, -by) } else { (value, by) };
    if value >= 0 { (value + by / 2) / by } else { (value - by / 2) / by }
}

/// A number of registers that a device takes in one piece.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// First register.
    pub address: u16,
    /// 6 or 16.
    pub function: u8,
    /// What the registers must hold; empty: they hold a number.
    pub words: Vec<u16>,
}

/// The fixed writes that belong to the first command.
pub fn start(profile: &Profile) -> Vec<Taken> {
    profile.start.iter().map(taken).collect()
}

/// The fixed writes that hand the device back.
pub fn release(profile: &Profile) -> Vec<Taken> {
    profile.release.iter().map(taken).collect()
}

fn taken(fixed: &FixedWrite) -> Taken {
    let RawWrite { address, function, words } = fixed.write;
    Taken { address, function, words: words.as_slice().to_vec() }
}

/// The number that these registers hold, in units of the register, as a whole number; `None` unless they are as many as it has.
pub fn number(register: &Register, words: &[u16]) -> Option<i64> {
    let (high, low) = match (words, register.low_word_first) {
        // One register takes what fits it signed or unsigned; a simulated device takes it as signed unless it can only be unsigned.
        ([one], _) if register.min >= 0 => return Some(i64::from(*one)),
        ([one], _) => return Some(i64::from(*one as i16)),
        ([high, low], false) | ([low, high], true) => (*high, *low),
        _ => return None,
    };
    let bits = u32::from(high) << 16 | u32::from(low);
    match register.kind {
        Kind::U32 => Some(i64::from(bits)),
        Kind::I32 => Some(i64::from(bits as i32)),
        Kind::F32 => Some(f32::from_bits(bits)).filter(|f| f.is_finite()).map(|f| f.round() as i64),
        Kind::U16 | Kind::I16 => None,
    }
}

/// What a number in a register that takes power stands for, W.
pub fn scaled(register: &Register, number: i64) -> i64 {
    saturated(divided(i128::from(number) * i128::from(register.scale_millionths), 1_000_000))
}
