//! What the controller learns while running, and how well it settles before and after: the real tasks in virtual time. A small version of
//! `tests/bench/law.rs`.
#![allow(missing_docs)]

#[path = "common/cells.rs"]
mod cells;

use cells::{Cell, Coverage, Step, calm_share, day, quantile, ratios};
use sax_controller::control::learned::Learned;
use sax_controller::control::site::Window;
use sax_controller::plant::day::DayParams;
use sax_controller::plant::house::House;
use sax_controller::simulate::Simulation;
use sax_controller::units::{Span, Time};

fn learned(simulation: &Simulation) -> Learned {
    simulation.control().core().learned().clone()
}

fn holds(window: Window, age_ms: u64) -> bool {
    (window.lo.as_ms()..=window.hi.as_ms()).contains(&age_ms)
}

fn assert_settles(name: &str, steps: &[Step]) {
    let ratios = ratios(steps);
    let p95 = quantile(&ratios, 950);
    assert!(p95 <= 1.10, "{name}: p95 {p95:.2}, {ratios:.2?}");
    assert!(calm_share(steps) >= 0.99, "{name}: {steps:?}");
}

#[test]
fn steps_settle_at_the_bound_from_the_first_one_on() {
    for (latency_ms, dead_ms, poll_ms) in [(0, 200, 1000), (500, 5000, 1000), (2000, 1000, 2000), (5000, 500, 1000), (1000, 500, 5000)] {
        let cell = Cell { latency_ms, dead_ms, poll_ms, battery_poll_ms: poll_ms, ..Cell::default() };
        let (steps, simulation) = cell.steps(11, 0, 25);
        let name = format!("latency {latency_ms} ms, dead time {dead_ms} ms, polls {poll_ms} ms");
        assert_settles(&name, &steps);
        let l = learned(&simulation);
        assert!(l.movements >= 3 && holds(l.window, latency_ms), "{name}: {l:?}");
        assert_eq!(l.averaging, Span::ZERO, "{name}");
        assert!((990..=1010).contains(&l.batteries[1].scale_pm), "{name}: {l:?}");
        assert_eq!(l.batteries[0].response, None, "{name}: it never moved");
    }
}

#[test]
fn latencies_beyond_the_prior_window_are_learned_in_minutes() {
    for latency_ms in [8000, 12_000, 15_000] {
        let cell = Cell { latency_ms, ..Cell::default() };
        let (steps, simulation) = cell.steps(5, 10, 15);
        assert_settles(&format!("latency {latency_ms} ms"), &steps);
        let l = learned(&simulation);
        assert!(holds(l.window, latency_ms), "latency {latency_ms} ms: {l:?}");
    }
}

/// The swing of its own making is found although the load never changes again, and ends.
#[test]
fn a_quiet_house_stays_quiet() {
    for latency_ms in [1000, 6500, 10_000, 15_000] {
        let cell = Cell { latency_ms, noise_w: 5, ..Cell::default() };
        let mut simulation = cell.simulation(3, House::Trace(vec![(0, [200, 700, 300]), (60_000, [200, 3200, 300])]));
        simulation.run_until(Time::from_ms(360_000));
        let mut squares = 0;
        for ms in (360_000..660_000).step_by(500) {
            simulation.run_until(Time::from_ms(ms));
            squares += simulation.site().grid_w()[1].pow(2);
        }
        let rms = (squares / 600).isqrt();
        assert!(rms <= 15, "latency {latency_ms} ms: {rms} W, {:?}", learned(&simulation));
    }
}

#[test]
fn a_meter_that_averages_is_recognised_and_waited_for() {
    let cell = Cell { latency_ms: 500, dead_ms: 200, averaging_ms: 1000, refresh_ms: 1000, ..Cell::default() };
    let (steps, simulation) = cell.steps(6, 25, 30);
    let l = learned(&simulation);
    assert_eq!(l.averaging, Span::from_s(1));
    assert!(l.movements >= 3, "{l:?}");
    let slow = steps.iter().filter(|s| s.ratio > 1.45).count();
    assert!(slow == 0, "{slow} of {} steps: {:.2?}", steps.len(), ratios(&steps));
}

#[test]
fn the_scale_of_a_battery_is_learned() {
    for scale_pm in [950, 1030] {
        let (_, simulation) = Cell { scale_pm, ..Cell::default() }.steps(8, 0, 25);
        let l = learned(&simulation);
        let product = l.batteries[1].scale_pm * i64::from(scale_pm) / 1000;
        assert!((988..=1012).contains(&product), "reads {scale_pm} per mille: {l:?}");
        assert_eq!(l.batteries[0].scale_pm, 1000);
    }
}

/// The refresh of the meter slips against the polls, so the ages go through all values; half a day with pulsing loads.
#[test]
fn the_window_holds_all_ages_through_half_a_day() {
    let cell = Cell { latency_ms: 600, refresh_ms: 1010, ..Cell::default() };
    let mut simulation = cell.simulation(1, day(DayParams::default()));
    let mut coverage = Coverage::default();
    cell.soak(&mut simulation, 43_200_000, &mut coverage);
    assert!(coverage.learned_at_ms.is_some_and(|ms| ms < 3 * 3_600_000), "{coverage:?}");
    assert!(coverage.inside * 1000 >= coverage.samples * 999, "{coverage:?}");
}

/// What was learned before holds from the start, and what contradicts it widens it.
#[test]
fn what_is_remembered_is_corrected() {
    let (_, simulation) = Cell { latency_ms: 3000, ..Cell::default() }.steps(2, 0, 12);
    let known = learned(&simulation);
    assert!(known.window.hi < Span::from_s(6) && known.window.lo > Span::ZERO, "{known:?}");
    let mut core = sax_controller::control::core::Core::new(simulation.control().core().site().clone());
    core.remember(known.clone());
    assert_eq!(*core.learned(), known);
    core.remember(Learned::nothing(7));
    assert_eq!(*core.learned(), known, "that is another site's");
}
