//! Conditions a person should know of, each with the time since when it holds. The list is fixed at the start, so it cannot grow.

use crate::units::{Phase, Time};

/// A condition that is reported until it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// No good meter sample for longer than the hold age.
    MeterLost,
    /// The meter answers, but always the same.
    MeterFrozen,
    /// The meter says what cannot be.
    MeterImplausible,
    /// More current than the fuse should carry.
    FuseOverload(Phase),
    /// No usable data of this battery.
    BatteryLost(usize),
    /// The battery does not do what it is told.
    NotFollowed(usize),
    /// Writes to this battery fail.
    WritesFail(usize),
    /// The grid moves the wrong way when this battery moves: a sign is wrong.
    SignWrong(usize),
    /// The grid moves on this phase when the battery moves, and not on the one it is said to be on.
    PhaseWrong(usize, Phase),
}

/// All alarms of a site.
#[derive(Clone, PartialEq, Debug)]
pub struct AlarmBoard {
    entries: Vec<(Alarm, Option<Time>)>,
}

impl AlarmBoard {
    /// For a site of `batteries`.
    pub fn new(batteries: usize) -> AlarmBoard {
        let mut entries = vec![(Alarm::MeterLost, None), (Alarm::MeterFrozen, None), (Alarm::MeterImplausible, None)];
        entries.extend(Phase::ALL.map(|p| (Alarm::FuseOverload(p), None)));
        for k in 0..batteries {
            entries.extend([
                (Alarm::BatteryLost(k), None),
                (Alarm::NotFollowed(k), None),
                (Alarm::WritesFail(k), None),
                (Alarm::SignWrong(k), None),
            ]);
            entries.extend(Phase::ALL.map(|p| (Alarm::PhaseWrong(k, p), None)));
        }
        AlarmBoard { entries }
    }

    /// Notes whether `alarm` holds at `now`.
    pub fn set(&mut self, alarm: Alarm, holds: bool, now: Time) {
        if let Some(entry) = self.entries.iter_mut().find(|e| e.0 == alarm) {
            match (holds, entry.1) {
                (true, None) => entry.1 = Some(now),
                (false, _) => entry.1 = None,
                _ => {}
            }
        }
    }

    /// Whether `alarm` holds.
    pub fn holds(&self, alarm: Alarm) -> bool {
        self.entries.iter().any(|e| e.0 == alarm && e.1.is_some())
    }

    /// The alarms that hold, and since when.
    pub fn active(&self) -> impl Iterator<Item = (Alarm, Time)> + '_ {
        self.entries.iter().filter_map(|&(a, since)| since.map(|t| (a, t)))
    }
}
