//! Who is asked what, and how often: nothing twice, nothing dead, the phases rarely and at once after a step.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;

use house::{config_text, library, parse, run_s};
use sax_controller::plant::battery_params::{Absent, Banks};
use sax_controller::plant::house::House;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::Simulation;
use sax_controller::units::Time;

fn old_firmware(params: SiteParams, absent: Absent) -> SiteParams {
    house::with_sax(params, |_, sax| {
        sax.banks = Banks { basic: true, extended: true, sunspec: false };
        sax.absent = absent;
    })
}

fn new_firmware(params: SiteParams) -> SiteParams {
    house::with_sax(params, |_, sax| {
        sax.banks = Banks { basic: true, extended: false, sunspec: true };
        sax.absent = Absent::Exception;
    })
}

fn requests(sim: &Simulation, battery: usize, unit: u8) -> u64 {
    sim.site().requests(battery, unit)
}

/// A calm house: the master is asked for both in one request, the slaves for themselves, and unit 40 hardly ever.
#[test]
fn a_calm_minute() {
    let params = house::params(1, House::Fixed([300, 200, 100]), 500);
    let mut sim = house::simulation(1000, old_firmware(params, Absent::Exception));
    run_s(&mut sim, 120);
    let before: Vec<_> = (0..3).map(|k| [64, 40, 100].map(|unit| requests(&sim, k, unit))).collect();
    let writes: Vec<_> = (0..3).map(|k| sim.site().writes(k)).collect();
    run_s(&mut sim, 60);
    for k in 0..3 {
        let asked: Vec<_> = [64, 40, 100].iter().zip(before[k]).map(|(unit, then)| requests(&sim, k, *unit) - then).collect();
        let written = sim.site().writes(k) - writes[k];
        assert_eq!(asked[0] - written, 60, "battery {k}: one read per second on unit 64");
        assert!(asked[1] <= if k == 0 { 4 } else { 0 }, "battery {k}: {} requests to unit 40", asked[1]);
        assert_eq!(asked[2], 0, "battery {k}: the dead bank is left alone");
    }
}

#[test]
fn a_dead_bank_is_probed_at_most_twice() {
    for absent in [Absent::Exception, Absent::Silence] {
        let params = house::params(1, House::Demo(3), 500);
        let mut sim = house::simulation(1000, old_firmware(params, absent));
        run_s(&mut sim, 1200);
        for k in 0..3 {
            assert!(requests(&sim, k, 100) <= 2, "battery {k}: {} requests to unit 100", requests(&sim, k, 100));
        }
        assert!(requests(&sim, 1, 40) <= 2, "a slave is never asked for the smart meter");
    }
}

/// The step shows in the total, and the phases follow in the same poll.
#[test]
fn the_phases_are_read_at_once_after_a_step() {
    let params = house::params(1, House::Trace(vec![(0, [300, 200, 100]), (90_300, [300, 2200, 100])]), 0);
    let mut sim = house::simulation(1000, old_firmware(params, Absent::Exception));
    sim.run_until(Time::from_ms(90_200));
    let before = requests(&sim, 0, 40);
    sim.run_until(Time::from_ms(91_500));
    assert_eq!(requests(&sim, 0, 40) - before, 1);
    let load = sim.control().decision().phases[1].load_w;
    assert!(load.is_some_and(|w| (2150..2250).contains(&w)), "{load:?}");
}

/// All of unit 100 comes in one request, so the phases come with every poll; and no two requests within 500 ms.
#[test]
fn unit_100_is_asked_once_per_poll() {
    let mut sim = house::simulation(1000, new_firmware(house::params(1, House::Demo(1), 500)));
    run_s(&mut sim, 60);
    let before: Vec<_> = (0..3).map(|k| (requests(&sim, k, 100), sim.site().writes(k))).collect();
    run_s(&mut sim, 60);
    for (k, (then, writes)) in before.into_iter().enumerate() {
        let reads = requests(&sim, k, 100) - then - (sim.site().writes(k) - writes);
        assert!((55..=62).contains(&reads), "battery {k}: {reads} reads in a minute");
    }
    let times: Vec<u64> = sim.site().events().filter(|e| e.battery == 1 && e.unit == 100).map(|e| e.at_ms).collect();
    assert!(times.windows(2).all(|w| w[1] - w[0] >= 500), "{times:?}");
}

/// From the start to the first setpoint: five good samples, and not a period more than six (also where the probing meets silence).
#[test]
fn the_first_setpoint_comes_within_six_meter_periods() {
    for poll_ms in [1000, 2000, 5000] {
        let old = old_firmware(house::params(1, House::Fixed([900, 900, 900]), 500), Absent::Exception);
        let new = new_firmware(house::params(1, House::Fixed([900, 900, 900]), 500));
        for params in [old, new] {
            let mut sim = Simulation::new(&parse(&config_text(poll_ms, "", "")), &library(), params);
            sim.run_until(Time::from_ms(u64::from(poll_ms) * 6));
            for k in 0..3 {
                let first = sim.site().events().find(|e| e.battery == k && [41, 40049].contains(&e.address)).map(|e| e.at_ms);
                assert!(first.is_some(), "battery {k} has no setpoint after six periods of {poll_ms} ms");
            }
        }
    }
}

/// With a load balancer a phase near its upper limit is watched closely: an overload that the total hides must not wait for the period.
#[test]
fn the_phases_come_with_every_reading_near_the_upper_limit() {
    for (load_w, requests_in_a_minute) in [(4_300, 0..=4), (4_950, 58..=62)] {
        let empty = |params: SiteParams| {
            let mut params = old_firmware(params, Absent::Exception);
            params.batteries.iter_mut().for_each(|(battery, _)| battery.soc_pm = 30);
            params
        };
        let text = config_text(1000, "", "") + "[load_balancer]\n";
        let params = empty(house::params(1, House::Fixed([300, load_w, 100]), 500));
        let mut sim = Simulation::new(&parse(&text), &library(), params);
        run_s(&mut sim, 120);
        let before = requests(&sim, 0, 40);
        run_s(&mut sim, 60);
        let asked = requests(&sim, 0, 40) - before;
        assert!(requests_in_a_minute.contains(&asked), "{load_w} W: {asked} requests");
    }
}
