//! Transports: one connection or bus per endpoint, one request in flight. All of them are `modbus::Client`s of the `modbus` crate.

use std::time::Duration;

/// A transport that a driver speaks through.
pub trait Link: ::modbus::Client + Send {
    /// What to call it in logs and status, for example `192.168.1.11:502`.
    fn name(&self) -> &str;

    /// Counts up with every new connection: when it changed, the device may have forgotten what we wrote.
    fn generation(&self) -> u64;

    /// What went wrong on this link since the start, by kind.
    fn counters(&self) -> Counters;

    /// The deadline of every further request, connecting included.
    fn set_timeout(&mut self, timeout: Duration);
}

/// Requests and faults of one link since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Requests sent or refused for want of a connection.
    pub requests: u64,
    /// No complete answer before the deadline.
    pub timeout: u64,
    /// Frames whose CRC was wrong (serial links).
    pub crc: u64,
    /// Exception replies.
    pub exception: u64,
    /// Complete answers that were not an answer to what was asked.
    pub invalid: u64,
    /// Everything the operating system reported: refused, reset, unreachable, port gone.
    pub io: u64,
}
