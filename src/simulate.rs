//! The real tasks of the controller against a simulated site in virtual time: no threads, no sockets, no waiting.
//!
//! A day takes seconds, and every run is the same, bit for bit. The tasks are those that [`crate::daemon::threads`] gives a thread each;
//! here they take turns by the time at which they want to wake.

mod telegrams;

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::telegrams::SiteTelegrams;
use crate::config::Config;
use crate::control::learned::Learned;
use crate::daemon::battery::BatteryTask;
use crate::daemon::clock::Clock;
use crate::daemon::control::ControlTask;
use crate::daemon::director::{Device, Director};
use crate::daemon::endpoint::SharedEndpoint;
use crate::daemon::message::Event;
use crate::daemon::meter::MeterTask;
use crate::daemon::p1::P1Task;
use crate::daemon::threads::{IDLE, TICK};
use crate::daemon::wiring::{Plan, plan};
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

/// A simulated site under the real controller, or under another director.
pub struct Simulation<D = ControlTask> {
    site: Arc<Mutex<Site>>,
    clock: VirtualClock,
    director: D,
    meter: Option<Turns<MeterTask>>,
    p1: Option<Turns<P1Task>>,
    batteries: Vec<Turns<BatteryTask>>,
    tick: Time,
    queue: Vec<Event>,
}

/// A task, and when it may work again although it says otherwise: a guard against a busy loop.
struct Turns<T> {
    task: T,
    not_before: Time,
}

impl<T: Device> Turns<T> {
    fn new(task: T) -> Turns<T> {
        Turns { task, not_before: Time::ZERO }
    }

    fn wake_at(&self, now: Time) -> Time {
        self.task.wake_at(now).max(self.not_before)
    }

    /// Works if it is time.
    fn turn(&mut self, now: Time, clock: &dyn Clock, queue: &mut Vec<Event>) {
        if self.wake_at(now) > now {
            return;
        }
        let before = queue.len();
        self.task.work(clock, &mut |event| queue.push(event));
        self.not_before = if queue.len() > before || self.task.wake_at(now) > now { Time::ZERO } else { now + IDLE };
    }
}

impl Simulation {
    /// Battery `k` of the configuration is battery `k` of the site, whatever its host is called.
    pub fn new(config: &Config, library: &Library, params: SiteParams) -> Simulation {
        let plan = plan(config, library);
        let control = ControlTask::new(config.clone(), &plan);
        Simulation::under(control, plan, config, params)
    }

    /// Starts the control from what was learned before.
    pub fn remember(&mut self, learned: Learned) {
        self.director.remember(learned);
    }

    /// The control task.
    pub fn control(&self) -> &ControlTask {
        &self.director
    }
}

impl<D: Director> Simulation<D> {
    /// As [`Simulation::new`], under another director.
    pub fn under(director: D, plan: Plan, config: &Config, params: SiteParams) -> Simulation<D> {
        let site = Arc::new(Mutex::new(Site::new(params)));
        let hosts: Vec<_> = plan.endpoints.iter().map(|e| config.batteries.iter().position(|b| b.link.place() == e.place)).collect();
        let link = |k: &Option<usize>| SharedEndpoint::new(Box::new(SimLink::new(Arc::clone(&site), k.unwrap_or(0))));
        let endpoints: Vec<_> = hosts.iter().map(link).collect();
        Simulation {
            director,
            meter: plan.meter.map(|p| Turns::new(MeterTask::new(p.spec, endpoints[p.endpoint].clone()))),
            p1: plan.p1.map(|spec| {
                let source = SiteTelegrams::new(Arc::clone(&site), spec.interval);
                Turns::new(P1Task::new(spec, Box::new(source), None))
            }),
            batteries: plan.batteries.into_iter().map(|p| Turns::new(BatteryTask::new(p.spec, endpoints[p.endpoint].clone()))).collect(),
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

    /// Who directs the batteries.
    pub fn director(&mut self) -> &mut D {
        &mut self.director
    }

    /// Virtual time.
    pub fn now(&self) -> Time {
        self.clock.now()
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

    /// Stops the controller as SIGTERM does: every battery is handed back. False when one of them did not acknowledge that.
    pub fn stop(&mut self) -> bool {
        let mut released = true;
        for battery in &mut self.batteries {
            released &= battery.task.release(&self.clock, &mut |event| self.queue.push(event));
        }
        self.drain();
        released
    }

    /// The next tick of the director, or earlier where it wants that.
    fn next_step(&self) -> Time {
        self.director.wake_at().map_or(self.tick, |at| at.min(self.tick))
    }

    fn next_wake(&self) -> Time {
        let now = self.clock.now();
        let meter = self.meter.iter().map(|m| m.wake_at(now)).chain(self.p1.iter().map(|m| m.wake_at(now)));
        let batteries = self.batteries.iter().map(|b| b.wake_at(now));
        meter.chain(batteries).fold(self.next_step(), Time::min).max(now)
    }

    fn advance(&mut self, to: Time) {
        self.clock.now.set(to);
        self.site().advance_to(to.as_ms());
    }

    fn work(&mut self) {
        let now = self.clock.now();
        if let Some(meter) = &mut self.meter {
            meter.turn(now, &self.clock, &mut self.queue);
        }
        if let Some(p1) = &mut self.p1 {
            p1.turn(now, &self.clock, &mut self.queue);
        }
        if self.drain() || now >= self.next_step() {
            self.step(now);
        }
        for battery in &mut self.batteries {
            battery.turn(now, &self.clock, &mut self.queue);
        }
        if self.drain() {
            self.step(now);
        }
    }

    fn drain(&mut self) -> bool {
        let mut step = false;
        for event in self.queue.drain(..) {
            step |= self.director.take(event);
        }
        step
    }

    fn step(&mut self, now: Time) {
        let batteries = &mut self.batteries;
        self.director.step(now, self.clock.wall_s(), &mut |k, instruction| batteries[k].task.instruct(instruction));
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
