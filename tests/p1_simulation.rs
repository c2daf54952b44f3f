//! Batteries behind a P1 meter, and behind a meter that gives only a total: the real tasks in virtual time.

#[path = "common/house.rs"]
mod house;

use sax_controller::config;
use sax_controller::control::ladder::Mode;
use sax_controller::device::library::Library;
use sax_controller::plant::house::House;
use sax_controller::simulate::Simulation;

/// Three batteries; these lines for `[site]` and `[meter]`.
fn sim(site: &str, meter: &str, latency_ms: u64) -> Simulation {
    let text = house::config_text(1_000, "", "");
    let own = "device = \"sax\"\npoll_ms = 1000\nphase_poll_ms = 30000\n";
    assert!(text.contains(own));
    let text = text.replacen(own, meter, 1).replacen("fuse_a", &format!("{site}\nfuse_a"), 1);
    let mut params = house::params(7, House::Fixed([1_500, 800, 400]), latency_ms);
    // As the meters do that send once a second.
    params.meter.period_ms = 1_000;
    Simulation::new(&house::parse(&text), &house::library(), params)
}

const P1: &str = "device = \"p1\"\nlink.serial = { port = \"/dev/ttyUSB0\" }\n";

/// Whether the controller runs, and how far each phase is from 0 W.
fn state(sim: &Simulation) -> (bool, [i64; 3]) {
    let grid_w = sim.site().grid_w();
    (matches!(sim.control().decision().mode, Mode::Run { .. }), grid_w)
}

#[test]
fn each_battery_works_for_its_phase_behind_a_p1_meter() {
    let mut sim = sim("", P1, 600);
    house::run_s(&mut sim, 40);
    let (runs, grid_w) = state(&sim);
    assert!(runs && grid_w.iter().all(|w| w.abs() < 40), "{grid_w:?}");
    sim.site().set_extra_load_w([0, 1_200, -600]);
    house::run_s(&mut sim, 15);
    let (runs, grid_w) = state(&sim);
    assert!(runs && grid_w.iter().all(|w| w.abs() < 40), "{grid_w:?}");
    let document = sim.control().document(sim.now());
    assert_eq!((document.meter.device.as_str(), document.site.reason.as_str()), ("p1", ""));
    assert_eq!(document.errors.get("link sim:p1").map(|errors| (errors.crc, errors.timeout, errors.requests > 50)), Some((0, 0, true)));
}

#[test]
fn a_meter_that_sends_every_ten_seconds_is_enough_where_the_configuration_says_so() {
    let mut slow = sim("", &format!("{P1}poll_ms = 10000\n"), 600);
    house::run_s(&mut slow, 120);
    for _ in 0..60 {
        house::run_s(&mut slow, 1);
        let (runs, grid_w) = state(&slow);
        assert!(runs && grid_w.iter().all(|w| w.abs() < 60), "{grid_w:?}");
    }
    slow.site().set_extra_load_w([900, 0, 0]);
    house::run_s(&mut slow, 30);
    let (runs, grid_w) = state(&slow);
    assert!(runs && grid_w.iter().all(|w| w.abs() < 60), "{grid_w:?}");
}

#[test]
fn a_meter_that_stops_measuring_is_found_and_the_batteries_rest() {
    let mut sim = sim("", P1, 600);
    house::run_s(&mut sim, 40);
    assert!(state(&sim).0);
    // It sends on, the same telegram again and again, its time included.
    sim.site().freeze_meter(true);
    house::run_s(&mut sim, 60);
    let alarms: Vec<_> = sim.control().document(sim.now()).alarms.into_iter().map(|alarm| alarm.name).collect();
    assert!(alarms.iter().any(|name| name.contains("frozen")), "{alarms:?}");
    let powers: Vec<_> = (0..3).map(|k| sim.site().battery_w(k)).collect();
    assert!(powers.iter().all(|w| w.abs() < 20), "{powers:?}");
    sim.site().freeze_meter(false);
    house::run_s(&mut sim, 40);
    let (runs, grid_w) = state(&sim);
    assert!(runs && grid_w.iter().all(|w| w.abs() < 40), "{grid_w:?}");
}

#[test]
fn a_total_alone_is_enough_where_the_phases_are_netted() {
    let mut sim = sim("balance = \"sum\"", "device = \"sax-basic\"\nbattery = \"A\"\npoll_ms = 1000\n", 600);
    house::run_s(&mut sim, 60);
    let (runs, grid_w) = state(&sim);
    let total_w: i64 = grid_w.iter().sum();
    assert!(runs && total_w.abs() < 60, "{grid_w:?}");
    sim.site().set_extra_load_w([2_000, -300, 0]);
    house::run_s(&mut sim, 20);
    let (runs, grid_w) = state(&sim);
    let total_w: i64 = grid_w.iter().sum();
    assert!(runs && total_w.abs() < 60, "{grid_w:?}");
    // And the other way: export.
    sim.site().set_extra_load_w([-3_000, -3_000, 0]);
    house::run_s(&mut sim, 20);
    let (runs, grid_w) = state(&sim);
    let total_w: i64 = grid_w.iter().sum();
    assert!(runs && total_w.abs() < 60, "{grid_w:?}");
}

/// The SunSpec bank of a SAX battery without the powers per phase: a meter with a total, currents and voltages, as reference 3 has one.
fn without_phase_powers() -> Library {
    let text = include_str!("../etc/devices/sax-sunspec.toml").replacen("name = \"sax-sunspec\"", "name = \"total-and-currents\"", 1);
    let parts: Vec<_> = text.split("[[point]]").filter(|point| !point.contains("quantity = \"grid_power_l")).collect();
    assert_eq!(parts.len() + 3, text.split("[[point]]").count());
    let folder = std::env::temp_dir().join(format!("sax-total-and-currents-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("meter.toml"), parts.join("[[point]]")).unwrap();
    let library = Library::with_folder(&folder).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    library
}

#[test]
fn a_total_with_currents_is_apportioned_by_them() {
    let library = without_phase_powers();
    let text = house::config_text(1_000, "", "").replacen(
        "device = \"sax\"\npoll_ms = 1000\nphase_poll_ms = 30000\n",
        "device = \"total-and-currents\"\nbattery = \"A\"\npoll_ms = 1000\n",
        1,
    );
    let refused = config::parse(&text, &library).unwrap_err().to_string();
    assert!(refused.contains("this meter gives no power per phase") && refused.contains("balance = \"sum\""), "{refused}");
    let netted = config::parse(&text.replacen("fuse_a", "balance = \"sum\"\nfuse_a", 1), &library).unwrap();
    let mut sim = Simulation::new(&netted, &library, house::params(7, House::Fixed([1_500, 800, 400]), 600));
    house::run_s(&mut sim, 60);
    sim.site().set_extra_load_w([2_500, -1_500, 0]);
    house::run_s(&mut sim, 20);
    let (runs, grid_w) = state(&sim);
    assert!(runs && grid_w.iter().sum::<i64>().abs() < 60, "{grid_w:?}");
    // The directions of the phases are found from the currents.
    let seen_w = sim.control().core().phases().unwrap().map(|phase| phase.power_w);
    assert!((0..3).all(|f| (seen_w[f] - grid_w[f]).abs() < 120), "{seen_w:?} for {grid_w:?}");
    assert!(grid_w.iter().any(|w| *w < -500) && grid_w.iter().any(|w| *w > 500), "{grid_w:?}");
}
