//! `[server]`: our own Modbus registers, and the gateway.

use std::net::{IpAddr, SocketAddr};

use super::later;
use super::link::Link;
use super::reader::Section;
use crate::link::place::Serial;

/// `[server]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// Our unit id, 1 to 247; default 10.
    pub address: u8,
    /// Over TCP.
    pub tcp: Option<TcpServer>,
    /// On a serial port.
    pub rtu: Option<RtuServer>,
    /// Units that are passed through.
    pub gateway: Option<Gateway>,
}

/// `[server] tcp`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpServer {
    /// Where it listens.
    pub listen: SocketAddr,
    /// Who may connect; default: this machine.
    pub allow: Vec<Network>,
    /// Whether anything may be written; default no.
    pub writable: bool,
    /// Connections at the same time, 1 to 250; default 8.
    pub max_connections: u8,
    /// A connection that says nothing for this long is closed, s; default 300.
    pub idle_timeout_s: u32,
}

/// `[server] rtu`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RtuServer {
    /// The port, of which nobody else is the master.
    pub serial: Serial,
    /// Whether anything may be written; default no.
    pub writable: bool,
}

/// `[server] gateway`: requests to these units are passed to devices on another link, and their replies back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Gateway {
    /// Unit ids other than our own.
    pub units: Vec<u8>,
    /// Where they are; it may be the link of a charger or a battery.
    pub link: Link,
}

/// Addresses that begin alike, as in `192.168.1.0/24`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// Its first address.
    pub address: IpAddr,
    /// How many bits count.
    pub prefix: u8,
}

pub(super) fn read(root: &mut Section<'_>) -> Option<Server> {
    let section = root.section("server")?;
    later::refuse(&section);
    later::read_server(section);
    None
}
