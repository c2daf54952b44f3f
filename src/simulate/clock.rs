//! Virtual time, of the whole site and on one bus.

use std::cell::Cell;

use crate::daemon::clock::Clock;
use crate::plant::line::BusTime;
use crate::units::{Span, Time};

/// A clock that someone sets.
#[derive(Debug, Default)]
pub struct VirtualClock {
    pub(super) now: Cell<Time>,
    /// What the wall clock showed at [`Time::ZERO`], unix seconds.
    pub(super) wall_start_s: Cell<i64>,
}

impl Clock for VirtualClock {
    fn now(&self) -> Time {
        self.now.get()
    }

    fn sleep(&self, span: Span) {
        self.now.set(self.now.get() + span);
    }

    fn wall_s(&self) -> i64 {
        self.wall_start_s.get().saturating_add(i64::try_from(self.now.get().as_ms() / 1000).unwrap_or(i64::MAX))
    }
}

/// The clock of the tasks on one bus: it runs ahead while a request is under way.
pub(super) struct BusClock<'a> {
    pub(super) time: &'a BusTime,
    pub(super) all: &'a VirtualClock,
}

impl Clock for BusClock<'_> {
    fn now(&self) -> Time {
        Time::from_ms(self.time.now_ms())
    }

    fn sleep(&self, span: Span) {
        self.time.reach(self.time.now_ms().saturating_add(span.as_ms()));
    }

    fn wall_s(&self) -> i64 {
        self.all.wall_s()
    }
}
