//! The real program commissions simulated batteries over real sockets: its table, its exit code, its socket, and that it releases.
#![allow(missing_docs)]

#[path = "common/process.rs"]
mod process;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use process::{Folder, PROGRAM, config, live};
use sax_controller::plant::battery::Control;
use sax_controller::plant::serve::LiveSite;

fn start(folder: &Folder, text: &str, arguments: &[&str]) -> Child {
    std::fs::write(folder.file("controller.toml"), text).unwrap();
    // As careful as some root is.
    Command::new("sh")
        .args(["-c", "umask 077; exec \"$0\" \"$@\"", PROGRAM, "commission"])
        .args(arguments)
        .arg("--config")
        .arg(folder.file("controller.toml"))
        .arg("--devices")
        .arg(folder.file("devices"))
        .arg("--state")
        .arg(folder.file("."))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn said(child: &mut Child) -> (String, String) {
    let (mut out, mut err) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    (out, err)
}

fn assert_released(live: &LiveSite) {
    live.with(|site| {
        for k in 0..site.batteries() {
            let control = site.battery(k).unwrap().control(site.now_ms());
            assert!(matches!(control, Control::OwnMeter | Control::Commanded { power_w: 0, .. }), "battery {k}: {control:?}");
        }
    });
}

#[test]
fn a_wrong_phase_is_found_and_everything_is_released() {
    let (folder, live) = (Folder::new("commission"), live([600, 900, 700]));
    // The file has B on L3 and C on L2.
    let text = config(&folder, &live, 1000).replace("phase = \"L2\"", "phase = \"?\"").replace("phase = \"L3\"", "phase = \"L2\"");
    let text = text.replace("phase = \"?\"", "phase = \"L3\"");
    let mut child = start(&folder, &text, &["--yes"]);
    while !folder.file("s").exists() {
        std::thread::sleep(Duration::from_millis(20));
        assert!(child.try_wait().unwrap().is_none(), "{:?}", said(&mut child));
    }
    // Nothing else starts beside it.
    let mut second = start(&folder, &text, &["--yes"]);
    assert_eq!(second.wait().unwrap().code(), Some(1));
    assert!(said(&mut second).1.contains("Another sax-controller is running"));
    let (out, err) = said(&mut child);
    println!("{out}{err}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(out.contains("[[battery]] name = \"B\": phase = \"L2\"  # says \"L3\""), "{out}");
    assert!(out.contains("B and C are exchanged"), "{out}");
    let row = out.lines().find(|l| l.starts_with("A  ")).unwrap();
    assert!(row.split_whitespace().take(4).eq(["A", "yes", "right", "L1"]) && row.ends_with("fits"), "{row}");
    assert!(out.contains("All batteries are released."), "{out}");
    assert!(out.contains("learned.json."), "{out}");
    let mode = std::fs::metadata(folder.file("learned.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "the service is another user");
    assert!(!folder.file("s").exists(), "the socket was left behind");
    assert_released(&live);
}

/// Strategy "limits" with a wrong encoding: everything is found by setpoints, and released in the right encoding.
#[test]
fn with_strategy_limits_everything_is_released() {
    let (folder, live) = (Folder::new("commission-limits"), live([600, 900, 700]));
    let text = config(&folder, &live, 1000).replace("strategy = \"self-consumption\"", "strategy = \"limits\"");
    let text = text.replace("fuse_a = 25", "fuse_a = 24.5").replace("role = ", "setpoint_encoding = \"offset\"\nrole = ");
    let mut child = start(&folder, &text, &["--yes"]);
    let (out, err) = said(&mut child);
    println!("{out}{err}");
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(out.contains("24.5 A per phase") && out.contains("setpoint_encoding = \"int16\""), "{out}");
    assert!(out.contains("All batteries are released."), "{out}");
    assert_released(&live);
}

#[test]
fn with_control_limits_nothing_is_moved_and_everything_is_released() {
    let (folder, live) = (Folder::new("commission-only-limits"), live([600, 900, 700]));
    let text = config(&folder, &live, 1000).replace("strategy = \"self-consumption\"", "strategy = \"observe\"");
    let text = text.replace("role = ", "control = \"limits\"\nrole = ");
    let mut child = start(&folder, &text, &["--yes"]);
    let (out, err) = said(&mut child);
    println!("{out}{err}");
    assert_eq!(child.wait().unwrap().code(), Some(0), "{out}{err}");
    assert!(out.contains("commissioning does") && out.contains("not everything could be tested"), "{out}");
    assert_released(&live);
}

#[test]
fn a_signal_in_the_middle_releases() {
    let (folder, live) = (Folder::new("commission-stop"), live([600, 900, 700]));
    let mut child = start(&folder, &config(&folder, &live, 1000), &["--yes", "--power", "300"]);
    let begun = Instant::now();
    // B and C are told 0 W while their loads stay, and A moves.
    while live.with(|site| site.writes(0)) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(40) && child.try_wait().unwrap().is_none(), "{:?}", said(&mut child));
        std::thread::sleep(Duration::from_millis(50));
    }
    let stopped = Instant::now();
    assert!(Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap().success());
    let (out, err) = said(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(stopped.elapsed() < Duration::from_secs(4), "{:?}", stopped.elapsed());
    assert!(out.contains("Stopping: a signal came") && out.contains("All batteries are released."), "{out}");
    assert!(err.contains("The commissioning was stopped: a signal came."), "{err}");
    assert_released(&live);
}

#[test]
fn without_a_terminal_it_asks_for_yes() {
    let (folder, live) = (Folder::new("commission-ask"), live([600, 900, 700]));
    let mut child = start(&folder, &config(&folder, &live, 1000), &[]);
    let (_, err) = said(&mut child);
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(err.contains("--yes begins without asking"), "{err}");
    assert_eq!(live.with(|site| (0..3).map(|k| site.writes(k)).sum::<u64>()), 0);
    let mut wrong = start(&folder, &config(&folder, &live, 1000), &["--power", "900"]);
    assert_eq!(wrong.wait().unwrap().code(), Some(2));
}

/// At a real terminal: it asks, any key ends it, and the terminal is as before. (`script` of util-linux makes the terminal.)
#[test]
fn at_a_terminal_it_asks_and_any_key_ends_it() {
    let (folder, live) = (Folder::new("commission-key"), live([600, 900, 700]));
    std::fs::write(folder.file("controller.toml"), config(&folder, &live, 1000)).unwrap();
    let at = |name: &str| folder.file(name).display().to_string();
    let command = format!("{PROGRAM} commission -c {} --devices {} --state {}; stty -a", at("controller.toml"), at("devices"), at("."));
    let mut child =
        Command::new("script").args(["-qec", &command, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut keys, mut out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = String::new();
    let mut wait_for = |what: &str| {
        let mut bytes = [0; 1000];
        while !said.contains(what) {
            let n = out.read(&mut bytes).unwrap_or(0);
            assert!(n > 0, "{what:?} was never said: {said}");
            said.push_str(&String::from_utf8_lossy(&bytes[..n]));
        }
    };
    wait_for("Begin? (y/N)");
    keys.write_all(b"y\n").unwrap();
    wait_for("Any key ends it at once.");
    keys.write_all(b"q").unwrap();
    wait_for("stopped: a key was pressed");
    wait_for(" icanon");
    child.wait().unwrap();
    assert!(said.contains("All batteries are released."), "{said}");
    assert_released(&live);
}
