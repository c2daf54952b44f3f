//! What is true at the simulated site, and its faults.
#![allow(dead_code, missing_docs)]

use sax_controller::plant::faults::Faults;
use sax_controller::plant::house::House;
use sax_controller::plant::rng::Rng;
use sax_controller::simulate::Simulation;

pub fn grid_w(sim: &Simulation) -> [i64; 3] {
    sim.site().grid_w()
}

pub fn battery_w(sim: &Simulation) -> [i64; 3] {
    let site = sim.site();
    [0, 1, 2].map(|k| site.battery_w(k))
}

pub fn faults(sim: &Simulation) -> Faults {
    sim.site().faults()
}

pub fn clear(sim: &Simulation) {
    let faults = faults(sim);
    (0..3).for_each(|k| faults.clear_all(k));
}

pub fn setpoint_writes(sim: &Simulation) -> usize {
    sim.site().events().filter(|e| [41, 40049].contains(&e.address)).count()
}

/// Every ten seconds or so another load on one of the phases.
pub fn house_that_moves(number: u64) -> House {
    let mut rng = Rng::new(number, "moves");
    let (mut at, mut loads, mut trace) = (0, [500, 700, 400], Vec::new());
    while at < 3_600_000 {
        trace.push((at, loads));
        at += rng.range(4_000, 20_000) as u64;
        loads[rng.below(3) as usize] = rng.range(-2500, 4200);
    }
    House::Trace(trace)
}
