//! `make quality`: the step tests of the Effizienzleitfaden over all delays and losses, as ratios to what no controller can beat.
//!
//! Virtual time: the same numbers every time, about a minute of processor time. Fails where a figure is not what it must be.
#![allow(missing_docs)]

#[path = "../common/cells.rs"]
mod cells;
mod common;
#[path = "../common/guideline.rs"]
mod guideline;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use cells::{Step, quantile, ratios};
use common::Verdict;
use guideline::{DEFINITIONS, HEAD, LATENCIES_MS, LOST_PERMILLE, PERIODS_MS, Row, complaints, median_of, within_pct, worst_of};

const AGES: [&str; 2] = ["fresh", "learned"];

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    let places: Vec<(u64, u64)> = PERIODS_MS.iter().flat_map(|p| LATENCIES_MS.iter().map(|l| (*p, *l))).collect();
    let rows = all(&places);
    let lines = places.iter().zip(&rows).map(|((period, latency), row)| guideline::line(*period, *latency, row));
    let table = [HEAD.to_owned()].into_iter().chain(lines).collect::<Vec<_>>().join("\n");
    println!("{DEFINITIONS}\n\nSettling over its bound by the share of replies that get lost, median / worst of 160 steps:\n\n{table}\n");
    let mut verdict = Verdict::default();
    summary(&rows, &mut verdict);
    for ((period, latency), row) in places.iter().zip(&rows) {
        for (ages, lost) in row.iter().zip(LOST_PERMILLE) {
            for (steps, age) in ages.iter().zip(AGES) {
                for complaint in complaints(steps, lost) {
                    verdict.demand(false, format!("period {period} ms, latency {latency} ms, lost {lost} permille, {age}: {complaint}"));
                }
            }
        }
    }
    verdict.end()
}

/// The other figures, over all delays.
fn summary(rows: &[Row], verdict: &mut Verdict) {
    println!("lost, controller    dead time  settling: median   p95  worst  within 1.10  overshoot/W  deviation/W   writes");
    for (loss, lost) in LOST_PERMILLE.iter().enumerate() {
        for (age, name) in AGES.iter().enumerate() {
            let steps: Vec<Step> = rows.iter().flat_map(|row| row[loss][age].iter().copied()).collect();
            let both = |f: &dyn Fn(&Step) -> f64| format!("{:.0} / {:.0}", median_of(&steps, f), worst_of(&steps, f));
            let at = |permille| quantile(&ratios(&steps), permille);
            println!(
                "{:<19} {:>9.2} {:>17.2} {:>5.2} {:>6.2} {:>10.1} % {:>12} {:>12} {:>8}",
                format!("{} %, {name}", lost / 10),
                median_of(&steps, |s| s.dead_s / s.dead_bound_s),
                at(500),
                at(950),
                at(1000),
                within_pct(&steps),
                both(&|s| s.overshoot_w as f64),
                both(&|s| s.deviation_w.abs()),
                both(&|s| s.writes as f64),
            );
            for complaint in complaints(&steps, *lost) {
                verdict.demand(false, format!("all delays, lost {lost} permille, {name}: {complaint}"));
            }
        }
    }
    println!();
}

/// Works on as many rows at once as there are processors.
fn all(places: &[(u64, u64)]) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(vec![Row::new(); places.len()]);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, |n| n.get()) {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some((period, latency)) = places.get(at) else { return };
                    let row = guideline::row(*period, *latency);
                    done.lock().expect("no thread panics")[at] = row;
                }
            });
        }
    });
    done.into_inner().expect("no thread panics")
}
