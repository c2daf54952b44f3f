//! The simulated site of the gateway test: three SAX batteries over Modbus TCP on loopback with the meter behind the first, and with
//! `--bus PATH` a meter of its own on a serial port. A process of its own, so that it lives through everything that happens to the gateway.
//!
//! Prints what is really the case, a line of JSON twenty times a second and one for each register that is written, with the time of the
//! wall. Reads commands from standard input, a line each: `load L1 L2 L3` (watts on top of the house), `silent BATTERY`, `answer BATTERY`.
//! Ends with its standard input, or after `--seconds`. Never judges what the controller does.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sax_controller::device::library::Library;
use sax_controller::plant::battery::Control;
use sax_controller::plant::device::{DeviceParams, Serves};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::line::Line;
use sax_controller::plant::serve::{LiveSite, Reached, loopback};
use sax_controller::plant::site::{Site, SiteParams, WriteEvent};
use sax_controller::units::Phase;
use serde_json::json;

type Outcome<T> = Result<T, String>;

/// How often it says what is the case.
const SAY_EVERY: Duration = Duration::from_millis(50);
/// Unless told otherwise it ends after this time.
const SECONDS: u64 = 900;
const USAGE: &str = "usage: gateway-site [--bus PATH] [--seconds N]";

fn main() -> ExitCode {
    match options(std::env::args().skip(1)).and_then(|(bus, seconds)| run(bus, Duration::from_secs(seconds))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("gateway-site: {why}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut arguments: impl Iterator<Item = String>) -> Outcome<(Option<PathBuf>, u64)> {
    let (mut bus, mut seconds) = (None, SECONDS);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().ok_or(USAGE)?;
        match argument.as_str() {
            "--bus" => bus = Some(value.into()),
            "--seconds" => seconds = value.parse().map_err(|_| USAGE)?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok((bus, seconds))
}

fn run(bus: Option<PathBuf>, most: Duration) -> Outcome<()> {
    let site = start(bus)?;
    let addresses: Vec<_> = site.addresses().iter().map(ToString::to_string).collect();
    say(&json!({ "unix_ms": unix_ms(), "listen": addresses }))?;
    let commands = commands();
    let begun = Instant::now();
    // The site's own time begins at 0.
    let zero_ms = site.with(|site| unix_ms() - site.now_ms());
    let mut written = 0;
    while begun.elapsed() < most {
        match commands.recv_timeout(SAY_EVERY) {
            Ok(line) => obey(&site, &line)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
        let lines = site.with(|site| [writes(site, zero_ms, &mut written), vec![state(site, zero_ms)]].concat());
        lines.iter().try_for_each(say)?;
    }
    Err(format!("{} s are over", most.as_secs()))
}

fn start(bus: Option<PathBuf>) -> Outcome<LiveSite> {
    let mut params = SiteParams::new(6, House::Fixed([700, 500, 400]), &Phase::ALL);
    for (battery, sax) in &mut params.batteries {
        // Without a command they rest, so that every watt is the controller's doing.
        battery.own_meter = false;
        // What a small controller needs for an answer.
        sax.response_ms = 20;
    }
    let mut hosts: Vec<_> = (0..params.batteries.len()).map(|k| Reached::Tcp(loopback(k))).collect();
    if let Some(path) = bus {
        let library = Library::built_in().map_err(|e| e.to_string())?;
        let profile = library.profile("acuvim2-float").ok_or("there is no profile acuvim2-float")?.with_settings(&Vec::new());
        let (host, unit) = (hosts.len(), profile.unit);
        params.devices = vec![DeviceParams { host, unit, profile: Arc::new(profile), serves: Serves::Meter, offset: 0, patience_ms: 0 }];
        hosts.push(Reached::Bus(path, Line::slow()));
    }
    LiveSite::start_hosts(params, 1, &hosts).map_err(|e| format!("the site cannot be served: {e}"))
}

/// What is the case.
fn state(site: &Site, zero_ms: u64) -> serde_json::Value {
    let truth = site.truth();
    let batteries = 0..site.batteries();
    let held = |k| match site.battery(k)?.control(truth.at_ms) {
        Control::Commanded { power_w, .. } => Some(power_w),
        Control::OwnMeter => None,
    };
    json!({
        "unix_ms": zero_ms + truth.at_ms,
        "grid_w": truth.grid_w,
        "battery_w": truth.battery_w,
        "soc_pm": truth.soc_pm,
        "setpoint_w": batteries.clone().map(held).collect::<Vec<_>>(),
        "writes": batteries.clone().map(|k| site.writes(k)).collect::<Vec<_>>(),
        "requests": batteries.map(|k| site.all_requests(k).iter().map(|r| r.1).sum::<u64>()).collect::<Vec<_>>(),
    })
}

/// What was written since the last time.
fn writes(site: &Site, zero_ms: u64, seen: &mut u64) -> Vec<serde_json::Value> {
    let all: u64 = (0..site.batteries()).map(|k| site.writes(k)).sum();
    let new = usize::try_from(all - *seen).unwrap_or(usize::MAX);
    *seen = all;
    let mut newest: Vec<_> = site.events().rev().take(new).collect();
    newest.reverse();
    let shown = |e: &WriteEvent| {
        let write = json!({ "battery": e.battery, "unit": e.unit, "address": e.address, "value": e.value });
        json!({ "unix_ms": zero_ms + e.at_ms, "write": write })
    };
    newest.into_iter().map(shown).collect()
}

fn obey(site: &LiveSite, line: &str) -> Outcome<()> {
    let words: Vec<_> = line.split_whitespace().collect();
    let number = |word: &str| word.parse::<i64>().map_err(|_| format!("{line}: {word} is no number"));
    match words.as_slice() {
        ["load", l1, l2, l3] => {
            let load_w = [number(l1)?, number(l2)?, number(l3)?];
            site.with(|site| site.set_extra_load_w(load_w));
        }
        ["silent", battery] => site.faults().set(index(number(battery)?)?, Fault::Silent),
        ["answer", battery] => site.faults().clear_all(index(number(battery)?)?),
        _ => return Err(format!("{line}: no such command")),
    }
    Ok(())
}

fn index(number: i64) -> Outcome<usize> {
    usize::try_from(number).map_err(|_| format!("there is no battery {number}"))
}

fn commands() -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || io::stdin().lock().lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    receiver
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// One line at once; whoever reads it may have left.
fn say(value: &serde_json::Value) -> Outcome<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{value}").and_then(|()| out.flush()).map_err(|e| format!("nobody listens: {e}"))
}
