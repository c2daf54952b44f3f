//! `make quality`: the step tests of the Effizienzleitfaden over all delays and losses, as ratios to what no controller can beat.
//!
//! Virtual time: the same numbers every time, about three minutes of processor time. Fails where a figure is not what it must be, and where
//! README shows another. `tests/quality.rs` does some of it with every test.
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
use guideline::{
    DEFINITIONS, HEAD, LATENCIES_MS, LAWS, LOST_PERMILLE, PERIODS_MS, README_LATENCIES_MS, Row, complaints, median_of, ratio, within_pct,
    worst_of,
};

const AGES: [&str; 2] = ["fresh", "learned"];

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    let places: Vec<(u64, u64)> = PERIODS_MS.iter().flat_map(|p| LATENCIES_MS.iter().map(|l| (*p, *l))).collect();
    let rows = all(&places);
    let lines: Vec<String> = places.iter().zip(&rows).map(|((period, latency), row)| guideline::line(*period, *latency, row)).collect();
    println!("{DEFINITIONS}\n");
    println!("Settling over its bound, median / 95 % / worst of 320 steps (160 for each law):\n\n{HEAD}\n{}\n", lines.join("\n"));
    let mut verdict = Verdict::default();
    summary(&rows, &mut verdict);
    for ((period, latency), row) in places.iter().zip(&rows) {
        for (ages, lost) in row.ours.iter().zip(LOST_PERMILLE) {
            for (steps, age) in ages.iter().zip(AGES) {
                for complaint in complaints(steps, lost) {
                    verdict.demand(false, format!("period {period} ms, latency {latency} ms, lost {lost} permille, {age}: {complaint}"));
                }
            }
        }
    }
    let readme = std::fs::read_to_string("README.md").expect("README.md");
    for ((_, latency), line) in places.iter().zip(&lines) {
        let shown = !README_LATENCIES_MS.contains(latency) || readme.contains(&format!("\n{line}\n"));
        verdict.demand(shown, format!("README has another line than {line}"));
    }
    verdict.end()
}

/// The other figures, over all delays.
fn summary(rows: &[Row], verdict: &mut Verdict) {
    println!("over all delays         dead time  settling: median   95 %  worst  within 1.10  overshoot/W  deviation/W   writes  others/W");
    println!("                                                                             95 % / worst      of all      mean     worst");
    for (loss, lost) in LOST_PERMILLE.iter().enumerate() {
        for (age, name) in AGES.iter().enumerate() {
            let steps: Vec<Step> = rows.iter().flat_map(|row| row.ours[loss][age].iter().copied()).collect();
            figures(&format!("{} % lost, {name}", lost / 10), &steps);
            for complaint in complaints(&steps, *lost) {
                verdict.demand(false, format!("all delays, lost {lost} permille, {name}: {complaint}"));
            }
        }
    }
    for (law, kind) in LAWS.iter().enumerate() {
        let steps: Vec<Step> = rows.iter().flat_map(|row| row.laws[law].iter().copied()).collect();
        figures(kind.name(), &steps);
    }
    println!();
}

fn figures(name: &str, steps: &[Step]) {
    let watts = |f: &dyn Fn(&Step) -> f64| quantile(&steps.iter().map(f).collect::<Vec<_>>(), 950);
    let at = |permille| ratio(quantile(&ratios(steps), permille));
    println!(
        "{name:<23} {:>9} {:>17} {:>6} {:>6} {:>10.1} % {:>12} {:>12} {:>8.2} {:>9.0}",
        ratio(median_of(steps, |s| s.dead_s / s.dead_bound_s)),
        at(500),
        at(950),
        at(1000),
        within_pct(steps, 1.10),
        format!("{:.0} / {:.0}", watts(&|s| s.overshoot_w as f64), worst_of(steps, |s| s.overshoot_w as f64)),
        format!("{:.0} / {:.0}", watts(&|s| s.deviation_w.abs()), worst_of(steps, |s| s.deviation_w.abs())),
        steps.iter().map(|s| s.writes).sum::<usize>() as f64 / steps.len().max(1) as f64,
        worst_of(steps, |s| s.others_w as f64),
    );
}

/// Works on as many rows at once as there are processors.
fn all(places: &[(u64, u64)]) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(vec![Row::default(); places.len()]);
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
