//! Load steps in real time: the real program against simulated batteries over Modbus TCP, at several meter latencies at once.
//!
//! Prints settling time, overshoot, writes and the movement of the other batteries against the delay-limited bound of
//! `spec/control.md` 3: `T_m/2 + d_m + d_c + d_b + tau ln(dP / 50 W)`.
#![allow(missing_docs)]

mod common;

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use common::{Controller, DEAD_MS, Settings, TAU_MS, Verdict, median};
use sax_controller::plant::battery_params::{Absent, Banks};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::serve::LiveSite;
use sax_controller::plant::site::WriteEvent;

const LOW_W: i64 = 460;
const HIGH_W: i64 = 4140;
const BAND_W: i64 = 50;
const POLL_MS: u32 = 1000;
const STEPS: u64 = 10;
/// Time to find the banks and come to rest.
const FIRST_MS: u64 = 40_000;
/// Not a multiple of the poll period: ten steps meet ten different phases of it, evenly spread.
const DISTANCE_MS: u64 = 27_300;
/// Watched after a step; the next one comes later than that.
const WATCHED_MS: u64 = 27_000;
/// Between two requests to unit 100 (facts/sax.md 2, Rates): a command through the connection of the meter waits for it.
const GAP_MS: u64 = 500;
/// A command within the dead band that comes so late is the refresh that the device asks for, and belongs to no step.
const DEADBAND_W: f64 = 30.0;
const REFRESH_MS: u64 = 15_000;

struct Case {
    name: &'static str,
    latency_ms: u64,
    lost_permille: u16,
    /// The battery whose phase steps.
    active: usize,
    /// Old firmware: units 64 and 40 instead of 100.
    old: bool,
}

const fn on_l2(name: &'static str, latency_ms: u64) -> Case {
    Case { name, latency_ms, lost_permille: 0, active: 1, old: false }
}

const CASES: [Case; 8] = [
    on_l2("0 s", 0),
    on_l2("0.5 s", 500),
    on_l2("1 s", 1000),
    on_l2("2 s", 2000),
    on_l2("5 s", 5000),
    Case { lost_permille: 50, ..on_l2("1 s, 5 % lost", 1000) },
    Case { active: 0, ..on_l2("1 s, L1 (meter)", 1000) },
    Case { active: 0, old: true, ..on_l2("1 s, L1, 64+40", 1000) },
];

/// The truth at a time: power of the active phase at the grid, and of the batteries.
struct Sample {
    at_ms: u64,
    grid_w: i64,
    battery_w: [i64; 3],
}

#[derive(Debug)]
struct Step {
    settled_s: f64,
    overshoot_w: i64,
    writes: usize,
    others_w: i64,
}

fn bound_s(case: &Case) -> f64 {
    let waits_ms = if case.active == 0 && !case.old { GAP_MS } else { 0 };
    let fixed_ms = u64::from(POLL_MS) / 2 + case.latency_ms + waits_ms + DEAD_MS;
    fixed_ms as f64 / 1000.0 + TAU_MS as f64 / 1000.0 * ((HIGH_W - LOW_W) as f64 / BAND_W as f64).ln()
}

fn house(first_ms: u64, active: usize) -> House {
    let load = |w: i64| std::array::from_fn(|k| if k == active { w } else { 200 + 50 * k as i64 });
    let steps = (0..STEPS).map(|n| (first_ms + n * DISTANCE_MS, load(if n % 2 == 0 { HIGH_W } else { LOW_W })));
    House::Trace([(0, load(LOW_W))].into_iter().chain(steps).collect())
}

/// Runs one case to its end: samples every 10 ms, and all writes to the active battery's setpoint.
fn run(number: u64, case: &Case) -> (u64, Vec<Sample>, Vec<WriteEvent>, String) {
    // The cases meet different phases of the poll, too.
    let first_ms = FIRST_MS + number * 37;
    let mut params = common::params(7 + number, house(first_ms, case.active), case.latency_ms);
    if case.old {
        for (_, sax) in &mut params.batteries {
            (sax.banks, sax.absent) = (Banks { basic: true, extended: true, sunspec: false }, Absent::Exception);
        }
    }
    let live = LiveSite::start(params, 1).expect("the site starts");
    if case.lost_permille > 0 {
        (0..3).for_each(|k| live.faults().set(k, Fault::LoseReply { permille: case.lost_permille }));
    }
    let settings = Settings { hosts: common::ONE_HOST, device: "sax", poll_ms: POLL_MS, phase_poll_ms: 30_000, control: "", battery: "" };
    let mut controller = Controller::start(&format!("steps-{number}"), &settings, live.ports());
    let end_ms = first_ms + STEPS * DISTANCE_MS;
    let mut samples: Vec<Sample> = Vec::new();
    loop {
        let truth = live.truth();
        if samples.last().is_none_or(|s| s.at_ms / 10 < truth.at_ms / 10) {
            let battery_w = [0, 1, 2].map(|k| truth.battery_w[k]);
            samples.push(Sample { at_ms: truth.at_ms, grid_w: truth.grid_w[case.active], battery_w });
        }
        if truth.at_ms >= end_ms {
            break;
        }
        thread::sleep(Duration::from_millis(10 - truth.at_ms % 10));
    }
    let setpoint = |e: &&WriteEvent| e.battery == case.active && [41, 40049].contains(&e.address);
    let writes = live.with(|site| site.events().filter(setpoint).copied().collect());
    let mut log = controller.log();
    if !controller.is_alive() {
        log += "\nThe controller has ended by itself.";
    }
    (first_ms, samples, writes, log)
}

/// What was written: W in register 41, 0.01 % of 4600 W in 40049.
fn watts(write: &WriteEvent) -> f64 {
    f64::from(write.value as i16) * if write.address == 41 { 1.0 } else { 0.46 }
}

fn judge(active: usize, at_ms: u64, samples: &[Sample], writes: &[WriteEvent]) -> Step {
    let from = samples.partition_point(|s| s.at_ms < at_ms);
    let to = samples.partition_point(|s| s.at_ms < at_ms + WATCHED_MS);
    let before = &samples[from - 1];
    let rising = before.battery_w[active] < (LOW_W + HIGH_W) / 2;
    let mut step = Step { settled_s: 0.0, overshoot_w: 0, writes: 0, others_w: 0 };
    for s in &samples[from..to] {
        if s.grid_w.abs() > BAND_W {
            step.settled_s = (s.at_ms + 10 - at_ms) as f64 / 1000.0;
        }
        step.overshoot_w = step.overshoot_w.max(if rising { -s.grid_w } else { s.grid_w });
        for k in (0..3).filter(|k| *k != active) {
            step.others_w = step.others_w.max((s.battery_w[k] - before.battery_w[k]).abs());
        }
    }
    let belongs = |(k, w): &(usize, &WriteEvent)| {
        let last = k.checked_sub(1).map(|k| &writes[k]);
        let refresh = last.is_some_and(|l| {
            let change_w = (watts(w) - watts(l)).abs();
            change_w < DEADBAND_W && w.at_ms - l.at_ms >= REFRESH_MS
        });
        (at_ms..at_ms + WATCHED_MS).contains(&w.at_ms) && !refresh
    };
    step.writes = writes.iter().enumerate().filter(belongs).count();
    step
}

/// One line of the table.
fn report(case: &Case, steps: &[Step], verdict: &mut Verdict) {
    let mut settled: Vec<f64> = steps.iter().map(|s| s.settled_s).collect();
    let bound = bound_s(case);
    let median = median(&mut settled);
    let worst = settled.last().copied().unwrap_or(f64::NAN);
    let most = |f: fn(&Step) -> i64| steps.iter().map(f).max().unwrap_or(i64::MAX);
    let (overshoot, writes, others) = (most(|s| s.overshoot_w), most(|s| s.writes as i64), most(|s| s.others_w));
    let name = case.name;
    println!("{name:<17} {median:>8.2} {worst:>8.2} {bound:>8.2} {:>7.3} {overshoot:>12} {writes:>8} {others:>9}", median / bound);
    verdict.demand(median <= 1.10 * bound, format!("latency {name}: median {median:.2} s, more than 1.10 x {bound:.2} s"));
    verdict.demand(overshoot <= BAND_W, format!("latency {name}: overshoot {overshoot} W"));
    verdict.demand(others <= BAND_W, format!("latency {name}: another battery moved {others} W"));
    // Where replies get lost, a step may meet a request that runs into its timeout.
    if case.lost_permille == 0 {
        verdict.demand(worst <= bound + 1.0, format!("latency {name}: worst {worst:.2} s, more than {bound:.2} s + 1 s"));
        verdict.demand(writes <= 3, format!("latency {name}: {writes} writes for a step"));
    }
}

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    println!(
        "steps: {} at once, about {} s; load before: {}",
        CASES.len(),
        (FIRST_MS + STEPS * DISTANCE_MS) / 1000,
        common::machine_load()
    );
    let threads: Vec<_> = (0..).zip(&CASES).map(|(n, case)| thread::spawn(move || run(n, case))).collect();
    let runs: Vec<_> = threads.into_iter().map(|t| t.join().expect("a run")).collect();
    println!("load after: {}\n", common::machine_load());
    let mut verdict = Verdict::default();
    println!("meter latency     median/s  worst/s  bound/s   ratio  overshoot/W   writes  others/W");
    let mut details = String::new();
    for (case, (first_ms, samples, writes, log)) in CASES.iter().zip(&runs) {
        let steps: Vec<_> = (0..STEPS).map(|n| judge(case.active, first_ms + n * DISTANCE_MS, samples, writes)).collect();
        report(case, &steps, &mut verdict);
        let gap_ms = samples.windows(2).map(|w| w[1].at_ms - w[0].at_ms).max().unwrap_or(0);
        details += &format!("\nlatency {}: longest gap between samples {gap_ms} ms\n", case.name);
        for (n, step) in (0..).zip(&steps) {
            let at_ms = first_ms + n * DISTANCE_MS;
            let belongs = |w: &&WriteEvent| (at_ms..at_ms + DISTANCE_MS).contains(&w.at_ms);
            let written = |w: &WriteEvent| format!("{} W at {:.2} s", watts(w).round(), (w.at_ms - at_ms) as f64 / 1000.0);
            let written: Vec<_> = writes.iter().filter(belongs).map(written).collect();
            details += &format!("  step {n}: {step:?}; {}\n", written.join(", "));
        }
        for line in log.lines().filter(|l| case.lost_permille == 0 || l.contains("alarm") || l.contains("site:")) {
            details += &format!("  log: {line}\n");
        }
    }
    println!("{details}");
    verdict.end()
}
