//! What the benchmarks share: the real binary as a child, its configuration, its `/proc` entries, and verdicts.
#![allow(dead_code, missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use sax_controller::plant::battery_params::BatteryParams;
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::site::SiteParams;
use sax_controller::units::Phase;

/// Dead time and lag of the batteries, and the periods of the polls.
pub const DEAD_MS: u64 = 600;
pub const TAU_MS: u64 = 500;

/// Only `cargo bench` runs a benchmark; `cargo test --all-targets` passes it by.
pub fn is_wanted() -> bool {
    let wanted = std::env::args().any(|a| a == "--bench");
    if !wanted {
        println!("This is a benchmark: run it with cargo bench.");
    }
    wanted
}

/// The program under test: what `SAX_CONTROLLER` names, else what cargo built for this benchmark.
pub fn binary() -> PathBuf {
    std::env::var_os("SAX_CONTROLLER").map_or_else(|| env!("CARGO_BIN_EXE_sax-controller").into(), PathBuf::from)
}

/// Batteries with 0.6 s dead time and 0.5 s lag behind a meter that is this late.
pub fn params(number: u64, house: House, latency_ms: u64) -> SiteParams {
    let mut params = SiteParams::new(number, house, &Phase::ALL);
    params.meter = MeterParams { period_ms: 10, phase_ms: 0, latency_ms, window_ms: 0, noise_w: 5, ..MeterParams::default() };
    for (battery, _) in &mut params.batteries {
        *battery = BatteryParams { dead_ms: DEAD_MS, tau_ms: TAU_MS, ..battery.clone() };
    }
    params
}

/// Three spellings of 127.0.0.1: the configuration wants another host for every SAX battery, and the simulated site has only this one.
pub const ONE_HOST: [&str; 3] = ["127.0.0.1", "0x7f.0.0.1", "0x7f000001"];

/// What differs between configurations.
pub struct Settings<'a> {
    pub hosts: [&'a str; 3],
    pub device: &'a str,
    pub poll_ms: u32,
    pub phase_poll_ms: u32,
    pub control: &'a str,
    pub battery: &'a str,
}

impl Settings<'_> {
    /// A configuration for three batteries on these ports, one per phase, the meter behind the first.
    pub fn text(&self, ports: &[u16], socket: &Path) -> String {
        let Settings { hosts, device, poll_ms, phase_poll_ms, control, battery } = self;
        let mut text = format!(
            "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[control]\n{control}\n[status]\nsocket = \"{}\"\n\
             [meter]\ndevice = \"sax\"\nbattery = \"A\"\npoll_ms = {poll_ms}\nphase_poll_ms = {phase_poll_ms}\n",
            socket.display()
        );
        for (k, (name, port)) in ["A", "B", "C"].iter().zip(ports).enumerate() {
            let role = if k == 0 { "master" } else { "slave" };
            let (phase, host) = (k + 1, hosts[k]);
            text += &format!(
                "[[battery]]\nname = \"{name}\"\ndevice = \"{device}\"\nrole = \"{role}\"\nphase = \"L{phase}\"\n\
                 poll_ms = {poll_ms}\n{battery}\nlink.tcp = {{ host = \"{host}\", port = {port} }}\n"
            );
        }
        text
    }
}

/// A running controller; killed when dropped. Its folder is kept only if `SAX_BENCH_KEEP` is set.
pub struct Controller {
    child: Child,
    folder: PathBuf,
}

impl Controller {
    /// Starts it with this configuration.
    pub fn start(name: &str, settings: &Settings, ports: &[u16]) -> Controller {
        Controller::start_with(name, |socket| settings.text(ports, socket))
    }

    /// Starts it with the configuration that `text` makes for a status socket.
    pub fn start_with(name: &str, text: impl FnOnce(&Path) -> String) -> Controller {
        let folder = std::env::temp_dir().join(format!("sax-bench-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for the run");
        let config = folder.join("controller.toml");
        fs::write(&config, text(&folder.join("status.sock"))).expect("the configuration");
        let log = fs::File::create(folder.join("log")).expect("the log");
        let mut command = Command::new(binary());
        command.arg("run").arg("--config").arg(&config).arg("--devices").arg("etc/devices");
        command.arg("--state").arg(config.parent().expect("a folder"));
        command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
        if let Some(level) = std::env::var_os("SAX_BENCH_LOG") {
            command.env("RUST_LOG", level);
        }
        command.stdout(log.try_clone().expect("the log")).stderr(log);
        let child = command.spawn().expect("the controller starts");
        Controller { child, folder }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// False when it has ended by itself.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// A figure in kB from `/proc/PID/status`.
    pub fn status_kb(&self, key: &str) -> u64 {
        let text = self.proc("status");
        let line = text.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
        line.and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(u64::MAX)
    }

    /// Processor time of all threads, in ms: from `schedstat`, which counts ns where `stat` counts ticks of 10 ms.
    pub fn cpu_ms(&self) -> f64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let exact: Vec<f64> =
            tasks.filter_map(|t| fs::read_to_string(t.path().join("schedstat")).ok()?.split_whitespace().next()?.parse().ok()).collect();
        if exact.iter().sum::<f64>() > 0.0 {
            return exact.iter().sum::<f64>() / 1e6;
        }
        let text = self.proc("stat");
        let after_name = text.rsplit_once(')').map_or("", |t| t.1);
        // utime and stime are fields 14 and 15; the first after the name is field 3.
        after_name.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok()).sum::<f64>() * 10.0
    }

    /// The kernel's part of it, in ticks of 10 ms.
    pub fn kernel_ms(&self) -> f64 {
        let text = self.proc("stat");
        let after_name = text.rsplit_once(')').map_or("", |t| t.1);
        after_name.split_whitespace().nth(12).and_then(|n| n.parse().ok()).map_or(f64::NAN, |ticks: f64| ticks * 10.0)
    }

    pub fn file_descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).map_or(usize::MAX, Iterator::count)
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap_or_default()
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::env::var_os("SAX_BENCH_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.folder);
        } else {
            println!("kept: {}", self.folder.display());
        }
    }
}

/// Collects verdicts and ends the process.
#[derive(Default)]
pub struct Verdict {
    missed: Vec<String>,
}

impl Verdict {
    /// Notes whether a limit was kept.
    pub fn demand(&mut self, kept: bool, what: impl Into<String>) {
        if !kept {
            self.missed.push(what.into());
        }
    }

    /// Prints the verdict; the exit code is 1 when a limit was missed.
    pub fn end(self) -> std::process::ExitCode {
        for missed in &self.missed {
            println!("MISSED: {missed}");
        }
        println!("{}", if self.missed.is_empty() { "PASS" } else { "FAIL" });
        std::process::ExitCode::from(u8::from(!self.missed.is_empty()))
    }
}

/// The value that this share in permille of the values does not exceed; the values are sorted by this.
pub fn quantile(values: &mut [f64], permille: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (values.len() * permille).div_ceil(1000).max(1) - 1;
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { f64::NAN } else { (values[(n - 1) / 2] + values[n / 2]) / 2.0 }
}

/// The load of the machine, for judging whether others disturbed a run.
pub fn machine_load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}
