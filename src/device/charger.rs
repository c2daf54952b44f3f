//! What a charger is told, and what it says about itself.

use super::decode::{Registers, integer, value};
use super::encode;
use super::mirror;
use super::profile::{FixedWrite, Kind, Profile, RawWrite, Register};
use super::quantity::Quantity;
use super::status::judge;
use crate::units::Span;

/// Parts of a profile that only a charger has.
#[derive(Clone, PartialEq, Debug)]
pub struct ChargerParts {
    /// Where the limit is written, in its own unit; the integers are mA.
    pub limit: Register,
    /// The limit is written again after this time.
    pub refresh: Span,
    /// Larger limits are written as this, mA (a quirk of some devices).
    pub most_ma: Option<u32>,
    /// The setting that gives `most_ma` instead.
    pub most_from: Option<String>,
    /// Where its communication timeout is written; the value is seconds.
    pub timeout: Option<FixedWrite>,
    /// Where the limit is written to which it falls after that timeout, in its own unit; the integers are mA.
    pub fallback: Option<Register>,
    /// What it is doing.
    pub states: Option<States>,
}

/// The register that says what a charger is doing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct States {
    /// As on the wire.
    pub address: u16,
    /// The code begins at this bit.
    pub shift: u8,
    /// What belongs to the code, once shifted.
    pub mask: u16,
    /// A register of two words, and from which value on it says that a car is connected; for states that leave it open.
    pub cable: Option<(u16, u32)>,
    /// The codes.
    pub codes: Vec<ChargerCode>,
}

/// One state of a charger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChargerCode {
    /// The code.
    pub value: u16,
    /// Its name.
    pub name: String,
    /// A car draws current.
    pub charging: bool,
    /// A car is connected.
    pub connected: Connected,
}

/// Whether a state says that a car is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connected {
    /// None is.
    No,
    /// One is.
    Yes,
    /// The register of the cable tells.
    ByCable,
}

impl Connected {
    /// Names as profiles write them.
    pub const NAMES: [(&'static str, Connected); 3] = [("no", Connected::No), ("yes", Connected::Yes), ("cable", Connected::ByCable)];
}

impl ChargerParts {
    /// The write of a limit, and what it amounts to, mA: the device may count in larger units, or take no more.
    pub fn limit_write(&self, limit_ma: u32) -> Option<(RawWrite, u32)> {
        write(&self.limit, self.most_ma.map_or(limit_ma, |most_ma| limit_ma.min(most_ma)))
    }

    /// The write of the limit to which it falls when it is left alone, and what it amounts to, mA.
    pub fn fallback_write(&self, limit_ma: u32) -> Option<(RawWrite, u32)> {
        write(self.fallback.as_ref()?, limit_ma)
    }

    /// The communication timeout that is written; `None` also while a setting is still to say it.
    pub fn timeout(&self) -> Option<Span> {
        let fixed = self.timeout.as_ref().filter(|fixed| fixed.value_from.is_none())?;
        fixed.write.words.as_slice().last().map(|seconds| Span::from_s((*seconds).into()))
    }

    /// It must be asked at least this often: twice within its timeout.
    pub fn longest_poll(&self) -> Option<Span> {
        self.timeout().map(|timeout| Span::from_ms(timeout.as_ms() / 2))
    }
}

fn write(register: &Register, limit_ma: u32) -> Option<(RawWrite, u32)> {
    let raw = encode::limit(register, limit_ma.into())?;
    let amounts_to = mirror::scaled(register, mirror::number(register, raw.words.as_slice())?);
    Some((raw, u32::try_from(amounts_to).ok()?))
}

/// What a charger says about itself; `None` is unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChargerValues {
    /// Name of its state.
    pub state: Option<String>,
    /// Whether a car draws current in this state.
    pub charging: Option<bool>,
    /// Whether a car is connected in this state.
    pub connected: Option<bool>,
    /// Current of each phase, mA.
    pub current_ma: [Option<u32>; 3],
    /// The limit in force, mA.
    pub limit_ma: Option<u32>,
    /// The limit that was written to it last, mA.
    pub written_ma: Option<u32>,
    /// The largest limit it was set up for, mA.
    pub most_ma: Option<u32>,
    /// The limit to which it falls, mA.
    pub fallback_ma: Option<u32>,
    /// Its communication timeout, s.
    pub timeout_s: Option<i64>,
    /// Power, W.
    pub power_w: Option<i64>,
    /// Energy of the session, Wh.
    pub session_wh: Option<i64>,
    /// Errors by name.
    pub notices: Vec<String>,
    /// Every status register in words: name, and what it says.
    pub shown: Vec<(String, String)>,
}

/// What the registers of a poll say.
pub fn read(profile: &Profile, registers: &Registers) -> ChargerValues {
    let number = |quantity| value(profile, registers, quantity);
    let milliamperes = |quantity| number(quantity).and_then(|ma| u32::try_from(ma).ok());
    let judged = judge(profile, registers);
    let mut says = ChargerValues {
        current_ma: [0, 1, 2].map(|phase| milliamperes(Quantity::ChargerCurrentOf(phase))),
        limit_ma: milliamperes(Quantity::ChargerInForce),
        written_ma: milliamperes(Quantity::ChargerLimit),
        most_ma: milliamperes(Quantity::ChargerMost),
        fallback_ma: milliamperes(Quantity::ChargerFallback),
        timeout_s: number(Quantity::ChargerTimeout),
        power_w: number(Quantity::ChargerPower),
        session_wh: number(Quantity::SessionEnergy),
        notices: judged.notices,
        shown: judged.shown,
        ..ChargerValues::default()
    };
    if let Some((states, code)) = profile.charger.as_ref().and_then(|c| c.states.as_ref()).and_then(|s| Some((s, s.code(registers)?))) {
        match states.codes.iter().find(|known| known.value == code) {
            Some(known) => {
                says.state = Some(known.name.clone());
                says.charging = Some(known.charging);
                says.connected = states.connected(known.connected, registers, profile.low_word_first);
            }
            None => says.state = Some(format!("unknown ({code})")),
        }
    }
    says
}

impl States {
    /// The code in these registers.
    pub fn code(&self, registers: &Registers) -> Option<u16> {
        Some(registers.get(self.address)?.checked_shr(self.shift.into())? & self.mask)
    }

    fn connected(&self, connected: Connected, registers: &Registers, low_word_first: bool) -> Option<bool> {
        match connected {
            Connected::No => Some(false),
            Connected::Yes => Some(true),
            Connected::ByCable => {
                let (address, from) = self.cable?;
                integer(registers, address, Kind::U32, low_word_first).map(|value| value >= i64::from(from))
            }
        }
    }
}
