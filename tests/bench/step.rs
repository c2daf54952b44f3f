//! What one step of the core costs: samples taken in and everything decided, for 3, 30 and 250 batteries in a pulsing house.
//!
//! Fails when the slowest hundredth for 3 batteries is above 20 µs, or for 250 above 1 ms.
#![allow(missing_docs)]

mod common;
#[path = "../common/mod.rs"]
mod reference;

use std::process::ExitCode;
use std::time::Instant;

use common::Verdict;
use sax_controller::control::core::Core;
use sax_controller::control::decision::Order;
use sax_controller::control::input::{BatterySample, MeterSample, PhaseSample, Written};
use sax_controller::control::site::*;
use sax_controller::plant::rng::Rng;
use sax_controller::units::{Span, Time};

const SECONDS: u64 = 3600;

fn site(n: usize, balance: Balance) -> Site {
    Site {
        balance,
        limits: SiteLimits { import_w: Some(100_000), export_w: Some(50_000), unbalance_va: Some(200_000) },
        fuse_ma: 2_500_000,
        frozen_after: Span::from_s(40),
        ..reference::site((0..n).map(|k| BatterySite { min_power_w: 200, ..reference::battery(k % 3) }).collect())
    }
}

/// Time of every step of an hour in ns: all batteries and the meter have answered.
fn hour(n: usize, balance: Balance) -> Vec<u64> {
    let mut core = Core::new(site(n, balance));
    let mut rng = Rng::new(n as u64, "cost");
    let (mut power, mut load) = (vec![0; n], [100 * n as i64; 3]);
    let mut times = Vec::new();
    for second in 1..=SECONDS {
        let now = Time::from_ms(second * 1000);
        if second % 25 == 0 {
            load = load.map(|_| rng.range(-900, 1200) * (n as i64).min(40));
        }
        let mut grid = load;
        power.iter().enumerate().for_each(|(k, w)| grid[k % 3] -= w);
        let sample = MeterSample {
            taken: now,
            total_w: Some(grid.iter().sum()),
            phases: Some(grid.map(|w| PhaseSample { power_w: w + rng.range(-10, 10), voltage_mv: Some(230_000), ..Default::default() })),
            phases_missing: false,
            phases_apportioned: false,
            total_print: second,
            phase_print: Some(second),
            phase_print_is_lively: true,
        };
        let battery = |power_w: i64| BatterySample {
            taken: now,
            power_w,
            soc_pm: 500,
            may_charge: true,
            may_discharge: true,
            charge_available_w: None,
            discharge_available_w: None,
            temperature_c: Some(20),
        };
        let begun = Instant::now();
        for (k, w) in power.iter().enumerate() {
            core.battery(k, battery(*w));
        }
        core.meter(sample);
        let decision = core.step(now);
        times.push(begun.elapsed().as_nanos() as u64);
        let told: Vec<i64> = (decision.batteries.iter().zip(&power))
            .map(|(b, was)| if let Order::Setpoint { watts, .. } = b.order { watts } else { *was })
            .collect();
        for (k, w) in told.into_iter().enumerate() {
            if w != power[k] {
                core.written(k, Written::Setpoint(w), now);
            }
            power[k] = w;
        }
    }
    times.sort_unstable();
    times
}

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    let mut verdict = Verdict::default();
    println!("batteries  balance     median/us    p99/us  p99.9/us    max/us");
    for (n, most_us) in [(3, 20.0), (30, f64::MAX), (250, 1000.0)] {
        for balance in [Balance::PerPhase, Balance::Sum] {
            let times = hour(n, balance);
            let at = |pm: usize| times[(times.len() - 1) * pm / 1000] as f64 / 1000.0;
            println!("{n:>9}  {:<10} {:>10.1} {:>9.1} {:>9.1} {:>9.1}", format!("{balance:?}"), at(500), at(990), at(999), at(1000));
            verdict.demand(at(990) <= most_us, format!("{n} batteries: {:.1} us, more than {most_us} us", at(990)));
        }
    }
    verdict.end()
}
