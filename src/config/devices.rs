//! What the configuration must know about devices, without knowing the devices.

use super::nearest::nearest;
use super::reader::{Section, Spanned};
use crate::device::setting::Setting;

/// The device profiles that are known.
pub trait Devices {
    /// What is known about the device of this name.
    fn find(&self, name: &str) -> Option<DeviceFacts>;

    /// The names of all devices.
    fn names(&self) -> Vec<String>;
}

/// What a device profile says about the use of the device.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeviceFacts {
    /// It is a battery.
    pub battery: bool,
    /// It measures the grid connection.
    pub meter: bool,
    /// The meter is read through the battery, over its link.
    pub via_battery: bool,
    /// The port it listens on, where the profile says so.
    pub tcp_port: Option<u16>,
    /// The units it answers to where the configuration names none.
    pub units: Vec<u8>,
    /// It takes a power to deliver.
    pub setpoint: bool,
    /// It takes limits within which it balances by itself.
    pub limits: bool,
    /// One of its banks takes both, so that it can be told either.
    pub hybrid: bool,
    /// The `setpoint_encoding`s to choose from; empty where there is no choice.
    pub encodings: Vec<String>,
    /// It is a battery management system.
    pub bms: bool,
    /// It charges cars, and takes a limit for that.
    pub charger: bool,
    /// The limit to which a charger falls when nobody asks it can be told in steps of this, mA; `None`: it cannot be told.
    pub fallback_step_ma: Option<u32>,
    /// A BMS or charger must be polled at least this often, ms.
    pub longest_poll_ms: Option<u32>,
    /// It sends telegrams by itself.
    pub telegrams: bool,
    /// As a meter it gives the power of every phase.
    pub phases: bool,
    /// As a meter it gives the current of every phase.
    pub currents: bool,
    /// What the configuration may set.
    pub settings: Vec<Setting>,
}

/// What a device is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Battery,
    Meter,
    Bms,
    Charger,
}

/// A device that is fit for this use.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub name: String,
    pub facts: DeviceFacts,
}

impl Known {
    /// Whether it is a SAX battery: one of a cluster with exactly one master, with the grid meter behind it.
    pub fn is_sax(&self) -> bool {
        self.facts.battery && (self.facts.via_battery || self.name == "sax" || self.name.starts_with("sax-"))
    }
}

/// The `device` key.
pub(super) fn read(section: &mut Section<'_>, devices: &dyn Devices, wanted: Use) -> Option<Spanned<Known>> {
    let name = section.required("device", Section::string)?;
    let Some(facts) = devices.find(&name.value) else {
        refuse_unknown(section, devices, &name);
        return None;
    };
    let (fit, kind) = match wanted {
        Use::Battery => (facts.battery, "a battery"),
        Use::Meter => (facts.meter, "a meter"),
        Use::Bms => (facts.bms, "a battery management system"),
        Use::Charger => (facts.charger, "a charger"),
    };
    if !fit {
        section.add(name.at, "device", format!("\"{}\" is not {kind}.", name.value));
        return None;
    }
    Some(name.map(|name| Known { name, facts }))
}

fn refuse_unknown(section: &Section<'_>, devices: &dyn Devices, name: &Spanned<String>) {
    let message = format!("\"{}\" is not a known device.", name.value);
    let names = devices.names();
    let help = match nearest(&name.value, names.iter().map(String::as_str)) {
        Some(meant) => format!("Did you mean \"{meant}\"?"),
        None => format!("Known devices: {}.", names.join(", ")),
    };
    section.add_with_help(name.at, "device", message, help);
}
