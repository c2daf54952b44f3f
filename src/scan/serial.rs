//! Goes through the units of a serial bus, one setting of the port after the other, one question at a time.

use std::time::Duration;

use super::ask::Asker;
use super::bus;
use super::found::Found;
use super::look::{Seen, look, profiles};
use super::network::Progress;
use super::stop::Stop;
use crate::device::library::Library;
use crate::link::line::Pace;
use crate::link::place::{Parity, Place, Serial};

/// What to scan, and how patiently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Buses {
    /// The port; speed and parity are replaced by each of the following.
    pub serial: Serial,
    /// Speeds, one after the other.
    pub bauds: Vec<u32>,
    /// Parities, one after the other, at each speed.
    pub parities: Vec<Parity>,
    /// The units, in this order.
    pub units: Vec<u8>,
    /// Until an answer begins, beside the time on the wire.
    pub timeout: Duration,
    /// Goes on with the other settings when someone answered.
    pub all: bool,
}

/// Scans; returns what was found under each setting. Fails, with the reason, where the port cannot be opened: it is not there, or someone
/// uses it.
pub fn scan(buses: &Buses, library: &Library, stop: &Stop, mut progress: impl FnMut(Progress)) -> Result<Vec<Found>, String> {
    let profiles = profiles(library);
    let settings: Vec<(u32, Parity)> = buses.bauds.iter().flat_map(|baud| buses.parities.iter().map(|parity| (*baud, *parity))).collect();
    let all = u32::try_from(settings.len() * buses.units.len()).unwrap_or(u32::MAX);
    let (mut found, mut done) = (Vec::new(), 0);
    for (baud, parity) in settings {
        let serial = Serial { baud, parity, ..buses.serial.clone() };
        let pace = Pace::of(&serial);
        let place = Place::Rtu(serial);
        let mut link = bus::open(&place, buses.timeout, stop.hurry());
        let mut asker = Asker::new(link.as_mut(), stop, buses.timeout, buses.timeout, Some(pace));
        let (mut units, mut absent) = (Vec::new(), Vec::new());
        for unit in &buses.units {
            if asker.is_over() {
                break;
            }
            match look(&mut asker, &profiles, *unit) {
                Seen::Someone(unit) => units.push(*unit),
                Seen::Absent => absent.push(*unit),
                Seen::Nobody => {}
            }
            if !asker.is_connected() && asker.last_broken.is_some() {
                return Err(asker.last_broken.unwrap_or_default());
            }
            done += 1;
            progress(Progress { done, all, found: found.len() + usize::from(!units.is_empty()) });
        }
        let mut remarks = Vec::new();
        if let (Some(fault), true) = (&asker.last_garbled, asker.garbled > 0) {
            remarks.push(format!(
                "{} answers were damaged (the last one: {fault}): another speed or parity, two devices with one unit, or interference.",
                asker.garbled
            ));
        }
        if let (Some(why), true) = (&asker.last_broken, asker.is_over() && !stop.is_called()) {
            remarks.push(format!("The port went away: {why}"));
        }
        let answered = !units.is_empty();
        if answered || !absent.is_empty() || !remarks.is_empty() {
            found.push(Found { place, units, absent, remarks });
        }
        if (answered && !buses.all) || stop.is_called() {
            break;
        }
    }
    Ok(found)
}
