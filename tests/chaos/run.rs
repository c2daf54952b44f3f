//! One run: a site and a controller of their own, rounds of faults, a calm end.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::daemon::{Daemon, Size};
use crate::devices::{Devices, Sample};
use crate::inject;
use crate::judge::{self, Case, Life};
use crate::kinds::Kind;
use crate::layout::{CELLS_W, FUSE_W, Layout, MAX_DISCHARGE_W};
use crate::machine;
use crate::plan::{Means, Round, plan};
use crate::site::LOADS;

/// Invariant 4: after the last fault all is well within this time. The longest thing that may have to pass are 60 good samples of the meter
/// after a loss that came back often (control.md 2.6), at a poll per second, and a command not followed is tried again every 60 s.
const RECOVERY: Duration = Duration::from_secs(150);
/// So long everything must have been well.
const WELL: usize = 15;
/// Invariant 7.
const STOP: Duration = Duration::from_millis(3100);
/// A process that was late by more than this says nothing about the controller.
const LATE_MS: u64 = 1000;
/// A fault that lasts so long must be in the status, and one that lasts so long in the journal: three polls that time out after one another.
const SEEN: Duration = Duration::from_secs(8);
const NAMED: Duration = Duration::from_secs(25);
/// Lines about one fault: what comes and goes, each with its end.
const MOST_LINES: usize = 12;

/// What came of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    pub violations: Vec<String>,
    /// Why it says nothing.
    pub void: Option<String>,
    pub cases: Vec<Case>,
    /// Kinds of a round, and how long it took until all was well.
    pub recoveries: Vec<(Vec<Kind>, u64)>,
    pub trace: Vec<String>,
}

pub struct Run {
    pub layout: Layout,
    pub devices: Devices,
    pub daemon: Daemon,
    pub folder: PathBuf,
    begun: Instant,
    pub out: Outcome,
    pub cases: Vec<Case>,
    pub newest: Option<Sample>,
    pub status: Value,
    asked: Instant,
    unanswered: u32,
    well: usize,
    loads_w: [i64; 3],
    overload: bool,
    /// No further round.
    over: bool,
    /// How the process was when all was well for the first time, and which start it was.
    calm: Option<(u32, Size)>,
    started_t: (u32, u64),
    /// Episodes of each thing in the present life of the controller.
    episodes: BTreeMap<(u32, &'static str), u32>,
}

/// Does it all. The folder is there and empty.
pub fn run(number: u64, slot: u16, folder: &Path, means: Means) -> Outcome {
    let mut run = match Run::start(number, slot, folder) {
        Ok(run) => run,
        Err(why) => return Outcome { void: Some(why), ..Outcome::default() },
    };
    let begun_ms = machine::late_ms();
    run.note(format!("{:?}", run.layout));
    if run.until_well(Duration::from_secs(60)).is_none() {
        run.violation(format!("4: not in balance 60 s after the first start, {}", run.why()));
    }
    for (n, round) in plan(&run.layout.clone(), means).into_iter().enumerate() {
        if run.out.void.is_some() || run.over || run.out.violations.len() > 20 {
            break;
        }
        run.round(n, &round);
    }
    run.end();
    if machine::late_ms() > begun_ms.max(LATE_MS) {
        run.out.void.get_or_insert(format!("the machine was late by {} ms", machine::late_ms()));
    }
    let mut out = std::mem::take(&mut run.out);
    let lines = run.daemon.lines.lock().map(|l| l.clone()).unwrap_or_default();
    out.trace.extend(lines.iter().map(|l| format!("{:>9.3} log {}", l.at.duration_since(run.begun).as_secs_f64(), l.text)));
    out.trace.sort();
    out
}

impl Run {
    fn start(number: u64, slot: u16, folder: &Path) -> Result<Run, String> {
        let layout = Layout::of(number);
        let devices = Devices::start(number, slot, folder)?;
        let at = |key: &str| devices.at.get(key).cloned().unwrap_or_default();
        let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).map_err(|e| format!("{name}: {e}"));
        write("controller.toml", &layout.text(folder, &at))?;
        write("clock", "+0\n")?;
        let mut daemon = Daemon::new(folder, layout.clock, layout.watchdog);
        daemon.start();
        let now = Instant::now();
        Ok(Run {
            layout,
            devices,
            daemon,
            folder: folder.to_owned(),
            begun: now,
            out: Outcome::default(),
            cases: Vec::new(),
            newest: None,
            status: Value::Null,
            asked: now,
            unanswered: 0,
            well: 0,
            loads_w: LOADS,
            overload: false,
            over: false,
            calm: None,
            started_t: (0, 0),
            episodes: BTreeMap::new(),
        })
    }

    pub fn note(&mut self, text: String) {
        self.out.trace.push(format!("{:>9.3} {text}", self.begun.elapsed().as_secs_f64()));
    }

    pub fn violation(&mut self, text: String) {
        if self.out.violations.len() < 40 && !self.out.violations.contains(&text) {
            self.note(format!("VIOLATION {text}"));
            self.out.violations.push(text);
        }
    }

    fn set_loads(&mut self, loads_w: [i64; 3]) {
        self.loads_w = loads_w;
        self.well = 0;
        let extra: Vec<_> = loads_w.iter().zip(LOADS).map(|(w, base)| (w - base).to_string()).collect();
        self.note(format!("load {loads_w:?}"));
        self.devices.tell(&format!("load {}", extra.join(" ")));
    }

    /// Lets a moment pass: service manager, samples, status.
    pub fn tick(&mut self) {
        self.daemon.tend();
        for accident in std::mem::take(&mut self.daemon.accidents) {
            self.violation(format!("7: {accident}"));
        }
        if let Some(sample) = self.devices.next(Duration::from_millis(100)) {
            self.take(sample);
        } else if !self.devices.stopped && self.devices.is_gone() {
            self.out.void.get_or_insert("the devices have ended".into());
        }
        if self.asked.elapsed() >= Duration::from_millis(500) && self.daemon.lives() {
            self.asked = Instant::now();
            self.ask();
        }
    }

    fn take(&mut self, sample: Sample) {
        let settled = self.devices.went_on.elapsed() > Duration::from_secs(2);
        if sample.late_ms > LATE_MS && settled && !self.devices.stopped {
            self.out.void.get_or_insert(format!("the devices were late by {} ms", sample.late_ms));
        }
        if self.started_t.0 != self.daemon.starts {
            let ago_ms = sample.at.saturating_duration_since(self.daemon.started).as_millis() as u64;
            self.started_t = (self.daemon.starts, sample.t.saturating_sub(ago_ms));
        }
        let life = Life { lives: self.daemon.lives(), since: self.daemon.since(), started_t: self.started_t.1 };
        // A meter that lies tells of fuses that are overloaded, and for a fuse the reserve may be used.
        let overload = self.overload || self.cases.iter().any(|c| c.began.is_some() && c.lies());
        for found in judge::sample(&self.layout, &sample, &mut self.cases, overload, life) {
            self.note(format!("{sample:?}"));
            self.violation(found);
        }
        self.well = if self.is_well(&sample) { self.well + 1 } else { 0 };
        if self.newest.as_ref().is_none_or(|n| sample.t / 1000 != n.t / 1000) {
            let told: Vec<_> = sample.told.iter().map(|t| t.map(|(w, _)| w)).collect();
            let mut state = self.status["site"]["state"].as_str().unwrap_or("-").to_owned();
            for battery in self.status["batteries"].as_array().into_iter().flatten() {
                state += &format!(" | {}", battery["reason"].as_str().unwrap_or("-"));
            }
            self.note(format!(
                "t {} grid {:?} power {:?} told {told:?} charger {:?} {state}",
                sample.t, sample.grid_w, sample.power_w, sample.charger_ma
            ));
        }
        self.newest = Some(sample);
    }

    fn ask(&mut self) {
        let Some(status) = self.daemon.status() else {
            self.unanswered += 1;
            if self.unanswered > 3 && self.daemon.lives() && self.daemon.since().elapsed() > Duration::from_secs(8) {
                self.violation("6: the status does not answer".into());
            }
            return;
        };
        self.unanswered = 0;
        self.status = status;
        let poll_ms = self.layout.poll_ms.max(1000);
        for case in &mut self.cases {
            let lately = case.ended.is_none_or(|at| at.elapsed() < Duration::from_secs(3));
            if case.began.is_some() && lately && !case.seen {
                let link = inject::link(&self.devices, &self.folder, &case.injection);
                case.seen = judge::shows(&self.status, case, &link, poll_ms);
            }
            let long = case.began.is_some_and(|(at, _)| at.max(self.daemon.since()).elapsed() > Duration::from_secs(60));
            if case.is_active() && case.injection.kind == Kind::DevicesStopped && long && self.status["site"]["state"] == "run" {
                self.out.violations.push(format!("2: {}: state run more than 60 s after the loss", case.name()));
            }
        }
    }

    /// Every phase is where it can be, the controller runs and has no alarm.
    fn is_well(&self, sample: &Sample) -> bool {
        let runs = self.status["site"]["state"] == "run" && self.status["alarms"].as_array().is_some_and(Vec::is_empty);
        let near = |grid: i64, expected: i64, within: i64| (grid - expected).abs() <= within;
        let balanced = if self.layout.per_phase() {
            (0..3).all(|k| {
                let (load, soc) = (self.loads_w[k], sample.soc_pm.get(k));
                let Some(soc_pm) = soc else { return true };
                let (charge, discharge) = self.layout.allowed(*soc_pm);
                // A battery at the edge of its reserve is let go only some percent behind it.
                let may_rest = self.layout.soc_pm[k] != 400;
                near(sample.grid_w[k], load - load.clamp(-charge, discharge), 130) || may_rest && near(sample.grid_w[k], load, 130)
            })
        } else {
            let load = self.loads_w.iter().sum::<i64>();
            near(sample.grid_w.iter().sum(), load - load.clamp(-CELLS_W, CELLS_W), 250)
        };
        runs && balanced && self.daemon.lives()
    }

    /// Waits until all is well for three seconds; how long that took.
    fn until_well(&mut self, within: Duration) -> Option<Duration> {
        let begun = Instant::now();
        self.well = 0;
        while begun.elapsed() < within && self.out.void.is_none() {
            self.tick();
            if self.well >= WELL {
                return Some(begun.elapsed());
            }
        }
        None
    }

    fn why(&self) -> String {
        let alarms: Vec<_> = self.status["alarms"].as_array().into_iter().flatten().filter_map(|a| a["name"].as_str()).collect();
        let (grid, told) = self.newest.as_ref().map(|n| (n.grid_w, n.told.clone())).unwrap_or_default();
        format!(
            "state {} {}, alarms {alarms:?}, load {:?}, grid {grid:?}, told {told:?}",
            self.status["site"]["state"], self.status["site"]["reason"], self.loads_w
        )
    }

    fn round(&mut self, n: usize, round: &Round) {
        self.set_loads(round.loads_w);
        if self.until_well(Duration::from_secs(60)).is_none() {
            self.violation(format!("4: the load changed without a fault, and it is not in balance after 60 s, {}", self.why()));
        }
        self.check_size();
        if round.overload {
            self.overload(round.loads_w);
        }
        self.cases = round.injections.iter().cloned().map(Case::new).collect();
        let names: Vec<_> = self.cases.iter().map(Case::name).collect();
        self.note(format!("round {n}: {}", names.join(", ")));
        let begun = Instant::now();
        let end = round.injections.iter().map(|i| i.from_ms + i.for_ms).max().unwrap_or(0);
        let mut moved = round.moved_w;
        loop {
            let now_ms = begun.elapsed().as_millis() as u64;
            for k in 0..self.cases.len() {
                let i = self.cases[k].injection.clone();
                if self.cases[k].began.is_none() && now_ms >= i.from_ms {
                    inject::begin(self, k);
                } else if self.cases[k].is_active() && now_ms >= i.from_ms + i.for_ms {
                    inject::end(self, k);
                }
            }
            if now_ms > end / 2 {
                if let Some(loads_w) = moved.take() {
                    self.set_loads(loads_w);
                }
            }
            if self.cases.iter().all(|c| c.ended.is_some()) || self.out.void.is_some() {
                break;
            }
            self.tick();
        }
        self.recover(begun, n);
    }

    fn recover(&mut self, begun: Instant, n: usize) {
        let kinds: Vec<_> = self.cases.iter().map(|c| c.injection.kind).collect();
        let begun_well = Instant::now();
        let mut well = self.until_well(RECOVERY / 5).is_some();
        if !well && self.is_convicted() {
            // A sign or phase that was proven wrong is distrusted for an hour: nothing more can be seen in this run.
            self.note("a battery is distrusted for an hour".into());
            self.over = true;
            self.out.cases.append(&mut self.cases);
            return;
        }
        well = well || self.until_well(RECOVERY / 2).is_some();
        if !well && self.out.void.is_none() {
            // That a battery follows again is seen only when it is asked for something: no house stands still for so long.
            self.note("the house moves".into());
            for loads_w in [[2200; 3], [-2000; 3], self.loads_w] {
                self.set_loads(loads_w);
                well = self.until_well(RECOVERY / 4).is_some();
            }
        }
        match well.then(|| begun_well.elapsed()) {
            Some(time) => self.out.recoveries.push((kinds, time.as_millis() as u64)),
            None if self.out.void.is_none() => {
                let names: Vec<_> = self.cases.iter().map(Case::name).collect();
                self.violation(format!("4: round {n} ({}): not well after {} s, {}", names.join(", "), RECOVERY.as_secs(), self.why()));
            }
            None => {}
        }
        self.judge_words(begun);
        self.out.cases.append(&mut self.cases);
    }

    /// While the meter lied a battery was found to be on another phase, or to have the other sign.
    fn is_convicted(&self) -> bool {
        let proven = |a: &Value| a["name"].as_str().is_some_and(|n| n.contains("wrong sign") || n.contains("wrong phase"));
        self.cases.iter().any(Case::lies) && self.status["alarms"].as_array().is_some_and(|a| a.iter().any(proven))
    }

    /// Invariant 6.
    fn judge_words(&mut self, begun: Instant) {
        let lines = self.daemon.said_since(begun);
        let worth: Vec<_> = lines.iter().filter(|l| ["WARN", "ERROR", "<4>", "<3>"].iter().any(|level| l.contains(level))).collect();
        let mut found = Vec::new();
        // The controller itself was not there, or could not see it.
        let others = self.cases.iter().any(|c| matches!(c.injection.kind, Kind::Killed | Kind::Stopped | Kind::DevicesStopped));
        for case in &mut self.cases {
            let names: &[&str] = case
                .injection
                .thing
                .as_ref()
                .map_or(&["site: hold", "site: ramp", "site: fallback", "memory", "communication log"], |t| t.names);
            case.lines = worth.iter().filter(|l| names.iter().any(|n| l.contains(n))).count();
            let lasted = Duration::from_millis(case.injection.for_ms);
            let life = self.daemon.starts;
            let key = case.injection.thing.as_ref().map_or("site", |t| t.key);
            let duty = case.injection.kind.duty();
            let times = self.episodes.entry((life, key)).or_default();
            *times += 1;
            if duty.named && !case.lies() && lasted > NAMED && *times == 1 && case.lines == 0 && !others {
                found.push(format!("6: {}: the journal does not name it", case.name()));
            }
            let alone = case.injection.kind == Kind::DevicesStopped || !others;
            if duty.seen && !case.lies() && lasted > SEEN && !case.seen && alone {
                found.push(format!("6: {}: the status does not show it", case.name()));
            }
        }
        // All devices at once are as many faults, and what lies has several stories to tell.
        let faults = |c: &Case| if c.injection.kind == Kind::DevicesStopped || c.lies() { 3 } else { 1 };
        let most = MOST_LINES * self.cases.iter().map(faults).sum::<usize>();
        if worth.len() > most {
            found.push(format!("6: {} lines in the journal about {} faults", worth.len(), self.cases.len()));
        }
        found.into_iter().for_each(|f| self.violation(f));
    }

    /// Invariant 5: at the same calm state the process is as large as it was.
    fn check_size(&mut self) {
        let begun = Instant::now();
        let size = self.daemon.size();
        let Some((life, first)) = self.calm.filter(|(life, _)| *life == self.daemon.starts) else {
            self.calm = Some((self.daemon.starts, size));
            return;
        };
        let grew = |now: Size| now.threads > first.threads || now.descriptors > first.descriptors || now.kb > first.kb + 1500;
        let mut now = size;
        while grew(now) && begun.elapsed() < Duration::from_secs(10) && life == self.daemon.starts {
            self.tick();
            now = self.daemon.size();
        }
        if grew(now) {
            self.violation(format!("5: it grew: {first:?} became {now:?}"));
        }
    }

    /// More than the fuse carries, without a fault: the batteries take it off as far as they can, and pass no rating.
    fn overload(&mut self, back: [i64; 3]) {
        let loads = if self.layout.per_phase() { [7600, 6500, 1000] } else { [3000; 3] };
        self.overload = true;
        self.set_loads(loads);
        let begun = Instant::now();
        // In between the controller may take a battery back to find out whether it is on the phase that the file says.
        let mut most_w = 0;
        let mut last_kept = begun;
        while begun.elapsed() < Duration::from_secs(14) && self.out.void.is_none() {
            self.tick();
            let Some(newest) = &self.newest else { continue };
            most_w = newest.power_w.first().copied().unwrap_or(0).max(most_w);
            if newest.grid_w.iter().all(|w| *w <= FUSE_W) {
                last_kept = Instant::now();
            }
        }
        // One that works on all phases is taken back as a whole.
        let least = if self.layout.per_phase() { MAX_DISCHARGE_W / 2 } else { 0 };
        if last_kept.elapsed() > Duration::from_secs(6) || most_w < least {
            let over_ms = last_kept.elapsed().as_millis();
            let newest = self.newest.as_ref().map(|n| (n.grid_w, n.power_w.clone())).unwrap_or_default();
            self.violation(format!(
                "1: overload {loads:?}: beyond the fuse for {over_ms} ms, grid and batteries {newest:?}, most {most_w}"
            ));
        }
        self.set_loads(back);
        if self.until_well(Duration::from_secs(60)).is_none() {
            self.violation(format!("4: not in balance 60 s after an overload, {}", self.why()));
        }
        self.overload = false;
    }

    /// Invariant 7: it lives until it is told to end, and then ends soon, with its batteries at rest.
    fn end(&mut self) {
        self.daemon.tend();
        for accident in std::mem::take(&mut self.daemon.accidents) {
            self.violation(format!("7: {accident}"));
        }
        let before = self.daemon.starts;
        match self.daemon.terminate() {
            Some((time, status)) if time <= STOP && status.success() => {}
            Some((time, status)) => self.violation(format!("7: it ended {} ms after SIGTERM with {status}", time.as_millis())),
            None => self.violation(format!("7: it does not end at SIGTERM (start {before})")),
        }
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(600) {
            if let Some(sample) = self.devices.next(Duration::from_millis(100)) {
                self.newest = Some(sample);
            }
        }
        let held: Vec<_> = self.newest.iter().flat_map(|n| n.told.iter().flatten()).filter(|(w, _)| *w != 0).collect();
        if !held.is_empty() && self.out.void.is_none() {
            let text = format!("7: batteries are not released after the end: {held:?}");
            self.violation(text);
        }
    }
}
