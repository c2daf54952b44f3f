//! Our Modbus server on a serial line, in a thread of its own: a slave beside others that may share the bus.
//!
//! * Opens the port for this program alone; a port that is not there, or goes (adapter unplugged), is tried again every second.
//! * Frames requests by their length and the CRC, not by silence, which a program cannot measure. Silence ends only functions that are not
//!   known here. Keeps silent towards wrong CRCs, other units and broadcasts.
//! * Replies after 3.5 characters of silence, and only while the client waits: when a newer request has come meanwhile, that one is
//!   answered, because the reply to the older one would be taken for its answer.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use super::alive::Alive;
use super::answers::{Answered, Answers};
use crate::link::deadline::Deadline;
use crate::link::line::Line;
use crate::link::place::Serial;
use crate::link::request_search::RequestSearch;
use crate::modbus::rtu::{self, FRAME_MAX};

/// Between two attempts to open the port.
const AGAIN: Duration = Duration::from_secs(1);
/// How long nothing is waited for at most, so that a port that has gone is noticed.
const LOOK: Duration = Duration::from_secs(1);
/// A line on which nobody is ever silent gets no reply after this long.
const NEVER_SILENT: Duration = Duration::from_millis(250);
/// The kernel takes a reply in this time, beside what the line needs for it.
const WRITE: Duration = Duration::from_millis(500);

/// Serves on this port for ever, and shows about every second that it lives.
pub fn serve(serial: &Serial, answers: &impl Answers, alive: &impl Alive) {
    let mut complaint = None;
    loop {
        alive.beat();
        let why = match Line::open(serial) {
            Ok(line) => {
                let mut slave = Slave { search: RequestSearch::new(line.pace().character), line, heard: false };
                let why = slave.serve(answers, alive, || {
                    if complaint.take().is_some() {
                        log::info!("server: {} works again", serial.port);
                    }
                });
                format!("The serial port {} has gone: {why}.", serial.port)
            }
            Err(error) => error.to_string(),
        };
        if complaint.as_ref() != Some(&why) {
            log::warn!("server: {why} It is tried again every second.");
        }
        complaint = Some(why);
        thread::sleep(AGAIN);
    }
}

/// The server on an open port.
struct Slave {
    line: Line,
    search: RequestSearch,
    /// Something has come since the port was opened.
    heard: bool,
}

/// Unit and PDU.
type Request = (u8, Vec<u8>);

impl Slave {
    /// Until the port has gone; `works` is called with the first bytes.
    fn serve(&mut self, answers: &impl Answers, alive: &impl Alive, mut works: impl FnMut()) -> io::Error {
        loop {
            alive.beat();
            if let Err(error) = self.round(answers, alive, &mut works) {
                return error;
            }
        }
    }

    fn round(&mut self, answers: &impl Answers, alive: &impl Alive, works: &mut impl FnMut()) -> io::Result<()> {
        self.hear(self.search.pause().unwrap_or(LOOK))?;
        if std::mem::take(&mut self.heard) {
            works();
        }
        let mut next = self.newest();
        while let Some((unit, pdu)) = next {
            alive.rest();
            let reply = reply(answers, unit, &pdu);
            alive.beat();
            next = self.send(reply)?;
        }
        Ok(())
    }

    /// Sends a reply, unless a newer request has come meanwhile, which is returned then.
    fn send(&mut self, reply: Option<Vec<u8>>) -> io::Result<Option<Request>> {
        let Some(reply) = reply else { return Ok(None) };
        let begun = Instant::now();
        loop {
            let wait = self.line.silent_at().saturating_duration_since(Instant::now());
            let came = self.hear(wait)?;
            if let Some(newer) = self.newest() {
                return Ok(Some(newer));
            }
            if !came && wait.is_zero() {
                break;
            }
            if begun.elapsed() > NEVER_SILENT + self.line.pace().of_bytes(FRAME_MAX) {
                return Ok(None);
            }
        }
        match self.line.send(&reply, Deadline::after(WRITE + self.line.pace().of_bytes(reply.len()))) {
            Ok(()) => self.search.sent(&reply),
            // Nobody takes it; the port is there.
            Err(error) if error.kind() == io::ErrorKind::TimedOut => log::debug!("server: a reply was not sent: {error}"),
            Err(error) => return Err(error),
        }
        Ok(None)
    }

    /// Takes what comes within `wait`; whether anything did.
    fn hear(&mut self, wait: Duration) -> io::Result<bool> {
        let mut chunk = [0; 512];
        let count = self.line.read(&mut chunk, wait)?;
        self.search.take(chunk.get(..count).unwrap_or_default());
        self.heard |= count > 0;
        Ok(count > 0)
    }

    /// The newest request: who asks again no longer waits for the answer to what was asked before.
    fn newest(&mut self) -> Option<Request> {
        let quiet = self.line.quiet();
        let mut newest = None;
        while let Some(request) = self.search.next(quiet) {
            newest = Some(request);
        }
        newest
    }
}

/// The frame to send, if any.
fn reply(answers: &impl Answers, unit: u8, pdu: &[u8]) -> Option<Vec<u8>> {
    // A broadcast has no answer, and what looks like an exception reply is none of ours to answer.
    if unit == 0 || pdu.first().is_none_or(|function| *function >= 0x80) {
        return None;
    }
    match answers.answer(unit, pdu) {
        Answered::Reply(reply) => Some(rtu::encode(unit, &reply.encode())),
        Answered::Nobody(_) => None,
    }
}
