//! A slice of `make quality` (`tests/bench/quality.rs`): load steps as the Effizienzleitfaden has them, under the real tasks in virtual time.
#![allow(missing_docs)]

#[path = "common/cells.rs"]
mod cells;
#[path = "common/guideline.rs"]
mod guideline;

use cells::Cell;
use guideline::{Age, LAWS, LOST_PERMILLE, complaints, median_of, worst_of};

fn looked_at(cell: &Cell) {
    let steps = guideline::test(cell, Age::Fresh);
    assert_eq!(complaints(&steps, cell.lost_permille), Vec::<String>::new(), "{cell:?}");
    if cell.lost_permille == 0 {
        assert!(worst_of(&steps, |s| s.others_w as f64) <= 100.0, "another battery moves: {cell:?}");
        let late_s = worst_of(&steps, |s| s.settled_s - s.bound_s);
        assert!(late_s <= 1.0, "a step settles {late_s} s after its bound: {cell:?}");
    }
}

#[test]
fn any_latency_without_a_setting() {
    for latency_ms in [0, 500, 2000, 5000] {
        looked_at(&guideline::cell(1000, latency_ms, 600, 0));
    }
}

#[test]
fn with_one_reply_in_twenty_lost() {
    looked_at(&guideline::cell(1000, 1000, 600, 50));
}

/// Unit 100 wants 500 ms between requests, which a setpoint may have to wait for, and takes setpoints in another encoding.
#[test]
fn with_new_firmware() {
    let steps = guideline::test(&Cell { is_old_firmware: false, ..guideline::cell(1000, 1000, 600, 0) }, Age::Fresh);
    assert!(median_of(&steps, |s| s.ratio) <= 1.10);
    let late_s = worst_of(&steps, |s| s.settled_s - s.bound_s);
    assert!(late_s <= 1.0, "a step settles {late_s} s after its bound");
}

/// The phases of a calm site are read rarely, and lost replies make polls uneven; neither is a wrong sign or a wrong phase.
#[test]
fn lost_replies_raise_no_doubt() {
    for nominal_w in [4600, -3500] {
        let cell = guideline::cell(1000, 1000, 600, 200);
        let (_, simulation) = cell.measure(400, usize::MAX, guideline::learned(&cell, nominal_w));
        assert_eq!(simulation.control().core().guard().checks(), 0, "{nominal_w} W: a battery that is in its place was checked");
    }
}

/// Some entries of its table; `make quality` compares all of them.
#[test]
fn readme_shows_what_comes_out() {
    let readme = include_str!("../README.md");
    let shown = |period_ms: u64, latency_ms: u64, column: usize| {
        let start = format!("| {} |", guideline::place(period_ms, latency_ms));
        let line = readme.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("README has no {start}"));
        line.split(" | ").nth(1 + column).map(|entry| entry.trim_end_matches(" |").to_owned())
    };
    assert!(readme.contains(guideline::HEAD));
    let ours = guideline::ours(1000, 1000, LOST_PERMILLE[1]).concat();
    assert_eq!(shown(1000, 1000, 1), Some(guideline::entry(&ours)));
    let theirs = guideline::classic(5000, 1000, &LAWS[1..2]).concat();
    assert_eq!(shown(5000, 1000, LOST_PERMILLE.len() + 1), Some(guideline::entry(&theirs)));
}
