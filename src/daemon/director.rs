//! What the threads need of whoever directs the batteries, and of the tasks that own devices: so that the same loops, and the same virtual
//! time, serve the controller and a commissioning.
//!
//! A director never touches a device and never waits for one.

use super::battery::BatteryTask;
use super::bms::BmsTask;
use super::clock::Clock;
use super::control::ControlTask;
use super::message::{Event, Instruction};
use super::meter::MeterTask;
use crate::serve::document::Document;
use crate::units::Time;

/// Turns what device tasks report into instructions for batteries.
pub trait Director {
    /// Takes what a device task reports. True when it calls for a step at once.
    fn take(&mut self, event: Event) -> bool;

    /// Decides. `instruct` gets the instruction for each battery that is to be told something; `wall_s` is what the wall clock shows, in
    /// unix seconds.
    fn step(&mut self, now: Time, wall_s: i64, instruct: &mut dyn FnMut(usize, Instruction));

    /// When it wants a step although nothing is reported. There is one every [`TICK`](super::threads::TICK) anyway.
    fn wake_at(&self) -> Option<Time> {
        None
    }

    /// The status at `now`.
    fn document(&self, now: Time) -> Document;
}

/// A task that owns a device.
pub trait Device {
    /// When there is something to do.
    fn wake_at(&self, now: Time) -> Time;

    /// Does what is due, and reports it.
    fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event));

    /// Takes the newest instruction.
    fn instruct(&mut self, _instruction: Instruction) {}

    /// Hands the device back at the end. False when it did not acknowledge that.
    fn release(&mut self, _clock: &dyn Clock, _report: &mut dyn FnMut(Event)) -> bool {
        true
    }
}

impl Director for ControlTask {
    fn take(&mut self, event: Event) -> bool {
        ControlTask::take(self, event)
    }

    fn step(&mut self, now: Time, wall_s: i64, instruct: &mut dyn FnMut(usize, Instruction)) {
        ControlTask::step(self, now, wall_s, instruct);
    }

    fn document(&self, now: Time) -> Document {
        ControlTask::document(self, now)
    }
}

impl Device for BatteryTask {
    fn wake_at(&self, now: Time) -> Time {
        BatteryTask::wake_at(self, now)
    }

    fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        BatteryTask::work(self, clock, report);
    }

    fn instruct(&mut self, instruction: Instruction) {
        BatteryTask::instruct(self, instruction);
    }

    fn release(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) -> bool {
        BatteryTask::release(self, clock, report)
    }
}

impl Device for BmsTask {
    fn wake_at(&self, now: Time) -> Time {
        BmsTask::wake_at(self, now)
    }

    fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        BmsTask::work(self, clock, report);
    }
}

impl Device for MeterTask {
    fn wake_at(&self, now: Time) -> Time {
        MeterTask::wake_at(self, now)
    }

    fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        MeterTask::work(self, clock, report);
    }
}
