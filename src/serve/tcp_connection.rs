//! One client of the Modbus TCP server, in a thread of its own: requests in, replies out, in order.
//!
//! * A request is whole within [`Patience::frame`] of its first byte, or the connection is closed: a client that sends a byte per second
//!   occupies this thread and nobody else's.
//! * A reply is taken within [`Patience::write`], or the connection is closed.
//! * What is no Modbus TCP closes the connection, because nobody knows where the next request would begin.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::answers::{Answered, Answers, exception};
use super::door::Client;
use crate::modbus::mbap::{self, Frame};

/// No client needs more than a thousand requests a second, and eight that ask as fast as they can leave the processor to others.
const PACE: Duration = Duration::from_millis(1);

/// How long a client may take.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Patience {
    /// From the first byte of a request to its last.
    pub frame: Duration,
    /// Until it has made room for a reply.
    pub write: Duration,
    /// Without a request; longer than that, and it makes room for another client when there is none left.
    pub stale: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { frame: Duration::from_secs(10), write: Duration::from_secs(5), stale: Duration::from_secs(30) }
    }
}

/// A connection, as its thread and the listener see it.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    patience: Patience,
    begun: Instant,
    /// When the last whole request was there, ms after the beginning.
    last_request_ms: AtomicU64,
}

impl Client for Connection {
    /// How long there has been no whole request.
    fn idle(&self) -> Duration {
        self.begun.elapsed().saturating_sub(Duration::from_millis(self.last_request_ms.load(Ordering::Relaxed)))
    }

    fn is_stale(&self) -> bool {
        self.idle() > self.patience.stale
    }

    fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, patience: Patience) -> io::Result<Connection> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(patience.write))?;
        Ok(Connection { stream, patience, begun: Instant::now(), last_request_ms: AtomicU64::new(0) })
    }

    /// Answers until the client leaves, says nothing for `idle_timeout`, or breaks the rules; why, for the log.
    pub(super) fn serve(&self, answers: &impl Answers, idle_timeout: Duration) -> String {
        match self.talk(answers, idle_timeout) {
            Err(error) => error.to_string(),
            Ok(end) => end.to_owned(),
        }
    }

    fn talk(&self, answers: &impl Answers, idle_timeout: Duration) -> io::Result<&'static str> {
        let (mut buffer, mut chunk) = (Vec::new(), [0; 512]);
        // Of the request at the beginning of the buffer.
        let mut first_byte = None;
        loop {
            match mbap::split(&buffer) {
                Err(why) => return Err(io::Error::new(ErrorKind::InvalidData, why)),
                Ok(Some((request, length))) => {
                    buffer.drain(..length);
                    first_byte = (!buffer.is_empty()).then(Instant::now);
                    self.request(answers, &request)?;
                }
                Ok(None) => {
                    let idle_left = idle_timeout.saturating_sub(self.idle());
                    let left = first_byte.map_or(idle_left, |first: Instant| self.patience.frame.saturating_sub(first.elapsed()));
                    if left.is_zero() {
                        return Ok(if first_byte.is_some() { "a request that does not end" } else { "it says nothing" });
                    }
                    match self.read(&mut chunk, left)? {
                        None => return Ok("the client has left"),
                        Some(count) => {
                            first_byte = first_byte.or((count > 0).then(Instant::now));
                            buffer.extend_from_slice(chunk.get(..count).unwrap_or_default());
                        }
                    }
                }
            }
        }
    }

    /// What comes within `wait`, nothing when nothing does; `None`: nothing will come any more.
    fn read(&self, chunk: &mut [u8], wait: Duration) -> io::Result<Option<usize>> {
        // Zero would be for ever.
        self.stream.set_read_timeout(Some(wait.max(Duration::from_millis(1))))?;
        match (&self.stream).read(chunk) {
            Ok(0) => Ok(None),
            Ok(count) => Ok(Some(count)),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    fn request(&self, answers: &impl Answers, request: &Frame) -> io::Result<()> {
        let begun = Instant::now();
        self.last_request_ms.store(u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let reply = match answers.answer(request.unit, &request.pdu) {
            Answered::Reply(reply) => reply,
            Answered::Nobody(code) => exception(&request.pdu, code),
        };
        let bytes = mbap::encode(&Frame { transaction: request.transaction, unit: request.unit, pdu: reply.encode() });
        // A part of it means that there was no room for the rest in all the time.
        if (&self.stream).write(&bytes)? < bytes.len() {
            return Err(io::Error::new(ErrorKind::TimedOut, "the client does not take its replies"));
        }
        std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
        Ok(())
    }
}
