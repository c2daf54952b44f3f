//! A serial bus that cannot carry what is asked of it is refused before anything runs, and `check` says how busy the others are.

#[path = "common/process.rs"]
#[allow(unused_imports)]
mod process;

use std::process::{Command, Output};

use process::{Folder, PROGRAM};

fn check(folder: &Folder, text: &str) -> Output {
    let path = folder.file("controller.toml");
    std::fs::write(&path, text).unwrap();
    Command::new(PROGRAM).arg("check").arg(&path).arg("--devices").arg(folder.file("devices")).output().unwrap()
}

/// Two SAX batteries behind one RTU bus, as far as the plan is concerned: any device with a profile will do.
fn site(baud: u32, poll_ms: u32, timeout_ms: u32) -> String {
    let rtu = format!("link.rtu = {{ port = \"/dev/bus\", baud = {baud}, parity = \"even\", timeout_ms = {timeout_ms}, retry_count = 0 }}");
    let battery = |name: &str, unit: u8| {
        format!("[[battery]]\nname = \"{name}\"\ndevice = \"sax-basic\"\nphase = \"L{unit}\"\nunit = {unit}\npoll_ms = {poll_ms}\n{rtu}\n")
    };
    let a = battery("A", 1).replace("[[battery]]", "[[battery]]\nrole = \"master\"");
    let head = "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[control]\nheartbeat_timeout_s = 60\n";
    format!("{head}[meter]\ndevice = \"sax\"\npoll_ms = {poll_ms}\nphase_poll_ms = {poll_ms}\n{a}{}", battery("B", 2))
}

#[test]
fn the_plan_says_how_busy_a_bus_is() {
    let folder = Folder::new("busy-fine");
    let out = check(&folder, &site(9600, 5000, 1000));
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{said}{}", String::from_utf8_lossy(&out.stderr));
    let line = said.lines().find(|line| line.starts_with("# link /dev/bus: ")).expect("a line about the bus");
    assert!(line.contains("9600 baud, 8E1; a bus for battery A and battery B and the meter, answers within 1.0 s, busy for "), "{line}");
    let busy: f64 = line.split("busy for ").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).expect("a number");
    assert!((2.0..20.0).contains(&busy), "{line}");
}

#[test]
fn a_bus_without_time_is_refused() {
    let folder = Folder::new("busy-much");
    let out = check(&folder, &site(300, 5000, 2000));
    assert_eq!(out.status.code(), Some(78));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("controller.toml: On the serial bus /dev/bus the longest request and its reply take "), "{said}");
    let out = check(&folder, &site(9600, 200, 2000));
    assert_eq!(out.status.code(), Some(78));
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(said.contains("The serial bus /dev/bus would be busy for ") && said.contains("it must not be more than 80 %"), "{said}");
    // The program that would run says the same.
    let run = Command::new(PROGRAM).args(["run", "--config"]).arg(folder.file("controller.toml")).output().unwrap();
    assert_eq!((run.status.code(), run.stderr == out.stderr), (Some(78), true));
}
