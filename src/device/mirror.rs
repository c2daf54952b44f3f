//! The inverse of [`decode`](super::decode) and [`encode`](super::encode): registers out of values, and watts out of a written setpoint.
//! For simulated devices, which answer by the same profile that reads them.
//!
//! Saturates at what a register can hold. Never decides what a value is.

use super::profile::{Kind, Point, Profile, Register, Setpoint};
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
        return saturated(raw);
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

/// The fixed writes before the first command.
pub fn start(profile: &Profile) -> Vec<Taken> {
    profile.start.iter().map(|w| Taken { address: w.address, function: w.function, words: vec![w.value] }).collect()
}

/// The fixed writes that hand the device back.
pub fn release(profile: &Profile) -> Vec<Taken> {
    profile.release.iter().map(|w| Taken { address: w.address, function: w.function, words: vec![w.value] }).collect()
}

/// How many registers a number takes.
pub fn width(_register: &Register) -> u16 {
    1
}

/// The number that these registers hold, as an integer.
pub fn number(_register: &Register, words: &[u16]) -> Option<i64> {
    match words {
        [one] => Some(i64::from(*one as i16)),
        _ => None,
    }
}
