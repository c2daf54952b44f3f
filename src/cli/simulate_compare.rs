//! `simulate --compare`: the same day without a controller, with the laws that are common in the field, and with ours.
//!
//! The same house, wire, meter and faults for all of them, and the same load balancer. The best of each row bears a star, whoever it is.

use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::simulate_day::{CpuTime, SimulatedDay, happened, head};
use super::simulate_files::write_whole;
use super::{Failure, print, simulate_plot};
use crate::classic::{Classic, Kind, plan_for};
use crate::picture::{Pane, Table, View};
use crate::plant::kpi::Kpi;
use crate::plant::site::Site;
use crate::simulate::Simulation;
use crate::simulated_day::Judged;
use crate::simulated_day::course::Course;
use crate::simulated_day::csv;

/// Threads at most.
const THREADS: usize = 2;
const OURS: &str = "this controller";

pub(super) fn run(day: &SimulatedDay<'_>) -> Result<(), Failure> {
    let head = head(day);
    print(&head)?;
    let mut runs = all(day);
    let table = table(&runs, day.config.site.fuse_ma, !day.config.batteries.is_empty());
    let cpu: Duration = runs.iter().map(|run| run.cpu).sum();
    print(&format!("\n{}{}\nCPU time {:.2} s\n", text(&table), happened(day), cpu.as_secs_f64()))?;
    if let (Some(file), Some(course)) = (&day.options.csv, runs.iter_mut().find_map(|run| run.course.take())) {
        write_whole(file, |file| csv::write(&course, file))?;
    }
    let Some(file) = &day.options.plot else { return Ok(()) };
    let panes: Vec<Pane> = runs.into_iter().filter_map(|run| Some(Pane { name: run.name.to_owned(), view: run.view? })).collect();
    simulate_plot::write(file, &head, &panes, &table)
}

/// What came out of a run.
struct Run {
    name: &'static str,
    kpi: Kpi,
    /// Wh charged and switches of contactors, of all chargers.
    charged: Option<(i64, u64)>,
    view: Option<View>,
    /// Of this controller, where it is to be written.
    course: Option<Course>,
    cpu: Duration,
    rests: bool,
}

/// All runs, in the order of the table.
fn all(day: &SimulatedDay<'_>) -> Vec<Run> {
    let kinds: Vec<Option<Kind>> = Kind::ALL.into_iter().map(Some).chain([None]).collect();
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((k, kind)) = Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|k| Some((k, kinds.get(k)?))) {
            let run = one(day, *kind, kinds.len());
            done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((k, run));
        }
    };
    std::thread::scope(|scope| {
        (1..THREADS).for_each(|_| {
            scope.spawn(work);
        });
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.sort_by_key(|(k, _)| *k);
    done.into_iter().map(|(_, run)| run).collect()
}

fn one(day: &SimulatedDay<'_>, kind: Option<Kind>, panes: usize) -> Run {
    match kind {
        None => judged(day, day.simulation(), OURS, panes),
        Some(kind) => {
            let plan = plan_for(day.config, day.library);
            let director = Classic::new(kind, day.config, &plan);
            let run = judged(day, Simulation::under(director, plan, day.config, day.params()), kind.name(), panes);
            Run { rests: kind == Kind::Rest, ..run }
        }
    }
}

fn judged<D: Judged>(day: &SimulatedDay<'_>, mut simulation: Simulation<D>, name: &'static str, panes: usize) -> Run {
    let cpu = CpuTime::start();
    let written = day.options.csv.is_some() && name == OURS;
    let mut course = (day.options.plot.is_some() || written).then(Course::default);
    let (kpi, _) = day.ran(&mut simulation, course.as_mut());
    let charged = charged(&simulation.site());
    let view = course.as_ref().filter(|_| day.options.plot.is_some()).map(|course| View::of(course, panes));
    Run { name, kpi, charged, view, course: course.filter(|_| written), cpu: cpu.spent(), rests: false }
}

fn charged(site: &Site) -> Option<(i64, u64)> {
    let chargers = (0..site.chargers()).filter_map(|k| site.charger(k));
    (site.chargers() > 0).then(|| chargers.fold((0, 0), |(wh, n), c| (wh + c.car().charged_wh(), n + c.switches())))
}

/// Which values are good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Good {
    Low,
    High,
    /// Neither.
    No,
}

/// A figure of every run: what it is, how many of its last digits are decimals, and its values; `None`: it has none.
struct Figure(String, usize, Good, Vec<Option<i64>>);

fn table(runs: &[Run], fuse_ma: i32, has_batteries: bool) -> Table {
    let fuse_a = fuse_ma / 1000;
    let mut list: Vec<Figure> = Vec::new();
    let mut row = |what: &str, decimals: usize, good: Good, value: &dyn Fn(&Run) -> Option<i64>| {
        list.push(Figure(what.to_owned(), decimals, good, runs.iter().map(value).collect()));
    };
    let wh = |mws: i64| mws / 3_600_000 / 10;
    let most = |mw: [i64; 3]| mw.into_iter().max().map(|mw| mw / 1000);
    row("import, netted, kWh", 2, Good::Low, &|r| Some(wh(r.kpi.import_net_mws)));
    row("export, netted, kWh", 2, Good::Low, &|r| Some(wh(r.kpi.export_net_mws)));
    row("import of the phases, kWh", 2, Good::Low, &|r| Some(wh(r.kpi.import_mws.iter().sum())));
    row("export of the phases, kWh", 2, Good::Low, &|r| Some(wh(r.kpi.export_mws.iter().sum())));
    row("self-consumption, %", 1, Good::High, &|r| r.kpi.self_consumption_pm());
    row("autarky, %", 1, Good::High, &|r| r.kpi.autarky_pm());
    row("peak import of a phase, 1 s, W", 0, Good::Low, &|r| most(r.kpi.peak_second_mw));
    row("peak import of a phase, 15 min, W", 0, Good::Low, &|r| most(r.kpi.peak_quarter_mw));
    row("grid power, RMS, worst phase, W", 0, Good::Low, &|r| (0..3).map(|k| r.kpi.rms_w(k)).max());
    row(&format!("seconds above {fuse_a} A"), 0, Good::Low, &|r| count(r.kpi.fuse_s));
    row(&format!("seconds above 1.13 x {fuse_a} A"), 0, Good::Low, &|r| count(r.kpi.fuse_113_s));
    row("longest overload, s", 0, Good::Low, &|r| count(r.kpi.fuse_longest_s));
    row("overload integral, worst phase, A²s", 0, Good::Low, &|r| {
        r.kpi.fuse_ma2s.iter().max().and_then(|ma2s| i64::try_from(ma2s / 1_000_000).ok())
    });
    if has_batteries {
        let busy = |r: &Run, value: i64| (!r.rests).then_some(value);
        row("bill beyond batteries without delay, ct", 1, Good::Low, &|r| {
            Some(r.kpi.oracle.as_ref()?.regret_mct(r.kpi.import_net_mws, r.kpi.export_net_mws) / 100)
        });
        row("battery cycles", 2, Good::No, &|r| busy(r, r.kpi.millicycles() / 10));
        row("battery losses, Wh", 0, Good::Low, &|r| busy(r, r.kpi.loss_wh()));
        row("battery travel, kW", 0, Good::Low, &|r| busy(r, r.kpi.travel_mw / 1_000_000));
        row("writes per hour and battery", 1, Good::Low, &|r| busy(r, r.kpi.writes_per_h_tenths() as i64));
        row("reversals per hour and battery", 1, Good::Low, &|r| busy(r, r.kpi.reversals_per_h_tenths() as i64));
    }
    if runs.iter().any(|r| r.charged.is_some()) {
        row("charged into cars, kWh", 2, Good::No, &|r| Some(r.charged?.0 / 10));
        row("switches of contactors", 0, Good::No, &|r| count(r.charged?.1));
    }
    let head = runs.iter().map(|r| r.name.to_owned()).collect();
    Table { head, rows: list.iter().map(|f| (f.0.clone(), f.values())).collect() }
}

fn count(n: u64) -> Option<i64> {
    i64::try_from(n).ok()
}

impl Figure {
    /// For people; a star at the best, unless all are alike.
    fn values(&self) -> Vec<String> {
        let Figure(_, decimals, good, values) = self;
        let known = || values.iter().flatten().copied();
        let best = match good {
            Good::Low => known().min(),
            Good::High => known().max(),
            Good::No => None,
        };
        let best = best.filter(|best| known().any(|v| v != *best));
        let text = |value: &Option<i64>| match value {
            None => "-".to_owned(),
            Some(v) => decimal(*v, *decimals) + if best == Some(*v) { " *" } else { "  " },
        };
        values.iter().map(text).collect()
    }
}

fn decimal(value: i64, decimals: usize) -> String {
    let unit = 10_i64.pow(decimals as u32);
    let sign = if value < 0 { "-" } else { "" };
    let whole = format!("{sign}{}", value.abs() / unit);
    if decimals == 0 { whole } else { format!("{whole}.{:0decimals$}", value.abs() % unit) }
}

fn text(table: &Table) -> String {
    let mut out = String::new();
    let mut line = |what: &str, values: &[String]| {
        let values = values.iter().map(|v| format!("{:>17}", if v == "-" { "-  " } else { v })).collect::<String>();
        let _ = writeln!(out, "{}", format!("{what:<40}{values}").trim_end());
    };
    line("", &table.head.iter().map(|name| format!("{name}  ")).collect::<Vec<_>>());
    for (what, values) in &table.rows {
        line(what, values);
    }
    out + "* the best of the row\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_bears_the_star_whoever_it_is() {
        let figure = |good, values: &[Option<i64>]| Figure(String::new(), 2, good, values.to_vec()).values();
        assert_eq!(figure(Good::Low, &[Some(584), None, Some(590), Some(584)]), ["5.84 *", "-", "5.90  ", "5.84 *"]);
        assert_eq!(figure(Good::High, &[Some(-7), Some(5)]), ["-0.07  ", "0.05 *"]);
        assert_eq!(figure(Good::Low, &[Some(0), Some(0)]), ["0.00  ", "0.00  "]);
        assert_eq!(figure(Good::No, &[Some(1), Some(2)]), ["0.01  ", "0.02  "]);
    }
}
