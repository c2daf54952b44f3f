//! Batteries that balance by themselves, commanded for a scheduled while only: the real tasks against simulated SAX batteries.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;

use sax_controller::plant::battery::Control;
use sax_controller::plant::house::House;
use sax_controller::simulate::Simulation;

const SITE: &str = "[site]\nstrategy = \"limits\"\nfuse_a = 25\n[meter]\ndevice = \"sax\"\nbattery = \"A\"\npoll_ms = 1000\nphase_poll_ms = 5000\n\
[[battery]]\nname = \"A\"\ndevice = \"sax\"\nrole = \"master\"\nphase = \"L1\"\npoll_ms = 1000\nlink.tcp = { host = \"192.0.2.1\" }\n\
[[schedule]]\ntimezone = \"Europe/Berlin\"\nfrom = \"00:10\"\nto = \"00:20\"\naction = { charge_w = 2000 }\n\
[[schedule]]\ntimezone = \"Europe/Berlin\"\nfrom = \"00:40\"\nto = \"00:50\"\naction = { hold = true }\n";

fn control(sim: &Simulation) -> (bool, i64) {
    let site = sim.site();
    let now_ms = site.now_ms();
    let own = matches!(site.battery(0).map(|b| b.control(now_ms)), Some(Control::OwnMeter));
    (own, site.battery_w(0))
}

#[test]
fn it_is_commanded_for_the_window_and_then_balances_by_itself_again() {
    let mut params = house::params(1, House::Fixed([900, 300, 200]), 600);
    params.batteries.truncate(1);
    let mut sim = Simulation::new(&house::parse(SITE), &house::library(), params);
    house::run_s(&mut sim, 9 * 60);
    let (own, power) = control(&sim);
    assert!(own && power > 0, "by itself: {own}, {power} W");
    house::run_s(&mut sim, 5 * 60);
    let (own, power) = control(&sim);
    assert!(!own && (-2060..=-1940).contains(&power), "in the window: {own}, {power} W");
    // The setpoint is taken back at once, and the battery's own control goes on when its timeout has passed.
    house::run_s(&mut sim, 6 * 60 + 30);
    let (_, power) = control(&sim);
    assert!(power.abs() < 20, "after the window: {power} W");
    house::run_s(&mut sim, 8 * 60);
    let (own, power) = control(&sim);
    assert!(own && power > 0, "by itself again: {own}, {power} W");
    house::run_s(&mut sim, 15 * 60);
    let (own, power) = control(&sim);
    assert!(own && power.abs() < 20, "on hold by its limits: {own}, {power} W");
    sim.stop();
    let later_ms = sim.now().as_ms() + 60_000;
    sim.site().advance_to(later_ms);
    let (own, power) = control(&sim);
    assert!(own && power > 0, "handed back: {own}, {power} W");
}
