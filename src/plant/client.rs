//! A link straight into the simulated site, in virtual time and without bytes.
//!
//! Faults become the errors a real link reports: what never comes is a timeout, what does not fit is an invalid response, what ends the
//! connection is an I/O error and makes the next request a new connection. Never advances the site: whoever drives the time does.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::modbus::{Error, Result};

use super::faults::Fault;
use super::line::{BusTime, Line};
use super::sax::Answer;
use super::site::Site;
use super::wire;
use crate::link::exchange::{Exchange, client_by_exchange};
use crate::link::fault::{Fault as LinkFault, crc_error, exception_error};
use crate::link::{Counters, Link};
use crate::modbus::pdu::{Reply, Request};

/// A link to one unit of one host of a site.
pub struct SimLink {
    site: Arc<Mutex<Site>>,
    host: usize,
    bus: Option<(Line, BusTime)>,
    unit: u8,
    name: String,
    timeout: Duration,
    generation: u64,
    connected: bool,
    starts: u32,
    counters: Counters,
    answered: bool,
}

impl SimLink {
    /// A link to this battery or other host; `set_uid` chooses the unit, 64 at first. Nothing takes time.
    pub fn new(site: Arc<Mutex<Site>>, host: usize) -> SimLink {
        SimLink {
            site,
            host,
            bus: None,
            unit: super::sax::UNIT_BASIC,
            name: format!("sim:{host}"),
            timeout: Duration::from_secs(1),
            generation: 0,
            connected: false,
            starts: 0,
            counters: Counters::default(),
            answered: false,
        }
    }

    /// A link to the devices on a serial line, on which every frame takes its time and a lost one takes the whole timeout. It lets `time`
    /// run ahead; whoever drives the time waits until it has caught up before the next request.
    pub fn on_bus(site: Arc<Mutex<Site>>, host: usize, line: Line, time: BusTime) -> SimLink {
        SimLink { bus: Some((line, time)), name: format!("bus:{host}"), ..SimLink::new(site, host) }
    }

    fn outcome(&mut self, request: &Request) -> Result<Reply> {
        let Some((line, time)) = self.bus.clone() else { return self.exchange_at_once(request) };
        // Unit and CRC are three bytes more than the PDU.
        let asked = request.encode().len() + 3;
        let begun_ms = time.now_ms();
        time.reach(begun_ms + line.exchange_ms(asked, 0).0);
        self.site.lock().unwrap_or_else(PoisonError::into_inner).advance_to(time.now_ms());
        let outcome = self.exchange_at_once(request);
        time.reach(match &outcome {
            Ok(reply) => begun_ms + line.exchange_ms(asked, reply.encode().len() + 3).1,
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::TimedOut => time.now_ms() + self.timeout.as_millis() as u64,
            Err(_) => begun_ms + line.exchange_ms(asked, 5).1,
        });
        outcome
    }

    fn exchange_at_once(&mut self, request: &Request) -> Result<Reply> {
        let mut site = self.site.lock().unwrap_or_else(PoisonError::into_inner);
        let active = site.faults().active(self.host);
        if active.contains(&Fault::Refuse) {
            return Err(io_error(io::ErrorKind::ConnectionRefused));
        }
        // A serial port knows nothing of what its devices do.
        let starts = if self.bus.is_some() { 0 } else { site.starts(self.host) };
        if self.connected && self.starts != starts {
            return Err(io_error(io::ErrorKind::ConnectionReset));
        }
        if !self.connected {
            (self.connected, self.starts) = (true, starts);
            self.generation += 1;
        }
        if let Some(kind) = active.iter().filter(|fault| self.bus.is_none() || **fault != Fault::Stolen).find_map(ending) {
            return Err(io_error(kind));
        }
        let answer = wire::respond(&mut site, self.host, self.unit, request, &active);
        let faults = site.faults();
        drop(site);
        let Answer::Reply(reply) = answer else { return Err(io_error(io::ErrorKind::TimedOut)) };
        let answered = std::mem::replace(&mut self.answered, true);
        for fault in active {
            if matches!(fault, Fault::BitError { permille } if self.bus.is_some() && faults.happens(permille)) {
                return Err(crc_error());
            }
            deliver(fault, &reply, self.timeout, answered)?;
        }
        match reply {
            Reply::Exception { code, .. } => Err(exception_error(code)),
            reply if reply.function() != request.function() => Err(Error::InvalidResponse),
            reply => Ok(reply),
        }
    }
}

/// How a fault ends the connection, if it does.
fn ending(fault: &Fault) -> Option<io::ErrorKind> {
    match fault {
        Fault::Reset => Some(io::ErrorKind::ConnectionReset),
        // Each new connection is one too many, and closed at once.
        Fault::Close | Fault::Stolen => Some(io::ErrorKind::UnexpectedEof),
        _ => None,
    }
}

/// What a fault of the bytes makes of a reply.
fn deliver(fault: Fault, reply: &Reply, timeout: Duration, answered: bool) -> Result<()> {
    let late = |ms: u64| if Duration::from_millis(ms) >= timeout { Err(io_error(io::ErrorKind::TimedOut)) } else { Ok(()) };
    match fault {
        Fault::Delay(ms) => late(ms),
        Fault::Trickle(ms) => late(ms.saturating_mul(7 + reply.encode().len() as u64)),
        Fault::HalfFrame | Fault::WrongLength => Err(io_error(io::ErrorKind::TimedOut)),
        Fault::StaleReplay if !answered => Err(io_error(io::ErrorKind::TimedOut)),
        Fault::StaleReplay | Fault::Garbage | Fault::WrongId | Fault::WrongUnit | Fault::TrailingBytes | Fault::ShortByOne => {
            Err(Error::InvalidResponse)
        }
        _ => Ok(()),
    }
}

fn io_error(kind: io::ErrorKind) -> Error {
    Error::Io(kind.into())
}

impl Link for SimLink {
    fn name(&self) -> &str {
        &self.name
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }
}

impl Exchange for SimLink {
    fn exchange(&mut self, request: &Request) -> Result<Reply> {
        let result = self.outcome(request);
        self.counters.count(&result);
        // Timeouts and exceptions leave the connection as it is.
        if result.as_ref().is_err_and(|error| matches!(LinkFault::of(error), LinkFault::Io(_) | LinkFault::Invalid(_))) {
            self.connected = false;
        }
        result
    }
}

client_by_exchange!(SimLink);
