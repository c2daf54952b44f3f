//! Which device a tool speaks to, and how: arguments that `read`, `write` and `scan` share.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lexopt::Parser;

use super::status::{fetch, parse};
use super::{Failure, wrong};
use crate::link::deadline::Hurry;
use crate::link::place::{BAUDS, Parity, Place, Serial, nearest_baud};
use crate::scan::bus::{self, Bus};

/// The port of Modbus TCP.
pub(super) const MODBUS_PORT: u16 = 502;
/// Where the running controller tells what it does.
const SOCKET: &str = "/run/sax/controller.sock";
/// Where none is given, ms: long enough for a battery that draws its display (facts/sax.md 2, Rates).
const TIMEOUT_MS: u32 = 3000;

/// Options of a device that is reached, with their defaults.
#[derive(Clone, Debug)]
pub(super) struct Options {
    target: Option<String>,
    unit: u8,
    timeout_ms: u32,
    baud: Option<u32>,
    parity: Option<Parity>,
    data_bits: Option<u8>,
    stop_bits: Option<u8>,
    socket: PathBuf,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            target: None,
            unit: 1,
            timeout_ms: TIMEOUT_MS,
            baud: None,
            parity: None,
            data_bits: None,
            stop_bits: None,
            socket: SOCKET.into(),
        }
    }
}

/// A device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Target {
    pub place: Place,
    pub unit: u8,
    pub timeout: Duration,
}

impl Options {
    /// Takes a long option that belongs here; `false` where it does not.
    pub(super) fn take(&mut self, name: &str, parser: &mut Parser, usage: &'static str) -> Result<bool, Failure> {
        match name {
            "unit" => self.unit = number(parser, name, 0..=255, usage)? as u8,
            "timeout-ms" => self.timeout_ms = number(parser, name, 10..=60_000, usage)?,
            "baud" => self.baud = Some(baud(&text(parser, usage)?).map_err(|said| Failure::Usage(said, usage))?),
            "data-bits" => self.data_bits = Some(number(parser, name, 7..=8, usage)? as u8),
            "stop-bits" => self.stop_bits = Some(number(parser, name, 1..=2, usage)? as u8),
            "parity" => self.parity = Some(parity(&text(parser, usage)?).map_err(|said| Failure::Usage(said, usage))?),
            "socket" => self.socket = parser.value().map_err(wrong(usage))?.into(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The first thing that is no option: host, host:port, [address]:port, or the path of a serial port.
    pub(super) fn name(&mut self, target: String) {
        self.target = Some(target);
    }

    /// Whether a target was named.
    pub(super) fn is_named(&self) -> bool {
        self.target.is_some()
    }

    /// The device.
    pub(super) fn target(&self, usage: &'static str) -> Result<Target, Failure> {
        let failed = |said: String| Failure::Usage(said, usage);
        let target = self.target.as_deref().ok_or_else(|| failed("The target is missing: a host or a serial port.".into()))?;
        let place = self.place(target).map_err(failed)?;
        if matches!(place, Place::Rtu(_)) && !(1..=247).contains(&self.unit) {
            return Err(failed(format!("Units on a serial line are 1 to 247, not {}: nobody answers to others.", self.unit)));
        }
        Ok(Target { place, unit: self.unit, timeout: Duration::from_millis(u64::from(self.timeout_ms)) })
    }

    fn place(&self, target: &str) -> Result<Place, String> {
        if target.starts_with('/') {
            return Ok(Place::Rtu(self.serial(target)));
        }
        let serial_only = [("baud", self.baud.is_some()), ("parity", self.parity.is_some()), ("data-bits", self.data_bits.is_some())];
        if let Some((name, _)) = serial_only.iter().find(|(_, given)| *given) {
            return Err(format!("--{name} is for a serial port, and \"{target}\" is a host. A serial port is a path, as /dev/ttyUSB0."));
        }
        let (host, port) = host_and_port(target)?;
        Ok(Place::Tcp { host, port })
    }

    /// A serial port with the settings given.
    pub(super) fn serial(&self, path: &str) -> Serial {
        Serial {
            port: path.to_owned(),
            baud: self.baud.unwrap_or(9600),
            parity: self.parity.unwrap_or(Parity::None),
            data_bits: self.data_bits.unwrap_or(8),
            stop_bits: self.stop_bits.unwrap_or(1),
            rs485: None,
        }
    }

    /// The links that the running controller has open; none where none runs.
    pub(super) fn links_in_use(&self) -> Vec<String> {
        links_in_use(&self.socket)
    }
}

impl Target {
    /// A link, which connects at the first request.
    pub(super) fn open(&self) -> Box<dyn Bus> {
        let mut link = bus::open(&self.place, self.timeout, Hurry::default());
        link.set_uid(self.unit);
        link
    }

    /// Warns on standard error when the running controller speaks to this device.
    pub(super) fn warn_if_in_use(&self, options: &Options) {
        if options.links_in_use().contains(&self.place.to_string()) {
            eprintln!(
                "Warning: the running controller uses {}. Many batteries allow one connection only, and a serial port has one user: if this fails, or the controller reports faults, stop it first (systemctl stop sax-controller).",
                self.place
            );
        }
    }
}

fn links_in_use(socket: &Path) -> Vec<String> {
    if !socket.exists() {
        return Vec::new();
    }
    // Whoever does not answer in order is no controller to be warned of.
    let Some(document) = fetch(socket).ok().and_then(|text| parse(&text).ok()) else { return Vec::new() };
    let links = document["errors"].as_object().map(|links| links.keys().cloned().collect::<Vec<_>>()).unwrap_or_default();
    links.iter().filter_map(|name| name.strip_prefix("link ")).map(str::to_owned).collect()
}

/// `host`, `host:port`, `[address]:port`, or an IPv6 address alone.
pub(super) fn host_and_port(target: &str) -> Result<(String, u16), String> {
    let bad = |why: &str| {
        Err(format!("\"{target}\" is no target: {why}. It is written like 192.168.1.11, battery.local:502, [fe80::1]:502 or /dev/ttyUSB0."))
    };
    let (host, port) = match target.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None => return bad("something else than a port follows the address"),
        },
        None if target.parse::<std::net::Ipv6Addr>().is_ok() => (target, None),
        None => match target.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (target, None),
        },
    };
    if target.starts_with('[') && host.parse::<std::net::Ipv6Addr>().is_err() {
        return bad("what is in the brackets is no IPv6 address");
    }
    if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control() || c == '/' || c == '[') {
        return bad("the host is no name and no address");
    }
    match port.map(str::parse::<u16>) {
        None => Ok((host.to_owned(), MODBUS_PORT)),
        Some(Ok(port @ 1..)) => Ok((host.to_owned(), port)),
        Some(_) => bad("the port is no number from 1 to 65535"),
    }
}

/// `none`, `even` or `odd`.
pub(super) fn parity(text: &str) -> Result<Parity, String> {
    match text {
        "none" | "n" | "N" => Ok(Parity::None),
        "even" | "e" | "E" => Ok(Parity::Even),
        "odd" | "o" | "O" => Ok(Parity::Odd),
        other => Err(format!("\"{other}\" is no parity: it is none, even or odd.")),
    }
}

/// The word of a parity.
pub(super) fn parity_word(parity: Parity) -> &'static str {
    match parity {
        Parity::None => "none",
        Parity::Even => "even",
        Parity::Odd => "odd",
    }
}

/// The next value, as text.
pub(super) fn text(parser: &mut Parser, usage: &'static str) -> Result<String, Failure> {
    let value = parser.value().map_err(wrong(usage))?;
    value.into_string().map_err(|value| Failure::Usage(format!("\"{}\" is no text.", value.to_string_lossy()), usage))
}

/// The next value, a number in this range.
pub(super) fn number(parser: &mut Parser, name: &str, range: std::ops::RangeInclusive<u32>, usage: &'static str) -> Result<u32, Failure> {
    let text = text(parser, usage)?;
    let said = || format!("--{name} must be a whole number from {} to {}, not \"{text}\".", range.start(), range.end());
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| Failure::Usage(said(), usage))
}

/// One of the rates that Linux knows.
pub(super) fn baud(text: &str) -> Result<u32, String> {
    let (least, most) = (BAUDS[0], BAUDS[BAUDS.len() - 1]);
    let baud = text.parse().ok().filter(|baud| (least..=most).contains(baud));
    let baud = baud.ok_or_else(|| format!("--baud must be a whole number from {least} to {most}, not \"{text}\"."))?;
    match nearest_baud(baud) {
        nearest if nearest == baud => Ok(baud),
        nearest => Err(format!("{baud} is no rate of a serial port for --baud, the nearest is {nearest}.")),
    }
}

/// Takes the next argument where it is a number with a minus before it, which would be read as an option.
pub(super) fn negative(parser: &mut Parser) -> Option<OsString> {
    parser.try_raw_args()?.next_if(is_negative)
}

fn is_negative(argument: &OsStr) -> bool {
    let text = argument.to_string_lossy();
    let Some(rest) = text.strip_prefix('-') else { return false };
    rest.starts_with(|c: char| c.is_ascii_digit() || c == '.') || rest.eq_ignore_ascii_case("inf") || rest.eq_ignore_ascii_case("nan")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets() {
        for (text, host, port) in [
            ("192.168.1.11", "192.168.1.11", 502),
            ("192.168.1.11:3600", "192.168.1.11", 3600),
            ("battery.local:502", "battery.local", 502),
            ("[fe80::1]:2404", "fe80::1", 2404),
            ("[::1]", "::1", 502),
            ("::1", "::1", 502),
        ] {
            assert_eq!(host_and_port(text), Ok((host.to_owned(), port)), "{text}");
        }
        for bad in ["", ":502", "host:", "host:0", "host:65536", "host:x", "[::1]502", "[::1", "[host]:502", "a b", "10.0.0.0/24"] {
            let said = host_and_port(bad).unwrap_err();
            assert!(said.contains("is no target") && said.ends_with('.'), "{bad}: {said}");
        }
    }

    #[test]
    fn a_path_is_a_serial_port() {
        let mut options = Options { baud: Some(19200), ..Options::default() };
        options.name("/dev/ttyUSB0".into());
        let Ok(target) = options.target("") else { panic!("a target") };
        assert!(matches!(target.place, Place::Rtu(Serial { baud: 19200, data_bits: 8, .. })));
        options.unit = 0;
        assert!(matches!(options.target(""), Err(Failure::Usage(said, _)) if said.contains("1 to 247")));
        options.name("192.168.1.11".into());
        assert!(matches!(options.target(""), Err(Failure::Usage(said, _)) if said.contains("--baud is for a serial port")));
    }

    #[test]
    fn negative_numbers_are_no_options() {
        for text in ["-50", "-.5", "-0x10", "-1e3", "-inf"] {
            assert!(is_negative(OsStr::new(text)), "{text}");
        }
        for text in ["--unit", "-u", "-", "50", "-v5"] {
            assert!(!is_negative(OsStr::new(text)), "{text}");
        }
    }
}
