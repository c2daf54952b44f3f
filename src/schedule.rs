//! Which window of the configuration is active at a point of the wall clock, and what it asks for.
//!
//! **Answers for** windows in local time: days, windows over midnight, summer time. A window is active while the wall clock on the wall of
//! the house shows a time inside it: twice in the hour that is repeated in autumn; and a window that begins in the hour that is left out in
//! spring begins at the end of the gap. All windows are in one time zone and none overlaps another, so at most one is active.
//!
//! **Never** reads a clock, touches the control loop or does I/O: unix seconds go in, a window comes out.

mod window;
mod zone;

use std::fmt;

pub use window::{Day, Days, Window, clock};
pub use zone::{Local, Zone, utc};

use crate::control::demand::Action;

/// A wall clock that shows an earlier time, in unix seconds, was never set: 2024-01-01 00:00 UTC. A gateway without a battery-backed clock
/// starts in 1970, or when its image was made, until it has heard from a time server.
const SET_SINCE_S: i64 = 1_704_067_200;

/// How far [`Schedule::next`] looks ahead, days: past two weekly windows, one of which summer time may swallow.
const LOOK_DAYS: i64 = 15;

/// The windows of a site: at least one, all in one time zone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Schedule {
    /// Where the windows are local time.
    pub zone: Zone,
    /// In the order of the file; none overlaps another.
    pub windows: Vec<Window>,
}

/// What holds at a point of the wall clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Now {
    /// The wall clock was obviously never set, so no window is active.
    ClockNotSet,
    /// Between the windows.
    Nothing,
    /// This window, an index into [`Schedule::windows`].
    Active(usize),
}

/// One time that a window is active.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occurrence {
    /// Index into [`Schedule::windows`].
    pub window: usize,
    /// When it begins; `None` where it has begun already.
    pub from: Option<Local>,
    /// When it ends; `None` where that is more than two weeks away.
    pub to: Option<Local>,
}

impl Schedule {
    /// What holds at `unix_s`, in seconds since 1970-01-01 00:00 UTC.
    pub fn now(&self, unix_s: i64) -> Now {
        if unix_s < SET_SINCE_S {
            return Now::ClockNotSet;
        }
        let Some(local) = self.zone.local(unix_s) else { return Now::ClockNotSet };
        self.windows.iter().position(|w| w.holds(local.day, local.minute)).map_or(Now::Nothing, Now::Active)
    }

    /// What is asked for at `unix_s`.
    pub fn action(&self, unix_s: i64) -> Option<Action> {
        match self.now(unix_s) {
            Now::Active(index) => self.windows.get(index).map(|w| w.action),
            Now::ClockNotSet | Now::Nothing => None,
        }
    }

    /// The active window, or else the next ones, at most `most`, in the order of time. Looks at every minute, so that it cannot say
    /// anything else than what [`Schedule::now`] will say.
    pub fn next(&self, unix_s: i64, most: usize) -> Vec<Occurrence> {
        let mut found = Vec::new();
        let mut open: Option<(usize, Option<Local>)> = match self.now(unix_s) {
            Now::Active(index) => Some((index, None)),
            Now::ClockNotSet | Now::Nothing => None,
        };
        // Whole minutes: no zone of this century is ahead by a fraction of one.
        let first = (unix_s.div_euclid(60)).saturating_add(1);
        for minute in first..first.saturating_add(LOOK_DAYS * 24 * 60) {
            let at = minute.saturating_mul(60);
            let now = match self.now(at) {
                Now::Active(index) => Some(index),
                Now::ClockNotSet | Now::Nothing => None,
            };
            if now == open.map(|o| o.0) {
                continue;
            }
            let Some(local) = self.zone.local(at) else { break };
            if let Some((window, from)) = open.take() {
                found.push(Occurrence { window, from, to: Some(local) });
            }
            if found.len() >= most {
                return found;
            }
            open = now.map(|window| (window, Some(local)));
        }
        found.extend(open.map(|(window, from)| Occurrence { window, from, to: None }));
        found
    }
}

/// An action in words.
pub struct Said(pub Action);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Action::GridTarget(w) => write!(f, "aim at {w} W at the grid connection"),
            Action::ReserveSoc(pm) if pm % 10 == 0 => write!(f, "keep {} % in reserve", pm / 10),
            Action::ReserveSoc(pm) => write!(f, "keep {}.{} % in reserve", pm / 10, pm % 10),
            Action::Charge(w) => write!(f, "charge with {w} W"),
            Action::Hold => f.write_str("neither charge nor discharge"),
        }
    }
}
