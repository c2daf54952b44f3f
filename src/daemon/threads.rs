//! A thread for every task. The loops wait on channels with deadlines, so nothing polls and nothing sleeps longer than it must.

mod loops;

use std::io;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, never};

use self::loops::{Context, Slots, device_loop, director_loop};
use super::battery::BatteryTask;
use super::bms::BmsTask;
use super::charger::ChargerTask;
use super::clock::{Clock, Monotonic};
use super::comm_log::CommLog;
use super::director::Director;
use super::endpoint::SharedEndpoint;
use super::message::Event;
use super::meter::MeterTask;
use super::p1::P1Task;
use super::slot::slot;
use super::watchdog::{Pulse, SharedLife, Watchdog};
use super::wiring::{EndpointPlan, Plan};
use crate::background;
use crate::config::TelegramLink;
use crate::control::decision::Order;
use crate::device::writer::Command;
use crate::link::{self, deadline::Hurry, place::Place};
use crate::serve::alive::Alive;
use crate::serve::ask::Asked;
use crate::serve::socket::Published;
use crate::units::Span;

/// The control thread steps at least this often; the ladder needs no more.
pub const TICK: Span = Span::from_ms(500);
/// A task that had nothing to do although it thought so waits this long: a guard against a busy loop.
pub const IDLE: Span = Span::from_ms(20);
/// Events that wait for the control thread; more are dropped, for it would be dead.
const EVENTS_MOST: usize = 1024;
/// Requests of Modbus clients that wait for the control thread; more are refused.
const ASKED_MOST: usize = 64;
/// Silence of the control thread that is still normal.
const CONTROL: Span = Span::from_s(5);
/// What everything but requests takes at most, on a machine that is busy.
const SLACK: Span = Span::from_s(10);
/// A request, or an attempt to connect, of a thread that listens to a meter.
const LISTENER: Span = Span::from_s(2);
/// An adapter that hangs has its port opened nevertheless: the kernel gives each of its settings up after 5 s (USB_CTRL_GET_TIMEOUT and
/// USB_CTRL_SET_TIMEOUT in Linux's include/linux/usb.h).
const ADAPTER: Span = Span::from_s(50);

/// The running threads.
pub struct Threads {
    /// Closing it stops everything.
    stop: Sender<()>,
    /// Gets an item for every battery that did not acknowledge its release; closed when all threads that command something have ended.
    done: Receiver<Unreleased>,
    /// Ends the waiting for answers at the stop.
    hurry: Hurry,
    /// Where the server's threads ask; held here, so that the control thread never finds it closed.
    asked: Sender<Asked>,
    /// What others than these threads report to the control thread.
    events: Sender<Event>,
    /// Of the server's gateway.
    gateway: Option<SharedEndpoint>,
    /// Those that are watched.
    life: SharedLife,
    clock: Monotonic,
}

/// A battery was not released.
struct Unreleased;

impl Threads {
    /// Starts the tasks of the plan under this director.
    pub fn start(plan: Plan, director: Box<dyn Director + Send>, published: Published, clock: Monotonic) -> io::Result<Threads> {
        let (stop_sender, stop) = bounded::<()>(0);
        let (done_sender, done) = bounded(plan.batteries.len() + plan.chargers.len());
        let (events_sender, events) = bounded(EVENTS_MOST);
        let hurry = Hurry::default();
        let context = |pulse: Pulse, hands_back: bool| Context {
            pulse,
            clock,
            events: events_sender.clone(),
            stop: stop.clone(),
            done: hands_back.then(|| done_sender.clone()),
        };
        let comm_log = plan.comm_log.as_deref().map(|path| CommLog::start(path, clock)).transpose()?;
        let patience = patiences(&plan);
        let listener = listener(&plan);
        let endpoint = |e: &EndpointPlan| {
            SharedEndpoint::with_comm_log(link::open(&e.place, e.timeout.to_duration(), hurry.clone()), comm_log.clone())
        };
        let endpoints: Vec<_> = plan.endpoints.iter().map(endpoint).collect();
        let gateway = plan.server.as_ref().and_then(|server| endpoints.get(server.gateway?)).cloned();
        let observe = plan.site.observe;
        let life = SharedLife::default();
        let join = |name: &str, patience: Span, hands_back: bool| context(life.lock().join(name, patience, clock.now()), hands_back);
        let control = join("control", CONTROL, false);
        let mut slots = Vec::new();
        for placed in plan.batteries {
            let (fallback, objection) = (order(placed.spec.fallback), placed.spec.objection);
            let name = format!("battery {}", placed.spec.name);
            let (slot, instructions) = slot();
            let c = join(&name, patience[placed.endpoint], true);
            let mut task = BatteryTask::new(placed.spec, endpoints[placed.endpoint].clone());
            background::start(&name, move || device_loop(&mut task, &instructions, &c))?;
            slots.push((slot, fallback, objection));
        }
        let mut charger_slots = Vec::new();
        for placed in plan.chargers {
            let name = format!("charger {}", placed.spec.name);
            let (slot, instructions) = slot();
            let c = join(&name, patience[placed.endpoint], !observe);
            let mut task = ChargerTask::new(placed.spec, endpoints[placed.endpoint].clone());
            background::start(&name, move || device_loop(&mut task, &instructions, &c))?;
            charger_slots.push(slot);
        }
        for placed in plan.bmses {
            let name = format!("bms {}", placed.spec.name);
            let c = join(&name, patience[placed.endpoint], false);
            let mut task = BmsTask::new(placed.spec, endpoints[placed.endpoint].clone());
            background::start(&name, move || device_loop(&mut task, &never(), &c))?;
        }
        if let Some(placed) = plan.meter {
            let c = join("meter", patience[placed.endpoint], false);
            let mut task = MeterTask::new(placed.spec, endpoints[placed.endpoint].clone());
            background::start("meter", move || device_loop(&mut task, &never(), &c))?;
        }
        if let Some(spec) = plan.p1 {
            let c = join("meter", listener, false);
            let mut task = P1Task::open(spec, comm_log.clone());
            background::start("meter", move || device_loop(&mut task, &never(), &c))?;
        }
        let watchdog = Watchdog {
            life: life.clone(),
            stop: stop.clone(),
            events: events_sender.clone(),
            batteries: if observe { Vec::new() } else { slots.clone() },
            control: control.pulse.clone(),
        };
        background::start("watchdog", move || watchdog.run(&clock))?;
        let told = Slots { batteries: slots.into_iter().map(|s| s.0).collect(), chargers: charger_slots };
        let (asked_sender, asked) = bounded(ASKED_MOST);
        background::start("control", move || director_loop(director, &events, &asked, &told, &published, &control))?;
        Ok(Threads { stop: stop_sender, done, hurry, asked: asked_sender, events: events_sender, gateway, life, clock })
    }

    /// One more thread is watched from now on; `patience` is the silence that is still normal for it.
    pub fn watch(&self, name: &str, patience: Span) -> impl Alive + Send + use<> {
        self.life.lock().join(name, patience, self.clock.now()).with(self.clock)
    }

    /// Where the threads of our Modbus server ask the control thread.
    pub fn asked(&self) -> Sender<Asked> {
        self.asked.clone()
    }

    /// Where is reported what the control thread should know, and the time that it goes by.
    pub fn events(&self) -> (Sender<Event>, Monotonic) {
        (self.events.clone(), self.clock)
    }

    /// The endpoint of the server's gateway, where it has one.
    pub fn gateway(&self) -> Option<SharedEndpoint> {
        self.gateway.clone()
    }

    /// Called when the threads stop.
    pub fn hurry(&self) -> Hurry {
        self.hurry.clone()
    }

    /// Stops everything: batteries are released. False when one of them did not acknowledge that within `patience`.
    pub fn stop(self, patience: Duration) -> bool {
        self.hurry.call();
        drop(self.stop);
        let deadline = Instant::now() + patience;
        let mut all_released = true;
        // The channel closes when the last thread drops its end; one that could not release does not end the wait for the others.
        loop {
            match self.done.recv_deadline(deadline) {
                Ok(_) => all_released = false,
                Err(error) => return all_released && error == RecvTimeoutError::Disconnected,
            }
        }
    }
}

/// A device thread may be busy with its own request and wait for those of all others on the same link, more than once.
fn patience(users: usize, timeout: Span, is_serial: bool) -> Span {
    let adapter = if is_serial { ADAPTER } else { Span::ZERO };
    timeout.times(2 + 2 * u64::try_from(users).unwrap_or(u64::MAX)) + SLACK + adapter
}

/// The patience with the users of each endpoint; the meter may be one of them, and so may the clients of a gateway.
fn patiences(plan: &Plan) -> Vec<Span> {
    let gateway = plan.server.as_ref().and_then(|server| server.gateway);
    let tasks = || {
        let batteries = plan.batteries.iter().map(|b| b.endpoint).chain(plan.bmses.iter().map(|b| b.endpoint));
        batteries.chain(plan.chargers.iter().map(|c| c.endpoint)).chain(gateway)
    };
    let users = |endpoint: usize| tasks().filter(|e| *e == endpoint).count() + 1;
    let of = |(i, e): (usize, &EndpointPlan)| patience(users(i), e.timeout, matches!(e.place, Place::Rtu(_)));
    plan.endpoints.iter().enumerate().map(of).collect()
}

/// The patience with a meter that is listened to.
fn listener(plan: &Plan) -> Span {
    let is_serial = plan.p1.as_ref().is_some_and(|spec| matches!(spec.link, TelegramLink::Serial(_)));
    patience(1, LISTENER, is_serial)
}

/// The order that stands for a command.
fn order(command: Command) -> Order {
    match command {
        Command::Setpoint(watts) => Order::Setpoint { watts, urgent: true },
        Command::Limits { charge_w, discharge_w } => Order::Limits { charge_w, discharge_w, urgent: true },
        Command::Release => Order::Release,
    }
}
