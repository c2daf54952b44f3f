//! The task of one BMS: polls it, and counts up its heartbeat register where it has one. One request per call of [`BmsTask::work`].
//!
//! It never decides what a battery may do: it says what the BMS said, and when. Registers that do not exist are left out of the poll for a
//! while; what they would have said is unknown, and what is unknown allows nothing.

use std::sync::Arc;

use super::bank_in_use::link_report;
use super::bms_watch::{BmsWatch, StaticLimits};
use super::clock::Clock;
use super::endpoint::{Endpoint, SharedEndpoint};
use super::message::{BmsReport, Event};
use super::schedule::Schedule;
use crate::device::bms::{BmsParts, read};
use crate::device::decode::Registers;
use crate::device::plan::bms_requests;
use crate::device::profile::{Block, Profile, RawWrite, Words};
use crate::device::sunspec::Walk;
use crate::link::fault::Fault;
use crate::units::{Span, Time};

/// A heartbeat register is counted up this often (`facts/devices.md` 4.5, `CtrlHb`).
const HEARTBEAT: Span = Span::from_s(1);
/// Heartbeats in a row that it did not take are worth a word.
const HEARTBEATS_LOST: u32 = 3;
/// Registers that did not exist are asked for again after this time.
const REFUSED_AGAIN: Span = Span::from_s(60);
/// Exceptions that say that registers do not exist: illegal function, illegal address.
const NO_SUCH: [u8; 2] = [1, 2];

/// What the configuration says about a BMS.
#[derive(Clone, PartialEq, Debug)]
pub struct BmsSpec {
    /// Index of its battery.
    pub index: usize,
    /// Name of its battery.
    pub name: String,
    /// What its registers mean; of a SunSpec model, counted from its id register.
    pub profile: Arc<Profile>,
    /// Its unit id.
    pub unit: u8,
    /// Poll period.
    pub poll: Span,
    /// First poll.
    pub first_poll: Time,
    /// Tries after a failed poll.
    pub retries: u32,
    /// Limits of the configuration.
    pub limits: StaticLimits,
    /// Its heartbeat register is written.
    pub heartbeat: bool,
}

/// The state of the task.
pub struct BmsTask {
    spec: BmsSpec,
    endpoint: SharedEndpoint,
    schedule: Schedule,
    place: Place,
    poll: Option<Poll>,
    /// When the newest poll began. What it brings is as old as its first answer: between its requests the link may be busy with others.
    begun: Time,
    watch: BmsWatch,
    beat: Beat,
}

/// Where its registers are.
enum Place {
    /// A SunSpec model is being looked for.
    Searched(Walk),
    /// Here.
    Known(Box<Known>),
}

struct Known {
    profile: Profile,
    parts: BmsParts,
    requests: Vec<Block>,
    /// Requests that it refused, and until when they are left out.
    refused: Vec<Option<Time>>,
    /// The connection on which it has answered.
    generation: Option<u64>,
}

/// A poll that is under way.
#[derive(Default)]
struct Poll {
    registers: Registers,
    next: usize,
    answers: usize,
    refusal: Option<Fault>,
}

/// Our heartbeat.
#[derive(Default)]
struct Beat {
    count: u16,
    due: Time,
    lost: u32,
}

impl BmsTask {
    /// A task that has not asked anything yet.
    pub fn new(spec: BmsSpec, endpoint: SharedEndpoint) -> BmsTask {
        let schedule = Schedule::new(spec.poll, spec.first_poll, spec.retries);
        let place = start(&spec.profile);
        BmsTask { spec, endpoint, schedule, place, poll: None, begun: Time::ZERO, watch: BmsWatch::default(), beat: Beat::default() }
    }

    /// When there is something to do.
    pub fn wake_at(&self, now: Time) -> Time {
        let ready = self.endpoint.lock().ready_to_read_at(self.spec.unit, self.spec.profile.gap, now);
        let poll = if self.poll.is_some() { now } else { self.schedule.due() };
        let beat = self.heartbeat_at().map_or(poll, |_| self.beat.due);
        poll.min(beat).max(ready)
    }

    /// Does what is due, at most one request, and reports what came of a poll.
    pub fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        let shared = self.endpoint.clone();
        // Another task may be using the link.
        let mut endpoint = shared.lock();
        let now = clock.now();
        if now < endpoint.ready_to_read_at(self.spec.unit, self.spec.profile.gap, now) {
            return;
        }
        if let Some(address) = self.heartbeat_at().filter(|_| now >= self.beat.due) {
            self.count_up(address, &mut endpoint, clock);
            return;
        }
        if self.poll.is_none() {
            if now < self.schedule.due() {
                return;
            }
            self.schedule.started(now);
            self.poll = Some(Poll::default());
            self.begun = now;
        }
        let outcome = match self.place {
            Place::Searched(_) => self.search(&mut endpoint, clock),
            Place::Known(_) => self.ask(&mut endpoint, clock),
        };
        if let Some(outcome) = outcome {
            self.poll = None;
            self.close(outcome, &endpoint, clock, report);
        }
    }

    /// One read of the search for the model. `Some`: it has ended without one, or the device does not answer.
    fn search(&mut self, endpoint: &mut Endpoint, clock: &dyn Clock) -> Option<Result<Registers, Fault>> {
        let Place::Searched(walk) = &mut self.place else { return None };
        let fault = match walk.next() {
            Some(block) => match endpoint.read(self.spec.unit, &block, self.spec.profile.gap, clock) {
                Ok(values) => {
                    walk.answer(Some(&values));
                    None
                }
                Err(error) => match Fault::of(&error) {
                    Fault::Exception(_) => {
                        walk.answer(None);
                        None
                    }
                    fault => Some(fault),
                },
            },
            None => Some(Fault::Invalid("its SunSpec model is in none of the places where it could be".into())),
        };
        let found = walk.found().map(|found| (found, self.spec.profile.shifted(found.into())));
        let fault = match found {
            // A part of it that had no place would be left out, and could not forbid anything.
            Some((found, here)) if here.blocks.len() == self.spec.profile.blocks.len() => {
                log::info!("battery {}: BMS: {} found at register {found}", self.spec.name, self.spec.profile.name);
                self.place = Place::Known(Box::new(Known::new(here)));
                return None;
            }
            Some((found, _)) => {
                Fault::Invalid(format!("its SunSpec model would begin at register {found} and not end before the last one"))
            }
            None => fault?,
        };
        self.place = start(&self.spec.profile);
        Some(Err(fault))
    }

    /// One request of the poll. `Some`: that was the last.
    fn ask(&mut self, endpoint: &mut Endpoint, clock: &dyn Clock) -> Option<Result<Registers, Fault>> {
        let (Place::Known(known), Some(poll)) = (&mut self.place, &mut self.poll) else { return None };
        let now = clock.now();
        poll.next += known.refused.iter().skip(poll.next).take_while(|until| until.is_some_and(|until| now < until)).count();
        if let Some(block) = known.requests.get(poll.next) {
            match endpoint.read(self.spec.unit, block, self.spec.profile.gap, clock) {
                Ok(values) => {
                    poll.registers.add(block, values);
                    poll.answers += 1;
                    known.refused[poll.next] = None;
                }
                Err(error) => match Fault::of(&error) {
                    Fault::Exception(code) if NO_SUCH.contains(&code) => {
                        known.refused[poll.next] = Some(clock.now() + REFUSED_AGAIN);
                        poll.refusal = Some(Fault::Exception(code));
                    }
                    fault => return Some(Err(fault)),
                },
            }
            poll.next += 1;
        }
        if poll.next < known.requests.len() {
            return None;
        }
        let nothing = || Fault::Invalid("it has none of its registers".into());
        let poll = self.poll.take()?;
        Some(if poll.answers > 0 { Ok(poll.registers) } else { Err(poll.refusal.unwrap_or_else(nothing)) })
    }

    /// A poll has ended.
    fn close(&mut self, outcome: Result<Registers, Fault>, endpoint: &Endpoint, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        let now = clock.now();
        let mut said = BmsReport {
            at: now,
            sample: None,
            said: None,
            device: self.spec.profile.name.clone(),
            fault: None,
            link: link_report(endpoint),
        };
        match (outcome, &self.place) {
            (Ok(registers), Place::Known(known)) => {
                let values = read(&known.profile, &registers);
                let mut seen = self.watch.take(&values, &known.parts, self.spec.limits, now, clock.wall_s());
                if self.beat.lost >= HEARTBEATS_LOST {
                    seen.notices.push("it does not take our heartbeat".into());
                }
                for sample in seen.sample.iter_mut().chain(&mut seen.standing) {
                    sample.taken = self.begun;
                }
                said.sample = seen.sample;
                said.fault = said.sample.is_none().then(|| Fault::Invalid("its heartbeat register stands still".into()));
                said.said = Some((values, seen));
            }
            (Ok(_), Place::Searched(_)) => {}
            (Err(fault), _) => {
                self.schedule.failed(now);
                said.fault = Some(fault);
            }
        }
        // Behind a new connection there may be another device, or this one with another map.
        if let Place::Known(known) = &mut self.place {
            if *known.generation.get_or_insert(endpoint.generation()) != endpoint.generation() {
                self.place = start(&self.spec.profile);
            }
        }
        report(Event::Bms(self.spec.index, Box::new(said)));
    }

    /// Where our heartbeat goes, once that is known.
    fn heartbeat_at(&self) -> Option<u16> {
        match &self.place {
            Place::Known(known) if self.spec.heartbeat => known.parts.heartbeat_at,
            _ => None,
        }
    }

    fn count_up(&mut self, address: u16, endpoint: &mut Endpoint, clock: &dyn Clock) {
        self.beat.count = self.beat.count.wrapping_add(1);
        let write = RawWrite { address, function: 16, words: Words::one(self.beat.count) };
        let taken = endpoint.write(self.spec.unit, &write, self.spec.profile.gap, clock).is_ok();
        self.beat.lost = if taken { 0 } else { self.beat.lost.saturating_add(1) };
        self.beat.due = clock.now() + HEARTBEAT;
    }
}

impl Known {
    fn new(profile: Profile) -> Known {
        let requests = bms_requests(&profile);
        let parts = profile.bms.clone().unwrap_or_default();
        Known { refused: vec![None; requests.len()], requests, parts, profile, generation: None }
    }
}

/// A model has to be looked for first.
fn start(profile: &Profile) -> Place {
    match profile.bms.as_ref().and_then(|bms| bms.sunspec_model) {
        Some(model) => Place::Searched(Walk::new(model)),
        None => Place::Known(Box::new(Known::new(profile.clone()))),
    }
}
