//! What several test files share.
#![allow(dead_code, missing_docs)]

use sax_controller::control::input::BatterySample;
use sax_controller::control::site::*;
use sax_controller::units::{Span, Time};

/// Rows of integers.
pub fn rows(csv: &str) -> Vec<Vec<i64>> {
    csv.lines().map(|l| l.split(',').map(|v| v.parse().expect("an integer")).collect()).collect()
}

/// A battery like those of the reference.
pub fn battery(phase: usize) -> BatterySite {
    BatterySite {
        connection: Connection::Phase(phase),
        max_discharge_w: 4600,
        max_charge_w: 3500,
        capacity_wh: 7700,
        hard_min_soc_pm: 50,
        min_soc_pm: 100,
        max_soc_pm: 1000,
        hysteresis_pm: 30,
        cap_age: Span::from_s(5),
        exclude_age: Span::from_s(15),
        control: ControlKind::Setpoint,
        fallback_charge_w: 0,
        fallback_discharge_w: 0,
        min_power_w: 0,
        step_w: 1,
        phases_vary: false,
        bms: None,
    }
}

/// A site with one battery per phase, as the reference has it.
pub fn site(batteries: Vec<BatterySite>) -> Site {
    Site {
        batteries,
        strategy: Strategy::SelfConsumption,
        balance: Balance::PerPhase,
        target_w: 0,
        limits: SiteLimits::default(),
        fuse_ma: 25_000,
        fuse_margin_ma: 1500,
        voltage_mv: 230_000,
        ladder: Ladder { hold: Span::from_s(3), ramp_start: Span::from_s(10), fallback: Span::from_s(30) },
        meter_period: Span::from_s(1),
        frozen_after: Span::from_s(58),
        ramp_w_per_s: 0,
        start_up: StartUp::default(),
        observe: false,
        fallback: FallbackKind::Zero,
        tuning: Tuning::default(),
    }
}

/// What a battery says that has nothing to add to its power and state of charge.
pub fn battery_sample(taken: Time, power_w: i64, soc_pm: i64) -> BatterySample {
    BatterySample {
        taken,
        power_w,
        soc_pm,
        may_charge: true,
        may_discharge: true,
        charge_available_w: None,
        discharge_available_w: None,
        temperature_c: None,
    }
}

/// What the grid delivers to each phase, W: the load less what the batteries deliver there.
pub fn grid_w(site: &Site, load_w: [i64; 3], power_w: &[i64]) -> [i64; 3] {
    let mut grid_w = load_w;
    for (battery, w) in site.batteries.iter().zip(power_w) {
        match battery.connection {
            Connection::Phase(f) => grid_w[f] -= w,
            Connection::AllPhases => grid_w.iter_mut().for_each(|grid_w| *grid_w -= w / 3),
        }
    }
    grid_w
}
