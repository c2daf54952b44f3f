//! Batteries that are told whole kilowatts only: the nearest one, without going back and forth, and a bound gets what it asks for.
#![allow(missing_docs)]

#[path = "common/powerpack.rs"]
mod powerpack;

use sax_controller::control::alarm::Alarm;
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::simulate::Simulation;
use sax_controller::units::Time;

fn simulation(site: &str, house: House) -> Simulation {
    powerpack::simulation(site, house, MeterParams { period_ms: 200, latency_ms: 600, ..MeterParams::default() })
}

/// The setpoints written from `from_s` on, kW, the same again left out.
fn told_kw(sim: &Simulation, from_s: u64) -> Vec<i16> {
    let mut told: Vec<i16> =
        sim.site().events().filter(|e| e.address == 2008 && e.at_ms >= from_s * 1000).map(|e| e.value as i16).collect();
    told.dedup();
    told
}

/// A sum of the phases that wavers by ±`by_w` around `around_w` for ten minutes.
fn wavering(around_w: i64, by_w: i64) -> House {
    let at = |i: u64| (i * 7000, [(around_w + if i % 2 == 0 { by_w } else { -by_w }) / 3; 3]);
    House::Trace((0..86).map(at).collect())
}

#[test]
fn a_load_between_two_steps_does_not_move_it_back_and_forth() {
    for (around_w, allowed) in [(2450, [2, 3]), (3550, [3, 4]), (-1500, [-1, -2])] {
        let mut sim = simulation("strategy = \"self-consumption\"\nbalance = \"sum\"\n", wavering(around_w, 90));
        sim.run_until(Time::from_ms(600_000));
        let told = told_kw(&sim, 60);
        assert!(told.len() <= 2 && told.iter().all(|kw| allowed.contains(kw)), "{around_w} W: {told:?}");
        let grid_w: i64 = sim.site().truth().grid_w.iter().sum();
        assert!(grid_w.abs() <= 800, "{around_w} W: {grid_w} W at the grid");
        assert_eq!(sim.control().active_alarms().map(|a| a.0).collect::<Vec<Alarm>>(), [], "{around_w} W");
    }
}

#[test]
fn a_load_below_half_a_step_is_left_alone() {
    let mut sim = simulation("strategy = \"self-consumption\"\nbalance = \"sum\"\n", wavering(300, 90));
    sim.run_until(Time::from_ms(600_000));
    assert_eq!(told_kw(&sim, 60), [0]);
    let written = sim.site().events().filter(|e| e.address == 2008 && e.at_ms >= 60_000).count();
    // Refreshed every half minute, and not more.
    assert!((15..=20).contains(&written), "0 kW was written {written} times in nine minutes");
}

#[test]
fn the_import_limit_gets_what_it_asks_for() {
    let site = "strategy = \"peak-shaving\"\nbalance = \"sum\"\nimport_limit_w = 8000\nrecharge_below_w = 2000\n";
    let mut sim = simulation(site, wavering(10_300, 90));
    sim.run_until(Time::from_ms(120_000));
    for s in 120..600 {
        sim.run_until(Time::from_ms(s * 1000));
        let grid_w: i64 = sim.site().truth().grid_w.iter().sum();
        assert!(grid_w <= 8_050, "{grid_w} W are imported at {s} s");
    }
    assert_eq!(told_kw(&sim, 60), [3]);
}

#[test]
fn it_starts_and_stops_although_a_step_is_more_than_the_start_allows_at_once() {
    let mut sim = simulation("strategy = \"self-consumption\"\nbalance = \"sum\"\n", wavering(5_000, 0));
    sim.run_until(Time::from_ms(30_000));
    assert_eq!(told_kw(&sim, 0).last(), Some(&5));
    assert!(sim.stop());
    assert_eq!(told_kw(&sim, 30).last(), Some(&0));
}
