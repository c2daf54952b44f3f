//! What a profile says about a device: banks of registers, the points in them, and how it is commanded. Only data.

mod writes;

pub use self::writes::{Budget, FixedWrite, Heartbeat, Limits, RawWrite, Register, Setpoint, Words};

use super::bms::BmsParts;
use super::charger::ChargerParts;
use super::quantity::Quantity;
use super::setting::{Only, Setting};
use super::status::Status;
use crate::units::Span;

/// One register bank of a device.
#[derive(Clone, PartialEq, Debug)]
pub struct Profile {
    /// Its name in configurations.
    pub name: String,
    /// For people.
    pub title: String,
    /// Modbus unit id.
    pub unit: u8,
    /// TCP port where the configuration names none.
    pub tcp_port: u16,
    /// Least time between two requests to this unit.
    pub gap: Span,
    /// How to find out whether it answers.
    pub probe: Probe,
    /// Ranges that may be read in one request.
    pub blocks: Vec<Block>,
    /// What the registers mean.
    pub points: Vec<Point>,
    /// How power is commanded.
    pub setpoint: Option<Setpoint>,
    /// How limits are written.
    pub limits: Option<Limits>,
    /// Writes that belong to the first command.
    pub start: Vec<FixedWrite>,
    /// Writes that hand the device back to its own control. Of a device that takes limits as well the first one takes the setpoint back.
    pub release: Vec<FixedWrite>,
    /// How often it may be written.
    pub budget: Budget,
    /// Its meter values are read through a battery, over that battery's connection.
    pub meter_behind_battery: bool,
    /// Quirk: a bank whose reference power is above this, W, speaks for several units at once and cannot be used for one of them.
    pub single_unit_reference_w: Option<i64>,
    /// What the configuration may set.
    pub settings: Vec<Setting>,
    /// Registers with codes and bits.
    pub statuses: Vec<Status>,
    /// Two-register values have their low word first.
    pub low_word_first: bool,
    /// It is a battery management system, with these parts.
    pub bms: Option<BmsParts>,
    /// It is a charger, told its limit like this.
    pub charger: Option<ChargerParts>,
    /// What is written beside commands, so that the device knows we live.
    pub heartbeat: Option<Heartbeat>,
    /// Nothing is written, except to end a command, while the state allows neither charging nor discharging.
    pub silent_unless_ready: bool,
    /// A battery on all phases that divides its power over them as it likes.
    pub phases_vary: bool,
    /// The setting that says with which number the printed register addresses begin: it is subtracted from all of them.
    pub register_base: Option<String>,
}

impl Profile {
    /// The point of a quantity.
    pub fn point(&self, quantity: Quantity) -> Option<&Point> {
        self.points.iter().find(|p| p.quantity == quantity)
    }

    /// It gives what a battery must give: power and state of charge.
    pub fn is_battery(&self) -> bool {
        let stored = self.point(Quantity::StoredEnergy).is_some() && self.point(Quantity::FullEnergy).is_some();
        self.point(Quantity::Power).is_some() && (self.point(Quantity::Soc).is_some() || stored)
    }

    /// It gives the total power at the grid connection.
    pub fn has_total(&self) -> bool {
        self.point(Quantity::GridPower).is_some()
    }

    /// It gives the power of every phase.
    pub fn has_phases(&self) -> bool {
        (0..3).all(|f| self.point(Quantity::GridPowerOf(f)).is_some())
    }
}

/// A device that has several banks, of which those that answer are used.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// Its name in configurations.
    pub name: String,
    /// For people.
    pub title: String,
    /// The banks, in the order in which they are probed.
    pub probe: Vec<String>,
    /// Which to use for the battery, best first.
    pub battery: Vec<String>,
    /// Which to use for the meter's total, best first.
    pub total: Vec<String>,
    /// Which to use for the meter's phases, best first.
    pub phases: Vec<String>,
}

/// A read that only a living bank answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Probe {
    /// First register.
    pub address: u16,
    /// Number of registers.
    pub count: u16,
    /// What they must hold; empty: anything.
    pub expect: Vec<u16>,
}

/// A range of registers that may be read in one request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Block {
    /// 3 (holding) or 4 (input).
    pub function: u8,
    /// First register.
    pub address: u16,
    /// Number of registers.
    pub count: u16,
}

impl Block {
    /// Whether `count` registers from `address` lie inside.
    pub fn holds(&self, address: u16, count: u16) -> bool {
        let (start, end) = (u32::from(self.address), u32::from(self.address) + u32::from(self.count));
        u32::from(address) >= start && u32::from(address) + u32::from(count) <= end
    }
}

/// How the raw registers of a number are read. Of two registers the high word is first, unless the profile says otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One register, unsigned.
    U16,
    /// One register, two's complement.
    I16,
    /// Two registers, unsigned.
    U32,
    /// Two registers, two's complement.
    I32,
    /// Two registers, IEEE 754.
    F32,
}

impl Kind {
    /// Names as profiles write them.
    pub const NAMES: [(&'static str, Kind); 5] =
        [("u16", Kind::U16), ("i16", Kind::I16), ("u32", Kind::U32), ("i32", Kind::I32), ("f32", Kind::F32)];

    /// Number of registers.
    pub fn words(self) -> u16 {
        match self {
            Kind::U16 | Kind::I16 => 1,
            Kind::U32 | Kind::I32 | Kind::F32 => 2,
        }
    }

    /// Its name in profiles.
    pub fn name(self) -> &'static str {
        Kind::NAMES.iter().find(|named| named.1 == self).map_or("", |named| named.0)
    }

    /// The raw integers that it holds; of a float, those that it holds exactly.
    pub fn range(self) -> (i64, i64) {
        match self {
            Kind::U16 => (0, i64::from(u16::MAX)),
            Kind::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
            Kind::U32 => (0, i64::from(u32::MAX)),
            Kind::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            Kind::F32 => (-(1 << 24), 1 << 24),
        }
    }
}

/// One value in the registers: (raw + offset) · scale · 10^(scale factor register).
#[derive(Clone, PartialEq, Debug)]
pub struct Point {
    /// What it means.
    pub quantity: Quantity,
    /// First register, as on the wire.
    pub address: u16,
    /// How the registers are read.
    pub kind: Kind,
    /// Added to the raw value.
    pub offset: i64,
    /// Multiplied, in millionths of the quantity's unit per raw unit.
    pub scale_millionths: i64,
    /// Register with a power of ten (SunSpec `sunssf`).
    pub scale_factor_at: Option<u16>,
    /// Raw values that mean "not implemented".
    pub invalid: Vec<i64>,
    /// Names of codes.
    pub codes: Vec<Code>,
    /// Settings that the scale is multiplied by.
    pub factors: Vec<String>,
    /// The setting that says which raw value stands for zero: it is subtracted from the raw value.
    pub zero_from: Option<String>,
    /// The device reports what it aims at, not what it measures.
    pub target: bool,
    /// When it exists.
    pub only: Only,
}

/// One code of a state, event or status, or one bit of a status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Code {
    /// The raw value.
    pub value: i64,
    /// Its name.
    pub name: String,
    /// The battery may be charged in this state.
    pub charge: bool,
    /// The battery may be discharged in this state.
    pub discharge: bool,
    /// Someone should know.
    pub alarm: bool,
    /// The setting that gives the raw value instead.
    pub value_from: Option<String>,
    /// When it exists.
    pub only: Only,
}
