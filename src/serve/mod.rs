//! What the controller tells others: the status document on a socket, which nobody can command
//! through, the same as a page for Prometheus, and the registers of the Modbus server, whose writes the control thread decides about.

pub mod alive;
pub mod answers;
pub mod ask;
pub mod document;
mod door;
pub mod image;
pub mod judge;
pub mod metrics;
pub mod registers;
pub mod rtu_server;
pub mod socket;
mod tcp_connection;
pub mod tcp_server;
