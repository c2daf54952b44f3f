//! Three-phase batteries alone and beside single-phase ones: the core against a house, with latency and dead time, in virtual time.
#![allow(missing_docs)]

mod common;

use std::collections::VecDeque;

use common::{battery, battery_sample, site};
use sax_controller::control::alarm::Alarm;
use sax_controller::control::core::Core;
use sax_controller::control::decision::Order;
use sax_controller::control::input::{MeterSample, PhaseSample, Written};
use sax_controller::control::site::{Balance, BatterySite, Connection, Site, SiteLimits, Tuning};
use sax_controller::plant::rng::Rng;
use sax_controller::units::Time;

/// The meter is this old, and a battery begins this long after its command, in steps of 100 ms.
const LATENCY: usize = 8;
const DEAD: usize = 4;

/// Batteries that follow after a dead time, behind a meter with latency.
struct Plant {
    core: Core,
    site: Site,
    load_w: [i64; 3],
    power_w: Vec<i64>,
    /// What each was told, in the last steps.
    told_w: Vec<VecDeque<i64>>,
    grid_w: VecDeque<[i64; 3]>,
    step: u64,
    /// What a battery's own reading is multiplied by, and what it adds to its command.
    reads_pm: Vec<i64>,
    bias_w: i64,
    apportioned: bool,
    rng: Rng,
    noise_w: i64,
}

impl Plant {
    fn new(site: Site, load_w: [i64; 3]) -> Plant {
        let n = site.batteries.len();
        Plant {
            core: Core::new(site.clone()),
            site,
            load_w,
            power_w: vec![0; n],
            told_w: vec![VecDeque::from(vec![0; DEAD]); n],
            grid_w: VecDeque::from(vec![load_w; LATENCY]),
            step: 0,
            reads_pm: vec![1000; n],
            bias_w: 0,
            apportioned: false,
            rng: Rng::new(1, "three-phase"),
            noise_w: 5,
        }
    }

    fn grid(&self) -> [i64; 3] {
        common::grid_w(&self.site, self.load_w, &self.power_w)
    }

    fn total_w(&self) -> i64 {
        self.grid().iter().sum()
    }

    /// A tenth of a second.
    fn tick(&mut self) {
        self.step += 1;
        let now = Time::from_ms(self.step * 100);
        for k in 0..self.power_w.len() {
            let wanted = self.told_w[k].pop_front().unwrap_or(0);
            let newest = *self.told_w[k].back().unwrap_or(&0);
            self.told_w[k].push_back(newest);
            let aim = if wanted == 0 { 0 } else { wanted + self.bias_w };
            self.power_w[k] += (aim - self.power_w[k]) / 3 + (aim - self.power_w[k]).signum().min(aim - self.power_w[k]).max(-1);
        }
        let grid = self.grid();
        self.grid_w.push_back(grid);
        let seen = self.grid_w.pop_front().unwrap_or(grid);
        if self.step % 10 != 0 {
            return;
        }
        for k in 0..self.power_w.len() {
            let reading = self.power_w[k] * self.reads_pm[k] / 1000;
            self.core.battery(k, battery_sample(now, reading, 500));
        }
        let seen = seen.map(|w| w + self.rng.range(-self.noise_w, self.noise_w));
        let total: i64 = seen.iter().sum();
        let shown = if self.apportioned { [total - 2 * (total / 3), total / 3, total / 3] } else { seen };
        let voltage_mv = (!self.apportioned).then_some(230_000);
        self.core.meter(MeterSample {
            taken: now,
            total_w: Some(total),
            phases: Some(shown.map(|power_w| PhaseSample { power_w, voltage_mv, ..Default::default() })),
            phases_missing: false,
            phases_apportioned: self.apportioned,
            total_print: self.step,
            phase_print: (!self.apportioned).then_some(self.step),
            phase_print_is_lively: !self.apportioned,
        });
        let decision = self.core.step(now).clone();
        for (k, b) in decision.batteries.iter().enumerate() {
            if let Order::Setpoint { watts, .. } = b.order {
                if let Some(last) = self.told_w[k].back_mut() {
                    *last = watts;
                }
                self.core.written(k, Written::Setpoint(watts), now);
            }
        }
    }

    fn run_s(&mut self, s: u64) {
        (0..s * 10).for_each(|_| self.tick());
    }

    /// Seconds until `error` stays within `band_w`, and how far it went to the other side.
    fn settle(&mut self, load_w: [i64; 3], band_w: i64, error: impl Fn(&Plant) -> i64) -> (f64, i64) {
        self.load_w = load_w;
        let (mut settled, mut beyond, first) = (0, 0, error(self));
        for n in 1..=300 {
            self.tick();
            let e = error(self);
            if e.abs() > band_w {
                settled = n;
            }
            beyond = beyond.max(-first.signum() * e);
        }
        (settled as f64 / 10.0, beyond)
    }
}

fn three_phase(max_w: i64) -> BatterySite {
    BatterySite { connection: Connection::AllPhases, max_discharge_w: max_w, max_charge_w: max_w, capacity_wh: 100_000, ..battery(0) }
}

fn mix() -> Vec<BatterySite> {
    vec![battery(0), battery(1), battery(2), three_phase(12_000)]
}

/// The dead time, the latency, a whole poll, the lag of the battery and a poll of grace.
const SOON_S: f64 = 0.4 + 0.8 + 1.0 + 1.5 + 1.0;

#[test]
fn a_lone_three_phase_battery_settles_like_a_single_phase_one() {
    let mut plant = Plant::new(site(vec![three_phase(30_000)]), [1000, 500, 300]);
    plant.run_s(60);
    for load in [[4000, 500, 300], [4000, 4000, 4000], [500, 300, 200], [-3000, -2000, 900], [2500, 100, 0]] {
        let (settled_s, beyond_w) = plant.settle(load, 100, Plant::total_w);
        assert!(settled_s <= SOON_S && beyond_w <= 150, "{load:?}: {settled_s} s, {beyond_w} W beyond");
    }
}

#[test]
fn a_mix_settles_on_every_phase() {
    let mut plant = Plant::new(site(mix()), [1000, 500, 300]);
    plant.run_s(60);
    for load in [[4000, 500, 300], [4000, 4000, 4000], [500, 300, 200], [-3000, -2000, 900], [5500, 100, -1000]] {
        let (settled_s, beyond_w) = plant.settle(load, 100, |p| p.grid().into_iter().max_by_key(|w| w.abs()).unwrap_or(0));
        assert!(settled_s <= SOON_S + 1.0 && beyond_w <= 250, "{load:?}: {settled_s} s, {beyond_w} W beyond, {:?}", plant.grid());
    }
}

#[test]
fn what_a_three_phase_battery_does_beside_its_command_is_trimmed_away() {
    let mut plant = Plant::new(site(vec![three_phase(9000)]), [2000, 500, 300]);
    plant.bias_w = 240;
    plant.run_s(240);
    let total = plant.total_w();
    // 3 % of less than 34 W on a phase is no whole watt: that much stays on each of them, as with single-phase batteries.
    assert!(total.abs() <= 3 * 33, "{total} W");
}

#[test]
fn its_scale_is_learned_on_any_phase() {
    // Only L3 ever steps, and L1 is full of noise: a battery on L1 would learn nothing there.
    let mut plant = Plant::new(site(vec![three_phase(9000)]), [600, 500, 300]);
    plant.run_s(40);
    for n in 0..40 {
        plant.load_w[2] = if n % 2 == 0 { 4800 } else { 300 };
        plant.load_w[0] = 600 + plant.rng.range(-30, 30);
        plant.run_s(22);
    }
    let learned = plant.core.learned();
    assert!(learned.movements >= 3, "{learned:?}");
    assert!(
        learned.window.lo.as_ms() <= 800 && learned.window.hi.as_ms() >= 800 && learned.window.hi.as_ms() < 4000,
        "{:?}",
        learned.window
    );
}

#[test]
fn every_fuse_holds_with_three_phase_and_single_phase_batteries() {
    let mut rng = Rng::new(1, "fuses");
    for batteries in [vec![three_phase(12_000)], mix()] {
        let mut plant = Plant::new(Site { fuse_ma: 32_000, ..site(batteries.clone()) }, [500; 3]);
        plant.run_s(40);
        for _ in 0..20 {
            plant.load_w = [0; 3].map(|_| rng.range(-6000, 6500));
            plant.run_s(20);
            for g in plant.grid() {
                // 30.5 A at 230 V, and the noise of the meter.
                assert!(g.abs() <= 7015 + 60, "{:?} at {:?}", plant.grid(), plant.load_w);
            }
        }
        // One phase beyond its fuse pulls the three-phase battery, whatever the sum wants.
        plant.load_w = [9000, -4000, -4500];
        plant.run_s(20);
        assert!(plant.grid()[0] <= 7015 + 60, "{:?}", plant.grid());
    }
}

#[test]
fn limits_of_the_site_hold_with_three_phase_batteries() {
    let mut rng = Rng::new(1, "limits");
    let limits = SiteLimits { import_w: Some(4000), export_w: Some(2000), unbalance_va: Some(3000) };
    for balance in [Balance::PerPhase, Balance::Sum] {
        let mut plant = Plant::new(Site { limits, balance, ..site(mix()) }, [500; 3]);
        plant.run_s(40);
        for _ in 0..25 {
            plant.load_w = [0; 3].map(|_| rng.range(-3500, 4000));
            plant.run_s(20);
            let total = plant.total_w();
            assert!((-2100..=4100).contains(&total), "{balance:?}: {total} W at {:?}", plant.load_w);
            let on = |f: usize| plant.power_w[f] + plant.power_w[3] / 3;
            for sign in [1, -1] {
                let least = (0..3).map(|f| (sign * on(f)).max(0)).min().unwrap_or(0);
                assert!((0..3).all(|f| sign * on(f) <= least + 3000 + 60), "{balance:?}: {:?}", plant.power_w);
            }
        }
    }
}

#[test]
fn a_wrong_sign_of_a_three_phase_battery_is_found_and_a_right_one_is_not() {
    for (reads_pm, wrong) in [(1000, false), (-1000, true)] {
        let mut plant = Plant::new(site(vec![three_phase(9000)]), [900, 500, 300]);
        plant.reads_pm = vec![reads_pm];
        let mut found = false;
        for n in 0..40 {
            // An unbalanced house: no phase is ever at its target, the sum is.
            plant.load_w = if n % 2 == 0 { [3900, -500, 300] } else { [900, 500, -700] };
            for _ in 0..15 {
                plant.run_s(1);
                found |= plant.core.alarms().holds(Alarm::SignWrong(0));
                assert!(!sax_controller::units::Phase::ALL.iter().any(|p| plant.core.alarms().holds(Alarm::PhaseWrong(0, *p))));
            }
        }
        assert_eq!(found, wrong);
        let checks = plant.core.guard().checks();
        assert!(wrong || checks == 0, "{checks} checks");
    }
}

#[test]
fn a_meter_that_knows_only_the_sum_is_enough() {
    for batteries in [vec![battery(0)], vec![battery(0), battery(1)], vec![three_phase(9000)], mix()] {
        let most: i64 = batteries.iter().map(|b| b.max_discharge_w).sum();
        let mut plant = Plant::new(Site { balance: Balance::Sum, fuse_ma: 63_000, ..site(batteries) }, [400, 300, 200]);
        plant.apportioned = true;
        plant.run_s(60);
        for load in [[3000, 300, 200], [200, 1900, 1500], [500, 100, 0], [-1200, -900, 300], [900, 900, 900]] {
            let (settled_s, beyond_w) = plant.settle(load, 100, Plant::total_w);
            assert!(load.iter().sum::<i64>() <= most);
            assert!(
                settled_s <= SOON_S + 0.5 && beyond_w <= 200,
                "{} batteries, {load:?}: {settled_s} s, {beyond_w} W beyond",
                plant.power_w.len()
            );
        }
        assert_eq!(plant.core.guard().checks(), 0);
    }
}

#[test]
fn a_site_of_hundreds_of_kilowatts_is_believed_and_balanced() {
    let big = BatterySite { capacity_wh: 2_000_000, ..three_phase(250_000) };
    let tuning = Tuning::for_power(83_000);
    let mut plant = Plant::new(Site { fuse_ma: 2_000_000, tuning, ..site(vec![big]) }, [40_000, 30_000, 35_000]);
    plant.noise_w = 50;
    plant.run_s(60);
    for load in [[90_000, 30_000, 35_000], [120_000, 70_000, 50_000], [-60_000, -70_000, -50_000], [10_000, 5000, 4000]] {
        let (settled_s, beyond_w) = plant.settle(load, 2000, Plant::total_w);
        assert!(settled_s <= SOON_S + 1.0 && beyond_w <= 5000, "{load:?}: {settled_s} s, {beyond_w} W beyond");
    }
    assert!(!plant.core.alarms().active().any(|a| matches!(a.0, Alarm::MeterImplausible(_))));
}
