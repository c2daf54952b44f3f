//! The virtual half of `make chaos`: the real tasks of the controller against simulated sites of every kind, in virtual time, with every
//! fault alone, in pairs, and in random order. Every run follows from its number.
//!
//! `cargo test --release --test storm -- --runs 1000 --number 0` does runs 0 to 999. Without arguments it is the slice of `make test`.
#![allow(missing_docs)]

#[path = "storm/said.rs"]
mod said;
#[path = "storm/site.rs"]
mod site;
#[path = "storm/trouble.rs"]
mod trouble;
#[path = "storm/watch.rs"]
mod watch;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use watch::Outcome;

/// The slice: these runs, and not for longer than this.
const SLICE: Duration = Duration::from_secs(20);
const SLICE_RUNS: u64 = 40;
/// Every so many runs are done twice, to see whether they are the same.
const TWICE: u64 = 20;

/// Of one kind of fault, alone.
#[derive(Default)]
struct Tally {
    runs: u64,
    fallback_ms: u64,
    recovery_ms: u64,
}

fn main() {
    let (runs, first) = arguments();
    let slice = runs.is_none();
    said::listen();
    let (mut tallies, mut failed) = (BTreeMap::<String, Tally>::new(), Vec::new());
    let (mut faults, mut done, start) = (0, 0, Instant::now());
    for number in first..first + runs.unwrap_or(SLICE_RUNS) {
        if slice && start.elapsed() > SLICE {
            break;
        }
        let mut outcome = watch::run(number);
        if number % TWICE == 0 && watch::run(number).digest != outcome.digest {
            outcome.findings.push("7 determinism: the same number led to something else".into());
        }
        (done, faults) = (done + 1, faults + outcome.kinds.len());
        count(&mut tallies, &outcome);
        for finding in outcome.findings {
            println!("number {number}: {finding}");
            failed.push(number);
        }
    }
    print(&tallies);
    failed.dedup();
    println!("{done} runs from number {first} with {faults} faults in {} s", start.elapsed().as_secs());
    if !failed.is_empty() {
        println!("{} runs violate something. Each can be repeated with: --number N --runs 1, N one of {failed:?}", failed.len());
        std::process::exit(1);
    }
}

fn count(tallies: &mut BTreeMap<String, Tally>, outcome: &Outcome) {
    let name = if outcome.alone { format!("{:?}", outcome.kinds[0]) } else { format!("({} at once)", outcome.kinds.len().min(3)) };
    let tally = tallies.entry(name).or_default();
    tally.runs += 1;
    tally.fallback_ms = tally.fallback_ms.max(outcome.fallback_ms.unwrap_or(0));
    tally.recovery_ms = tally.recovery_ms.max(outcome.recovery_ms.unwrap_or(0));
}

fn print(tallies: &BTreeMap<String, Tally>) {
    println!("{:<40} {:>6} {:>14} {:>14}", "fault", "runs", "fallback s", "recovery s");
    for (name, tally) in tallies {
        let seconds = |ms: u64| if ms == 0 { "-".into() } else { format!("{}.{}", ms / 1000, ms % 1000 / 100) };
        println!("{name:<40} {:>6} {:>14} {:>14}", tally.runs, seconds(tally.fallback_ms), seconds(tally.recovery_ms));
    }
}

/// `--runs` and `--number`; what the test runner of cargo says is not for us.
fn arguments() -> (Option<u64>, u64) {
    let given: Vec<String> = std::env::args().collect();
    let after = |name: &str| {
        let value = given.iter().position(|a| a == name).and_then(|at| given.get(at + 1))?;
        Some(value.parse().unwrap_or_else(|_| panic!("{name} needs a number, not {value}")))
    };
    (after("--runs"), after("--number").unwrap_or(0))
}
