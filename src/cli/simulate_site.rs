//! Which site is simulated: the built-in configuration, or one's own with its batteries made into simulated ones.
//!
//! Nothing of a configuration is connected to: hosts are replaced.

use std::net::SocketAddrV4;
use std::path::Path;

use crate::config::{Config, Encoding, Link, MeterSource, Phases, Strategy, Tcp};
use crate::device::library::Library;
use crate::plant::battery_params::{Banks, BatteryParams, Encoding41, SaxParams, Wiring};
use crate::plant::house::House;
use crate::plant::meter::MeterParams;
use crate::plant::site::SiteParams;

/// State of charge at the start in 0.1 % (control.md 5.3).
pub(super) const START_SOC_PM: u16 = 400;
/// The simulated meter has a new value this often.
pub(super) const METER_PERIOD_MS: u64 = 200;
/// What a battery consumes from its own store by day and night is left to [`BatteryParams`]; this is how fast it follows
/// (control.md 1.1: dead time 200 to 1000 ms typical, lag 100 to 500 ms).
const DEAD_MS: u64 = 600;
const TAU_MS: u64 = 500;

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

/// The built-in configuration; the batteries are at these addresses, and the status socket is there.
pub(super) fn built_in(poll_ms: u64, addresses: &[SocketAddrV4], socket: Option<&Path>) -> String {
    let mut text = format!(
        "[site]\nname = \"Simulated\"\nstrategy = \"self-consumption\"\nfuse_a = 25\n\n\
         [meter]\ndevice = \"sax\"\npoll_ms = {poll_ms}\nphase_poll_ms = {}\n",
        poll_ms.max(5000)
    );
    for (k, name) in ["A", "B", "C"].iter().enumerate() {
        let role = if k == 0 { "master" } else { "slave" };
        let link = match addresses.get(k) {
            Some(address) => format!("host = \"{}\", port = {}", address.ip(), address.port()),
            None => format!("host = \"192.0.2.{}\"", k + 1),
        };
        text += &format!(
            "\n[[battery]]\nname = \"{name}\"\ndevice = \"sax\"\nrole = \"{role}\"\nphase = \"L{}\"\nlink.tcp = {{ {link} }}\npoll_ms = {poll_ms}\n\
             capacity_wh = 7700\nmax_charge_w = 3500\nmax_discharge_w = 4600\n",
            k + 1
        );
    }
    if let Some(socket) = socket {
        // A path in Rust's notation is a string of TOML, as long as it prints.
        text += &format!("\n[status]\nsocket = {:?}\n", socket.display().to_string());
    }
    text
}

/// Makes the devices of a configuration into simulated ones; says what had to be changed.
pub(super) fn simulated(mut config: Config, library: &Library) -> (Config, Vec<String>) {
    let mut changed = Vec::new();
    let is_sax = |name: &str| name == "sax" || name.starts_with("sax-");
    for (k, b) in config.batteries.iter_mut().enumerate() {
        b.link = Link::Tcp(Tcp {
            host: format!("simulated-{k}"),
            port: 502,
            timeout_ms: b.link.timeout_ms(),
            retry_count: b.link.retry_count(),
        });
        if !is_sax(&b.device) {
            changed.push(format!("battery {}: a SAX battery with its figures stands in for \"{}\"", b.name, b.device));
            (b.device, b.unit) = ("sax".to_owned(), None);
        }
    }
    if let Some(meter) = config.meter.as_mut().filter(|m| matches!(m.source, MeterSource::Own { .. }) || !is_sax(&m.device)) {
        changed.push(format!("meter: the smart meter of the first battery stands in for \"{}\"", meter.device));
        (meter.device, meter.source) = ("sax".to_owned(), MeterSource::Battery { index: 0 });
    }
    if config.site.strategy == Strategy::Observe {
        changed.push("strategy \"observe\": nothing is written, the simulated batteries follow their own smart meter".to_owned());
    }
    debug_assert!(library.find("sax").is_some());
    (config, changed)
}

/// The site behind a configuration: its batteries with their phases, capacities and ratings.
pub(super) fn site_params(config: &Config, number: u64, house: House, latency_ms: u64, firmware: Firmware) -> SiteParams {
    let banks = Banks { basic: true, extended: firmware == Firmware::Old, sunspec: firmware == Firmware::New };
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
        let encoding_41 = if b.setpoint_encoding == Encoding::Offset { Encoding41::Offset } else { Encoding41::Plain };
        (battery, SaxParams { banks, encoding_41, ..SaxParams::default() })
    });
    let mut params = SiteParams::new(number, house, &[]);
    params.meter = MeterParams { period_ms: METER_PERIOD_MS, phase_ms: 0, latency_ms, window_ms: 0, noise_w: 5, ..MeterParams::default() };
    params.batteries = batteries.collect();
    params
}
