//! A simulated day in virtual time, and its figures beside those of the same day with batteries that do nothing.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::simulate::{Options, SEASONS, SKIES};
use super::simulate_site::{Chosen, METER_PERIOD_MS, START_SOC_PM, chosen, notes, site_params};
use super::{Failure, print, simulate_compare, simulate_plot};
use crate::config::{Battery, Config, Phases};
use crate::daemon::wiring::plan;
use crate::device::library::Library;
use crate::picture::{Pane, View};
use crate::plant::day::{Day, DayParams};
use crate::plant::faults::Fault;
use crate::plant::house::House;
use crate::plant::kpi::{Kpi, KpiParams};
use crate::plant::kpi_report::kwh;
use crate::plant::site::{Site, SiteParams};
use crate::simulate::Simulation;
use crate::simulated_day;
use crate::simulated_day::Judged;
use crate::simulated_day::course::Course;
use crate::simulated_devices::buses;

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let unbuilt = [(options.csv.is_some(), "--csv")];
    let more = [(options.trace.is_some(), "--trace"), (options.faults, "--faults")];
    if let Some((_, option)) = unbuilt.iter().chain(&more).find(|(given, _)| *given) {
        return Err(Failure::failed(format!("{option} is not built in yet.")));
    }
    let chosen = chosen(options)?;
    if options.compare {
        return simulate_compare::run(options, &chosen);
    }
    let Chosen { config, library, .. } = &chosen;
    let head = head(options, config, &notes(config));
    print(&head)?;
    let cpu = CpuTime::start();
    let mut course = options.plot.as_ref().map(|_| Course::default());
    let mut simulation = Simulation::new(config, library, prepare(options, config, library));
    let (with, without) = ran(options, &chosen, &mut simulation, course.as_mut());
    let mut out = table(&with, &without) + &chargers(config, &simulation.site());
    let _ = writeln!(out, "\nCPU time {:.2} s", cpu.spent().as_secs_f64());
    print(&out)?;
    let Some((file, course)) = options.plot.as_ref().zip(course) else { return Ok(()) };
    let pane = Pane { name: String::new(), view: View::of(&course, 1) };
    simulate_plot::write(file, &head, &[pane], &simulate_plot::figures(&with, &without))
}

pub(super) fn head(options: &Options, config: &Config, changed: &[String]) -> String {
    let name_of = |names: &[(&'static str, bool)]| names.iter().find(|(_, is)| *is).map_or("", |(name, _)| *name);
    let season = name_of(&SEASONS.map(|(name, s)| (name, s == options.season)));
    let sky = name_of(&SKIES.map(|(name, s)| (name, s == options.sky)));
    let polls = config.meter.as_ref().map_or(0, |m| m.poll_ms);
    let mut out = format!(
        "{} h of a {season} day with a {sky} sky, number {}: house with heat pump, 9 kWp of panels, {}.\n\
         Meter: new value every {METER_PERIOD_MS} ms, visible after {} ms, polled every {polls} ms; {} of 1000 replies get lost.\n\
         Fuse {} A.",
        options.hours,
        options.number,
        car(config, &day(options, config)),
        options.latency_ms,
        options.loss_permille,
        f64::from(config.site.fuse_ma) / 1000.0,
    );
    out += &match config.batteries.len() {
        0 => " There is no battery.\n".to_owned(),
        _ => format!(" Batteries (those by SAX with {}, {} % at the start):\n", options.firmware.words(), START_SOC_PM / 10),
    };
    for b in &config.batteries {
        let (charge, discharge) = (b.max_charge_w, b.max_discharge_w);
        let _ =
            writeln!(out, "  {} on {}: {} Wh, charges with {charge} W, discharges with {discharge} W", b.name, where_is(b), b.capacity_wh);
    }
    for line in changed {
        let _ = writeln!(out, "Note: {line}.");
    }
    out
}

/// A car charges where there is a charger that is looked after.
fn day(options: &Options, config: &Config) -> Day {
    let ev = !config.chargers.is_empty();
    Day::new(&DayParams { number: options.number, season: options.season, sky: options.sky, ev, ..DayParams::default() })
}

fn car(config: &Config, day: &Day) -> String {
    let (hour, minute) = (day.plug_s / 3600, day.plug_s / 60 % 60);
    match config.chargers.len() {
        0 => "no car".to_owned(),
        1 => format!("a car that comes home at {hour}:{minute:02} and needs {} Wh", day.need_wh),
        n => format!("{n} cars that come home from {hour}:{minute:02} on and need {} Wh each", day.need_wh),
    }
}

fn where_is(battery: &Battery) -> String {
    let bms = battery.bms.as_ref().map_or(String::new(), |bms| format!(", with the BMS \"{}\"", bms.device));
    let phase = match battery.phase {
        Phases::One(phase) => phase.to_string(),
        Phases::All => "all phases".to_owned(),
    };
    if battery.device == "sax" { format!("{phase}{bms}") } else { format!("{phase} (\"{}\"{bms})", battery.device) }
}

/// The site that the options and the configuration describe.
pub(super) fn prepare(options: &Options, config: &Config, library: &Library) -> SiteParams {
    let day = day(options, config);
    site_params(config, library, options.number, House::Day(Arc::new(day)), options.latency_ms, options.firmware)
}

/// Runs the day, and puts it into `course` where one is given; the figures, and those of the same time with batteries at rest.
pub(super) fn ran<D: Judged>(
    options: &Options,
    chosen: &Chosen,
    simulation: &mut Simulation<D>,
    course: Option<&mut Course>,
) -> (Kpi, Kpi) {
    let Chosen { config, library, .. } = chosen;
    let faults = simulation.site().faults();
    let hosts = simulation.site().hosts();
    for host in 0..hosts {
        faults.set(host, Fault::LoseReply { permille: options.loss_permille });
    }
    for host in buses(config, &plan(config, library), library) {
        faults.set(host, Fault::LoseReply { permille: options.loss_permille.max(options.bus_loss_permille) });
        faults.set(host, Fault::LoseRequest { permille: options.bus_loss_permille });
        faults.set(host, Fault::BitError { permille: options.noise_permille });
    }
    let usable_wh = config.batteries.iter().map(|b| i64::from(b.capacity_wh)).sum();
    let kpi = Kpi::new(KpiParams { fuse_a: i64::from(config.site.fuse_ma) / 1000, usable_wh });
    let (mut with, mut without) = (kpi.clone(), kpi);
    let mut course = course;
    if let Some(course) = &mut course {
        course.fuse_ma = config.site.fuse_ma.into();
        course.batteries = config.batteries.iter().map(|b| b.name.clone()).collect();
        course.chargers = config.chargers.iter().map(|c| c.name.clone()).collect();
    }
    simulated_day::run(simulation, options.hours * 3600, &mut with, &mut without, course);
    (with, without)
}

fn chargers(config: &Config, site: &Site) -> String {
    let mut out = String::new();
    for (k, charger) in config.chargers.iter().enumerate() {
        let Some(simulated) = site.charger(k) else { continue };
        let (wh, switches, writes) = (simulated.car().charged_wh(), simulated.switches(), simulated.writes());
        let _ = writeln!(out, "charger {}: {wh} Wh charged, its contactor switched {switches} times, {writes} writes", charger.name);
    }
    out
}

fn table(with: &Kpi, without: &Kpi) -> String {
    let mut out = format!("The house took {} kWh, the sun gave {} kWh.\n\n", kwh(with.load_mws), kwh(with.pv_mws));
    let mut row = |what: &str, a: &str, b: &str| {
        let line = format!("{what:<34}{a:>28}{b:>28}");
        let _ = writeln!(out, "{}", line.trim_end());
    };
    row("", "with the controller", "batteries at rest");
    for ((what, a), (_, b)) in with.grid_rows().iter().zip(&without.grid_rows()) {
        row(what, a, b);
    }
    for (what, a) in with.battery_rows() {
        row(&what, &a, "");
    }
    out
}

/// The CPU time of this thread, which does all the work; the time that passed where Linux does not tell.
pub(super) struct CpuTime(Option<Duration>, Instant);

impl CpuTime {
    pub(super) fn start() -> CpuTime {
        CpuTime(CpuTime::now(), Instant::now())
    }

    pub(super) fn spent(&self) -> Duration {
        match (self.0, CpuTime::now()) {
            (Some(then), Some(now)) => now.saturating_sub(then),
            _ => self.1.elapsed(),
        }
    }

    fn now() -> Option<Duration> {
        // The first figure is time on the CPU in ns (Documentation/scheduler/sched-stats.rst).
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
    }
}
