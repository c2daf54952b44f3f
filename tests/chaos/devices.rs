//! The process with the simulated devices of a run, as the run sees it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{guarded, signal};

/// What was the case at a moment.
#[derive(Clone, Debug)]
pub struct Sample {
    pub at: Instant,
    /// In ms of the site.
    pub t: u64,
    /// How late the process was.
    pub late_ms: u64,
    pub grid_w: [i64; 3],
    pub power_w: Vec<i64>,
    pub soc_pm: Vec<u16>,
    /// The newest command of each battery, and when it came, in ms of the site.
    pub told: Vec<Option<(i64, u64)>>,
    /// The limit in force at the charger, and the one that it was told last, in mA.
    pub charger_ma: Option<[i64; 2]>,
}

pub struct Devices {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<(Instant, Value)>,
    /// Host and port of each key.
    pub at: BTreeMap<String, (String, u16)>,
    pub stopped: bool,
    pub went_on: Instant,
}

impl Devices {
    pub fn start(number: u64, slot: u16, folder: &Path) -> Result<Devices, String> {
        let own = std::env::current_exe().map_err(|e| e.to_string())?;
        let mut command = guarded(&own.display().to_string());
        command.args(["site", &number.to_string(), &slot.to_string()]).arg(folder);
        let log = std::fs::File::create(folder.join("site.log")).map_err(|e| e.to_string())?;
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.map_err(|e| e.to_string())?;
        let (sender, lines) = mpsc::channel();
        let output = child.stdout.take().ok_or("no output")?;
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let value = serde_json::from_str(&line).unwrap_or(Value::Null);
                if sender.send((Instant::now(), value)).is_err() {
                    return;
                }
            }
        });
        let input = child.stdin.take();
        let mut devices = Devices { child, input, lines, at: BTreeMap::new(), stopped: false, went_on: Instant::now() };
        let (_, first) = devices.lines.recv_timeout(Duration::from_secs(20)).map_err(|_| "the devices do not start".to_owned())?;
        for host in first["hosts"].as_array().into_iter().flatten() {
            let (Some(key), Some(ip), Some(port)) = (host[0].as_str(), host[1].as_str(), host[2].as_u64()) else { continue };
            devices.at.insert(key.to_owned(), (ip.to_owned(), port as u16));
        }
        Ok(devices)
    }

    /// Tells it to do something.
    pub fn tell(&mut self, command: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{command}").and_then(|()| input.flush());
        }
    }

    /// The next sample, if one comes within this time.
    pub fn next(&self, within: Duration) -> Option<Sample> {
        let (at, value) = self.lines.recv_timeout(within).ok()?;
        let int = |v: &Value| v.as_i64().unwrap_or(i64::MAX);
        let list = |name: &str| value[name].as_array().cloned().unwrap_or_default();
        let told = |v: &Value| Some((v[0].as_i64()?, v[1].as_u64()?));
        let grid = list("grid");
        Some(Sample {
            at,
            t: value["t"].as_u64()?,
            late_ms: value["late"].as_u64()?,
            grid_w: std::array::from_fn(|k| grid.get(k).map_or(i64::MAX, int)),
            power_w: list("power").iter().map(int).collect(),
            soc_pm: list("soc").iter().map(|v| int(v) as u16).collect(),
            told: list("told").iter().map(told).collect(),
            charger_ma: value["charger"].as_array().map(|c| [int(&c[0]), int(&c[1])]),
        })
    }

    pub fn stop(&mut self) {
        signal(self.child.id(), "STOP");
        self.stopped = true;
    }

    pub fn go_on(&mut self) {
        if self.stopped {
            signal(self.child.id(), "CONT");
            (self.stopped, self.went_on) = (false, Instant::now());
        }
    }

    pub fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
