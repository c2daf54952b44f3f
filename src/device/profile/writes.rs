//! What a profile says about writing: commands, the writes around them, and how often they may come. Only data.

use super::Kind;
use crate::device::setting::Only;
use crate::units::Span;

/// How power is commanded.
#[derive(Clone, PartialEq, Debug)]
pub struct Setpoint {
    /// Where and with which function.
    pub register: Register,
    /// The encodings that a configuration can choose: name and what is added to the raw value. The first is the default.
    pub encodings: Vec<(String, i64)>,
    /// Raw units for 100 % of the reference power, before the scale factor; `None`: raw units are watts.
    pub percent_of_reference: bool,
    /// Register with the power of ten of a percentage.
    pub scale_factor_at: Option<u16>,
    /// Written again after this time at the latest, also for 0 W.
    pub refresh: Span,
}

/// How limits are written, W.
#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    /// Charge limit.
    pub charge: Register,
    /// Discharge limit.
    pub discharge: Register,
    /// Written again after this time at the latest.
    pub refresh: Span,
}

/// One number that is written, with all of its registers in one request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Register {
    /// As on the wire.
    pub address: u16,
    /// 6 or 16.
    pub function: u8,
    /// Least raw value, as a signed number.
    pub min: i64,
    /// Largest raw value.
    pub max: i64,
    /// How the registers hold it. One register takes what fits it signed or unsigned.
    pub kind: Kind,
    /// What one raw unit stands for, in millionths of a watt; never 0.
    pub scale_millionths: i64,
    /// Settings that the scale is multiplied by.
    pub factors: Vec<String>,
    /// The low word is first.
    pub low_word_first: bool,
}

/// Registers of one write: one to four.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Words {
    words: [u16; 4],
    count: u8,
}

impl Words {
    /// One register.
    pub const fn one(word: u16) -> Words {
        Words { words: [word, 0, 0, 0], count: 1 }
    }

    /// Two registers.
    pub const fn two(high: u16, low: u16, low_word_first: bool) -> Words {
        Words { words: if low_word_first { [low, high, 0, 0] } else { [high, low, 0, 0] }, count: 2 }
    }

    /// The registers in the order of their addresses.
    pub fn as_slice(&self) -> &[u16] {
        &self.words[..usize::from(self.count)]
    }
}

/// One write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawWrite {
    /// As on the wire.
    pub address: u16,
    /// 6 or 16.
    pub function: u8,
    /// What is written.
    pub words: Words,
}

/// A write whose value the profile or the configuration knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FixedWrite {
    /// The write.
    pub write: RawWrite,
    /// How its registers hold the value.
    pub kind: Kind,
    /// The setting that gives the value instead.
    pub value_from: Option<String>,
    /// A start write that is repeated after this time.
    pub refresh: Option<Span>,
    /// A start write that comes after the first setpoint instead of before it.
    pub after_setpoint: bool,
    /// Without it a command does not stand: one that is not acknowledged counts as a failure.
    pub required: bool,
    /// A start write whose registers are compared at every poll, and that is repeated where they hold something else.
    pub verify: bool,
    /// When it exists.
    pub only: Only,
}

/// How often the device may be written: a bucket of writes, refilled one by one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Budget {
    /// Least time between two writes.
    pub spacing: Span,
    /// Writes in a row that are free; one more is kept for a fuse alarm.
    pub burst: u32,
    /// One write comes back after this time.
    pub refill: Span,
}

/// Two values that are written in turn, one before every setpoint and every limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// As on the wire.
    pub address: u16,
    /// 6 or 16.
    pub function: u8,
    /// In turn.
    pub values: [u16; 2],
}
