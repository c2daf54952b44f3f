//! Finds the reply to one request in what comes over a serial bus: behind noise, the echo of the request, and answers of other devices.
//!
//! Sans-IO: bytes and the time for which nothing came go in, the reply or the best reason why there is none comes out. It never takes a
//! frame for the reply whose CRC is wrong, which comes from another unit, or which does not answer the request.

use std::time::Duration;

use ::modbus::{Error, Result};

use super::exchange::check_reply;
use super::fault::{Fault, crc_error, short_error, wrong_unit_error};
use crate::modbus::pdu::{Reply, Request};
use crate::modbus::rtu::{self, FrameError};

/// Whole frames that are not the reply, skipped on the way to it.
const SKIPPED_MAX: usize = 8;

/// Nothing for this long in the middle of a frame: what began there was probably none. USB adapters hold bytes back for 16 ms.
const PAUSE: Duration = Duration::from_millis(50);

/// After this long the echo of a write, if that is what came, has no reply behind it that could still tell.
const ECHO_DOUBT: Duration = Duration::from_millis(200);

/// Whether the adapter hands back what it sends (two-wire RS-485 with the receiver left on).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Echo {
    /// No request has shown it yet.
    #[default]
    Unknown,
    /// It does not.
    No,
    /// It does.
    Yes,
}

/// The search for one reply.
pub struct ReplySearch<'r> {
    request: &'r Request,
    /// Unit, PDU and CRC of the request as sent.
    sent: &'r [u8],
    echo: Echo,
    /// The echo has been skipped.
    echoed: bool,
    buffer: Vec<u8>,
    /// Bytes that came, the echo aside.
    came: usize,
    skipped: usize,
    /// A frame with a wrong CRC came.
    crc: bool,
    /// It had the form of the reply: there will be no other.
    garbled: bool,
    wrong_unit: Option<u8>,
    /// The unit asked sent a frame that does not answer.
    unfit: Option<Error>,
}

impl<'r> ReplySearch<'r> {
    /// For this request, which went out as these bytes.
    pub fn new(request: &'r Request, sent: &'r [u8], echo: Echo) -> ReplySearch<'r> {
        let buffer = Vec::with_capacity(2 * rtu::FRAME_MAX);
        let (echoed, came, skipped, crc, garbled) = (false, 0, 0, false, false);
        ReplySearch { request, sent, echo, echoed, buffer, came, skipped, crc, garbled, wrong_unit: None, unfit: None }
    }

    /// What is known about echoes now.
    pub fn echo(&self) -> Echo {
        self.echo
    }

    /// These bytes came.
    pub fn take(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.came = self.came.saturating_add(bytes.len());
    }

    /// The outcome, if there is one when nothing has come for `quiet`.
    pub fn outcome(&mut self, quiet: Duration) -> Option<Result<Reply>> {
        // Every round drops a byte or ends.
        while !self.buffer.is_empty() {
            match self.echo_first(quiet) {
                Some(true) => continue,
                Some(false) => return None,
                None => {}
            }
            match rtu::split_reply(&self.buffer) {
                Ok(Some((unit, pdu, length))) => {
                    let first = self.came == self.buffer.len() && !self.echoed;
                    self.buffer.drain(..length);
                    if let Some(outcome) = self.frame(unit, &pdu, first) {
                        return Some(outcome);
                    }
                }
                Ok(None) if quiet < PAUSE => return None,
                Ok(None) => {
                    let length = rtu::resync_reply(&self.buffer);
                    if !matches!(rtu::split_reply(self.buffer.get(length..).unwrap_or_default()), Ok(Some(_))) {
                        break;
                    }
                    self.buffer.drain(..length);
                }
                Err(error) => {
                    self.note(error);
                    let length = rtu::resync_reply(&self.buffer).max(1);
                    self.buffer.drain(..length.min(self.buffer.len()));
                }
            }
        }
        (self.garbled && quiet >= PAUSE).then(|| Err(crc_error()))
    }

    /// The deadline has passed: why there is no reply. `passed` is for silence.
    pub fn give_up(self, passed: Error) -> Error {
        match (self.crc, self.unfit, self.wrong_unit) {
            (true, ..) => crc_error(),
            (false, Some(error), _) => error,
            (false, None, Some(unit)) => wrong_unit_error(unit),
            (false, None, None) if self.came > 0 => short_error(self.came),
            (false, None, None) => passed,
        }
    }

    /// Looks for the echo at the beginning: `Some(true)` when it was skipped, `Some(false)` when more bytes are needed to tell.
    fn echo_first(&mut self, quiet: Duration) -> Option<bool> {
        if self.echoed || self.came != self.buffer.len() {
            return None;
        }
        if !self.buffer.starts_with(self.sent) {
            // Half an echo would be taken for a frame with a wrong CRC.
            return (self.sent.starts_with(&self.buffer) && quiet < PAUSE).then_some(false);
        }
        if self.answers_itself() {
            match self.echo {
                Echo::No => return None,
                // A second frame behind it is the reply, so the first was the echo.
                Echo::Unknown if self.buffer.len() == self.sent.len() && quiet < ECHO_DOUBT => return Some(false),
                Echo::Unknown if self.buffer.len() == self.sent.len() => return None,
                Echo::Unknown | Echo::Yes => {}
            }
        }
        self.buffer.drain(..self.sent.len());
        self.came -= self.sent.len();
        (self.echoed, self.echo) = (true, Echo::Yes);
        Some(true)
    }

    /// Whether the right reply may be the very bytes of the request, as with the writes of one register or coil.
    fn answers_itself(&self) -> bool {
        matches!(rtu::split_reply(self.sent), Ok(Some((_, pdu, length))) if length == self.sent.len() && check_reply(self.request, &pdu).is_ok())
    }

    /// A frame with a right CRC. `first`: nothing came before it.
    fn frame(&mut self, unit: u8, pdu: &[u8], first: bool) -> Option<Result<Reply>> {
        if self.sent.first() == Some(&unit) {
            match check_reply(self.request, pdu) {
                Err(error) if !matches!(Fault::of(&error), Fault::Exception(_)) => self.unfit = Some(error),
                reply => {
                    if first && !self.answers_itself() {
                        self.echo = Echo::No;
                    }
                    return Some(reply);
                }
            }
        } else {
            self.wrong_unit = Some(unit);
        }
        self.skipped += 1;
        (self.skipped > SKIPPED_MAX).then_some(Err(Error::InvalidResponse))
    }

    fn note(&mut self, error: FrameError) {
        if let FrameError::Crc { .. } = error {
            self.crc = true;
            let head = self.buffer.get(..2);
            self.garbled |= head.is_some() && head == self.sent.get(..2);
        }
    }
}
