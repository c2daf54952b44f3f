//! Watches over the threads: every thread that matters gives a sign of life, or systemd hears nothing from us any more.
//!
//! Device threads need no watchdog to fall back: their commands expire by themselves. This is the second line, and the one that restarts us.
//!
//! **Watched** are the threads without which the house is not controlled, the program cannot be stopped, or nobody sees what it does: control,
//! every battery, charger, BMS and the meter, main with its signals, the status socket, the port of the metrics, and port and serial line of
//! the Modbus server. They wait for a second at most, and then show that they live. This thread is watched by systemd: while it hangs,
//! nothing is pinged.
//!
//! **Not watched** are threads whose end a restart does not mend, or that a client could hold up: those of single clients, and the LED, the
//! memory, the communication log and the line of `systemctl status`, which wait for the kernel, a disk or systemd, and for which nobody
//! waits. One that panics ends the process.
//!
//! **Patience** is longer than everything that is normal: a host that swallows packets, a name that is not resolved (that is asked in a
//! thread of its own, see [`crate::link::resolve`]), a serial adapter that hangs, a client that sends a byte now and then. A restart
//! mends none of them, and the other devices would lose their control each time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::clock::{Clock, Monotonic};
use super::message::{Event, Instruction};
use super::slot::Slot;
use crate::control::bms::Objection;
use crate::control::decision::Order;
use crate::serve::alive::Alive;
use crate::units::{Span, Time};

/// How often the watchdog looks, at least.
const LOOK: Span = Span::from_ms(500);
/// A look that comes later than it should by more than this: all threads may have stood still, not only this one (SIGSTOP, a machine that
/// was paused).
const LATE: Span = Span::from_s(1);
/// So long they get then to show that they live. Those that look up every second begin their second anew.
const GRACE: Span = Span::from_s(2);
/// A control thread that was silent for this long no longer commands; its batteries are told the fallback.
const CONTROL_SILENT: Span = Span::from_s(10);

/// Where one thread leaves its signs of life: the newest counts, and nobody waits for anybody.
#[derive(Clone, Debug)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// A sign of life.
    pub fn beat(&self, now: Time) {
        self.0.store(now.as_ms(), Ordering::Relaxed);
    }

    /// It counts as alive until its next sign of life, however long that takes.
    pub fn rest(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    /// How long there has been none.
    fn silent(&self, now: Time) -> Span {
        now.since(Time::from_ms(self.0.load(Ordering::Relaxed)))
    }

    /// For a thread that does not know the time.
    pub fn with(self, clock: Monotonic) -> impl Alive + Send {
        Timed(self, clock)
    }
}

struct Timed(Pulse, Monotonic);

impl Alive for Timed {
    fn beat(&self) {
        self.0.beat(self.1.now());
    }

    fn rest(&self) {
        self.0.rest();
    }
}

/// Who is alive. Pure, so that it can be tested without threads.
#[derive(Debug, Default)]
pub struct Life {
    threads: Vec<Watched>,
}

/// A thread that is watched.
#[derive(Debug)]
struct Watched {
    name: String,
    /// Silence that is still normal: its longest request, and some.
    patience: Span,
    pulse: Pulse,
    alive: bool,
}

impl Life {
    /// One more thread, which is alive at `now`; `patience` is the silence that is still normal.
    pub fn join(&mut self, name: &str, patience: Span, now: Time) -> Pulse {
        let pulse = Pulse(Arc::new(AtomicU64::new(now.as_ms())));
        self.threads.push(Watched { name: name.into(), patience, pulse: pulse.clone(), alive: true });
        pulse
    }

    /// Looks at all of them; returns those whose state has changed: name, and whether it is alive now.
    pub fn look(&mut self, now: Time) -> Vec<(String, bool)> {
        let mut changed = Vec::new();
        for thread in &mut self.threads {
            let lives = thread.pulse.silent(now) <= thread.patience;
            if lives != thread.alive {
                thread.alive = lives;
                changed.push((thread.name.clone(), lives));
            }
        }
        changed
    }

    /// Whether every thread lives.
    pub fn all_alive(&self) -> bool {
        self.threads.iter().all(|thread| thread.alive)
    }
}

/// Who is alive, for the watchdog and for those that start threads.
#[derive(Clone, Debug, Default)]
pub struct SharedLife(Arc<Mutex<Life>>);

impl SharedLife {
    /// Exclusive use, for a moment.
    pub fn lock(&self) -> MutexGuard<'_, Life> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the watchdog thread works with.
pub struct Watchdog {
    /// Who is alive.
    pub life: SharedLife,
    /// Closed when the process stops.
    pub stop: Receiver<()>,
    /// To the control thread.
    pub events: Sender<Event>,
    /// Every battery's slot, its fallback, and what there is against its own control while nobody decides.
    pub batteries: Vec<(Slot<Instruction>, Order, Option<Objection>)>,
    /// Of the control thread.
    pub control: Pulse,
}

impl Watchdog {
    /// Watches until the process stops.
    pub fn run(mut self, clock: &dyn Clock) {
        let ping = sd_notify::watchdog_enabled().map(|period| Span::from_ms(u64::try_from(period.as_millis() / 3).unwrap_or(u64::MAX)));
        let wait = ping.map_or(LOOK, |ping| ping.min(LOOK));
        let (mut next_ping, mut due, mut grace) = (Time::ZERO, clock.now() + wait, None);
        while self.stop.recv_timeout(wait.to_duration()) == Err(RecvTimeoutError::Timeout) {
            let now = clock.now();
            let late = now.since(due) > LATE;
            due = now + wait;
            match grace {
                None if late => grace = Some(now + GRACE),
                Some(until) if now < until => {}
                // Also after a grace, however late that is: who is always late judges all the same.
                _ => {
                    grace = None;
                    self.look(now);
                }
            }
            if let Some(period) = ping.filter(|_| now >= next_ping && self.life.lock().all_alive()) {
                next_ping = now + period;
                if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Watchdog]) {
                    log::warn!("watchdog: systemd cannot be told that we live: {error}");
                }
            }
        }
    }

    fn look(&mut self, now: Time) {
        let changed = self.life.lock().look(now);
        for (name, alive) in changed {
            if alive {
                log::info!("watchdog: thread {name} is back");
            } else {
                log::error!("watchdog: thread {name} gives no sign of life");
            }
            let _ = self.events.try_send(Event::Thread(name, alive));
        }
        if self.control.silent(now) > CONTROL_SILENT {
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

    fn at(s: u64) -> Time {
        Time::from_ms(s * 1000)
    }

    #[test]
    fn a_silent_thread_is_reported_once_and_when_it_is_back() {
        let mut life = Life::default();
        let [control, meter] = ["control", "meter"].map(|name| life.join(name, Span::from_s(5), at(0)));
        for s in 1..=20 {
            meter.beat(at(s));
            let changed = life.look(at(s));
            assert_eq!(changed, if s == 6 { vec![("control".to_owned(), false)] } else { vec![] }, "at {s} s");
            assert_eq!(life.all_alive(), s < 6);
        }
        control.beat(at(21));
        meter.beat(at(21));
        assert_eq!(life.look(at(21)), [("control".to_owned(), true)]);
        assert!(life.all_alive());
    }

    #[test]
    fn a_thread_that_waits_for_others_is_not_judged_before_its_next_sign_of_life() {
        let mut life = Life::default();
        let server = life.join("modbus-rtu", Span::from_s(5), at(0));
        server.rest();
        assert!(life.look(at(3600)).is_empty() && life.all_alive());
        server.beat(at(3600));
        assert!(life.look(at(3605)).is_empty());
        assert_eq!(life.look(at(3606)), [("modbus-rtu".to_owned(), false)]);
    }
}
