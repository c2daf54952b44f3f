//! Watches over the threads: every thread that matters gives a sign of life, or systemd hears nothing from us any more.
//!
//! Device threads need no watchdog to fall back: their commands expire by themselves. This is the second line, and the one that restarts us.

use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::clock::Clock;
use super::message::{Event, Instruction};
use super::slot::Slot;
use crate::control::bms::Objection;
use crate::control::decision::Order;
use crate::units::{Span, Time};

/// How often the watchdog looks, at least.
const LOOK: Duration = Duration::from_millis(500);
/// A control thread that was silent for this long no longer commands; its batteries are told the fallback.
const CONTROL_SILENT: Span = Span::from_s(10);

/// A sign of life of the thread with this number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Beat(pub usize);

/// A thread that is watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Watched {
    /// Its name.
    pub name: String,
    /// Silence that is still normal: its longest request, and some.
    pub patience: Span,
}

/// Who is alive. Pure, so that it can be tested without threads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Life {
    threads: Vec<(Watched, Time, bool)>,
}

impl Life {
    /// All alive at `now`.
    pub fn new(watched: Vec<Watched>, now: Time) -> Life {
        Life { threads: watched.into_iter().map(|w| (w, now, true)).collect() }
    }

    /// A sign of life.
    pub fn beat(&mut self, beat: Beat, now: Time) {
        if let Some(thread) = self.threads.get_mut(beat.0) {
            thread.1 = now;
        }
    }

    /// Looks at all of them; returns those whose state has changed: name, and whether it is alive now.
    pub fn look(&mut self, now: Time) -> Vec<(String, bool)> {
        let mut changed = Vec::new();
        for (watched, last, alive) in &mut self.threads {
            let lives = now.since(*last) <= watched.patience;
            if lives != *alive {
                *alive = lives;
                changed.push((watched.name.clone(), lives));
            }
        }
        changed
    }

    /// Whether every thread lives.
    pub fn all_alive(&self) -> bool {
        self.threads.iter().all(|t| t.2)
    }

    /// How long this thread has been silent.
    pub fn silent(&self, thread: usize, now: Time) -> Span {
        self.threads.get(thread).map_or(Span::ZERO, |t| now.since(t.1))
    }
}

/// What the watchdog thread works with.
pub struct Watchdog {
    /// Who is alive.
    pub life: Life,
    /// Signs of life.
    pub beats: Receiver<Beat>,
    /// Closed when the process stops.
    pub stop: Receiver<()>,
    /// To the control thread.
    pub events: Sender<Event>,
    /// Every battery's slot, its fallback, and what there is against its own control while nobody decides.
    pub batteries: Vec<(Slot<Instruction>, Order, Option<Objection>)>,
    /// Number of the control thread.
    pub control: usize,
}

impl Watchdog {
    /// Watches until the process stops.
    pub fn run(mut self, clock: &dyn Clock) {
        let ping = sd_notify::watchdog_enabled().map(|period| Span::from_ms(u64::try_from(period.as_millis() / 3).unwrap_or(u64::MAX)));
        let mut next_ping = Time::ZERO;
        loop {
            match self.beats.recv_timeout(LOOK) {
                Ok(beat) => self.life.beat(beat, clock.now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.stop.try_recv() == Err(crossbeam_channel::TryRecvError::Disconnected) {
                return;
            }
            let now = clock.now();
            self.look(now);
            if let Some(period) = ping.filter(|_| now >= next_ping && self.life.all_alive()) {
                next_ping = now + period;
                if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]) {
                    log::warn!("watchdog: systemd cannot be told that we live: {error}");
                }
            }
        }
    }

    fn look(&mut self, now: Time) {
        for (name, alive) in self.life.look(now) {
            if alive {
                log::info!("watchdog: thread {name} is back");
            } else {
                log::error!("watchdog: thread {name} gives no sign of life");
            }
            let _ = self.events.try_send(Event::Thread(name, alive));
        }
        if self.life.silent(self.control, now) > CONTROL_SILENT {
            let valid_until = now + CONTROL_SILENT;
            for &(ref slot, order, objection) in &self.batteries {
                slot.put(Instruction { order, valid_until, only_if_commanded: true, encoding: None, objection });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_thread_is_reported_once_and_when_it_is_back() {
        let watched = ["control", "meter"].map(|n| Watched { name: n.into(), patience: Span::from_s(5) });
        let at = |s: u64| Time::from_ms(s * 1000);
        let mut life = Life::new(watched.into(), at(0));
        for s in 1..=20 {
            life.beat(Beat(1), at(s));
            let changed = life.look(at(s));
            assert_eq!(changed, if s == 6 { vec![("control".to_owned(), false)] } else { vec![] }, "at {s} s");
            assert_eq!(life.all_alive(), s < 6);
        }
        life.beat(Beat(0), at(21));
        life.beat(Beat(1), at(21));
        assert_eq!(life.look(at(21)), [("control".to_owned(), true)]);
        assert!(life.all_alive());
    }
}
