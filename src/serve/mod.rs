//! What the controller tells others: the status document on a socket, which nobody can command
//! through, and the registers of the Modbus server, whose writes the control thread decides about.

pub mod alive;
pub mod answers;
pub mod ask;
pub mod document;
pub mod image;
pub mod judge;
pub mod registers;
pub mod rtu_server;
pub mod socket;
mod tcp_connection;
pub mod tcp_server;
