//! One endpoint: the link to a host, which register banks answer there, and when each unit may be asked again.
//!
//! Devices on one host share it behind a lock that is held for one request at a time. It answers for the gap between requests that a
//! device needs; it never decides what to ask.

mod pass;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::banks::Banks;
use super::clock::Clock;
use super::comm_log::CommLog;
use crate::device::profile::{Block, RawWrite};
use crate::link::fault::Fault;
use crate::link::{Counters, Link};
use crate::units::{Span, Time};

/// A read lets a waiting request pass for this long.
const YIELD: Span = Span::from_ms(50);
/// A request that is not made in this time after its gap is not waited for any longer.
const RESERVED: Span = Span::from_s(1);

/// A link and what is known about the device behind it.
pub struct Endpoint {
    link: Box<dyn Link>,
    asked: Vec<Asked>,
    /// A request to this unit waits for its gap and goes before reads that can wait, until then.
    reserved: Option<(u8, Time)>,
    /// Where faults are written down.
    comm_log: Option<CommLog>,
    /// Which banks answer.
    pub banks: Banks,
}

/// The last request to a unit.
struct Asked {
    unit: u8,
    at: Time,
    /// What the unit needs between requests, as far as those who ask it have said.
    gap: Span,
}

/// An endpoint that several tasks share.
#[derive(Clone)]
pub struct SharedEndpoint(Arc<Shared>);

struct Shared {
    /// Passed before waiting for the endpoint. A plain mutex goes to whoever is quickest, which is the thread that has just let it go: those
    /// that poll dead devices at every chance would keep another one waiting for many timeouts.
    queue: Queue,
    endpoint: Mutex<Endpoint>,
}

/// First come, first served; only whoever stands in front waits for what the queue is for.
#[derive(Default)]
struct Queue {
    /// Number of the next one that comes, and of the one in front.
    numbers: Mutex<(u64, u64)>,
    moved: Condvar,
}

impl Queue {
    /// Waits until it is the caller's turn, and lets the next one to the front when `wait` has ended.
    fn pass<T>(&self, wait: impl FnOnce() -> T) -> T {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let own = numbers.0;
        numbers.0 += 1;
        drop(self.moved.wait_while(numbers, |(_, front)| *front != own));
        let waited = wait();
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        numbers.1 += 1;
        // Asking the kernel to wake nobody costs as much as a request of the simulation.
        if numbers.0 > numbers.1 {
            self.moved.notify_all();
        }
        waited
    }
}

impl SharedEndpoint {
    /// An endpoint that has not been asked anything yet.
    pub fn new(link: Box<dyn Link>) -> SharedEndpoint {
        SharedEndpoint::with_comm_log(link, None)
    }

    /// The same; every fault is written down there.
    pub fn with_comm_log(link: Box<dyn Link>, comm_log: Option<CommLog>) -> SharedEndpoint {
        let endpoint = Mutex::new(Endpoint { link, asked: Vec::new(), reserved: None, comm_log, banks: Banks::default() });
        SharedEndpoint(Arc::new(Shared { queue: Queue::default(), endpoint }))
    }

    /// Exclusive use, for one request. Who asks again waits behind those who wait already.
    pub fn lock(&self) -> MutexGuard<'_, Endpoint> {
        self.0.queue.pass(|| self.0.endpoint.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Endpoint {
    /// What to call it.
    pub fn name(&self) -> String {
        self.link.name().to_owned()
    }

    /// Counts up with every new connection.
    pub fn generation(&self) -> u64 {
        self.link.generation()
    }

    /// Faults so far.
    pub fn counters(&self) -> Counters {
        self.link.counters()
    }

    /// The deadline of further requests.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.link.set_timeout(timeout);
    }

    /// When `unit` may be asked again; a millisecond more than the gap, because times are whole milliseconds.
    pub fn ready_at(&self, unit: u8, gap: Span) -> Time {
        self.last(unit).map_or(Time::ZERO, |last| if gap == Span::ZERO { last.at } else { last.at + gap + Span::from_ms(1) })
    }

    /// When `unit` may be asked for something that can wait: a request that has reserved the same gap goes first.
    pub fn ready_to_read_at(&self, unit: u8, gap: Span, now: Time) -> Time {
        let ready = self.ready_at(unit, gap);
        match self.reserved {
            Some((reserved, until)) if reserved == unit && now < until => ready + YIELD,
            _ => ready,
        }
    }

    /// A request to `unit` waits until its gap is over.
    pub fn reserve(&mut self, unit: u8, gap: Span, now: Time) {
        self.reserved = Some((unit, self.ready_at(unit, gap).max(now) + RESERVED));
    }

    /// Reads a block of registers of `unit`, not within `gap` of the last request to it.
    pub fn read(&mut self, unit: u8, block: &Block, gap: Span, clock: &dyn Clock) -> ::modbus::Result<Vec<u16>> {
        self.keep_gap(unit, gap, clock);
        self.reserved = None;
        self.link.set_uid(unit);
        let answer = match block.function {
            4 => self.link.read_input_registers(block.address, block.count),
            _ => self.link.read_holding_registers(block.address, block.count),
        };
        self.note(unit, gap, clock.now());
        self.write_down(unit, block, &answer);
        answer
    }

    /// Writes one number to `unit`, all of its registers in one request, not within `gap` of the last request to it.
    pub fn write(&mut self, unit: u8, write: &RawWrite, gap: Span, clock: &dyn Clock) -> ::modbus::Result<()> {
        self.keep_gap(unit, gap, clock);
        self.reserved = None;
        self.link.set_uid(unit);
        let answer = match (write.function, write.words.as_slice()) {
            (6, [word]) => self.link.write_single_register(write.address, *word),
            (_, words) => self.link.write_multiple_registers(write.address, words),
        };
        self.note(unit, gap, clock.now());
        self.write_down(unit, &Block { function: if write.function == 16 { 16 } else { 6 }, address: write.address, count: 1 }, &answer);
        answer
    }

    fn write_down<T>(&self, unit: u8, block: &Block, answer: &::modbus::Result<T>) {
        if let (Some(log), Err(error)) = (&self.comm_log, answer) {
            log.request(self.link.name(), unit, block, &Fault::of(error));
        }
    }

    /// Tasks ask when the unit is ready before they come here; this waits where another one was faster.
    fn keep_gap(&self, unit: u8, gap: Span, clock: &dyn Clock) {
        let early = self.ready_at(unit, gap).since(clock.now());
        if early > Span::ZERO {
            clock.sleep(early);
        }
    }

    fn last(&self, unit: u8) -> Option<&Asked> {
        self.asked.iter().find(|asked| asked.unit == unit)
    }

    fn note(&mut self, unit: u8, gap: Span, now: Time) {
        match self.asked.iter_mut().find(|asked| asked.unit == unit) {
            Some(asked) => (asked.at, asked.gap) = (now, asked.gap.max(gap)),
            // Units are bytes, so this list has at most 256 entries.
            None => self.asked.push(Asked { unit, at: now, gap }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::link::{self, deadline::Hurry, place::Place};

    #[test]
    fn who_comes_first_is_served_first_and_who_asks_again_waits_behind_the_others() {
        let place = Place::Tcp { host: "127.0.0.1".into(), port: 1 };
        let shared = SharedEndpoint::new(link::open(&place, Duration::from_millis(1), Hurry::default()));
        for round in 0..100 {
            let served = Mutex::new(Vec::new());
            thread::scope(|scope| {
                let held = shared.lock();
                let come = || shared.0.queue.numbers.lock().unwrap().0;
                for name in 0..4 {
                    let before = come();
                    let (shared, served) = (&shared, &served);
                    scope.spawn(move || {
                        let _endpoint = shared.lock();
                        served.lock().unwrap().push(name);
                    });
                    while come() == before {
                        thread::yield_now();
                    }
                }
                drop(held);
                drop(shared.lock());
                assert_eq!(*served.lock().unwrap(), [0, 1, 2, 3], "round {round}");
            });
        }
    }
}
