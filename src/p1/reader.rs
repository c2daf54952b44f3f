//! Finds telegrams in a stream of bytes: from "/" to the line with "!".
//!
//! A telegram that was cut off never costs the next one. "/" stands nowhere but at the start of a telegram and, in some meters, inside the
//! identification (`/HLY5/D545-METER`): behind the first line it is always a new start (IEC 62056-21 keeps it out of codes and values),
//! within the first line every "/" may be the start, and the CRC decides.

use super::Flaw;
use super::checksum::{Checksum, Printed, printed};
use super::telegram::Telegram;

/// Longer telegrams are given up, bytes. Two messages of 2048 characters and a full log of power failures leave it half empty.
pub const LONGEST_TELEGRAM: usize = 16 * 1024;
/// Longest identification with its line ending, and longest end line, bytes. The standard has 16 characters and 4.
const LONGEST_FIRST_LINE: usize = 256;
const LONGEST_END: usize = 16;
/// More than so many "/" in the first line are noise.
const MOST_STARTS: usize = 8;

/// What came to its end.
#[derive(Clone, PartialEq, Debug)]
pub enum Found<'r> {
    /// A telegram, and its bytes as received.
    Telegram(Box<Telegram>, &'r [u8]),
    /// A telegram that cannot be used, and its bytes as received; those of a [`Flaw::Cut`] or [`Flaw::TooLong`] are not complete.
    Flawed(Flaw, &'r [u8]),
}

/// Finds telegrams. Holds at most [`LONGEST_TELEGRAM`] bytes.
#[derive(Clone, Debug)]
pub struct Reader {
    checksum: Checksum,
    buffer: Vec<u8>,
    place: Place,
    /// A telegram had a right CRC, so this meter sends them: one without is not complete.
    sends_crc: bool,
}

/// Where in a telegram the buffer ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Outside,
    FirstLine,
    /// Index of the first byte of the present line.
    Line(usize),
    /// Index of the "!".
    End(usize),
}

impl Reader {
    /// For a meter that prints this checksum, at the start of a stream.
    pub fn new(checksum: Checksum) -> Reader {
        Reader { checksum, buffer: Vec::new(), place: Place::Outside, sends_crc: false }
    }

    /// The stream begins anew: what was under way never ends, and it may be another meter.
    pub fn restart(&mut self) {
        *self = Reader::new(self.checksum);
    }

    /// Whether a telegram is under way.
    pub fn is_inside(&self) -> bool {
        self.place != Place::Outside
    }

    /// Takes what came next.
    pub fn feed(&mut self, bytes: &[u8], found: &mut dyn FnMut(Found<'_>)) {
        for byte in bytes {
            self.take(*byte, found);
        }
    }

    fn take(&mut self, byte: u8, found: &mut dyn FnMut(Found<'_>)) {
        if byte == b'/' && self.place != Place::FirstLine {
            if self.is_inside() {
                self.give_up(Flaw::Cut, found);
            }
            self.place = Place::FirstLine;
        } else if !self.is_inside() {
            return;
        }
        self.buffer.push(byte);
        let length = self.buffer.len();
        match self.place {
            Place::Line(start) if byte == b'!' && start + 1 == length => self.place = Place::End(start),
            Place::FirstLine | Place::Line(_) if byte == b'\n' => self.place = Place::Line(length),
            Place::End(end) if byte == b'\n' => self.finish(end, found),
            Place::End(end) if length - end > LONGEST_END => self.give_up(Flaw::Cut, found),
            Place::FirstLine if length >= LONGEST_FIRST_LINE => self.shorten(found),
            _ if length >= LONGEST_TELEGRAM => self.give_up(Flaw::TooLong, found),
            _ => {}
        }
    }

    /// A first line that is too long begins at a later "/", or is none.
    fn shorten(&mut self, found: &mut dyn FnMut(Found<'_>)) {
        match self.buffer.iter().skip(1).position(|b| *b == b'/') {
            Some(noise) => drop(self.buffer.drain(..=noise)),
            None => self.give_up(Flaw::TooLong, found),
        }
    }

    fn give_up(&mut self, flaw: Flaw, found: &mut dyn FnMut(Found<'_>)) {
        found(Found::Flawed(flaw, &self.buffer));
        self.leave();
    }

    fn leave(&mut self) {
        self.buffer.clear();
        self.place = Place::Outside;
    }

    fn finish(&mut self, end: usize, found: &mut dyn FnMut(Found<'_>)) {
        let (start, outcome) = self.judge(end);
        self.sends_crc |= outcome.as_ref().is_ok_and(|telegram| telegram.checked);
        let raw = &self.buffer[start..];
        found(match outcome {
            Ok(telegram) => Found::Telegram(Box::new(telegram), raw),
            Err(flaw) => Found::Flawed(flaw, raw),
        });
        self.leave();
    }

    /// Where the telegram begins, and what it says.
    fn judge(&self, end: usize) -> (usize, Result<Telegram, Flaw>) {
        let bytes = &self.buffer[..=end];
        match printed(&self.buffer[end + 1..]) {
            Printed::Number(crc) => {
                let right = |start: &usize| self.checksum.of(&bytes[*start..]) == crc && is_headed(&bytes[*start..]);
                match starts(bytes).find(right) {
                    Some(start) => (start, Telegram::parse(&bytes[start..], true)),
                    None => (0, Err(Flaw::Crc)),
                }
            }
            Printed::Garbled => (0, Err(Flaw::Crc)),
            Printed::Absent if self.sends_crc => (0, Err(Flaw::NoCrc)),
            Printed::Absent => {
                let start = starts(bytes).find(|start| is_headed(&bytes[*start..])).unwrap_or_default();
                (start, Telegram::parse(&bytes[start..], false))
            }
        }
    }
}

/// Every "/" of the first line, the last one first: what stands before it was cut off.
fn starts(bytes: &[u8]) -> impl Iterator<Item = usize> {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    line.iter().enumerate().rev().filter(|(_, b)| **b == b'/').map(|(i, _)| i).take(MOST_STARTS)
}

/// Whether a telegram can begin like this: "/", three letters of the maker, a digit for the speed of the optical port, and a name without
/// parentheses. What follows a stray "/" between values does not.
fn is_headed(bytes: &[u8]) -> bool {
    let line: &[u8] = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let maker = line.get(1..4).is_some_and(|maker| maker.iter().all(u8::is_ascii_alphanumeric));
    maker && line.len() > 5 && !line.iter().any(|b| matches!(b, b'(' | b')'))
}
