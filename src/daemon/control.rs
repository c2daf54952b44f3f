//! The task of the control thread: feeds the core, turns its decision into instructions, and says what changed.
//!
//! It never touches a device, and it never waits for one.

pub(super) mod charging;
mod registers;
mod words;

use self::charging::Charging;
use self::registers::Registers;
pub(super) use self::words::CLOCK_NOT_SET;
pub use self::words::mode_name;
use self::words::{Said, say_schedule};
use super::bms_view::BmsView;
use super::health::{Health, Notices};
use super::memory::Kept;
use super::message::{BatteryReport, BmsReport, Energies, Event, Instruction, LinkReport, MeterReport, WriteReport};
use super::slot::Slot;
use super::wiring::{COMMAND_VALID, Plan};
use crate::config::Config;
use crate::control::alarm::Alarm;
use crate::control::core::Core;
use crate::control::decision::{Decision, Order};
use crate::control::demand::Demand;
use crate::control::input::Written;
use crate::control::learned::Learned;
use crate::link::fault::Fault;
use crate::schedule::Now;
use crate::units::Time;

/// What the status needs beside the core.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct BatteryView {
    /// The newest report.
    pub report: Option<BatteryReport>,
    /// Acknowledged writes.
    pub writes: u64,
    /// The newest write.
    pub last_write: Option<(Time, String)>,
}

/// The state of the task.
pub struct ControlTask {
    pub(super) config: Config,
    pub(super) core: Core,
    pub(super) meter: Option<MeterReport>,
    pub(super) batteries: Vec<BatteryView>,
    /// Per battery; without meaning where it has no BMS.
    pub(super) bmses: Vec<BmsView>,
    pub(super) phases_at: Option<Time>,
    /// Newest frequency, mHz, and when it was read.
    pub(super) frequency: Option<(i64, Time)>,
    /// What the meter's counters said last; they only grow, so the last word holds.
    pub(super) energies: Energies,
    pub(super) links: Vec<LinkReport>,
    /// Conditions that the shells found: threads without a sign of life.
    pub(super) dead_threads: Vec<String>,
    /// Ports of our servers that cannot be bound: alarm, and since when.
    pub(super) closed_ports: Vec<(String, Time)>,
    /// What the schedule says; `None` before the first step, and where there is none.
    pub(super) scheduled: Option<Now>,
    pub(super) demand: Demand,
    /// `[load_balancer]` and the chargers, where there is one.
    pub(super) charging: Option<Charging>,
    /// Our own registers, where `[server]` serves them.
    registers: Option<Registers>,
    /// What was learned when it was put aside last, and where it is put.
    kept: Option<(Learned, Slot<Learned>)>,
    meter_health: Health,
    battery_health: Vec<Health>,
    write_health: Vec<Health>,
    said: Said,
    pub(super) battery_notices: Vec<Notices>,
}

impl ControlTask {
    /// A task for this plan.
    pub fn new(config: Config, plan: &Plan) -> ControlTask {
        let names: Vec<_> = config.batteries.iter().map(|b| b.name.clone()).collect();
        ControlTask {
            core: Core::new(plan.site.clone()),
            meter: None,
            batteries: vec![BatteryView::default(); names.len()],
            bmses: names.iter().map(|n| BmsView::new(n)).collect(),
            phases_at: None,
            frequency: None,
            energies: Energies::default(),
            links: Vec::new(),
            dead_threads: Vec::new(),
            closed_ports: Vec::new(),
            scheduled: None,
            demand: Demand::default(),
            charging: Charging::of(&config, plan),
            registers: Registers::of(&config, plan),
            kept: None,
            meter_health: Health::new("meter".into()),
            battery_health: names.iter().map(|n| Health::new(format!("battery {n}"))).collect(),
            write_health: names.iter().map(|n| Health::new(format!("battery {n}: writing"))).collect(),
            said: Said::default(),
            battery_notices: names.iter().map(|n| Notices::new(format!("battery {n}"))).collect(),
            config,
        }
    }

    /// Takes what a device task reports. True when it calls for a step at once.
    pub fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Meter(report) => {
                self.take_meter(report);
                true
            }
            Event::Battery(k, report) => {
                self.take_battery(k, report);
                false
            }
            Event::Bms(k, report) => {
                self.take_bms(k, *report);
                true
            }
            Event::Sending(k, watts, at) => {
                self.core.written(k, Written::Sending(watts), at);
                false
            }
            Event::Written(k, report) => {
                self.take_written(k, report);
                false
            }
            Event::Charger(k, report) => {
                self.note_link(&report.link);
                if let Some(charging) = &mut self.charging {
                    charging.take(k, *report);
                }
                false
            }
            Event::ChargerWritten(k, report) => {
                if let Some(charging) = &mut self.charging {
                    charging.take_written(k, report);
                }
                false
            }
            Event::Thread(name, alive) => {
                self.dead_threads.retain(|n| *n != name);
                if !alive {
                    self.dead_threads.push(name);
                }
                false
            }
            Event::Port(alarm, since) => {
                self.closed_ports.retain(|(known, _)| *known != alarm);
                self.closed_ports.extend(since.map(|since| (alarm, since)));
                false
            }
        }
    }

    /// Starts from what was learned before, and puts aside what is learned from now on.
    pub fn keep(&mut self, kept: Kept) {
        if let Some(learned) = kept.learned {
            self.remember(learned);
        }
        self.kept = Some((self.core.learned().clone(), kept.slot));
    }

    /// Starts from what was learned before.
    pub fn remember(&mut self, learned: Learned) {
        self.core.remember(learned);
    }

    /// The grid operator dims the site (§14a EnWG): the batteries may take this much from the grid, W; `None` when that is over. Nothing in
    /// the program says so yet; a simulated day does.
    pub fn dim(&mut self, dimmed_w: Option<i64>) {
        self.demand.dimmed_w = dimmed_w;
        self.core.demand(self.demand);
    }

    /// Normal operation was ended in good order a moment ago.
    pub fn resume(&mut self) {
        self.core.resume();
    }

    /// Decides. `instruct` gets the instruction for each battery that is to be told something. `wall_s` is what the wall clock shows, in
    /// unix seconds: only which window of the schedule is active follows from it.
    pub fn step(&mut self, now: Time, wall_s: i64, mut instruct: impl FnMut(usize, Instruction)) {
        self.look_at_schedule(wall_s);
        self.look_at_remote(now);
        self.core.step(now);
        if let Some(charging) = &mut self.charging {
            charging.step(&self.core, now);
        }
        let decision = self.core.decision();
        for (k, battery) in decision.batteries.iter().enumerate() {
            if battery.order != Order::Silent {
                let (order, objection) = (battery.order, battery.objection);
                instruct(k, Instruction { order, valid_until: now + COMMAND_VALID, only_if_commanded: false, encoding: None, objection });
            }
        }
        self.say_what_changed(now);
        self.put_aside();
    }

    /// The newest decision.
    pub fn decision(&self) -> &Decision {
        self.core.decision()
    }

    /// What a person should know of, and since when; without a meter nobody misses its data.
    pub fn active_alarms(&self) -> impl Iterator<Item = (Alarm, Time)> + '_ {
        self.core.alarms().active().filter(|a| self.config.meter.is_some() || a.0 != Alarm::MeterLost)
    }

    /// The core.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Tells the core when another window is active, or none.
    fn look_at_schedule(&mut self, wall_s: i64) {
        let Some(schedule) = &self.config.schedule else { return };
        let now = schedule.now(wall_s);
        if self.scheduled == Some(now) {
            return;
        }
        say_schedule(schedule, self.scheduled, now);
        self.scheduled = Some(now);
        let active = if let Now::Active(index) = now { schedule.windows.get(index) } else { None };
        self.demand.action = active.map(|window| window.action);
        self.core.demand(self.demand);
    }

    /// What was learned goes to the thread that may wait for a disk; this one never does.
    fn put_aside(&mut self) {
        let Some((put, slot)) = &mut self.kept else { return };
        if put != self.core.learned() {
            put.clone_from(self.core.learned());
            slot.put(put.clone());
        }
    }

    fn take_meter(&mut self, report: MeterReport) {
        self.note_link(&report.link);
        self.meter_health.note(report.fault.as_ref(), report.at);
        self.energies.import_wh = report.energies.import_wh.or(self.energies.import_wh);
        self.energies.export_wh = report.energies.export_wh.or(self.energies.export_wh);
        self.frequency = report.frequency_mhz.map(|f| (f, report.at)).or(self.frequency);
        if report.sample.is_none() && matches!(report.fault, Some(Fault::Invalid(_))) {
            self.core.meter_unusable();
        }
        if let Some(sample) = report.sample {
            if sample.phases.is_some() {
                self.phases_at = Some(sample.taken);
            }
            self.core.meter(sample);
        }
        self.meter = Some(report);
    }

    fn take_battery(&mut self, k: usize, report: BatteryReport) {
        self.note_link(&report.link);
        let Some(view) = self.batteries.get_mut(k) else { return };
        self.battery_health[k].note(report.fault.as_ref(), report.at);
        if let Some(sample) = report.sample {
            self.core.battery(k, sample);
        }
        if report.fault.is_none() {
            self.battery_notices[k].note(&report.notices, report.at);
        }
        // What it is and how it was stays known while it does not answer.
        let before = view.report.take();
        let known = |new: Option<String>, old: fn(&BatteryReport) -> Option<String>| new.or_else(|| before.as_ref().and_then(old));
        let state = known(report.state, |r| r.state.clone());
        let device = known(Some(report.device).filter(|d| !d.is_empty()), |r| Some(r.device.clone())).unwrap_or_default();
        view.report = Some(BatteryReport { state, device, ..report });
    }

    fn take_bms(&mut self, k: usize, report: BmsReport) {
        self.note_link(&report.link);
        let Some(view) = self.bmses.get_mut(k) else { return };
        if let Some(standing) = report.standing() {
            self.core.bms_forbids(k, standing);
        }
        view.take(report);
        if let Some(sample) = view.newest_sample() {
            self.core.bms(k, sample);
        }
    }

    fn take_written(&mut self, k: usize, report: WriteReport) {
        let Some(view) = self.batteries.get_mut(k) else { return };
        self.write_health[k].note(report.fault.as_ref(), report.at);
        log::debug!(
            "battery {}: {}{}",
            self.config.batteries[k].name,
            report.what,
            if report.fault.is_some() { ", not acknowledged" } else { "" }
        );
        if let Some(written) = report.written {
            self.core.written(k, written, report.at);
        }
        if report.fault.is_none() {
            view.writes += 1;
            view.last_write = Some((report.at, report.what));
        }
    }

    fn note_link(&mut self, link: &LinkReport) {
        match self.links.iter_mut().find(|l| l.name == link.name) {
            // Reports of tasks that share a link may overtake each other.
            Some(known) if known.counters.requests <= link.counters.requests => known.counters = link.counters,
            Some(_) => {}
            None => self.links.push(link.clone()),
        }
    }
}
