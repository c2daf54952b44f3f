//! How a device is reached: `link.tcp`, `link.rtu`, and `link.serial` for devices that only send.

use std::fmt;

use super::ladder::DEFAULT_POLL_MS;
use super::later::refuse_key;
use super::reader::{Section, Spanned};
use super::words;
use crate::link::place::{Place, Serial};

/// The longest that one request may keep a link busy, in ms, retries included: a write that must come must not wait behind it for longer.
const LONGEST_REQUEST_MS: u32 = 30_000;

/// The port of Modbus TCP.
const MODBUS_PORT: u16 = 502;

/// How a Modbus device is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Link {
    /// `link.tcp`
    Tcp(Tcp),
    /// `link.rtu`
    Rtu(Rtu),
}

impl Link {
    /// Until an answer is there, ms.
    pub fn timeout_ms(&self) -> u32 {
        match self {
            Link::Tcp(tcp) => tcp.timeout_ms,
            Link::Rtu(rtu) => rtu.timeout_ms,
        }
    }

    /// How often a read is repeated after a fault.
    pub fn retry_count(&self) -> u8 {
        match self {
            Link::Tcp(tcp) => tcp.retry_count,
            Link::Rtu(rtu) => rtu.retry_count,
        }
    }

    /// The same connection or bus: host and port, or serial port.
    pub fn is_same_place(&self, other: &Link) -> bool {
        match (self, other) {
            (Link::Tcp(a), Link::Tcp(b)) => words::same_host(&a.host, &b.host) && a.port == b.port,
            (Link::Rtu(a), Link::Rtu(b)) => a.serial.port == b.serial.port,
            (Link::Tcp(_), Link::Rtu(_)) | (Link::Rtu(_), Link::Tcp(_)) => false,
        }
    }
}

impl Link {
    /// Where it is.
    pub fn place(&self) -> Place {
        match self {
            Link::Tcp(tcp) => Place::Tcp { host: tcp.host.clone(), port: tcp.port },
            Link::Rtu(rtu) => Place::Rtu(rtu.serial.clone()),
        }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Link::Tcp(tcp) => write!(f, "{}:{}", tcp.host, tcp.port),
            Link::Rtu(rtu) => f.write_str(&rtu.serial.port),
        }
    }
}

/// `link.rtu`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rtu {
    /// The port and its settings; devices on one bus have the same.
    pub serial: Serial,
    /// Until an answer is there; 100 to 10000 ms; default as for [`Tcp`].
    pub timeout_ms: u32,
    /// How often a read is repeated after a fault; 0 to 10, default 3.
    pub retry_count: u8,
}

/// `link.tcp`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tcp {
    /// Name or address.
    pub host: String,
    /// 1 to 65535, default: the profile's, else 502.
    pub port: u16,
    /// Until an answer is there, connecting included; 100 to 10000 ms; default the poll period, between 500 and 2000, so that one
    /// lost answer costs one poll.
    pub timeout_ms: u32,
    /// How often a read is repeated after a fault; 0 to 10, default 3.
    pub retry_count: u8,
}

/// The `link` of a device; the place is that of the host.
pub(super) fn read(device: &mut Section<'_>, default_port: Option<u16>, poll_ms: u32) -> Option<Spanned<Link>> {
    let mut link = device.required("link", Section::section)?;
    let other = later(&mut link);
    let tcp = match (link.section("tcp"), link.has("tcp")) {
        (Some(mut tcp), _) => {
            let read = read_tcp(&mut tcp, default_port, poll_ms);
            tcp.finish();
            read
        }
        (None, false) if !other => {
            link.document().add_missing(link.at(), &link.full("tcp"), "tcp", "this key is missing.");
            None
        }
        (None, _) => None,
    };
    link.finish();
    tcp.map(|tcp| tcp.map(Link::Tcp))
}

/// A link of which nothing is used yet, so that it need not be complete.
pub(super) fn check_only(device: &mut Section<'_>) {
    let Some(mut link) = device.section("link") else { return };
    for key in ["rtu", "serial"] {
        if let Some(port) = link.section(key) {
            serial_port(port);
        }
    }
    if let Some(mut tcp) = link.section("tcp") {
        read_tcp(&mut tcp, None, DEFAULT_POLL_MS);
        tcp.finish();
    }
    link.finish();
}

/// The keys of a serial port.
pub(super) fn serial_port(mut port: Section<'_>) {
    serial_keys(&mut port);
    port.finish();
}

/// The keys of a serial port, for a section that has more of them.
pub(super) fn serial_keys(port: &mut Section<'_>) {
    let _ = port.required("port", words::path);
    let _ = port.integer("baud", 300..=4_000_000u32);
    let _ = port.choice("parity", &[("none", ()), ("even", ()), ("odd", ())]);
    let _ = port.integer("data_bits", 7..=8u8);
    let _ = port.integer("stop_bits", 1..=2u8);
    timing(port, DEFAULT_POLL_MS);
}

/// Refuses `rtu` and `serial`; says whether there was one.
fn later(link: &mut Section<'_>) -> bool {
    let mut found = false;
    for key in ["rtu", "serial"] {
        if let Some(port) = link.section(key) {
            refuse_key(link, key, Some(port.at()));
            serial_port(port);
        }
        found |= link.has(key);
    }
    found
}

fn read_tcp(tcp: &mut Section<'_>, default_port: Option<u16>, poll_ms: u32) -> Option<Spanned<Tcp>> {
    let host = tcp.required("host", words::host);
    let port = tcp.integer("port", 1..=u16::MAX).map_or(default_port.unwrap_or(MODBUS_PORT), Spanned::get);
    let (timeout_ms, retry_count) = timing(tcp, poll_ms);
    host.map(|host| host.map(|host| Tcp { host, port, timeout_ms, retry_count }))
}

fn timing(link: &mut Section<'_>, poll_ms: u32) -> (u32, u8) {
    let timeout = link.integer("timeout_ms", 100..=10_000u32);
    let retries = link.integer("retry_count", 0..=10u8);
    let (timeout_ms, retry_count) = (timeout.map_or(poll_ms.clamp(500, 2_000), Spanned::get), retries.map_or(3, Spanned::get));
    let longest_ms = timeout_ms.saturating_mul(u32::from(retry_count) + 1);
    let (key, blamed) = if retries.is_some() { ("retry_count", retries.map(|r| r.at)) } else { ("timeout_ms", timeout.map(|t| t.at)) };
    if longest_ms > LONGEST_REQUEST_MS {
        let message = format!(
            "one request could take {} s (timeout_ms {timeout_ms}, then {retry_count} times again), it must not take more than {} s.",
            longest_ms / 1000,
            LONGEST_REQUEST_MS / 1000
        );
        link.add(blamed.unwrap_or(link.at()), key, message);
    }
    (timeout_ms, retry_count)
}
