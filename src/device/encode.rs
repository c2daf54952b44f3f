//! Registers out of commands. Saturates at what the registers can hold, never wraps.

use super::decode::{Registers, scale_factor, value};
use super::profile::{Kind, Profile, RawWrite, Register, Setpoint, Words};
use super::quantity::Quantity;

/// What a setpoint needs beside the command: read from the device, or settled by the configuration.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Context {
    /// Power that 100 % stands for, W.
    pub reference_w: Option<i64>,
    /// Power of ten of a percentage.
    pub scale_factor: Option<i32>,
    /// Added to the raw value, from the chosen encoding.
    pub offset: i64,
}

impl Context {
    /// Whether setpoints can be encoded.
    pub fn is_complete(&self, profile: &Profile) -> bool {
        let percent = profile.setpoint.as_ref().is_some_and(|s| s.percent_of_reference);
        !percent || (self.reference_w.is_some() && self.scale_factor.is_some())
    }

    /// The device may be another one, or have another firmware.
    pub fn forget(&mut self) {
        (self.reference_w, self.scale_factor) = (None, None);
    }

    /// Takes what the registers of a poll say; what they do not say stays.
    pub fn learn(&mut self, profile: &Profile, registers: &Registers) {
        let Some(setpoint) = &profile.setpoint else { return };
        self.reference_w = value(profile, registers, Quantity::ReferencePower).or(self.reference_w);
        self.scale_factor = setpoint.scale_factor_at.and_then(|at| scale_factor(registers, at)).or(self.scale_factor);
    }
}

/// The write that commands `watts` (discharge positive); `None` while the device has not yet said what it takes.
pub fn setpoint(setpoint: &Setpoint, watts: i64, context: &Context) -> Option<RawWrite> {
    if !setpoint.percent_of_reference {
        return write(&setpoint.register, watts, context.offset);
    }
    let reference = context.reference_w.filter(|&w| w > 0)?;
    let exponent = u32::try_from(-context.scale_factor?).ok()?;
    // Towards zero: never more than commanded.
    let raw = i128::from(watts) * 100 * 10_i128.checked_pow(exponent)? / i128::from(reference);
    Some(assemble(&setpoint.register, saturate(raw), context.offset))
}

/// The write of a limit, ≥ 0, in W or in whatever the scale of the register refers to.
pub fn limit(register: &Register, limit: i64) -> Option<RawWrite> {
    write(register, limit.max(0), 0)
}

/// The step in which a setpoint can be told, W: 1000 for a device that takes whole kilowatts; at least 1.
pub fn step_w(setpoint: &Setpoint) -> i64 {
    let scale = setpoint.register.scale_millionths.saturating_abs();
    let is_whole = scale % 1_000_000 == 0 && setpoint.register.kind != Kind::F32 && !setpoint.percent_of_reference;
    if is_whole { (scale / 1_000_000).max(1) } else { 1 }
}

/// The registers of a whole number, saturated. A single register takes what fits it signed or unsigned.
pub fn words(kind: Kind, raw: i64, low_word_first: bool) -> Words {
    if kind.words() == 1 {
        return Words::one(if raw < 0 { raw.max(i64::from(i16::MIN)) as i16 as u16 } else { raw.min(i64::from(u16::MAX)) as u16 });
    }
    let (min, max) = kind.range();
    let raw = raw.clamp(min, max);
    let bits = if kind == Kind::F32 { (raw as f32).to_bits() } else { raw as u32 };
    Words::two((bits >> 16) as u16, bits as u16, low_word_first)
}

fn write(register: &Register, watts: i64, offset: i64) -> Option<RawWrite> {
    let scale = i128::from(register.scale_millionths);
    let millionths = i128::from(watts) * 1_000_000;
    if register.kind == Kind::F32 {
        return float(register, watts);
    }
    // Towards zero: never more than commanded.
    Some(assemble(register, saturate(millionths.checked_div(scale)?), offset))
}

/// A float in the device's unit, towards zero.
fn float(register: &Register, watts: i64) -> Option<RawWrite> {
    if register.scale_millionths == 0 {
        return None;
    }
    let exact = watts as f64 * 1e6 / register.scale_millionths as f64;
    let exact = exact.clamp(register.min as f64, register.max as f64);
    let nearest = exact as f32;
    // The next float towards zero has the magnitude's bits less one.
    let raw = if f64::from(nearest).abs() > exact.abs() { f32::from_bits(nearest.to_bits() - 1) } else { nearest };
    let bits = raw.to_bits();
    let words = Words::two((bits >> 16) as u16, bits as u16, register.low_word_first);
    Some(RawWrite { address: register.address, function: register.function, words })
}

fn assemble(register: &Register, raw: i64, offset: i64) -> RawWrite {
    let raw = raw.clamp(register.min, register.max).saturating_add(offset);
    let words = words(register.kind, raw, register.low_word_first);
    RawWrite { address: register.address, function: register.function, words }
}

fn saturate(raw: i128) -> i64 {
    i64::try_from(raw).unwrap_or(if raw < 0 { i64::MIN } else { i64::MAX })
}
