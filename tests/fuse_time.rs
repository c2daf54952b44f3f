//! How long a fuse is above its rating where batteries can prevent it: no longer than the delays allow, plus one sample
//! (`spec/control.md` 3 and 3.8 no. 7). The real tasks in virtual time; batteries below their minimum SoC, so that only the fuse moves them.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;

use sax_controller::plant::house::House;
use sax_controller::units::Time;

const RATED_W: i64 = 25 * 230;
/// Dead time and lag of the batteries, see `house::params`.
const DEAD_MS: u64 = 600;
const TAU_MS: f64 = 500.0;
const POLL_MS: u64 = 1000;

/// Longest time in ms in which L2 was above the rating after a step to `high_w` at `at_ms`.
fn longest_ms(number: u64, latency_ms: u64, at_ms: u64, high_w: i64) -> u64 {
    let trace = House::Trace(vec![(0, [300, 900, 300]), (at_ms, [300, high_w, 300])]);
    let mut params = house::params(number, trace, latency_ms);
    params.batteries.iter_mut().for_each(|(b, _)| b.soc_pm = 80);
    let mut sim = house::simulation(POLL_MS as u32, params);
    sim.run_until(Time::from_ms(at_ms - 10));
    assert_eq!(sim.site().battery_w(1).abs() / 50, 0, "nothing is discharged below the minimum");
    let (mut run, mut longest) = (0, 0);
    for ms in (at_ms..at_ms + 120_000).step_by(10) {
        sim.run_until(Time::from_ms(ms));
        run = if sim.site().grid_w()[1].abs() > RATED_W { run + 10 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// From the step to the moment at which the battery has brought the phase below the rating, in the worst phase of the polls.
fn bound_ms(latency_ms: u64, high_w: i64) -> u64 {
    let held_w = (25.0 - 1.5) * 230.0;
    let (needed, over) = (high_w as f64 - held_w, RATED_W as f64 - held_w);
    latency_ms + DEAD_MS + (TAU_MS * (needed / over).ln()) as u64
}

#[test]
fn a_fuse_is_relieved_as_fast_as_the_delays_allow() {
    for latency_ms in [0, 600, 2000, 5000] {
        for high_w in [6500, 8500] {
            for n in 0..5 {
                let longest = longest_ms(40 + n, latency_ms, 60_050 + 197 * n, high_w);
                let bound = bound_ms(latency_ms, high_w);
                assert!(longest > 0, "the fuse was never above its rating");
                assert!(
                    longest <= bound + POLL_MS,
                    "{longest} ms above the rating, bound {bound} ms and a sample, at {latency_ms} ms, {high_w} W"
                );
                println!("latency {latency_ms} ms, {high_w} W: {longest} ms, bound {bound} ms + {POLL_MS} ms until the first sample");
            }
        }
    }
}
