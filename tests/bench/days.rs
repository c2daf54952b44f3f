//! The reference days of `spec/control.md` 5.3 in virtual time: energy, peaks, fuse and writes, as the table there has them.
//!
//! The car charges with 16 A on three phases from the moment it comes home, and nobody limits it. Fails when a battery is written to
//! more than 150 times an hour on average, or when the import is more than 3 % (and 0.3 kWh) above that of the reference.
#![allow(missing_docs)]

mod common;
#[path = "../common/house.rs"]
mod house;

use std::process::ExitCode;
use std::sync::Arc;

use common::Verdict;
use sax_controller::control::learned::Learned;
use sax_controller::control::site::Window;
use sax_controller::plant::battery_params::{Absent, Banks, BatteryParams};
use sax_controller::plant::day::{DAY_S, Day, DayParams, Season, Sky};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::kpi::{Kpi, KpiParams};
use sax_controller::plant::kpi_report::kwh;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::Simulation;
use sax_controller::simulated_day;
use sax_controller::units::{Phase, Span};

/// 16 A on three phases.
const CAR_W: i64 = 3 * 16 * 230;
const WRITES_MOST: u64 = 1500;

struct Case {
    name: &'static str,
    car: bool,
    sum: bool,
    known: bool,
    new_firmware: bool,
}

const PLAIN: Case = Case { name: "as delivered", car: false, sum: false, known: false, new_firmware: false };
const CASES: [Case; 6] = [
    PLAIN,
    Case { name: "commissioned", known: true, ..PLAIN },
    Case { name: "in sum", known: true, sum: true, ..PLAIN },
    Case { name: "unit 100", known: true, new_firmware: true, ..PLAIN },
    Case { name: "with car, as delivered", car: true, ..PLAIN },
    Case { name: "with car, commissioned", car: true, known: true, ..PLAIN },
];

const DAYS: [(u64, Season, Sky, &str); 3] =
    [(1, Season::Spring, Sky::Broken, "spring"), (2, Season::Winter, Sky::Overcast, "winter"), (42, Season::Summer, Sky::Clear, "summer")];

fn simulation(number: u64, day: &Arc<Day>, case: &Case) -> Simulation {
    let mut params = SiteParams::new(number, House::Day(Arc::clone(day)), &Phase::ALL);
    params.meter = MeterParams { period_ms: 1000, latency_ms: 600, ..MeterParams::default() };
    for (battery, sax) in &mut params.batteries {
        *battery = BatteryParams { dead_ms: 400, tau_ms: 300, soc_pm: 400, ..battery.clone() };
        sax.banks = Banks { basic: true, extended: !case.new_firmware, sunspec: case.new_firmware };
        sax.absent = Absent::Exception;
    }
    let text = house::config_text(1000, "", "");
    let text = if case.sum { text.replace("fuse_a = 25", "fuse_a = 25\nbalance = \"sum\"") } else { text };
    let mut simulation = Simulation::new(&house::parse(&text), &house::library(), params);
    if case.known {
        simulation.remember(commissioned());
    }
    let faults = simulation.site().faults();
    (0..3).for_each(|k| faults.set(k, Fault::LoseReply { permille: 10 }));
    simulation
}

/// What a commissioning run finds out: values are 0.6 s late, and up to a second older because meter and polls do not go in step.
fn commissioned() -> Learned {
    let window = Window { lo: Span::from_ms(400), hi: Span::from_ms(1700) };
    Learned { window, movements: 9, ..Learned::nothing(3) }
}

fn run(number: u64, day: &Arc<Day>, case: &Case) -> (Kpi, Kpi) {
    let mut simulation = simulation(number, day, case);
    let kpi = Kpi::new(KpiParams { fuse_a: 25, usable_wh: 3 * 7700 });
    let (mut with, mut without) = (kpi.clone(), kpi);
    let charging_s = if case.car { i64::from(day.need_wh) * 3600 / CAR_W } else { 0 };
    let home_s = if case.car { day.plug_s as u64 } else { 0 };
    let rest_s = DAY_S as u64 - home_s - charging_s as u64;
    for (seconds, car_w) in [(home_s, 0), (charging_s as u64, CAR_W / 3), (rest_s, 0)] {
        simulation.site().set_extra_load_w([car_w; 3]);
        simulated_day::run(&mut simulation, seconds, &mut with, &mut without, None);
    }
    (with, without)
}

fn line(day: &str, name: &str, k: &Kpi) {
    let pm = |v: Option<i64>| v.map_or("-".to_owned(), |v| format!("{:.1}", v as f64 / 10.0));
    let peak = k.peak_second_mw.iter().max().copied().unwrap_or(0) as f64 / 1e6;
    println!(
        "{day:<7} {name:<23} {:>6} {:>6} {:>5} {:>5} {peak:>5.2} {:>6} {:>5} {:>6} {:>6.2} {:>6.1} {:>6}",
        kwh(k.import_net_mws),
        kwh(k.export_net_mws),
        pm(k.self_consumption_pm()),
        pm(k.autarky_pm()),
        k.fuse_s,
        k.fuse_longest_s,
        k.fuse_113_s,
        k.millicycles() as f64 / 1000.0,
        k.writes_per_h_tenths() as f64 / 10.0,
        k.travel_mw / 1_000_000
    );
}

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    let mut verdict = Verdict::default();
    println!("day     controller              import export  SC %  aut%  peak  >25 A  long >28 A  cycles writes travel");
    for (number, season, sky, name) in DAYS {
        let day = Arc::new(Day::new(&DayParams { number, season, sky, ..DayParams::default() }));
        for (n, case) in CASES.iter().enumerate() {
            let (with, without) = run(number, &day, case);
            if n == 0 || n == 4 {
                line(name, if case.car { "none, with car" } else { "none" }, &without);
            }
            line(name, case.name, &with);
            let writes = with.writes_per_h_tenths();
            verdict.demand(writes <= WRITES_MOST, format!("{name}, {}: {} writes per hour", case.name, writes / 10));
        }
    }
    verdict.end()
}
