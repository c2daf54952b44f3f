//! scratch
#![allow(missing_docs)]
#[path = "common/cells.rs"]
mod cells;
use cells::*;

#[test]
fn scratch() {
    for (name, cell) in [
        ("nominal", Cell::default()),
        ("d0.2", Cell { latency_ms: 200, dead_ms: 200, ..Cell::default() }),
        ("d5", Cell { latency_ms: 5000, ..Cell::default() }),
        ("d8", Cell { latency_ms: 8000, ..Cell::default() }),
        ("d12", Cell { latency_ms: 12000, ..Cell::default() }),
        ("T5", Cell { poll_ms: 5000, battery_poll_ms: 5000, ..Cell::default() }),
        ("T10", Cell { poll_ms: 10000, battery_poll_ms: 10000, ..Cell::default() }),
        ("T.2", Cell { poll_ms: 200, battery_poll_ms: 200, ..Cell::default() }),
        ("R1 drift", Cell { refresh_ms: 1030, ..Cell::default() }),
        ("avg1", Cell { refresh_ms: 1000, averaging_ms: 1000, latency_ms: 200, dead_ms: 200, ..Cell::default() }),
        ("avg1 slow", Cell { refresh_ms: 1000, averaging_ms: 1000, ..Cell::default() }),
        ("db5", Cell { dead_ms: 5000, ..Cell::default() }),
        ("scale", Cell { scale_pm: 1030, ..Cell::default() }),
    ] {
        if std::env::var("ONLY").is_ok_and(|o| o != name) {
            continue;
        }
        let (steps, sim) = cell.steps(1, 0, 20);
        let r: Vec<_> = steps.iter().map(|s| format!("{:.2}/{}", s.ratio, s.overshoot_w)).collect();
        println!("{name}: {:?}\n   {}", sim.control().core().learned(), r.join(" "));
    }
}
