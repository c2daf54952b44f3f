//! Registers that say how a device is: codes and bits with names, of which some forbid charging or discharging, and some call for a person.

use super::decode::{Registers, integer};
use super::profile::{Code, Kind, Profile};
use super::setting::Only;
use crate::config::fixed_to_text;

/// A register with a meaning of its own, beside the points.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// For people, unique in the profile.
    pub name: String,
    /// As on the wire.
    pub address: u16,
    /// What is in it.
    pub content: Content,
    /// When it exists.
    pub only: Only,
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
        /// One or two registers, the high word first unless the profile says otherwise.
        words: u16,
        /// `value` is the number of the bit; what it says counts where the bit is set.
        bits: Vec<Code>,
        /// Stands for a set bit that has no name; `None`: it is shown as a number and allows everything.
        other: Option<Code>,
        /// At least one of these must be set, else nothing is allowed; empty: no such rule.
        needs_any: Vec<u8>,
    },
    /// Only shown: (raw + offset) · scale.
    Number {
        /// How the registers are read; no float.
        kind: Kind,
        /// Added to the raw value.
        offset: i64,
        /// Multiplied, in millionths of the unit.
        scale_millionths: i64,
        /// The unit, for people; may be empty.
        unit: String,
    },
}

impl Status {
    /// Number of registers.
    pub fn words(&self) -> u16 {
        match &self.content {
            Content::Codes { .. } => 1,
            Content::Bits { words, .. } => *words,
            Content::Number { kind, .. } => kind.words(),
        }
    }

    /// It says something that forbids charging or discharging, in some state.
    pub fn can_forbid(&self) -> bool {
        let forbids = |c: &Code| !c.charge || !c.discharge;
        match &self.content {
            Content::Codes { codes, other } => codes.iter().chain(other).any(forbids),
            Content::Bits { bits, other, needs_any, .. } => !needs_any.is_empty() || bits.iter().chain(other).any(forbids),
            Content::Number { .. } => false,
        }
    }
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
pub fn judge(profile: &Profile, registers: &Registers) -> Judgement {
    let mut judgement = Judgement { may_charge: true, may_discharge: true, notices: Vec::new(), shown: Vec::new() };
    for status in &profile.statuses {
        let said = match &status.content {
            Content::Codes { codes, other } => {
                registers.get(status.address).map(|raw| judgement.code(&status.name, i64::from(raw), codes, other.as_ref()))
            }
            Content::Bits { words, bits, other, needs_any } => {
                let kind = if *words == 2 { Kind::U32 } else { Kind::U16 };
                let raw = integer(registers, status.address, kind, profile.low_word_first);
                raw.map(|raw| judgement.bits(&status.name, raw, bits, other.as_ref(), needs_any))
            }
            Content::Number { kind, offset, scale_millionths, unit } => {
                let raw = integer(registers, status.address, *kind, profile.low_word_first);
                raw.map(|raw| number(raw, *offset, *scale_millionths, unit))
            }
        };
        if said.is_none() && status.can_forbid() {
            judgement.forbid();
            judgement.notices.push(format!("{}: unknown", status.name));
        }
        judgement.shown.push((status.name.clone(), said.unwrap_or_else(|| "unknown".into())));
    }
    judgement
}

impl Judgement {
    fn forbid(&mut self) {
        (self.may_charge, self.may_discharge) = (false, false);
    }

    fn take(&mut self, status: &str, code: &Code, said: &str) {
        self.may_charge &= code.charge;
        self.may_discharge &= code.discharge;
        if code.alarm {
            self.notices.push(format!("{status}: {said}"));
        }
    }

    fn code(&mut self, status: &str, raw: i64, codes: &[Code], other: Option<&Code>) -> String {
        let named = codes.iter().find(|c| c.value == raw);
        let said = match (named, other) {
            (Some(code), _) => code.name.clone(),
            (None, Some(other)) => format!("{} ({raw})", other.name),
            (None, None) => raw.to_string(),
        };
        if let Some(code) = named.or(other) {
            self.take(status, code, &said);
        }
        said
    }

    fn bits(&mut self, status: &str, raw: i64, bits: &[Code], other: Option<&Code>, needs_any: &[u8]) -> String {
        let is_set = |bit: i64| (0..32).contains(&bit) && raw >> bit & 1 == 1;
        let mut set = Vec::new();
        for bit in (0..32).filter(|bit| is_set(*bit)) {
            let named = bits.iter().find(|c| c.value == bit);
            let said = match (named, other) {
                (Some(code), _) => code.name.clone(),
                (None, Some(other)) => format!("{} {bit}", other.name),
                (None, None) => format!("bit {bit}"),
            };
            if let Some(code) = named.or(other) {
                self.take(status, code, &said);
            }
            set.push(said);
        }
        if !needs_any.is_empty() && !needs_any.iter().any(|bit| is_set(i64::from(*bit))) {
            self.forbid();
        }
        if set.is_empty() { "none".into() } else { set.join(", ") }
    }
}

fn number(raw: i64, offset: i64, scale_millionths: i64, unit: &str) -> String {
    let value = raw.saturating_add(offset).saturating_mul(scale_millionths);
    let space = if unit.is_empty() { "" } else { " " };
    format!("{}{space}{unit}", fixed_to_text(value, 6))
}
