//! Modbus RTU on a serial port: several devices on one bus, one request in flight, one deadline for all that a request does.
//!
//! * Opens the port at the next request, never before; after a failure not for 0.5 s to 5 s, during which requests fail at once. A port
//!   that is gone (adapter unplugged, terminal hung up) is dropped and opened anew, also under the same path.
//! * Sends every request exactly once, after at least 3.5 characters of silence, and frames the reply by its length: the CRC decides, and
//!   what stands before the reply (noise, echo, answers of others) does not hide it.
//! * Never sends to unit 0: nobody answers a broadcast, so nobody would know what became of it.

use std::io;
use std::time::{Duration, Instant};

use ::modbus::{Error, Result};

use super::bus::Bus;
use super::connect::Backoff;
use super::deadline::{Deadline, Hurry};
use super::exchange::{Exchange, check_request, client_by_exchange, not_sendable};
use super::line::Line;
use super::place::Serial;
use super::{Counters, Link};
use crate::modbus::pdu::{Reply, Request};

/// A link to the devices on one serial port.
#[derive(Debug)]
pub struct RtuLink {
    serial: Serial,
    unit: u8,
    timeout: Duration,
    bus: Option<Bus>,
    backoff: Backoff,
    /// Why the port could not be opened last.
    refused: String,
    generation: u64,
    counters: Counters,
    hurry: Hurry,
}

impl RtuLink {
    /// Opens the port at the first request. `timeout` is for a whole request, kept within 1 ms and one hour. Requests go to unit 1 until
    /// `set_uid`. `hurry` calls off the waiting for an answer.
    pub fn new(serial: &Serial, timeout: Duration, hurry: Hurry) -> RtuLink {
        RtuLink {
            serial: serial.clone(),
            unit: 1,
            timeout,
            bus: None,
            backoff: Backoff::default(),
            refused: String::new(),
            generation: 0,
            counters: Counters::default(),
            hurry,
        }
    }

    fn attempt(&mut self, request: &Request) -> Result<Reply> {
        check_request(request)?;
        if self.unit == 0 {
            return Err(not_sendable("unit 0 means all devices of a serial bus, and none of them answers"));
        }
        let hurried = self.hurry.is_called();
        let mut bus = self.opened(request)?;
        match bus.exchange(self.unit, request, Deadline::after(self.timeout), hurried) {
            Ok(reply) => {
                self.bus = Some(bus);
                Ok(reply)
            }
            Err(no_reply) => {
                if no_reply.usable {
                    self.bus = Some(bus);
                } else {
                    log::debug!("{}: dropped the port: {}", self.serial.port, no_reply.error);
                }
                Err(no_reply.error)
            }
        }
    }

    /// The open port, silent and without old bytes, or a new one. Whoever asks puts it back when it may be used again.
    fn opened(&mut self, request: &Request) -> Result<Bus> {
        if let Some(mut bus) = self.bus.take() {
            match bus.settle(self.unit, request) {
                Ok(()) => return Ok(bus),
                Err(why) => log::debug!("{}: dropped the port: {why}", self.serial.port),
            }
            // The old one is closed here, before the new one is opened: it would keep it locked.
        }
        if let Some(left) = self.backoff.left(Instant::now()) {
            let text = format!("{} Tried again in {} s.", self.refused, left.as_secs() + 1);
            return Err(io::Error::new(io::ErrorKind::NotConnected, text).into());
        }
        let opened = Line::open(&self.serial).map_err(io::Error::from).and_then(|line| {
            let mut bus = Bus::new(line, self.hurry.clone());
            bus.settle(self.unit, request).map(|()| bus)
        });
        match opened {
            Ok(bus) => {
                self.backoff.succeeded();
                self.generation = self.generation.saturating_add(1);
                Ok(bus)
            }
            Err(error) => {
                self.backoff.failed(Instant::now());
                self.refused = error.to_string();
                Err(Error::Io(error))
            }
        }
    }
}

impl Exchange for RtuLink {
    fn exchange(&mut self, request: &Request) -> Result<Reply> {
        let outcome = self.attempt(request);
        self.counters.count(&outcome);
        outcome
    }
}

client_by_exchange!(RtuLink);

impl Link for RtuLink {
    fn name(&self) -> &str {
        &self.serial.port
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
