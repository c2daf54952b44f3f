//! A configuration with its devices moved: hosts, ports and serial ports are those of the simulated ones, everything else is as it was.
//!
//! Comments are lost; the order of the sections is kept.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::config::{Config, Link, MeterSource, Server, TelegramLink};
use crate::link::place::Place;

/// Where things are now.
pub(super) struct Moved<'a> {
    /// Where the device at this place is now.
    pub(super) device: &'a dyn Fn(&Place) -> Option<Place>,
    /// Where the telegrams come from now.
    pub(super) telegrams: Option<Telegrams>,
    /// The status socket.
    pub(super) socket: PathBuf,
    /// The folder for everything else that the configuration writes.
    pub(super) folder: PathBuf,
}

/// A source of telegrams.
#[derive(Clone, Debug)]
pub(super) enum Telegrams {
    /// A serial port.
    Serial(PathBuf),
    /// A host and its port.
    Tcp(String, u16),
}

/// The text of a configuration with the same meaning, and its devices moved. `text` is what `config` was read from.
pub(super) fn moved(text: &str, config: &Config, moved: &Moved<'_>) -> Result<String, String> {
    let mut root: Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    let place = |link: &Link| (moved.device)(&link.place());
    if let Some(Value::Table(meter)) = root.get_mut("meter") {
        match config.meter.as_ref().map(|m| &m.source) {
            Some(MeterSource::Own { link, .. }) => set_link(meter, place(link)),
            Some(MeterSource::Telegrams { link, .. }) => set_telegrams(meter, link, moved.telegrams.clone()),
            _ => {}
        }
        if meter.contains_key("forward") {
            // Somebody else may listen there on this machine.
            meter.insert("forward".into(), Value::String(format!("127.0.0.1:{}", free_port())));
        }
    }
    let sections = root.get_mut("battery").and_then(Value::as_array_mut).into_iter().flatten();
    for (section, battery) in sections.zip(&config.batteries) {
        let Value::Table(section) = section else { continue };
        set_link(section, place(&battery.link));
        if let (Some(Value::Table(section)), Some(bms)) = (section.get_mut("bms"), &battery.bms) {
            set_link(section, place(&bms.link));
        }
    }
    let sections = root.get_mut("charger").and_then(Value::as_array_mut).into_iter().flatten();
    for (section, charger) in sections.zip(&config.chargers) {
        if let Value::Table(section) = section {
            set_link(section, place(&charger.link));
        }
    }
    if let Some(Value::Table(balancer)) = root.get_mut("load_balancer") {
        // It is there for the real one.
        balancer.remove("led");
    }
    if let (Some(Value::Table(section)), Some(server)) = (root.get_mut("server"), &config.server) {
        set_server(section, server, place);
    }
    let path = |path: &Path| Value::String(path.display().to_string());
    let status = root.entry("status".to_owned()).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(status) = status {
        status.insert("socket".into(), path(&moved.socket));
        if status.contains_key("metrics") {
            status.insert("metrics".into(), Value::String(format!("127.0.0.1:{}", free_port())));
        }
    }
    if let Some(Value::Table(log)) = root.get_mut("log").filter(|log| log.get("comm_log").is_some()) {
        log.insert("comm_log".into(), path(&moved.folder.join("comm.log")));
    }
    Ok(written(&root))
}

/// Puts the new place into `link.tcp` or `link.rtu`.
fn set_link(device: &mut Table, place: Option<Place>) {
    let Some(Value::Table(link)) = device.get_mut("link") else { return };
    match place {
        Some(Place::Tcp { host, port }) => {
            if let Some(Value::Table(tcp)) = link.get_mut("tcp") {
                tcp.insert("host".into(), Value::String(host));
                tcp.insert("port".into(), Value::Integer(port.into()));
            }
        }
        Some(Place::Rtu(serial)) => {
            if let Some(Value::Table(rtu)) = link.get_mut("rtu") {
                rtu.insert("port".into(), Value::String(serial.port));
                // A pseudo terminal has no transceiver.
                rtu.remove("rs485");
            }
        }
        None => {}
    }
}

/// The server listens where nobody else does. A serial port that nobody simulates is not opened.
fn set_server(section: &mut Table, server: &Server, place: impl Fn(&Link) -> Option<Place>) {
    if let Some(Value::Table(tcp)) = section.get_mut("tcp") {
        tcp.insert("listen".into(), Value::String(format!("127.0.0.1:{}", free_port())));
    }
    section.remove("rtu");
    let simulated = server.gateway.as_ref().and_then(|gateway| place(&gateway.link));
    match (section.get_mut("gateway"), simulated) {
        (Some(Value::Table(gateway)), Some(now)) => set_link(gateway, Some(now)),
        _ => drop(section.remove("gateway")),
    }
    if !section.contains_key("tcp") {
        let listen = Value::String(format!("127.0.0.1:{}", free_port()));
        section.insert("tcp".into(), Value::Table(Table::from_iter([("listen".to_owned(), listen)])));
    }
}

fn set_telegrams(meter: &mut Table, link: &TelegramLink, now: Option<Telegrams>) {
    let Some(Value::Table(section)) = meter.get_mut("link") else { return };
    match (link, now) {
        (TelegramLink::Serial(_), Some(Telegrams::Serial(path))) => {
            if let Some(Value::Table(serial)) = section.get_mut("serial") {
                serial.insert("port".into(), Value::String(path.display().to_string()));
                serial.remove("rs485");
            }
        }
        (TelegramLink::Tcp { .. }, Some(Telegrams::Tcp(host, port))) => {
            if let Some(Value::Table(tcp)) = section.get_mut("tcp") {
                tcp.insert("host".into(), Value::String(host));
                tcp.insert("port".into(), Value::Integer(port.into()));
            }
        }
        _ => {}
    }
}

/// A port that nobody listens on at the moment.
fn free_port() -> u16 {
    std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr()).map_or(0, |a| a.port())
}

/// The table as TOML: sections at the top, everything below in one line each.
fn written(root: &Table) -> String {
    let mut out = String::new();
    for (name, value) in root.iter().filter(|(_, value)| !is_section(value)) {
        let _ = writeln!(out, "{} = {}", key(name), inline(value));
    }
    for (name, value) in root {
        match value {
            Value::Table(table) => lines(&mut out, &format!("[{}]", key(name)), table),
            Value::Array(list) if is_section(value) => {
                for table in list.iter().filter_map(Value::as_table) {
                    lines(&mut out, &format!("[[{}]]", key(name)), table);
                }
            }
            _ => {}
        }
    }
    out
}

fn is_section(value: &Value) -> bool {
    match value {
        Value::Table(_) => true,
        Value::Array(list) => !list.is_empty() && list.iter().all(Value::is_table),
        _ => false,
    }
}

fn lines(out: &mut String, header: &str, table: &Table) {
    let _ = writeln!(out, "\n{header}");
    for (name, value) in table {
        let _ = writeln!(out, "{} = {}", key(name), inline(value));
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        // In Rust's notation a float always has a point or an exponent, as TOML wants it.
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(yes) => yes.to_string(),
        Value::Datetime(time) => time.to_string(),
        Value::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(table) if table.is_empty() => "{}".to_owned(),
        Value::Table(table) => {
            let entries: Vec<_> = table.iter().map(|(name, value)| format!("{} = {}", key(name), inline(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

fn key(name: &str) -> String {
    let bare = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if bare { name.to_owned() } else { quoted(name) }
}

/// A basic string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::device::library::Library;

    const TEXT: &str = "# A comment.\n[site]\nstrategy = \"self-consumption\"\nname = \"a \\\"b\\\" \\\\ \\u00e9 c\"\nfuse_a = 35.0\n\
        [[battery]]\nname = \"A\"\ndevice = \"sax\"\nrole = \"master\"\nphase = \"L1\"\nlink.tcp = { host = \"192.0.2.1\" }\n\
        [[battery]]\nname = \"B\"\ndevice = \"sax\"\nrole = \"slave\"\nphase = \"L2\"\n[battery.link.tcp]\nhost = \"192.0.2.2\"\nport = 3600\n\
        [meter]\ndevice = \"sax\"\n[log]\nlevel = \"warn\"\n";

    #[test]
    fn only_the_places_change() {
        let library = Library::built_in().unwrap();
        let parse = |text: &str| config::parse(text, &library).unwrap_or_else(|f| panic!("{}\n{text}", f.render("test")));
        let before = parse(TEXT);
        let device = |place: &Place| match place {
            Place::Tcp { host, .. } => Some(Place::Tcp { host: host.replace("192.0.2.", "127.0.0."), port: 4711 }),
            Place::Rtu(_) => None,
        };
        let now = Moved { device: &device, telegrams: None, socket: "/tmp/x/s.sock".into(), folder: "/tmp/x".into() };
        let after = parse(&moved(TEXT, &before, &now).unwrap());
        assert_eq!(after.batteries.iter().map(|b| b.link.to_string()).collect::<Vec<_>>(), ["127.0.0.1:4711", "127.0.0.2:4711"]);
        assert_eq!(after.status.socket, "/tmp/x/s.sock");
        let mut same = after;
        same.status = before.status.clone();
        for (battery, was) in same.batteries.iter_mut().zip(&before.batteries) {
            battery.link = was.link.clone();
        }
        assert_eq!(same, before);
    }

    #[test]
    fn chargers_move_and_nothing_of_the_server_touches_this_machine() {
        let library = Library::built_in().unwrap();
        let parse = |text: &str| config::parse(text, &library).unwrap_or_else(|f| panic!("{}\n{text}", f.render("test")));
        let bus = "link.rtu = { port = \"/dev/ttyUSB0\", baud = 9600 }";
        let text = format!(
            "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[meter]\ndevice = \"p1\"\nlink.serial = {{ port = \"/dev/ttyUSB1\" }}\n\
             [load_balancer]\nled = \"red\"\n[[charger]]\nname = \"w\"\ndevice = \"abb-terra-ac\"\n{bus}\n\
             [server]\naddress = 11\nrtu = {{ port = \"/dev/ttyUSB2\", baud = 9600 }}\ngateway = {{ units = [2], {bus} }}\n"
        );
        let before = parse(&text);
        let device = |place: &Place| match place {
            Place::Rtu(serial) => Some(Place::Rtu(crate::link::place::Serial { port: "/tmp/x/bus".into(), ..serial.clone() })),
            Place::Tcp { .. } => None,
        };
        let telegrams = Some(Telegrams::Serial("/tmp/x/p1".into()));
        let now = Moved { device: &device, telegrams, socket: "/tmp/x/s.sock".into(), folder: "/tmp/x".into() };
        let after = parse(&moved(&text, &before, &now).unwrap());
        let server = after.server.unwrap();
        assert_eq!((after.chargers[0].link.to_string(), after.load_balancer.unwrap().led), ("/tmp/x/bus".to_owned(), None));
        assert_eq!((server.address, server.rtu, server.gateway.unwrap().link.to_string()), (11, None, "/tmp/x/bus".to_owned()));
        assert!(server.tcp.unwrap().listen.ip().is_loopback());
    }
}
