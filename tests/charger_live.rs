//! Chargers through the real program: simulated over TCP and on a serial bus, in a day of virtual time, in a scan, and as text.
#![allow(missing_docs)]

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use sax_controller::device::library::Library;
use sax_controller::plant::charger::ChargerParams;
use sax_controller::plant::device::{DeviceParams, Serves};
use sax_controller::plant::house::House;
use sax_controller::plant::serve::{LiveSite, Reached};
use sax_controller::plant::site::SiteParams;

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sax-controller")).args(arguments).env_remove("RUST_LOG").output().unwrap()
}

#[track_caller]
fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}

struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("sax-charger-live-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        File(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

const BALANCED: &str = "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[load_balancer]\n\
    [[charger]]\nname = \"wallbox\"\ndevice = \"abb-terra-ac\"\nfallback_limit_a = 6\n";

/// The figures that the program prints about the charger: Wh, switches, writes, requests.
fn figures(text: &str) -> Vec<u64> {
    let line =
        text.lines().find(|l| l.trim_start().starts_with("charger wallbox:") && l.contains("writes")).unwrap_or_else(|| panic!("{text}"));
    line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn live(name: &str, links: &str) -> String {
    let file = File::new(name, &format!("{BALANCED}{links}"));
    let text = said(&program(&["simulate", "--live", "--site", file.path(), "--devices", "/nowhere", "--seconds", "14"]));
    assert!(text.contains("The chargers were left at their fallback limits."), "{text}");
    assert!(text.contains("charger wallbox (\"abb-terra-ac\")"), "{text}");
    // Limit, fallback limit, further limits as it rises, and the last one.
    let [_, _, writes, requests] = figures(&text)[..] else { panic!("{text}") };
    assert!(writes >= 4 && requests >= writes + 3, "{text}");
    assert!(text.contains("Control worked") && !text.contains("log | WARN charger"), "{text}");
    text
}

#[test]
fn over_tcp_beside_a_p1_meter() {
    live("tcp", "link.tcp = { host = \"192.0.2.9\" }\n[meter]\ndevice = \"p1\"\nlink.serial = { port = \"/dev/ttyNONE\" }\n");
}

#[test]
fn on_one_bus_with_the_meter() {
    let rtu = "link.rtu = { port = \"/dev/ttyNONE\", baud = 9600 }";
    live("bus", &format!("{rtu}\nunit = 2\n[meter]\ndevice = \"acuvim2-float\"\n{rtu}\npoll_ms = 500\nphase_poll_ms = 1000\n"));
}

#[test]
fn a_day_with_a_car() {
    let links = "link.tcp = { host = \"192.0.2.9\" }\n[meter]\ndevice = \"p1\"\nlink.serial = { port = \"/dev/ttyNONE\" }\n";
    let file = File::new("day", &format!("{BALANCED}{links}"));
    let text = said(&program(&["simulate", "--site", file.path(), "--devices", "/nowhere", "--hours", "22", "--loss-permille", "20"]));
    assert!(text.contains("a car that comes home at 17:51 and needs 17108 Wh"), "{text}");
    let [wh, switches, writes] = figures(&text)[..] else { panic!("{text}") };
    assert!((17_108..17_130).contains(&wh), "{text}");
    // A hob and an oven beside a car of 16 A and a fuse of 25 A, and no battery that could help.
    assert!((2..=80).contains(&switches) && writes < 22 * 3600 / 5, "{text}");
}

#[test]
fn a_scan_finds_one_and_only_reads() {
    let profile = Arc::new(Library::built_in().unwrap().profile("abb-terra-ac").unwrap().with_settings(&Vec::new()));
    let mut params = SiteParams::new(1, House::Fixed([0; 3]), &[]);
    params.chargers = vec![ChargerParams::default()];
    params.devices = vec![DeviceParams { host: 0, unit: 1, profile, serves: Serves::Charger(0), offset: 0, patience_ms: 0 }];
    let site = LiveSite::start_hosts(params, 1, &[Reached::Tcp(Ipv4Addr::LOCALHOST)]).unwrap();
    let port = site.ports()[0].to_string();
    let quick = ["--timeout-ms", "300", "--connect-ms", "1000", "--devices", "/nowhere", "--socket", "/nowhere"];
    let found = said(&program(&[&["scan", "127.0.0.1", "--port", &port, "--units", "1"][..], &quick].concat()));
    assert!(found.contains("abb-terra-ac"), "{found}");
    assert!(found.contains("# [[charger]]") && found.contains("# device = \"abb-terra-ac\""), "{found}");
    assert_eq!(site.with(|site| site.charger(0).unwrap().told().len()), 0);
}

#[test]
fn its_profile_as_text() {
    let list = said(&program(&["devices", "--devices", "/nowhere"]));
    assert!(list.lines().any(|l| l.trim_start().starts_with("abb-terra-ac ") && l.contains("charger")), "{list}");
    let text = said(&program(&["devices", "abb-terra-ac", "--devices", "/nowhere"]));
    for part in [
        "As a charger",
        "limit                  16640     16        u32   units of 0.001 A, at most most_a; again every 10",
        "communication timeout  16646     6         u16   60",
        "fallback limit         16649     6         u16   units of 1 A",
        "State, register 16397 from bit 8 on",
        "a car, if the cable says so",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
