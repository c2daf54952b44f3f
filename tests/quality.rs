//! A slice of `make quality` (`tests/bench/quality.rs`): load steps as the Effizienzleitfaden has them, under the real tasks in virtual time.
#![allow(missing_docs)]

#[path = "common/cells.rs"]
mod cells;
#[path = "common/guideline.rs"]
mod guideline;

use guideline::{Age, complaints, worst_of};

#[test]
fn any_latency_without_a_setting() {
    for latency_ms in [0, 500, 2000, 5000] {
        let steps = guideline::test(&guideline::cell(1000, latency_ms, 600, 0), Age::Fresh);
        assert_eq!(complaints(&steps, 0), Vec::<String>::new(), "latency {latency_ms} ms");
        let late_s = worst_of(&steps, |s| s.settled_s - s.bound_s);
        assert!(late_s <= 1.0, "latency {latency_ms} ms: a step settles {late_s} s after its bound");
        assert!(worst_of(&steps, |s| s.others_w as f64) <= 100.0, "latency {latency_ms} ms: another battery moves");
    }
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
