//! A simulated house with three SAX batteries under the real controller, in virtual time.
#![allow(dead_code, missing_docs)]

use sax_controller::config::{self, Config};
use sax_controller::device::library::Library;
use sax_controller::plant::battery_params::{BatteryParams, SaxParams};
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::Simulation;
use sax_controller::units::{Phase, Time};

/// A configuration for three batteries; `poll_ms` for meter and batteries, `more` is put into `[control]`.
pub fn config_text(poll_ms: u32, more: &str, battery: &str) -> String {
    let mut text = format!(
        "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[control]\n{more}\n[meter]\ndevice = \"sax\"\npoll_ms = {poll_ms}\nphase_poll_ms = 30000\n"
    );
    for (k, name) in ["A", "B", "C"].iter().enumerate() {
        let role = if k == 0 { "master" } else { "slave" };
        text += &format!(
            "[[battery]]\nname = \"{name}\"\ndevice = \"sax\"\nrole = \"{role}\"\nphase = \"L{}\"\npoll_ms = {poll_ms}\n{battery}\nlink.tcp = {{ host = \"192.0.2.{k}\" }}\n",
            k + 1
        );
    }
    text
}

pub fn library() -> Library {
    Library::built_in().unwrap_or_else(|e| panic!("{e}"))
}

pub fn parse(text: &str) -> Config {
    config::parse(text, &library()).unwrap_or_else(|f| panic!("{}", f.render("test.toml")))
}

/// Batteries with 0.6 s dead time and 0.5 s lag behind a meter with this latency.
pub fn params(number: u64, house: House, latency_ms: u64) -> SiteParams {
    let mut params = SiteParams::new(number, house, &Phase::ALL);
    params.meter = MeterParams { period_ms: 10, phase_ms: 0, latency_ms, window_ms: 0, noise_w: 5, ..MeterParams::default() };
    for (battery, _) in &mut params.batteries {
        *battery = BatteryParams { dead_ms: 600, tau_ms: 500, ..battery.clone() };
    }
    params
}

pub fn with_sax(mut params: SiteParams, change: impl Fn(usize, &mut SaxParams)) -> SiteParams {
    for (k, (_, sax)) in params.batteries.iter_mut().enumerate() {
        change(k, sax);
    }
    params
}

pub fn simulation(poll_ms: u32, params: SiteParams) -> Simulation {
    Simulation::new(&parse(&config_text(poll_ms, "", "")), &library(), params)
}

pub fn run_s(simulation: &mut Simulation, seconds: u64) {
    let until = simulation.now().as_ms() + seconds * 1000;
    simulation.run_until(Time::from_ms(until));
}
