//! A step of the core allocates nothing once it runs, whatever comes in. (Its time is a benchmark's: `tests/bench/step.rs`.)
#![allow(missing_docs)]

mod common;
#[path = "common/storm.rs"]
mod storm;

use allocation_counter::measure;
use storm::Storm;

#[test]
fn nothing_is_allocated_in_steady_state() {
    for number in 0..40 {
        let mut storm = Storm::new(number, "allocation");
        for step in 0..400 {
            let entries = storm.round();
            let now = storm.now;
            let core = &mut storm.core;
            let used = measure(|| {
                entries.iter().for_each(|e| e.apply(core));
                core.step(now);
            });
            assert_eq!(used.count_total, 0, "number {number}, step {step}: {used:?}");
            storm.writes();
        }
    }
}
