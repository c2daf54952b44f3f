//! Transports: one connection or bus per endpoint, one request in flight. All of them are `modbus::Client`s of the `modbus` crate.
//!
//! A link keeps a deadline for every request and checks that an answer answers what was asked. It never retries, never sends anything
//! twice, and knows nothing of registers: a write that timed out may still happen, and whoever asked sends the newest value next time.

mod bus;
pub mod connect;
mod connection;
pub mod deadline;
pub mod exchange;
pub mod fault;
pub mod line;
pub mod place;
pub mod reply_search;
pub mod request_search;
pub mod resolve;
pub mod rs485;
pub mod rtu;
pub mod serial;
pub mod tcp;

use std::time::Duration;

use self::deadline::Hurry;
use self::exchange::Exchange;
use self::fault::Fault;
use self::place::Place;
use self::rtu::RtuLink;
use self::tcp::TcpLink;

/// A link to `place`, which connects at its first request. `hurry` calls off the waiting for an answer.
pub fn open(place: &Place, timeout: Duration, hurry: Hurry) -> Box<dyn Link> {
    match place {
        Place::Tcp { host, port } => Box::new(TcpLink::with_hurry(host, *port, timeout, hurry)),
        Place::Rtu(serial) => Box::new(RtuLink::new(serial, timeout, hurry)),
    }
}

/// A transport that a driver speaks through.
pub trait Link: ::modbus::Client + Exchange + Send {
    /// What to call it in logs and status, for example `192.168.1.11:502`.
    fn name(&self) -> &str;

    /// Counts up with every new connection: when it changed, the device may have forgotten what we wrote.
    fn generation(&self) -> u64;

    /// What went wrong on this link since the start, by kind.
    fn counters(&self) -> Counters;

    /// The deadline of every further request, connecting included.
    fn set_timeout(&mut self, timeout: Duration);
}

/// Requests and faults of one link since the start. A failed request counts in exactly one of the kinds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests sent, or refused for want of a connection or because no such request can be sent.
    pub requests: u64,
    /// No answer before the deadline; over TCP also no complete one.
    pub timeout: u64,
    /// Frames whose CRC was wrong (serial links).
    pub crc: u64,
    /// Bytes, but no whole frame before the deadline (serial links).
    pub short: u64,
    /// Answers of a unit that was not asked, and none of the one that was.
    pub wrong_unit: u64,
    /// Exception replies.
    pub exception: u64,
    /// Complete answers that were not an answer to what was asked.
    pub invalid: u64,
    /// Everything the operating system reported: refused, reset, unreachable, port gone.
    pub io: u64,
}

impl Counters {
    /// Counts one request that came to this end.
    pub fn count<T>(&mut self, outcome: &::modbus::Result<T>) {
        match outcome {
            Ok(_) => self.requests = self.requests.saturating_add(1),
            Err(error) => self.count_fault(&Fault::of(error)),
        }
    }

    /// Counts one request, or one telegram, that ended in this fault.
    pub fn count_fault(&mut self, fault: &Fault) {
        self.requests = self.requests.saturating_add(1);
        let kind = match fault {
            Fault::Timeout => &mut self.timeout,
            Fault::Crc => &mut self.crc,
            Fault::Short { .. } => &mut self.short,
            Fault::WrongUnit(_) => &mut self.wrong_unit,
            Fault::Exception(_) => &mut self.exception,
            Fault::Invalid(_) => &mut self.invalid,
            Fault::Io(_) => &mut self.io,
        };
        *kind = kind.saturating_add(1);
    }
}
