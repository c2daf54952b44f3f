//! What `check` says about load balancer, chargers and server, and what the plan makes of them.

#[path = "common/process.rs"]
#[allow(unused_imports)]
mod process;

use std::process::{Command, Output};

use process::{Folder, PROGRAM};
use sax_controller::config::parse;
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;

const BALANCED: &str = include_str!("../etc/examples/load-balancer.toml");
const WHOLE: &str = include_str!("../etc/examples/wallbox-and-batteries.toml");
/// The port of the wallbox in both examples.
const BUS: &str = "/dev/serial/by-id/usb-FTDI_USB-RS485_Cable_AB123456-if00-port0";

fn check(name: &str, text: &str) -> Output {
    let folder = Folder::new(name);
    let path = folder.file("controller.toml");
    std::fs::write(&path, text).unwrap();
    Command::new(PROGRAM).arg("check").arg(&path).arg("--devices").arg(folder.file("devices")).output().unwrap()
}

/// The lines of the plan, without the mark of a comment.
#[track_caller]
fn said(name: &str, text: &str) -> Vec<String> {
    let out = check(name, text);
    let all = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{all}{}", String::from_utf8_lossy(&out.stderr));
    all.lines().filter_map(|line| line.strip_prefix("# ")).map(str::to_owned).collect()
}

/// These lines stand there, in this order and without others between them.
#[track_caller]
fn block(said: &[String], expected: &[&str]) {
    let from = said.iter().position(|line| line == expected[0]).unwrap_or_else(|| panic!("{:?} is not in {said:#?}", expected[0]));
    assert_eq!(said[from..from + expected.len()], *expected);
}

#[test]
fn load_balancer_charger_and_server_are_each_a_block_to_read() {
    let said = said("check-balancer", &BALANCED.replace("fallback_time_s = 30", "fallback_time_s = 30\nled = \"status\""));
    let strategy = "strategy: no battery: the targets and limits of [site] have no effect, and the load balancer alone relieves the phases";
    block(
        &said,
        &[
            strategy,
            "load balancer: a charger gets 0 to 16 A, by the largest current of L1 to L3, checked every second",
            "  alarm: above 24 A for 1 s: 12.5 A less",
            "  upper: above 22 A for 5 s: 1 A less",
            "  lower: 19 A or less for 1 s: 1 A more",
            "  fallback: without a valid current for 30 s: 0 A",
            "  the LED /sys/class/leds/status shows its state",
            &format!("charger wallbox: abb-terra-ac at {BUS}, unit 1, asked every 30 s"),
            "  paused below 6 A, for 60 s at least; not paused in its first 60 s but for an alarm or the fallback",
            "  it falls to 0 A by itself when nobody asks it",
            "  larger limits are written to it as 15.65 A",
            "server: our own registers at unit 10",
            "  over TCP at 0.0.0.0:1502, read only, for 127.0.0.0/8, 192.168.1.0/24",
            "  up to 8 connections; one that is silent for 300 s is closed",
            "threads: charger wallbox, meter, modbus-tcp (and a modbus-client per connection), control, watchdog, memory, status, main (signals)",
        ],
    );
    assert!(!said.iter().any(|line| line.starts_with("commands expire")), "there is no battery");
    let write = said.iter().find(|line| line.starts_with("write charger wallbox: ")).expect("what is written");
    assert!(write.contains("unit 1, register 16640 (limit) on changes and again after "), "{write}");
    let phase = self::said("check-one-phase", &BALANCED.replace("phases = 3", "phases = 1"));
    assert!(phase.iter().any(|line| line.starts_with("load balancer: a charger gets 0 to 16 A, by the current of L1, ")), "{phase:#?}");
}

#[test]
fn while_observing_no_charger_is_told() {
    let said = said("check-observed", &BALANCED.replace("\"self-consumption\"", "\"observe\""));
    assert!(said.contains(&"  while observing it is only computed, and no charger is told".to_owned()), "{said:#?}");
    assert!(!said.iter().any(|line| line.starts_with("write charger")), "{said:#?}");
}

#[test]
fn the_gateway_goes_over_the_bus_of_the_charger() {
    let said = said("check-gateway", &WHOLE.replace("units = [2]", "units = [2, 1]"));
    block(
        &said,
        &[
            "  on /dev/serial/by-id/usb-FTDI_USB-RS485_Cable_CD123456-if00-port0 (9600 baud, 8N1), read only",
            &format!("  gateway: requests to units 2, 1 are passed on to {BUS}"),
            "  unit 1 is charger wallbox, which we command ourselves: what others write there competes with that",
        ],
    );
    let link = format!("link {BUS}: 9600 baud, 8N1; a bus for charger wallbox and the gateway, answers within 1.0 s, busy for ");
    let line = said.iter().find(|line| line.starts_with(&link)).unwrap_or_else(|| panic!("{said:#?}"));
    assert!(line.ends_with(" % of the time, and for what the gateway passes on"), "{line}");
    let library = Library::built_in().unwrap();
    let config = parse(WHOLE, &library).unwrap();
    let plan = plan(&config, &library);
    let gateway = plan.server.as_ref().and_then(|server| server.gateway).expect("a link of the gateway");
    assert_eq!(plan.chargers[0].endpoint, gateway);
    assert_eq!(plan.endpoints[gateway].place.to_string(), BUS);
    // A link of its own is one more.
    let own = WHOLE.replace("gateway = { units = [2], link.rtu", "gateway = { units = [2], link.tcp = { host = \"10.0.0.9\" } } # ");
    let more = sax_controller::daemon::wiring::plan(&parse(&own, &library).unwrap(), &library);
    assert_eq!(more.endpoints.len(), plan.endpoints.len() + 1);
    assert_ne!(more.server.and_then(|server| server.gateway), Some(more.chargers[0].endpoint));
}

#[test]
fn a_charger_takes_its_share_of_a_bus() {
    let busy = |baud: u32, poll_ms: u32| {
        let text = BALANCED.replace("baud = 9600", &format!("baud = {baud}, timeout_ms = 5000, retry_count = 0"));
        said("check-busy", &text.replace("min_current_a", &format!("poll_ms = {poll_ms}\nmin_current_a")))
            .iter()
            .find_map(|line| line.split_once("busy for ")?.1.split_once(' ')?.0.parse::<f64>().ok())
            .expect("a figure")
    };
    // A limit of 13 bytes and its echo of 8 once a second: 21 characters of 1.04 ms and twice 3.65 ms of silence, 2.9 %; polls on top.
    let rare = busy(9600, 30_000);
    assert!((2.9..4.0).contains(&rare), "{rare}");
    assert!(busy(9600, 1_000) > rare + 5.0);
    let out = check("check-slow", &BALANCED.replace("baud = 9600", "baud = 300"));
    assert_eq!(out.status.code(), Some(78));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains(&format!("On the serial bus {BUS} the longest request and its reply take ")), "{said}");
}

#[test]
fn what_the_profile_says_counts() {
    let library = Library::built_in().unwrap();
    let found = |from: &str, to: &str| {
        assert!(BALANCED.contains(from), "{from}");
        parse(&BALANCED.replacen(from, to, 1), &library).map(|config| config.chargers.len()).map_err(|findings| findings.to_string())
    };
    let step = found("fallback_limit_a = 0 ", "fallback_limit_a = 6.5 ").unwrap_err();
    assert!(step.contains("6.5 A cannot be told to \"abb-terra-ac\", only multiples of 1 A."), "{step}");
    let rare = found("min_current_a", "poll_ms = 60000\nmin_current_a").unwrap_err();
    assert!(
        rare.contains("60000 is too rare: being asked is what tells this charger that somebody is there. It must be at most 30000."),
        "{rare}"
    );
    assert_eq!(found("min_current_a", "settings = { most_a = 32 }\nmin_current_a"), Ok(1));
    // The meter gives currents but no power of the phases, and that will do; one that gives the total alone will not.
    let p1 = BALANCED.lines().find(|line| line.starts_with("link.serial")).unwrap();
    let own =
        |device: &str| BALANCED.replacen("device = \"p1\"", &format!("device = \"{device}\""), 1).replacen(p1, "link.tcp.host = \"m\"", 1);
    parse(&own("acuvim2"), &library).unwrap();
    parse(&own("acuvim2-float"), &library).unwrap();
}
