//! The real program on a serial bus: two devices on one port, faults in the status and in the communication log, the adapter unplugged and
//! back.

#[path = "common/process.rs"]
mod process;
#[path = "common/pty_bus.rs"]
mod pty_bus;

use std::fs;
use std::path::Path;

use process::{Folder, Running};
use pty_bus::Act::Send;
use pty_bus::PtyBus;
use sax_controller::modbus::pdu::Request;
use serde_json::Value;

/// Two batteries on one bus, polled as fast as may be; nothing is written.
fn config(folder: &Folder, bus: &Path) -> String {
    let socket = folder.file("s").display().to_string();
    let log = folder.file("comm.log").display().to_string();
    let battery = |name: &str, unit: u8, role: &str| {
        format!(
            "[[battery]]\nname = \"{name}\"\ndevice = \"sax-basic\"\nrole = \"{role}\"\nphase = \"L1\"\nunit = {unit}\npoll_ms = 1000\n\
             link.rtu = {{ port = \"{}\", baud = 115200, timeout_ms = 300, retry_count = 0 }}\n",
            bus.display()
        )
    };
    format!(
        "[site]\nstrategy = \"observe\"\nfuse_a = 25\n[status]\nsocket = \"{socket}\"\n[log]\ncomm_log = \"{log}\"\n{}{}",
        battery("A", 64, "master"),
        battery("B", 1, "slave")
    )
}

fn count(status: &Value, bus: &Path, kind: &str) -> u64 {
    status["errors"][format!("link {}", bus.display())][kind].as_u64().unwrap_or_default()
}

#[test]
fn two_batteries_on_one_bus_and_what_goes_wrong_there() {
    let folder = Folder::new("rtu-daemon");
    // The port comes later than the program, which would inherit the other end of it.
    let path = folder.file("bus");
    let mut program = Running::start(&folder, &config(&folder, &path));
    program.until("no port", |status| count(status, &path, "io") > 0);
    let bus = PtyBus::start_at(&path);
    let status = program.until("a few requests", |_| bus.asked().len() >= 6);
    for kind in ["timeout", "crc", "short", "wrong_unit", "exception", "invalid"] {
        assert_eq!(status["errors"][format!("link {}", path.display())][kind], 0, "{kind}: {status:#}");
    }
    let asked = bus.asked();
    assert!(asked.iter().any(|(unit, _)| *unit == 64) && asked.iter().any(|(unit, _)| *unit == 1), "{asked:?}");
    let Some((_, Request::ReadHoldingRegisters { address, .. })) = asked.first().cloned() else { panic!("{asked:?}") };

    // Every second answer is broken in its own way.
    let mut round = 0;
    bus.odd(address, move |good| {
        round += 1;
        match round % 4 {
            0 => Vec::new(),
            1 => vec![Send(good[..3].to_vec())],
            2 => vec![Send([&good[..good.len() - 1], &[!good[good.len() - 1]]].concat())],
            _ => vec![Send(sax_controller::modbus::rtu::encode(7, &good[1..good.len() - 2]))],
        }
    });
    let all = ["timeout", "short", "crc", "wrong_unit"];
    program.until("every kind of fault", |status| all.iter().all(|kind| count(status, &path, kind) > 0));
    let log = fs::read_to_string(folder.file("comm.log")).unwrap();
    for words in ["Timeout", "Short frame (3 bytes)", "CRC Error", "Wrong unit 7"] {
        let line = log.lines().find(|line| line.ends_with(words)).unwrap_or_else(|| panic!("{words}: {log}"));
        let parts: Vec<_> = line.split(' ').collect();
        assert!(parts[0].len() == 24 && parts[0].ends_with('Z') && parts[1] == path.to_str().unwrap(), "{line}");
        assert!(parts[2].starts_with("unit=") && parts[3] == "fc=3" && parts[4].starts_with(&format!("reg={address}")), "{line}");
    }

    let before = count(&program.status().unwrap(), &path, "io");
    bus.unplug();
    program.until("the port being gone", |status| count(status, &path, "io") > before);
    let bus = PtyBus::start_at(&path);
    program.until("the other adapter", |_| bus.asked().len() > 3);
}
