//! Faults begun and ended.

use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::devices::Devices;
use crate::judge;
use crate::kinds::Kind;
use crate::plan::Injection;
use crate::run::Run;

/// How the status calls the link to a thing; part of it.
pub fn link(devices: &Devices, folder: &Path, injection: &Injection) -> String {
    let Some(thing) = &injection.thing else { return String::new() };
    if thing.is_serial {
        return folder.join(thing.key).display().to_string();
    }
    devices.at.get(thing.key).map_or_else(String::new, |(ip, port)| format!("{ip}:{port}"))
}

/// Begins the fault with this number.
pub fn begin(run: &mut Run, k: usize) {
    let injection = run.cases[k].injection.clone();
    let link = link(&run.devices, &run.folder, &injection);
    let t = run.newest.as_ref().map_or(0, |n| n.t + n.at.elapsed().as_millis() as u64);
    run.cases[k].errors_before = judge::errors(&run.status, &link);
    run.cases[k].began = Some((Instant::now(), t));
    run.note(format!("begin {} figure {} at {t}", run.cases[k].name(), injection.figure));
    let key = injection.thing.as_ref().map_or("", |t| t.key);
    if let Some((name, ..)) = injection.kind.duty().fault {
        run.devices.tell(&format!("fault {key} {name} {}", injection.figure));
        return;
    }
    match injection.kind {
        Kind::Reboot => match injection.thing.as_ref().and_then(|t| t.battery) {
            Some(battery) => run.devices.tell(&format!("reboot {battery} {}", injection.for_ms)),
            None => run.devices.tell(&format!("reboot-charger {}", injection.for_ms)),
        },
        Kind::ClockForth => set_clock(run, "+3600"),
        Kind::ClockBack => set_clock(run, "-3600"),
        Kind::DevicesStopped => run.devices.stop(),
        Kind::Stopped => run.daemon.stop(),
        Kind::Killed => run.daemon.kill(),
        Kind::FullDisk => fill(&run.folder.join("disk")),
        _ => {}
    }
}

/// Ends the fault with this number.
pub fn end(run: &mut Run, k: usize) {
    let injection = run.cases[k].injection.clone();
    run.note(format!("end {}", run.cases[k].name()));
    run.cases[k].ended = Some(Instant::now());
    let key = injection.thing.as_ref().map_or("", |t| t.key);
    if let Some((name, ..)) = injection.kind.duty().fault {
        run.devices.tell(&format!("clear {key} {name} {}", injection.figure));
        return;
    }
    match injection.kind {
        Kind::ClockForth | Kind::ClockBack => set_clock(run, "+0"),
        Kind::DevicesStopped => run.devices.go_on(),
        Kind::Stopped => run.daemon.go_on(),
        Kind::FullDisk => drop(std::fs::remove_file(run.folder.join("disk/filled"))),
        _ => {}
    }
}

/// libfaketime reads the file again every second.
fn set_clock(run: &Run, offset: &str) {
    let _ = std::fs::write(run.folder.join("clock"), format!("{offset}\n"));
}

/// Writes until nothing more fits.
fn fill(disk: &Path) {
    if let Ok(mut file) = std::fs::File::create(disk.join("filled")) {
        for size in [65_536, 4096, 512] {
            // The disk is 256 kB large.
            for _ in 0..200 {
                if file.write_all(&vec![0; size]).is_err() {
                    break;
                }
            }
        }
    }
}
