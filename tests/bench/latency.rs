//! From a meter reading on the wire to the setpoints that follow from it on the wire: the controller's own delay.
//!
//! Three minimal SAX batteries (units 64 and 40) that answer at once. The load of every phase jumps with every few polls; a sample is the
//! time from handing the reply that reveals the jump to the socket (the phase block of unit 40, the last reply of the poll) to having
//! received the whole write of register 41 that follows from it. The time of sending itself is included.
#![allow(missing_docs)]

mod common;
mod jumping;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use common::{Controller, Verdict, median, quantile};
use jumping::{JUMP_EVERY, Jumping, POLL_MS};

const SAMPLES: usize = 600;
/// More than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(200);
const LIMIT_MS: f64 = 2.0;

fn line(name: &str, samples: &mut [f64]) {
    let p50 = median(samples);
    let (p90, p99, p999) = (quantile(samples, 900), quantile(samples, 990), quantile(samples, 999));
    let most = samples.last().copied().unwrap_or(f64::NAN);
    println!("{name:<10} {:>8} {p50:>9.3} {p90:>9.3} {p99:>9.3} {p999:>9.3} {most:>9.3}", samples.len());
}

/// How many samples lie between this edge and the one before, ms.
fn histogram(samples: &[f64]) {
    const EDGES_MS: [f64; 9] = [0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0, 5.0, f64::INFINITY];
    let mut from = 0.0;
    for to in EDGES_MS {
        let count = samples.iter().filter(|s| (from..to).contains(*s)).count();
        let bar = "#".repeat((count * 60).div_ceil(samples.len().max(1)));
        println!("{:>12} {count:>6} {bar}", if to.is_finite() { format!("< {to} ms") } else { "more".to_owned() });
        from = to;
    }
}

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    println!(
        "latency: {SAMPLES} samples, about {} s; load before: {}",
        SAMPLES / 3 * (POLL_MS * JUMP_EVERY) as usize / 1000 + 15,
        common::machine_load()
    );
    let plant = Jumping::start();
    let mut controller = Controller::start("latency", &plant.settings("deadband_w = 5"), &plant.ports);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && controller.is_alive() && plant.lock().samples.len() < SAMPLES {
        thread::sleep(Duration::from_millis(200));
    }
    let log = controller.log();
    drop(controller);
    let plant = plant.lock();
    println!("load after: {}\n", common::machine_load());
    println!("battery     samples    p50/ms    p90/ms    p99/ms  p99.9/ms    max/ms");
    for (k, name) in ["A", "B", "C"].iter().enumerate() {
        let mut own: Vec<_> = plant.samples.iter().filter(|s| s.0 == k).map(|s| s.1).collect();
        line(name, &mut own);
    }
    let mut all: Vec<_> = plant.samples.iter().map(|s| s.1).collect();
    line("all", &mut all);
    histogram(&all);
    println!(
        "{} jumps of 3 phases, {} without a write before the next, {} other writes\n\n{log}",
        plant.jumps, plant.missed, plant.other_writes
    );
    let p99 = quantile(&mut all, 990);
    let mut verdict = Verdict::default();
    verdict.demand(all.len() >= SAMPLES, format!("only {} of {SAMPLES} samples", all.len()));
    verdict.demand(p99 <= LIMIT_MS, format!("p99 is {p99:.3} ms, more than {LIMIT_MS} ms"));
    verdict.demand(plant.missed * 100 <= plant.jumps * 3, format!("{} of {} jumps were not answered", plant.missed, plant.jumps * 3));
    verdict.end()
}
