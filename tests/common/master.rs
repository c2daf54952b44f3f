//! The master's end of a serial line whose other end our Modbus server opens.
#![allow(dead_code, missing_docs)]

use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sax_controller::link::place::{Parity, Serial};
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::modbus::rtu;
use serialport::{SerialPort, TTYPort};

/// Our unit, unless something else was saved.
pub const UNIT: u8 = 10;

/// A read of register 1000.
pub const READ: [u8; 5] = [3, 3, 0xe8, 0, 1];

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// The master's end; the server finds the other one behind a link.
pub struct Master {
    pub path: PathBuf,
    port: TTYPort,
    /// Held open, so that the master's end lives on when the server closes its own.
    _other: TTYPort,
}

impl Master {
    pub fn new() -> Master {
        let name = format!("sax-server-rtu-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        Master::at(&std::env::temp_dir().join(name))
    }

    pub fn at(path: &Path) -> Master {
        let (port, other) = TTYPort::pair().unwrap();
        let _ = std::fs::remove_file(path);
        std::os::unix::fs::symlink(other.name().unwrap(), path).unwrap();
        Master { path: path.to_owned(), port, _other: other }
    }

    pub fn serial(&self) -> Serial {
        let port = self.path.to_str().unwrap().to_owned();
        Serial { port, baud: 115_200, parity: Parity::None, data_bits: 8, stop_bits: 1, rs485: None }
    }

    pub fn say(&mut self, bytes: &[u8]) {
        self.port.write_all(bytes).unwrap();
    }

    /// Everything that comes until nothing has come for this long, at least.
    pub fn hear(&mut self, silence: Duration) -> Vec<u8> {
        let mut heard = Vec::new();
        let mut bytes = [0; 300];
        self.port.set_timeout(silence).unwrap();
        loop {
            match self.port.read(&mut bytes) {
                Ok(count) => heard.extend(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::TimedOut => return heard,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The reply that comes within five seconds, and nothing but it.
    pub fn reply(&mut self) -> (u8, Reply) {
        let (begun, mut heard) = (Instant::now(), Vec::new());
        while begun.elapsed() < Duration::from_secs(5) {
            heard.extend(self.hear(Duration::from_millis(5)));
            if let Ok(Some((unit, pdu, length))) = rtu::split_reply(&heard) {
                assert_eq!(length, heard.len(), "{heard:?}");
                return (unit, Reply::decode(&pdu).unwrap());
            }
        }
        panic!("no reply: {heard:?}");
    }

    pub fn ask(&mut self, pdu: &[u8]) -> Reply {
        self.say(&rtu::encode(UNIT, pdu));
        let (unit, reply) = self.reply();
        assert_eq!(unit, UNIT);
        reply
    }

    pub fn read(&mut self) -> Reply {
        self.ask(&Request::ReadHoldingRegisters { address: 1000, count: 2 }.encode())
    }

    /// Waits for the server to have the port open, which it does at some time.
    pub fn until_served(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(10) {
            self.say(&rtu::encode(UNIT, &READ));
            if !self.hear(Duration::from_millis(100)).is_empty() {
                return;
            }
        }
        panic!("nobody answers");
    }
}

impl Drop for Master {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
