//! The TCP port of a battery or another host: accepts, reads requests, sends replies, byte by byte if it must.
//!
//! Part of [`serve`](super::serve). Works in short turns; every wait has a limit.

use std::collections::VecDeque;
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
    connections: VecDeque<Connection>,
    /// As many clients it takes at once.
    most: usize,
    previous: Vec<u8>,
    /// The other side of the connections that [`Fault::Stolen`] took.
    thieves: Vec<TcpStream>,
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    heard: Instant,
    starts: Option<u32>,
}

/// What becomes of a request.
enum Replying {
    Send(Sending),
    Silence,
    Close,
}

impl Port {
    pub(super) fn new(host: usize, listener: TcpListener, most: usize, faults: Faults) -> io::Result<Port> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Port {
            host,
            faults,
            address,
            listener: Some(listener),
            connections: VecDeque::new(),
            most,
            previous: Vec::new(),
            thieves: Vec::new(),
        })
    }

    /// Takes new clients, hears the present ones, answers them.
    pub(super) fn turn(&mut self, shared: &Shared) {
        let faults = self.faults.active(self.host);
        if faults.contains(&Fault::Refuse) {
            self.listener = None;
            self.connections.clear();
            return thread::sleep(TURN);
        }
        self.steal(faults.contains(&Fault::Stolen));
        self.accept(None);
        let count = self.connections.len();
        if count == 0 {
            return thread::sleep(TURN / 2);
        }
        if faults.contains(&Fault::Reset) {
            // A connection that is closed with bytes unread is reset.
            return self.connections.retain(|connection| !connection.has_unread());
        }
        for _ in 0..count {
            let Some(mut connection) = self.connections.pop_front() else { return };
            // Where it seemed gone while it was served, another client may have its place.
            if self.attend(shared, &mut connection, TURN / count as u32) && self.connections.len() < self.most {
                self.connections.push_back(connection);
            }
        }
    }

    /// Gives every connection to another client, who says nothing and keeps them until this is over.
    fn steal(&mut self, stolen: bool) {
        if !stolen {
            return self.thieves.clear();
        }
        if self.thieves.is_empty() {
            self.connections.clear();
        }
        // Whoever waits at the door was there before the thief: turned away.
        while self.thieves.len() < self.most {
            let Ok(thief) = TcpStream::connect_timeout(&self.address, WRITE) else { return };
            let Ok(own) = thief.local_addr() else { return };
            self.thieves.push(thief);
            while let Some(Ok((stream, from))) = self.listener.as_ref().map(TcpListener::accept) {
                if from == own {
                    self.connections.extend(Connection::new(stream));
                    break;
                }
            }
        }
    }

    /// A client too many is closed at once, unless another one has left in the meantime. `served` is the one that is no longer in the list.
    fn accept(&mut self, served: Option<&Connection>) {
        if self.listener.is_none() {
            let bound = TcpListener::bind(self.address);
            self.listener = bound.ok().filter(|listener| listener.set_nonblocking(true).is_ok());
        }
        let Some(Ok((stream, _))) = self.listener.as_ref().map(TcpListener::accept) else { return };
        self.connections.retain(Connection::is_alive);
        let present = self.connections.len() + usize::from(served.is_some_and(Connection::is_alive));
        if present < self.most {
            self.connections.extend(Connection::new(stream));
        }
        // Dropped otherwise, and thereby closed.
    }

    /// Hears one client, waiting at most this long, and answers what it asks; false when the connection is over.
    fn attend(&mut self, shared: &Shared, connection: &mut Connection, wait: Duration) -> bool {
        if !connection.hear(wait) {
            return false;
        }
        while let Some(frame) = connection.next_frame() {
            if !self.serve(shared, connection, &frame) {
                return false;
            }
        }
        connection.buffer.len() < BUFFER
    }

    fn serve(&mut self, shared: &Shared, connection: &mut Connection, asked: &Frame) -> bool {
        let sending = match self.answer(shared, connection, asked) {
            Replying::Send(sending) => sending,
            Replying::Silence => return true,
            Replying::Close => return false,
        };
        self.wait(shared, connection, sending.delay_ms);
        if sending.per_byte_ms == 0 {
            return connection.stream.write_all(&sending.bytes).is_ok();
        }
        for byte in &sending.bytes {
            if connection.stream.write_all(&[*byte]).is_err() {
                return false;
            }
            self.wait(shared, connection, sending.per_byte_ms);
        }
        true
    }

    fn answer(&mut self, shared: &Shared, connection: &mut Connection, asked: &Frame) -> Replying {
        let mut site = shared.site();
        let active = self.faults.active(self.host);
        let starts = site.is_up(self.host).then(|| site.starts(self.host));
        // No connection survives a start of the battery, and none is of use during one.
        let over = starts.is_none() || *connection.starts.get_or_insert(starts.unwrap_or(0)) != starts.unwrap_or(0);
        if over || active.contains(&Fault::Reset) || active.contains(&Fault::Close) {
            return Replying::Close;
        }
        let reply = match Request::decode(&asked.pdu) {
            Ok(request) => match wire::respond(&mut site, self.host, asked.unit, &request, &active) {
                Answer::Reply(reply) => reply,
                Answer::Silence => return Replying::Silence,
            },
            Err(e) => match asked.pdu.first() {
                Some(function) => Reply::Exception { function: function & 0x7F, code: e.exception_code() },
                None => return Replying::Silence,
            },
        };
        let sending = wire::bytes(&site, self.host, asked, &reply, &active, &self.previous);
        if !active.contains(&Fault::StaleReplay) {
            self.previous = sending.bytes.clone();
        }
        Replying::Send(sending)
    }

    /// Waits, and meanwhile takes other clients or turns them away; ends early when the site ends.
    fn wait(&mut self, shared: &Shared, served: &Connection, ms: u64) {
        let until = Instant::now() + Duration::from_millis(ms.min(3_600_000));
        while !shared.stopped() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            self.accept(Some(served));
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

    /// Reads what is there, waiting at most this long; false when the connection is over.
    fn hear(&mut self, wait: Duration) -> bool {
        if self.stream.set_read_timeout(Some(wait)).is_err() {
            return false;
        }
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
