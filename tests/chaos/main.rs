//! Chaos: the real controller against simulated devices over real sockets and terminals, with every kind of fault, judged from outside.
//!
//! `make chaos RUNS=60 NUMBER=1`. Each run follows from its printed number (`--number N --runs 1` repeats it), has a controller, a process
//! with its devices, a folder and a range of loopback addresses of its own; many of them go on at the same time, because most of it is
//! waiting. What each kind of fault must show is in `kinds`; what is never allowed in `judge`. Exit code 1: something was found; logs and
//! traces of those runs are kept.
#![allow(missing_docs)]

mod daemon;
mod devices;
mod inject;
mod judge;
mod kinds;
mod layout;
mod machine;
mod plan;
mod report;
mod run;
mod site;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use plan::Means;
use report::Report;

const USAGE: &str = "usage: chaos [--runs N] [--number FIRST] [--parallel N] [--rounds N] [--longest SECONDS] [--seconds N] [--keep FOLDER] [--verbose] [--dry]";
/// Set in the process that has mounts of its own.
const NAMESPACE: &str = "CHAOS_NAMESPACE";

struct Options {
    runs: u64,
    number: u64,
    parallel: u16,
    rounds: u32,
    longest_s: u64,
    keep: PathBuf,
    verbose: bool,
    /// After so long no further run begins.
    seconds: u64,
    /// Only says what would happen.
    dry: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [first, number, slot, folder] = arguments.as_slice() {
        if first == "site" {
            return site_process(number, slot, Path::new(folder));
        }
    }
    let options = match options(&arguments) {
        Ok(options) => options,
        Err(why) => {
            eprintln!("{why}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout == b"0\n");
    if is_root && std::env::var_os(NAMESPACE).is_none() {
        // Full disks are mounted where nobody else sees them, and are gone with the last of our processes.
        let mut own = Command::new("unshare");
        own.args(["--mount", "--propagation", "private", "--"]);
        own.args(std::env::current_exe().iter()).args(&arguments).env(NAMESPACE, "1");
        eprintln!("chaos: no mounts of its own: {}", own.exec());
    }
    all(&options)
}

fn site_process(number: &str, slot: &str, folder: &Path) -> ExitCode {
    let run = || site::run(number.parse().map_err(|_| "number")?, slot.parse().map_err(|_| "slot")?, folder);
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("site: {why}");
            ExitCode::FAILURE
        }
    }
}

fn options(arguments: &[String]) -> Result<Options, String> {
    let keep = std::env::temp_dir().join("sax-chaos");
    let mut o =
        Options { runs: 24, number: 1, parallel: 24, rounds: 4, longest_s: 90, keep, verbose: false, seconds: u64::MAX, dry: false };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--dry" {
            o.dry = true;
            continue;
        }
        if word == "--verbose" {
            o.verbose = true;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value."))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word}: {value} is no number."));
        match word.as_str() {
            "--runs" => o.runs = number()?,
            "--number" => o.number = number()?,
            "--parallel" => o.parallel = u16::try_from(number()?.clamp(1, 200)).unwrap_or(1),
            "--rounds" => o.rounds = u32::try_from(number()?).unwrap_or(1),
            "--longest" => o.longest_s = number()?.clamp(2, 600),
            "--seconds" => o.seconds = number()?,
            "--keep" => o.keep = value.into(),
            _ => return Err(format!("{word} is not known.")),
        }
    }
    Ok(o)
}

fn all(o: &Options) -> ExitCode {
    let disk = std::env::var_os(NAMESPACE).is_some();
    let means = Means { clock: daemon::faketime().is_some(), disk, longest_ms: o.longest_s * 1000, rounds: o.rounds };
    println!(
        "chaos: numbers {} to {}, {} at a time, {} rounds, faults of up to {} s",
        o.number,
        o.number + o.runs - 1,
        o.parallel,
        o.rounds,
        o.longest_s
    );
    if !means.clock {
        println!("chaos: left out: the wall clock is not set, libfaketime is not installed");
    }
    if !means.disk {
        println!("chaos: left out: no disk is filled, only root can mount one");
    }
    if o.dry {
        for number in o.number..o.number + o.runs {
            let layout = layout::Layout::of(number);
            for (n, round) in plan::plan(&layout, means).iter().enumerate() {
                let faults: Vec<_> = round
                    .injections
                    .iter()
                    .map(|i| format!("{} from {} s", judge::Case::new(i.clone()).name(), i.from_ms / 1000))
                    .collect();
                println!("number {number}, {:?}, round {n}: {}", layout.variant, faults.join(", "));
            }
        }
        return ExitCode::SUCCESS;
    }
    machine::watch();
    let (begun, next) = (Instant::now(), AtomicU64::new(0));
    let report = Mutex::new(Report::default());
    let base = std::env::temp_dir().join(format!("sx{}", std::process::id()));
    std::thread::scope(|scope| {
        for slot in 0..u64::from(o.parallel).min(o.runs) {
            let (next, report, base) = (&next, &report, &base);
            let work = move || {
                // Not all at once.
                std::thread::sleep(Duration::from_millis(slot * 150));
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= o.runs || begun.elapsed().as_secs() >= o.seconds {
                        return;
                    }
                    one(o, o.number + n, slot as u16, base, means, report);
                }
            };
            scope.spawn(work);
        }
    });
    let _ = std::fs::remove_dir_all(&base);
    let report = report.into_inner().unwrap_or_default();
    println!("{}", report.text(begun.elapsed()));
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(o: &Options, number: u64, slot: u16, base: &Path, means: Means, report: &Mutex<Report>) {
    let folder = base.join(number.to_string());
    let disk = folder.join("disk");
    let made = std::fs::create_dir_all(&disk).and_then(|()| std::fs::create_dir_all(folder.join("devices")));
    if let Err(error) = made {
        println!("number {number}: {}: {error}", folder.display());
        return;
    }
    let mount = |arguments: &[&str]| {
        let done = Command::new(arguments[0]).args(&arguments[1..]).arg(&disk).stderr(Stdio::null()).status();
        done.is_ok_and(|s| s.success())
    };
    let mounted = means.disk && mount(&["mount", "-t", "tmpfs", "-o", "size=256k", "chaos"]);
    let outcome = run::run(number, slot, &folder, Means { disk: mounted, ..means });
    if !outcome.violations.is_empty() || outcome.void.is_some() || o.verbose {
        let kept = o.keep.join(number.to_string());
        let _ = std::fs::create_dir_all(&kept);
        let _ = std::fs::write(kept.join("trace"), outcome.trace.join("\n") + "\n");
        for name in ["controller.toml", "site.log", "disk/comm.log"] {
            let _ = std::fs::copy(folder.join(name), kept.join(name.trim_start_matches("disk/")));
        }
    }
    if mounted {
        mount(&["umount", "-l"]);
    }
    let _ = std::fs::remove_dir_all(&folder);
    if let Ok(mut report) = report.lock() {
        report.take(number, &outcome, &o.keep);
    }
}
