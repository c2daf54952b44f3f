//! A simulated day in virtual time, and its figures beside those of the same day with batteries that do nothing.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::simulate::{Options, SEASONS, SKIES};
use super::simulate_files::{recorded, write_whole};
use super::simulate_site::{Chosen, DEAD_MS, METER_PERIOD_MS, START_SOC_PM, TAU_MS, chosen, notes, site_params};
use super::{Failure, print, simulate_compare, simulate_plot};
use crate::config::{Battery, Config, Phases};
use crate::daemon::wiring::plan;
use crate::device::library::Library;
use crate::picture::{Pane, View};
use crate::plant::day::{Day, DayParams};
use crate::plant::faults::Fault;
use crate::plant::house::{House, Recorded};
use crate::plant::kpi::{Kpi, KpiParams};
use crate::plant::kpi_oracle::Oracle;
use crate::plant::kpi_report::kwh;
use crate::plant::kpi_steps::{Delays, Steps};
use crate::plant::site::{Site, SiteParams};
use crate::simulate::Simulation;
use crate::simulated_day::Judged;
use crate::simulated_day::course::Course;
use crate::simulated_day::csv;
use crate::simulated_day::overlays::{LATENCIES_MS, LOSS_PERMILLE, Overlays};
use crate::simulated_devices::buses;

pub(super) fn run(options: &Options) -> Result<(), Failure> {
    let chosen = chosen(options)?;
    let trace = options.trace.as_deref().map(recorded).transpose()?.map(Arc::new);
    let day = SimulatedDay::new(options, &chosen, trace);
    if options.compare {
        return simulate_compare::run(&day);
    }
    let head = head(&day);
    print(&head)?;
    let cpu = CpuTime::start();
    let mut course = (options.csv.is_some() || options.plot.is_some()).then(Course::default);
    let mut simulation = day.simulation();
    let (with, without) = day.ran(&mut simulation, course.as_mut());
    let mut out = table(&with, &without) + &chargers(day.config, &simulation.site()) + &happened(&day);
    let _ = writeln!(out, "\nCPU time {:.2} s", cpu.spent().as_secs_f64());
    print(&out)?;
    let Some(course) = course else { return Ok(()) };
    if let Some(path) = &options.csv {
        write_whole(path, |file| csv::write(&course, file))?;
    }
    let Some(path) = &options.plot else { return Ok(()) };
    let pane = Pane { name: String::new(), view: View::of(&course, 1) };
    simulate_plot::write(path, &head, &[pane], &simulate_plot::figures(&with, &without))
}

/// What is simulated.
pub(super) struct SimulatedDay<'a> {
    pub(super) options: &'a Options,
    pub(super) config: &'a Config,
    pub(super) library: &'a Library,
    day: Arc<Day>,
    /// In place of the loads and the sun of the day.
    trace: Option<Arc<Recorded>>,
    seconds: u32,
    overlays: Overlays,
}

impl<'a> SimulatedDay<'a> {
    fn new(options: &'a Options, chosen: &'a Chosen, trace: Option<Arc<Recorded>>) -> SimulatedDay<'a> {
        let Chosen { config, library, .. } = chosen;
        // A week at most.
        let seconds = trace.as_ref().map_or(options.hours as u32 * 3600, |trace| trace.span_ms.div_ceil(1000));
        let overlays = if options.faults { Overlays::plan(options.number, config, seconds) } else { Overlays::default() };
        SimulatedDay { options, config, library, day: Arc::new(day(options, config)), trace, seconds, overlays }
    }

    /// The site that the options and the configuration describe.
    pub(super) fn params(&self) -> SiteParams {
        let Options { number, latency_ms, firmware, .. } = *self.options;
        let params = site_params(self.config, self.library, number, House::Day(Arc::clone(&self.day)), latency_ms, firmware);
        match &self.trace {
            Some(trace) => SiteParams { house: House::Recorded(Arc::clone(trace)), ..params },
            None => params,
        }
    }

    /// The real controller on that site.
    pub(super) fn simulation(&self) -> Simulation {
        Simulation::new(self.config, self.library, self.params())
    }

    /// Runs it, and puts it into `course` where one is given; the figures, and those of the same time with batteries at rest.
    pub(super) fn ran<D: Judged>(&self, simulation: &mut Simulation<D>, mut course: Option<&mut Course>) -> (Kpi, Kpi) {
        let config = self.config;
        self.lose(&simulation.site());
        if let Some(course) = &mut course {
            course.fuse_ma = config.site.fuse_ma.into();
            course.batteries = config.batteries.iter().map(|b| b.name.clone()).collect();
            course.chargers = config.chargers.iter().map(|c| c.name.clone()).collect();
        }
        let usable_wh = config.batteries.iter().map(|b| i64::from(b.capacity_wh)).sum();
        let mut without = Kpi::new(KpiParams { fuse_a: i64::from(config.site.fuse_ma) / 1000, usable_wh });
        let mut with = without.clone();
        with.oracle = Some(Oracle::of(&simulation.site()));
        with.steps = self.trace.is_none().then(|| Steps::new(self.day.switched.clone(), self.delays()));
        self.overlays.run(simulation, self.seconds, &mut with, &mut without, course);
        (with, without)
    }

    /// Switches on what gets lost.
    fn lose(&self, site: &Site) {
        let (options, faults) = (self.options, site.faults());
        for host in 0..site.hosts() {
            faults.set(host, Fault::LoseReply { permille: options.loss_permille });
        }
        for host in buses(self.config, &plan(self.config, self.library), self.library) {
            faults.set(host, Fault::LoseReply { permille: options.loss_permille.max(options.bus_loss_permille) });
            faults.set(host, Fault::LoseRequest { permille: options.bus_loss_permille });
            faults.set(host, Fault::BitError { permille: options.noise_permille });
        }
    }

    /// Half a period of the meter and half a period of the polls pass on average before a sample holds a step (control.md 3).
    fn delays(&self) -> Delays {
        let poll_ms = self.config.meter.as_ref().map_or(0, |m| u64::from(m.poll_ms));
        Delays { dead_ms: (METER_PERIOD_MS + poll_ms) / 2 + DEAD_MS, latency_ms: self.options.latency_ms, tau_ms: TAU_MS }
    }
}

/// What went wrong, and when.
pub(super) fn happened(day: &SimulatedDay<'_>) -> String {
    let mut out = String::new();
    if day.options.faults {
        out += &format!("\nWhat went wrong, beside {} of 1000 replies that got lost:\n", lost_permille(day.options));
    }
    let clock = |s: u32| format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
    for planned in &day.overlays.planned {
        let name = planned.trouble.of(|k| day.config.batteries.get(k).map(|b| b.name.as_str()));
        let _ = writeln!(out, "  {} to {}  {name}", clock(planned.from_s), clock(planned.to_s));
    }
    out
}

pub(super) fn head(day: &SimulatedDay<'_>) -> String {
    let SimulatedDay { options, config, .. } = *day;
    let name_of = |names: &[(&'static str, bool)]| names.iter().find(|(_, is)| *is).map_or("", |(name, _)| *name);
    let season = name_of(&SEASONS.map(|(name, s)| (name, s == options.season)));
    let sky = name_of(&SKIES.map(|(name, s)| (name, s == options.sky)));
    let polls = config.meter.as_ref().map_or(0, |m| m.poll_ms);
    let what = match &options.trace {
        Some(path) => format!("{} s of {}, number {}", day.seconds, path.display(), options.number),
        None => {
            let hours = options.hours;
            format!("{hours} h of a {season} day with a {sky} sky, number {}: house with heat pump, 9 kWp of panels", options.number)
        }
    };
    let mut out = format!(
        "{what}, {}.\n\
         Meter: new value every {METER_PERIOD_MS} ms, visible after {}, polled every {polls} ms; {} of 1000 replies get lost.\n\
         Fuse {} A.",
        car(config, &day.day),
        latency(options),
        lost_permille(options),
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
    for line in notes(config) {
        let _ = writeln!(out, "Note: {line}.");
    }
    out
}

/// Faults bring their own latencies.
fn latency(options: &Options) -> String {
    match options.faults {
        true => format!("{} ms, from noon on {} ms", LATENCIES_MS.0, LATENCIES_MS.1),
        false => format!("{} ms", options.latency_ms),
    }
}

/// Faults lose at least so many.
fn lost_permille(options: &Options) -> u16 {
    options.loss_permille.max(if options.faults { LOSS_PERMILLE } else { 0 })
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
