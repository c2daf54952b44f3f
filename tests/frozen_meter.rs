//! A meter of its own that answers and no longer measures, although its counters go on.
#![allow(missing_docs)]

#[path = "common/powerpack.rs"]
mod powerpack;

use sax_controller::control::alarm::Alarm;
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::simulate::Simulation;
use sax_controller::units::Time;

/// 30 kW of loads and 20 kW of battery: the counter of the import moves by its 0.1 kWh twice a minute.
fn simulation() -> Simulation {
    powerpack::simulation("strategy = \"self-consumption\"\nbalance = \"sum\"\n", House::Fixed([10_000; 3]), MeterParams::default())
}

#[test]
fn counters_that_go_on_do_not_make_a_frozen_meter_alive() {
    let mut sim = simulation();
    sim.run_until(Time::from_ms(120_000));
    let holds = |sim: &Simulation| sim.control().core().alarms().holds(Alarm::MeterFrozen);
    assert!(!holds(&sim) && sim.site().battery_w(0) > 19_000, "{} W", sim.site().battery_w(0));
    sim.site().freeze_meter(true);
    sim.run_until(Time::from_ms(182_000));
    assert!(holds(&sim), "{:?}", sim.control().decision().mode);
    assert!(sim.site().battery_w(0).abs() <= 200, "{} W a minute after the meter froze", sim.site().battery_w(0));
    sim.site().freeze_meter(false);
    sim.run_until(Time::from_ms(260_000));
    assert!(!holds(&sim) && sim.site().battery_w(0) > 19_000, "{} W", sim.site().battery_w(0));
}
