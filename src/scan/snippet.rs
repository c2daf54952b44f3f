//! A configuration that begins with what a scan found. What only a person knows is marked with "fill in".

use std::fmt::Write;

use super::found::Found;
use super::recognise::{Certainty, Match};
use crate::config::{DeviceFacts, Devices};
use crate::device::library::Library;
use crate::device::parse::Device;
use crate::link::place::{Parity, Place};

/// A device as the configuration would name it.
struct Candidate<'f> {
    device: String,
    facts: DeviceFacts,
    place: &'f Place,
    /// Where it is not the one of the profile.
    unit: Option<u8>,
}

/// The TOML text; `None` where nothing was found that is known well enough.
pub fn snippet(found: &[Found], library: &Library) -> Option<String> {
    let candidates: Vec<Candidate<'_>> = found.iter().flat_map(|found| candidates(found, library)).collect();
    if candidates.is_empty() {
        return None;
    }
    let batteries: Vec<_> = candidates.iter().filter(|c| c.facts.battery).collect();
    let mut managers = candidates.iter().filter(|c| c.facts.bms && !c.facts.battery);
    let mut out = String::new();
    line(&mut out, "[site]", "");
    line(&mut out, "strategy = \"observe\"", "reads everything and writes nothing: start with that");
    line(&mut out, "fuse_a = 25.0", "fill in: the main fuse in front of the meter, per phase");
    meters(&mut out, &candidates, batteries.len());
    for (index, battery) in batteries.iter().enumerate() {
        out.push_str("\n[[battery]]\n");
        let _ = writeln!(out, "name = \"{}\"\ndevice = \"{}\"", name(index), battery.device);
        if battery.facts.via_battery {
            let role = if index == first_sax(&batteries) { "master" } else { "slave" };
            line(&mut out, &format!("role = \"{role}\""), "fill in: the one that the meter is connected to is the master");
        }
        line(&mut out, "phase = \"L1\"", "fill in: the phase that it is connected to");
        reached(&mut out, battery);
        for key in ["capacity_wh =", "max_charge_w =", "max_discharge_w ="] {
            line(&mut out, &format!("# {key}"), "fill in");
        }
        if let Some(bms) = managers.next() {
            line(&mut out, "[battery.bms]", "fill in: is it the one of this battery?");
            let _ = writeln!(out, "device = \"{}\"", bms.device);
            reached(&mut out, bms);
        }
    }
    for bms in managers {
        out.push_str("\n# A battery management system whose battery was not found:\n");
        let mut text = format!("[battery.bms]\ndevice = \"{}\"\n", bms.device);
        reached(&mut text, bms);
        comment(&mut out, &text);
    }
    for (index, charger) in candidates.iter().filter(|c| c.facts.charger).enumerate() {
        out.push_str("\n# A charger was found; with a [load_balancer] it becomes:\n");
        let mut text = format!("[[charger]]\nname = \"charger {}\"\ndevice = \"{}\"\n", index + 1, charger.device);
        reached(&mut text, charger);
        comment(&mut out, &text);
    }
    Some(out)
}

/// The meter: one of its own before one behind a battery; the others as comments.
fn meters(out: &mut String, candidates: &[Candidate<'_>], batteries: usize) {
    let own: Vec<_> = candidates.iter().filter(|c| c.facts.meter && !c.facts.via_battery).collect();
    let behind = candidates.iter().filter(|c| c.facts.battery).position(|c| c.facts.meter && c.facts.via_battery);
    out.push('\n');
    let mut first = true;
    for meter in own {
        let mut text = format!("[meter]\ndevice = \"{}\"\n", meter.device);
        reached(&mut text, meter);
        if first {
            out.push_str(&text);
        } else {
            out.push_str("# Another meter was found:\n");
            comment(out, &text);
        }
        first = false;
    }
    match behind.filter(|index| *index < batteries) {
        Some(index) if first => {
            let device = candidates.iter().filter(|c| c.facts.battery).nth(index).map(|c| c.device.as_str()).unwrap_or_default();
            let _ = writeln!(out, "[meter]\ndevice = \"{device}\"");
            line(out, &format!("battery = \"{}\"", name(index)), "fill in: the battery that the meter is connected to, the master");
        }
        None if first => out.push_str("# [meter]                        # fill in: no meter was recognised\n"),
        _ => {}
    }
}

fn first_sax(batteries: &[&Candidate<'_>]) -> usize {
    batteries.iter().position(|c| c.facts.via_battery).unwrap_or(0)
}

/// What is known well enough at one place: for each use the best.
fn candidates<'f>(found: &'f Found, library: &Library) -> Vec<Candidate<'f>> {
    let matches: Vec<&Match> =
        found.units.iter().flat_map(|unit| &unit.matches).filter(|found| found.certainty >= Certainty::Probably).collect();
    let mut candidates: Vec<Candidate<'f>> = Vec::new();
    let mut covered: Vec<String> = Vec::new();
    for device in library.iter() {
        let Device::Choice(choice) = device else { continue };
        let has = |names: &[String]| matches.iter().any(|found| names.contains(&found.profile));
        if has(&choice.battery) || (choice.battery.is_empty() && has(&choice.probe)) {
            covered.extend(choice.probe.iter().cloned());
            candidates.extend(candidate(library, &choice.name, &found.place, None));
        }
    }
    for unit in &found.units {
        let mut uses: Vec<[bool; 4]> = Vec::new();
        for found_match in unit.matches.iter().filter(|m| m.certainty >= Certainty::Probably && !covered.contains(&m.profile)) {
            let own_unit = library.profile(&found_match.profile).map(|profile| profile.unit);
            let id = Some(found_match.unit).filter(|id| Some(*id) != own_unit);
            let Some(candidate) = candidate(library, &found_match.profile, &found.place, id) else { continue };
            let facts = &candidate.facts;
            let of_use = [facts.battery, facts.meter, facts.bms, facts.charger];
            if !uses.contains(&of_use) {
                uses.push(of_use);
                candidates.push(candidate);
            }
        }
    }
    candidates
}

fn candidate<'f>(library: &Library, device: &str, place: &'f Place, unit: Option<u8>) -> Option<Candidate<'f>> {
    let facts = Devices::find(library, device)?;
    (facts.battery || facts.bms || facts.meter || facts.charger).then(|| Candidate { device: device.to_owned(), facts, place, unit })
}

fn reached(out: &mut String, candidate: &Candidate<'_>) {
    let _ = match candidate.place {
        Place::Tcp { host, port } => writeln!(out, "link.tcp = {{ host = \"{host}\", port = {port} }}"),
        Place::Rtu(serial) => {
            let parity = match serial.parity {
                Parity::None => "none",
                Parity::Even => "even",
                Parity::Odd => "odd",
            };
            writeln!(
                out,
                "link.rtu = {{ port = \"{}\", baud = {}, parity = \"{parity}\", data_bits = {}, stop_bits = {} }}",
                serial.port, serial.baud, serial.data_bits, serial.stop_bits
            )
        }
    };
    if let Some(unit) = candidate.unit {
        let _ = writeln!(out, "unit = {unit}");
    }
}

/// A, B, … Z, and then by number.
fn name(index: usize) -> String {
    match u8::try_from(index) {
        Ok(index) if index < 26 => char::from(b'A' + index).to_string(),
        _ => format!("Battery {}", index + 1),
    }
}

fn line(out: &mut String, text: &str, remark: &str) {
    let _ = if remark.is_empty() { writeln!(out, "{text}") } else { writeln!(out, "{text:<32} # {remark}") };
}

/// Every line as a comment.
pub fn comment(out: &mut String, text: &str) {
    for line in text.lines() {
        let _ = writeln!(out, "{}", format!("# {line}").trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Strategy};
    use crate::link::place::Serial;
    use crate::scan::found::{First, Unit};
    use crate::scan::identity::Identity;

    fn found(place: Place, profiles: &[(&str, u8, Certainty)]) -> Found {
        let matches = profiles.iter().map(|(profile, unit, certainty)| Match {
            profile: (*profile).to_owned(),
            unit: *unit,
            certainty: *certainty,
            possible: (4, 4),
        });
        let units =
            matches.map(|m| Unit { ids: vec![m.unit], identity: Identity::default(), first: First::None, matches: vec![m] }).collect();
        Found { place, units, absent: Vec::new(), remarks: Vec::new() }
    }

    fn tcp(last: u8) -> Place {
        Place::Tcp { host: format!("192.168.1.{last}"), port: 502 }
    }

    #[test]
    fn batteries_with_several_banks_become_one_device_each() {
        let library = Library::built_in().unwrap();
        let banks = [("sax-basic", 64, Certainty::Probably), ("sax-sunspec", 100, Certainty::Surely)];
        let text = snippet(&[found(tcp(11), &banks), found(tcp(12), &banks[..1])], &library).unwrap();
        assert_eq!(text.matches("device = \"sax\"").count(), 3, "{text}");
        let config = config::parse(&text, &library).unwrap_or_else(|e| panic!("{}\n{text}", e.render("snippet")));
        assert_eq!(config.site.strategy, Strategy::Observe);
        assert_eq!(config.batteries.iter().map(|b| b.name.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        assert_eq!(config.batteries[1].link.to_string(), "192.168.1.12:502");
        assert_eq!(config.meter.unwrap().device, "sax");
    }

    #[test]
    fn what_is_not_sure_enough_is_not_proposed() {
        let library = Library::built_in().unwrap();
        assert_eq!(snippet(&[found(tcp(11), &[("sax-basic", 64, Certainty::Perhaps)])], &library), None);
        assert_eq!(snippet(&[], &library), None);
    }

    #[test]
    fn a_bus_has_its_settings_and_another_unit_is_named() {
        let library = Library::built_in().unwrap();
        let serial = Serial { port: "/dev/ttyUSB0".into(), baud: 19200, parity: Parity::Even, data_bits: 8, stop_bits: 1, rs485: None };
        let place = Place::Rtu(serial);
        let mut out = String::new();
        let facts = Devices::find(&library, "sax-basic").unwrap();
        reached(&mut out, &Candidate { device: "sax-basic".into(), facts, place: &place, unit: Some(7) });
        let link = "link.rtu = { port = \"/dev/ttyUSB0\", baud = 19200, parity = \"even\", data_bits = 8, stop_bits = 1 }\nunit = 7\n";
        assert_eq!(out, link);
    }
}
