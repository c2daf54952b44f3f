//! P1 over real links: a pseudo terminal at 115200 baud, and a serial server.

#[path = "common/telegrams.rs"]
mod telegrams;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use sax_controller::config::TelegramLink;
use sax_controller::daemon::clock::{Clock, Monotonic};
use sax_controller::daemon::director::Device;
use sax_controller::daemon::message::{Event, MeterReport};
use sax_controller::daemon::p1::source::{self, ByteSource};
use sax_controller::daemon::p1::{P1Spec, P1Task};
use sax_controller::link::fault::Fault;
use sax_controller::link::place::{Parity, Serial};
use sax_controller::p1::{Checksum, Reader};
use sax_controller::units::Span;
use serialport::{SerialPort, TTYPort};
use telegrams::*;

/// Much longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A P1 port under a path of its own, which stays when the adapter is unplugged and another one plugged in.
struct Port {
    path: PathBuf,
    ends: Option<(TTYPort, TTYPort)>,
}

impl Port {
    fn new(name: &str) -> Port {
        let path = std::env::temp_dir().join(format!("sax-p1-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Port { path, ends: None }
    }

    fn plug(&mut self) {
        let (meter, ours) = TTYPort::pair().unwrap();
        let _ = std::fs::remove_file(&self.path);
        std::os::unix::fs::symlink(Path::new(&ours.name().unwrap()), &self.path).unwrap();
        self.ends = Some((meter, ours));
    }

    fn unplug(&mut self) {
        self.ends = None;
        let _ = std::fs::remove_file(&self.path);
    }

    fn meter(&mut self) -> &mut TTYPort {
        let meter = &mut self.ends.as_mut().unwrap().0;
        meter.set_timeout(DEADLINE).unwrap();
        meter
    }

    fn link(&self, data_bits: u8) -> TelegramLink {
        let port = self.path.to_str().unwrap().to_owned();
        TelegramLink::Serial(Serial { port, baud: 115_200, parity: Parity::None, data_bits, stop_bits: 1, rs485: None })
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.unplug();
    }
}

/// So many bytes, as they come.
fn receive(source: &mut dyn ByteSource, count: usize, mut take: impl FnMut(&[u8])) {
    let begun = Instant::now();
    let mut received = 0;
    let mut buffer = [0; 4096];
    while received < count {
        assert!(begun.elapsed() < DEADLINE, "{received} of {count} bytes");
        let length = source.read(&mut buffer, Duration::from_millis(100)).unwrap();
        received += length;
        take(&buffer[..length]);
    }
}

#[test]
fn every_telegram_every_cut_and_every_damaged_byte_come_through_a_serial_port() {
    let mut port = Port::new("damage");
    port.plug();
    let mut source = source::open(&port.link(8), Duration::from_secs(1));
    // Opened before anything is sent, so that the line is raw.
    assert_eq!(source.read(&mut [0; 16], Duration::from_millis(1)).unwrap(), 0);
    for (name, telegram) in CHECKED.iter().chain(&UNCHECKED) {
        let mut bytes = telegram.to_vec();
        for at in 0..telegram.len() {
            bytes.extend(&telegram[..at]);
            bytes.extend(*telegram);
            let mut damaged = telegram.to_vec();
            damaged[at] ^= 1 << (at % 7);
            bytes.extend(damaged);
        }
        bytes.extend(*telegram);
        let expected = read_in(&bytes, bytes.len());
        assert!(expected.iter().flatten().filter(|t| **t == one(telegram)).count() > telegram.len(), "{name}");
        let (mut reader, mut all) = (Reader::new(Checksum::Arc), Vec::new());
        thread::scope(|scope| {
            scope.spawn(|| port.meter().write_all(&bytes).unwrap());
            receive(source.as_mut(), bytes.len(), |piece| feed(&mut reader, piece, &mut all));
        });
        assert!(all == expected, "{name}: {} and not {}", all.len(), expected.len());
    }
}

#[test]
fn seven_data_bits_leave_no_parity_bit() {
    let mut port = Port::new("parity");
    port.plug();
    // A pseudo terminal has eight bits whatever is set, as some adapters do.
    let mut source = source::open(&port.link(7), Duration::from_secs(10));
    assert_eq!(source.read(&mut [0; 16], Duration::from_millis(1)).unwrap(), 0);
    let even = |byte: &u8| byte | ((byte.count_ones() as u8 & 1) << 7);
    port.meter().write_all(&V2_2.iter().map(even).collect::<Vec<_>>()).unwrap();
    let mut received = Vec::<u8>::new();
    receive(source.as_mut(), V2_2.len(), |piece| received.extend(piece));
    assert_eq!(received, V2_2);
}

#[test]
fn telegrams_are_passed_on_as_soon_as_the_port_for_it_is_free() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = TelegramLink::Tcp { host: "127.0.0.1".into(), port: server.local_addr().unwrap().port() };
    let mut meter = Running::new(link, Some(address));
    let (mut sender, _) = {
        let accepting = thread::spawn(move || server.accept().unwrap());
        meter.port(address, true);
        accepting.join().unwrap()
    };
    sender.write_all(T210D).unwrap();
    assert!(meter.good().sample.is_some(), "the meter is heard all the same");
    drop(taken);
    meter.port(address, false);
    let mut reader = TcpStream::connect(address).unwrap();
    reader.set_read_timeout(Some(DEADLINE)).unwrap();
    sender.write_all(T210D).unwrap();
    meter.good();
    let mut forwarded = vec![0; T210D.len()];
    reader.read_exact(&mut forwarded).unwrap();
    assert_eq!(forwarded, T210D);
}

struct Running {
    task: P1Task,
    clock: Monotonic,
}

impl Running {
    fn new(link: TelegramLink, forward: Option<std::net::SocketAddr>) -> Running {
        let spec = P1Spec {
            device: "p1".into(),
            link,
            forward,
            interval: Span::from_s(1),
            checksum: Checksum::Arc,
            balance_sum: false,
            nominal_mv: 230_000,
        };
        Running { task: P1Task::open(spec, None), clock: Monotonic::start() }
    }

    /// Works until it is reported that the port for other readers cannot be bound, or that this is over.
    fn port(&mut self, address: std::net::SocketAddr, closed: bool) {
        let (begun, expected) = (Instant::now(), format!("meter: nobody gets telegrams from {address}"));
        let mut done = false;
        while !done {
            assert!(begun.elapsed() < DEADLINE);
            self.task.work(&self.clock, &mut |event| match event {
                Event::Port(alarm, since) if alarm == expected => done |= since.is_some() == closed,
                _ => {}
            });
        }
    }

    /// Works until something is reported that is wanted.
    fn until(&mut self, wanted: impl Fn(&MeterReport) -> bool) -> MeterReport {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < DEADLINE);
            let mut found = None;
            self.task.work(&self.clock, &mut |event| match event {
                Event::Meter(report) if wanted(&report) => found = Some(report),
                _ => {}
            });
            if let Some(found) = found {
                return found;
            }
        }
    }

    fn good(&mut self) -> MeterReport {
        self.until(|report| report.sample.is_some())
    }

    fn gone(&mut self) -> String {
        match self.until(|report| matches!(report.fault, Some(Fault::Io(_)))).fault {
            Some(Fault::Io(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_adapter_that_is_unplugged_and_back() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut port = Port::new("unplug");
    let mut meter = Running::new(port.link(8), Some(free));
    let why = meter.gone();
    assert!(why.starts_with("There is no serial port"), "{why}");
    port.plug();
    let mut reader = TcpStream::connect(free).unwrap();
    reader.set_read_timeout(Some(DEADLINE)).unwrap();
    for (round, telegram) in [T210D, EXPORT, I_26].into_iter().enumerate() {
        // The rest of one that nobody heard the beginning of; then sent until it is heard, for the port is opened at some time.
        let stop = std::sync::atomic::AtomicBool::new(false);
        let report = thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    port.meter().write_all(telegram).unwrap();
                    thread::sleep(Duration::from_millis(20));
                }
            });
            let report = meter.good();
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            report
        });
        let sample = report.sample.unwrap();
        assert_eq!(sample.total_w, one(telegram).power_w());
        assert!(meter.clock.now().since(sample.taken) < Span::from_s(5));
        let mut forwarded = vec![0; telegram.len()];
        // Several of the same kind may have come in each round.
        while forwarded != telegram {
            reader.read_exact(&mut forwarded).unwrap();
            assert!(forwarded == telegram || round > 0);
        }
        port.unplug();
        meter.gone();
        port.plug();
    }
}

#[test]
fn a_serial_server_that_closes_and_is_back() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let link = TelegramLink::Tcp { host: "127.0.0.1".into(), port: server.local_addr().unwrap().port() };
    let mut meter = Running::new(link, None);
    let serving = thread::spawn(move || {
        let (mut first, _) = server.accept().unwrap();
        first.write_all(&T210D[..600]).unwrap();
        drop(first);
        let (mut second, _) = server.accept().unwrap();
        second.write_all(&T210D[600..]).unwrap();
        second.write_all(EXPORT).unwrap();
        (server, second)
    });
    let why = meter.gone();
    assert_eq!(why, "the serial server closed the connection");
    assert_eq!(meter.good().sample.unwrap().total_w, Some(-5_061), "the halves were not joined");
    let (server, second) = serving.join().unwrap();
    drop(server);
    drop(second);
    meter.gone();
    let why = meter.gone();
    assert!(why.to_lowercase().contains("refused"), "{why}");
}
