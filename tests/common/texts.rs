//! Small configurations, and what is said about them.
#![allow(dead_code, missing_docs)]

use sax_controller::config::*;

/// A few devices, whatever ships.
pub struct Fake;

impl Devices for Fake {
    fn find(&self, name: &str) -> Option<DeviceFacts> {
        let encodings = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        let sax = DeviceFacts {
            battery: true,
            meter: true,
            via_battery: true,
            tcp_port: Some(502),
            setpoint: true,
            limits: true,
            hybrid: true,
            encodings: encodings(&["int16", "offset"]),
            phases: true,
            ..DeviceFacts::default()
        };
        match name {
            "sax" | "sax-basic" => Some(sax),
            "sax-sunspec" => Some(DeviceFacts { limits: false, hybrid: false, encodings: Vec::new(), ..sax }),
            "own-meter" => Some(DeviceFacts { meter: true, tcp_port: Some(1502), phases: true, ..DeviceFacts::default() }),
            "current-meter" => Some(DeviceFacts { meter: true, currents: true, ..DeviceFacts::default() }),
            "total-meter" => Some(DeviceFacts { meter: true, ..DeviceFacts::default() }),
            "p1" => Some(DeviceFacts { meter: true, telegrams: true, ..DeviceFacts::default() }),
            "own-battery" => Some(DeviceFacts { battery: true, setpoint: true, ..DeviceFacts::default() }),
            "own-limited" => Some(DeviceFacts { battery: true, limits: true, encodings: encodings(&["offset"]), ..DeviceFacts::default() }),
            "sbau" => Some(DeviceFacts { bms: true, tcp_port: Some(2404), longest_poll_ms: Some(5000), ..DeviceFacts::default() }),
            "abb-terra-ac" => Some(DeviceFacts {
                charger: true,
                tcp_port: Some(502),
                units: vec![1],
                fallback_step_ma: Some(1_000),
                longest_poll_ms: Some(30_000),
                ..DeviceFacts::default()
            }),
            "own-charger" => Some(DeviceFacts { charger: true, longest_poll_ms: Some(5_000), ..DeviceFacts::default() }),
            "own-bms" => Some(DeviceFacts { bms: true, ..DeviceFacts::default() }),
            _ => None,
        }
    }

    fn names(&self) -> Vec<String> {
        ["sax", "sax-basic", "sax-sunspec", "own-meter", "own-battery", "own-limited"].map(String::from).into()
    }
}

/// The smallest file that controls something: line 1 to 12.
pub const SMALL: &str = r#"[site]
strategy = "self-consumption"
fuse_a = 25.0
[control]
heartbeat_timeout_s = 60
[meter]
device = "sax"
[[battery]]
name = "A"
device = "sax"
phase = "L1"
link.tcp = { host = "192.168.1.11" }
"#;

/// Another battery, for appending: line 13 to 17.
pub const SECOND: &str = r#"[[battery]]
name = "B"
device = "sax"
phase = "L2"
link.tcp = { host = "192.168.1.12" }
"#;

/// What a file without a fault means.
#[track_caller]
pub fn good(text: &str) -> Config {
    match parse(text, &Fake) {
        Ok(config) => config,
        Err(findings) => panic!("{}", findings.render("test.toml")),
    }
}

/// What is said about one that is wrong, a line each.
#[track_caller]
pub fn findings(text: &str) -> Vec<String> {
    match parse(text, &Fake) {
        Ok(config) => panic!("nothing is wrong: {config:?}"),
        Err(findings) => findings.to_string().lines().map(str::to_owned).collect(),
    }
}
