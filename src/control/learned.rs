//! What was learned about meter and batteries while running, and outlives a restart. Never the net load: that is always measured anew.

use super::history::{Past, Series};
use super::site::Window;
use crate::units::Span;

/// What is known about a site's meter and batteries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Learned {
    /// How old a meter value may be when it arrives, relative to a battery's.
    pub window: Window,
    /// Over how long the meter averages; zero for the momentary value.
    pub averaging: Span,
    /// Movements that the window stands on; 0 while it is [`Window::PRIOR`].
    pub movements: u32,
    /// Per battery, in the order of the site.
    pub batteries: Vec<BatteryLearned>,
}

/// What is known about one battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatteryLearned {
    /// What its power reading is multiplied by to agree with the meter, per mille, 850 to 1150.
    pub scale_pm: i64,
    /// The longest time from a command to the movement, where it was seen often enough.
    pub response: Option<Span>,
}

impl BatteryLearned {
    /// What is known of the battery's past, given what was read and what it was told.
    pub fn past<'a>(&self, polled: &'a Series, commands: &'a Series) -> Past<'a> {
        let response_ms = self.response.map_or(0, |r| r.signed_ms());
        Past { polled, scale_pm: self.scale_pm, commands, response_ms }
    }
}

impl Learned {
    /// Nothing is known about a site of `batteries`.
    pub fn nothing(batteries: usize) -> Learned {
        let battery = BatteryLearned { scale_pm: 1000, response: None };
        Learned { window: Window::PRIOR, averaging: Span::ZERO, movements: 0, batteries: vec![battery; batteries] }
    }
}
