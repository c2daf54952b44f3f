//! Replies to bytes and back.

use super::pdu::{DecodeError, PDU_MAX, READ_BITS_MAX, READ_REGISTERS_MAX, Reply, WRITE_BITS_MAX, WRITE_REGISTERS_MAX};
use super::wire::{byte_count, coil, counted, head, pair, push_counted, push_counted_words, range, words};

/// What fits into a PDU beside function and byte count.
const SERVER_ID_MAX: u8 = (PDU_MAX - 2) as u8;

impl Reply {
    /// The function code as asked, without the exception bit.
    pub fn function(&self) -> u8 {
        match self {
            Reply::Coils { .. } => 1,
            Reply::DiscreteInputs { .. } => 2,
            Reply::HoldingRegisters { .. } => 3,
            Reply::InputRegisters { .. } => 4,
            Reply::WrittenSingleCoil { .. } => 5,
            Reply::WrittenSingleRegister { .. } => 6,
            Reply::WrittenMultipleCoils { .. } => 15,
            Reply::WrittenMultipleRegisters { .. } => 16,
            Reply::ServerId { .. } => 17,
            Reply::ReadWriteMultipleRegisters { .. } => 23,
            Reply::DeviceIdentification { .. } => 43,
            Reply::Exception { function, .. } => function & 0x7f,
        }
    }

    /// The bytes on the wire. Never fails: lists are cut at the longest the specification allows (objects of an identification: those
    /// that fit whole), counts are written as they are, and of an exception's function only the lower 7 bits count.
    pub fn encode(&self) -> Vec<u8> {
        let function = self.function();
        let mut pdu = vec![function];
        match self {
            Reply::Coils { packed } | Reply::DiscreteInputs { packed } => push_counted(&mut pdu, packed, (READ_BITS_MAX / 8) as u8),
            Reply::HoldingRegisters { values } | Reply::InputRegisters { values } | Reply::ReadWriteMultipleRegisters { values } => {
                push_counted_words(&mut pdu, values, READ_REGISTERS_MAX)
            }
            Reply::WrittenSingleCoil { address, on } => return head(function, &[*address, if *on { 0xff00 } else { 0 }]),
            Reply::WrittenSingleRegister { address, value } => return head(function, &[*address, *value]),
            Reply::WrittenMultipleCoils { address, count } | Reply::WrittenMultipleRegisters { address, count } => {
                return head(function, &[*address, *count]);
            }
            Reply::ServerId { data } => push_counted(&mut pdu, data, SERVER_ID_MAX),
            Reply::DeviceIdentification { code, conformity, more_follows, next_object, objects } => {
                pdu.extend([14, *code, *conformity, *more_follows, *next_object, 0]);
                push_objects(&mut pdu, objects);
            }
            Reply::Exception { code, .. } => return vec![function | 0x80, *code],
        }
        pdu
    }

    /// Reads a whole PDU.
    pub fn decode(pdu: &[u8]) -> Result<Reply, DecodeError> {
        let (&function, body) = pdu.split_first().ok_or(DecodeError::TooShort)?;
        match function {
            1 => bits(body).map(|packed| Reply::Coils { packed }),
            2 => bits(body).map(|packed| Reply::DiscreteInputs { packed }),
            3 => registers(body).map(|values| Reply::HoldingRegisters { values }),
            4 => registers(body).map(|values| Reply::InputRegisters { values }),
            5 => {
                let (address, value) = pair(body)?;
                Ok(Reply::WrittenSingleCoil { address, on: coil(value)? })
            }
            6 => pair(body).map(|(address, value)| Reply::WrittenSingleRegister { address, value }),
            15 => range(body, WRITE_BITS_MAX).map(|(address, count)| Reply::WrittenMultipleCoils { address, count }),
            16 => range(body, WRITE_REGISTERS_MAX).map(|(address, count)| Reply::WrittenMultipleRegisters { address, count }),
            17 => match counted(body)? {
                data if data.is_empty() || data.len() > usize::from(SERVER_ID_MAX) => Err(byte_count(data)),
                data => Ok(Reply::ServerId { data: data.to_vec() }),
            },
            23 => registers(body).map(|values| Reply::ReadWriteMultipleRegisters { values }),
            43 => device_identification(body),
            0x81..=0xff => match *body {
                [] => Err(DecodeError::TooShort),
                [code] => Ok(Reply::Exception { function: function & 0x7f, code }),
                _ => Err(DecodeError::Trailing),
            },
            other => Err(DecodeError::UnknownFunction(other)),
        }
    }
}

fn bits(body: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let packed = counted(body)?;
    if packed.is_empty() || packed.len() > usize::from(READ_BITS_MAX / 8) {
        return Err(byte_count(packed));
    }
    Ok(packed.to_vec())
}

fn registers(body: &[u8]) -> Result<Vec<u16>, DecodeError> {
    let bytes = counted(body)?;
    if bytes.is_empty() || bytes.len() % 2 != 0 || bytes.len() > usize::from(READ_REGISTERS_MAX) * 2 {
        return Err(byte_count(bytes));
    }
    Ok(words(bytes))
}

fn device_identification(body: &[u8]) -> Result<Reply, DecodeError> {
    if body.len() >= PDU_MAX {
        return Err(DecodeError::Trailing);
    }
    match *body {
        [14, code, conformity, more_follows, next_object, count, ref rest @ ..] => {
            let mut objects = Vec::new();
            let mut left = rest;
            for _ in 0..count {
                let (&[id, length], after) = left.split_first_chunk::<2>().ok_or(DecodeError::TooShort)?;
                let (bytes, after) = after.split_at_checked(usize::from(length)).ok_or(DecodeError::TooShort)?;
                objects.push((id, bytes.to_vec()));
                left = after;
            }
            if !left.is_empty() {
                return Err(DecodeError::Trailing);
            }
            Ok(Reply::DeviceIdentification { code, conformity, more_follows, next_object, objects })
        }
        [mei, ..] if mei != 14 => Err(DecodeError::UnknownFunction(mei)),
        _ => Err(DecodeError::TooShort),
    }
}

/// Appends the objects that fit whole, and counts them in the last byte that is already there.
fn push_objects(pdu: &mut Vec<u8>, objects: &[(u8, Vec<u8>)]) {
    let count_at = pdu.len() - 1;
    for (id, bytes) in objects {
        if pdu.len() + 2 + bytes.len() > PDU_MAX {
            break;
        }
        pdu.extend([*id, bytes.len() as u8]);
        pdu.extend(bytes);
        pdu[count_at] += 1;
    }
}
