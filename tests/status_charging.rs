//! What the status says of load balancer, chargers and another controller's command: the document over a life of the simulated devices.
#![allow(missing_docs)]

#[path = "common/charging.rs"]
mod charging;
#[path = "common/cluster.rs"]
mod cluster;
#[path = "common/house.rs"]
mod house;

use charging::{Batteries, Setting, simulation};
use cluster::{Cluster, lock};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::simulate::Simulation;
use serde_json::{Value, json};

fn status(sim: &Simulation) -> Value {
    serde_json::to_value(sim.control().document(sim.now())).expect("a document")
}

fn alarms(status: &Value) -> Vec<&str> {
    status["alarms"].as_array().into_iter().flatten().filter_map(|a| a["name"].as_str()).collect()
}

#[test]
fn a_charger_at_work_and_what_it_waits_for() {
    let mut sim = simulation(&Setting::new(Batteries::Absent, 1000), House::Fixed([300, 300, 300]));
    let before = status(&sim);
    assert_eq!(before["load_balancer"]["state_name"], "fallback");
    assert_eq!(
        (&before["load_balancer"]["largest_current_a"], &before["load_balancer"]["waits_for"]),
        (&Value::Null, &json!("a valid current"))
    );
    assert_eq!((&before["chargers"][0]["state"], &before["chargers"][0]["current_a"]), (&json!("no answer"), &json!([null, null, null])));
    let mut waited = Vec::new();
    for _ in 0..180 {
        house::run_s(&mut sim, 1);
        let balancer = &status(&sim)["load_balancer"];
        if let (Some(what), Some(_)) = (balancer["waits_for"].as_str(), balancer["wait_s"].as_u64()) {
            waited.push(what.to_owned());
        }
    }
    assert!(waited.iter().any(|what| what == "its wait before it raises the limit"), "{waited:?}");
    house::run_s(&mut sim, 60);
    let s = status(&sim);
    let (b, c) = (&s["load_balancer"], &s["chargers"][0]);
    assert_eq!((&b["state"], &b["state_name"], &b["limit_a"]), (&json!(0), &json!("normal"), &json!(16.0)), "{b}");
    assert_eq!((&b["override_a"], &b["charger_limit_a"]), (&json!(16.0), &json!(16.0)));
    assert!(b["largest_current_a"].as_f64().is_some_and(|a| (16.5..18.5).contains(&a)), "{b}");
    assert_eq!((&c["name"], &c["device"], &c["limit_a"]), (&json!("garage"), &json!("abb-terra-ac"), &json!(16.0)));
    assert_eq!(c["reason"], "may draw 16 A");
    assert!(c["current_a"][1].as_f64().is_some_and(|a| (15.0..16.5).contains(&a)) && c["power_w"].as_i64() > Some(9_000), "{c}");
    assert!(c["session_wh"].as_i64() > Some(0) && c["writes"].as_u64() > Some(3) && c["age_ms"].as_u64() <= Some(30_000), "{c}");
    assert!(c["last_write"].is_string() && c["last_write_age_ms"].is_u64() && c["notices"] == json!([]), "{c}");
    assert_eq!(alarms(&s), Vec::<&str>::new());
}

#[test]
fn why_a_charger_is_paused() {
    let mut sim = simulation(&Setting::new(Batteries::Absent, 1000), House::Fixed([300, 300, 300]));
    house::run_s(&mut sim, 240);
    sim.site().set_house(House::Fixed([5200, 300, 300]));
    house::run_s(&mut sim, 120);
    let c = status(&sim)["chargers"][0].clone();
    assert!(c["limit_a"] == 0.0 && c["reason"].as_str().is_some_and(|r| r.starts_with("paused: not enough current, ")), "{c}");
    sim.site().set_house(House::Fixed([300, 5600, 300]));
    house::run_s(&mut sim, 30);
    sim.site().set_house(House::Fixed([300, 300, 300]));
    house::run_s(&mut sim, 240);
    assert_eq!(status(&sim)["chargers"][0]["reason"], "may draw 16 A");
    // The meter stands still until the charger is paused, and then there is plenty of current at once.
    sim.site().freeze_meter(true);
    let mut reasons = Vec::new();
    for _ in 0..220 {
        house::run_s(&mut sim, 1);
        let c = status(&sim)["chargers"][0].clone();
        if c["limit_a"] == 0.0 {
            sim.site().freeze_meter(false);
        }
        reasons.push(c["reason"].as_str().unwrap_or_default().to_owned());
    }
    let pause = reasons.iter().find(|r| r.starts_with("paused: minimum pause, ")).unwrap_or_else(|| panic!("{reasons:?}"));
    let left: u64 = pause.split_whitespace().filter_map(|word| word.parse().ok()).next().expect("seconds");
    assert!((1..=60).contains(&left), "{pause}");
    assert!(reasons.last().is_some_and(|r| r.starts_with("may draw ")), "{reasons:?}");
}

#[test]
fn what_is_lost_is_an_alarm() {
    let mut sim = simulation(&Setting::new(Batteries::Absent, 1000), House::Fixed([300, 300, 300]));
    house::run_s(&mut sim, 60);
    let faults = sim.site().faults();
    let hosts = sim.site().hosts();
    (0..hosts).for_each(|host| faults.set(host, Fault::Silent));
    house::run_s(&mut sim, 60);
    assert_eq!(alarms(&status(&sim)), Vec::<&str>::new(), "three polls may be lost");
    house::run_s(&mut sim, 60);
    let s = status(&sim);
    assert_eq!(alarms(&s), ["charger garage: no answer"]);
    assert!(s["alarms"][0]["since_s"].as_u64() > Some(60), "{}", s["alarms"]);
    assert_eq!((&s["chargers"][0]["state"], &s["chargers"][0]["power_w"]), (&json!("no answer"), &Value::Null));
    (0..hosts).for_each(|host| faults.clear(host, Fault::Silent));
    house::run_s(&mut sim, 60);
    assert_eq!(alarms(&status(&sim)), Vec::<&str>::new());
}

#[test]
fn without_a_current_the_load_balancer_falls_back_and_says_so() {
    let mut sim = simulation(&Setting::new(Batteries::At(500), 1000), House::Fixed([300, 300, 300]));
    house::run_s(&mut sim, 60);
    let faults = sim.site().faults();
    faults.set(0, Fault::Refuse);
    house::run_s(&mut sim, 60);
    let s = status(&sim);
    assert!(alarms(&s).contains(&"load balancer: fallback, no valid current"), "{}", s["alarms"]);
    assert_eq!((&s["load_balancer"]["state"], &s["load_balancer"]["limit_a"]), (&json!(4), &json!(0.0)));
    assert_eq!(s["chargers"][0]["reason"], "paused: no valid current");
    let alarm = s["alarms"].as_array().into_iter().flatten().find(|a| a["name"] == "load balancer: fallback, no valid current");
    assert!(alarm.and_then(|a| a["since_s"].as_u64()).is_some_and(|since_s| (15..=45).contains(&since_s)), "{alarm:?}");
}

#[test]
fn what_is_not_configured_is_null() {
    let sim = house::simulation(1000, house::params(1, House::Fixed([0; 3]), 600));
    let s = status(&sim);
    assert_eq!((&s["load_balancer"], &s["chargers"], &s["site"]["remote"]), (&Value::Null, &json!([]), &Value::Null));
}

#[test]
fn another_controllers_command_and_its_end() {
    let mut c = Cluster::new(&[([900, 300, 300], ""), ([0; 3], ""), ([0; 3], "")], "grid_target_w = 500");
    let remote = |c: &Cluster| status(&lock(&c.lowers[0]))["site"]["remote"].clone();
    let nothing = json!({ "state": "none", "setpoint_w": null, "charge_limit_w": null, "discharge_limit_w": null,
        "heartbeat_age_s": null, "heartbeat_timeout_s": 60 });
    assert_eq!(remote(&c), nothing);
    c.run_s(60);
    let r = remote(&c);
    assert!(r["state"] == "active" && r["setpoint_w"].is_i64() && r["heartbeat_age_s"].as_u64() <= Some(10), "{r}");
    c.upper = None;
    c.run_s(70);
    assert_eq!((remote(&c)["state"].clone(), remote(&c)["setpoint_w"].clone()), (json!("dropped"), Value::Null));
}
