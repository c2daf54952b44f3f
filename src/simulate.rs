//! The real tasks of the controller against a simulated site in virtual time: no threads, no sockets, no waiting.
//!
//! A day takes seconds, and every run is the same, bit for bit. The tasks are those that [`crate::daemon::threads`] gives a thread each;
//! here they take turns by the time at which they want to wake.

mod clock;
mod telegrams;
mod turns;

use std::cell::Cell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::clock::VirtualClock;

use self::telegrams::SiteTelegrams;
use self::turns::Turns;
use crate::config::Config;
use crate::control::learned::Learned;
use crate::daemon::battery::{BatterySpec, BatteryTask};
use crate::daemon::bms::{BmsSpec, BmsTask};
use crate::daemon::charger::{ChargerSpec, ChargerTask};
use crate::daemon::clock::Clock;
use crate::daemon::control::ControlTask;
use crate::daemon::director::Director;
use crate::daemon::endpoint::SharedEndpoint;
use crate::daemon::message::Event;
use crate::daemon::meter::{MeterSpec, MeterTask};
use crate::daemon::p1::P1Task;
use crate::daemon::threads::TICK;
use crate::daemon::wiring::{EndpointPlan, Placed, Plan, plan};
use crate::device::library::Library;
use crate::link::Link;
use crate::link::place::{Parity, Place};
use crate::plant::client::SimLink;
use crate::plant::line::{BusTime, Line};
use crate::plant::site::{Site, SiteParams};
use crate::schedule::Zone;
use crate::units::Time;

/// The wall clock of a simulation starts at the midnight before this Monday, local time of the schedule.
const FIRST_DAY: (i16, i8, i8) = (2026, 1, 5);

/// A simulated site under the real controller, or under another director.
pub struct Simulation<D = ControlTask> {
    site: Arc<Mutex<Site>>,
    clock: VirtualClock,
    director: D,
    meter: Option<Turns<MeterTask>>,
    p1: Option<Turns<P1Task>>,
    batteries: Vec<Turns<BatteryTask>>,
    bmses: Vec<Turns<BmsTask>>,
    chargers: Vec<Turns<ChargerTask>>,
    tick: Time,
    /// What tasks reported, and when: on a bus that is when its request is over.
    queue: Vec<(Time, Event)>,
}

impl Simulation {
    /// Battery `k` of the configuration is battery `k` of the site, whatever its host is called. Devices on a serial port share a bus on
    /// which every byte takes its time.
    pub fn new(config: &Config, library: &Library, params: SiteParams) -> Simulation {
        Simulation::with_links(config, library, params, &mut |_| None)
    }

    /// The same, where `link` may give another link to an endpoint of the plan than one into the simulated site.
    pub fn with_links(
        config: &Config,
        library: &Library,
        params: SiteParams,
        link: &mut dyn FnMut(usize) -> Option<Box<dyn Link>>,
    ) -> Simulation {
        let plan = plan(config, library);
        let control = ControlTask::new(config.clone(), &plan);
        Simulation::linked(control, plan, config, params, link)
    }

    /// Starts the control from what was learned before.
    pub fn remember(&mut self, learned: Learned) {
        self.director.remember(learned);
    }

    /// The controller is started anew on the site as it is, as after SIGKILL: every task forgets everything, nothing is handed back. Time
    /// goes on from here, where that of a real program would begin again.
    pub fn restart(&mut self, config: &Config, library: &Library) {
        let plan = plan(config, library);
        let control = ControlTask::new(config.clone(), &plan);
        let clock = std::mem::take(&mut self.clock);
        *self = Simulation::at(control, plan, config, Arc::clone(&self.site), clock, &mut |_| None);
    }

    /// The control task.
    pub fn control(&self) -> &ControlTask {
        &self.director
    }
}

impl<D: Director> Simulation<D> {
    /// As [`Simulation::new`], under another director.
    pub fn under(director: D, plan: Plan, config: &Config, params: SiteParams) -> Simulation<D> {
        Simulation::linked(director, plan, config, params, &mut |_| None)
    }

    fn linked(
        director: D,
        plan: Plan,
        config: &Config,
        params: SiteParams,
        link: &mut dyn FnMut(usize) -> Option<Box<dyn Link>>,
    ) -> Simulation<D> {
        let wall_start_s = first_midnight(config);
        let site = Arc::new(Mutex::new(Site::new(SiteParams { wall_start_s, ..params })));
        let clock = VirtualClock { now: Cell::default(), wall_start_s: Cell::new(wall_start_s) };
        Simulation::at(director, plan, config, site, clock, link)
    }

    /// New tasks on this site, at what this clock shows.
    fn at(
        director: D,
        plan: Plan,
        config: &Config,
        site: Arc<Mutex<Site>>,
        clock: VirtualClock,
        link: &mut dyn FnMut(usize) -> Option<Box<dyn Link>>,
    ) -> Simulation<D> {
        let host = |e: usize| host_of(&plan, config, &lock(&site), e);
        let mut endpoint = |(e, endpoint): (usize, &EndpointPlan)| {
            if let Some(own) = link(e) {
                return (SharedEndpoint::new(own), None);
            }
            let host = host(e);
            let bus = line_of(&endpoint.place).map(|line| (line, BusTime::default()));
            let link = match &bus {
                Some((line, time)) => SimLink::on_bus(Arc::clone(&site), host, *line, time.clone()),
                None => SimLink::new(Arc::clone(&site), host),
            };
            (SharedEndpoint::new(Box::new(link)), bus.map(|(_, time)| time))
        };
        let endpoints: Vec<_> = plan.endpoints.iter().enumerate().map(&mut endpoint).collect();
        let at = |e: usize| endpoints[e].clone();
        let battery = |p: Placed<BatterySpec>| {
            let (endpoint, bus) = at(p.endpoint);
            Turns::new(BatteryTask::new(p.spec, endpoint), bus)
        };
        let bms = |p: Placed<BmsSpec>| {
            let (endpoint, bus) = at(p.endpoint);
            Turns::new(BmsTask::new(p.spec, endpoint), bus)
        };
        let charger = |p: Placed<ChargerSpec>| {
            let (endpoint, bus) = at(p.endpoint);
            Turns::new(ChargerTask::new(p.spec, endpoint), bus)
        };
        let meter = |p: Placed<MeterSpec>| {
            let (endpoint, bus) = at(p.endpoint);
            Turns::new(MeterTask::new(p.spec, endpoint), bus)
        };
        Simulation {
            director,
            meter: plan.meter.map(meter),
            p1: plan.p1.map(|spec| {
                let source = SiteTelegrams::new(Arc::clone(&site), spec.interval);
                Turns::new(P1Task::new(spec, Box::new(source), None), None)
            }),
            batteries: plan.batteries.into_iter().map(battery).collect(),
            bmses: plan.bmses.into_iter().map(bms).collect(),
            chargers: plan.chargers.into_iter().map(charger).collect(),
            site,
            clock,
            tick: Time::ZERO,
            queue: Vec::new(),
        }
    }

    /// The site, to look at it or to change something.
    pub fn site(&self) -> MutexGuard<'_, Site> {
        lock(&self.site)
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
        self.site().set_wall_s(unix_s);
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

    /// Time passes until `until` and no task gets a turn, as after SIGSTOP.
    pub fn pause_until(&mut self, until: Time) {
        self.advance(until.max(self.clock.now()));
    }

    /// Stops the controller as SIGTERM does: every battery is handed back, every charger is left at its fallback. False when one of them
    /// did not acknowledge that.
    pub fn stop(&mut self) -> bool {
        let mut released = true;
        for battery in &mut self.batteries {
            released &= battery.release(&self.clock, &mut self.queue);
        }
        for charger in &mut self.chargers {
            released &= charger.release(&self.clock, &mut self.queue);
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
        let bmses = self.bmses.iter().map(|b| b.wake_at(now));
        let chargers = self.chargers.iter().map(|c| c.wake_at(now));
        let reports = self.queue.iter().map(|(at, _)| *at);
        meter.chain(batteries).chain(bmses).chain(chargers).chain(reports).fold(self.next_step(), Time::min).max(now)
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
        // Whoever has waited longest for a bus goes first; without a bus the order is that of the configuration.
        let mut order: Vec<usize> = (0..self.batteries.len()).collect();
        order.sort_by_key(|k| self.batteries[*k].bus.as_ref().map(|_| self.batteries[*k].task.wake_at(now)));
        for k in order {
            self.batteries[k].turn(now, &self.clock, &mut self.queue);
        }
        for bms in &mut self.bmses {
            bms.turn(now, &self.clock, &mut self.queue);
        }
        for charger in &mut self.chargers {
            charger.turn(now, &self.clock, &mut self.queue);
        }
        if self.drain() {
            self.step(now);
        }
    }

    fn drain(&mut self) -> bool {
        let (now, mut step) = (self.clock.now(), false);
        let (due, later): (Vec<_>, Vec<_>) = self.queue.drain(..).partition(|(at, _)| *at <= now);
        self.queue = later;
        for (_, event) in due {
            step |= self.director.take(event);
        }
        step
    }

    fn step(&mut self, now: Time) {
        let batteries = &mut self.batteries;
        self.director.step(now, self.clock.wall_s(), &mut |k, instruction| batteries[k].task.instruct(instruction));
        let chargers = &mut self.chargers;
        self.director.instruct_chargers(now, &mut |k, instruction| chargers[k].task.instruct(instruction));
        if now >= self.tick {
            self.tick = now + TICK;
        }
    }
}

/// The number of the host of the site that stands for this endpoint of the plan: that of devices which answer by a profile comes behind
/// those of the batteries, see [`devices`](crate::simulated_devices::devices).
pub fn host_of(plan: &Plan, config: &Config, site: &Site, endpoint: usize) -> usize {
    let own = config.batteries.len() + endpoint;
    let place = &plan.endpoints[endpoint].place;
    let battery = || config.batteries.iter().position(|b| b.link.place() == *place);
    if site.has_devices(own) { own } else { battery().unwrap_or(0) }
}

/// The serial line at a place, where there is one.
pub fn line_of(place: &Place) -> Option<Line> {
    let Place::Rtu(serial) = place else { return None };
    let parity = u32::from(serial.parity != Parity::None);
    let character_bits = 1 + u32::from(serial.data_bits) + parity + u32::from(serial.stop_bits);
    Some(Line { baud: serial.baud, character_bits, ..Line::slow() })
}

fn lock(site: &Mutex<Site>) -> MutexGuard<'_, Site> {
    site.lock().unwrap_or_else(PoisonError::into_inner)
}

/// UTC where there is no schedule.
fn first_midnight(config: &Config) -> i64 {
    let utc = || Zone::find("UTC");
    let zone = config.schedule.as_ref().map(|schedule| schedule.zone.clone()).or_else(utc);
    zone.and_then(|zone| zone.unix_s(FIRST_DAY, (0, 0))).unwrap_or_default()
}
