//! A serial bus in real time: the real link against two simulated batteries on a pseudo terminal at 9600 8N1.
//!
//! Prints how long an exchange takes beside what the line needs by itself, without faults and with one frame in twenty dropped each way.
#![allow(missing_docs)]

#[path = "../common/bus.rs"]
mod bus;
mod common;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::Verdict;
use sax_controller::link::deadline::Hurry;
use sax_controller::link::{self, Link};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::line::Line;
use sax_controller::plant::serve::{LiveSite, Reached};

const REQUESTS: usize = 100;
/// What the schedulers of both sides may add, ms.
const OVERHEAD_MS: u64 = 15;
const TIMEOUT_MS: u64 = 300;

/// The times of those that were answered in ms, in order, and how many were not.
fn exchanges(link: &mut dyn Link) -> (Vec<u64>, usize) {
    let mut times = Vec::new();
    for k in 0..REQUESTS {
        link.set_uid(1 + (k % 2) as u8);
        let begun = Instant::now();
        if link.read_holding_registers(100, 8).is_ok() {
            times.push(u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX));
        }
    }
    times.sort_unstable();
    let lost = REQUESTS - times.len();
    (times, lost)
}

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    let profiles = bus::Profiles::new("bench");
    let library = profiles.library();
    let port = profiles.0.join("bus");
    let config = bus::parse(&bus::text(&port.display().to_string(), true, 1000), &library);
    let params = bus::params(&config, &library, 3, House::Fixed([1000, 0, 0]), 0);
    let host = params.devices[0].host;
    let mut hosts = vec![Reached::Never; host];
    hosts.push(Reached::Bus(port, Line::slow()));
    let site = LiveSite::start_hosts(params, 1, &hosts).expect("a pseudo terminal");
    let mut link = link::open(&config.batteries[0].link.place(), Duration::from_millis(TIMEOUT_MS), Hurry::default());
    let needed_ms = Line::slow().exchange_ms(8, 21).1;
    let mut verdict = Verdict::default();
    for permille in [0, 50] {
        site.faults().set(host, Fault::LoseRequest { permille });
        site.faults().set(host, Fault::LoseReply { permille });
        let (times, lost) = exchanges(link.as_mut());
        let at = |share: usize| times.get(times.len() * share / 100).or(times.last()).copied().unwrap_or(u64::MAX);
        println!(
            "{} of 1000 frames dropped: {lost} of {REQUESTS} unanswered; an exchange takes {} ms (median), {} ms (95 of 100), the line needs {needed_ms} ms",
            permille,
            at(50),
            at(95)
        );
        verdict.demand(at(50) <= needed_ms + OVERHEAD_MS, format!("median {} ms, more than {} ms", at(50), needed_ms + OVERHEAD_MS));
        // Twice 5 % of 100: 10 expected, more than 25 is no chance.
        verdict.demand(if permille == 0 { lost == 0 } else { lost <= 25 }, format!("{lost} unanswered with {permille} of 1000 dropped"));
    }
    verdict.end()
}
