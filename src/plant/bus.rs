//! A serial bus of simulated devices over a pseudo terminal, at the pace of its line, with noise, wrong bits and lost frames.
//!
//! Part of [`serve`](super::serve). Works in short turns; every wait has a limit.

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::faults::{Fault, Faults};
use super::line::Line;
use super::pty::Pty;
use super::sax::Answer;
use super::serve::Shared;
use super::wire;
use crate::modbus::pdu::{Reply, Request};
use crate::modbus::rtu;

/// Longest wait within a turn.
const TURN: Duration = Duration::from_millis(4);
/// A frame that does not go on for so long is over. More than the silence on the slowest line, for a terminal delivers in pieces.
const SILENCE: Duration = Duration::from_millis(50);
/// More than any frame is long.
const BUFFER: usize = 512;
/// Bytes that are sent at once; on the line they take 4 ms at 9600 baud.
const PIECE: usize = 4;

/// The devices of one host on a serial line.
pub(super) struct Bus {
    host: usize,
    faults: Faults,
    line: Line,
    pty: Pty,
    buffer: Vec<u8>,
    heard: Instant,
    /// The line is busy until then.
    busy: Instant,
}

impl Bus {
    /// A bus that can be opened as `link`.
    pub(super) fn new(host: usize, link: &Path, line: Line, faults: Faults) -> io::Result<Bus> {
        let now = Instant::now();
        Ok(Bus { host, faults, line, pty: Pty::new(link)?, buffer: Vec::new(), heard: now, busy: now })
    }

    /// Hears what comes, answers what is a request.
    pub(super) fn turn(&mut self, shared: &Shared) {
        if self.faults.active(self.host).contains(&Fault::Refuse) {
            self.pty.unplug();
            self.buffer.clear();
            return thread::sleep(TURN);
        }
        if self.pty.plug().is_err() {
            return thread::sleep(TURN);
        }
        let mut bytes = [0; BUFFER];
        let room = BUFFER.saturating_sub(self.buffer.len());
        let count = self.pty.hear(&mut bytes[..room], TURN);
        if count > 0 {
            self.heard = Instant::now();
            self.buffer.extend(&bytes[..count]);
        } else if self.heard.elapsed() > SILENCE || room == 0 {
            self.buffer.clear();
        }
        while let Some((unit, pdu, length)) = self.next_request() {
            self.serve(shared, unit, &pdu, length);
        }
    }

    fn next_request(&mut self) -> Option<(u8, Vec<u8>, usize)> {
        while !self.buffer.is_empty() {
            match rtu::split_request(&self.buffer) {
                Ok(Some((unit, pdu, length))) => {
                    self.buffer.drain(..length);
                    return Some((unit, pdu, length));
                }
                Ok(None) => return None,
                Err(_) => {
                    let noise = rtu::resync_request(&self.buffer).max(1);
                    self.buffer.drain(..noise.min(self.buffer.len()));
                }
            }
        }
        None
    }

    /// A terminal delivers at once what takes its time on a line: the request is over when its bytes would have come.
    fn serve(&mut self, shared: &Shared, unit: u8, pdu: &[u8], length: usize) {
        let begun = self.busy.max(self.heard);
        self.busy = begun + Duration::from_micros(self.line.micros(length));
        self.wait(shared);
        let Some(reply) = self.answer(shared, unit, pdu) else { return };
        let mut frame = rtu::encode(unit, &reply.encode());
        let active = self.faults.active(self.host);
        for fault in &active {
            match fault {
                Fault::BitError { permille } if self.faults.happens(*permille) => self.faults.flip(&mut frame),
                Fault::HalfFrame => frame.truncate(frame.len() / 2),
                Fault::Garbage => frame = self.faults.garbage(),
                Fault::WrongUnit => frame = rtu::encode(unit ^ 1, &reply.encode()),
                Fault::Delay(ms) => self.busy += Duration::from_millis((*ms).min(3_600_000)),
                _ => {}
            }
        }
        self.busy += Duration::from_millis(self.line.answer_ms);
        self.wait(shared);
        self.noise(shared, &active);
        self.send(shared, &frame);
        self.noise(shared, &active);
    }

    fn answer(&self, shared: &Shared, unit: u8, pdu: &[u8]) -> Option<Reply> {
        let active = self.faults.active(self.host);
        match Request::decode(pdu) {
            Ok(request) => match wire::respond(&mut shared.site(), self.host, unit, &request, &active) {
                Answer::Reply(reply) => Some(reply),
                Answer::Silence => None,
            },
            // Units that are not there keep silent.
            Err(error) if shared.site().answers(self.host, unit) => {
                Some(Reply::Exception { function: pdu.first()? & 0x7F, code: error.exception_code() })
            }
            Err(_) => None,
        }
    }

    fn noise(&mut self, shared: &Shared, active: &[Fault]) {
        if active.iter().any(|fault| matches!(fault, Fault::Noise { permille } if self.faults.happens(*permille))) {
            let noise = self.faults.noise();
            self.send(shared, &noise);
        }
    }

    fn send(&mut self, shared: &Shared, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            self.busy = self.busy.max(Instant::now()) + Duration::from_micros(self.line.micros(piece.len()));
            self.wait(shared);
            self.pty.say(piece);
        }
    }

    /// Waits until the line is free; ends early when the site ends.
    fn wait(&self, shared: &Shared) {
        while !shared.stopped() {
            let left = self.busy.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(TURN));
        }
    }
}
