//! The framing of Modbus RTU: unit, PDU, CRC.
//!
//! Sans-IO. A program cannot measure silence on a serial port well enough to frame by it (facts/rust.md A2), so frames are cut by the
//! length that function code and byte count imply, and the CRC decides. Silence only ends a message whose length is not known
//! ([`whole`]) and makes room after noise ([`resync_request`], [`resync_reply`]).

use std::fmt;
use std::ops::Range;

use crc::{CRC_16_MODBUS, Crc};

use super::pdu::PDU_MAX;

/// The longest RTU frame: unit, PDU, CRC.
pub const FRAME_MAX: usize = PDU_MAX + 3;

const CRC16: Crc<u16> = Crc::<u16>::new(&CRC_16_MODBUS);

/// Why a buffer does not begin with a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// A complete frame by its length, but the CRC is wrong.
    Crc {
        /// The CRC over the bytes received.
        computed: u16,
        /// The CRC received.
        received: u16,
    },
    /// The length of a frame with this function code (or MEI type, under FC 43) is not known.
    Unknown(u8),
    /// Longer than 256 or shorter than 4 bytes, which no frame is.
    Length(usize),
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Crc { computed, received } => write!(f, "The CRC is 0x{received:04x} instead of 0x{computed:04x}."),
            FrameError::Unknown(function) => write!(f, "The length of a frame with function 0x{function:02x} is not known."),
            FrameError::Length(length) => write!(f, "No frame is {length} bytes long."),
        }
    }
}

impl std::error::Error for FrameError {}

/// The bytes on the wire. A PDU longer than 253 bytes is cut there.
pub fn encode(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let pdu = pdu.get(..PDU_MAX).unwrap_or(pdu);
    let mut bytes = Vec::with_capacity(pdu.len() + 3);
    bytes.push(unit);
    bytes.extend(pdu);
    let crc = CRC16.checksum(&bytes);
    // Low byte first, unlike everything else in Modbus.
    bytes.extend(crc.to_le_bytes());
    bytes
}

/// Unit and PDU of the request at the beginning of `buffer`, and the bytes it takes; `None` when more bytes are needed.
pub fn split_request(buffer: &[u8]) -> Result<Option<(u8, Vec<u8>, usize)>, FrameError> {
    cut(buffer, request_length(buffer)?)
}

/// Unit and PDU of the reply at the beginning of `buffer`, and the bytes it takes; `None` when more bytes are needed.
pub fn split_reply(buffer: &[u8]) -> Result<Option<(u8, Vec<u8>, usize)>, FrameError> {
    cut(buffer, reply_length(buffer)?)
}

/// Unit and PDU when `buffer` as a whole is one frame: for a message whose function is unknown, after silence has ended it. A server
/// answers it with exception 1 if the CRC is right, and keeps silent if not.
pub fn whole(buffer: &[u8]) -> Result<(u8, Vec<u8>), FrameError> {
    if !(4..=FRAME_MAX).contains(&buffer.len()) {
        return Err(FrameError::Length(buffer.len()));
    }
    match cut(buffer, Some(buffer.len()))? {
        Some((unit, pdu, _)) => Ok((unit, pdu)),
        None => Err(FrameError::Length(buffer.len())),
    }
}

/// How many bytes to drop, at least 1, after [`split_request`] refused `buffer`: up to the first complete request with a right CRC; if
/// there is none, up to where one may have begun; if there is none either, everything. 0 only for an empty buffer.
pub fn resync_request(buffer: &[u8]) -> usize {
    resync(buffer, split_request)
}

/// Like [`resync_request`], for replies.
pub fn resync_reply(buffer: &[u8]) -> usize {
    resync(buffer, split_reply)
}

type Split = fn(&[u8]) -> Result<Option<(u8, Vec<u8>, usize)>, FrameError>;

fn resync(buffer: &[u8], split: Split) -> usize {
    let mut possible = None;
    for start in beginnings(buffer) {
        match split(&buffer[start..]) {
            Ok(Some(_)) => return start,
            Ok(None) => possible = possible.or(Some(start)),
            Err(_) => {}
        }
    }
    possible.unwrap_or(buffer.len())
}

/// Where behind the first byte a frame may begin. Older noise than one frame before a full one cannot matter: it bounds the work too.
pub fn beginnings(buffer: &[u8]) -> Range<usize> {
    buffer.len().saturating_sub(2 * FRAME_MAX).max(1)..buffer.len()
}

/// Cuts a frame of `total` bytes off and checks its CRC.
fn cut(buffer: &[u8], total: Option<usize>) -> Result<Option<(u8, Vec<u8>, usize)>, FrameError> {
    let Some(total) = total else { return Ok(None) };
    if total > FRAME_MAX {
        return Err(FrameError::Length(total));
    }
    let Some((message, received)) = buffer.get(..total).and_then(|frame| frame.split_last_chunk::<2>()) else { return Ok(None) };
    let Some((&unit, pdu)) = message.split_first() else { return Ok(None) };
    let (computed, received) = (CRC16.checksum(message), u16::from_le_bytes(*received));
    if computed != received {
        return Err(FrameError::Crc { computed, received });
    }
    Ok(Some((unit, pdu.to_vec(), total)))
}

/// The length of a request by function code and byte count; `None` while the bytes that tell it are missing.
fn request_length(buffer: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(&function) = buffer.get(1) else { return Ok(None) };
    match function {
        1..=6 => Ok(Some(8)),
        17 => Ok(Some(4)),
        15 | 16 => Ok(counted(buffer, 6)),
        23 => Ok(counted(buffer, 10)),
        43 => mei(buffer, |_| Some(7)),
        other => Err(FrameError::Unknown(other)),
    }
}

/// The length of a reply by function code and byte count; `None` while the bytes that tell it are missing.
fn reply_length(buffer: &[u8]) -> Result<Option<usize>, FrameError> {
    let Some(&function) = buffer.get(1) else { return Ok(None) };
    match function {
        1..=4 | 17 | 23 => Ok(counted(buffer, 2)),
        5 | 6 | 15 | 16 => Ok(Some(8)),
        43 => mei(buffer, identification_length),
        0x81..=0xff => Ok(Some(5)),
        other => Err(FrameError::Unknown(other)),
    }
}

/// The length of a frame whose byte count stands at `at`, with the data and the CRC following.
fn counted(buffer: &[u8], at: usize) -> Option<usize> {
    buffer.get(at).map(|&count| at + 1 + usize::from(count) + 2)
}

/// FC 43 has a length only for the MEI type 14.
fn mei(buffer: &[u8], length: fn(&[u8]) -> Option<usize>) -> Result<Option<usize>, FrameError> {
    match buffer.get(2) {
        None => Ok(None),
        Some(14) => Ok(length(buffer)),
        Some(&other) => Err(FrameError::Unknown(other)),
    }
}

/// Walks the objects of a device identification. Gives up as "too long" where the sum passes the longest frame.
fn identification_length(buffer: &[u8]) -> Option<usize> {
    let &count = buffer.get(7)?;
    let mut at = 8;
    for _ in 0..count {
        // Another object has two bytes at least, and the CRC follows.
        if at + 4 > FRAME_MAX {
            return Some(at + 4);
        }
        let &length = buffer.get(at + 1)?;
        at += 2 + usize::from(length);
    }
    Some(at + 2)
}
