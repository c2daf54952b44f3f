//! What devices on one serial port must agree on: its settings, and who answers to which unit. And which ports cannot be shared.

use super::battery::BatteryDraft;
use super::charger::ChargerDraft;
use super::devices::{Devices, Known};
use super::link::Link;
use super::meter::{MeterDraft, TelegramLink};
use super::reader::{At, Document, Spanned};
use super::server::ServerDraft;
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
pub(super) fn check(
    document: &Document,
    meter: Option<&MeterDraft>,
    batteries: &[BatteryDraft],
    chargers: &[ChargerDraft],
    server: Option<&ServerDraft>,
    devices: &dyn Devices,
) {
    let mut users = users_of(batteries, devices);
    users.extend(meter.and_then(user_of_meter));
    users.extend(chargers.iter().filter_map(user_of_charger));
    users.extend(server.and_then(user_of_gateway));
    check_buses(document, &users);
    check_own_ports(document, &users, meter, server);
}

fn check_buses(document: &Document, users: &[User<'_>]) {
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

/// Ports that nobody else may use: of a meter that sends by itself, and of our own server.
fn check_own_ports(document: &Document, users: &[User<'_>], meter: Option<&MeterDraft>, server: Option<&ServerDraft>) {
    let on = |port: &str| users.iter().find(|user| user.serial.port == port);
    let telegrams = match meter.and_then(|meter| meter.telegrams.as_ref()) {
        Some(Spanned { value: TelegramLink::Serial(serial), at }) => Some((serial, *at)),
        _ => None,
    };
    if let Some((user, at)) = telegrams.and_then(|(serial, at)| Some((on(&serial.port)?, at))) {
        let message = format!("{} is on this port, and a meter that sends by itself needs one of its own.", user.name);
        document.add(at, "meter link.serial.port", message);
    }
    let Some((server, at)) = server.and_then(|draft| draft.server.rtu.as_ref().zip(draft.rtu_port_at)) else { return };
    let meter = telegrams.filter(|(serial, _)| serial.port == server.serial.port).map(|_| "the meter");
    if let Some(name) = on(&server.serial.port).map(|user| user.name.as_str()).or(meter) {
        let message = format!("{name} is on this port, and we would be asked there ourselves: it needs one of its own.");
        document.add(at, "server rtu.port", message);
    }
}

fn users_of<'d>(batteries: &'d [BatteryDraft], devices: &dyn Devices) -> Vec<User<'d>> {
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
    users
}

fn user_of_meter(meter: &MeterDraft) -> Option<User<'_>> {
    let (Spanned { value: Link::Rtu(rtu), at }, unit) = meter.own_link()? else { return None };
    let device = meter.device.as_ref();
    Some(User {
        name: "the meter".to_owned(),
        key: "meter link.rtu.port".to_owned(),
        at: *at,
        serial: &rtu.serial,
        units: units(device, unit),
        unit_key: None,
        device: device.map(|known| known.name.as_str()),
    })
}

fn user_of_charger(draft: &ChargerDraft) -> Option<User<'_>> {
    let (Link::Rtu(rtu), Some(at)) = (&draft.charger.link, draft.link_at) else { return None };
    let name = format!("charger \"{}\"", draft.charger.name);
    let key = format!("{name} link.rtu.port");
    let units = units(draft.device.as_ref(), draft.charger.unit);
    Some(User { name, key, at, serial: &rtu.serial, units, unit_key: None, device: None })
}

/// Its units may be those of our own devices: it is we who ask for others there.
fn user_of_gateway(draft: &ServerDraft) -> Option<User<'_>> {
    let Link::Rtu(rtu) = &draft.server.gateway.as_ref()?.link else { return None };
    let (name, key) = ("the gateway".to_owned(), "server gateway.link.rtu.port".to_owned());
    Some(User { name, key, at: draft.gateway_link_at?, serial: &rtu.serial, units: Vec::new(), unit_key: None, device: None })
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
