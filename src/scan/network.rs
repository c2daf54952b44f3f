//! Goes through the hosts of a network: many at the same time, each over one connection after the other, never two.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use crossbeam_channel::{RecvTimeoutError, Sender, bounded};

use super::ask::Asker;
use super::bus;
use super::found::{Found, collapsed};
use super::look::{Seen, look, profiles};
use super::plan::Hosts;
use super::stop::Stop;
use crate::device::library::Library;
use crate::device::profile::Profile;
use crate::link::place::Place;

/// Hosts that are asked at the same time (facts/devices.md 6.1).
pub const AT_ONCE: u32 = 50;
/// How often who waits looks whether it is over.
const SLICE: Duration = Duration::from_millis(100);
/// A scanning thread needs little.
const STACK: usize = 256 * 1024;

/// What to scan, and how patiently.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// The hosts.
    pub hosts: Vec<Hosts>,
    /// The ports, one after the other on each host.
    pub ports: Vec<u16>,
    /// The units, in this order.
    pub units: Vec<u8>,
    /// Until a connection is there.
    pub connect: Duration,
    /// Until an answer is there.
    pub timeout: Duration,
}

impl Network {
    /// How many hosts there are.
    pub fn count(&self) -> u32 {
        self.hosts.iter().fold(0, |sum, hosts| sum.saturating_add(hosts.count()))
    }

    fn host(&self, mut index: u32) -> Option<String> {
        for hosts in &self.hosts {
            if index < hosts.count() {
                return hosts.get(index);
            }
            index -= hosts.count();
        }
        None
    }
}

/// How far a scan is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Hosts, or units of a bus, that are done.
    pub done: u32,
    /// All of them.
    pub all: u32,
    /// Places at which someone answered.
    pub found: usize,
}

/// What a host's thread reports when it is done with it.
type Report = (u32, Vec<Found>);

/// Scans; returns what was found, in the order of the hosts. `progress` is called now and then. Fails where there is no thread to be had.
pub fn scan(network: &Network, library: &Library, stop: &Stop, mut progress: impl FnMut(Progress)) -> io::Result<Vec<Found>> {
    let all = network.count();
    let profiles = &profiles(library);
    let next = AtomicU32::new(0);
    let mut found: Vec<Report> = Vec::new();
    let mut done = 0;
    thread::scope(|scope| {
        let (sender, reports) = bounded(AT_ONCE as usize);
        for number in 0..AT_ONCE.min(all) {
            let (sender, next) = (sender.clone(), &next);
            let builder = thread::Builder::new().name(format!("scan-{number}")).stack_size(STACK);
            match builder.spawn_scoped(scope, move || work(network, profiles, stop, next, &sender)) {
                Ok(_) => {}
                // Fewer will do.
                Err(error) if number == 0 => return Err(error),
                Err(_) => break,
            }
        }
        drop(sender);
        loop {
            match reports.recv_timeout(SLICE) {
                Ok(report) => {
                    done += 1;
                    if !report.1.is_empty() {
                        found.push(report);
                    }
                    progress(Progress { done, all, found: found.iter().map(|(_, found)| found.len()).sum() });
                }
                // Looking calls off what is under way.
                Err(RecvTimeoutError::Timeout) => drop(stop.is_called()),
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
        }
    })?;
    found.sort_unstable_by_key(|(index, _)| *index);
    Ok(found.into_iter().flat_map(|(_, found)| found).collect())
}

fn work(network: &Network, profiles: &[Profile], stop: &Stop, next: &AtomicU32, reports: &Sender<Report>) {
    while !stop.is_called() {
        let index = next.fetch_add(1, Ordering::Relaxed);
        let Some(host) = network.host(index) else { return };
        let found = network.ports.iter().filter_map(|port| visit(network, profiles, stop, &host, *port)).collect();
        if reports.send((index, found)).is_err() {
            return;
        }
    }
}

/// Everything about one port of one host; `None` where nobody listens.
fn visit(network: &Network, profiles: &[Profile], stop: &Stop, host: &str, port: u16) -> Option<Found> {
    if stop.is_called() {
        return None;
    }
    let place = Place::Tcp { host: host.to_owned(), port };
    let mut link = bus::open(&place, network.connect, stop.hurry());
    let mut asker = Asker::new(link.as_mut(), stop, network.connect, network.timeout, None);
    let (mut units, mut absent, mut asked) = (Vec::new(), Vec::new(), 0);
    for unit in &network.units {
        if asker.is_over() {
            break;
        }
        asked += 1;
        match look(&mut asker, profiles, *unit) {
            Seen::Someone(unit) => units.push(*unit),
            Seen::Absent => absent.push(*unit),
            Seen::Nobody => {}
        }
        if !asker.is_connected() {
            return None;
        }
    }
    let remarks = remarks(&asker, units.is_empty(), asked < network.units.len() && !stop.is_called());
    Some(Found { place, units: collapsed(units, asked), absent, remarks })
}

fn remarks(asker: &Asker<'_>, nobody: bool, given_up: bool) -> Vec<String> {
    let mut remarks = Vec::new();
    match (&asker.last_broken, &asker.last_garbled) {
        (Some(why), _) if given_up => remarks.push(format!(
            "The connection was closed again and again ({why}): perhaps another program uses the device, and it allows one connection only."
        )),
        (_, Some(fault)) if asker.answers == 0 => remarks.push(format!("Something answers there, but not in Modbus ({fault}).")),
        _ if nobody && asker.answers == 0 => remarks.push(
            "The port is open, but no unit answered: try --units 1-247, a longer --timeout-ms, or the port is of something else."
                .to_owned(),
        ),
        _ => {}
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_several_ranges_are_numbered_through() {
        let hosts = ["10.0.0.1-2", "box.local", "10.0.1.0/30"].map(|text| Hosts::parse(text).unwrap()).to_vec();
        let zero = Duration::ZERO;
        let network = Network { hosts, ports: vec![502], units: vec![1], connect: zero, timeout: zero };
        let all: Vec<_> = (0..network.count()).map(|index| network.host(index).unwrap()).collect();
        assert_eq!(all, ["10.0.0.1", "10.0.0.2", "box.local", "10.0.1.1", "10.0.1.2"]);
        assert_eq!(network.host(5), None);
    }
}
