//! Invariants 7, 8, 9 and 20 of `spec/control.md` 4: recovery, an estimate that never gets worse, no self-excitation, few writes.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;

use sax_controller::control::estimate::{BatteriesThen, Circumstances, PhaseEstimate};
use sax_controller::control::history::Hull;
use sax_controller::control::ladder::{Ladder, Mode};
use sax_controller::control::site::{Ladder as Ages, Tuning, Window};
use sax_controller::plant::battery_params::BatteryParams;
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::rng::Rng;
use sax_controller::units::{Span, Time};

/// 7: `Run` needs five good samples in a row, more after every fall within ten minutes, and a bad one starts the count anew.
#[test]
fn recovery_needs_good_samples_in_a_row_and_more_of_them_when_it_flaps() {
    let ages = Ages { hold: Span::from_s(3), ramp_start: Span::from_s(10), fallback: Span::from_s(30) };
    for number in 0..300 {
        let mut rng = Rng::new(number, "recovery");
        let (mut ladder, mut now) = (Ladder::default(), Time::from_ms(1));
        let (mut in_a_row, mut needed, mut run_since) = (0, 5, Time::ZERO);
        for _ in 0..2000 {
            let gap_ms = if rng.chance(30) { rng.range(3001, 40_000) } else { rng.range(200, 3000) };
            now += Span::from_ms(gap_ms as u64);
            let was_running = matches!(ladder.mode(), Mode::Run { .. } | Mode::Hold { .. });
            if ladder.age(now, &ages) {
                needed = if now.since(run_since) < Span::from_s(600) { (needed * 2).min(60) } else { needed };
                in_a_row = 0;
            }
            let fell = was_running && !matches!(ladder.mode(), Mode::Run { .. } | Mode::Hold { .. });
            if rng.chance(100) {
                ladder.bad_sample();
                in_a_row = 0;
            } else {
                in_a_row = if gap_ms > 3000 || fell { 1 } else { in_a_row + 1 };
                ladder.good_sample(now, true, &ages);
            }
            match ladder.mode() {
                Mode::Run { since } if !was_running => {
                    assert!(in_a_row >= needed, "number {number}: running after {in_a_row} good samples of {needed}");
                    run_since = since;
                }
                Mode::Run { since } if now.since(since) >= Span::from_s(600) => needed = ladder.progress().1.min(needed),
                _ => {}
            }
        }
    }
}

/// 8: for a constant load, whatever the batteries do and whenever a sample was taken in the window, the estimate never gets worse than it
/// was, beyond noise and half a narrow hull (Fejér).
#[test]
fn for_a_constant_load_the_estimate_never_gets_worse() {
    let tuning = Tuning::default();
    let mut rng = Rng::new(1, "fejer");
    let mut closer = 0;
    for round in 0..400 {
        let window = [Window::PRIOR, Window { lo: Span::from_ms(400), hi: Span::from_ms(1700) }][round % 2];
        let load = rng.range(-8000, 8000);
        let mut estimate = PhaseEstimate { load_w: rng.range(-9000, 9000), seeded: true, ..PhaseEstimate::default() };
        for _ in 0..100 {
            let (a, b) = (rng.range(-4000, 4000), rng.range(-4000, 4000));
            let hull = if rng.chance(300) { Hull { lo: a, hi: a + rng.range(0, 60) } } else { Hull { lo: a.min(b), hi: a.max(b) } };
            let then_w = rng.range(hull.lo, hull.hi);
            let then = BatteriesThen { hull, middle_w: rng.range(hull.lo, hull.hi), absolute_w: hull.hi.abs() };
            let noise = rng.range(-20, 20);
            let around = Circumstances { target_w: 0, saturated: rng.chance(500), window, confirm: rng.chance(100) };
            let before = (estimate.load_w - load).abs();
            estimate.take(load - then_w + noise, &then, &around, &tuning);
            let after = (estimate.load_w - load).abs();
            let narrow = tuning.noise_w + tuning.noise_pm * hull.hi.abs() / 1000 + tuning.narrow_w / 2 + 20;
            // With a learned window a clear change goes to where the middle of the window points: inside the interval, so no further off
            // than the interval is wide.
            let most = if window == Window::PRIOR { before + narrow } else { before.max(hull.hi - hull.lo) + narrow };
            assert!(after <= most, "round {round}: {before} W off became {after} W, hull {hull:?}");
            closer += u32::from(after + 100 < before);
        }
    }
    assert!(closer > 500, "the estimate hardly ever came closer: {closer}");
}

/// 9 and 20: under a constant load every loop comes to rest, whatever the latency up to 15 s, the dead time, the lag and the polls, and then
/// writes only what the refresh asks for.
#[test]
fn under_a_constant_load_every_loop_comes_to_rest_and_writes_only_refreshes() {
    for number in 0..24 {
        let mut rng = Rng::new(number, "excitation");
        let poll_ms = [1000, 2000, 5000][rng.below(3) as usize];
        // Three steps to learn from, then nothing more happens.
        let mut at_ms = 60_000;
        let mut trace = vec![(0, [300, 400, 200])];
        for _ in 0..4 {
            trace.push((at_ms, [300, rng.range(-3000, 4000), 200]));
            at_ms += rng.range(60_000, 90_000) as u64;
        }
        let mut params = house::params(number, House::Trace(trace), 0);
        params.meter = MeterParams { latency_ms: rng.range(0, 15_000) as u64, ..params.meter };
        let (dead_ms, tau_ms) = (rng.range(200, 5000) as u64, rng.range(100, 1500) as u64);
        for (battery, _) in &mut params.batteries {
            *battery = BatteryParams { dead_ms, tau_ms, ..battery.clone() };
        }
        let latency_ms = params.meter.latency_ms;
        let place = format!("number {number}: latency {latency_ms} ms, dead time {dead_ms} ms, polls {poll_ms} ms");
        let mut sim = house::simulation(poll_ms, params);
        sim.run_until(Time::from_ms(at_ms + 900_000));
        let start_ms = sim.now().as_ms();
        let mut worst = 0;
        for _ in 0..600 {
            house::run_s(&mut sim, 1);
            worst = worst.max(sim.site().grid_w()[1].abs());
        }
        assert!(worst <= 50, "{place}: still {worst} W off");
        let writes = sim.site().events().filter(|e| e.at_ms >= start_ms && e.battery == 1).count();
        assert!((10..=14).contains(&writes), "{place}: {writes} writes in ten minutes of rest");
    }
}
