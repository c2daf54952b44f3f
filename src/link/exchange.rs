//! One request and its reply, whatever carries them: what may be sent, and which reply answers it.
//!
//! Shared by all links: a transport implements [`Exchange`] and gets `modbus::Client` by the `client_by_exchange!` macro.

use ::modbus::{Coil, Error, Reason, Result};

use super::fault::exception_error;
use crate::modbus::pdu::{DecodeError, Reply, Request};

/// A transport for typed requests.
pub trait Exchange {
    /// Sends `request` to the unit selected and returns the reply, which answers it: function, size and echo are checked.
    fn exchange(&mut self, request: &Request) -> Result<Reply>;
}

/// Refuses a request that the specification does not allow, before any byte of it is sent.
pub(crate) fn check_request(request: &Request) -> Result<()> {
    match Request::decode(&request.encode()) {
        Ok(decoded) if decoded == *request => Ok(()),
        // Encoding cut it to the longest there is.
        Ok(_) => Err(not_sendable("more values than one request carries")),
        Err(error) => Err(not_sendable(&error.to_string())),
    }
}

/// The reply in `pdu`, when it answers `request`.
pub fn check_reply(request: &Request, pdu: &[u8]) -> Result<Reply> {
    match *pdu {
        [function, code] if function == request.function() | 0x80 => return Err(exception_error(code)),
        [function, ..] if function == request.function() => {}
        _ => return Err(Error::InvalidResponse),
    }
    let reply = Reply::decode(pdu).map_err(|error| match error {
        DecodeError::TooShort | DecodeError::Trailing | DecodeError::ByteCount(_) => unexpected_size(),
        _ => Error::InvalidResponse,
    })?;
    let answers = match (request, &reply) {
        (Request::ReadCoils { count, .. }, Reply::Coils { packed })
        | (Request::ReadDiscreteInputs { count, .. }, Reply::DiscreteInputs { packed }) => {
            return if packed.len() == usize::from(count.div_ceil(8)) { Ok(reply) } else { Err(unexpected_size()) };
        }
        (Request::ReadHoldingRegisters { count, .. }, Reply::HoldingRegisters { values })
        | (Request::ReadInputRegisters { count, .. }, Reply::InputRegisters { values })
        | (Request::ReadWriteMultipleRegisters { read_count: count, .. }, Reply::ReadWriteMultipleRegisters { values }) => {
            return if values.len() == usize::from(*count) { Ok(reply) } else { Err(unexpected_size()) };
        }
        (Request::WriteSingleCoil { address, on }, Reply::WrittenSingleCoil { address: at, on: echo }) => (address, on) == (at, echo),
        (Request::WriteSingleRegister { address, value }, Reply::WrittenSingleRegister { address: at, value: echo }) => {
            (address, value) == (at, echo)
        }
        (Request::WriteMultipleCoils { address, count, .. }, Reply::WrittenMultipleCoils { address: at, count: echo }) => {
            (address, count) == (at, echo)
        }
        (Request::WriteMultipleRegisters { address, values }, Reply::WrittenMultipleRegisters { address: at, count }) => {
            address == at && values.len() == usize::from(*count)
        }
        (Request::ReportServerId, Reply::ServerId { .. }) => true,
        (Request::ReadDeviceIdentification { code, .. }, Reply::DeviceIdentification { code: echo, .. }) => code == echo,
        _ => false,
    };
    if answers { Ok(reply) } else { Err(Error::InvalidResponse) }
}

/// Whether a reply to one of these requests would pass for a reply to the other: reads of the same function and size, and writes of several
/// registers or coils at the same place, whose replies do not repeat the values. All others are echoed in their replies.
pub(crate) fn same_answer(one: &Request, other: &Request) -> bool {
    match (one, other) {
        (Request::ReadCoils { count: a, .. }, Request::ReadCoils { count: b, .. })
        | (Request::ReadDiscreteInputs { count: a, .. }, Request::ReadDiscreteInputs { count: b, .. }) => a.div_ceil(8) == b.div_ceil(8),
        (Request::ReadHoldingRegisters { count: a, .. }, Request::ReadHoldingRegisters { count: b, .. })
        | (Request::ReadInputRegisters { count: a, .. }, Request::ReadInputRegisters { count: b, .. })
        | (Request::ReadWriteMultipleRegisters { read_count: a, .. }, Request::ReadWriteMultipleRegisters { read_count: b, .. }) => a == b,
        (Request::ReadDeviceIdentification { code: a, .. }, Request::ReadDeviceIdentification { code: b, .. }) => a == b,
        (Request::WriteMultipleCoils { address: a, count: m, .. }, Request::WriteMultipleCoils { address: b, count: n, .. }) => {
            (a, m) == (b, n)
        }
        (Request::WriteMultipleRegisters { address: a, values: v }, Request::WriteMultipleRegisters { address: b, values: w }) => {
            (a, v.len()) == (b, w.len())
        }
        _ => false,
    }
}

/// The bits of a FC 1 or 2.
pub(crate) fn bits(link: &mut impl Exchange, request: &Request, count: u16) -> Result<Vec<Coil>> {
    match link.exchange(request)? {
        Reply::Coils { packed } | Reply::DiscreteInputs { packed } => {
            let bits = packed.iter().flat_map(|byte| (0..8).map(move |bit| Coil::from(byte >> bit & 1 == 1)));
            Ok(bits.take(usize::from(count)).collect())
        }
        _ => Err(Error::InvalidResponse),
    }
}

/// The registers of a FC 3, 4 or 23.
pub(crate) fn registers(link: &mut impl Exchange, request: &Request) -> Result<Vec<u16>> {
    match link.exchange(request)? {
        Reply::HoldingRegisters { values } | Reply::InputRegisters { values } | Reply::ReadWriteMultipleRegisters { values } => Ok(values),
        _ => Err(Error::InvalidResponse),
    }
}

/// FC 15. A list too long even to be counted is cut to a count that is refused.
pub(crate) fn write_coils(link: &mut impl Exchange, address: u16, coils: &[Coil]) -> Result<()> {
    let count = u16::try_from(coils.len()).unwrap_or(u16::MAX);
    let packed = coils.chunks(8).map(|byte| byte.iter().rev().fold(0, |packed, coil| packed << 1 | u8::from(*coil == Coil::On)));
    link.exchange(&Request::WriteMultipleCoils { address, count, packed: packed.collect() }).map(drop)
}

/// The error for a request that is not sent.
pub(crate) fn not_sendable(why: &str) -> Error {
    Error::InvalidData(Reason::Custom(format!("the request cannot be sent: {why}")))
}

fn unexpected_size() -> Error {
    Error::InvalidData(Reason::UnexpectedReplySize)
}

/// Implements `modbus::Client` for a type that implements [`Exchange`] and has a field `unit: u8`.
macro_rules! client_by_exchange {
    ($link:ty) => {
        impl ::modbus::Client for $link {
            fn read_discrete_inputs(&mut self, address: u16, count: u16) -> ::modbus::Result<Vec<::modbus::Coil>> {
                $crate::link::exchange::bits(self, &$crate::modbus::pdu::Request::ReadDiscreteInputs { address, count }, count)
            }

            fn read_coils(&mut self, address: u16, count: u16) -> ::modbus::Result<Vec<::modbus::Coil>> {
                $crate::link::exchange::bits(self, &$crate::modbus::pdu::Request::ReadCoils { address, count }, count)
            }

            fn write_single_coil(&mut self, address: u16, value: ::modbus::Coil) -> ::modbus::Result<()> {
                let on = value == ::modbus::Coil::On;
                self.exchange(&$crate::modbus::pdu::Request::WriteSingleCoil { address, on }).map(drop)
            }

            fn write_multiple_coils(&mut self, address: u16, coils: &[::modbus::Coil]) -> ::modbus::Result<()> {
                $crate::link::exchange::write_coils(self, address, coils)
            }

            fn read_input_registers(&mut self, address: u16, count: u16) -> ::modbus::Result<Vec<u16>> {
                $crate::link::exchange::registers(self, &$crate::modbus::pdu::Request::ReadInputRegisters { address, count })
            }

            fn read_holding_registers(&mut self, address: u16, count: u16) -> ::modbus::Result<Vec<u16>> {
                $crate::link::exchange::registers(self, &$crate::modbus::pdu::Request::ReadHoldingRegisters { address, count })
            }

            fn write_single_register(&mut self, address: u16, value: u16) -> ::modbus::Result<()> {
                self.exchange(&$crate::modbus::pdu::Request::WriteSingleRegister { address, value }).map(drop)
            }

            fn write_multiple_registers(&mut self, address: u16, values: &[u16]) -> ::modbus::Result<()> {
                let values = values.to_vec();
                self.exchange(&$crate::modbus::pdu::Request::WriteMultipleRegisters { address, values }).map(drop)
            }

            /// `write_quantity` only repeats the length of `write_values`; the values count.
            fn write_read_multiple_registers(
                &mut self,
                write_address: u16,
                _write_quantity: u16,
                write_values: &[u16],
                read_address: u16,
                read_count: u16,
            ) -> ::modbus::Result<Vec<u16>> {
                let values = write_values.to_vec();
                let request = $crate::modbus::pdu::Request::ReadWriteMultipleRegisters { read_address, read_count, write_address, values };
                $crate::link::exchange::registers(self, &request)
            }

            fn set_uid(&mut self, uid: u8) {
                self.unit = uid;
            }
        }
    };
}
pub(crate) use client_by_exchange;
