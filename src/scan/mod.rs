//! Finds Modbus devices on a network or a serial bus, and says what they are.
//!
//! **Answers for**: which hosts and units to ask ([`plan`]), asking one unit ([`ask`], [`look`]), going through a network ([`network`]) or a
//! bus ([`serial`]), which known profiles a device fits ([`recognise`]), and a configuration that begins with what was found ([`snippet`]).
//! **Never** writes a register, never has more than one connection to a host, and never asks for more than one thing at a time there:
//! many batteries allow one connection only (facts/sax.md 2, Connection quirks).

pub mod ask;
pub mod bus;
pub mod found;
pub mod identity;
pub mod look;
pub mod network;
pub mod plan;
pub mod recognise;
pub mod serial;
pub mod snippet;
pub mod stop;
