//! What stands between the servers, which know of connections and serial lines, and whoever answers requests.

use crate::modbus::pdu::Reply;

/// Exception "server device failure".
pub const FAILURE: u8 = 4;
/// Exception "server device busy": later it may work.
pub const BUSY: u8 = 6;
/// Exception "gateway path unavailable": there is no connection to the unit.
pub const NO_PATH: u8 = 0x0a;
/// Exception "gateway target device failed to respond": nobody answers for this unit.
pub const NO_TARGET: u8 = 0x0b;

/// What became of a request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answered {
    /// Whoever it was for answers this.
    Reply(Reply),
    /// It reached nobody who could answer. Over TCP this exception says so; on a serial line silence does, because another device may
    /// have this unit id.
    Nobody(u8),
}

/// Answers requests, each connection with a copy of its own.
pub trait Answers: Clone + Send + 'static {
    /// The answer to the PDU of a request, of at least one byte, for this unit. It may take some seconds.
    fn answer(&self, unit: u8, pdu: &[u8]) -> Answered;
}

/// The exception with this code, as an answer to the PDU of a request.
pub fn exception(pdu: &[u8], code: u8) -> Reply {
    Reply::Exception { function: pdu.first().copied().unwrap_or(0) & 0x7f, code }
}
