//! Which site is simulated: the built-in configuration, or one's own with simulated devices in the place of its own.

use super::Failure;
use super::simulate::Options;
use crate::config::{self, Config, Encoding, Phases, Strategy};
use crate::daemon::wiring::plan;
use crate::device::library::Library;
use crate::plant::battery_params::{Banks, BatteryParams, Encoding41, SaxParams, Wiring};
use crate::plant::house::House;
use crate::plant::meter::MeterParams;
use crate::plant::site::SiteParams;
use crate::simulated_devices::{chargers, devices, like_its_profile};

/// State of charge at the start in 0.1 % (control.md 5.3).
pub(super) const START_SOC_PM: u16 = 400;
/// The simulated meter has a new value this often.
pub(super) const METER_PERIOD_MS: u64 = 200;
/// What a battery consumes from its own store by day and night is left to [`BatteryParams`]; this is how fast it follows
/// (control.md 1.1: dead time 200 to 1000 ms typical, lag 100 to 500 ms).
pub(super) const DEAD_MS: u64 = 600;
pub(super) const TAU_MS: u64 = 500;

/// Which register banks the simulated batteries have (facts/sax.md 1.0).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Firmware {
    /// Units 64 and 40.
    Old,
    /// Units 64 and 100.
    New,
}

impl Firmware {
    pub(super) fn words(self) -> &'static str {
        match self {
            Firmware::Old => "units 64 and 40",
            Firmware::New => "units 64 and 100",
        }
    }
}

/// The built-in configuration: three batteries, and a wallbox where there is a car.
pub(super) fn built_in(poll_ms: u64, car: bool) -> String {
    let mut text = format!(
        "[site]\nname = \"Simulated\"\nstrategy = \"self-consumption\"\nfuse_a = 25\n\n\
         [meter]\ndevice = \"sax\"\npoll_ms = {poll_ms}\nphase_poll_ms = {poll_ms}\n"
    );
    for (k, name) in ["A", "B", "C"].iter().enumerate() {
        let role = if k == 0 { "master" } else { "slave" };
        let number = k + 1;
        text += &format!(
            "\n[[battery]]\nname = \"{name}\"\ndevice = \"sax\"\nrole = \"{role}\"\nphase = \"L{number}\"\n\
             link.tcp = {{ host = \"192.0.2.{number}\" }}\npoll_ms = {poll_ms}\n\
             capacity_wh = 7700\nmax_charge_w = 3500\nmax_discharge_w = 4600\n",
        );
    }
    if car {
        text += "\n[load_balancer]\ncharger_limit_a = 16.0\nalarm_limit_a = 24.0\nupper_limit_a = 22.0\nlower_limit_a = 19.0\n\n\
                 [[charger]]\nname = \"wallbox\"\ndevice = \"abb-terra-ac\"\nlink.tcp = { host = \"192.0.2.4\" }\nfallback_limit_a = 6\n";
    }
    text
}

/// A configuration, the text that it was read from, and the devices that it may name.
pub(super) struct Chosen {
    pub(super) text: String,
    pub(super) config: Config,
    pub(super) library: Library,
}

/// The configuration that the options name, or the built-in one.
pub(super) fn chosen(options: &Options) -> Result<Chosen, Failure> {
    let chosen = match &options.files {
        Some(files) => {
            let library = files.library()?;
            let config = files.config(&library)?;
            Chosen { text: files.text()?, config, library }
        }
        None => {
            let library = Library::built_in().map_err(Failure::failed)?;
            let text = built_in(options.poll_ms, options.car);
            let config = config::parse(&text, &library).map_err(|findings| Failure::failed(findings.render("(built in)")))?;
            Chosen { text, config, library }
        }
    };
    if chosen.config.meter.is_none() || chosen.config.batteries.is_empty() && chosen.config.load_balancer.is_none() {
        let why = "There is nothing to simulate: the configuration has no [meter], or neither a [[battery]] nor a [load_balancer].";
        return Err(Failure::failed(why));
    }
    Ok(chosen)
}

/// What a person should know about the simulation of this configuration.
pub(super) fn notes(config: &Config) -> Vec<String> {
    let mut notes = Vec::new();
    if config.site.strategy == Strategy::Observe {
        notes.push("strategy \"observe\": nothing is written; a simulated battery without a command follows a smart meter of its own, or rests where its kind has none".to_owned());
    }
    notes
}

/// The site behind a configuration: its batteries with their phases, capacities and ratings, and its other devices.
pub(super) fn site_params(
    config: &Config,
    library: &Library,
    number: u64,
    house: House,
    latency_ms: u64,
    firmware: Firmware,
) -> SiteParams {
    let meter = config.meter.as_ref().map_or("", |m| &m.device);
    // What a battery is named for is there, whatever the firmware.
    let banks = |device: &str| Banks {
        basic: true,
        extended: firmware == Firmware::Old || device == "sax-extended" || meter == "sax-extended",
        sunspec: firmware == Firmware::New || device == "sax-sunspec" || meter == "sax-sunspec",
    };
    let connected = config.batteries.len() > 1;
    let batteries = config.batteries.iter().map(|b| {
        let battery = BatteryParams {
            capacity_wh: b.capacity_wh.into(),
            soc_pm: START_SOC_PM,
            max_discharge_w: b.max_discharge_w.into(),
            max_charge_w: b.max_charge_w.into(),
            dead_ms: DEAD_MS,
            tau_ms: TAU_MS,
            connected,
            ..BatteryParams::on(match b.phase {
                Phases::One(phase) => Wiring::One(phase),
                Phases::All => Wiring::All,
            })
        };
        let battery = like_its_profile(battery, &b.device, library);
        let encoding_41 = if b.setpoint_encoding == Encoding::Offset { Encoding41::Offset } else { Encoding41::Plain };
        (battery, SaxParams { banks: banks(&b.device), encoding_41, ..SaxParams::default() })
    });
    let chargers = chargers(config, &house);
    let mut params = SiteParams::new(number, house, &[]);
    params.chargers = chargers;
    params.meter = MeterParams { period_ms: METER_PERIOD_MS, phase_ms: 0, latency_ms, window_ms: 0, noise_w: 5, ..MeterParams::default() };
    params.batteries = batteries.collect();
    params.devices = devices(config, &plan(config, library), library);
    params
}
