//! The Modbus codec: protocol data units and their two framings, in both directions, for client, server and simulator alike.
//!
//! Sans-IO: bytes in, typed values out, and back. Never panics on any bytes; `decode(encode(x)) == x`; whatever decodes also encodes
//! back to the same bytes. Never opens anything and never waits. (The crate of the same name is written `::modbus` in this project.)

pub mod mbap;
pub mod pdu;
mod reply;
mod request;
pub mod rtu;
mod wire;
