//! Modbus TCP: one connection, one request in flight, one deadline for all that a request does.
//!
//! * Connects at the next request, never before and never inside one that was already sent; after a failure not for 0.5 s to 5 s, during
//!   which requests fail at once.
//! * Sends every request exactly once. A request that timed out may still be executed by the device.
//! * Keeps the connection only while it stands on a frame boundary, and drops it after two timeouts in a row (half-open connections look
//!   like silence). Has at most one connection open: many batteries allow only one (facts/sax.md 2, "Connection quirks").
//! * Uses transaction ids 1..=255, because SAX batteries clear the high byte in write replies (facts/sax.md 5.2).

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use ::modbus::{Error, Result};

use super::connect::{Backoff, connect_any};
use super::connection::Connection;
use super::deadline::{Deadline, Hurry};
use super::exchange::{Exchange, check_reply, check_request, client_by_exchange};
use super::fault::{Fault, wrong_unit_error};
use super::resolve::Resolver;
use super::{Counters, Link};
use crate::modbus::mbap::Frame;
use crate::modbus::pdu::{Reply, Request};

/// So many timeouts in a row end a connection, although it stands on a frame boundary.
const TIMEOUTS_MAX: u8 = 2;

/// A link to one Modbus TCP server.
#[derive(Debug)]
pub struct TcpLink {
    name: String,
    unit: u8,
    timeout: Duration,
    resolver: Resolver,
    connection: Option<Connection>,
    backoff: Backoff,
    /// Why the last connection could not be made.
    refused: String,
    timeouts_in_a_row: u8,
    transaction: u8,
    generation: u64,
    counters: Counters,
    hurry: Hurry,
}

impl TcpLink {
    /// A link that is not connected yet. `host` is a name or an address; `timeout` is for a whole request, connecting included, and is
    /// kept within 1 ms and one hour. Requests go to unit 1 until `set_uid`.
    pub fn new(host: &str, port: u16, timeout: Duration) -> TcpLink {
        TcpLink::with_hurry(host, port, timeout, Hurry::default())
    }

    /// The same, with a switch that calls off the waiting for an answer.
    pub fn with_hurry(host: &str, port: u16, timeout: Duration, hurry: Hurry) -> TcpLink {
        TcpLink {
            hurry,
            name: if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") },
            unit: 1,
            timeout,
            resolver: Resolver::new(host, port),
            connection: None,
            backoff: Backoff::default(),
            refused: String::new(),
            timeouts_in_a_row: 0,
            transaction: 0,
            generation: 0,
            counters: Counters::default(),
        }
    }

    /// The same over a connection that is open already; when it ends, the next one is made to this host and port.
    pub fn over(stream: TcpStream, host: &str, port: u16, timeout: Duration) -> TcpLink {
        let link = TcpLink::new(host, port, timeout);
        let connection = Connection::new(stream, link.hurry.clone());
        TcpLink { connection: Some(connection), generation: 1, ..link }
    }

    fn attempt(&mut self, request: &Request) -> Result<Reply> {
        check_request(request)?;
        let deadline = Deadline::after(self.timeout);
        let frame = Frame { transaction: self.next_transaction(), unit: self.unit, pdu: request.encode() };
        let mut connection = self.connected(deadline)?;
        if deadline.left().is_none() {
            // Connecting took all the time. Nothing was sent, so the connection is as good as new.
            self.connection = Some(connection);
            return Err(deadline.passed().into());
        }
        match connection.exchange(&frame, deadline) {
            Ok(reply) => {
                self.connection = Some(connection);
                self.timeouts_in_a_row = 0;
                if reply.unit == frame.unit { check_reply(request, &reply.pdu) } else { Err(wrong_unit_error(reply.unit)) }
            }
            Err(no_reply) => {
                if self.stays(&no_reply.error, no_reply.usable) {
                    self.connection = Some(connection);
                }
                Err(no_reply.error)
            }
        }
    }

    /// The open connection, if it is fit for a request, or a new one. Whoever asks puts it back when it may be used again.
    fn connected(&mut self, deadline: Deadline) -> Result<Connection> {
        if let Some(mut connection) = self.connection.take() {
            match connection.settle() {
                Ok(()) => return Ok(connection),
                Err(why) => log::debug!("{}: dropped the connection: {why}", self.name),
            }
            // The old connection ends here, before the new one begins.
        }
        if let Some(left) = self.backoff.left(Instant::now()) {
            let text = format!("no connection ({}), tried again in {} s", self.refused, left.as_secs() + 1);
            return Err(io::Error::new(io::ErrorKind::NotConnected, text).into());
        }
        self.timeouts_in_a_row = 0;
        match self.resolver.resolve(deadline).and_then(|addresses| connect_any(&addresses, deadline)) {
            Ok(stream) => {
                self.backoff.succeeded();
                self.generation = self.generation.saturating_add(1);
                Ok(Connection::new(stream, self.hurry.clone()))
            }
            Err(error) => {
                self.backoff.failed(Instant::now());
                self.refused = error.to_string();
                // Nothing was sent: this is no device that does not answer, but none that is there.
                let kind = if error.kind() == io::ErrorKind::TimedOut { io::ErrorKind::NotConnected } else { error.kind() };
                Err(io::Error::new(kind, format!("no connection ({error})")).into())
            }
        }
    }

    /// Whether the connection is kept after a request without a reply.
    fn stays(&mut self, error: &Error, usable: bool) -> bool {
        if Fault::of(error) == Fault::Timeout {
            self.timeouts_in_a_row = self.timeouts_in_a_row.saturating_add(1);
        }
        let stays = usable && self.timeouts_in_a_row < TIMEOUTS_MAX;
        if !stays {
            log::debug!("{}: dropped the connection: {error}", self.name);
        }
        stays
    }

    /// 1..=255 and again.
    fn next_transaction(&mut self) -> u16 {
        self.transaction = self.transaction.checked_add(1).unwrap_or(1);
        u16::from(self.transaction)
    }
}

impl Exchange for TcpLink {
    fn exchange(&mut self, request: &Request) -> Result<Reply> {
        let outcome = self.attempt(request);
        self.counters.count(&outcome);
        outcome
    }
}

client_by_exchange!(TcpLink);

impl Link for TcpLink {
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
