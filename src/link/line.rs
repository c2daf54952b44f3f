//! One open serial port as a line: bytes out, bytes in, and since when there has been silence.
//!
//! Never opens anything by itself, never frames anything and never decides what happens next.

use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

use serialport::{ClearBuffer, SerialPort, TTYPort};

use super::deadline::Deadline;
use super::place::{Parity, Serial};
use super::serial::{self, SerialError};

/// Above this speed the silence between frames is fixed (Modbus over Serial Line 1.02, 2.5.1.1; facts/rust.md A2).
const FIXED_ABOVE_BAUD: u32 = 19_200;
const FIXED_SILENCE: Duration = Duration::from_micros(1_750);

/// An open port.
#[derive(Debug)]
pub struct Line {
    port: TTYPort,
    pace: Pace,
    /// The last byte in or out, as far as this program can tell; in the future while the kernel is still sending.
    last_byte: Instant,
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

impl Line {
    /// Opens the port for this program alone.
    pub fn open(serial: &Serial) -> Result<Line, SerialError> {
        Ok(Line { port: serial::open(serial)?, pace: Pace::of(serial), last_byte: Instant::now() })
    }

    /// How long things take on it.
    pub fn pace(&self) -> Pace {
        self.pace
    }

    /// The last byte in or out; in the future while the kernel is still sending.
    pub fn last_byte(&self) -> Instant {
        self.last_byte
    }

    /// When a frame may begin, if nothing more comes.
    pub fn silent_at(&self) -> Instant {
        self.last_byte + self.pace.silence
    }

    /// For how long nothing has come or gone.
    pub fn quiet(&self) -> Duration {
        Instant::now().saturating_duration_since(self.last_byte)
    }

    /// Throws away what has come and was not read.
    pub fn discard(&mut self) -> io::Result<()> {
        self.port.clear(ClearBuffer::Input).map_err(io::Error::from)
    }

    /// Sends all of it. An error means that the port is gone, or that it takes nothing any more.
    pub fn send(&mut self, mut bytes: &[u8], deadline: Deadline) -> io::Result<()> {
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

    /// What comes within `wait`; 0 bytes when nothing does. An error means that the port is gone.
    pub fn read(&mut self, chunk: &mut [u8], wait: Duration) -> io::Result<usize> {
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

impl Drop for Line {
    fn drop(&mut self) {
        // Closing a port waits for what it still has to send, up to half a minute where nobody takes it.
        let _ = self.port.clear(ClearBuffer::All);
    }
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
