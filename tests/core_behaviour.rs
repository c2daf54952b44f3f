//! Single behaviours of the core, each with the few samples it needs.
#![allow(missing_docs)]

mod common;

use common::{battery, battery_sample, site};
use sax_controller::control::alarm::Alarm;
use sax_controller::control::core::Core;
use sax_controller::control::decision::{Order, Reason};
use sax_controller::control::input::{Implausible, MeterSample, PhaseSample, Written};
use sax_controller::control::ladder::Mode;
use sax_controller::control::site::StartUp;
use sax_controller::units::{Phase, Span, Time};

/// A house with one battery on L1, sampled once a second.
struct House {
    core: Core,
    now_ms: u64,
    power_w: i64,
    soc_pm: i64,
    voltage_mv: Option<i64>,
}

impl House {
    fn new() -> House {
        let mut site = site(vec![battery(0)]);
        site.start_up = StartUp { length: Span::ZERO, ..Default::default() };
        House { core: Core::new(site), now_ms: 0, power_w: 0, soc_pm: 500, voltage_mv: Some(230_000) }
    }

    fn second(&mut self, grid_w: i64) -> Order {
        self.now_ms += 1000;
        let now = Time::from_ms(self.now_ms);
        self.core.battery(0, battery_sample(now.before(Span::from_ms(100)), self.power_w, self.soc_pm));
        let l1 = PhaseSample { power_w: grid_w, voltage_mv: self.voltage_mv, ..Default::default() };
        let other = PhaseSample { power_w: 100, voltage_mv: Some(230_000), ..Default::default() };
        self.core.meter(MeterSample {
            taken: now,
            total_w: Some(grid_w + 200),
            phases: Some([l1, other, other]),
            phases_missing: false,
            phases_apportioned: false,
            total_print: self.now_ms,
            phase_print: Some(self.now_ms),
            phase_print_is_lively: true,
        });
        self.core.step(now).batteries[0].order
    }

    fn seconds(&mut self, n: u32, grid_w: i64) -> Order {
        (0..n).map(|_| self.second(grid_w)).last().expect("at least one")
    }

    fn written(&mut self, w: i64) {
        self.core.written(0, Written::Setpoint(w), Time::from_ms(self.now_ms));
    }
}

fn setpoint(watts: i64) -> Order {
    Order::Setpoint { watts, urgent: false }
}

#[test]
fn nothing_is_ordered_before_five_good_samples() {
    let mut house = House::new();
    assert_eq!(house.seconds(4, 300), Order::Silent);
    assert_eq!(house.second(300), setpoint(300));
}

/// Only what was sent can be in force. A command that waits for the write budget must not blur what the meter says.
#[test]
fn a_command_that_was_not_sent_leaves_the_estimate_exact() {
    let mut house = House::new();
    house.seconds(8, 200);
    house.written(200);
    house.power_w = 200;
    house.seconds(12, 0);
    assert_eq!(house.second(2200), setpoint(2400), "a kettle");
    assert_eq!(house.second(300), setpoint(500), "gone again, and nothing had been written");
    house.core.written(0, Written::Sending(500), Time::from_ms(house.now_ms));
    assert_eq!(house.second(0), setpoint(500), "now the battery may be on its way");
}

#[test]
fn a_phase_with_a_battery_and_without_voltage_is_not_believed() {
    let mut house = House::new();
    house.voltage_mv = Some(0);
    assert_eq!(house.seconds(20, 0), Order::Silent);
    let why = Implausible::NotConnected { phase: Phase::L1, power_w: 0, voltage_mv: 0 };
    assert!(house.core.alarms().active().any(|a| a.0 == Alarm::MeterImplausible(why)));
    house.voltage_mv = Some(230_000);
    assert_ne!(house.seconds(6, 100), Order::Silent);
    assert!(!house.core.alarms().holds(Alarm::MeterImplausible(why)));
}

#[test]
fn the_fuse_comes_before_the_state_of_charge_but_not_before_the_hard_minimum() {
    let mut house = House::new();
    house.soc_pm = 90;
    house.seconds(6, 1000);
    assert_eq!(house.core.decision().batteries[0].setpoint_w, 0);
    assert!(house.core.decision().batteries[0].reason.to_string().contains("SoC below minimum"));
    house.seconds(2, 6000);
    let decision = house.core.decision().batteries[0];
    assert_eq!(decision.reason, Reason::Fuse(Phase::L1));
    assert!((590..=600).contains(&decision.setpoint_w), "{decision:?}: 6000 W less the 5405 W that the fuse carries with its margin");
    assert!(house.core.alarms().holds(Alarm::FuseOverload(Phase::L1)));
    house.soc_pm = 50;
    house.seconds(2, 6000);
    assert_eq!(house.core.decision().batteries[0].setpoint_w, 0);
}

#[test]
fn three_writes_without_an_answer_leave_the_battery_out_until_one_works() {
    let mut house = House::new();
    house.seconds(8, 500);
    for _ in 0..3 {
        house.core.written(0, Written::Unknown(500), Time::from_ms(house.now_ms));
        house.second(500);
    }
    assert_eq!(house.second(500), setpoint(0));
    assert!(house.core.alarms().holds(Alarm::WritesFail(0)));
    house.written(0);
    assert_eq!(house.second(500), setpoint(500));
    assert!(!house.core.alarms().holds(Alarm::WritesFail(0)));
}

#[test]
fn a_frozen_meter_is_found_and_its_age_counts_from_when_it_froze() {
    let mut house = House::new();
    house.seconds(8, 500);
    // From here on the meter repeats itself while the battery goes to 500 W.
    let mut modes = Vec::new();
    for n in 0..40 {
        house.power_w = (n * 100).min(500);
        house.now_ms += 1000;
        let now = Time::from_ms(house.now_ms);
        let phase = PhaseSample { power_w: 500, ..Default::default() };
        house.core.battery(0, battery_sample(now, house.power_w, 500));
        house.core.meter(MeterSample {
            taken: now,
            total_w: Some(700),
            phases: Some([phase; 3]),
            phases_missing: false,
            phases_apportioned: false,
            total_print: 7,
            phase_print: Some(7),
            phase_print_is_lively: false,
        });
        modes.push(house.core.step(now).mode);
    }
    assert!(house.core.alarms().holds(Alarm::MeterFrozen));
    let fallback = modes.iter().position(|m| *m == Mode::Fallback).expect("ends in the fallback");
    assert!((29..=31).contains(&fallback), "fallback {fallback} s after it froze");
}

#[test]
fn a_ramp_of_a_few_watts_moves_however_often_the_core_is_stepped() {
    let mut house = House::new();
    let mut site = house.core.site().clone();
    site.ramp_w_per_s = 3;
    house.core = Core::new(site);
    house.seconds(5, 1000);
    let start = house.core.decision().batteries[0].setpoint_w;
    for _ in 0..20 {
        for ms in [100, 200, 300, 400, 500, 600, 700, 800, 900] {
            house.core.step(Time::from_ms(house.now_ms + ms));
        }
        house.second(1000);
    }
    let moved = house.core.decision().batteries[0].setpoint_w - start;
    assert!((58..=60).contains(&moved), "{moved} W in 20 s");
}
