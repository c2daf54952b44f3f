//! A meter of its own that answers and no longer measures, although its counters go on.
#![allow(missing_docs)]

use sax_controller::config;
use sax_controller::control::alarm::Alarm;
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::plant::battery_params::{BatteryParams, SaxParams, Wiring};
use sax_controller::plant::house::House;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::Simulation;
use sax_controller::simulated_devices::{devices, like_its_profile};
use sax_controller::units::Time;

/// 30 kW of loads and 20 kW of battery: the counter of the import moves by its 0.1 kWh twice a minute.
fn simulation() -> Simulation {
    let library = Library::built_in().unwrap();
    let text = "[site]\nstrategy = \"self-consumption\"\nbalance = \"sum\"\nfuse_a = 63\n\
         [meter]\ndevice = \"acuvim2-float\"\npoll_ms = 1000\nphase_poll_ms = 1000\nlink.tcp = { host = \"192.0.2.1\" }\n\
         [[battery]]\nname = \"A\"\ndevice = \"powerpack\"\nphase = \"all\"\npoll_ms = 1000\nlink.tcp = { host = \"192.0.2.2\" }\n\
         capacity_wh = 100000\nmax_charge_w = 20000\nmax_discharge_w = 20000\n";
    let config = config::parse(text, &library).unwrap_or_else(|f| panic!("{}", f.render("site")));
    let mut params = SiteParams::new(7, House::Fixed([10_000; 3]), &[]);
    let battery = BatteryParams {
        capacity_wh: 100_000,
        max_charge_w: 20_000,
        max_discharge_w: 20_000,
        soc_pm: 600,
        ..BatteryParams::on(Wiring::All)
    };
    params.batteries = vec![(like_its_profile(battery, "powerpack", &library), SaxParams::default())];
    params.devices = devices(&config, &plan(&config, &library), &library);
    Simulation::new(&config, &library, params)
}

#[test]
fn counters_that_go_on_do_not_make_a_frozen_meter_alive() {
    let mut sim = simulation();
    sim.run_until(Time::from_ms(120_000));
    let holds = |sim: &Simulation| sim.control().core().alarms().holds(Alarm::MeterFrozen);
    assert!(!holds(&sim) && sim.site().battery_w(0) > 19_000, "{} W", sim.site().battery_w(0));
    sim.site().freeze_meter(true);
    sim.run_until(Time::from_ms(182_000));
    assert!(holds(&sim), "{:?}", sim.control().decision().mode);
    assert!(sim.site().battery_w(0).abs() <= 200, "{} W a minute after the meter froze", sim.site().battery_w(0));
    sim.site().freeze_meter(false);
    sim.run_until(Time::from_ms(260_000));
    assert!(!holds(&sim) && sim.site().battery_w(0) > 19_000, "{} W", sim.site().battery_w(0));
}
