//! Devices on a serial bus, played over a pseudo terminal: they answer as the specification says, except where a test says otherwise.
#![allow(dead_code, missing_docs)]

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sax_controller::link::place::{Parity, Serial};
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::modbus::rtu;
use serialport::{SerialPort, TTYPort};

/// What a device does with a request instead of answering: gets the frame of the right reply.
pub type Odd = Box<dyn FnMut(&[u8]) -> Vec<Act> + Send>;

/// One thing that happens on the bus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    Send(Vec<u8>),
    /// Nothing for so many milliseconds.
    Pause(u64),
    /// The adapter is unplugged.
    HangUp,
}

#[derive(Default)]
struct Shared {
    asked: Mutex<Vec<(u8, Request)>>,
    odd: Mutex<HashMap<u16, Odd>>,
    echo: AtomicBool,
    stop: AtomicBool,
}

/// A bus with units 1 and 64. Its port is a symbolic link, so that another bus can take its place.
pub struct PtyBus {
    pub path: PathBuf,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl PtyBus {
    /// A bus under a path of its own.
    pub fn start() -> PtyBus {
        let name = format!("sax-bus-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        PtyBus::start_at(&std::env::temp_dir().join(name))
    }

    /// A bus under this path, whatever stood there before.
    pub fn start_at(path: &Path) -> PtyBus {
        let (master, slave) = TTYPort::pair().expect("a pseudo terminal");
        let _ = std::fs::remove_file(path);
        std::os::unix::fs::symlink(slave.name().expect("a name"), path).expect("a link");
        let shared = Arc::new(Shared::default());
        let run = Arc::clone(&shared);
        let thread = thread::spawn(move || serve(master, slave, &run));
        PtyBus { path: path.to_owned(), shared, thread: Some(thread) }
    }

    /// Its port at 115200 baud, where the silence between frames is short.
    pub fn serial(&self) -> Serial {
        let port = self.path.to_str().expect("a path").to_owned();
        Serial { port, baud: 115_200, parity: Parity::None, data_bits: 8, stop_bits: 1, rs485: None }
    }

    /// From now on this is what happens with requests to this address.
    pub fn odd(&self, address: u16, odd: impl FnMut(&[u8]) -> Vec<Act> + Send + 'static) {
        self.shared.odd.lock().expect("no panic").insert(address, Box::new(odd));
    }

    /// From now on the adapter hands back what is sent.
    pub fn echoes(&self) {
        self.shared.echo.store(true, Ordering::Relaxed);
    }

    /// Everything that was asked, in order.
    pub fn asked(&self) -> Vec<(u8, Request)> {
        self.shared.asked.lock().expect("no panic").clone()
    }

    /// Unplugs the adapter: the port is gone, the path leads nowhere.
    pub fn unplug(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the bus has not panicked");
        }
    }
}

impl Drop for PtyBus {
    fn drop(&mut self) {
        self.end();
        // Another bus may have taken the place.
        if !self.path.exists() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The slave is held open, so that the master does not hang up when the link closes it.
fn serve(mut master: TTYPort, _slave: TTYPort, shared: &Shared) {
    master.set_timeout(Duration::from_millis(10)).expect("a timeout");
    let (mut buffer, mut chunk) = (Vec::new(), [0; 512]);
    while !shared.stop.load(Ordering::Relaxed) {
        match master.read(&mut chunk) {
            Ok(length) => buffer.extend_from_slice(&chunk[..length]),
            Err(error) if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Interrupted) => continue,
            Err(error) => panic!("{error}"),
        }
        while let Some((unit, pdu, length)) = rtu::split_request(&buffer).expect("a link sends only requests") {
            let frame: Vec<u8> = buffer.drain(..length).collect();
            let request = Request::decode(&pdu).expect("and only right ones");
            shared.asked.lock().expect("no panic").push((unit, request.clone()));
            let echo = shared.echo.load(Ordering::Relaxed).then_some(Act::Send(frame));
            for act in echo.into_iter().chain(answer(unit, &request, shared)) {
                match act {
                    Act::Send(bytes) => master.write_all(&bytes).expect("it takes everything"),
                    Act::Pause(ms) => thread::sleep(Duration::from_millis(ms)),
                    Act::HangUp => return,
                }
            }
        }
    }
}

fn answer(unit: u8, request: &Request, shared: &Shared) -> Vec<Act> {
    if !matches!(unit, 1 | 64) {
        return Vec::new();
    }
    let good = rtu::encode(unit, &reply(unit, request).encode());
    match shared.odd.lock().expect("no panic").get_mut(&address(request)) {
        Some(odd) => odd(&good),
        None => vec![Act::Send(good)],
    }
}

fn address(request: &Request) -> u16 {
    match request {
        Request::ReadCoils { address, .. }
        | Request::ReadDiscreteInputs { address, .. }
        | Request::ReadHoldingRegisters { address, .. }
        | Request::ReadInputRegisters { address, .. }
        | Request::WriteSingleCoil { address, .. }
        | Request::WriteSingleRegister { address, .. }
        | Request::WriteMultipleCoils { address, .. }
        | Request::WriteMultipleRegisters { address, .. } => *address,
        Request::ReadWriteMultipleRegisters { read_address, .. } => *read_address,
        Request::ReadDeviceIdentification { object, .. } => u16::from(*object),
        Request::ReportServerId => 0,
    }
}

/// What every device says.
pub fn reply(unit: u8, request: &Request) -> Reply {
    let registers = |address: u16, count: u16| (0..count).map(|k| value(unit, address.wrapping_add(k))).collect::<Vec<_>>();
    let bits = |address: u16, count: u16| (0..count.div_ceil(8)).map(|k| (address + k) as u8 ^ unit).collect::<Vec<_>>();
    match *request {
        Request::ReadCoils { address, count } => Reply::Coils { packed: bits(address, count) },
        Request::ReadDiscreteInputs { address, count } => Reply::DiscreteInputs { packed: bits(address, count) },
        Request::ReadHoldingRegisters { address, count } => Reply::HoldingRegisters { values: registers(address, count) },
        Request::ReadInputRegisters { address, count } => Reply::InputRegisters { values: registers(address, count) },
        Request::WriteSingleCoil { address, on } => Reply::WrittenSingleCoil { address, on },
        Request::WriteSingleRegister { address, value } => Reply::WrittenSingleRegister { address, value },
        Request::WriteMultipleCoils { address, count, .. } => Reply::WrittenMultipleCoils { address, count },
        Request::WriteMultipleRegisters { address, ref values } => {
            Reply::WrittenMultipleRegisters { address, count: u16::try_from(values.len()).expect("checked") }
        }
        Request::ReadWriteMultipleRegisters { read_address, read_count, .. } => {
            Reply::ReadWriteMultipleRegisters { values: registers(read_address, read_count) }
        }
        Request::ReportServerId => Reply::ServerId { data: vec![unit, 0xff] },
        Request::ReadDeviceIdentification { code, object } => {
            let objects = vec![(object, b"sax".to_vec()), (object + 1, vec![unit])];
            Reply::DeviceIdentification { code, conformity: 1, more_follows: 0, next_object: 0, objects }
        }
    }
}

/// What stands in a register.
pub fn value(unit: u8, address: u16) -> u16 {
    address.wrapping_mul(31).wrapping_add(u16::from(unit) << 8)
}
