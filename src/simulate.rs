//! The real tasks of the controller against a simulated site in virtual time: no threads, no sockets, no waiting.
//!
//! A day takes seconds, and every run is the same, bit for bit. The tasks are those that [`crate::daemon::threads`] gives a thread each;
//! here they take turns by the time at which they want to wake.

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::config::Config;
use crate::control::learned::Learned;
use crate::daemon::battery::BatteryTask;
use crate::daemon::clock::Clock;
use crate::daemon::control::ControlTask;
use crate::daemon::endpoint::SharedEndpoint;
use crate::daemon::message::Event;
use crate::daemon::meter::MeterTask;
use crate::daemon::threads::{IDLE, TICK};
use crate::daemon::wiring::plan;
use crate::device::library::Library;
use crate::plant::client::SimLink;
use crate::plant::site::{Site, SiteParams};
use crate::schedule::Zone;
use crate::units::{Span, Time};

/// The wall clock of a simulation starts at the midnight before this Monday, local time of the schedule.
const FIRST_DAY: (i16, i8, i8) = (2026, 1, 5);

/// A clock that someone sets.
#[derive(Debug, Default)]
pub struct VirtualClock {
    now: Cell<Time>,
    /// What the wall clock showed at [`Time::ZERO`], unix seconds.
    wall_start_s: Cell<i64>,
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

/// A simulated site under the real controller.
pub struct Simulation {
    site: Arc<Mutex<Site>>,
    clock: VirtualClock,
    control: ControlTask,
    meter: Option<(MeterTask, Time)>,
    batteries: Vec<(BatteryTask, Time)>,
    tick: Time,
    queue: Vec<Event>,
}

impl Simulation {
    /// Battery `k` of the configuration is battery `k` of the site, whatever its host is called.
    pub fn new(config: &Config, library: &Library, params: SiteParams) -> Simulation {
        let site = Arc::new(Mutex::new(Site::new(params)));
        let plan = plan(config, library);
        let hosts: Vec<_> =
            plan.endpoints.iter().map(|e| config.batteries.iter().position(|b| b.link.host == e.host && b.link.port == e.port)).collect();
        let link = |k: &Option<usize>| SharedEndpoint::new(Box::new(SimLink::new(Arc::clone(&site), k.unwrap_or(0))));
        let endpoints: Vec<_> = hosts.iter().map(link).collect();
        Simulation {
            control: ControlTask::new(config.clone(), &plan),
            meter: plan.meter.map(|p| (MeterTask::new(p.spec, endpoints[p.endpoint].clone()), Time::ZERO)),
            batteries: plan.batteries.into_iter().map(|p| (BatteryTask::new(p.spec, endpoints[p.endpoint].clone()), Time::ZERO)).collect(),
            site,
            clock: VirtualClock { now: Cell::default(), wall_start_s: Cell::new(first_midnight(config)) },
            tick: Time::ZERO,
            queue: Vec::new(),
        }
    }

    /// The site, to look at it or to change something.
    pub fn site(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The control task.
    pub fn control(&self) -> &ControlTask {
        &self.control
    }

    /// Virtual time.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Starts the control from what was learned before.
    pub fn remember(&mut self, learned: Learned) {
        self.control.remember(learned);
    }

    /// Sets the wall clock, in unix seconds. Virtual time takes no notice.
    pub fn set_wall_s(&self, unix_s: i64) {
        let elapsed = i64::try_from(self.clock.now().as_ms() / 1000).unwrap_or(i64::MAX);
        self.clock.wall_start_s.set(unix_s.saturating_sub(elapsed));
    }

    /// Lets time pass until `until`.
    pub fn run_until(&mut self, until: Time) {
        loop {
            let next = self.next_wake();
            if next > until {
                self.advance(until);
                return;
            }
            self.advance(next);
            self.work();
        }
    }

    /// Stops the controller as SIGTERM does: every battery is handed back.
    pub fn stop(&mut self) {
        for (task, _) in &mut self.batteries {
            task.release(&self.clock, &mut |event| self.queue.push(event));
        }
        self.drain();
    }

    fn next_wake(&self) -> Time {
        let now = self.clock.now();
        let meter = self.meter.iter().map(|(task, not_before)| task.wake_at(now).max(*not_before));
        let batteries = self.batteries.iter().map(|(task, not_before)| task.wake_at(now).max(*not_before));
        meter.chain(batteries).fold(self.tick, Time::min).max(now)
    }

    fn advance(&mut self, to: Time) {
        self.clock.now.set(to);
        self.site().advance_to(to.as_ms());
    }

    fn work(&mut self) {
        let now = self.clock.now();
        if let Some((task, not_before)) = self.meter.as_mut().filter(|(task, not_before)| task.wake_at(now).max(*not_before) <= now) {
            let before = self.queue.len();
            task.work(&self.clock, &mut |event| self.queue.push(event));
            *not_before = if self.queue.len() > before || task.wake_at(now) > now { Time::ZERO } else { now + IDLE };
        }
        if self.drain() || now >= self.tick {
            self.step(now);
        }
        for (task, not_before) in &mut self.batteries {
            if task.wake_at(now).max(*not_before) <= now {
                let before = self.queue.len();
                task.work(&self.clock, &mut |event| self.queue.push(event));
                *not_before = if self.queue.len() > before || task.wake_at(now) > now { Time::ZERO } else { now + IDLE };
            }
        }
        self.drain();
    }

    fn drain(&mut self) -> bool {
        let mut step = false;
        for event in self.queue.drain(..) {
            step |= self.control.take(event);
        }
        step
    }

    fn step(&mut self, now: Time) {
        let batteries = &mut self.batteries;
        self.control.step(now, self.clock.wall_s(), |k, instruction| batteries[k].0.instruct(instruction));
        if now >= self.tick {
            self.tick = now + TICK;
        }
    }
}

/// UTC where there is no schedule.
fn first_midnight(config: &Config) -> i64 {
    let utc = || Zone::find("UTC");
    let zone = config.schedule.as_ref().map(|schedule| schedule.zone.clone()).or_else(utc);
    zone.and_then(|zone| zone.unix_s(FIRST_DAY, (0, 0))).unwrap_or_default()
}
