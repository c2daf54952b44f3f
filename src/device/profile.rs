//! What a profile says about a device: banks of registers, the points in them, and how it is commanded.

use super::bms::BmsParts;
use super::quantity::Quantity;
use super::setting::Setting;
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
    /// Writes before the first command.
    pub start: Vec<RawWrite>,
    /// Writes that hand the device back to its own control.
    pub release: Vec<RawWrite>,
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
    /// What is written beside commands, so that the device knows we live.
    pub heartbeat: Option<Heartbeat>,
    /// Nothing is written, except to end a command, while the state does not allow both or either of charging and discharging.
    pub silent_unless_ready: bool,
}

/// Two values that are written in turn, one before every setpoint.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Heartbeat {
    /// As on the wire.
    pub address: u16,
    /// 6 or 16.
    pub function: u8,
    /// In turn.
    pub values: [u16; 2],
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

/// How the raw registers of a number are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// One register, unsigned.
    U16,
    /// One register, two's complement.
    I16,
    /// Two registers, high word first, unsigned.
    U32,
    /// Two registers, high word first, two's complement.
    I32,
    /// Two registers, high word first, IEEE 754.
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
}

/// One code of a state or event.
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
}

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

/// How limits are written: one register each, W.
#[derive(Clone, PartialEq, Debug)]
pub struct Limits {
    /// Charge limit.
    pub charge: Register,
    /// Discharge limit.
    pub discharge: Register,
    /// Written again after this time at the latest.
    pub refresh: Span,
}

/// One register that is written, with exactly one register per request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Register {
    /// As on the wire.
    pub address: u16,
    /// 6 or 16.
    pub function: u8,
    /// Least raw value, as a signed number.
    pub min: i64,
    /// Largest raw value.
    pub max: i64,
}

/// A fixed write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RawWrite {
    /// As on the wire.
    pub address: u16,
    /// 6 or 16.
    pub function: u8,
    /// The raw value.
    pub value: u16,
    /// A start write that is repeated after this time.
    pub refresh: Option<Span>,
    /// A start write that comes after the first setpoint instead of before it.
    pub after_setpoint: bool,
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

impl Profile {
    /// The point of a quantity.
    pub fn point(&self, quantity: Quantity) -> Option<&Point> {
        self.points.iter().find(|p| p.quantity == quantity)
    }

    /// It gives what a battery must give: power and state of charge.
    pub fn is_battery(&self) -> bool {
        self.point(Quantity::Power).is_some() && self.point(Quantity::Soc).is_some()
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
