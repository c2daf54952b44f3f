//! One TCP connection to a Modbus server: frames out and in, and whether the stream still stands on a frame boundary.
//!
//! Never decides what happens next; that is the link's part. A connection that was said to be unusable is dropped by the link.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ::modbus::Error;

use super::deadline::{Deadline, Hurry};
use crate::modbus::mbap::{self, Frame};

/// Frames of earlier requests that are skipped on the way to a reply, or before a request.
const STALE_MAX: usize = 8;

/// How often someone who waits for an answer looks whether there is a hurry.
const SLICE: Duration = Duration::from_millis(200);

/// An open connection and what came on it but was not used yet.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    hurry: Hurry,
}

/// Why there is no reply.
#[derive(Debug)]
pub(super) struct NoReply {
    /// What to report.
    pub error: Error,
    /// Whether the stream stands on a frame boundary, so that the next request may use it.
    pub usable: bool,
}

impl NoReply {
    fn broken(error: impl Into<Error>) -> NoReply {
        NoReply { error: error.into(), usable: false }
    }
}

impl Connection {
    pub(super) fn new(stream: TcpStream, hurry: Hurry) -> Connection {
        Connection { stream, buffer: Vec::new(), hurry }
    }

    /// Before a request: discards what came since the last one. Says why the connection cannot be used when the peer closed it, or when
    /// anything but complete frames came.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        self.stream.set_nonblocking(true).map_err(|error| error.to_string())?;
        let received = self.receive_all();
        self.stream.set_nonblocking(false).map_err(|error| error.to_string())?;
        received?;
        for _ in 0..=STALE_MAX {
            match mbap::split_reply(&self.buffer) {
                Ok(Some((_, length))) => drop(self.buffer.drain(..length)),
                Ok(None) if self.buffer.is_empty() => return Ok(()),
                Ok(None) => return Err("part of a frame came without a request".into()),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("too many frames came without a request".into())
    }

    /// Takes everything that is there, without waiting.
    fn receive_all(&mut self) -> Result<(), String> {
        let mut chunk = [0; 512];
        // One round more than the frames that may be skipped take: enough, and it ends.
        for _ in 0..=STALE_MAX {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err("the peer closed the connection".into()),
                Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("the peer keeps sending without a request".into())
    }

    /// Sends `frame` and waits for the frame with the same transaction id. Frames with others are late replies, which are skipped.
    pub(super) fn exchange(&mut self, frame: &Frame, deadline: Deadline) -> Result<Frame, NoReply> {
        self.send(&mbap::encode(frame), deadline).map_err(NoReply::broken)?;
        let hurried = self.hurry.is_called();
        for _ in 0..=STALE_MAX {
            let reply = self.receive(deadline, hurried)?;
            if reply.transaction == frame.transaction {
                return Ok(reply);
            }
            log::debug!("skipped a reply with transaction id {} while waiting for {}", reply.transaction, frame.transaction);
        }
        Err(NoReply::broken(Error::InvalidResponse))
    }

    fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(deadline.left().ok_or_else(|| deadline.passed())?))?;
            match self.stream.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => bytes = bytes.get(length..).unwrap_or_default(),
                Err(error) if waits(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The next frame. `hurried`: someone was in a hurry already when the request was sent, so it may take its time.
    fn receive(&mut self, deadline: Deadline, hurried: bool) -> Result<Frame, NoReply> {
        let mut chunk = [0; 512];
        loop {
            match mbap::split_reply(&self.buffer) {
                Ok(Some((frame, length))) => {
                    self.buffer.drain(..length);
                    return Ok(frame);
                }
                Ok(None) => {}
                Err(error) => {
                    log::debug!("what came is no frame: {error}");
                    return Err(NoReply::broken(Error::InvalidResponse));
                }
            }
            let left = deadline.left().filter(|_| hurried || !self.hurry.is_called());
            let Some(left) = left else {
                return Err(NoReply { error: deadline.passed().into(), usable: self.buffer.is_empty() });
            };
            self.stream.set_read_timeout(Some(left.min(SLICE))).map_err(NoReply::broken)?;
            match self.stream.read(&mut chunk) {
                Ok(0) => {
                    let closed = io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection");
                    return Err(NoReply::broken(closed));
                }
                Ok(length) => self.buffer.extend_from_slice(&chunk[..length]),
                Err(error) if waits(&error) => {}
                Err(error) => return Err(NoReply::broken(error)),
            }
        }
    }
}

/// Errors that say only that nothing happened yet; the deadline ends the waiting.
fn waits(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
