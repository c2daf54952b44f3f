//! Protocol data units: what a request or a reply says, without its framing.

/// What a client asks. Addresses are as on the wire (0-based). Quantities outside the specification do not decode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// FC 1.
    ReadCoils { address: u16, count: u16 },
    /// FC 2.
    ReadDiscreteInputs { address: u16, count: u16 },
    /// FC 3.
    ReadHoldingRegisters { address: u16, count: u16 },
    /// FC 4.
    ReadInputRegisters { address: u16, count: u16 },
    /// FC 5.
    WriteSingleCoil { address: u16, on: bool },
    /// FC 6.
    WriteSingleRegister { address: u16, value: u16 },
    /// FC 15; `packed` holds `count` bits, least significant first, padding as received.
    WriteMultipleCoils { address: u16, count: u16, packed: Vec<u8> },
    /// FC 16.
    WriteMultipleRegisters { address: u16, values: Vec<u16> },
    /// FC 23: writes first, then reads.
    ReadWriteMultipleRegisters { read_address: u16, read_count: u16, write_address: u16, values: Vec<u16> },
    /// FC 43, MEI type 14.
    ReadDeviceIdentification { code: u8, object: u8 },
}

/// What a server answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// FC 1; bits least significant first, padding as received.
    Coils { packed: Vec<u8> },
    /// FC 2.
    DiscreteInputs { packed: Vec<u8> },
    /// FC 3.
    HoldingRegisters { values: Vec<u16> },
    /// FC 4.
    InputRegisters { values: Vec<u16> },
    /// FC 5, the echo.
    WrittenSingleCoil { address: u16, on: bool },
    /// FC 6, the echo.
    WrittenSingleRegister { address: u16, value: u16 },
    /// FC 15.
    WrittenMultipleCoils { address: u16, count: u16 },
    /// FC 16.
    WrittenMultipleRegisters { address: u16, count: u16 },
    /// FC 23.
    ReadWriteMultipleRegisters { values: Vec<u16> },
    /// FC 43/14; each object is its id and its bytes.
    DeviceIdentification { code: u8, conformity: u8, more_follows: u8, next_object: u8, objects: Vec<(u8, Vec<u8>)> },
    /// Function code + 0x80: the function asked for (without 0x80) and the exception code.
    Exception { function: u8, code: u8 },
}
