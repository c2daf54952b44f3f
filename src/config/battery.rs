//! `[[battery]]`.

mod figures;

use std::fmt;

use self::figures::{read_min_power, read_ratings, read_soc, read_writes};
use super::bms::{self, Bms, BmsDraft};
use super::devices::{self, Devices, Known, Use};
use super::ladder::{Ages, LATEST_EXCLUSION};
use super::link::{self, Link, Tcp};
use super::reader::{At, Section, Spanned};
use super::settings;
use super::site::{Strategy, keep};
use super::words;
use crate::device::setting::Settings;
use crate::units::{Phase, Span};

/// `[[battery]]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Battery {
    /// Unique; 1 to 40 characters that print.
    pub name: String,
    /// The name of its profile.
    pub device: String,
    /// Exactly one SAX battery is the master; batteries of other makes are their own by default.
    pub role: Role,
    /// The phase or phases it is connected to.
    pub phase: Phases,
    /// Default [`ControlMode::Setpoint`] where the device takes one and the strategy is not "limits".
    pub control: ControlMode,
    /// How the device wants a negative setpoint; default [`Encoding::Int16`]. Without meaning where the profile leaves no choice.
    pub setpoint_encoding: Encoding,
    /// How it is reached.
    pub link: Link,
    /// Modbus unit; the profile's where none is given.
    pub unit: Option<u8>,
    /// Poll period; 200 to 15000 ms, default 5000.
    pub poll_ms: u32,
    /// Least time between two writes, up to 10000 ms; the profile's where none is given.
    pub write_spacing_ms: Option<u32>,
    /// Long-run average time between writes, up to 10000 ms: a refresh and the fallback must find a write in time; the profile's where none is given.
    pub write_refill_ms: Option<u32>,
    /// 100 to 1000000 Wh, of other makes 20000000 Wh; default 7700 for SAX batteries.
    pub capacity_wh: i32,
    /// Most power it may take, as a magnitude; 0 to 50000 W, of other makes 1000000 W, default 3500 for SAX batteries.
    pub max_charge_w: i32,
    /// Most power it may deliver; 0 to 50000 W, of other makes 1000000 W, default 4600 for SAX batteries.
    pub max_discharge_w: i32,
    /// The smallest power at which it works well: where several batteries share the work, one does it alone before two work below this;
    /// 0 to `max_discharge_w`, default 200, or `max_discharge_w` where that is less.
    pub min_power_w: i32,
    /// Not discharged below this, in 0.1 %; default 100.
    pub min_soc_pm: u16,
    /// Not charged above this, in 0.1 %; default 1000.
    pub max_soc_pm: u16,
    /// How far the state of charge must come back before a limit is lifted, in 0.1 %; 10 to 500, default 30.
    pub soc_hysteresis_pm: u16,
    /// What its profile lets one set.
    pub settings: Settings,
    /// The authority on what its cells allow, where there is one.
    pub bms: Option<Bms>,
}

/// Where a battery is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phases {
    /// Single-phase.
    One(Phase),
    /// Three-phase: a third of its power on each.
    All,
}

impl fmt::Display for Phases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Phases::One(phase) => phase.fmt(f),
            Phases::All => f.write_str("all"),
        }
    }
}

/// What a battery is among the SAX batteries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The meter is read through it.
    Master,
    /// Any other.
    Slave,
}

/// What is written to a battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ControlMode {
    /// The power to deliver.
    Setpoint,
    /// Limits within which it balances by itself.
    Limits,
    /// As `Limits`, but the power to deliver while more is wanted of it than a balanced grid: strategy "limits", where the device takes
    /// both.
    Hybrid,
}

/// How a signed setpoint is put into a register (facts/sax.md, conflict A).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Encoding {
    /// Two's complement.
    Int16,
    /// The value plus 16384.
    Offset,
}

/// `[[battery]]`, and places in it.
pub(super) struct BatteryDraft {
    pub battery: Battery,
    pub device: Option<Known>,
    /// None where there is no usable name.
    pub name_at: Option<At>,
    /// None where it was left out or is wrong.
    pub role: Option<Spanned<Role>>,
    /// Whether something stands there for a role.
    pub has_role: bool,
    /// None where there is no usable host.
    pub host_at: Option<At>,
    pub bms: Option<BmsDraft>,
    pub at: At,
}

impl BatteryDraft {
    /// Whether the file calls it the master.
    pub fn is_master(&self) -> bool {
        self.role.is_some_and(|role| role.value == Role::Master)
    }

    /// Whether it is known to be a SAX battery.
    pub fn is_sax(&self) -> bool {
        self.device.as_ref().is_some_and(Known::is_sax)
    }
}

pub(super) fn read(root: &mut Section<'_>, devices: &dyn Devices, strategy: Option<Strategy>) -> Vec<BatteryDraft> {
    let sections = root.sections("battery").unwrap_or_default();
    let mut drafts: Vec<_> = sections.into_iter().map(|section| read_one(section, devices, strategy)).collect();
    // A lone SAX battery needs no role; and a battery of another make is nobody's slave.
    let sax = drafts.iter().filter(|draft| draft.device.as_ref().is_none_or(Known::is_sax)).count();
    for draft in drafts.iter_mut().filter(|draft| !draft.has_role) {
        let role = if draft.is_sax() && sax > 1 { Role::Slave } else { Role::Master };
        draft.battery.role = role;
        draft.role = Some(Spanned { value: role, at: draft.at });
    }
    drafts
}

fn read_one(mut section: Section<'_>, devices: &dyn Devices, strategy: Option<Strategy>) -> BatteryDraft {
    let s = &mut section;
    let name = s.required("name", words::name);
    let device = devices::read(s, devices, Use::Battery);
    let roles = [("master", Role::Master), ("slave", Role::Slave)];
    let role = s.choice("role", &roles);
    let control = read_control(s, device.as_ref(), strategy);
    let device = device.map(Spanned::get);
    let phase = read_phase(s, device.as_ref());
    let setpoint_encoding = read_encoding(s, device.as_ref());
    let poll_ms = read_poll(s);
    let link = link::read(s, device.as_ref().and_then(|device| device.facts.tcp_port), poll_ms);
    let host_at = link.as_ref().map(|link| link.at);
    let mut battery = Battery {
        name: String::new(),
        device: device.as_ref().map(|device| device.name.clone()).unwrap_or_default(),
        role: role.map_or(Role::Slave, Spanned::get),
        phase,
        control,
        setpoint_encoding,
        link: link.map_or(Link::Tcp(Tcp { host: String::new(), port: 0, timeout_ms: 0, retry_count: 0 }), Spanned::get),
        unit: s.integer("unit", 0..=255u8).map(Spanned::get),
        poll_ms,
        write_spacing_ms: None,
        write_refill_ms: None,
        capacity_wh: 7_700,
        max_charge_w: 3_500,
        max_discharge_w: 4_600,
        min_power_w: 0,
        min_soc_pm: 100,
        max_soc_pm: 1_000,
        soc_hysteresis_pm: 30,
        settings: settings::read(s, device.as_ref().map(|device| &device.facts)),
        bms: None,
    };
    let name_at = keep(name, &mut battery.name);
    read_writes(s, &mut battery);
    read_ratings(s, &mut battery, device.as_ref());
    read_min_power(s, &mut battery, device.as_ref());
    read_soc(s, &mut battery);
    let bms = bms::read(s, devices);
    battery.bms = bms.as_ref().map(|draft| draft.bms.clone());
    let draft = BatteryDraft { battery, device, name_at, role, has_role: s.has("role"), host_at, bms, at: s.at() };
    section.finish();
    draft
}

/// A SAX battery is single-phase (facts/sax.md 3, "Single-phase per unit").
fn read_phase(s: &mut Section<'_>, device: Option<&Known>) -> Phases {
    let phases = [("L1", Phases::One(Phase::L1)), ("L2", Phases::One(Phase::L2)), ("L3", Phases::One(Phase::L3)), ("all", Phases::All)];
    let Some(phase) = s.required("phase", |s, key| s.choice(key, &phases)) else { return Phases::One(Phase::L1) };
    if phase.value == Phases::All && device.is_some_and(Known::is_sax) {
        let message = "a SAX battery is connected to one phase.";
        s.add_with_help(phase.at, "phase", message, "It must be \"L1\", \"L2\" or \"L3\".");
    }
    phase.value
}

/// Who balances, as far as the device can and the strategy lets it.
fn read_control(s: &mut Section<'_>, device: Option<&Spanned<Known>>, strategy: Option<Strategy>) -> ControlMode {
    let control = s.choice("control", &[("setpoint", ControlMode::Setpoint), ("limits", ControlMode::Limits)]);
    let by_itself = strategy == Some(Strategy::Limits);
    if let Some(control) = control.filter(|control| by_itself && control.value == ControlMode::Setpoint) {
        let message = "strategy \"limits\" leaves the balancing to the batteries.";
        s.add_with_help(control.at, "control", message, "It must be \"limits\", or be left out.");
    }
    let Some(Spanned { value: Known { name, facts }, at }) = device else { return ControlMode::Setpoint };
    if by_itself && !facts.limits {
        s.add(*at, "device", format!("\"{name}\" does not take limits, and strategy \"limits\" needs them."));
        return ControlMode::Limits;
    }
    let default = if by_itself || !facts.setpoint { ControlMode::Limits } else { ControlMode::Setpoint };
    let can = |mode: ControlMode| if mode == ControlMode::Setpoint { facts.setpoint } else { facts.limits };
    if let Some(control) = control.filter(|control| !by_itself && !can(control.value)) {
        let message = format!("\"{name}\" does not take {}.", if facts.setpoint { "limits" } else { "setpoints" });
        s.add(control.at, "control", message);
    }
    if by_itself && facts.hybrid { ControlMode::Hybrid } else { control.map_or(default, Spanned::get) }
}

fn read_encoding(s: &mut Section<'_>, device: Option<&Known>) -> Encoding {
    let encoding = s.choice("setpoint_encoding", &[("int16", Encoding::Int16), ("offset", Encoding::Offset)]);
    let Some(Known { name, facts }) = device else { return Encoding::Int16 };
    let known = |encoding: Encoding| facts.encodings.is_empty() || facts.encodings.iter().any(|known| known == encoding.name());
    if let Some(encoding) = encoding.filter(|encoding| !known(encoding.value)) {
        let message = format!("\"{name}\" does not know this encoding, only \"{}\".", facts.encodings.join("\", \""));
        s.add(encoding.at, "setpoint_encoding", message);
    }
    let default = if known(Encoding::Int16) { Encoding::Int16 } else { Encoding::Offset };
    encoding.map_or(default, Spanned::get)
}

fn read_poll(s: &mut Section<'_>) -> u32 {
    let Some(poll) = s.integer("poll_ms", 200..=60_000u32) else { return 5_000 };
    let excluded = Ages::new(Span::from_ms(poll.value.into())).excluded;
    if excluded > LATEST_EXCLUSION {
        let message = format!("a battery polled every {} ms that fails would be excluded only after {excluded}.", poll.value);
        s.add_with_help(poll.at, "poll_ms", message, format!("It must be at most {}.", LATEST_EXCLUSION.as_ms() / 4));
    }
    poll.value
}

impl Encoding {
    /// The name in configurations and profiles.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Int16 => "int16",
            Encoding::Offset => "offset",
        }
    }
}
