//! `[server]`: our own Modbus registers, and the gateway.

mod network;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

pub use self::network::Network;

use super::link::{self, Link, Speaks};
use super::reader::{At, Section, Spanned};
use super::site::keep;
use super::words;
use crate::link::place::Serial;

/// More networks than this are a mistake; each is looked at for every connection.
const MOST_NETWORKS: usize = 64;
/// What an answer through the gateway may take where the file says nothing, ms (firmware: facts/p1-load-balancer.md 2.1).
const GATEWAY_TIMEOUT_MS: u32 = 1_000;

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
    /// Who may connect; default: this machine. Never empty.
    pub allow: Vec<Network>,
    /// Whether anything may be written; default no.
    pub writable: bool,
    /// Connections at the same time, 1 to 250; default 8.
    pub max_connections: u8,
    /// A connection that says nothing for this long is closed; 1 to 3600 s, default 300.
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
    /// Unit ids other than our own, 1 to 247, each once.
    pub units: Vec<u8>,
    /// Where they are; it may be the link of a charger or a battery.
    pub link: Link,
}

/// `[server]`, and places in it.
pub(super) struct ServerDraft {
    pub server: Server,
    pub listen_at: Option<At>,
    pub rtu_port_at: Option<At>,
    pub gateway_link_at: Option<At>,
}

pub(super) fn read(root: &mut Section<'_>) -> Option<ServerDraft> {
    let mut section = root.section("server")?;
    let s = &mut section;
    let address = s.integer("address", 1..=247u8);
    let tcp = s.section("tcp").and_then(read_tcp);
    let rtu = s.section("rtu").and_then(read_rtu);
    let address_or_default = address.map_or(10, Spanned::get);
    let gateway = s.section("gateway").and_then(|section| read_gateway(section, address_or_default));
    if !s.has("tcp") && !s.has("rtu") {
        s.document().add_missing(s.at(), &s.full("tcp"), "tcp", "there is neither tcp nor rtu, and nobody could ask it.");
    }
    section.finish();
    let (listen_at, rtu_port_at) = (tcp.as_ref().map(|tcp| tcp.at), rtu.as_ref().map(|rtu| rtu.at));
    let gateway_link_at = gateway.as_ref().map(|gateway| gateway.at);
    let server =
        Server { address: address_or_default, tcp: tcp.map(Spanned::get), rtu: rtu.map(Spanned::get), gateway: gateway.map(Spanned::get) };
    Some(ServerDraft { server, listen_at, rtu_port_at, gateway_link_at })
}

/// The place is that of `listen`.
fn read_tcp(mut s: Section<'_>) -> Option<Spanned<TcpServer>> {
    let listen = s.required("listen", words::listener);
    let allow = read_allow(&mut s);
    let mut tcp = TcpServer {
        listen: listen.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 502)), Spanned::get),
        allow: allow
            .unwrap_or_else(|| vec![Network::new(Ipv4Addr::new(127, 0, 0, 0).into(), 8), Network::new(Ipv6Addr::LOCALHOST.into(), 128)]),
        writable: false,
        max_connections: 8,
        idle_timeout_s: 300,
    };
    if let Some(listen) = listen.filter(|listen| !listen.value.ip().to_canonical().is_loopback() && !s.has("allow")) {
        let message = format!("{} is open to other computers, and allow does not say which of them may connect.", listen.value);
        s.add_with_help(listen.at, "listen", message, "For a whole home network: allow = [\"192.168.1.0/24\"].");
    }
    keep(s.boolean("writable"), &mut tcp.writable);
    keep(s.integer("max_connections", 1..=250u8), &mut tcp.max_connections);
    keep(s.integer("idle_timeout_s", 1..=3_600u32), &mut tcp.idle_timeout_s);
    s.finish();
    listen.map(|listen| listen.map(|_| tcp))
}

fn read_allow(s: &mut Section<'_>) -> Option<Vec<Network>> {
    let said = s.strings("allow")?;
    if s.has_empty_list("allow") {
        s.add(s.at(), "allow", "nobody is allowed to connect: the list is empty.");
    }
    if let Some(first) = said.get(MOST_NETWORKS) {
        s.add(first.at, "allow", format!("there are {} networks, there must not be more than {MOST_NETWORKS}.", said.len()));
    }
    let mut networks = Vec::new();
    for text in said.into_iter().take(MOST_NETWORKS) {
        match text.value.parse::<Network>() {
            Ok(network) => networks.push(network),
            Err(fault) => s.add(text.at, "allow", format!("\"{}\" {fault}", text.value)),
        }
    }
    Some(networks)
}

/// The place is that of the port.
fn read_rtu(mut s: Section<'_>) -> Option<Spanned<RtuServer>> {
    let writable = s.boolean("writable").is_some_and(Spanned::get);
    let serial = link::serial_keys(&mut s, Speaks::Rtu);
    s.finish();
    serial.map(|serial| serial.map(|serial| RtuServer { serial, writable }))
}

/// The place is that of the link.
fn read_gateway(mut s: Section<'_>, own: u8) -> Option<Spanned<Gateway>> {
    let units = s.required("units", |s, key| s.integers(key, 1..=247u8));
    if s.has_empty_list("units") {
        s.add(s.at(), "units", "the list is empty: nothing would be passed through.");
    }
    let mut known: Vec<u8> = Vec::new();
    for unit in units.unwrap_or_default() {
        if unit.value == own {
            s.add(unit.at, "units", format!("{own} is our own address."));
        } else if known.contains(&unit.value) {
            s.add(unit.at, "units", format!("{} is there already.", unit.value));
        } else {
            known.push(unit.value);
        }
    }
    let link = link::read(&mut s, None, GATEWAY_TIMEOUT_MS);
    s.finish();
    link.map(|link| link.map(|link| Gateway { units: known, link }))
}
