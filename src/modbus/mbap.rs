//! The framing of Modbus TCP: transaction id, protocol id 0, length, unit, PDU.
//!
//! Sans-IO: looks at a buffer and says whether a frame stands at its beginning. Never skips bytes by itself: a stream that does not
//! stand on a frame boundary cannot be trusted any more, and whoever owns the connection drops it.

use std::fmt;

use super::pdu::PDU_MAX;

/// The bytes before the PDU.
const HEADER: usize = 7;

/// One Modbus TCP frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Chosen by the client, repeated by the server.
    pub transaction: u16,
    /// The unit (server address) behind the connection.
    pub unit: u8,
    /// The PDU, 1..=253 bytes.
    pub pdu: Vec<u8>,
}

/// Why a buffer does not begin with a frame, and never will.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// The protocol id is not 0.
    Protocol(u16),
    /// The length field is not within 2..=254.
    Length(u16),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Protocol(id) => write!(f, "The protocol id is 0x{id:04x} instead of 0."),
            FrameError::Length(length) => write!(f, "The length field says {length}, which no frame has."),
        }
    }
}

impl std::error::Error for FrameError {}

/// The bytes on the wire. A PDU longer than 253 bytes is cut there.
pub fn encode(frame: &Frame) -> Vec<u8> {
    let pdu = frame.pdu.get(..PDU_MAX).unwrap_or(&frame.pdu);
    let length = pdu.len() as u16 + 1;
    let mut bytes = Vec::with_capacity(HEADER + pdu.len());
    for word in [frame.transaction, 0, length] {
        bytes.extend(word.to_be_bytes());
    }
    bytes.push(frame.unit);
    bytes.extend(pdu);
    bytes
}

/// The frame at the beginning of `buffer` and how many bytes it takes; `None` when more bytes are needed.
pub fn split(buffer: &[u8]) -> Result<Option<(Frame, usize)>, FrameError> {
    let Some(total) = total(buffer)? else { return Ok(None) };
    Ok(take(buffer, total))
}

/// Like [`split`], for what a server sent: an exception reply is always 2 PDU bytes, whatever the length field says.
///
/// SAX batteries copy the length 6 of the request into the header of an exception but send only 9 bytes in all (facts/sax.md 2,
/// "Responses"), so waiting for the rest would turn every exception into a timeout. For a device that keeps to the specification
/// (length 3) this is the same. A device that announces 6 and really pads its exception to 12 bytes is not known; its 3 extra bytes
/// are left in the buffer, where they are no frame and lead to a dropped connection, not to a wrong value.
pub fn split_reply(buffer: &[u8]) -> Result<Option<(Frame, usize)>, FrameError> {
    let Some(total) = total(buffer)? else { return Ok(None) };
    match buffer.get(HEADER) {
        Some(function) if function & 0x80 != 0 => Ok(take(buffer, HEADER + 2)),
        _ => Ok(take(buffer, total)),
    }
}

/// How long the frame is, by its header. Wrong headers are found as soon as their bytes are there.
fn total(buffer: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some((protocol, rest)) = buffer.get(2..).and_then(|rest| rest.split_first_chunk::<2>()) else { return Ok(None) };
    match u16::from_be_bytes(*protocol) {
        0 => {}
        other => return Err(FrameError::Protocol(other)),
    }
    let Some(length) = rest.first_chunk::<2>() else { return Ok(None) };
    match u16::from_be_bytes(*length) {
        length @ 2..=254 => Ok(Some(HEADER - 1 + usize::from(length))),
        other => Err(FrameError::Length(other)),
    }
}

fn take(buffer: &[u8], total: usize) -> Option<(Frame, usize)> {
    match buffer.get(..total)? {
        [high, low, _, _, _, _, unit, pdu @ ..] => {
            Some((Frame { transaction: u16::from_be_bytes([*high, *low]), unit: *unit, pdu: pdu.to_vec() }, total))
        }
        _ => None,
    }
}
