//! The task of one charger: polls it, which is its sign of life too, and writes the limit that the control thread wants. One request per call
//! of [`ChargerTask::work`]. What a poll asks for is in `asking`, what is written when in `telling`.
//!
//! It applies its fallback by itself when its instruction has expired. It never decides how much current is right, and it writes nothing before
//! its first instruction.

mod asking;
mod telling;

use std::sync::Arc;

use self::asking::{Asking, Brought};
use self::telling::{Job, Outcome, Telling};
use super::bank_in_use::link_report;
use super::clock::Clock;
use super::endpoint::{Endpoint, SharedEndpoint};
use super::message::{Event, LinkReport, WriteReport};
use super::schedule::Schedule;
pub use crate::device::charger::ChargerValues;
use crate::device::charger::read;
use crate::device::profile::{Profile, RawWrite};
use crate::link::fault::Fault;
use crate::units::{Span, Time};

/// The write that leaves it at its fallback at the end gets this long.
const RELEASE_TIMEOUT: Span = Span::from_ms(700);

/// Exceptions that say that it would not take that the next time either: illegal function, address, value.
const REFUSALS: [u8; 3] = [1, 2, 3];

/// What the configuration says about a charger.
#[derive(Clone, PartialEq, Debug)]
pub struct ChargerSpec {
    /// Its index everywhere.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// What its registers mean, with its settings.
    pub profile: Arc<Profile>,
    /// Its unit id.
    pub unit: u8,
    /// Poll period.
    pub poll: Span,
    /// First poll.
    pub first_poll: Time,
    /// Tries after a failed poll.
    pub retries: u32,
    /// What it falls to by itself when nobody asks it any more, mA; also what it is left at.
    pub fallback_ma: u32,
    /// What it is told when no instruction is valid, mA.
    pub without_instruction_ma: u32,
}

/// From the control thread to a charger: the newest wins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChargerInstruction {
    /// The most it may draw on each phase, mA; 0: paused.
    pub limit_ma: u32,
    /// Until when it counts.
    pub valid_until: Time,
}

/// The outcome of a poll of a charger.
#[derive(Clone, PartialEq, Debug)]
pub struct ChargerReport {
    /// When.
    pub at: Time,
    /// What it said; `None`: nothing usable.
    pub values: Option<ChargerValues>,
    /// The profile that is read.
    pub device: String,
    /// What went wrong.
    pub fault: Option<Fault>,
    /// The link's name and counters.
    pub link: LinkReport,
}

/// The state of the task.
pub struct ChargerTask {
    spec: ChargerSpec,
    endpoint: SharedEndpoint,
    schedule: Schedule,
    asking: Asking,
    telling: Telling,
    told: Option<ChargerInstruction>,
    /// The log has said that the instruction expired.
    said_expired: bool,
    /// The connection that everything written refers to.
    generation: Option<u64>,
}

impl ChargerTask {
    /// A task that has not asked anything yet.
    pub fn new(spec: ChargerSpec, endpoint: SharedEndpoint) -> ChargerTask {
        let schedule = Schedule::new(spec.poll, spec.first_poll, spec.retries);
        let asking = Asking::new(&spec.profile);
        let telling = Telling::new(&spec.profile, spec.fallback_ma);
        ChargerTask { spec, endpoint, schedule, asking, telling, told: None, said_expired: false, generation: None }
    }

    /// Takes the newest instruction.
    pub fn instruct(&mut self, told: ChargerInstruction) {
        self.told = Some(told);
    }

    /// When there is something to do. A limit that has to wait for the gap of its unit is announced, so that it goes before reads.
    pub fn wake_at(&self, now: Time) -> Time {
        let mut endpoint = self.endpoint.lock();
        let (unit, gap) = (self.spec.unit, self.spec.profile.gap);
        let ready = endpoint.ready_at(unit, gap);
        let write = self.wanted(now).and_then(|limit_ma| self.telling.next(limit_ma, now)).map(|(at, _)| at);
        if now < ready && write.is_some_and(|at| at <= ready) {
            endpoint.reserve(unit, gap, now);
        }
        let poll = if self.asking.is_under_way() { now } else { self.schedule.due() }.max(endpoint.ready_to_read_at(unit, gap, now));
        let expiry = self.told.map(|told| told.valid_until).filter(|until| now < *until);
        [write.map(|at| at.max(ready)), expiry].into_iter().flatten().fold(poll, Time::min)
    }

    /// Does what is due, at most one request, and reports it.
    pub fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        let shared = self.endpoint.clone();
        // Another task may be using the link. What is sent is what holds when it is our turn.
        let mut endpoint = shared.lock();
        let now = clock.now();
        self.say_expiry(now);
        let (unit, gap) = (self.spec.unit, self.spec.profile.gap);
        if now < endpoint.ready_at(unit, gap) {
            return;
        }
        let job = self.wanted(now).and_then(|limit_ma| self.telling.next(limit_ma, now)).filter(|(at, _)| *at <= now);
        if let Some((_, job)) = job {
            self.write(job, &mut endpoint, clock, report);
        } else if now >= endpoint.ready_to_read_at(unit, gap, now) {
            self.ask(&mut endpoint, clock, report);
        }
    }

    /// Leaves the charger at its fallback, if anything was ever written to it. It is tried once more after a fault. False when it did not
    /// acknowledge that.
    pub fn release(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) -> bool {
        if !self.telling.has_begun() {
            return true;
        }
        let shared = self.endpoint.clone();
        let mut endpoint = shared.lock();
        endpoint.set_timeout(RELEASE_TIMEOUT.to_duration());
        let Some(job) = self.telling.limit(self.spec.fallback_ma) else { return false };
        for _ in 0..2 {
            match self.write(job, &mut endpoint, clock, report) {
                None => return true,
                Some(fault) => log::warn!("charger {}: its last limit was not acknowledged: {fault}", self.spec.name),
            }
        }
        false
    }

    /// The limit that is to be in force, mA; `None` before the first instruction.
    fn wanted(&self, now: Time) -> Option<u32> {
        let told = self.told?;
        Some(if now < told.valid_until { told.limit_ma } else { self.spec.without_instruction_ma })
    }

    fn say_expiry(&mut self, now: Time) {
        let expired = self.told.is_some_and(|told| now >= told.valid_until);
        if expired && !self.said_expired {
            let milliamperes = self.spec.without_instruction_ma;
            log::warn!("charger {}: no fresh limit, it is told {}", self.spec.name, amperes(milliamperes));
        }
        self.said_expired = expired;
    }

    fn write(&mut self, job: Job, endpoint: &mut Endpoint, clock: &dyn Clock, report: &mut dyn FnMut(Event)) -> Option<Fault> {
        let raw: RawWrite = job.write();
        let answer = endpoint.write(self.spec.unit, &raw, self.spec.profile.gap, clock);
        let fault = answer.as_ref().err().map(Fault::of);
        let outcome = match &fault {
            None => Outcome::Acknowledged,
            Some(Fault::Exception(code)) if REFUSALS.contains(code) => Outcome::Refused,
            Some(Fault::Exception(_)) => Outcome::NotNow,
            Some(_) => Outcome::Unknown,
        };
        let now = clock.now();
        // A reconnect that this very write caused does not make it forgotten.
        self.notice_answer(fault.as_ref(), endpoint, now);
        let is_news = self.telling.done(job, outcome, now);
        if outcome == Outcome::Refused && !job.is_limit() {
            // Older firmware; it is asked whether it takes it by now after minutes, and that is no fault.
            if is_news {
                log::warn!("charger {}: it does not take its {job}, as older firmware does not, and keeps its own", self.spec.name);
            }
            return fault;
        }
        let written = WriteReport { at: now, written: None, what: job.to_string(), fault: fault.clone() };
        report(Event::ChargerWritten(self.spec.index, written));
        fault
    }

    fn ask(&mut self, endpoint: &mut Endpoint, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        let now = clock.now();
        if !self.asking.is_under_way() {
            if now < self.schedule.due() {
                return;
            }
            self.schedule.started(now);
            self.asking.begin(now);
        }
        let brought = self.asking.ask(endpoint, self.spec.unit, self.spec.profile.gap, clock);
        let now = clock.now();
        let Some(brought) = brought else { return };
        self.notice_answer(brought.as_ref().err(), endpoint, now);
        let mut said =
            ChargerReport { at: now, values: None, device: self.spec.profile.name.clone(), fault: None, link: link_report(endpoint) };
        match brought {
            Ok(Brought { registers, begun }) => {
                let mut values = read(&self.spec.profile, &registers);
                self.telling.compare(&values, begun, now);
                values.notices.extend(self.telling.complaint());
                said.values = Some(values);
            }
            Err(fault) => {
                self.schedule.failed(now);
                said.fault = Some(fault);
            }
        }
        report(Event::Charger(self.spec.index, Box::new(said)));
    }

    /// A charger that was silent for a while, or is behind a new connection, may have restarted: it is told everything anew, and asked at
    /// once what it still knows.
    fn notice_answer(&mut self, fault: Option<&Fault>, endpoint: &Endpoint, now: Time) {
        let is_back = match fault {
            None | Some(Fault::Exception(_)) => self.telling.heard(),
            Some(_) => {
                self.telling.silent();
                false
            }
        };
        let generation = endpoint.generation();
        let is_new = *self.generation.get_or_insert(generation) != generation;
        if is_new {
            self.generation = Some(generation);
            self.telling.forget();
            self.asking.forget();
        }
        if is_back || is_new {
            self.schedule.restart(now);
        }
    }
}

/// For people: whole milliamperes as amperes.
pub(in crate::daemon) fn amperes(milliamperes: u32) -> String {
    format!("{} A", crate::config::amperes(milliamperes))
}
