//! Requests to bytes and back.

use super::pdu::{DecodeError, READ_BITS_MAX, READ_REGISTERS_MAX, READ_WRITE_REGISTERS_MAX, Request, WRITE_BITS_MAX, WRITE_REGISTERS_MAX};
use super::wire::{byte_count, coil, counted, cut, head, pair, push_counted, push_counted_words, quantity, range, words};

impl Request {
    /// The function code.
    pub fn function(&self) -> u8 {
        match self {
            Request::ReadCoils { .. } => 1,
            Request::ReadDiscreteInputs { .. } => 2,
            Request::ReadHoldingRegisters { .. } => 3,
            Request::ReadInputRegisters { .. } => 4,
            Request::WriteSingleCoil { .. } => 5,
            Request::WriteSingleRegister { .. } => 6,
            Request::WriteMultipleCoils { .. } => 15,
            Request::WriteMultipleRegisters { .. } => 16,
            Request::ReportServerId => 17,
            Request::ReadWriteMultipleRegisters { .. } => 23,
            Request::ReadDeviceIdentification { .. } => 43,
        }
    }

    /// The bytes on the wire. Never fails: counts are written as they are, lists are cut at the longest the specification allows, so
    /// that a request outside the specification gives bytes that do not decode (or a shorter write), never a frame of a wrong length.
    pub fn encode(&self) -> Vec<u8> {
        let function = self.function();
        match self {
            Request::ReadCoils { address, count }
            | Request::ReadDiscreteInputs { address, count }
            | Request::ReadHoldingRegisters { address, count }
            | Request::ReadInputRegisters { address, count } => head(function, &[*address, *count]),
            Request::WriteSingleCoil { address, on } => head(function, &[*address, if *on { 0xff00 } else { 0 }]),
            Request::WriteSingleRegister { address, value } => head(function, &[*address, *value]),
            Request::WriteMultipleCoils { address, count, packed } => {
                let mut pdu = head(function, &[*address, *count]);
                push_counted(&mut pdu, packed, (WRITE_BITS_MAX / 8) as u8);
                pdu
            }
            Request::WriteMultipleRegisters { address, values } => {
                let mut pdu = head(function, &[*address, cut(values, WRITE_REGISTERS_MAX).len() as u16]);
                push_counted_words(&mut pdu, values, WRITE_REGISTERS_MAX);
                pdu
            }
            Request::ReportServerId => vec![function],
            Request::ReadWriteMultipleRegisters { read_address, read_count, write_address, values } => {
                let write_count = cut(values, READ_WRITE_REGISTERS_MAX).len() as u16;
                let mut pdu = head(function, &[*read_address, *read_count, *write_address, write_count]);
                push_counted_words(&mut pdu, values, READ_WRITE_REGISTERS_MAX);
                pdu
            }
            Request::ReadDeviceIdentification { code, object } => vec![function, 14, *code, *object],
        }
    }

    /// Reads a whole PDU.
    pub fn decode(pdu: &[u8]) -> Result<Request, DecodeError> {
        let (&function, body) = pdu.split_first().ok_or(DecodeError::TooShort)?;
        match function {
            1 => range(body, READ_BITS_MAX).map(|(address, count)| Request::ReadCoils { address, count }),
            2 => range(body, READ_BITS_MAX).map(|(address, count)| Request::ReadDiscreteInputs { address, count }),
            3 => range(body, READ_REGISTERS_MAX).map(|(address, count)| Request::ReadHoldingRegisters { address, count }),
            4 => range(body, READ_REGISTERS_MAX).map(|(address, count)| Request::ReadInputRegisters { address, count }),
            5 => {
                let (address, value) = pair(body)?;
                Ok(Request::WriteSingleCoil { address, on: coil(value)? })
            }
            6 => pair(body).map(|(address, value)| Request::WriteSingleRegister { address, value }),
            15 => write_coils(body),
            16 => {
                let (address, values) = written(body, WRITE_REGISTERS_MAX)?;
                Ok(Request::WriteMultipleRegisters { address, values })
            }
            17 if body.is_empty() => Ok(Request::ReportServerId),
            17 => Err(DecodeError::Trailing),
            23 => {
                let (read, write) = body.split_at_checked(4).ok_or(DecodeError::TooShort)?;
                let (read_address, read_count) = range(read, READ_REGISTERS_MAX)?;
                let (write_address, values) = written(write, READ_WRITE_REGISTERS_MAX)?;
                Ok(Request::ReadWriteMultipleRegisters { read_address, read_count, write_address, values })
            }
            43 => device_identification(body),
            other => Err(DecodeError::UnknownFunction(other)),
        }
    }
}

fn write_coils(body: &[u8]) -> Result<Request, DecodeError> {
    let (start, rest) = body.split_at_checked(4).ok_or(DecodeError::TooShort)?;
    let (address, count) = range(start, WRITE_BITS_MAX)?;
    let packed = counted(rest)?;
    if packed.len() != usize::from(count.div_ceil(8)) {
        return Err(byte_count(packed));
    }
    Ok(Request::WriteMultipleCoils { address, count, packed: packed.to_vec() })
}

/// Address, count, byte count and that many registers, as FC 16 and 23 write them.
fn written(body: &[u8], max: u16) -> Result<(u16, Vec<u16>), DecodeError> {
    let (start, rest) = body.split_at_checked(4).ok_or(DecodeError::TooShort)?;
    let (address, count) = pair(start)?;
    let count = quantity(count, max)?;
    let bytes = counted(rest)?;
    if bytes.len() != usize::from(count) * 2 {
        return Err(byte_count(bytes));
    }
    Ok((address, words(bytes)))
}

fn device_identification(body: &[u8]) -> Result<Request, DecodeError> {
    match *body {
        [14, code @ 1..=4, object] => Ok(Request::ReadDeviceIdentification { code, object }),
        [14, code, _] => Err(DecodeError::Value(u16::from(code))),
        [] | [14] | [14, _] => Err(DecodeError::TooShort),
        [14, ..] => Err(DecodeError::Trailing),
        // Other MEI types belong to other protocols (CANopen).
        [mei, ..] => Err(DecodeError::UnknownFunction(mei)),
    }
}
