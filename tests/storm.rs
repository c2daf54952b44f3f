//! The virtual half of `make chaos`: the real tasks of the controller against simulated sites of every kind, in virtual time, with every
//! fault alone, in pairs, and in random order. Every run follows from its number.
//!
//! `cargo test --test storm -- --runs 1000 --number 0` does runs 0 to 999. With
//! STORM_JOURNAL set they print what the controller says. Without arguments it is the slice of `make test`: every kind
//! alone, and some of them together.
#![allow(missing_docs)]

#[path = "common/said.rs"]
mod said;
#[path = "storm/site.rs"]
mod site;
#[path = "storm/trouble.rs"]
mod trouble;
#[path = "storm/watch.rs"]
mod watch;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use watch::Outcome;

/// Numbers that found something that is mended: a meter that stood still while its counters went on, one that gave no numbers, phases that
/// were not looked for again, a battery of whole kilowatts that was never tried again, wrong signs and caps that never ended, a mode that was
/// not written again after a pause.
const FOUND: [u64; 12] = [90, 306, 498, 814, 865, 538, 2062, 2095, 170, 69, 254, 1451];
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
    let numbers: Vec<u64> = match runs {
        Some(runs) => (first..first + runs).collect(),
        None => slice(),
    };
    said::listen();
    let start = Instant::now();
    let outcomes = do_all(&numbers);
    let (mut tallies, mut failed, mut faults, mut findings) = (BTreeMap::<String, Tally>::new(), Vec::new(), 0, 0);
    for (number, outcome) in outcomes {
        faults += outcome.kinds.len();
        findings += outcome.findings.len();
        count(&mut tallies, &outcome);
        if !outcome.findings.is_empty() {
            failed.push(number);
        }
    }
    print(&tallies);
    println!("{} runs with {faults} faults in {} s, {findings} violations", numbers.len(), start.elapsed().as_secs());
    if !failed.is_empty() {
        println!("{} runs violate something. Each can be repeated with: --number N --runs 1, N one of {failed:?}", failed.len());
        std::process::exit(1);
    }
}

/// Every kind alone, every ninth run of two or more, and what once found something.
fn slice() -> Vec<u64> {
    let alone = (0..trouble::KINDS.len() as u64).map(|kind| 108 + 3 * kind);
    alone.chain((1..108).step_by(9)).chain((2..108).step_by(9)).chain(FOUND).collect()
}

/// On as many threads as there are processors; findings are told as they come.
fn do_all(numbers: &[u64]) -> BTreeMap<u64, Outcome> {
    let (next, done) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        while let Some(&number) = numbers.get(next.fetch_add(1, Relaxed)) {
            let mut outcome = watch::run(number);
            if number % TWICE == 0 && watch::run(number).digest != outcome.digest {
                outcome.findings.push("7 determinism: the same number led to something else".into());
            }
            if std::env::var_os("STORM_JOURNAL").is_some() {
                outcome.journal.iter().for_each(|(ms, line)| println!("{ms:>8} {line}"));
            }
            for finding in &outcome.findings {
                println!("number {number}: {finding}");
            }
            done.lock().unwrap_or_else(|e| e.into_inner()).insert(number, outcome);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    done.into_inner().unwrap_or_else(|e| e.into_inner())
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
