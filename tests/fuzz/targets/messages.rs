//! Requests and replies of every kind out of bytes, and what the specification (V1.1b3, section 6) says about them, written down a second time.

use sax_controller::modbus::pdu::{Reply, Request};

use super::bytes::Bytes;

/// A number that is often near a limit.
fn count(bytes: &mut Bytes<'_>) -> u16 {
    match bytes.below(4) {
        0 => bytes.u16(),
        1 => bytes.one(&[0, 1, 121, 122, 123, 124, 125, 126, 127, 250, 251, 1968, 1969, 2000, 2001, u16::MAX]),
        _ => 1 + bytes.below(20) as u16,
    }
}

/// Any request, also one that the specification does not allow.
pub fn request(bytes: &mut Bytes<'_>) -> Request {
    let (kind, address) = (bytes.below(11), bytes.u16());
    match kind {
        0 => Request::ReadCoils { address, count: count(bytes) },
        1 => Request::ReadDiscreteInputs { address, count: count(bytes) },
        2 => Request::ReadHoldingRegisters { address, count: count(bytes) },
        3 => Request::ReadInputRegisters { address, count: count(bytes) },
        4 => Request::WriteSingleCoil { address, on: bytes.chance(128) },
        5 => Request::WriteSingleRegister { address, value: bytes.u16() },
        6 => {
            let count = count(bytes);
            let fitting = usize::from(count.div_ceil(8)).min(300);
            let length = if bytes.chance(200) { fitting } else { bytes.below(256) };
            Request::WriteMultipleCoils { address, count, packed: (0..length).map(|_| bytes.u8()).collect() }
        }
        7 => Request::WriteMultipleRegisters { address, values: bytes.list(Bytes::u16) },
        8 => Request::ReportServerId,
        9 => {
            let (read_count, write_address) = (count(bytes), bytes.u16());
            Request::ReadWriteMultipleRegisters { read_address: address, read_count, write_address, values: bytes.list(Bytes::u16) }
        }
        _ => Request::ReadDeviceIdentification { code: bytes.below(6) as u8, object: bytes.u8() },
    }
}

/// Any reply, also one that the specification does not allow.
pub fn reply(bytes: &mut Bytes<'_>) -> Reply {
    match bytes.below(12) {
        0 => Reply::Coils { packed: bytes.list(Bytes::u8) },
        1 => Reply::DiscreteInputs { packed: bytes.list(Bytes::u8) },
        2 => Reply::HoldingRegisters { values: bytes.list(Bytes::u16) },
        3 => Reply::InputRegisters { values: bytes.list(Bytes::u16) },
        4 => Reply::WrittenSingleCoil { address: bytes.u16(), on: bytes.chance(128) },
        5 => Reply::WrittenSingleRegister { address: bytes.u16(), value: bytes.u16() },
        6 => Reply::WrittenMultipleCoils { address: bytes.u16(), count: count(bytes) },
        7 => Reply::WrittenMultipleRegisters { address: bytes.u16(), count: count(bytes) },
        8 => Reply::ServerId { data: bytes.list(Bytes::u8) },
        9 => Reply::ReadWriteMultipleRegisters { values: bytes.list(Bytes::u16) },
        10 => {
            let [code, conformity, more_follows, next_object] = [0; 4].map(|_: u8| bytes.u8());
            let objects = (0..bytes.below(9)).map(|_| (bytes.u8(), bytes.list(Bytes::u8))).collect();
            Reply::DeviceIdentification { code, conformity, more_follows, next_object, objects }
        }
        _ => Reply::Exception { function: bytes.u8(), code: bytes.u8() },
    }
}

/// Whether there is such a request.
pub fn is_request(request: &Request) -> bool {
    let (bits, registers) = (|n: &u16| (1..=2000).contains(n), |n: &u16| (1..=125).contains(n));
    match request {
        Request::ReadCoils { count, .. } | Request::ReadDiscreteInputs { count, .. } => bits(count),
        Request::ReadHoldingRegisters { count, .. } | Request::ReadInputRegisters { count, .. } => registers(count),
        Request::WriteMultipleCoils { count, packed, .. } => (1..=1968).contains(count) && packed.len() == (usize::from(*count) + 7) / 8,
        Request::WriteMultipleRegisters { values, .. } => (1..=123).contains(&values.len()),
        Request::ReadWriteMultipleRegisters { read_count, values, .. } => registers(read_count) && (1..=121).contains(&values.len()),
        Request::ReadDeviceIdentification { code, .. } => (1..=4).contains(code),
        Request::WriteSingleCoil { .. } | Request::WriteSingleRegister { .. } | Request::ReportServerId => true,
    }
}

/// Whether there is such a reply.
pub fn is_reply(reply: &Reply) -> bool {
    match reply {
        Reply::Coils { packed } | Reply::DiscreteInputs { packed } => (1..=250).contains(&packed.len()),
        Reply::HoldingRegisters { values } | Reply::InputRegisters { values } | Reply::ReadWriteMultipleRegisters { values } => {
            (1..=125).contains(&values.len())
        }
        Reply::WrittenMultipleCoils { count, .. } => (1..=1968).contains(count),
        Reply::WrittenMultipleRegisters { count, .. } => (1..=123).contains(count),
        Reply::ServerId { data } => (1..=251).contains(&data.len()),
        Reply::DeviceIdentification { objects, .. } => 7 + objects.iter().map(|(_, bytes)| 2 + bytes.len()).sum::<usize>() <= 253,
        Reply::Exception { function, .. } => (1..=0x7f).contains(function),
        Reply::WrittenSingleCoil { .. } | Reply::WrittenSingleRegister { .. } => true,
    }
}

/// A right answer to a request that there is.
pub fn answer(request: &Request, bytes: &mut Bytes<'_>) -> Reply {
    let mut bits = |count: u16| (0..(usize::from(count) + 7) / 8).map(|_| bytes.u8()).collect::<Vec<_>>();
    match *request {
        Request::ReadCoils { count, .. } => Reply::Coils { packed: bits(count) },
        Request::ReadDiscreteInputs { count, .. } => Reply::DiscreteInputs { packed: bits(count) },
        Request::ReadHoldingRegisters { count, .. } => Reply::HoldingRegisters { values: (0..count).map(|_| bytes.u16()).collect() },
        Request::ReadInputRegisters { count, .. } => Reply::InputRegisters { values: (0..count).map(|_| bytes.u16()).collect() },
        Request::WriteSingleCoil { address, on } => Reply::WrittenSingleCoil { address, on },
        Request::WriteSingleRegister { address, value } => Reply::WrittenSingleRegister { address, value },
        Request::WriteMultipleCoils { address, count, .. } => Reply::WrittenMultipleCoils { address, count },
        Request::WriteMultipleRegisters { address, ref values } => Reply::WrittenMultipleRegisters { address, count: values.len() as u16 },
        Request::ReportServerId => Reply::ServerId { data: (0..=bytes.below(251)).map(|_| bytes.u8()).collect() },
        Request::ReadWriteMultipleRegisters { read_count, .. } => {
            Reply::ReadWriteMultipleRegisters { values: (0..read_count).map(|_| bytes.u16()).collect() }
        }
        Request::ReadDeviceIdentification { code, .. } => {
            let objects = (0..bytes.below(3)).map(|_| (bytes.u8(), (0..bytes.below(100)).map(|_| bytes.u8()).collect())).collect();
            Reply::DeviceIdentification { code, conformity: bytes.u8(), more_follows: 0, next_object: 0, objects }
        }
    }
}

/// Whether the reply answers the request, by function, size and what it repeats.
pub fn answers(request: &Request, reply: &Reply) -> bool {
    if !is_reply(reply) || request.function() != reply.function() || matches!(reply, Reply::Exception { .. }) {
        return false;
    }
    match (request, reply) {
        (Request::ReadDeviceIdentification { code, .. }, Reply::DeviceIdentification { code: said, .. }) => code == said,
        (Request::ReportServerId, _) => true,
        // All others: as long as the right answer, and the same where that repeats the request.
        _ => {
            let right = answer(request, &mut Bytes(&[])).encode();
            let is_echo = matches!(reply.function(), 5 | 6 | 15 | 16);
            right.len() == reply.encode().len() && (!is_echo || right == reply.encode())
        }
    }
}
