//! How a device is reached: `link.tcp`, `link.rtu`, and `link.serial` for devices that only send.

use std::fmt;
use std::path::{Path, PathBuf};

use super::ladder::DEFAULT_POLL_MS;
use super::reader::{Section, Spanned};
use super::words;
use crate::link::place::{BAUDS, Parity, Place, Rs485, Serial, nearest_baud};

/// The longest that one request may keep a link busy, in ms, retries included: a write that must come must not wait behind it for longer.
const LONGEST_REQUEST_MS: u32 = 30_000;

/// The port of Modbus TCP.
const MODBUS_PORT: u16 = 502;

/// The usual speed of a Modbus RTU bus (reference 3), and of a P1 port.
const BAUD_RTU: u32 = 9_600;
const BAUD_SERIAL: u32 = 115_200;

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
    /// Its key below `link`.
    pub fn kind(&self) -> &'static str {
        match self {
            Link::Tcp(_) => "tcp",
            Link::Rtu(_) => "rtu",
        }
    }

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

/// The `link` of a Modbus device; the place is that of the host or the port.
pub(super) fn read(device: &mut Section<'_>, default_port: Option<u16>, poll_ms: u32) -> Option<Spanned<Link>> {
    let mut link = device.required("link", Section::section)?;
    let read = read_either(&mut link, default_port, poll_ms);
    link.finish();
    read
}

fn read_either(link: &mut Section<'_>, default_port: Option<u16>, poll_ms: u32) -> Option<Spanned<Link>> {
    if let Some(port) = link.section("serial") {
        let message = "this device is asked over Modbus, and link.serial is for devices that send by themselves.";
        link.add_with_help(port.at(), "serial", message, "A Modbus device on a serial port has link.rtu.");
        read_port(port);
        return None;
    }
    let tcp = link.section("tcp").map(|mut section| {
        let read = read_tcp(&mut section, default_port, poll_ms);
        section.finish();
        read.map(|tcp| tcp.map(Link::Tcp))
    });
    let rtu = link.section("rtu").map(|section| {
        let at = section.at();
        (at, read_rtu(section, poll_ms).map(|rtu| rtu.map(Link::Rtu)))
    });
    match (tcp, rtu) {
        (Some(_), Some((at, _))) => {
            link.add(at, "rtu", "there is link.tcp already, and a device has one link.");
            None
        }
        (Some(read), None) | (None, Some((_, read))) => read,
        (None, None) => {
            // Something that is no section has been refused already.
            if !["tcp", "rtu", "serial"].iter().any(|key| link.has(key)) {
                link.document().add_missing(link.at(), &link.full("tcp"), "tcp", "this key is missing.");
            }
            None
        }
    }
}

/// The `serial` key of the `link` of a device that sends by itself; the place is that of the port. `None` where it is missing or wrong.
pub(super) fn read_serial(link: &mut Section<'_>) -> Option<Spanned<Serial>> {
    link.section("serial").and_then(|port| read_port(port))
}

/// A link of which nothing is used yet, so that it need not be complete.
pub(super) fn check_only(device: &mut Section<'_>) {
    let Some(mut link) = device.section("link") else { return };
    read_serial(&mut link);
    if let Some(rtu) = link.section("rtu") {
        read_rtu(rtu, DEFAULT_POLL_MS);
    }
    if let Some(mut tcp) = link.section("tcp") {
        read_tcp(&mut tcp, None, DEFAULT_POLL_MS);
        tcp.finish();
    }
    link.finish();
}

fn read_port(mut section: Section<'_>) -> Option<Spanned<Serial>> {
    let serial = serial_keys(&mut section, Speaks::Telegrams);
    section.finish();
    serial
}

/// What goes over a serial port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Speaks {
    /// Modbus RTU.
    Rtu,
    /// Telegrams, one way.
    Telegrams,
}

/// The keys of a serial port, for a section that may have more of them.
pub(super) fn serial_keys(section: &mut Section<'_>, speaks: Speaks) -> Option<Spanned<Serial>> {
    let port = section.required("port", words::path);
    let baud = read_baud(section);
    let parity = section.choice("parity", &[("none", Parity::None), ("even", Parity::Even), ("odd", Parity::Odd)]);
    let data_bits = section.integer("data_bits", 7..=8u8);
    let stop_bits = section.integer("stop_bits", 1..=2u8);
    if let Some(bits) = data_bits.filter(|bits| speaks == Speaks::Rtu && bits.value != 8) {
        section.add(bits.at, "data_bits", format!("{} is too few, Modbus RTU needs 8.", bits.value));
    }
    let default_baud = if speaks == Speaks::Rtu { BAUD_RTU } else { BAUD_SERIAL };
    let rs485 = section.section("rs485").map(read_rs485);
    port.map(|port| {
        port.map(|port| Serial {
            port: plain(&port),
            baud: baud.map_or(default_baud, Spanned::get),
            parity: parity.map_or(Parity::None, Spanned::get),
            data_bits: data_bits.map_or(8, Spanned::get),
            stop_bits: stop_bits.map_or(1, Spanned::get),
            rs485,
        })
    })
}

/// One of the rates that Linux knows.
fn read_baud(section: &mut Section<'_>) -> Option<Spanned<u32>> {
    let baud = section.integer("baud", BAUDS[0]..=BAUDS[BAUDS.len() - 1])?;
    let nearest = nearest_baud(baud.value);
    if nearest == baud.value {
        return Some(baud);
    }
    section.add(baud.at, "baud", format!("{} is no rate of a serial port, the nearest is {nearest}.", baud.value));
    None
}

/// One spelling per path, as far as that can be told without looking at the disk.
fn plain(path: &str) -> String {
    let plain: PathBuf = Path::new(path).components().collect();
    plain.to_str().unwrap_or(path).to_owned()
}

fn read_rs485(mut section: Section<'_>) -> Rs485 {
    let rts_on_send = section.boolean("rts_on_send").is_none_or(Spanned::get);
    let delay_before_ms = section.integer("delay_before_ms", 0..=100u32).map_or(0, Spanned::get);
    let delay_after_ms = section.integer("delay_after_ms", 0..=100u32).map_or(0, Spanned::get);
    section.finish();
    Rs485 { rts_on_send, delay_before_ms, delay_after_ms }
}

fn read_rtu(mut section: Section<'_>, poll_ms: u32) -> Option<Spanned<Rtu>> {
    let serial = serial_keys(&mut section, Speaks::Rtu);
    let (timeout_ms, retry_count) = timing(&mut section, poll_ms);
    section.finish();
    serial.map(|serial| serial.map(|serial| Rtu { serial, timeout_ms, retry_count }))
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
