//! The TCP port of a battery or another host: accepts, reads requests, sends replies, byte by byte if it must.
//!
//! Part of [`serve`](super::serve). Works in short turns; every wait has a limit.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::faults::{Fault, Faults};
use super::sax::Answer;
use super::serve::Shared;
use super::wire::{self, Sending};
use crate::modbus::mbap::{self, Frame};
use crate::modbus::pdu::{Reply, Request};

/// Longest wait within a turn.
const TURN: Duration = Duration::from_millis(4);
/// A connection that says nothing for so long makes room for another.
const IDLE: Duration = Duration::from_secs(600);
/// Longest wait for a client that does not take its reply.
const WRITE: Duration = Duration::from_millis(500);
/// More than any request is long.
const BUFFER: usize = 512;

/// The port of a host.
pub(super) struct Port {
    host: usize,
    faults: Faults,
    address: SocketAddr,
    listener: Option<TcpListener>,
    connection: Option<Connection>,
    previous: Vec<u8>,
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    heard: Instant,
    starts: Option<u32>,
}

impl Port {
    pub(super) fn new(host: usize, listener: TcpListener, faults: Faults) -> io::Result<Port> {
        listener.set_nonblocking(true)?;
        Ok(Port { host, faults, address: listener.local_addr()?, listener: Some(listener), connection: None, previous: Vec::new() })
    }

    /// Takes a new client, hears the present one, answers it.
    pub(super) fn turn(&mut self, shared: &Shared) {
        let faults = self.faults.active(self.host);
        if faults.contains(&Fault::Refuse) {
            (self.listener, self.connection) = (None, None);
            return thread::sleep(TURN);
        }
        self.accept();
        let Some(connection) = &mut self.connection else { return thread::sleep(TURN / 2) };
        if faults.contains(&Fault::Reset) {
            // A connection that is closed with bytes unread is reset.
            if connection.has_unread() {
                self.connection = None;
            }
            return;
        }
        if !connection.hear() {
            self.connection = None;
            return;
        }
        while let Some(frame) = self.connection.as_mut().and_then(Connection::next_frame) {
            self.serve(shared, &frame);
        }
        if self.connection.as_ref().is_some_and(|c| c.buffer.len() >= BUFFER) {
            self.connection = None;
        }
    }

    /// A second client is closed at once, unless the first one has left in the meantime.
    fn accept(&mut self) {
        if self.listener.is_none() {
            let bound = TcpListener::bind(self.address);
            self.listener = bound.ok().filter(|listener| listener.set_nonblocking(true).is_ok());
        }
        let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) else { return };
        if self.connection.as_ref().is_some_and(Connection::is_alive) {
            // Dropped, and thereby closed.
            return;
        }
        self.connection = Connection::new(stream).ok();
    }

    fn serve(&mut self, shared: &Shared, asked: &Frame) {
        let Some(sending) = self.answer(shared, asked) else { return };
        self.wait(shared, sending.delay_ms);
        let Some(connection) = &mut self.connection else { return };
        if sending.per_byte_ms == 0 {
            if connection.stream.write_all(&sending.bytes).is_err() {
                self.connection = None;
            }
            return;
        }
        for byte in &sending.bytes {
            let Some(connection) = &mut self.connection else { return };
            if connection.stream.write_all(&[*byte]).is_err() {
                self.connection = None;
            }
            self.wait(shared, sending.per_byte_ms);
        }
    }

    fn answer(&mut self, shared: &Shared, asked: &Frame) -> Option<Sending> {
        let mut site = shared.site();
        let active = self.faults.active(self.host);
        let starts = site.is_up(self.host).then(|| site.starts(self.host));
        let connection = self.connection.as_mut()?;
        // No connection survives a start of the battery, and none is of use during one.
        let over = starts.is_none() || *connection.starts.get_or_insert(starts.unwrap_or(0)) != starts.unwrap_or(0);
        if over || active.contains(&Fault::Reset) || active.contains(&Fault::Close) {
            self.connection = None;
            return None;
        }
        let reply = match Request::decode(&asked.pdu) {
            Ok(request) => match wire::respond(&mut site, self.host, asked.unit, &request, &active) {
                Answer::Reply(reply) => reply,
                Answer::Silence => return None,
            },
            Err(e) => Reply::Exception { function: asked.pdu.first()? & 0x7F, code: e.exception_code() },
        };
        let sending = wire::bytes(&site, self.host, asked, &reply, &active, &self.previous);
        if !active.contains(&Fault::StaleReplay) {
            self.previous = sending.bytes.clone();
        }
        Some(sending)
    }

    /// Waits, and meanwhile turns other clients away; ends early when the site ends.
    fn wait(&mut self, shared: &Shared, ms: u64) {
        let until = Instant::now() + Duration::from_millis(ms.min(3_600_000));
        while !shared.stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.accept();
            thread::sleep(left.min(TURN));
        }
    }
}

impl Connection {
    fn new(stream: TcpStream) -> io::Result<Connection> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TURN))?;
        stream.set_write_timeout(Some(WRITE))?;
        Ok(Connection { stream, buffer: Vec::new(), heard: Instant::now(), starts: None })
    }

    /// Reads what is there, waiting a moment; false when the connection is over.
    fn hear(&mut self) -> bool {
        let mut bytes = [0; BUFFER];
        let room = BUFFER.saturating_sub(self.buffer.len());
        match self.stream.read(&mut bytes[..room]) {
            Ok(0) => false,
            Ok(count) => {
                self.buffer.extend(&bytes[..count]);
                self.heard = Instant::now();
                true
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => {
                self.heard.elapsed() < IDLE
            }
            Err(_) => false,
        }
    }

    /// Whether the other side is still there, without waiting and without taking anything.
    fn is_alive(&self) -> bool {
        if self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let alive = match self.stream.peek(&mut [0]) {
            Ok(count) => count > 0,
            Err(e) => e.kind() == io::ErrorKind::WouldBlock,
        };
        self.stream.set_nonblocking(false).is_ok() && alive
    }

    fn next_frame(&mut self) -> Option<Frame> {
        match mbap::split(&self.buffer) {
            Ok(Some((frame, length))) => {
                self.buffer.drain(..length);
                Some(frame)
            }
            Ok(None) => None,
            Err(_) => {
                // No frame will ever come of this: the turn ends the connection.
                self.buffer.resize(BUFFER, 0);
                None
            }
        }
    }

    /// Whether something was sent that is not read yet; waits a moment for it.
    fn has_unread(&self) -> bool {
        self.stream.peek(&mut [0]).is_ok_and(|count| count > 0)
    }
}
