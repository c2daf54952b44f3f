//! How long things take on a serial line: the time model of a bus in virtual time, and the pace of one over a pty.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A serial line with devices on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Line {
    /// Bits per second.
    pub baud: u32,
    /// Bits of a character: start bit, data, parity, stop bits; 10 for 8N1.
    pub character_bits: u32,
    /// From the end of a request to the first byte of the reply, in ms.
    pub answer_ms: u64,
}

impl Line {
    /// 9600 8N1, with devices that answer after 20 ms.
    pub const fn slow() -> Line {
        Line { baud: 9600, character_bits: 10, answer_ms: 20 }
    }

    /// How long so many characters take, in µs: 1042 for one at 9600 8N1.
    pub fn micros(&self, characters: usize) -> u64 {
        let bits = (characters as u64).saturating_mul(u64::from(self.character_bits));
        bits.saturating_mul(1_000_000).div_ceil(u64::from(self.baud.max(1)))
    }

    /// The silence between frames, in µs: 3.5 characters, above 19200 baud 1750 µs (Modbus over serial line V1.02, 2.5.1.1).
    pub fn silence_micros(&self) -> u64 {
        if self.baud > 19_200 { 1750 } else { self.micros(7) / 2 }
    }

    /// How long one exchange takes in ms, given the bytes of both frames: until the request has arrived, and until the reply has.
    pub fn exchange_ms(&self, request: usize, reply: usize) -> (u64, u64) {
        let asked = self.silence_micros() + self.micros(request);
        let answered = asked + self.answer_ms * 1000 + self.micros(reply);
        (asked.div_ceil(1000), answered.div_ceil(1000))
    }
}

/// The time on a bus in virtual time, in ms: it runs ahead of everything else while a request is under way.
#[derive(Clone, Debug, Default)]
pub struct BusTime(Arc<AtomicU64>);

impl BusTime {
    /// The time.
    pub fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Moves on to this time; never back.
    pub fn reach(&self, ms: u64) {
        self.0.fetch_max(ms, Ordering::Relaxed);
    }
}
