//! The control law against its bounds, with the real tasks in virtual time: the tables of `spec/control.md` 3.2, 3.3 and 3.5.
//!
//! Ratios are settling times over the delay-limited bound of section 3, for the sample that each step really met. Fails where what the
//! law must hold is broken. About two minutes on one core.
#![allow(missing_docs)]

#[path = "../common/cells.rs"]
mod cells;
mod common;

use std::process::ExitCode;

use cells::{BAND_W, Cell, Coverage, Step, calm_share, day, quantile, ratios};
use common::Verdict;
use sax_controller::plant::day::{DayParams, Season, Sky};
use sax_controller::plant::house::House;
use sax_controller::units::Time;

const LATENCIES_MS: [u64; 5] = [200, 500, 1000, 2000, 5000];
const DEAD_MS: [u64; 3] = [200, 500, 1000];
/// Steps until the learner has settled.
const UNSEEN: usize = 25;

/// What a row of steps comes to.
struct Figures {
    median: f64,
    p95: f64,
    p99: f64,
    overshoot_p99_pct: f64,
    overshoot_max_pct: f64,
    calm: f64,
}

impl Figures {
    fn of(steps: &[Step]) -> Figures {
        let ratios = ratios(steps);
        let over: Vec<f64> = steps.iter().map(|s| 100.0 * s.overshoot_w as f64 / s.size_w.abs() as f64).collect();
        Figures {
            median: quantile(&ratios, 500),
            p95: quantile(&ratios, 950),
            p99: quantile(&ratios, 990),
            overshoot_p99_pct: quantile(&over, 990),
            overshoot_max_pct: quantile(&over, 1000),
            calm: calm_share(steps),
        }
    }
}

fn within(steps: &[Step], limit: f64) -> f64 {
    steps.iter().filter(|s| s.ratio <= limit).count() as f64 / steps.len().max(1) as f64
}

/// Before anything is learned: two steps of many fresh controllers.
fn fresh(cell: &Cell, runs: u64) -> Vec<Step> {
    (0..runs).flat_map(|n| cell.steps(100 + n, 0, 2).0).collect()
}

fn learned(cell: &Cell, runs: u64, count: usize) -> Vec<Step> {
    (0..runs).flat_map(|n| cell.steps(500 + n, UNSEEN, count).0).collect()
}

/// 3.2: distance from the bound.
fn distance(verdict: &mut Verdict) {
    println!("Distance from the bound (3.2): 15 cells of latency 0.2-5 s x dead time 0.2-1 s, polled every second");
    println!("{:<22} {:<8} {:>13} {:>13} {:>13} {:>16}", "meter", "window", "median", "p95", "p99", "overshoot p99/max");
    for (name, averaging_ms) in [("instantaneous", 0), ("0.2 s average", 200), ("1 s average", 1000)] {
        for is_learned in [false, true] {
            let mut all = Vec::new();
            let mut rows = Vec::new();
            for latency_ms in LATENCIES_MS {
                for dead_ms in DEAD_MS {
                    let refresh_ms = if averaging_ms == 0 { 10 } else { 1000 };
                    let cell = Cell { latency_ms, dead_ms, averaging_ms, refresh_ms, ..Cell::default() };
                    let steps = if is_learned { learned(&cell, 3, 50) } else { fresh(&cell, 40) };
                    all.extend(&steps);
                    rows.push((Figures::of(&steps), cell, steps));
                }
            }
            let range = |f: fn(&Figures) -> f64| {
                let values: Vec<f64> = rows.iter().map(|r| f(&r.0)).collect();
                format!("{:.2}-{:.2}", quantile(&values, 1), quantile(&values, 1000))
            };
            let total = Figures::of(&all);
            let window = if is_learned { "learned" } else { "0-6 s" };
            let over = format!("{:.1} / {:.1} %", total.overshoot_p99_pct, total.overshoot_max_pct);
            println!("{name:<22} {window:<8} {:>13} {:>13} {:>13} {over:>16}", range(|f| f.median), range(|f| f.p95), range(|f| f.p99));
            if averaging_ms == 0 {
                let share = within(&all, 1.10);
                verdict.demand(share >= 0.95, format!("{name}, {window}: {:.1} % within 1.10", share * 100.0));
                verdict.demand(total.calm >= 0.99, format!("{name}, {window}: {:.1} % without overshoot", total.calm * 100.0));
            } else if is_learned {
                // An average over a part of the period is no case for the confirm rule; where the battery is faster than that, 3.2 has the
                // same tail.
                let all: Vec<Step> =
                    rows.iter().filter(|r| averaging_ms == 1000 || r.1.latency_ms + r.1.dead_ms > 1200).flat_map(|r| r.2.clone()).collect();
                let share = within(&all, 1.45);
                verdict.demand(share >= 0.99, format!("{name}, {window}: {:.1} % within 1.45", share * 100.0));
                let share = within(&all, 1.10);
                verdict.demand(share >= 0.90, format!("{name}, {window}: {:.1} % within 1.10", share * 100.0));
            }
            for (f, cell, _) in rows.iter().filter(|r| r.0.p95 > 1.10) {
                println!(
                    "    latency {} ms, dead {} ms: median {:.2}, p95 {:.2}, p99 {:.2}",
                    cell.latency_ms, cell.dead_ms, f.median, f.p95, f.p99
                );
            }
        }
    }
}

/// Issue: latency 0-5 s x period 1-10 s x dead time 0.2-5 s, from the first step of a fresh controller on.
fn box_of_delays(verdict: &mut Verdict) {
    println!("\nAll delays, from the first step on: share within 1.10 of the bound (per cent), worst dead time of 0.2, 0.5, 1 and 5 s");
    println!("{:<12} {:>8} {:>8} {:>8} {:>8} {:>8}", "poll period", "0 s", "0.5 s", "1 s", "2 s", "5 s");
    let mut all = Vec::new();
    for poll_ms in [1000, 2000, 5000, 10_000] {
        print!("{:<12}", format!("{} s", poll_ms / 1000));
        for latency_ms in [0, 500, 1000, 2000, 5000] {
            let mut worst = f64::INFINITY;
            for dead_ms in [200, 500, 1000, 5000] {
                let cell = Cell { latency_ms, dead_ms, poll_ms, battery_poll_ms: poll_ms, ..Cell::default() };
                let steps: Vec<Step> = (0..4).flat_map(|n| cell.steps(900 + n, 0, 25).0).collect();
                let share = within(&steps, 1.10);
                verdict.demand(
                    share >= 0.95,
                    format!("poll {poll_ms} ms, latency {latency_ms} ms, dead {dead_ms} ms: {:.1} % within 1.10", share * 100.0),
                );
                worst = worst.min(share);
                all.extend(steps);
            }
            print!(" {:>8.1}", worst * 100.0);
        }
        println!();
    }
    let f = Figures::of(&all);
    println!(
        "all {} steps: median {:.2}, p95 {:.2}, p99 {:.2}, overshoot p99 {:.1} %, max {:.1} %; within {BAND_W} W or 5 %: {:.2} %",
        all.len(),
        f.median,
        f.p95,
        f.p99,
        f.overshoot_p99_pct,
        f.overshoot_max_pct,
        f.calm * 100.0
    );
    verdict.demand(f.calm >= 0.99, format!("all delays: {:.2} % without overshoot", f.calm * 100.0));
}

/// 3.3: robustness.
fn robustness(verdict: &mut Verdict) {
    println!("\nRobustness, learned (3.3): latency 0.8 s, dead time 0.4 s");
    println!("{:<28} {:>8} {:>8} {:>8} {:>14}", "", "median", "p95", "p99", "overshoot max");
    let base = Cell::default;
    let cases = [
        ("nominal", base()),
        ("20 % lost", Cell { lost_permille: 200, ..base() }),
        ("5 % lost", Cell { lost_permille: 50, ..base() }),
        ("jitter 0.5 s", Cell { jitter_ms: 500, refresh_ms: 1000, ..base() }),
        ("refresh 1.03 s", Cell { refresh_ms: 1030, ..base() }),
        ("polls 0.2 s", Cell { poll_ms: 200, battery_poll_ms: 200, ..base() }),
        ("battery polls 0.5 s", Cell { battery_poll_ms: 500, ..base() }),
        ("battery polls 5 s", Cell { battery_poll_ms: 5000, ..base() }),
        ("polls 2 s", Cell { poll_ms: 2000, battery_poll_ms: 2000, ..base() }),
        ("polls 5 s", Cell { poll_ms: 5000, battery_poll_ms: 5000, ..base() }),
        ("polls 10 s", Cell { poll_ms: 10_000, battery_poll_ms: 10_000, ..base() }),
        ("battery reads 3 % more", Cell { scale_pm: 1030, ..base() }),
        ("battery reads 3 % less", Cell { scale_pm: 970, ..base() }),
        ("reading bias 40 W", Cell { reading_bias_w: 40, ..base() }),
        ("tracking bias 40 W", Cell { tracking_bias_w: 40, ..base() }),
        ("ramp 1 kW/s", Cell { ramp_w_per_s: Some(1000), ..base() }),
        ("ramp 300 W/s", Cell { ramp_w_per_s: Some(300), ..base() }),
        ("lag 1 s", Cell { tau_ms: 1000, ..base() }),
        ("dead time 5 s", Cell { dead_ms: 5000, ..base() }),
        ("dead time 30 s", Cell { dead_ms: 30_000, ..base() }),
        ("latency 5 s", Cell { latency_ms: 5000, ..base() }),
        ("latency 8 s", Cell { latency_ms: 8000, ..base() }),
        ("latency 12 s", Cell { latency_ms: 12_000, ..base() }),
        ("latency 15 s", Cell { latency_ms: 15_000, ..base() }),
    ];
    for (name, cell) in cases {
        let f = Figures::of(&learned(&cell, 3, 40));
        println!("{name:<28} {:>8.2} {:>8.2} {:>8.2} {:>12.1} %", f.median, f.p95, f.p99, f.overshoot_max_pct);
        verdict.demand(f.median <= 1.10, format!("{name}: median {:.2}", f.median));
    }
}

/// 3.8 no. 3: after three steps the house is quiet; what the grid does in the ten minutes after ten more.
fn quiet(verdict: &mut Verdict) {
    println!("\nQuiet house after three steps (3.8 no. 3): RMS of the grid, reversals of more than 50 W, learned window");
    for poll_ms in [1000, 5000] {
        for latency_ms in [0, 1000, 5000, 6500, 8000, 10_000, 12_000, 15_000] {
            let cell = Cell { latency_ms, poll_ms, battery_poll_ms: poll_ms, noise_w: 5, ..Cell::default() };
            let trace = House::Trace(vec![
                (0, [200, 700, 300]),
                (60_000, [200, 2700, 300]),
                (90_000, [200, 1500, 300]),
                (130_000, [200, 3200, 300]),
            ]);
            let mut simulation = cell.simulation(3, trace);
            simulation.run_until(Time::from_ms(730_000));
            let (mut squares, mut reversals, mut turn) = (0.0, 0, (0, simulation.site().battery_w(1)));
            for ms in (730_000..1_330_000).step_by(100) {
                simulation.run_until(Time::from_ms(ms));
                let site = simulation.site();
                squares += (site.grid_w()[1] as f64).powi(2);
                let moved = site.battery_w(1) - turn.1;
                if moved.abs() > 50 {
                    reversals += u32::from(moved.signum() != turn.0);
                    turn = (moved.signum(), site.battery_w(1));
                }
            }
            let rms = (squares / 6000.0).sqrt();
            let window = simulation.control().core().learned().window;
            println!(
                "  polls {poll_ms:>5} ms, latency {latency_ms:>6} ms: {rms:>6.1} W, {reversals} reversals, {}-{}",
                window.lo, window.hi
            );
            verdict.demand(rms <= 15.0, format!("quiet house, polls {poll_ms} ms, latency {latency_ms} ms: {rms:.1} W"));
            verdict.demand(reversals <= 10, format!("quiet house, polls {poll_ms} ms, latency {latency_ms} ms: {reversals} reversals"));
        }
    }
}

/// 3.5: whole days.
fn soaks(verdict: &mut Verdict) {
    println!("\n24 h soaks (3.5): latency / dead time, meter refreshed every 1.00 and 1.01 s, three days each");
    println!("{:<12} {:>9} {:>16} {:>14} {:>18}", "delays", "refresh", "window correct", "learned after", "exchanged kWh/day");
    for (latency_ms, dead_ms) in [(200, 300), (600, 400), (1500, 500), (3000, 1000), (5000, 1000)] {
        for refresh_ms in [1000, 1010] {
            let (mut coverage, mut exchanged, mut learned) = (Coverage::default(), 0.0, Vec::new());
            for (number, season, sky) in
                [(1, Season::Spring, Sky::Broken), (2, Season::Winter, Sky::Overcast), (42, Season::Summer, Sky::Clear)]
            {
                let cell = Cell { latency_ms, dead_ms, refresh_ms, ..Cell::default() };
                let house = day(DayParams { number, season, sky, ..DayParams::default() });
                let mut simulation = cell.simulation(number, house);
                let mut one = Coverage::default();
                cell.soak(&mut simulation, 86_400_000, &mut one);
                coverage.samples += one.samples;
                coverage.inside += one.inside;
                learned.push(one.learned_at_ms.map_or(f64::INFINITY, |ms| ms as f64 / 3_600_000.0));
                let site = simulation.site();
                // 10 µJ to kWh.
                exchanged += (site.integrals().import + site.integrals().export) as f64 * 1e-5 / 3.6e6 / 3.0;
            }
            let share = 100.0 * coverage.inside as f64 / coverage.samples.max(1) as f64;
            let after = format!("{:.2}-{:.2} h", quantile(&learned, 1), quantile(&learned, 1000));
            let delays = format!("{}/{} s", latency_ms as f64 / 1000.0, dead_ms as f64 / 1000.0);
            println!("{delays:<12} {:>7} s {share:>14.3} % {after:>14} {exchanged:>18.2}", refresh_ms as f64 / 1000.0);
            verdict.demand(share >= 99.9, format!("soak {delays}: the window is right for {share:.3} % of the samples"));
        }
    }
}

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    let mut verdict = Verdict::default();
    distance(&mut verdict);
    box_of_delays(&mut verdict);
    robustness(&mut verdict);
    quiet(&mut verdict);
    soaks(&mut verdict);
    println!();
    verdict.end()
}
