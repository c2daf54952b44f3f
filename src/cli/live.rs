//! `sax-controller simulate --live`: the real controller as a process of its own against simulated batteries on loopback.
//!
//! Shows what happens; ends with 1 when the controller died early or did not hand the batteries back. Leaves no process and no file.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Failure;
use super::live_child::{Controller, TempFolder};
use super::live_config::{Moved, Telegrams, moved};
use super::live_summary::Summary;
use super::live_view::{block, chargers, header};
use super::simulate::Options;
use super::simulate_site::{Chosen, METER_PERIOD_MS, START_SOC_PM, chosen, notes, site_params};
use super::status;
use crate::config::{Config, MeterSource, TelegramLink};
use crate::daemon::clock::{Clock, Monotonic};
use crate::daemon::wiring::plan;
use crate::link::place::{Place, Serial};
use crate::plant::faults::Fault;
use crate::plant::house::House;
use crate::plant::serve::{LiveSite, Reached, loopback};
use crate::simulate::line_of;
use crate::simulated_devices::{buses, places};

/// The controller must have handed back the batteries and ended within this time.
const STOP_WITHIN: Duration = Duration::from_secs(4);
/// Blocks between two headers.
const HEADER_EVERY: u64 = 5;
/// How often signals are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|e| Failure::failed(format!("The signal handlers cannot be installed: {e}.")))?;
    }
    let chosen = chosen(options)?;
    let folder = TempFolder::new(options.keep).map_err(|e| Failure::failed(format!("No temporary folder can be made: {e}.")))?;
    let site = live_site(options, &chosen, folder.path())?;
    let (file, socket) = (folder.path().join("controller.toml"), folder.path().join("controller.sock"));
    std::fs::write(&file, moved_to(&chosen, &site, &socket, folder.path())?)
        .map_err(|e| Failure::failed(format!("{} cannot be written: {e}.", file.display())))?;
    say(&introduction(options, &chosen, &site, &file));
    let devices = options.files.as_ref().map_or_else(|| folder.path().join("devices"), |files| files.devices.clone());
    let summary = Summary::new(&site, &chosen.config);
    let mut demo = Demo {
        controller: Controller::start(&file, &devices).map_err(|e| Failure::failed(format!("The controller cannot be started: {e}.")))?,
        site,
        summary,
        stop,
        chargers: chosen.config.chargers.iter().map(|c| c.name.clone()).collect(),
        widest: chosen.config.batteries.iter().map(|b| b.name.chars().count()).max().unwrap_or(0),
    };
    let outcome = demo.watch(options.seconds, &socket).and_then(|()| demo.finish());
    drop(demo);
    if options.keep {
        say(&format!("The configuration is kept in {}.\n", folder.path().display()));
    }
    outcome
}

/// Every device of the configuration, on loopback addresses and pseudo terminals.
fn live_site(options: &Options, chosen: &Chosen, folder: &Path) -> Result<LiveSite, Failure> {
    let Chosen { config, library, .. } = chosen;
    let house = House::Demo(options.number);
    let mut params = site_params(config, library, options.number, house, options.latency_ms, options.firmware);
    params.wall_start_s = Monotonic::start().wall_s();
    for (_, sax) in &mut params.batteries {
        // control.md 1.1 leaves it open; what a small controller needs for an answer.
        sax.response_ms = 20;
    }
    let plan = plan(config, library);
    let reached = |(host, place): (usize, Option<Place>)| match place {
        Some(Place::Tcp { .. }) => Reached::Tcp(loopback(host)),
        Some(place) => line_of(&place).map_or(Reached::Never, |line| Reached::Bus(bus_path(folder, host), line)),
        None => Reached::Never,
    };
    let mut hosts: Vec<_> = places(config, &plan, library).into_iter().enumerate().map(reached).collect();
    hosts.extend(telegram_link(config).map(|link| match link {
        TelegramLink::Serial(serial) => Reached::Telegrams(bus_path(folder, hosts.len()), serial.baud),
        TelegramLink::Tcp { .. } => Reached::TelegramsTcp(loopback(hosts.len())),
    }));
    let site =
        LiveSite::start_hosts(params, 1, &hosts).map_err(|e| Failure::failed(format!("The simulated devices cannot be started: {e}.")))?;
    let faults = site.faults();
    for bus in buses(config, &plan, library) {
        faults.set(bus, Fault::LoseRequest { permille: options.bus_loss_permille });
        faults.set(bus, Fault::LoseReply { permille: options.bus_loss_permille });
        faults.set(bus, Fault::BitError { permille: options.noise_permille });
        faults.set(bus, Fault::Noise { permille: options.noise_permille });
    }
    Ok(site)
}

/// Where the meter sends its telegrams, if it does. It is the last host of the live site.
fn telegram_link(config: &Config) -> Option<&TelegramLink> {
    match &config.meter.as_ref()?.source {
        MeterSource::Telegrams { link, .. } => Some(link),
        MeterSource::Battery { .. } | MeterSource::Own { .. } => None,
    }
}

fn bus_path(folder: &Path, host: usize) -> PathBuf {
    folder.join(format!("bus-{host}"))
}

/// The configuration with its devices where the simulated ones are.
fn moved_to(chosen: &Chosen, site: &LiveSite, socket: &Path, folder: &Path) -> Result<String, Failure> {
    let Chosen { config, library, text } = chosen;
    let places = places(config, &plan(config, library), library);
    let device = |place: &Place| {
        let host = places.iter().position(|p| p.as_ref() == Some(place))?;
        let address = site.addresses().get(host)?;
        Some(match place {
            Place::Tcp { .. } => Place::Tcp { host: address.ip().to_string(), port: address.port() },
            Place::Rtu(serial) => Place::Rtu(Serial { port: bus_path(folder, host).display().to_string(), ..serial.clone() }),
        })
    };
    let telegrams = telegram_link(config).and_then(|link| match link {
        TelegramLink::Serial(_) => Some(Telegrams::Serial(bus_path(folder, places.len()))),
        TelegramLink::Tcp { .. } => site.addresses().get(places.len()).map(|a| Telegrams::Tcp(a.ip().to_string(), a.port())),
    });
    let now = Moved { device: &device, telegrams, socket: socket.to_owned(), folder: folder.to_owned() };
    moved(text, config, &now).map_err(|e| Failure::failed(format!("The configuration cannot be written anew: {e}.")))
}

fn introduction(options: &Options, chosen: &Chosen, site: &LiveSite, file: &Path) -> String {
    let Chosen { config, library, .. } = chosen;
    let plan = plan(config, library);
    let mut out = String::new();
    let addresses = site.addresses();
    for (host, place) in places(config, &plan, library).iter().enumerate() {
        let now = match place {
            None => continue,
            Some(Place::Tcp { .. }) => addresses.get(host).map_or_else(String::new, ToString::to_string),
            Some(Place::Rtu(serial)) => format!("a simulated bus at {} baud", serial.baud),
        };
        let here = config.batteries.iter().filter(|b| Some(b.link.place()) == *place).map(|b| format!("{} (\"{}\")", b.name, b.device));
        let managed = config.batteries.iter().filter_map(|b| Some((b, b.bms.as_ref()?)));
        let bms = managed.filter(|(_, m)| Some(m.link.place()) == *place).map(|(b, m)| format!("BMS of {} (\"{}\")", b.name, m.device));
        let meter = config.meter.iter().filter(|m| matches!(&m.source, MeterSource::Own { link, .. } if Some(link.place()) == *place));
        let chargers = config.chargers.iter().filter(|c| Some(c.link.place()) == *place);
        let chargers = chargers.map(|c| format!("charger {} (\"{}\")", c.name, c.device));
        let names: Vec<_> = here.chain(bms).chain(chargers).chain(meter.map(|m| format!("meter (\"{}\")", m.device))).collect();
        let _ = writeln!(out, "  {} -> {now}: {}", place.as_ref().map_or_else(String::new, ToString::to_string), names.join(", "));
    }
    if let Some(link) = telegram_link(config) {
        let was = match link {
            TelegramLink::Serial(serial) => serial.port.clone(),
            TelegramLink::Tcp { host, port } => format!("{host}:{port}"),
        };
        let _ = writeln!(out, "  {was} -> a simulated P1 port: meter");
    }
    for note in notes(config) {
        let _ = writeln!(out, "Note: {note}.");
    }
    format!(
        "Simulated devices, batteries at {} % at the start (SAX with {}):\n{out}\
         The meter has a new value every {METER_PERIOD_MS} ms, visible after {} ms. The house repeats every four minutes, number {}.\n\
         The controller is the real one: sax-controller run --config {}\n\
         Powers in W: from the grid +, into the grid -; battery discharges +, charges -. Ctrl-C ends it.\n\
         house, sun, grid and power are what is true; read, age and set are what the controller says.\n",
        START_SOC_PM / 10,
        options.firmware.words(),
        options.latency_ms,
        options.number,
        file.display()
    )
}

struct Demo {
    // Dropped first: killed while its batteries still answer.
    controller: Controller,
    site: LiveSite,
    summary: Summary,
    stop: Arc<AtomicBool>,
    /// The longest name of a battery.
    widest: usize,
    /// The names of the chargers.
    chargers: Vec<String>,
}

impl Demo {
    /// Shows second after second until the time is over or a signal came.
    fn watch(&mut self, seconds: Option<u64>, socket: &Path) -> Result<(), Failure> {
        let begun = Instant::now();
        for second in 1..=seconds.unwrap_or(u64::MAX) {
            let until = begun + Duration::from_secs(second);
            while Instant::now() < until {
                if self.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                self.show_log(LOOK_EVERY.min(until.saturating_duration_since(Instant::now())));
                self.must_run()?;
            }
            let status = status::fetch(socket).and_then(|text| status::parse(&text)).unwrap_or(Value::Null);
            let (truth, running) = self.site.with(|site| (site.truth(), site.running()));
            let chargers = self.site.with(|site| chargers(site, &self.chargers));
            self.summary.second(&self.site);
            if (second - 1) % HEADER_EVERY == 0 {
                say(&header(self.widest));
            }
            if !say(&(block(second, self.widest, &truth, &status, &running) + &chargers)) {
                // Nobody reads any more.
                return Ok(());
            }
        }
        Ok(())
    }

    fn show_log(&self, within: Duration) {
        if let Some(line) = self.controller.line(within) {
            say(&format!("   log | {line}\n"));
        }
    }

    fn must_run(&mut self) -> Result<(), Failure> {
        let ended = self.controller.ended().map_err(|e| Failure::failed(format!("The controller cannot be watched: {e}.")))?;
        let Some(status) = ended else { return Ok(()) };
        self.show_rest_of_log();
        Err(Failure::failed(format!("The controller ended by itself: {status}.")))
    }

    fn show_rest_of_log(&self) {
        while let Some(line) = self.controller.line(LOOK_EVERY) {
            say(&format!("   log | {line}\n"));
        }
    }

    /// Stops the controller and looks whether it left the batteries as it should.
    fn finish(&mut self) -> Result<(), Failure> {
        let figures = self.summary.text(&self.site);
        let stopped = self.controller.stop(STOP_WITHIN).map_err(|e| Failure::failed(format!("The controller cannot be stopped: {e}.")))?;
        self.show_rest_of_log();
        let (Some(status), took) = stopped else {
            return Err(Failure::failed(format!("The controller did not end within {} s of SIGTERM.", STOP_WITHIN.as_secs())));
        };
        let mut out = format!("\nThe controller ended {} ms after SIGTERM, {status}.\n", took.as_millis());
        let held = self.summary.held(&self.site);
        let _ = match held.as_slice() {
            [] => {
                let chargers = if self.chargers.is_empty() { "" } else { "\nThe chargers were left at their fallback limits." };
                writeln!(out, "The batteries were released: none stands under a setpoint other than 0 W.{chargers}")
            }
            held => writeln!(out, "NOT released: {}.", held.join(", ")),
        };
        out += &figures;
        let _ = writeln!(out, "\n{}", self.summary.verdict(held.is_empty()));
        say(&out);
        match (held.is_empty(), status.success()) {
            (true, true) => Ok(()),
            (false, _) => Err(Failure::failed("The controller did not release every battery and charger.")),
            (_, false) => Err(Failure::failed(format!("The controller ended with {status}."))),
        }
    }
}

/// Writes to standard output at once; false when nobody reads any more.
fn say(text: &str) -> bool {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) => error.kind() == ErrorKind::Interrupted,
        Ok(()) => true,
    }
}
