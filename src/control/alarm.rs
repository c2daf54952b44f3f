//! Conditions a person should know of, each with the time since when it holds. The list is fixed at the start, so it cannot grow.

use super::input::Implausible;
use crate::units::{Phase, Time};

/// A condition that is reported until it ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Alarm {
    /// No good meter sample for longer than the hold age.
    MeterLost,
    /// The meter answers, but always the same.
    MeterFrozen,
    /// The meter says what cannot be; what it was when that began.
    MeterImplausible(Implausible),
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
    /// The BMS of this battery is not heard.
    BmsLost(usize),
    /// The grid moves on this phase when the battery moves, and not on the one it is said to be on.
    PhaseWrong(usize, Phase),
}

/// Alarms of the site, and of each battery.
const OF_SITE: usize = 6;
const OF_BATTERY: usize = 8;

/// Where an alarm stands on the board.
fn place(alarm: Alarm) -> usize {
    let battery = |k: usize, n: usize| OF_SITE + k * OF_BATTERY + n;
    match alarm {
        Alarm::MeterLost => 0,
        Alarm::MeterFrozen => 1,
        Alarm::MeterImplausible(_) => 2,
        Alarm::FuseOverload(phase) => 3 + phase.index(),
        Alarm::BatteryLost(k) => battery(k, 0),
        Alarm::NotFollowed(k) => battery(k, 1),
        Alarm::WritesFail(k) => battery(k, 2),
        Alarm::SignWrong(k) => battery(k, 3),
        Alarm::PhaseWrong(k, phase) => battery(k, 4 + phase.index()),
        Alarm::BmsLost(k) => battery(k, 7),
    }
}

/// All alarms of a site.
#[derive(Clone, PartialEq, Debug)]
pub struct AlarmBoard {
    entries: Vec<(Alarm, Option<Time>)>,
}

impl AlarmBoard {
    /// For a site of `batteries`.
    pub fn new(batteries: usize) -> AlarmBoard {
        let mut entries = vec![(Alarm::MeterLost, None); OF_SITE + batteries * OF_BATTERY];
        let meter = [Alarm::MeterLost, Alarm::MeterFrozen, Alarm::MeterImplausible(Implausible::Nothing)];
        let site = meter.into_iter().chain(Phase::ALL.map(Alarm::FuseOverload));
        let battery = |k| {
            let own = [Alarm::BatteryLost(k), Alarm::NotFollowed(k), Alarm::WritesFail(k), Alarm::SignWrong(k)];
            own.into_iter().chain(Phase::ALL.map(|p| Alarm::PhaseWrong(k, p))).chain([Alarm::BmsLost(k)])
        };
        for alarm in site.chain((0..batteries).flat_map(battery)) {
            entries[place(alarm)] = (alarm, None);
        }
        AlarmBoard { entries }
    }

    /// Notes whether `alarm` holds at `now`. While it holds it stays as it was when it began.
    pub fn set(&mut self, alarm: Alarm, holds: bool, now: Time) {
        if let Some(entry) = self.entries.get_mut(place(alarm)) {
            match (holds, entry.1) {
                (true, None) => *entry = (alarm, Some(now)),
                (false, _) => entry.1 = None,
                _ => {}
            }
        }
    }

    /// Whether `alarm` holds, with whatever value.
    pub fn holds(&self, alarm: Alarm) -> bool {
        self.entries.get(place(alarm)).is_some_and(|e| e.1.is_some())
    }

    /// The alarms that hold, and since when.
    pub fn active(&self) -> impl Iterator<Item = (Alarm, Time)> + '_ {
        self.entries.iter().filter_map(|&(a, since)| since.map(|t| (a, t)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alarm_has_a_place_of_its_own() {
        let mut board = AlarmBoard::new(2);
        assert!(board.entries.iter().enumerate().all(|(i, e)| place(e.0) == i));
        board.set(Alarm::PhaseWrong(1, Phase::L3), true, Time::from_ms(5));
        board.set(Alarm::PhaseWrong(1, Phase::L3), true, Time::from_ms(7));
        assert_eq!(board.active().collect::<Vec<_>>(), [(Alarm::PhaseWrong(1, Phase::L3), Time::from_ms(5))]);
        board.set(Alarm::WritesFail(2), true, Time::ZERO);
        assert!(!board.holds(Alarm::WritesFail(2)), "there is no third battery");
    }

    #[test]
    fn an_alarm_keeps_the_value_with_which_it_began() {
        let mut board = AlarmBoard::new(0);
        let alarm = |power_w| Alarm::MeterImplausible(Implausible::Total { power_w });
        board.set(alarm(500_000), true, Time::from_ms(5));
        board.set(alarm(600_000), true, Time::from_ms(7));
        assert_eq!(
            board.active().collect::<Vec<_>>(),
            [(alarm(500_000), Time::from_ms(5))],
            "else every sample would be a line in the log"
        );
        board.set(alarm(0), false, Time::from_ms(8));
        assert!(!board.holds(alarm(500_000)));
        board.set(alarm(600_000), true, Time::from_ms(9));
        assert_eq!(board.active().collect::<Vec<_>>(), [(alarm(600_000), Time::from_ms(9))]);
    }
}
