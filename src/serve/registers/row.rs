//! What a line of the list says about a register. Knows no addresses.

use super::remote::RemoteCommand;
use super::setting::Setting;
use super::view::{BalancerView, BatteryView, SiteView};

/// More power than this is not asked of a site, W.
pub const MOST_W: i64 = 5_000_000;

/// A register, or the two that make up one value.
pub struct Row {
    /// The first of them, as on the wire.
    pub address: u16,
    /// How the number stands in them.
    pub form: Form,
    /// The unit of a count of 1; empty for codes.
    pub unit: &'static str,
    /// What it is.
    pub name: &'static str,
    /// What codes, or bits, mean: the first is that of 0.
    pub codes: &'static [&'static str],
    /// What it shows, and thereby when it exists.
    pub read: Read,
    /// What may be written, where anything may be.
    pub write: Option<Write>,
}

/// How a number stands in registers; the high word comes first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// One register.
    U16,
    /// Two registers.
    U32,
    /// Two registers, two's complement.
    I32,
}

/// What a register shows.
#[derive(Clone, Copy)]
pub enum Read {
    /// Nothing: it can only be written.
    Never,
    /// The load balancer; does not exist without one.
    Balancer(fn(&BalancerView) -> i64),
    /// A staged setting of the load balancer; does not exist without one.
    Setting(Setting),
    /// The site.
    Site(fn(&SiteView) -> Option<i64>),
    /// A battery; exists once for each of the first ones.
    Battery(fn(&BatteryView) -> Option<i64>),
    /// What another controller asks for.
    Remote(fn(&RemoteCommand) -> Option<i64>),
}

/// What may be written.
pub struct Write {
    /// What it sets.
    pub target: Target,
    /// Lowest number.
    pub least: i64,
    /// Highest number.
    pub most: i64,
    /// Besides, the code for "none".
    pub or_none: bool,
}

/// What a write sets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// The cap on the load balancer's limit.
    Override,
    /// A staged setting.
    Setting(Setting),
    /// Our staged unit id.
    Address,
    /// Saves and applies what is staged.
    Save,
    /// Restores what the configuration says.
    Restore,
    /// Power of all batteries.
    Setpoint,
    /// Most charge power.
    ChargeLimit,
    /// Most discharge power.
    DischargeLimit,
    /// The sign of life of whoever commands.
    Heartbeat,
}

impl Target {
    /// It is a part of the remote command.
    pub fn is_remote(self) -> bool {
        matches!(self, Target::Setpoint | Target::ChargeLimit | Target::DischargeLimit | Target::Heartbeat)
    }
}

impl Form {
    /// How many registers.
    pub const fn words(self) -> u16 {
        if matches!(self, Form::U16) { 1 } else { 2 }
    }

    /// What stands there for "unknown", or "none".
    pub const fn none(self) -> u32 {
        match self {
            Form::U16 => u16::MAX as u32,
            Form::U32 => u32::MAX,
            Form::I32 => 1 << 31,
        }
    }

    /// The contents for a number; too large or too small ones are as large or small as there is room for.
    pub fn contents(self, number: Option<i64>) -> u32 {
        let Some(number) = number else { return self.none() };
        match self {
            Form::U16 => number.clamp(0, u16::MAX.into()) as u32,
            Form::U32 => number.clamp(0, u32::MAX.into()) as u32,
            Form::I32 => number.clamp(i32::MIN.into(), i32::MAX.into()) as i32 as u32,
        }
    }

    /// The number with these contents.
    pub fn number(self, contents: u32) -> i64 {
        match self {
            Form::U16 | Form::U32 => contents.into(),
            Form::I32 => (contents as i32).into(),
        }
    }
}

impl Row {
    pub(super) const fn new(address: u16, form: Form, unit: &'static str, name: &'static str, read: Read) -> Row {
        Row { address, form, unit, name, codes: &[], read, write: None }
    }

    pub(super) const fn codes(self, codes: &'static [&'static str]) -> Row {
        Row { codes, ..self }
    }

    pub(super) const fn write(self, target: Target, least: i64, most: i64) -> Row {
        Row { write: Some(Write { target, least, most, or_none: false }), ..self }
    }

    pub(super) const fn or_none(self) -> Row {
        match self.write {
            Some(write) => Row { write: Some(Write { or_none: true, ..write }), ..self },
            None => self,
        }
    }

    /// Whether it belongs to one battery.
    pub fn is_of_battery(&self) -> bool {
        matches!(self.read, Read::Battery(_))
    }

    /// Whether it is there without a load balancer.
    pub fn needs_balancer(&self) -> bool {
        matches!(self.read, Read::Balancer(_) | Read::Setting(_))
    }
}

impl Write {
    /// The number that is written, `None` inside for "none"; `None` outside where it is not accepted.
    pub fn accept(&self, form: Form, contents: u32) -> Option<Option<i64>> {
        let number = form.number(contents);
        if self.or_none && contents == form.none() {
            Some(None)
        } else {
            (self.least..=self.most).contains(&number).then_some(Some(number))
        }
    }
}
