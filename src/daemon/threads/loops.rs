//! The loops of the threads: one that owns a device, and the one that decides.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, select_biased};

use super::{ASKED_MOST, EVENTS_MOST, IDLE, TICK, Unreleased};
use crate::daemon::charger::ChargerInstruction;
use crate::daemon::clock::{Clock, Monotonic};
use crate::daemon::director::{Device, Director};
use crate::daemon::message::{Event, Instruction};
use crate::daemon::slot::Slot;
use crate::daemon::watchdog::Pulse;
use crate::serve::ask::Asked;
use crate::serve::socket::Published;
use crate::units::{Span, Time};

/// Device threads look around at least this often.
const LOOK: Span = Span::from_s(1);

/// Waits, works and reports until the stop; then hands the device back.
pub(super) fn device_loop<T>(task: &mut dyn Device<Told = T>, instructions: &Receiver<T>, c: &Context) {
    let mut worked = true;
    loop {
        let wait = c.wait(task.wake_at(c.clock.now()), worked);
        select_biased! {
            recv(c.stop) -> _ => {
                // It may have come while a request was under way, and forbid the release.
                if let Ok(newest) = instructions.try_recv() {
                    task.instruct(newest);
                }
                break;
            }
            recv(instructions) -> instruction => if let Ok(instruction) = instruction { task.instruct(instruction) },
            default(wait) => {}
        }
        worked = false;
        task.work(&c.clock, &mut |event| {
            worked = true;
            let _ = c.events.try_send(event);
        });
        c.beat();
    }
    let released = task.release(&c.clock, &mut |event| {
        let _ = c.events.try_send(event);
    });
    if let Some(done) = c.done.as_ref().filter(|_| !released) {
        let _ = done.try_send(Unreleased);
    }
}

/// Takes what is reported and asked, decides, tells and publishes, until the stop.
pub(super) fn director_loop(
    mut director: Box<dyn Director + Send>,
    events: &Receiver<Event>,
    asked: &Receiver<Asked>,
    told: &Slots,
    published: &Published,
    c: &Context,
) {
    let mut tick = c.clock.now();
    loop {
        let mut step = false;
        let wake = director.wake_at().map_or(tick, |at| at.min(tick));
        let mut first_asked = None;
        select_biased! {
            recv(c.stop) -> _ => return,
            recv(events) -> event => if let Ok(event) = event { step |= director.take(event) },
            recv(asked) -> ask => first_asked = ask.ok(),
            default(wake.since(c.clock.now()).to_duration()) => {}
        }
        for event in events.try_iter().take(EVENTS_MOST) {
            step |= director.take(event);
        }
        let now = c.clock.now();
        let mut answers = false;
        for ask in first_asked.into_iter().chain(asked.try_iter().take(ASKED_MOST)) {
            director.asked(ask, now);
            answers = true;
        }
        if now >= tick {
            step = true;
            let missed = now.since(tick).as_ms() / TICK.as_ms();
            tick += TICK.times(missed + 1);
        }
        if step || now >= wake {
            director.step(now, c.clock.wall_s(), &mut |k, instruction| told.batteries[k].put(instruction));
            director.instruct_chargers(now, &mut |k, instruction| told.chargers[k].put(instruction));
            published.publish(director.document(now), director.image(now));
        } else if answers {
            published.publish_image(director.image(now));
        }
        if answers {
            director.answer();
        }
        c.beat();
    }
}

/// What a thread needs beside its task.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) clock: Monotonic,
    pub(super) events: Sender<Event>,
    /// Its signs of life.
    pub(super) pulse: Pulse,
    pub(super) stop: Receiver<()>,
    /// Held until the thread ends, by those that have something to hand back.
    pub(super) done: Option<Sender<Unreleased>>,
}

impl Context {
    /// How long to wait for `wake`.
    fn wait(&self, wake: Time, worked: bool) -> Duration {
        let now = self.clock.now();
        let wait = wake.since(now).min(LOOK);
        (if wait == Span::ZERO && !worked { IDLE } else { wait }).to_duration()
    }

    fn beat(&self) {
        self.pulse.beat(self.clock.now());
    }
}

/// Where the newest instructions lie.
pub(super) struct Slots {
    pub(super) batteries: Vec<Slot<Instruction>>,
    pub(super) chargers: Vec<Slot<ChargerInstruction>>,
}
