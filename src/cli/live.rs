//! `sax-controller simulate --live`: the real controller as a process of its own against simulated batteries on loopback.
//!
//! Shows what happens; ends with 1 when the controller died early or did not hand the batteries back. Leaves no process and no file.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::Failure;
use super::live_child::{Controller, TempFolder};
use super::live_summary::Summary;
use super::live_view::{HEADER, block};
use super::simulate::Options;
use super::simulate_site::{METER_PERIOD_MS, START_SOC_PM, built_in, site_params};
use super::status;
use crate::config;
use crate::device::library::Library;
use crate::plant::house::House;
use crate::plant::serve::LiveSite;

/// The controller must have handed back the batteries and ended within this time.
const STOP_WITHIN: Duration = Duration::from_secs(4);
/// Blocks between two headers.
const HEADER_EVERY: u64 = 6;
/// How often signals are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop))
            .map_err(|e| Failure::failed(format!("The signal handlers cannot be installed: {e}.")))?;
    }
    let site = live_site(options)?;
    let folder = TempFolder::new(options.keep).map_err(|e| Failure::failed(format!("No temporary folder can be made: {e}.")))?;
    let (file, socket) = (folder.path().join("controller.toml"), folder.path().join("controller.sock"));
    std::fs::write(&file, built_in(options.poll_ms, Some(site.ports()), Some(&socket)))
        .map_err(|e| Failure::failed(format!("{} cannot be written: {e}.", file.display())))?;
    say(&introduction(options, &site, &file));
    let summary = Summary::new(&site);
    let mut demo = Demo {
        controller: Controller::start(&file, &folder.path().join("devices"))
            .map_err(|e| Failure::failed(format!("The controller cannot be started: {e}.")))?,
        site,
        summary,
        stop,
    };
    let outcome = demo.watch(options.seconds, &socket).and_then(|()| demo.finish(options.poll_ms));
    drop(demo);
    if options.keep {
        say(&format!("The configuration is kept in {}.\n", folder.path().display()));
    }
    outcome
}

fn live_site(options: &Options) -> Result<LiveSite, Failure> {
    let library = Library::built_in().map_err(Failure::failed)?;
    let text = built_in(options.poll_ms, None, None);
    let config = config::parse(&text, &library).map_err(|findings| Failure::failed(findings.render("(built in)")))?;
    let mut params = site_params(&config, options.number, House::Demo(options.number), options.latency_ms, options.firmware);
    for (_, sax) in &mut params.batteries {
        // control.md 1.1 leaves it open; what a small controller needs for an answer.
        sax.response_ms = 20;
    }
    LiveSite::start(params, 1).map_err(|e| Failure::failed(format!("The simulated batteries cannot be started: {e}.")))
}

fn introduction(options: &Options, site: &LiveSite, file: &Path) -> String {
    let ports: Vec<_> = site.ports().iter().map(u16::to_string).collect();
    format!(
        "Three simulated SAX batteries ({}, {} % at the start) on 127.0.0.1, ports {}.\n\
         Their meter has a new value every {METER_PERIOD_MS} ms, visible after {} ms. The house repeats every four minutes, number {}.\n\
         The controller is the real one: sax-controller run --config {}\n\
         Powers in W: from the grid +, into the grid -; battery discharges +, charges -. Ctrl-C ends it.\n",
        options.firmware.words(),
        START_SOC_PM / 10,
        ports.join(", "),
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
            self.summary.second(&self.site);
            if (second - 1) % HEADER_EVERY == 0 {
                say(HEADER);
            }
            if !say(&block(second, &truth, &status, &running)) {
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
    fn finish(&mut self, poll_ms: u64) -> Result<(), Failure> {
        let figures = self.summary.text(&self.site, poll_ms);
        let stopped = self.controller.stop(STOP_WITHIN).map_err(|e| Failure::failed(format!("The controller cannot be stopped: {e}.")))?;
        self.show_rest_of_log();
        let (Some(status), took) = stopped else {
            return Err(Failure::failed(format!("The controller did not end within {} s of SIGTERM.", STOP_WITHIN.as_secs())));
        };
        let mut out = format!("\nThe controller ended {} ms after SIGTERM, {status}.\n", took.as_millis());
        let held = self.summary.held(&self.site);
        let _ = match held.as_slice() {
            [] => writeln!(out, "The batteries were released: none stands under a setpoint other than 0 W."),
            held => writeln!(out, "NOT released: {}.", held.join(", ")),
        };
        say(&(out + &figures));
        match (held.is_empty(), status.success()) {
            (true, true) => Ok(()),
            (false, _) => Err(Failure::failed("The controller did not release every battery.")),
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
