//! Registers out of commands. Saturates at what the register can hold, never wraps.

use super::decode::{Registers, scale_factor, value};
use super::profile::{Profile, RawWrite, Register, Setpoint};
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
    let raw = if setpoint.percent_of_reference {
        let reference = context.reference_w.filter(|&w| w > 0)?;
        let exponent = u32::try_from(-context.scale_factor?).ok()?;
        // Towards zero: never more than commanded.
        i128::from(watts) * 100 * 10_i128.checked_pow(exponent)? / i128::from(reference)
    } else {
        i128::from(watts)
    };
    let raw = i64::try_from(raw).unwrap_or(if watts < 0 { i64::MIN } else { i64::MAX });
    Some(write(&setpoint.register, raw, context.offset))
}

/// The write of a limit in W, ≥ 0.
pub fn limit(register: &Register, watts: i64) -> RawWrite {
    write(register, watts.max(0), 0)
}

fn write(register: &Register, raw: i64, offset: i64) -> RawWrite {
    let raw = raw.clamp(register.min, register.max).saturating_add(offset);
    let value = if raw < 0 { raw.max(i64::from(i16::MIN)) as i16 as u16 } else { raw.min(i64::from(u16::MAX)) as u16 };
    RawWrite { address: register.address, function: register.function, value, refresh: false, after_setpoint: false }
}
