//! What the threads need of whoever directs the batteries, and of the tasks that own devices: so that the same loops, and the same virtual
//! time, serve the controller and a commissioning.
//!
//! A director never touches a device and never waits for one.

use super::battery::BatteryTask;
use super::bms::BmsTask;
use super::charger::{ChargerInstruction, ChargerTask};
use super::clock::Clock;
use super::control::ControlTask;
use super::message::{Event, Instruction};
use super::meter::MeterTask;
use crate::serve::ask::Asked;
use crate::serve::document::Document;
use crate::serve::image::Image;
use crate::units::Time;

/// Turns what device tasks report into instructions for batteries.
pub trait Director {
    /// Takes what a device task reports. True when it calls for a step at once.
    fn take(&mut self, event: Event) -> bool;

    /// Decides. `instruct` gets the instruction for each battery that is to be told something; `wall_s` is what the wall clock shows, in
    /// unix seconds.
    fn step(&mut self, now: Time, wall_s: i64, instruct: &mut dyn FnMut(usize, Instruction));

    /// What chargers are to be told after a step.
    fn instruct_chargers(&mut self, _now: Time, _instruct: &mut dyn FnMut(usize, ChargerInstruction)) {}

    /// Takes what a client of our Modbus server wants. Unanswered, it counts as refused.
    fn asked(&mut self, _asked: Asked, _now: Time) {}

    /// The registers at `now`, with everything that was asked for; `None`: there are none.
    fn image(&self, _now: Time) -> Option<Image> {
        None
    }

    /// Answers what was asked; called when the registers that show what came of it are published.
    fn answer(&mut self) {}

    /// When it wants a step although nothing is reported. There is one every [`TICK`](super::threads::TICK) anyway.
    fn wake_at(&self) -> Option<Time> {
        None
    }

    /// The status at `now`.
    fn document(&self, now: Time) -> Document;
}

/// A task that owns a device.
pub trait Device {
    /// What it is told.
    type Told;

    /// When there is something to do.
    fn wake_at(&self, now: Time) -> Time;

    /// Does what is due, and reports it.
    fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event));

    /// Takes the newest instruction.
    fn instruct(&mut self, _told: Self::Told) {}

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

    fn instruct_chargers(&mut self, now: Time, instruct: &mut dyn FnMut(usize, ChargerInstruction)) {
        ControlTask::instruct_chargers(self, now, instruct);
    }

    fn asked(&mut self, asked: Asked, now: Time) {
        ControlTask::asked(self, asked, now);
    }

    fn image(&self, now: Time) -> Option<Image> {
        ControlTask::image(self, now)
    }

    fn answer(&mut self) {
        ControlTask::answer(self);
    }

    fn wake_at(&self) -> Option<Time> {
        self.next_check()
    }

    fn document(&self, now: Time) -> Document {
        ControlTask::document(self, now)
    }
}

impl Device for BatteryTask {
    type Told = Instruction;

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
    type Told = ();

    fn wake_at(&self, now: Time) -> Time {
        BmsTask::wake_at(self, now)
    }

    fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        BmsTask::work(self, clock, report);
    }
}

impl Device for MeterTask {
    type Told = ();

    fn wake_at(&self, now: Time) -> Time {
        MeterTask::wake_at(self, now)
    }

    fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        MeterTask::work(self, clock, report);
    }
}

impl Device for ChargerTask {
    type Told = ChargerInstruction;

    fn wake_at(&self, now: Time) -> Time {
        ChargerTask::wake_at(self, now)
    }

    fn work(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) {
        ChargerTask::work(self, clock, report);
    }

    fn instruct(&mut self, told: ChargerInstruction) {
        ChargerTask::instruct(self, told);
    }

    fn release(&mut self, clock: &dyn Clock, report: &mut dyn FnMut(Event)) -> bool {
        ChargerTask::release(self, clock, report)
    }
}
