//! Decides which register of a battery is written next, and when: the newest command wins the slot, an old one is never sent.
//!
//! ```text
//!   nothing wanted ── command ──► start writes ──► asserted ── changed, or refresh due ──► written again
//!                                     ▲                │
//!                                     │ reconnected,   │ expired: the fallback is wanted instead
//!                                     └ write unknown ─┘ release wanted: handed back
//! ```
//! It never sends: it says what to send, and is told what came of it. A write whose outcome is unknown counts as not made; the next one
//! carries the command of that moment. Holding 0 W is refreshed like any other value.

use super::budget::Bucket;
use super::decode::Registers;
use super::encode::{self, Context};
use super::profile::{FixedWrite, Profile, RawWrite, Words};
use crate::units::{Span, Time};

/// Stands for a start write after the setpoint that was not acknowledged, which is tried again after a while.
const NOT_TAKEN: i64 = -1;
const OPTIONAL_AGAIN: Span = Span::from_s(60);
/// The same for one without which the command does not stand.
const REQUIRED_AGAIN: Span = Span::from_s(5);
/// What a device does not hold is not written more often than this: setpoints go on beside it.
const RESTORED_AGAIN: Span = Span::from_s(2);
/// A setpoint that was not refreshed for so many of its refreshes has lapsed, as it does when the process stood still: by its own timeout,
/// which is three of them or more (`spec/control.md` 2.6), the device may have left the mode that a start write gave it.
const LAPSES_AFTER: u64 = 2;
/// The repetition of a start write lets a changed setpoint pass for this long.
const START_CAN_WAIT: Span = Span::from_s(120);

/// What a battery is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// This power, W, discharge positive.
    Setpoint(i64),
    /// Balance by itself inside these limits, W.
    Limits {
        /// Most it may charge with.
        charge_w: i64,
        /// Most it may discharge with.
        discharge_w: i64,
    },
    /// Handed back to its own control.
    Release,
}

/// One write, and what it stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Job {
    /// The n-th start write.
    Start(usize),
    /// The sign of life that a setpoint or a limit needs before it.
    Heartbeat,
    /// The setpoint, W.
    Setpoint(i64),
    /// The charge limit, W.
    Charge(i64),
    /// The discharge limit, W.
    Discharge(i64),
    /// The n-th release write.
    Release(usize),
}

/// What came of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The device acknowledged it.
    Acknowledged,
    /// The device refused it.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// What the writer needs to know about its battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Smaller changes are not worth a write, W.
    pub deadband_w: i64,
    /// Limits that stand for "no limit", W.
    pub rated_charge_w: i64,
    /// See `rated_charge_w`.
    pub rated_discharge_w: i64,
    /// The battery takes limits instead of setpoints.
    pub limits: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Wanted {
    command: Command,
    urgent: bool,
    valid_until: Time,
}

/// The last acknowledged value of a register, and when.
type Asserted = Option<(i64, Time)>;

/// The writer of one battery.
#[derive(Clone, PartialEq, Debug)]
pub struct Writer {
    settings: Settings,
    bucket: Bucket,
    wanted: Option<Wanted>,
    start: Vec<Asserted>,
    setpoint: Asserted,
    charge: Asserted,
    discharge: Asserted,
    /// Something was written that was not taken back since.
    commanded: bool,
    /// A setpoint other than 0 W may be in force.
    setpoint_stands: bool,
    /// A setpoint was ever sent, whatever came of it.
    setpoint_sent: bool,
    /// Release writes made; `None` while a command stands.
    released: Option<usize>,
    /// Setpoints are told in steps of this, W.
    step_w: i64,
    /// Which of the two values of the heartbeat is next.
    beat: usize,
    /// The heartbeat of the next setpoint was acknowledged.
    has_beaten: bool,
    /// What the device said last: it may be charged or discharged, or neither; `None`: nothing yet.
    is_ready: Option<bool>,
    /// What a percentage setpoint refers to.
    pub context: Context,
}

impl Writer {
    /// A writer that wants nothing yet.
    pub fn new(profile: &Profile, settings: Settings, bucket: Bucket, context: Context) -> Writer {
        Writer {
            settings,
            bucket,
            wanted: None,
            start: vec![None; profile.start.len()],
            setpoint: None,
            charge: None,
            discharge: None,
            commanded: false,
            setpoint_stands: false,
            setpoint_sent: false,
            released: None,
            step_w: profile.setpoint.as_ref().map_or(1, encode::step_w),
            beat: 0,
            has_beaten: false,
            is_ready: None,
            context,
        }
    }

    /// A new command. Urgency of a command that was not yet sent is kept.
    pub fn want(&mut self, command: Command, urgent: bool, valid_until: Time) {
        let command = match command {
            // Towards zero: never more than commanded.
            Command::Setpoint(w) => Command::Setpoint(w - w % self.step_w),
            command => command,
        };
        let pending_urgency = self.wanted.is_some_and(|w| w.urgent && !self.is_asserted(w.command));
        self.wanted = Some(Wanted { command, urgent: urgent || pending_urgency, valid_until });
    }

    /// Replaces a command that has expired by `fallback`. True when it did.
    pub fn expire(&mut self, now: Time, fallback: Command) -> bool {
        let Some(expired) = self.wanted.filter(|w| now >= w.valid_until) else { return false };
        self.want(fallback, true, Time::from_ms(u64::MAX));
        expired.command != fallback
    }

    /// When the command in force expires.
    pub fn valid_until(&self) -> Option<Time> {
        self.wanted.map(|w| w.valid_until)
    }

    /// Takes what a poll brought: what the setpoint refers to, whether the device is ready (`None`: it did not say), and which of the
    /// start writes it no longer holds.
    pub fn learn(&mut self, profile: &Profile, registers: &Registers, is_ready: Option<bool>, now: Time) {
        self.context.learn(profile, registers);
        self.is_ready = is_ready.or(self.is_ready);
        let lost = |(fixed, asserted): (&FixedWrite, &Asserted)| {
            let is_due = asserted.is_some_and(|a| a.0 != NOT_TAKEN && now.since(a.1) >= RESTORED_AGAIN);
            fixed.verify && is_due && differs(fixed, registers)
        };
        if let Some(last) = profile.start.iter().zip(&self.start).rposition(lost) {
            // Who has lost one of them may have lost those before it as well, which must stand first: a timeout before its mode.
            let before = profile.start.iter().zip(&mut self.start).take(last + 1);
            let needed = before.filter(|(fixed, asserted)| (fixed.required || fixed.verify) && asserted.is_some_and(|a| a.0 != NOT_TAKEN));
            needed.for_each(|(_, asserted)| *asserted = None);
        }
    }

    /// The connection is new, or the device restarted: nothing that was written can be relied on.
    pub fn forget(&mut self) {
        (self.has_beaten, self.is_ready) = (false, None);
        self.start.fill(None);
        (self.setpoint, self.charge, self.discharge) = (None, None, None);
        if self.released.is_some() {
            self.released = Some(0);
        }
    }

    /// Setpoints are encoded in another way from now on: what was written meant something else, and 0 W was not 0 W.
    pub fn change_offset(&mut self, offset: i64) {
        self.context.offset = offset;
        self.forget();
        self.setpoint_stands |= self.setpoint_sent;
    }

    /// The next write and the time at which it may go out.
    pub fn next(&self, profile: &Profile, now: Time) -> Option<(Time, Job)> {
        let wanted = self.wanted?;
        let (due, job) = match wanted.command {
            Command::Setpoint(w) if self.is_silent(profile) => self.next_end(profile, w, now)?,
            Command::Limits { .. } if self.is_silent(profile) => self.next_end(profile, 0, now)?,
            Command::Setpoint(w) => self.next_setpoint(profile, w, now)?,
            Command::Limits { charge_w, discharge_w } => self.next_limit(profile, charge_w, discharge_w, now)?,
            Command::Release => (now, self.next_release(profile)?),
        };
        // What belongs to a heartbeat need not wait once that is out.
        let at_once = wanted.urgent || (self.has_beaten && needs_heartbeat(job));
        Some((due.max(self.bucket.ready_at(at_once, now)), job))
    }

    /// The bytes of a job; `None` while the device has not yet said what it takes.
    pub fn encode(&self, profile: &Profile, job: Job) -> Option<RawWrite> {
        match job {
            Job::Start(i) => profile.start.get(i).map(|fixed| fixed.write),
            Job::Release(i) => profile.release.get(i).map(|fixed| fixed.write),
            Job::Heartbeat => profile.heartbeat.map(|h| RawWrite {
                address: h.address,
                function: h.function,
                words: Words::one(h.values[self.beat % h.values.len()]),
            }),
            Job::Setpoint(w) => encode::setpoint(profile.setpoint.as_ref()?, w, &self.context),
            Job::Charge(w) => encode::limit(&profile.limits.as_ref()?.charge, w),
            Job::Discharge(w) => encode::limit(&profile.limits.as_ref()?.discharge, w),
        }
    }

    /// A job was sent.
    pub fn done(&mut self, profile: &Profile, job: Job, outcome: Outcome, now: Time) {
        match job {
            Job::Start(_) => self.bucket.spend_in_sequence(now),
            // Together with its setpoint it is one write of the budget; alone it is one, too.
            Job::Heartbeat if outcome == Outcome::Acknowledged => {}
            _ => self.bucket.spend(now),
        }
        self.commanded |= !matches!(job, Job::Release(_));
        let asserted = |w: i64| (outcome == Outcome::Acknowledged).then_some((w, now));
        let releasing = self.wanted.is_some_and(|w| w.command == Command::Release);
        match job {
            // A device that does not take what is only of use beside its setpoint is asked again later.
            Job::Start(i) if outcome != Outcome::Acknowledged && profile.start.get(i).is_some_and(|f| f.after_setpoint) => {
                self.start[i] = Some((NOT_TAKEN, now));
            }
            Job::Start(i) => self.start[i] = asserted(0),
            Job::Heartbeat => {
                // Also after an unknown outcome: at worst one sign of life is repeated, and the next one is a new one again.
                self.beat ^= 1;
                self.has_beaten = outcome == Outcome::Acknowledged;
            }
            Job::Setpoint(w) => {
                self.has_beaten = false;
                self.setpoint = asserted(w);
                self.setpoint_sent = true;
                self.setpoint_stands = w != 0 || (self.setpoint_stands && outcome != Outcome::Acknowledged);
            }
            Job::Charge(w) => (self.has_beaten, self.charge) = (false, asserted(w)),
            Job::Discharge(w) => (self.has_beaten, self.discharge) = (false, asserted(w)),
            Job::Release(_) if outcome == Outcome::Acknowledged => (self.setpoint, self.setpoint_stands) = (None, false),
            Job::Release(_) => {}
        }
        if !releasing {
            self.released = None;
        } else if outcome == Outcome::Acknowledged && !(self.settings.limits && matches!(job, Job::Setpoint(_))) {
            self.released = Some(self.released.unwrap_or(0) + 1);
            if self.next_release(profile).is_none() {
                self.commanded = false;
                self.start.fill(None);
                (self.setpoint, self.charge, self.discharge) = (None, None, None);
            }
        }
    }

    /// The device acknowledged this job after everything else was forgotten.
    pub fn note(&mut self, job: Job, now: Time) {
        match job {
            Job::Start(i) => self.start[i] = Some((0, now)),
            Job::Heartbeat => self.has_beaten = true,
            Job::Setpoint(w) => self.setpoint = Some((w, now)),
            Job::Charge(w) => self.charge = Some((w, now)),
            Job::Discharge(w) => self.discharge = Some((w, now)),
            Job::Release(i) => self.released = Some(i + 1),
        }
    }

    /// Both limits are acknowledged.
    pub fn limits_stand(&self) -> bool {
        self.charge.is_some() && self.discharge.is_some()
    }

    /// The command stands without this write.
    pub fn is_optional(&self, profile: &Profile, job: Job) -> bool {
        matches!(job, Job::Start(i) if profile.start.get(i).is_some_and(|w| w.after_setpoint && !w.required))
    }

    /// A write without which no setpoint is in force was not taken.
    pub fn lacks_required(&self, profile: &Profile) -> bool {
        profile.start.iter().zip(&self.start).any(|(fixed, asserted)| fixed.required && asserted.is_some_and(|a| a.0 == NOT_TAKEN))
    }

    /// What comes nearest to its own control for a battery that may not be handed back: 0 W, or limits that let through no more than this.
    pub fn rest(&self, may_charge: bool, may_discharge: bool) -> Command {
        let most = |may: bool, rated_w: i64| if may { rated_w } else { 0 };
        let charge_w = most(may_charge, self.settings.rated_charge_w);
        let discharge_w = most(may_discharge, self.settings.rated_discharge_w);
        if self.settings.limits { Command::Limits { charge_w, discharge_w } } else { Command::Setpoint(0) }
    }

    /// What brings the device to this command, in order, whatever it holds: for the end, when nothing can be written later.
    pub fn end_jobs(&self, profile: &Profile, command: Command) -> Vec<Job> {
        match command {
            Command::Release => self.release_jobs(profile),
            Command::Limits { charge_w, discharge_w } => self.limit_jobs(profile, charge_w, discharge_w),
            Command::Setpoint(w) => {
                // Without what puts it into force, it would be no command.
                let missing = |after: bool| {
                    let starts = profile.start.iter().zip(&self.start).enumerate();
                    let needed = move |fixed: &FixedWrite| fixed.after_setpoint == after && (!after || fixed.required);
                    starts.filter(move |(_, (fixed, asserted))| needed(fixed) && asserted.is_none()).map(|(i, _)| Job::Start(i))
                };
                let beat = profile.heartbeat.iter().map(|_| Job::Heartbeat);
                missing(false).chain(beat).chain([Job::Setpoint(w)]).chain(missing(true)).collect()
            }
        }
    }

    fn limit_jobs(&self, profile: &Profile, charge_w: i64, discharge_w: i64) -> Vec<Job> {
        let first = self.setpoint_stands.then(|| no_setpoint(profile));
        first.into_iter().chain([Job::Charge(charge_w), Job::Discharge(discharge_w)]).collect()
    }

    /// What hands the device back, in order: the profile's own writes, or what means the same.
    pub fn release_jobs(&self, profile: &Profile) -> Vec<Job> {
        if !profile.release.is_empty() {
            (0..profile.release.len()).map(Job::Release).collect()
        } else if self.settings.limits {
            self.limit_jobs(profile, self.settings.rated_charge_w, self.settings.rated_discharge_w)
        } else {
            profile.heartbeat.iter().map(|_| Job::Heartbeat).chain([Job::Setpoint(0)]).collect()
        }
    }

    /// A command stands, or may stand, at the device.
    pub fn holds_command(&self, profile: &Profile) -> bool {
        let asked = self.wanted.is_some_and(|w| w.command != Command::Release);
        // A release that is wanted and was not written yet, or not completely, leaves the command standing.
        asked || self.commanded || self.released.is_some_and(|n| n < self.release_jobs(profile).len())
    }

    fn next_release(&self, profile: &Profile) -> Option<Job> {
        self.release_jobs(profile).get(self.released.unwrap_or(0)).copied()
    }

    fn next_setpoint(&self, profile: &Profile, w: i64, now: Time) -> Option<(Time, Job)> {
        let refresh = profile.setpoint.as_ref()?.refresh;
        let mut next = (self.due(self.setpoint, w, refresh, now), Job::Setpoint(w));
        let long_ago = |at: Time| refresh > Span::ZERO && now.since(at) >= refresh.times(LAPSES_AFTER);
        let has_lapsed = self.setpoint.is_some_and(|a| long_ago(a.1));
        for (i, write) in profile.start.iter().enumerate() {
            match self.start[i] {
                None if !write.after_setpoint => return Some((now, Job::Start(i))),
                Some((0, at)) if has_lapsed && !write.after_setpoint && long_ago(at) => return Some((now, Job::Start(i))),
                // It puts the setpoint into force.
                None if write.required && self.setpoint.is_some() => return Some((now, Job::Start(i))),
                Some((NOT_TAKEN, at)) if write.required => {
                    let again = (at + REQUIRED_AGAIN, Job::Start(i));
                    if again.0 <= now {
                        return Some(again);
                    }
                    next = earlier(next, again);
                    // What follows may not come without it.
                    break;
                }
                None if self.setpoint.is_some() => next = earlier(next, (now, Job::Start(i))),
                Some((NOT_TAKEN, at)) if next.0 > now => next = earlier(next, (at + OPTIONAL_AGAIN, Job::Start(i))),
                // A changed setpoint goes before a repetition that can wait a little.
                Some((_, at)) => {
                    let again = write.refresh.map(|r| at + r).filter(|t| next.0 > now || now.since(*t) > START_CAN_WAIT);
                    next = again.map_or(next, |t| earlier(next, (t, Job::Start(i))));
                }
                None => {}
            }
        }
        Some(self.with_heartbeat(profile, next))
    }

    /// The heartbeat goes before its setpoint, or its limit.
    fn with_heartbeat(&self, profile: &Profile, next: (Time, Job)) -> (Time, Job) {
        let beats = needs_heartbeat(next.1) && profile.heartbeat.is_some() && !self.has_beaten;
        if beats { (next.0, Job::Heartbeat) } else { next }
    }

    /// Nothing is written to a device that is not ready, except what ends a command.
    fn is_silent(&self, profile: &Profile) -> bool {
        profile.silent_unless_ready && self.is_ready != Some(true)
    }

    /// What a device that is not ready, or has not said so, is told: 0 W where another setpoint may be in force.
    fn next_end(&self, profile: &Profile, w: i64, now: Time) -> Option<(Time, Job)> {
        let ends = self.setpoint_stands && (w == 0 || self.is_ready == Some(false));
        ends.then(|| self.with_heartbeat(profile, (now, Job::Setpoint(0))))
    }

    fn next_limit(&self, profile: &Profile, charge_w: i64, discharge_w: i64, now: Time) -> Option<(Time, Job)> {
        let refresh = profile.limits.as_ref()?.refresh;
        // A battery that was commanded for a while: its setpoint is taken back, or its own control goes on when the device's timeout has
        // passed.
        if self.setpoint_stands {
            return Some((now, no_setpoint(profile)));
        }
        let charge = (self.due(self.charge, charge_w, refresh, now), Job::Charge(charge_w));
        let discharge = (self.due(self.discharge, discharge_w, refresh, now), Job::Discharge(discharge_w));
        Some(self.with_heartbeat(profile, earlier(charge, discharge)))
    }

    /// When this value must be written, given what was.
    fn due(&self, asserted: Asserted, wanted: i64, refresh: Span, now: Time) -> Time {
        match asserted {
            None => now,
            Some((w, at)) => {
                let deadband_w = if self.wanted.is_some_and(|w| w.urgent) { 1 } else { self.settings.deadband_w.max(1) };
                let changed = (wanted - w).abs() >= deadband_w || (wanted == 0) != (w == 0);
                if changed { now } else { at + refresh }
            }
        }
    }

    fn is_asserted(&self, command: Command) -> bool {
        match command {
            Command::Setpoint(w) => self.setpoint.is_some_and(|a| a.0 == w),
            Command::Limits { charge_w, discharge_w } => {
                self.charge.is_some_and(|a| a.0 == charge_w) && self.discharge.is_some_and(|a| a.0 == discharge_w)
            }
            Command::Release => self.released.is_some(),
        }
    }
}

/// What ends a setpoint of a device that goes on between limits.
fn no_setpoint(profile: &Profile) -> Job {
    if profile.release.is_empty() { Job::Setpoint(0) } else { Job::Release(0) }
}

/// What counts only while the device hears a heartbeat, where it wants one.
fn needs_heartbeat(job: Job) -> bool {
    matches!(job, Job::Setpoint(_) | Job::Charge(_) | Job::Discharge(_))
}

/// The one that is due first; `a` when both are.
fn earlier(a: (Time, Job), b: (Time, Job)) -> (Time, Job) {
    if b.0 < a.0 { b } else { a }
}

/// The device holds something else than what was written; what was not read differs from nothing.
fn differs(fixed: &FixedWrite, registers: &Registers) -> bool {
    let word = |k: usize| registers.get(fixed.write.address.checked_add(u16::try_from(k).ok()?)?);
    fixed.write.words.as_slice().iter().enumerate().any(|(k, written)| word(k).is_some_and(|held| held != *written))
}
