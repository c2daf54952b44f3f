//! Two batteries and a meter that answer by profiles of their own, on one serial bus or the meter beside it.
#![allow(dead_code, missing_docs)]

use std::path::PathBuf;

use sax_controller::config::{self, Config};
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::plant::battery_params::{BatteryParams, SaxParams};
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulated_devices::{devices, like_its_profile};
use sax_controller::units::Phase;

pub const BATTERY: &str = r#"
name = "test-battery"
title = "A battery for tests"
unit = 1
[probe]
address = 100
count = 1
[[block]]
function = 3
address = 100
count = 8
[[point]]
quantity = "state"
address = 100
type = "u16"
codes = [{ value = 0, name = "off", charge = false, discharge = false }, { value = 1, name = "standby" }, { value = 2, name = "charging" }, { value = 3, name = "discharging" }]
[[point]]
quantity = "soc_pct"
address = 101
type = "u16"
scale = 0.1
[[point]]
quantity = "power_w"
address = 102
type = "i32"
scale = -1
[[point]]
quantity = "capacity_wh"
address = 104
type = "u16"
scale_factor_at = 105
[setpoint]
address = 200
function = 6
refresh_ms = 10000
[write_budget]
spacing_ms = 200
burst = 5
refill_ms = 1000
"#;

pub const METER: &str = r#"
name = "test-meter"
title = "A meter for tests"
unit = 9
[probe]
address = 0
count = 2
[[block]]
function = 4
address = 0
count = 20
[[point]]
quantity = "grid_power_w"
address = 0
type = "f32"
[[point]]
quantity = "grid_power_l1_w"
address = 2
type = "f32"
[[point]]
quantity = "grid_power_l2_w"
address = 4
type = "f32"
[[point]]
quantity = "grid_power_l3_w"
address = 6
type = "f32"
[[point]]
quantity = "frequency_hz"
address = 8
type = "f32"
[[point]]
quantity = "grid_voltage_l1_v"
address = 10
type = "u16"
scale = 0.1
"#;

/// A folder with both profiles, which is removed at the end.
pub struct Profiles(pub PathBuf);

impl Profiles {
    pub fn new(name: &str) -> Profiles {
        let path = std::env::temp_dir().join(format!("sax-bus-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("test-battery.toml"), BATTERY).unwrap();
        std::fs::write(path.join("test-meter.toml"), METER).unwrap();
        Profiles(path)
    }

    pub fn library(&self) -> Library {
        Library::with_folder(&self.0).unwrap_or_else(|e| panic!("{e}"))
    }
}

impl Drop for Profiles {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Batteries A and B on L1 and L2 at units 1 and 2 of this port; the meter there as well, or over TCP.
pub fn text(port: &str, meter_on_bus: bool, poll_ms: u32) -> String {
    let rtu = format!("link.rtu = {{ port = \"{port}\", baud = 9600, timeout_ms = 200 }}");
    let meter = if meter_on_bus { rtu.clone() } else { "link.tcp = { host = \"192.0.2.9\" }".to_owned() };
    let mut text = format!(
        "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[meter]\ndevice = \"test-meter\"\npoll_ms = {poll_ms}\nphase_poll_ms = {poll_ms}\n{meter}\n"
    );
    for (k, name) in ["A", "B"].iter().enumerate() {
        text += &format!(
            "[[battery]]\nname = \"{name}\"\ndevice = \"test-battery\"\nunit = {}\nphase = \"L{}\"\n{rtu}\npoll_ms = {poll_ms}\n\
             capacity_wh = 10000\nmax_charge_w = 4600\nmax_discharge_w = 4600\n",
            k + 1,
            k + 1
        );
    }
    text
}

pub fn parse(text: &str, library: &Library) -> Config {
    config::parse(text, library).unwrap_or_else(|f| panic!("{}", f.render("test.toml")))
}

/// The site behind a configuration: batteries with 0.6 s dead time and 0.5 s lag behind a meter with this latency.
pub fn params(config: &Config, library: &Library, number: u64, house: House, latency_ms: u64) -> SiteParams {
    let mut params = SiteParams::new(number, house, &[]);
    params.meter = MeterParams { period_ms: 10, phase_ms: 0, latency_ms, window_ms: 0, noise_w: 5, ..MeterParams::default() };
    let battery = |k: usize| {
        let usual = BatteryParams { dead_ms: 600, tau_ms: 500, ..BatteryParams::on(Phase::ALL[k]) };
        (like_its_profile(usual, &config.batteries[k].device, library), SaxParams::default())
    };
    params.batteries = (0..config.batteries.len()).map(battery).collect();
    params.devices = devices(config, &plan(config, library), library);
    params
}
