//! What devices on one serial port must agree on: its settings, and who answers to which unit.

use super::battery::BatteryDraft;
use super::devices::{Devices, Known};
use super::link::Link;
use super::meter::MeterDraft;
use super::reader::{At, Document};
use crate::link::place::{Parity, Serial};

/// The units after it are reserved (Modbus over serial line 2.2).
const LAST_UNIT: u8 = 247;

/// A device on a Modbus RTU bus.
struct User<'d> {
    /// What findings call it, and its port.
    name: String,
    key: String,
    at: At,
    serial: &'d Serial,
    /// The units it answers to, where that is known.
    units: Vec<u8>,
    /// Two of these with the same `unit` key are refused elsewhere.
    unit_key: Option<Option<u8>>,
    /// The device, where it is one that is both battery and meter.
    device: Option<&'d str>,
}

/// Adds what does not fit together on one port.
pub(super) fn check(document: &Document, meter: Option<&MeterDraft>, batteries: &[BatteryDraft], devices: &dyn Devices) {
    let users = users(meter, batteries, devices);
    for (index, user) in users.iter().enumerate() {
        let neighbours = || users.iter().take(index).filter(|other| other.serial.port == user.serial.port);
        if user.units == [0] {
            let message = "unit 0 means all devices of a serial bus, and none of them answers.";
            document.add_with_help(user.at, &user.key, message, "The device has a unit of its own, 1 to 247.");
        }
        if let Some(unit) = user.units.iter().find(|unit| **unit > LAST_UNIT) {
            let message = format!("unit {unit} does not exist on a serial bus.");
            document.add_with_help(user.at, &user.key, message, format!("The device has a unit of its own, 1 to {LAST_UNIT}."));
        }
        if let Some(other) = neighbours().find(|other| other.serial != user.serial) {
            let message =
                format!("{} is on this port already, with other settings: {}.", other.name, difference(other.serial, user.serial));
            document.add_with_help(user.at, &user.key, message, "All devices on one bus have the same.");
        }
        if let Some((other, unit)) = neighbours().find_map(|other| clash(other, user).map(|unit| (other, unit))) {
            let message = format!("{} answers to unit {unit} on this port already.", other.name);
            document.add_with_help(user.at, &user.key, message, "Every device on a bus needs a unit of its own: unit = ...");
        }
    }
}

fn users<'d>(meter: Option<&'d MeterDraft>, batteries: &'d [BatteryDraft], devices: &dyn Devices) -> Vec<User<'d>> {
    let mut users = Vec::new();
    for draft in batteries.iter().filter(|draft| draft.host_at.is_some()) {
        let name = format!("battery \"{}\"", draft.battery.name);
        let at = draft.host_at.unwrap_or(draft.at);
        let device = draft.device.as_ref();
        if let Link::Rtu(rtu) = &draft.battery.link {
            let key = format!("{name} link.rtu.port");
            let (units, unit_key) = (units(device, draft.battery.unit), Some(draft.battery.unit));
            let device = device.map(|known| known.name.as_str());
            users.push(User { name: name.clone(), key, at, serial: &rtu.serial, units, unit_key, device });
        }
        let Some(bms) = &draft.bms else { continue };
        if let Link::Rtu(rtu) = &bms.bms.link {
            let of_profile = || devices.find(&bms.bms.device).map_or_else(Vec::new, |facts| facts.units);
            let units = bms.bms.unit.map_or_else(of_profile, |unit| vec![unit]);
            let (key, unit_key) = (format!("{name} bms link.rtu.port"), Some(bms.bms.unit));
            let name = format!("the BMS of {name}");
            users.push(User { name, key, at: bms.link_at, serial: &rtu.serial, units, unit_key, device: None });
        }
    }
    if let Some((link, unit)) = meter.and_then(MeterDraft::own_link) {
        if let Link::Rtu(rtu) = &link.value {
            let device = meter.and_then(|meter| meter.device.as_ref());
            let units = units(device, unit);
            let (name, key) = ("the meter".to_owned(), "meter link.rtu.port".to_owned());
            let device = device.map(|known| known.name.as_str());
            users.push(User { name, key, at: link.at, serial: &rtu.serial, units, unit_key: None, device });
        }
    }
    users
}

/// The unit of the file, else those of the profile.
fn units(device: Option<&Known>, unit: Option<u8>) -> Vec<u8> {
    let of_profile = || device.map_or_else(Vec::new, |known| known.facts.units.clone());
    unit.map_or_else(of_profile, |unit| vec![unit])
}

/// A unit to which both answer, unless they are one device.
fn clash(a: &User<'_>, b: &User<'_>) -> Option<u8> {
    let refused_elsewhere = a.unit_key.is_some() && a.unit_key == b.unit_key;
    let one_device = a.unit_key.is_some() != b.unit_key.is_some() && a.device.is_some() && a.device == b.device;
    a.units.iter().copied().find(|unit| b.units.contains(unit)).filter(|_| !refused_elsewhere && !one_device)
}

/// What differs, the first's value before the second's.
fn difference(a: &Serial, b: &Serial) -> String {
    let word = |parity| match parity {
        Parity::None => "none",
        Parity::Even => "even",
        Parity::Odd => "odd",
    };
    let mut said = Vec::new();
    let mut differ = |key: &str, a: String, b: String| {
        if a != b {
            said.push(format!("{key} {a}, not {b}"));
        }
    };
    differ("baud", a.baud.to_string(), b.baud.to_string());
    differ("parity", word(a.parity).into(), word(b.parity).into());
    differ("stop_bits", a.stop_bits.to_string(), b.stop_bits.to_string());
    if a.rs485 != b.rs485 {
        said.push("another rs485".to_owned());
    }
    said.join(", ")
}
