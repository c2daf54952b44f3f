//! The task of one battery: polls it, and writes what the control thread wants. One request per call of [`BatteryTask::work`].
//!
//! It applies the fallback by itself when its command has expired, whatever the other threads do. It never decides how much power is right.

use super::bank_choice::{BatteryBank, MeterBank};
use super::bank_in_use::{BankInUse, link_report};
use super::banks::Bank;
use super::clock::Clock;
use super::endpoint::SharedEndpoint;
use super::message::{BatteryReport, Event, Instruction};
use super::schedule::Schedule;
use crate::control::bms::Objection;
use crate::control::decision::Order;
use crate::device::budget::Bucket;
use crate::device::encode::Context;
use crate::device::plan::battery_requests;
use crate::device::profile::{Budget, Profile};
use crate::device::writer::{Command, Job, Settings, Writer};
use crate::units::{Span, Time};

/// Writes that hand the battery back at the end get this long each.
const RELEASE_TIMEOUT: Span = Span::from_ms(700);

/// What the configuration says about a battery.
#[derive(Clone, PartialEq, Debug)]
pub struct BatterySpec {
    /// Its index everywhere.
    pub index: usize,
    /// Its name.
    pub name: String,
    /// Which bank it is read through.
    pub bank: BatteryBank,
    /// The meter behind this battery, where its total is read at least as often as the battery.
    pub meter: Option<MeterBank>,
    /// Poll period.
    pub poll: Span,
    /// First poll.
    pub first_poll: Time,
    /// Tries after a failed poll.
    pub retries: u32,
    /// What the writer needs.
    pub settings: Settings,
    /// Name of the setpoint encoding.
    pub encoding: String,
    /// Least time between writes, instead of the profile's.
    pub write_spacing: Option<Span>,
    /// Average time between writes, instead of the profile's.
    pub write_refill: Option<Span>,
    /// What to do when no command is valid.
    pub fallback: Command,
    /// What there is against its own control until an instruction says otherwise: the silence of its BMS, where it has one.
    pub objection: Option<Objection>,
}

/// The state of the task.
pub struct BatteryTask {
    spec: BatterySpec,
    endpoint: SharedEndpoint,
    schedule: Schedule,
    bank: Option<BankInUse>,
    /// The newest instruction while the bank is not known yet.
    waiting: Option<Instruction>,
    /// What there is against its own control, by the newest instruction.
    objection: Option<Objection>,
}

impl BatteryTask {
    /// A task that has not asked anything yet.
    pub fn new(spec: BatterySpec, endpoint: SharedEndpoint) -> BatteryTask {
        let schedule = Schedule::new(spec.poll, spec.first_poll, spec.retries);
        BatteryTask { objection: spec.objection, spec, endpoint, schedule, bank: None, waiting: None }
    }

    /// The battery's name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Takes the newest instruction.
    pub fn instruct(&mut self, instruction: Instruction) {
        self.objection = instruction.objection;
        if let Some(encoding) = instruction.encoding.filter(|e| e.name() != self.spec.encoding) {
            self.spec.encoding = encoding.name().to_owned();
            if let Some(used) = &mut self.bank {
                used.writer.change_offset(offset(&self.spec.encoding, &used.profile));
            }
        }
        match &mut self.bank {
            Some(used) if instruction.only_if_commanded && !used.writer.holds_command(&used.profile) => {}
            Some(used) => instruct(&mut used.writer, instruction),
            None if instruction.only_if_commanded => {}
            None => self.waiting = Some(instruction),
        }
    }

    /// When there is something to do. What has to wait for the gap of its unit is announced, so that it goes before
    /// the meter's reads.
    pub fn wake_at(&self, now: Time) -> Time {
        let Some(used) = &self.bank else { return self.spec.bank.choice.probe_at(&self.endpoint) };
        let mut endpoint = self.endpoint.lock();
        let ready = endpoint.ready_at(used.unit, used.profile.gap);
        let poll = used.polls().then(|| self.schedule.due().max(ready));
        let write = used.next_write(now).map(|(at, _)| at);
        // A poll of a battery that is asked by the meter's task as a rule brings what its writes cannot do without.
        let urgent_poll = used.served.then_some(poll).flatten();
        if now < ready && write.or(urgent_poll).is_some_and(|at| at <= now.max(ready)) {
            endpoint.reserve(used.unit, used.profile.gap, now);
        }
        let write = write.map(|at| at.max(ready));
        let expiry = used.writer.valid_until();
        [poll, write, expiry].into_iter().flatten().min().unwrap_or(now + Span::from_s(1))
    }

    /// Does what is due, at most one request, and reports it.
    pub fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        if self.bank.is_none() && !self.find_bank(clock, report) {
            return;
        }
        let (fallback, objection) = (self.spec.fallback, self.spec.objection);
        let Some(used) = &mut self.bank else { return };
        // Another task may be using the link. What is sent is what holds when it is our turn.
        let mut endpoint = self.endpoint.lock();
        let now = clock.now();
        if used.notice_reconnect(&endpoint) && !used.writer.context.is_complete(&used.profile) {
            self.schedule.restart(now);
        }
        let fallback = allowed(&used.writer, fallback, objection);
        if used.writer.valid_until().is_some_and(|until| now >= until) {
            // Nobody knows any more what the BMS says.
            self.objection = objection;
        }
        if used.writer.expire(now, fallback) {
            log::warn!("battery {}: no fresh command, applying the fallback", self.spec.name);
        }
        if now < endpoint.ready_at(used.unit, used.profile.gap) {
            return;
        }
        match used.next_write(now) {
            Some((at, job)) if at <= now => {
                if let Job::Setpoint(watts) = job {
                    report(Event::Sending(self.spec.index, watts, now));
                }
                report(Event::Written(self.spec.index, used.write(job, &mut endpoint, clock)));
            }
            _ if used.polls() && now >= self.schedule.due() => {
                self.schedule.started(now);
                let polled = used.poll(&mut endpoint, clock);
                if polled.fault.is_some() {
                    self.schedule.failed(clock.now());
                } else if let Some(failure) = used.cannot_encode(clock.now()) {
                    report(Event::Written(self.spec.index, failure));
                }
                report(Event::Battery(self.spec.index, polled));
            }
            _ => {}
        }
    }

    /// Hands the battery back to its own control, if it stands under a command; one whose BMS objects is left at 0 W, or between limits that
    /// forbid what the BMS forbids. Each write is tried once more after a fault. False when one of them was not acknowledged.
    pub fn release(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) -> bool {
        let Some(used) = &mut self.bank else { return true };
        if !used.writer.holds_command(&used.profile) {
            return true;
        }
        let mut released = true;
        let end = allowed(&used.writer, Command::Release, self.objection);
        if let Some(objection) = self.objection {
            log::warn!("battery {}: {}", self.spec.name, left_at(end, objection));
        }
        used.writer.want(end, true, Time::from_ms(u64::MAX));
        self.endpoint.lock().set_timeout(RELEASE_TIMEOUT.to_duration());
        for job in used.writer.end_jobs(&used.profile, end) {
            for attempt in 0..2 {
                let written = used.write(job, &mut self.endpoint.lock(), clock);
                let failed = written.fault.clone();
                report(Event::Written(self.spec.index, written));
                match failed {
                    None => break,
                    Some(fault) => log::warn!("battery {}: {} was not acknowledged: {fault}", self.spec.name, end_name(end)),
                }
                released &= attempt == 0;
            }
        }
        released
    }

    /// Finds out which bank to use; true when it is known.
    fn find_bank(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) -> bool {
        let nothing_fits = "none of its register banks can be used for one battery with this control mode";
        let found = self.spec.bank.choice.search(&self.endpoint, clock, nothing_fits, |banks| self.spec.bank.pick(banks));
        let endpoint = self.endpoint.lock();
        let profile = match found {
            Ok(profile) => profile,
            Err(None) => return false,
            Err(fault) => {
                let link = link_report(&endpoint);
                let (device, notices) = (String::new(), Vec::new());
                let nothing = BatteryReport { at: clock.now(), sample: None, state: None, notices, device, fault, link };
                report(Event::Battery(self.spec.index, nothing));
                return false;
            }
        };
        let served =
            self.spec.meter.as_ref().and_then(|m| Some((m.pick(&endpoint.banks)?.0, m))).is_some_and(|(total, m)| {
                total.name == profile.name && m.choice.unit_of(&total) == self.spec.bank.choice.unit_of(&profile)
            });
        log::info!("battery {}: read as {} on unit {}", self.spec.name, profile.name, self.spec.bank.choice.unit_of(&profile));
        let mut writer = self.writer(&profile);
        // What the probe brought need not be asked for again before the first command.
        if let Bank::Alive { context } = endpoint.banks.state(&profile.name) {
            writer.context = Context { offset: writer.context.offset, ..context };
        }
        if let Some(instruction) = self.waiting.take() {
            instruct(&mut writer, instruction);
        }
        let unit = self.spec.bank.choice.unit_of(&profile);
        let generation = endpoint.generation();
        self.bank = Some(BankInUse { requests: battery_requests(&profile), unit, served, writer, profile, generation });
        true
    }

    fn writer(&self, profile: &Profile) -> Writer {
        let longest = Span::from_s(600);
        let refresh = profile.setpoint.as_ref().map(|s| Span::from_ms(s.refresh.as_ms() / 2));
        let budget = Budget {
            spacing: self.spec.write_spacing.unwrap_or(profile.budget.spacing),
            // A refresh must find a write in time, whatever the configuration says.
            refill: self.spec.write_refill.unwrap_or(profile.budget.refill).min(refresh.unwrap_or(longest)).max(Span::from_ms(1)),
            ..profile.budget
        };
        let offset = offset(&self.spec.encoding, profile);
        Writer::new(profile, self.spec.settings, Bucket::new(budget), Context { offset, ..Context::default() })
    }
}

/// What the encoding of this name adds to a setpoint.
fn offset(encoding: &str, profile: &Profile) -> i64 {
    let encodings = profile.setpoint.as_ref().map_or(&[][..], |s| &s.encodings);
    encodings.iter().find(|e| e.0 == encoding).map_or(0, |e| e.1)
}

/// This command, or the nearest that the BMS has nothing against.
fn allowed(writer: &Writer, command: Command, objection: Option<Objection>) -> Command {
    match (command, objection) {
        (Command::Release, Some(objection)) => writer.rest(objection.allows_charging(), objection.allows_discharging()),
        (command, _) => command,
    }
}

/// Where a battery is left that is not handed back, and why, in words.
pub fn left_at(end: Command, objection: Objection) -> String {
    let place = match end {
        Command::Limits { charge_w: 0, discharge_w: 0 } => "limits of 0 W",
        Command::Limits { charge_w: 0, .. } => "a charge limit of 0 W",
        Command::Limits { .. } => "a discharge limit of 0 W",
        Command::Setpoint(_) | Command::Release => "0 W",
    };
    format!("left at {place}, because {objection}")
}

fn end_name(end: Command) -> &'static str {
    match end {
        Command::Release => "the release",
        Command::Setpoint(_) | Command::Limits { .. } => "0 W at the end",
    }
}

fn instruct(writer: &mut Writer, instruction: Instruction) {
    match instruction.order {
        Order::Silent => {}
        Order::Setpoint { watts, urgent } => writer.want(Command::Setpoint(watts), urgent, instruction.valid_until),
        Order::Limits { charge_w, discharge_w, urgent } => {
            writer.want(Command::Limits { charge_w, discharge_w }, urgent, instruction.valid_until);
        }
        Order::Release => writer.want(allowed(writer, Command::Release, instruction.objection), true, instruction.valid_until),
    }
}
