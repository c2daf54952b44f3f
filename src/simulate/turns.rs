//! Tasks that take turns: when each may work, and on which bus.

use super::clock::{BusClock, VirtualClock};
use crate::daemon::clock::Clock;
use crate::daemon::director::Device;
use crate::daemon::message::Event;
use crate::daemon::threads::IDLE;
use crate::plant::line::BusTime;
use crate::units::Time;

/// A task, and when it may work again although it says otherwise: a guard against a busy loop.
pub(super) struct Turns<T> {
    pub(super) task: T,
    not_before: Time,
    pub(super) bus: Option<BusTime>,
}

impl<T: Device> Turns<T> {
    pub(super) fn new(task: T, bus: Option<BusTime>) -> Turns<T> {
        Turns { task, not_before: Time::ZERO, bus }
    }

    /// On a bus that is busy, not before it is free.
    pub(super) fn wake_at(&self, now: Time) -> Time {
        let free = self.bus.as_ref().map_or(Time::ZERO, |bus| Time::from_ms(bus.now_ms()));
        self.task.wake_at(now).max(self.not_before).max(free)
    }

    /// Works if it is time.
    pub(super) fn turn(&mut self, now: Time, clock: &VirtualClock, queue: &mut Vec<(Time, Event)>) {
        if self.wake_at(now) > now {
            return;
        }
        let before = queue.len();
        match &self.bus {
            None => self.task.work(clock, &mut |event| queue.push((now, event))),
            Some(time) => {
                time.reach(now.as_ms());
                let clock = BusClock { time, all: clock };
                self.task.work(&clock, &mut |event| queue.push((clock.now(), event)));
            }
        }
        self.not_before = if queue.len() > before || self.task.wake_at(now) > now { Time::ZERO } else { now + IDLE };
    }
    /// Hands its device back; false when that was not acknowledged. Time passes on a bus.
    pub(super) fn release(&mut self, clock: &VirtualClock, queue: &mut Vec<(Time, Event)>) -> bool {
        let now = clock.now();
        let mut report = |event| queue.push((now, event));
        let Some(time) = &self.bus else { return self.task.release(clock, &mut report) };
        time.reach(now.as_ms());
        let bus = BusClock { time, all: clock };
        let released = self.task.release(&bus, &mut report);
        clock.now.set(bus.now());
        released
    }
}
