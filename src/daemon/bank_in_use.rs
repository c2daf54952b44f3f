//! The register bank that a battery is read and written through: one poll, one write, and what they mean for the core.
//!
//! It never decides when; the battery's task does. It never keeps the link for more than its request.

use std::sync::Arc;

use super::clock::Clock;
use super::endpoint::Endpoint;
use super::message::{BatteryReport, LinkReport, WriteReport};
use super::reading;
use crate::control::input::Written;
use crate::device::decode::Registers;
use crate::device::profile::{Block, Profile};
use crate::device::writer::{Job, Outcome, Writer};
use crate::link::fault::Fault;
use crate::units::Time;

/// A bank in use.
pub(super) struct BankInUse {
    /// What its registers mean.
    pub profile: Arc<Profile>,
    /// Its unit id.
    pub unit: u8,
    /// What a poll asks for.
    pub requests: Vec<Block>,
    /// The meter poller reads these registers anyway.
    pub served: bool,
    /// Decides what is written.
    pub writer: Writer,
    /// The connection that everything written refers to.
    pub generation: u64,
}

impl BankInUse {
    /// The battery is asked by this task: its registers do not come along with the meter's, or its writes depend on them.
    pub fn polls(&self) -> bool {
        let looks = self.profile.silent_unless_ready || self.profile.start.iter().any(|s| s.verify);
        !self.served || looks || !self.writer.context.is_complete(&self.profile)
    }

    /// The next write that can be encoded, and when it may go out.
    pub fn next_write(&self, now: Time) -> Option<(Time, Job)> {
        // Control is not taken before a setpoint can follow.
        let possible = |job: Job| match job {
            Job::Start(_) | Job::Heartbeat => self.writer.context.is_complete(&self.profile),
            job => self.writer.encode(&self.profile, job).is_some(),
        };
        self.writer.next(&self.profile, now).filter(|(_, job)| possible(*job))
    }

    /// A new connection may mean a restarted device: nothing that was written or learned can be relied on. True when there is one.
    pub fn notice_reconnect(&mut self, endpoint: &Endpoint) -> bool {
        let reconnected = endpoint.generation() != self.generation;
        if reconnected {
            self.generation = endpoint.generation();
            self.writer.forget();
            self.writer.context.forget();
        }
        reconnected
    }

    /// Asks for everything, once.
    pub fn poll(&mut self, endpoint: &mut Endpoint, clock: &dyn Clock) -> BatteryReport {
        let mut registers = Registers::default();
        let mut fault = None;
        for request in &self.requests {
            match endpoint.read(self.unit, request, self.profile.gap, clock) {
                Ok(values) => registers.add(request, values),
                Err(error) => {
                    fault = Some(Fault::of(&error));
                    break;
                }
            }
        }
        // What this answer says belongs to the connection it came on.
        self.notice_reconnect(endpoint);
        let report = report(&self.profile, &registers, fault, link_report(endpoint), clock.now());
        let is_ready = report.sample.as_ref().map(|s| s.may_charge || s.may_discharge);
        self.writer.learn(&self.profile, &registers, is_ready, report.at);
        report
    }

    /// A command stands, but the device has not said what its setpoint refers to: as bad as a write that fails.
    pub fn cannot_encode(&self, now: Time) -> Option<WriteReport> {
        let waits = self.writer.holds_command(&self.profile) && !self.writer.context.is_complete(&self.profile);
        let fault = Fault::Invalid("the device does not tell the reference power of its setpoint".into());
        waits.then(|| WriteReport { at: now, written: Some(Written::Refused), what: "setpoint".into(), fault: Some(fault) })
    }

    /// Makes one write.
    pub fn write(&mut self, job: Job, endpoint: &mut Endpoint, clock: &dyn Clock) -> WriteReport {
        let Some(raw) = self.writer.encode(&self.profile, job) else {
            let fault = Some(Fault::Invalid("the device has not told its reference power yet".into()));
            return WriteReport { at: clock.now(), written: None, what: said(job), fault };
        };
        let answer = endpoint.write(self.unit, &raw, self.profile.gap, clock);
        let fault = answer.as_ref().err().map(Fault::of);
        let outcome = match &fault {
            None => Outcome::Acknowledged,
            Some(Fault::Exception(_)) => Outcome::Refused,
            Some(_) => Outcome::Unknown,
        };
        let now = clock.now();
        self.writer.done(&self.profile, job, outcome, now);
        // A reconnect that this very write caused does not make it forgotten.
        if self.notice_reconnect(endpoint) && outcome == Outcome::Acknowledged {
            self.writer.note(job, now);
        }
        WriteReport { at: now, written: self.meaning(job, outcome), what: said(job), fault }
    }

    /// What the core is told of a write.
    fn meaning(&self, job: Job, outcome: Outcome) -> Option<Written> {
        match (outcome, job) {
            // It stands only with what puts it into force.
            (Outcome::Acknowledged, Job::Setpoint(w)) if self.writer.lacks_required(&self.profile) => Some(Written::Unknown(w)),
            (Outcome::Acknowledged, Job::Setpoint(w)) => Some(Written::Setpoint(w)),
            (Outcome::Acknowledged, Job::Charge(_) | Job::Discharge(_)) => self.writer.limits_stand().then_some(Written::Limits),
            (Outcome::Acknowledged, Job::Release(_)) => Some(Written::Released),
            (Outcome::Acknowledged, Job::Start(_) | Job::Heartbeat) => None,
            (_, Job::Start(_)) if self.writer.is_optional(&self.profile, job) => None,
            (Outcome::Unknown, Job::Setpoint(w)) => Some(Written::Unknown(w)),
            (Outcome::Unknown, _) => Some(Written::NotAcknowledged),
            (Outcome::Refused, _) => Some(Written::Refused),
        }
    }
}

/// What a poll brought.
pub fn report(profile: &Profile, registers: &Registers, fault: Option<Fault>, link: LinkReport, now: Time) -> BatteryReport {
    let mut values = reading::battery(profile, registers, now);
    if fault.is_some() {
        // Of registers that did not come it would say "unknown".
        values.state = None;
    }
    let fault = fault.or_else(|| values.sample.is_none().then(|| Fault::Invalid("power or state of charge is no usable value".into())));
    BatteryReport {
        at: now,
        sample: values.sample.filter(|_| fault.is_none()),
        state: values.state,
        notices: values.notices,
        device: profile.name.clone(),
        fault,
        link,
    }
}

/// The state of the link.
pub fn link_report(endpoint: &Endpoint) -> LinkReport {
    LinkReport { name: endpoint.name(), counters: endpoint.counters() }
}

fn said(job: Job) -> String {
    match job {
        Job::Start(_) => "control settings".into(),
        Job::Heartbeat => "heartbeat".into(),
        Job::Setpoint(w) => format!("setpoint {w} W"),
        Job::Charge(w) => format!("charge limit {w} W"),
        Job::Discharge(w) => format!("discharge limit {w} W"),
        Job::Release(_) => "handing back".into(),
    }
}
