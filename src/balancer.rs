//! The load balancer: what a charger may draw, from the largest current of the phases, by one check per second.
//!
//! **Answers for** the state machine of reference 2 as `spec/load-balancer.md` has it: alarm, upper and lower limit with their waits, the
//! fallback without valid currents, the override. The golden traces are reproduced by `tests/balancer.rs`, one row per check.
//!
//! **Never** reads a clock or a meter, and knows nothing of chargers, batteries and fuses but what a reading brings along: `expected_ma`, what is left of
//! the current when the batteries have done what they were told, and whether the fuse carries it; and the `ceiling_ma` of chargers that draw
//! nothing.

pub mod gate;
pub mod recent;
mod settings;
pub mod share;

pub use settings::{Settings, SettingsFault, Step};

use crate::units::{Span, Time};

/// While the fuse carries what flows, batteries that were told enough get so many times their patience: what is left then is theirs to
/// bring below the limit, and the charger would be thrown out for it.
const BEARABLE: u64 = 3;

/// Time between two checks.
pub const CHECK: Span = Span::from_s(1);

/// Where the largest current lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    /// Between lower and upper limit, or nothing can be raised.
    Normal,
    /// At or below the lower limit: raised.
    Lower,
    /// Above the upper limit: lowered.
    Upper,
    /// Above the alarm limit: lowered by much.
    Alarm,
    /// No valid current for the fallback time.
    #[default]
    Fallback,
}

impl State {
    /// The number of register 1002.
    pub fn code(self) -> u16 {
        self as u16
    }

    /// For people.
    pub fn name(self) -> &'static str {
        ["normal", "lower limit", "upper limit", "alarm limit", "fallback"][self as usize]
    }
}

/// Where an action takes the limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    Up,
    Down,
}

/// The largest phase current of one reading of the meter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// When the currents were read.
    pub taken: Time,
    /// When the meter last said that they still are so: currents are read more rarely than the total, which shows that nothing has moved.
    pub confirmed: Time,
    /// As measured, mA; a phase that exports counts as 0.
    pub largest_ma: u32,
    /// The same once the batteries do what they were told, mA; never more.
    pub expected_ma: u32,
    /// The fuse carries it as it is.
    pub bearable: bool,
}

/// What stands between now and the next action.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Waits {
    /// Nothing is to be done, or it was just done.
    #[default]
    No,
    /// This many seconds of the state's wait time are left.
    Seconds(u8),
    /// A reading that is newer than the last action.
    Reading,
    /// The batteries were told to take it off, and get this chance.
    Batteries,
}

/// The state of the load balancer.
#[derive(Clone, PartialEq, Debug)]
pub struct Balancer {
    settings: Settings,
    /// How long batteries may take longer than a state's wait time.
    patience: Span,
    state: State,
    limit_ma: u32,
    override_ma: Option<u32>,
    waits: Waits,
    /// When the wait of this action was over.
    ripe: Option<Time>,
    acted: Option<Time>,
    /// It acted since the state changed: the batteries have had their chance.
    insists: bool,
    checked: Option<Time>,
    /// When the newest reading that a check has seen was taken.
    seen: Option<Time>,
}

impl Balancer {
    /// A balancer that has seen nothing: in fallback, with a limit of 0. Batteries get `patience` (one period of the meter) beyond a wait
    /// time before the charger is lowered instead of them.
    pub fn new(settings: Settings, patience: Span) -> Balancer {
        Balancer {
            settings,
            patience,
            state: State::Fallback,
            limit_ma: 0,
            override_ma: None,
            waits: Waits::No,
            ripe: None,
            acted: None,
            insists: false,
            checked: None,
            seen: None,
        }
    }

    /// One check.
    pub fn check(&mut self, measured: Option<Measured>, ceiling_ma: u32, now: Time) {
        self.checked = Some(now);
        self.seen = measured.map(|m| m.taken).or(self.seen);
        let left = match self.waits {
            Waits::No => None,
            Waits::Seconds(left) => Some(left.saturating_sub(1)),
            Waits::Reading | Waits::Batteries => Some(0),
        };
        let state = self.judge(measured, now);
        let changed = state != self.state;
        self.state = state;
        if changed {
            (self.ripe, self.insists) = (None, false);
        }
        self.waits = match (self.action(), measured) {
            (Some((step, direction)), Some(measured)) => match left.filter(|_| !changed) {
                // A wait of 0 is one of 1 (facts/p1-load-balancer.md 1.5).
                None => Waits::Seconds(step.wait_s.max(1)),
                Some(0) => self.act(step, direction, measured, now),
                Some(left) => Waits::Seconds(left),
            },
            _ => Waits::No,
        };
        if state == State::Fallback {
            self.limit_ma = self.settings.fallback_limit_ma;
        }
        self.limit_ma = self.capped(self.limit_ma).min(ceiling_ma);
    }

    /// Checks if it is time, and at once where `measured` is the first sign of an alarm: then there is a second to the next check. True when
    /// it did.
    pub fn step(&mut self, measured: Option<Measured>, ceiling_ma: u32, now: Time) -> bool {
        let news = measured.is_some_and(|m| self.seen.is_none_or(|seen| m.taken > seen));
        let alarming = news && self.state != State::Alarm && self.judge(measured, now) == State::Alarm;
        let checks = alarming || now >= self.next_check();
        if checks {
            self.check(measured, ceiling_ma, now);
        }
        checks
    }

    /// When the next check is due: earlier where the patience with batteries ends before the second does.
    pub fn next_check(&self) -> Time {
        let Some(checked) = self.checked else { return Time::ZERO };
        let patient_until = self.ripe.filter(|_| self.waits == Waits::Batteries).map(|ripe| ripe + self.patience);
        let next = checked + CHECK;
        patient_until.filter(|until| *until > checked).map_or(next, |until| until.min(next))
    }

    fn judge(&self, measured: Option<Measured>, now: Time) -> State {
        let valid_for = Span::from_s(self.settings.fallback_time_s.into());
        let Some(m) = measured.filter(|m| now.since(m.confirmed) < valid_for) else { return State::Fallback };
        let Settings { alarm, upper, lower, charger_limit_ma, .. } = self.settings;
        if m.largest_ma > alarm.limit_ma {
            State::Alarm
        } else if m.largest_ma > upper.limit_ma {
            State::Upper
        } else if m.largest_ma <= lower.limit_ma && self.limit_ma < charger_limit_ma {
            State::Lower
        } else {
            State::Normal
        }
    }

    /// What the state asks for.
    fn action(&self) -> Option<(Step, Direction)> {
        match self.state {
            State::Lower => Some((self.settings.lower, Direction::Up)),
            State::Upper => Some((self.settings.upper, Direction::Down)),
            State::Alarm => Some((self.settings.alarm, Direction::Down)),
            State::Normal | State::Fallback => None,
        }
    }

    /// The wait is over: acts, unless something stands in the way.
    fn act(&mut self, step: Step, direction: Direction, measured: Measured, now: Time) -> Waits {
        let ripe = *self.ripe.get_or_insert(now);
        let told_by = match direction {
            // A total that has not moved since shows as well that there is still room.
            Direction::Up => measured.confirmed,
            Direction::Down => measured.taken,
        };
        if self.acted.is_some_and(|acted| told_by <= acted) {
            return Waits::Reading;
        }
        let relieved = direction == Direction::Down && measured.expected_ma <= step.limit_ma;
        let patience = self.patience.times(if measured.bearable { BEARABLE } else { 1 });
        if relieved && !self.insists && now.since(ripe) < patience {
            return Waits::Batteries;
        }
        self.limit_ma = match direction {
            Direction::Up => self.limit_ma.saturating_add(step.change_ma),
            Direction::Down => self.limit_ma.saturating_sub(step.change_ma),
        };
        (self.ripe, self.acted, self.insists) = (None, Some(now), true);
        Waits::No
    }

    fn capped(&self, ma: u32) -> u32 {
        ma.min(self.settings.charger_limit_ma).min(self.override_ma())
    }

    /// The most the charger may draw, mA.
    pub fn limit_ma(&self) -> u32 {
        self.limit_ma
    }

    /// Where the largest current lies.
    pub fn state(&self) -> State {
        self.state
    }

    /// What it waits for.
    pub fn waits(&self) -> Waits {
        self.waits
    }

    /// Settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Puts other settings in force. The running limit is kept, as far as they allow it, and so is a running wait.
    pub fn apply(&mut self, settings: Settings) {
        self.settings = settings;
        self.limit_ma = self.capped(self.limit_ma);
        if let (Waits::Seconds(left), Some((step, _))) = (self.waits, self.action()) {
            self.waits = Waits::Seconds(left.min(step.wait_s.max(1)));
        }
    }

    /// The cap of register 1000, mA: the charger limit until one is set.
    pub fn override_ma(&self) -> u32 {
        self.override_ma.unwrap_or(self.settings.charger_limit_ma)
    }

    /// Caps the limit from now on, at once; `None`: at the charger limit.
    pub fn set_override(&mut self, ma: Option<u32>) {
        self.override_ma = ma;
        self.limit_ma = self.capped(self.limit_ma);
    }
}
