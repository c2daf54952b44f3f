//! The commissioning itself: takes events, says what to tell each battery, and ends with what was found. It looks at alarms first, then
//! goes on from stage to stage.
//!
//! ```text
//!   Waiting ── all data good ──► Taking A, B, … (0 W) ──► Resting (noise of the house) ──► Ready ⇄ Moving, leg by leg, A, B, …
//!      │                              │ ▲                                                    │
//!      └──────── alarm, stop, end ────┴─┴── another encoding is tried ───────────────────────┴──► Stopping (all released) ──► Done
//! ```

use std::collections::VecDeque;

use super::finding::Outcome;
use super::guard;
use super::record::Record;
use super::setup::Setup;
use super::stages::Stage;
use super::subject::Subject;
use crate::config::fixed_to_text;
use crate::control::bms::Objection;
use crate::control::decision::Order;
use crate::control::input::{BmsSample, MeterSample};
use crate::control::site::Connection;
use crate::daemon::director::Director;
use crate::daemon::message::{Event, Instruction, MeterReport};
use crate::daemon::wiring::COMMAND_VALID;
use crate::serve::document::{Document, Site};
use crate::units::{Span, Time};

/// It looks around this often although nothing is reported.
const LOOK: Span = Span::from_ms(100);
/// Lines that wait for a reader; there are far fewer.
const LINES_MOST: usize = 1000;

/// A commissioning.
pub struct Commission {
    pub(super) setup: Setup,
    pub(super) stage: Stage,
    pub(super) record: Record,
    pub(super) subjects: Vec<Subject>,
    /// What the BMS of each battery said last.
    bms: Vec<Option<BmsSample>>,
    /// The newest sample of the meter with phases, and how many there were.
    pub(super) meter: Option<MeterSample>,
    pub(super) samples: u32,
    pub(super) meter_device: String,
    pub(super) meter_fault: Option<String>,
    /// Largest deviation of each phase while all batteries rest, W; `None`: not measured yet.
    pub(super) noise_w: Option<[i64; 3]>,
    /// The battery whose legs are made.
    pub(super) current: usize,
    /// When it began, and when the batteries were told to release.
    pub(super) begun: Option<Time>,
    pub(super) outcome: Option<Outcome>,
    pub(super) stopped: Option<String>,
    absurd: Option<String>,
    lines: VecDeque<String>,
    stepped: Time,
}

impl Commission {
    /// A commissioning that has not begun.
    pub fn new(setup: Setup) -> Commission {
        Commission {
            stage: Stage::Waiting { said: Time::ZERO },
            record: Record::new(setup.batteries.len()),
            bms: vec![None; setup.batteries.len()],
            subjects: setup.batteries.iter().cloned().map(Subject::new).collect(),
            setup,
            meter: None,
            samples: 0,
            meter_device: String::new(),
            meter_fault: None,
            noise_w: None,
            current: 0,
            begun: None,
            outcome: None,
            stopped: None,
            absurd: None,
            lines: VecDeque::new(),
            stepped: Time::ZERO,
        }
    }

    /// Ends it: every battery is released, and [`Commission::outcome`] comes when that is acknowledged.
    pub fn stop(&mut self, why: &str, now: Time) {
        if matches!(self.stage, Stage::Stopping { .. } | Stage::Done) {
            return;
        }
        self.stopped = Some(why.to_owned());
        self.say(format!("Stopping: {why}. All batteries are handed back, as far as a BMS has nothing against it."));
        self.release_all(now);
    }

    /// What came out; `None` until every battery is released, or should be.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The next line for people.
    pub fn line(&mut self) -> Option<String> {
        self.lines.pop_front()
    }

    pub(super) fn say(&mut self, line: String) {
        if self.lines.len() < LINES_MOST {
            self.lines.push_back(line);
        }
    }

    pub(super) fn release_all(&mut self, now: Time) {
        let objections: Vec<_> = (0..self.subjects.len()).map(|k| self.objection(k, now)).collect();
        for (subject, objection) in self.subjects.iter_mut().zip(objections).filter(|(s, _)| s.is_told()) {
            subject.let_go(objection);
        }
        self.stage = Stage::Stopping { since: now };
    }

    fn take_meter(&mut self, report: MeterReport) {
        self.meter_fault = report.fault.as_ref().map(ToString::to_string);
        if !report.device.is_empty() {
            self.meter_device = report.device;
        }
        let Some(sample) = report.sample else { return };
        if !sample.is_plausible(self.setup.site.used_phases(), self.setup.site.plausible_phase_w()) {
            self.absurd = Some("the meter says what cannot be".into());
        } else if sample.phases.is_some() {
            self.record.meter(&sample);
            self.samples = self.samples.saturating_add(1);
            self.meter = Some(sample);
        }
    }

    /// What the BMS of a battery has against this, in words.
    pub(super) fn forbidden(&self, now: Time) -> Option<String> {
        let power_w = self.setup.power_w;
        self.setup.site.batteries.iter().zip(&self.bms).zip(&self.subjects).find_map(|((site, newest), subject)| {
            let (ages, name) = (site.bms?, &subject.setup.name);
            let Some(said) = newest.filter(|s| now.since(s.taken) <= ages.fresh) else {
                return Some(format!("the BMS of battery {name} does not answer"));
            };
            let allows = |may: bool, limit_w: Option<i64>| may && limit_w.is_some_and(|w| w >= power_w);
            let all = allows(said.may_charge, said.charge_limit_w) && allows(said.may_discharge, said.discharge_limit_w);
            (!all).then(|| format!("the BMS of battery {name} does not allow {power_w} W in both directions"))
        })
    }

    /// What the BMS of a battery has against handing it back.
    fn objection(&self, k: usize, now: Time) -> Option<Objection> {
        let ages = self.setup.site.batteries.get(k)?.bms?;
        match self.bms.get(k)?.filter(|s| now.since(s.taken) <= ages.fresh) {
            Some(word) => Objection::of(&word),
            None => Some(Objection::Silence),
        }
    }

    /// What must not go on, in words.
    fn alarm(&mut self, now: Time) -> Option<String> {
        if let Some(absurd) = self.absurd.take() {
            return Some(absurd);
        }
        if let Some((phase, current_ma)) = self.meter.as_ref().and_then(|m| guard::overloaded(&self.setup.site, m)) {
            return Some(format!(
                "{phase} carries {}.{} A, which is too close to the fuse of {} A",
                current_ma / 1000,
                current_ma % 1000 / 100,
                fixed_to_text(self.setup.site.fuse_ma, 3)
            ));
        }
        if let Some(subject) = self.subjects.iter().find(|s| s.is_told() && s.notices.iter().any(|n| !s.known.contains(n))) {
            return Some(format!("battery {} reports {}", subject.setup.name, subject.notices.join(", ")));
        }
        guard::silent(self.meter.map(|m| m.taken), &self.subjects, now).or_else(|| self.forbidden(now))
    }

    /// A battery that does what nobody told it speaks another encoding, if that was not tried yet.
    fn catch(&mut self, now: Time) {
        let power_w = self.setup.power_w;
        let stopping = matches!(self.stage, Stage::Stopping { .. });
        let Some(k) = self.subjects.iter().position(|s| s.runs_away(power_w, now) && !(stopping && s.followed)) else { return };
        let subject = &mut self.subjects[k];
        let (name, does_w, told_w) = (subject.setup.name.clone(), subject.power_w(), subject.sent.map_or(0, |s| s.0));
        let tried = subject.changes > 0;
        let followed = subject.followed;
        if followed || !subject.is_choosable() || subject.changes > 1 {
            let perhaps = if followed { String::new() } else { self.own_meter(k) };
            self.stop(&format!("battery {name} does {does_w} W although it was told {told_w} W{perhaps}"), now);
            return;
        }
        let was = subject.encoding.name();
        subject.change_encoding(now);
        let encoding = subject.encoding.name();
        if tried {
            let perhaps = self.own_meter(k);
            self.stop(&format!("battery {name} runs away in both setpoint encodings{perhaps}"), now);
            return;
        }
        self.say(format!(
            "  {name}: {does_w} W although told {told_w} W: setpoint encoding \"{encoding}\" is tried instead of \"{was}\" \
             (or its device mode is not \"P-Sollwert (TCP)\")"
        ));
        if stopping {
            return;
        }
        self.subjects[k].taken = false;
        if matches!(self.stage, Stage::Moving { .. }) && self.current != k {
            self.subjects[self.current].begin_anew();
        }
        self.stage = Stage::Taking { k, asked: Some(now), begun: now };
    }
}

impl Commission {
    /// What else than an encoding explains a battery that does not do what it is told: it follows its own meter (facts/sax.md 2, Device
    /// modes). The end of a sentence.
    fn own_meter(&self, k: usize) -> String {
        let connection = self.setup.site.batteries[k].connection;
        let grid_w = self.meter.and_then(|m| m.phases).map(|phases| match connection {
            Connection::Phase(f) => phases[f].power_w,
            Connection::AllPhases => phases.iter().map(|p| p.power_w).sum(),
        });
        if grid_w.is_some_and(|w| w.saturating_abs() <= self.setup.power_w / 2) {
            ", and keeps its phase near 0 W: it follows its own meter, its device mode is not \"P-Sollwert (TCP)\"".into()
        } else {
            ", or its device mode is not \"P-Sollwert (TCP)\"".into()
        }
    }
}

impl Director for Commission {
    fn take(&mut self, event: Event) -> bool {
        match event {
            Event::Meter(report) => self.take_meter(report),
            Event::Battery(k, report) => {
                let Some(subject) = self.subjects.get_mut(k) else { return false };
                let most_w = self.setup.site.batteries.get(k).map_or(i64::MAX, |b| b.plausible_w());
                if report.sample.is_some_and(|s| !s.is_plausible(most_w)) {
                    self.absurd = Some(format!("battery {} says what cannot be", subject.setup.name));
                    return true;
                }
                subject.heard(&report, self.setup.power_w);
                if let Some(sample) = report.sample {
                    self.record.battery(k, sample.taken, sample.power_w);
                }
            }
            Event::Sending(k, watts, at) => {
                if let Some(subject) = self.subjects.get_mut(k) {
                    subject.sending(watts, at);
                }
            }
            Event::Written(k, report) => {
                if let Some(subject) = self.subjects.get_mut(k) {
                    subject.written(&report);
                }
            }
            Event::Bms(k, report) => {
                let Some(newest) = self.bms.get_mut(k) else { return false };
                if let Some(sample) = report.sample.filter(BmsSample::is_plausible) {
                    *newest = Some(sample);
                } else if let (Some(newest), Some(standing)) = (newest, report.standing()) {
                    *newest = newest.lowered_by(standing);
                }
            }
            // A commissioning leaves chargers alone, and ports are not its business.
            Event::Charger(..) | Event::ChargerWritten(..) | Event::Port(..) => return false,
            Event::Thread(name, alive) => {
                if !alive {
                    self.absurd = Some(format!("the thread {name} gives no sign of life"));
                }
            }
        }
        true
    }

    fn step(&mut self, now: Time, _wall_s: i64, instruct: &mut dyn FnMut(usize, Instruction)) {
        self.stepped = now;
        self.begun = self.begun.or(Some(now));
        self.catch(now);
        if !matches!(self.stage, Stage::Waiting { .. } | Stage::Stopping { .. } | Stage::Done) {
            if let Some(alarm) = self.alarm(now) {
                self.stop(&alarm, now);
            }
        }
        self.advance(now);
        for (k, subject) in self.subjects.iter().enumerate().filter(|(_, s)| s.is_told()) {
            let (order, encoding) = (subject.order, Some(subject.encoding));
            // What was decided when it was to be handed back holds: one that is back is not taken again.
            let objection = if order == Order::Release { subject.objection } else { self.objection(k, now) };
            instruct(k, Instruction { order, valid_until: now + COMMAND_VALID, only_if_commanded: false, encoding, objection });
        }
    }

    fn wake_at(&self) -> Option<Time> {
        Some(self.stepped + LOOK)
    }

    fn document(&self, now: Time) -> Document {
        let uptime_s = now.as_ms() / 1000;
        let site = Site { state: "commissioning", reason: self.stage.to_string(), uptime_s, ..Site::default() };
        Document { version: env!("CARGO_PKG_VERSION"), site, ..Document::default() }
    }
}
