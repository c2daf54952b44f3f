//! Protocol data units: what a request or a reply says, without its framing.
//!
//! Encoding and decoding stand in `request.rs` and `reply.rs`. Limits are those of the Modbus Application Protocol Specification V1.1b3,
//! section 6. Whether an address exists, or a range ends before 65536, is for the register map of a server to say, not for this module.

use std::fmt;

/// What a client asks. Addresses are as on the wire (0-based). Quantities outside the specification do not decode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// FC 1.
    ReadCoils {
        /// The first coil.
        address: u16,
        /// How many coils, 1..=2000.
        count: u16,
    },
    /// FC 2.
    ReadDiscreteInputs {
        /// The first input.
        address: u16,
        /// How many inputs, 1..=2000.
        count: u16,
    },
    /// FC 3.
    ReadHoldingRegisters {
        /// The first register.
        address: u16,
        /// How many registers, 1..=125.
        count: u16,
    },
    /// FC 4.
    ReadInputRegisters {
        /// The first register.
        address: u16,
        /// How many registers, 1..=125.
        count: u16,
    },
    /// FC 5.
    WriteSingleCoil {
        /// The coil.
        address: u16,
        /// Its new state; 0xFF00 or 0x0000 on the wire, nothing else decodes.
        on: bool,
    },
    /// FC 6.
    WriteSingleRegister {
        /// The register.
        address: u16,
        /// Its new value.
        value: u16,
    },
    /// FC 15; `packed` holds `count` bits, least significant first, padding as received.
    WriteMultipleCoils {
        /// The first coil.
        address: u16,
        /// How many coils, 1..=1968.
        count: u16,
        /// Their states, `count / 8` bytes rounded up.
        packed: Vec<u8>,
    },
    /// FC 16.
    WriteMultipleRegisters {
        /// The first register.
        address: u16,
        /// The new values, 1..=123 of them.
        values: Vec<u16>,
    },
    /// FC 17: serial lines only by the specification, but many TCP devices answer it too.
    ReportServerId,
    /// FC 23: writes first, then reads.
    ReadWriteMultipleRegisters {
        /// The first register read.
        read_address: u16,
        /// How many registers are read, 1..=125.
        read_count: u16,
        /// The first register written.
        write_address: u16,
        /// The new values, 1..=121 of them.
        values: Vec<u16>,
    },
    /// FC 43, MEI type 14.
    ReadDeviceIdentification {
        /// 1 basic, 2 regular, 3 extended, 4 one object; nothing else decodes.
        code: u8,
        /// The first object wanted.
        object: u8,
    },
}

/// What a server answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// FC 1; bits least significant first, padding as received.
    Coils {
        /// The states, 1..=250 bytes.
        packed: Vec<u8>,
    },
    /// FC 2; bits least significant first, padding as received.
    DiscreteInputs {
        /// The states, 1..=250 bytes.
        packed: Vec<u8>,
    },
    /// FC 3.
    HoldingRegisters {
        /// The values, 1..=125 of them.
        values: Vec<u16>,
    },
    /// FC 4.
    InputRegisters {
        /// The values, 1..=125 of them.
        values: Vec<u16>,
    },
    /// FC 5, the echo.
    WrittenSingleCoil {
        /// The coil.
        address: u16,
        /// The state written.
        on: bool,
    },
    /// FC 6, the echo.
    WrittenSingleRegister {
        /// The register.
        address: u16,
        /// The value written.
        value: u16,
    },
    /// FC 15.
    WrittenMultipleCoils {
        /// The first coil written.
        address: u16,
        /// How many were written, 1..=1968.
        count: u16,
    },
    /// FC 16.
    WrittenMultipleRegisters {
        /// The first register written.
        address: u16,
        /// How many were written, 1..=123.
        count: u16,
    },
    /// FC 17.
    ServerId {
        /// Server id, run indicator and more, as the device likes; 1..=251 bytes.
        data: Vec<u8>,
    },
    /// FC 23.
    ReadWriteMultipleRegisters {
        /// The values read, 1..=125 of them.
        values: Vec<u16>,
    },
    /// FC 43/14; each object is its id and its bytes.
    DeviceIdentification {
        /// The code of the request.
        code: u8,
        /// The conformity level of the device.
        conformity: u8,
        /// 0xFF when another request is needed for the rest, otherwise 0.
        more_follows: u8,
        /// The object to ask for next, when more follows.
        next_object: u8,
        /// The objects, in order; all of them together fit one PDU.
        objects: Vec<(u8, Vec<u8>)>,
    },
    /// Function code + 0x80: the function asked for (without 0x80) and the exception code.
    Exception {
        /// The function asked for, 1..=0x7F.
        function: u8,
        /// The exception code, as received.
        code: u8,
    },
}

/// The longest PDU there is, in bytes.
pub const PDU_MAX: usize = 253;
/// The most coils or discrete inputs one request reads (FC 1 and 2).
pub const READ_BITS_MAX: u16 = 2000;
/// The most registers one request reads (FC 3, 4 and 23).
pub const READ_REGISTERS_MAX: u16 = 125;
/// The most coils one request writes (FC 15).
pub const WRITE_BITS_MAX: u16 = 1968;
/// The most registers one request writes (FC 16).
pub const WRITE_REGISTERS_MAX: u16 = 123;
/// The most registers one FC 23 writes.
pub const READ_WRITE_REGISTERS_MAX: u16 = 121;

/// Why bytes are not a PDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DecodeError {
    /// A function code, or an MEI type under FC 43, that is not spoken here.
    UnknownFunction(u8),
    /// The PDU ends early.
    TooShort,
    /// Bytes follow the end.
    Trailing,
    /// A quantity of 0 or above the limit.
    Quantity(u16),
    /// A byte count that does not fit the quantity or the kind of data.
    ByteCount(u8),
    /// A field whose value has no meaning: a coil that is neither on nor off, an identification code outside 1..=4.
    Value(u16),
}

impl DecodeError {
    /// The exception code with which a server answers: 1 (illegal function) or 3 (illegal data value).
    pub fn exception_code(&self) -> u8 {
        match self {
            DecodeError::UnknownFunction(_) => 1,
            _ => 3,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DecodeError::UnknownFunction(function) => write!(f, "Function 0x{function:02x} is not known."),
            DecodeError::TooShort => f.write_str("The message ends early."),
            DecodeError::Trailing => f.write_str("Bytes follow the end of the message."),
            DecodeError::Quantity(quantity) => write!(f, "A quantity of {quantity} is not allowed."),
            DecodeError::ByteCount(count) => write!(f, "The byte count {count} does not fit."),
            DecodeError::Value(value) => write!(f, "The value 0x{value:04x} has no meaning."),
        }
    }
}

impl std::error::Error for DecodeError {}
