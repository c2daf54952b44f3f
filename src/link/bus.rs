//! One open serial port as a bus: requests out, replies in, and the silence between them that tells the devices where a frame begins.
//!
//! Never opens anything and never decides what happens next; that is the link's part. A bus that was said to be gone is dropped by the
//! link.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use ::modbus::Error;
use serialport::{ClearBuffer, SerialPort, TTYPort};

use super::connection::NoReply;
use super::deadline::{Deadline, Hurry};
use super::exchange::same_answer;
use super::place::{Parity, Serial};
use super::reply_search::{Echo, ReplySearch};
use crate::modbus::pdu::{Reply, Request};
use crate::modbus::rtu;

/// How often someone who waits for an answer looks at the time and whether there is a hurry.
const SLICE: Duration = Duration::from_millis(50);

/// A line that is never silent is used all the same after this long.
const NEVER_SILENT: Duration = Duration::from_millis(250);

/// The longest that a request waits for the late answer to another one that looks like its own.
const LATE: Duration = Duration::from_millis(500);

/// Above this speed the silence between frames is fixed (Modbus over Serial Line 1.02, 2.5.1.1; facts/rust.md A2).
const FIXED_ABOVE_BAUD: u32 = 19_200;
const FIXED_SILENCE: Duration = Duration::from_micros(1_750);

/// An open port.
#[derive(Debug)]
pub(super) struct Bus {
    port: TTYPort,
    pace: Pace,
    /// The last byte in or out, as far as this program can tell; in the future while the kernel is still sending.
    last_byte: Instant,
    echo: Echo,
    /// A request that nobody has answered in time.
    unanswered: Option<Unanswered>,
    hurry: Hurry,
}

#[derive(Debug)]
struct Unanswered {
    unit: u8,
    request: Request,
    until: Instant,
}

/// How long things take on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// One character: start, data, parity and stop bits.
    pub character: Duration,
    /// The least silence before a frame: 3.5 characters.
    pub silence: Duration,
}

impl Pace {
    /// At these settings.
    pub fn of(serial: &Serial) -> Pace {
        let bits = 1 + u32::from(serial.data_bits) + u32::from(serial.parity != Parity::None) + u32::from(serial.stop_bits);
        let character = Duration::from_secs(1) * bits / serial.baud.max(1);
        let silence = if serial.baud > FIXED_ABOVE_BAUD { FIXED_SILENCE } else { character * 7 / 2 };
        Pace { character, silence }
    }

    /// So many bytes without a gap.
    pub fn of_bytes(&self, bytes: usize) -> Duration {
        self.character * u32::try_from(bytes).unwrap_or(u32::MAX)
    }
}

impl Bus {
    pub(super) fn new(port: TTYPort, serial: &Serial, hurry: Hurry) -> Bus {
        Bus { port, pace: Pace::of(serial), last_byte: Instant::now(), echo: Echo::default(), unanswered: None, hurry }
    }

    /// Before a request: waits for silence and discards what came meanwhile. An error means that the port is gone.
    pub(super) fn settle(&mut self, unit: u8, request: &Request) -> io::Result<()> {
        let begun = Instant::now();
        let may_be_late = |u: &Unanswered| u.unit == unit && u.request != *request && same_answer(&u.request, request);
        let until = self.unanswered.take().filter(may_be_late).map_or(begun, |unanswered| unanswered.until);
        let mut chunk = [0; 512];
        loop {
            let silent_at = self.last_byte + self.pace.silence;
            let wait = silent_at.max(until).saturating_duration_since(Instant::now());
            match self.read(&mut chunk, wait) {
                Ok(0) if wait.is_zero() => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
            if begun.elapsed() > NEVER_SILENT && Instant::now() >= until {
                log::debug!("the line is never silent");
                return self.port.clear(ClearBuffer::Input).map_err(io::Error::from);
            }
        }
    }

    /// Sends `request` and waits for its reply.
    pub(super) fn exchange(&mut self, unit: u8, request: &Request, deadline: Deadline) -> Result<Reply, NoReply> {
        let sent = rtu::encode(unit, &request.encode());
        self.send(&sent, deadline).map_err(gone)?;
        let outcome = self.receive(request, &sent, deadline)?;
        outcome.map_err(|error| NoReply { error, usable: true })
    }

    fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        while !bytes.is_empty() {
            let left = deadline.left().ok_or_else(|| deadline.passed())?;
            self.port.set_timeout(left)?;
            match self.port.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(length) => {
                    bytes = bytes.get(length..).unwrap_or_default();
                    // The kernel has them; the wire takes its time.
                    self.last_byte = self.last_byte.max(Instant::now()) + self.pace.of_bytes(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The reply, or why there is none although the port works; `Err`: the port is gone.
    fn receive(&mut self, request: &Request, sent: &[u8], deadline: Deadline) -> Result<::modbus::Result<Reply>, NoReply> {
        let hurried = self.hurry.is_called();
        let mut search = ReplySearch::new(request, sent, self.echo);
        let mut chunk = [0; 512];
        let outcome = loop {
            let quiet = Instant::now().saturating_duration_since(self.last_byte);
            if let Some(outcome) = search.outcome(quiet) {
                break outcome;
            }
            let left = deadline.left().filter(|_| hurried || !self.hurry.is_called());
            let Some(left) = left else {
                self.echo = search.echo();
                let unit = sent.first().copied().unwrap_or_default();
                self.unanswered = Some(Unanswered { unit, request: request.clone(), until: Instant::now() + deadline.whole().min(LATE) });
                return Ok(Err(search.give_up(deadline.passed().into())));
            };
            match self.read(&mut chunk, left.min(SLICE)) {
                Ok(length) => search.take(chunk.get(..length).unwrap_or_default()),
                Err(error) => return Err(gone(error)),
            }
        };
        self.echo = search.echo();
        Ok(outcome)
    }

    /// What comes within `wait`; 0 bytes when nothing does. An error means that the port is gone.
    fn read(&mut self, chunk: &mut [u8], wait: Duration) -> io::Result<usize> {
        self.port.set_timeout(wait)?;
        match self.port.read(chunk) {
            Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the serial port was hung up")),
            Ok(length) => {
                self.last_byte = Instant::now();
                Ok(length)
            }
            // The crate lets blocked signals through while it waits (facts/rust.md A2).
            Err(error) if matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::Interrupted) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // Closing a port waits for what it still has to send, up to half a minute where nobody takes it.
        let _ = self.port.clear(ClearBuffer::All);
    }
}

fn gone(error: io::Error) -> NoReply {
    NoReply { error: Error::Io(error), usable: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_and_a_half_characters_of_silence() {
        let serial = |baud, parity, stop_bits| Serial { port: String::new(), baud, parity, data_bits: 8, stop_bits, rs485: None };
        let silence_us = |serial: &Serial| Pace::of(serial).silence.as_micros();
        // facts/p1-load-balancer.md 5.3: 3.65 ms at 9600 8N1; facts/rust.md A2: 4.0 ms with 11 bits, 1.75 ms above 19200.
        assert_eq!(silence_us(&serial(9_600, Parity::None, 1)), 3_645);
        assert_eq!(silence_us(&serial(9_600, Parity::Even, 1)), 4_010);
        assert_eq!(silence_us(&serial(19_200, Parity::None, 2)), 2_005);
        assert_eq!(silence_us(&serial(38_400, Parity::None, 1)), 1_750);
        assert_eq!(silence_us(&serial(4_000_000, Parity::None, 1)), 1_750);
        assert_eq!(Pace::of(&serial(9_600, Parity::None, 1)).of_bytes(8).as_micros(), 8_333);
    }
}
