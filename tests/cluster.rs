//! Three controllers under one: each is a battery to it, by the device profile `cluster` and its own registers.
#![allow(missing_docs)]

#[path = "common/cluster.rs"]
mod cluster;
#[path = "common/house.rs"]
mod house;

use cluster::{Cluster, lock};
use sax_controller::control::alarm::Alarm;
use sax_controller::control::decision::{Order, Reason};
use sax_controller::control::ladder::Mode;
use sax_controller::control::site::{ControlKind, FallbackKind};
use sax_controller::daemon::wiring::plan;
use sax_controller::plant::faults::Fault;

const LOADS: [([i64; 3], &str); 3] = [([2400, 500, 300], ""), ([200, 300, 100], ""), ([300, 900, 600], "")];

fn setpoints(cluster: &Cluster) -> Vec<i64> {
    cluster.upper().control().decision().batteries.iter().map(|b| b.setpoint_w).collect()
}

fn alarms(cluster: &Cluster) -> Vec<Alarm> {
    cluster.upper().control().active_alarms().map(|a| a.0).collect()
}

#[test]
fn the_example_can_be_run() {
    let config = house::parse(include_str!("../etc/examples/cluster.toml"));
    let plan = plan(&config, &house::library());
    assert_eq!(plan.site.batteries.len(), 3);
    assert!(plan.site.batteries.iter().all(|b| b.phases_vary && b.control == ControlKind::Setpoint));
    assert_eq!(plan.site.fallback, FallbackKind::Release);
}

#[test]
fn the_upper_ones_setpoint_is_shared_and_reached() {
    // More than one of them can give.
    let loads = [([4400, 3500, 2300], ""), ([200, 300, 100], ""), ([1300, 1900, 1600], "")];
    let mut c = Cluster::new(&loads, "grid_target_w = 1500");
    c.run_s(120);
    assert!((c.total_w() - 1500).abs() <= 60, "{} W at the common connection", c.total_w());
    let told = setpoints(&c);
    assert!((told.iter().sum::<i64>() - (15_600 - 1500)).abs() <= 150, "{told:?}");
    assert!(told.iter().filter(|w| **w > 3000).count() >= 2, "{told:?}");
    for (k, told) in told.iter().enumerate() {
        assert!((c.batteries_w(k) - told).abs() <= 60, "{k}: told {told} W, gives {} W", c.batteries_w(k));
        assert!((c.asked_w(k).expect("commanded") - told).abs() <= 40, "{k}: {:?}", c.asked_w(k));
        let sim = lock(&c.lowers[k]);
        assert!(sim.control().decision().batteries.iter().all(|b| b.reason == Reason::Remote));
    }
    // None of them balances its own house: that would be 0 W at each.
    assert!((0..3).all(|k| c.grid_w(k).abs() > 400), "{:?}", [0, 1, 2].map(|k| c.grid_w(k)));
    assert_eq!(alarms(&c), []);
}

#[test]
fn a_lower_one_drops_what_it_was_told_a_minute_after_the_last_heartbeat() {
    let mut c = Cluster::new(&LOADS, "grid_target_w = 1500");
    c.run_s(120);
    // As kill -9 does.
    c.upper = None;
    c.run_s(49);
    assert!((0..3).all(|k| c.asked_w(k).is_some()), "it still counts");
    assert!((c.total_w() - 1500).abs() <= 60, "{} W", c.total_w());
    c.run_s(12);
    for k in 0..3 {
        assert_eq!(c.asked_w(k), None);
    }
    c.run_s(20);
    for k in 0..3 {
        assert!(c.grid_w(k).abs() <= 60, "{k} follows its own strategy: {} W", c.grid_w(k));
    }
}

#[test]
fn at_its_stop_the_upper_one_hands_them_back_at_once() {
    let mut c = Cluster::new(&LOADS, "grid_target_w = 1500");
    c.run_s(60);
    assert!(c.upper.as_mut().expect("runs").stop(), "acknowledged");
    c.upper = None;
    c.run_s(1);
    assert!((0..3).all(|k| c.asked_w(k).is_none()));
    c.run_s(20);
    assert!((0..3).all(|k| c.grid_w(k).abs() <= 60));
}

#[test]
fn an_upper_one_without_its_meter_lets_them_go_on_by_themselves() {
    let mut c = Cluster::new(&LOADS, "grid_target_w = 1500");
    c.run_s(60);
    let faults = c.upper().site().faults();
    let hosts = c.upper().site().hosts();
    (0..hosts).for_each(|host| faults.set(host, Fault::Refuse));
    c.run_s(60);
    assert_eq!(c.upper().control().decision().mode, Mode::Fallback);
    assert!((0..3).all(|k| c.asked_w(k).is_none() && c.grid_w(k).abs() <= 60), "{:?}", [0, 1, 2].map(|k| c.grid_w(k)));
    (0..hosts).for_each(|host| faults.clear(host, Fault::Refuse));
    c.run_s(60);
    assert!((c.total_w() - 1500).abs() <= 60, "{} W", c.total_w());
}

#[test]
fn one_that_has_lost_its_meter_can_neither_be_charged_nor_discharged() {
    let mut c = Cluster::new(&LOADS, "grid_target_w = 1500");
    c.run_s(60);
    let faults = lock(&c.lowers[2]).site().faults();
    faults.set(0, Fault::Refuse);
    c.run_s(40);
    assert_eq!(lock(&c.lowers[2]).control().decision().mode, Mode::Fallback);
    let decision = c.upper().control().decision().clone();
    let z = &decision.batteries[2];
    assert_eq!((z.capability.hard_charge_w, z.capability.hard_discharge_w, z.setpoint_w), (0, 0, 0));
    assert!(matches!(z.order, Order::Setpoint { watts: 0, .. }));
    // Its battery with the meter is gone for it too; the others make up for it.
    c.run_s(20);
    assert!((c.total_w() - 1500).abs() <= 60, "{} W", c.total_w());
    faults.clear(0, Fault::Refuse);
    c.run_s(60);
    assert!(c.upper().control().decision().batteries[2].capability.discharge_w > 0, "it is back");
    assert!((c.total_w() - 1500).abs() <= 60, "{} W", c.total_w());
}

#[test]
fn one_whose_fuse_binds_does_less_and_the_others_do_the_rest() {
    // Its fuse wants 1665 W out of the battery on L1, and everything is to be charged.
    let loads = [([5000, 100, 100], "fuse_a = 16"), ([200, 300, 100], ""), ([300, 900, 600], "")];
    let mut c = Cluster::new(&loads, "grid_target_w = 14000");
    c.run_s(180);
    let l1 = lock(&c.lowers[0]).site().grid_w()[0];
    let w = c.batteries_w(0);
    assert!(l1 <= 3680, "its fuse comes first: {l1} W on L1");
    assert!((c.total_w() - 14_000).abs() <= 60, "{} W, X does {w} W, {:?}", c.total_w(), setpoints(&c));
    assert!(!alarms(&c).iter().any(|a| matches!(a, Alarm::SignWrong(_) | Alarm::PhaseWrong(..))), "{:?}", alarms(&c));
}

#[test]
fn one_that_does_less_than_it_says_is_told_what_it_does() {
    // It may not export, which it does not announce: what it allows are its batteries.
    let loads = [([300, 200, 100], "fuse_a = 25\nexport_limit_w = 0"), ([2000, 3000, 1000], ""), ([300, 900, 600], "")];
    let mut c = Cluster::new(&loads, "grid_target_w = 0");
    c.run_s(60);
    let mut missing_w = Vec::new();
    for _ in 0..60 {
        c.run_s(5);
        missing_w.push(c.total_w());
        assert!(c.grid_w(0) >= -100, "{} W", c.grid_w(0));
        assert!(c.batteries_w(1) > 6000, "the others do the rest: {:?}", setpoints(&c));
    }
    // It is told 200 W more than it does, and now and then is asked whether it does more again.
    missing_w.sort_unstable();
    assert!(missing_w[30].abs() <= 250 && missing_w[59] <= 800, "{missing_w:?}");
    assert!(alarms(&c).contains(&Alarm::NotFollowed(0)), "{:?}", alarms(&c));
}

#[test]
fn a_restart_of_the_upper_one_is_not_felt() {
    let mut c = Cluster::new(&LOADS, "grid_target_w = 1500");
    c.run_s(120);
    let before = [0, 1, 2].map(|k| c.batteries_w(k));
    c.upper = None;
    c.run_s(3);
    c.start_upper();
    for _ in 0..600 {
        c.step();
        for (k, before) in before.iter().enumerate() {
            let now = c.batteries_w(k);
            assert!((now - before).abs() <= 150, "{k}: {before} W became {now} W");
            assert!(c.asked_w(k).is_some(), "{k} was let go");
        }
    }
    assert!((c.total_w() - 1500).abs() <= 60, "{} W", c.total_w());
}
