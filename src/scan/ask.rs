//! Asks one unit after the other, each question once, and sorts what comes back.

use std::time::{Duration, Instant};

use super::bus::Bus;
use super::stop::Stop;
use crate::link::fault::Fault;
use crate::link::line::Pace;
use crate::modbus::pdu::{Reply, Request};

/// A connection that breaks so often without any answer in between is given up.
const BROKEN_MAX: u8 = 3;
/// After a connection that could not be made the link waits for 0.5 s (`link::connect`).
const RECONNECT: Duration = Duration::from_millis(600);
/// A request to read has 8 bytes, a reply 5 more than its data.
const FRAME_BYTES: usize = 8 + 5;
/// Data of the longest reply.
const DATA_MAX: usize = 250;

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// An answer.
    Reply(Reply),
    /// A device that says no: there is one.
    Exception(u8),
    /// A gateway (0x0A, 0x0B) that says that there is no such unit.
    NoSuchUnit(u8),
    /// Nothing, in time.
    Silence,
    /// Something, but not an answer to the question.
    Garbled(Fault),
    /// The connection could not be made, or broke.
    Broken(String),
    /// The scan is to end; nothing was asked.
    Stopped,
}

/// Asks through one link.
pub struct Asker<'a> {
    bus: &'a mut dyn Bus,
    stop: &'a Stop,
    /// Until an answer is there; on a serial line less the time on the wire.
    timeout: Duration,
    /// Until a connection is there.
    connect: Duration,
    /// Of a serial line.
    pace: Option<Pace>,
    broken_in_a_row: u8,
    /// Answers of any kind, exceptions included.
    pub answers: u32,
    /// What was no answer to the question, and the last one of those.
    pub garbled: u32,
    /// Why the connection broke last.
    pub last_broken: Option<String>,
    /// The last fault of an answer.
    pub last_garbled: Option<Fault>,
    asked: Option<Instant>,
}

impl<'a> Asker<'a> {
    /// Nothing is asked yet. `connect`: until a connection is there; `timeout`: until an answer is.
    pub fn new(bus: &'a mut dyn Bus, stop: &'a Stop, connect: Duration, timeout: Duration, pace: Option<Pace>) -> Asker<'a> {
        Asker {
            bus,
            stop,
            timeout,
            connect,
            pace,
            broken_in_a_row: 0,
            answers: 0,
            garbled: 0,
            last_broken: None,
            last_garbled: None,
            asked: None,
        }
    }

    /// Whether there ever was a connection.
    pub fn is_connected(&self) -> bool {
        self.bus.generation() > 0
    }

    /// Whether asking further is of no use: the scan is to end, or the connection does not hold.
    pub fn is_over(&self) -> bool {
        self.stop.is_called() || self.broken_in_a_row >= BROKEN_MAX
    }

    /// Asks `unit`, not sooner than `gap` after the last question. A question that met no connection is asked again once.
    pub fn ask(&mut self, unit: u8, gap: Duration, request: &Request) -> Heard {
        let first = self.ask_once(unit, gap, request);
        match first {
            Heard::Broken(_) if self.is_connected() && !self.is_over() => {
                self.stop.wait(RECONNECT);
                self.ask_once(unit, gap, request)
            }
            first => first,
        }
    }

    fn ask_once(&mut self, unit: u8, gap: Duration, request: &Request) -> Heard {
        if let Some(asked) = self.asked {
            self.stop.wait(gap.saturating_sub(asked.elapsed()));
        }
        if self.is_over() {
            return Heard::Stopped;
        }
        self.bus.set_uid(unit);
        let was_connected = self.is_connected();
        self.bus.set_timeout(if was_connected { self.timeout_of(request) } else { self.connect.max(self.wire_time(request)) });
        let mut outcome = self.bus.exchange(request);
        if !was_connected && self.is_connected() && matches!(&outcome, Err(error) if Fault::of(error) == Fault::Timeout) {
            // The connection took of the time that the answer had.
            self.bus.set_timeout(self.timeout_of(request));
            outcome = self.bus.exchange(request);
        }
        self.asked = Some(Instant::now());
        let heard = match outcome {
            Ok(reply) => Heard::Reply(reply),
            Err(error) => match Fault::of(&error) {
                Fault::Exception(code @ (0x0a | 0x0b)) => Heard::NoSuchUnit(code),
                Fault::Exception(code) => Heard::Exception(code),
                Fault::Timeout => Heard::Silence,
                Fault::Io(why) => Heard::Broken(why),
                fault => Heard::Garbled(fault),
            },
        };
        self.note(&heard);
        heard
    }

    fn note(&mut self, heard: &Heard) {
        match heard {
            Heard::Reply(_) | Heard::Exception(_) | Heard::NoSuchUnit(_) => {
                self.answers = self.answers.saturating_add(1);
                self.broken_in_a_row = 0;
            }
            Heard::Garbled(fault) => {
                self.garbled = self.garbled.saturating_add(1);
                self.last_garbled = Some(fault.clone());
                self.broken_in_a_row = 0;
            }
            Heard::Broken(why) => {
                self.last_broken = Some(why.clone());
                self.broken_in_a_row = self.broken_in_a_row.saturating_add(1);
            }
            Heard::Silence => self.broken_in_a_row = 0,
            Heard::Stopped => {}
        }
    }

    fn timeout_of(&self, request: &Request) -> Duration {
        self.timeout + self.wire_time(request)
    }

    /// How long question and answer are on a serial line.
    fn wire_time(&self, request: &Request) -> Duration {
        let Some(pace) = self.pace else { return Duration::ZERO };
        let data = match request {
            Request::ReadHoldingRegisters { count, .. } | Request::ReadInputRegisters { count, .. } => usize::from(*count) * 2,
            _ => DATA_MAX,
        };
        pace.of_bytes(FRAME_BYTES + data)
    }
}
