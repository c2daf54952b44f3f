//! `sax-controller scan`: which Modbus devices are there.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use lexopt::Arg::{Long, Short, Value};
use signal_hook::consts::{SIGINT, SIGTERM};

use super::files::DEVICES;
use super::scan_text::{Report, document, report};
use super::target::{MODBUS_PORT, Options, baud, number, parity, text};
use super::{Failure, print, wrong};
use crate::device::library::Library;
use crate::link::place::Parity;
use crate::scan::found::Found;
use crate::scan::network::{self, Network, Progress};
use crate::scan::plan::{HOSTS_MAX, Hosts, units, usual_units};
use crate::scan::serial::{self, Buses};
use crate::scan::stop::Stop;

pub(super) const USAGE: &str = "\
Usage: sax-controller scan NETWORK... [OPTION...]
       sax-controller scan /dev/ttyUSB0 [OPTION...]

Finds Modbus devices, says what they are, and prints a configuration to begin with; all that is printed then is that file, with what was
found as comments. Only reads. NETWORK is 192.168.1.0/24, 192.168.1.10-40, an address or a name, up to the size of a /16. Hosts are asked
side by side, each over one connection at a time. Ctrl-C ends the scan with what was found so far.

      --port N[,N...]      TCP ports [502]; SAX batteries with old firmware have 3600, an SBAU 2404
      --units LIST         unit ids, as 1-9,64,100 [1, 255, 0, 2-9 and those of the known devices]
      --connect-ms MS      until a host must have accepted a connection [800]
      --timeout-ms MS      until an answer must be there [1000; on a serial port 200 and the time on the wire]
      --baud N[,N...]      of a serial port, one after the other [9600]
      --parity P[,P...]    none, even, odd, one after the other at each speed [none]
      --data-bits 7|8 --stop-bits 1|2
                           of a serial port [8 1]
      --all                also the other speeds and parities when one has found someone
      --json               one JSON document
      --progress           say how far it is, also where standard error is no terminal
      --devices FOLDER     device profiles of your own [/etc/sax/devices]
      --socket PATH        status socket of the controller that may be running [/run/sax/controller.sock]
";

/// Most ports, speeds or targets of one scan.
const LIST_MAX: usize = 16;
/// How often the progress is shown, on a terminal and elsewhere.
const SHOWN_EVERY: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(5)];

struct Scanning {
    options: Options,
    targets: Vec<String>,
    ports: Vec<u16>,
    units: Option<Vec<u8>>,
    connect: Duration,
    timeout: Option<Duration>,
    bauds: Vec<u32>,
    parities: Vec<Parity>,
    all: bool,
    json: bool,
    progress: bool,
    devices: PathBuf,
}

pub(super) fn run(arguments: Vec<OsString>) -> Result<(), Failure> {
    let Some(scanning) = arguments_of(arguments)? else { return print(USAGE) };
    let library = Library::with_folder(&scanning.devices).map_err(|e| Failure::Configuration(format!("{e}\n")))?;
    let stop = Stop::default();
    for signal in [SIGINT, SIGTERM] {
        // The second one ends the program at once.
        let registered = signal_hook::flag::register_conditional_shutdown(signal, 130, stop.flag());
        registered.and_then(|_| signal_hook::flag::register(signal, stop.flag())).map_err(Failure::failed)?;
    }
    let mut shown = Shown::new(scanning.progress);
    let on_bus = scanning.targets.iter().any(|target| target.starts_with('/'));
    let found = if on_bus { bus(&scanning, &library, &stop, &mut shown) } else { hosts(&scanning, &library, &stop, &mut shown) };
    shown.end();
    let report_of = Report { found: &found?, asked: shown.last, on_bus, stopped: stop.is_called(), library: &library };
    print(&if scanning.json { document(&report_of) } else { report(&report_of) })
}

fn hosts(scanning: &Scanning, library: &Library, stop: &Stop, shown: &mut Shown) -> Result<Vec<Found>, Failure> {
    let failed = |said: String| Failure::Usage(said, USAGE);
    let hosts = scanning.targets.iter().map(|target| Hosts::parse(target)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let network = Network {
        hosts,
        ports: scanning.ports.clone(),
        units: scanning.units.clone().unwrap_or_else(|| usual_units(library, false)),
        connect: scanning.connect,
        timeout: scanning.timeout.unwrap_or(Duration::from_secs(1)),
    };
    if network.count() > HOSTS_MAX {
        return Err(failed(format!("These are {} hosts. A scan has at most {HOSTS_MAX}.", network.count())));
    }
    warn_of_controller(&scanning.options);
    let scanned = network::scan(&network, library, stop, |progress| shown.show(progress, "hosts"));
    scanned.map_err(|error| Failure::Failed(format!("The scan cannot start: {error}.")))
}

fn bus(scanning: &Scanning, library: &Library, stop: &Stop, shown: &mut Shown) -> Result<Vec<Found>, Failure> {
    let failed = |said: &str| Failure::Usage(said.to_owned(), USAGE);
    let [port] = scanning.targets.as_slice() else { return Err(failed("One serial port is scanned at a time, and no network beside it.")) };
    let units = scanning.units.clone().unwrap_or_else(|| usual_units(library, true));
    if units.iter().any(|unit| !(1..=247).contains(unit)) {
        return Err(failed("Units on a serial line are 1 to 247: nobody answers to others."));
    }
    let buses = Buses {
        serial: scanning.options.serial(port),
        bauds: scanning.bauds.clone(),
        parities: scanning.parities.clone(),
        units,
        timeout: scanning.timeout.unwrap_or(Duration::from_millis(200)),
        all: scanning.all,
    };
    warn_of_controller(&scanning.options);
    serial::scan(&buses, library, stop, |progress| shown.show(progress, "units")).map_err(|why| {
        // The link says it in a whole sentence.
        Failure::Failed(format!("{why} A running controller must be stopped first (systemctl stop sax-controller)."))
    })
}

fn warn_of_controller(options: &Options) {
    let links = options.links_in_use();
    if !links.is_empty() {
        eprintln!(
            "Warning: the running controller uses {}. Many batteries allow one connection only: they may not answer this scan, or the controller may lose them for a moment. Stopping it first gives the whole picture.",
            links.join(", ")
        );
    }
}

/// The progress on standard error.
struct Shown {
    terminal: bool,
    wanted: bool,
    at: Option<Instant>,
    last: Progress,
}

impl Shown {
    fn new(wanted: bool) -> Shown {
        let terminal = std::io::stderr().is_terminal();
        Shown { terminal, wanted: wanted || terminal, at: None, last: Progress { done: 0, all: 0, found: 0 } }
    }

    fn show(&mut self, progress: Progress, what: &str) {
        let first = self.at.is_none();
        self.last = progress;
        let every = SHOWN_EVERY[usize::from(!self.terminal)];
        if !self.wanted || (self.at.is_some_and(|at| at.elapsed() < every) && progress.done < progress.all) {
            return;
        }
        self.at = Some(Instant::now());
        let text = format!("{} of {} {what}, {} found", progress.done, progress.all, progress.found);
        let mut err = std::io::stderr();
        // A reader that went away is no reason to stop.
        let _ = match (self.terminal, first) {
            (true, _) => write!(err, "\r{text}\x1b[K"),
            (false, _) => writeln!(err, "{text}"),
        };
    }

    fn end(&self) {
        if self.terminal && self.at.is_some() {
            eprint!("\r\x1b[K");
        }
    }
}

fn arguments_of(arguments: Vec<OsString>) -> Result<Option<Scanning>, Failure> {
    let mut scanning = Scanning {
        options: Options::default(),
        targets: Vec::new(),
        ports: vec![MODBUS_PORT],
        units: None,
        connect: Duration::from_millis(800),
        timeout: None,
        bauds: vec![9600],
        parities: vec![Parity::None],
        all: false,
        json: false,
        progress: false,
        devices: DEVICES.into(),
    };
    let mut parser = lexopt::Parser::from_args(arguments);
    let failed = |said: String| Failure::Usage(said, USAGE);
    let ms = |number: u32| Duration::from_millis(u64::from(number));
    while let Some(argument) = parser.next().map_err(wrong(USAGE))? {
        match argument {
            Long("help") | Short('h') => return Ok(None),
            Long("port") => {
                scanning.ports =
                    list(&text(&mut parser, USAGE)?, "port", |p| p.parse().ok().filter(|p| *p > 0).ok_or_else(|| nothing(p, "port")))
                        .map_err(failed)?
            }
            Long("units") => scanning.units = Some(units(&text(&mut parser, USAGE)?).map_err(failed)?),
            Long("connect-ms") => scanning.connect = ms(number(&mut parser, "connect-ms", 50..=10_000, USAGE)?),
            Long("timeout-ms") => scanning.timeout = Some(ms(number(&mut parser, "timeout-ms", 20..=10_000, USAGE)?)),
            Long("baud") => {
                scanning.bauds = list(&text(&mut parser, USAGE)?, "baud", baud).map_err(failed)?;
            }
            Long("parity") => {
                scanning.parities =
                    list(&text(&mut parser, USAGE)?, "parity", |p| parity(p).map_err(|_| nothing(p, "parity"))).map_err(failed)?
            }
            Long("all") => scanning.all = true,
            Long("json") => scanning.json = true,
            Long("progress") => scanning.progress = true,
            Long("devices") => scanning.devices = parser.value().map_err(wrong(USAGE))?.into(),
            Long(name) => {
                let name = name.to_owned();
                let known = ["data-bits", "stop-bits", "socket"].contains(&name.as_str());
                if !known || !scanning.options.take(&name, &mut parser, USAGE)? {
                    return Err(failed(format!("There is no option --{name}.")));
                }
            }
            Value(value) => {
                let value = value.into_string().map_err(|value| failed(format!("\"{}\" is no text.", value.to_string_lossy())))?;
                scanning.targets.push(value);
            }
            other => return Err(wrong(USAGE)(other.unexpected())),
        }
    }
    match scanning.targets.len() {
        0 => Err(failed("What to scan is missing: a network, as 192.168.1.0/24, or a serial port.".into())),
        1..=LIST_MAX => Ok(Some(scanning)),
        count => Err(failed(format!("{count} targets are too many: a scan has at most {LIST_MAX}."))),
    }
}

fn nothing(part: &str, name: &str) -> String {
    format!("\"{part}\" is nothing for --{name}.")
}

/// A list with commas, each entry once.
fn list<T: PartialEq>(text: &str, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    let mut all = Vec::new();
    for part in text.split(',') {
        let value = read(part.trim())?;
        if !all.contains(&value) {
            all.push(value);
        }
    }
    if all.len() > LIST_MAX {
        return Err(format!("--{name} takes at most {LIST_MAX} values."));
    }
    Ok(all)
}
