//! Three minimal SAX batteries whose house load jumps, and the time from revealing a jump to the setpoint that follows from it.
#![allow(dead_code, missing_docs)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use sax_controller::modbus::mbap::{self, Frame};
use sax_controller::modbus::pdu::{Reply, Request};

use crate::common::Settings;

pub const POLL_MS: u32 = 200;
/// The load jumps with every so many polls, so that the write budget is full again.
pub const JUMP_EVERY: u32 = 3;
const LOADS_W: [i64; 2] = [300, 1500];
/// Register 47 and 48 are offset by this.
const OFFSET: i64 = 16384;

#[derive(Default)]
pub struct Plant {
    polls: u32,
    high: bool,
    setpoint_w: [i64; 3],
    /// The reply that is sent next reveals a jump.
    jumped: bool,
    /// When the jump was revealed to the controller, until the battery is written.
    revealed: [Option<Instant>; 3],
    /// Battery and delay in ms.
    pub samples: Vec<(usize, f64)>,
    pub jumps: usize,
    /// Jumps that were not followed by a write before the next one.
    pub missed: usize,
    /// Writes of a setpoint without a jump that was revealed before.
    pub other_writes: usize,
}

impl Plant {
    fn grid_w(&self) -> [i64; 3] {
        self.setpoint_w.map(|w| LOADS_W[usize::from(self.high)] - w)
    }

    /// The total is read at the beginning of a poll.
    fn poll_begins(&mut self) {
        self.polls += 1;
        // Not before the controller has settled.
        if self.polls < 60 || self.polls % JUMP_EVERY != 0 {
            return;
        }
        self.missed += self.revealed.iter().flatten().count();
        self.revealed = [None; 3];
        self.high = !self.high;
        self.jumped = true;
        self.jumps += 1;
    }

    fn read(&mut self, battery: usize, unit: u8, address: u16, count: u16) -> Option<Vec<u16>> {
        let asked = |a: u16| (address..address + count).contains(&a);
        if (unit, battery) == (64, 0) && asked(48) {
            self.poll_begins();
        }
        let grid_w = self.grid_w();
        let register = |a: u16| match (unit, a) {
            (64, 45) => Some(3),
            (64, 46) => Some(50),
            (64, 47) => Some((self.setpoint_w[battery] + OFFSET) as u16),
            (64, 48) => Some((grid_w.iter().sum::<i64>() + OFFSET) as u16),
            (40, 40087) => Some(500),
            (40, 40100..=40102) => Some((grid_w[usize::from(a - 40100)].abs() * 100 / 230) as u16),
            (40, 40103..=40105) => Some((-grid_w[usize::from(a - 40103)] / 10) as i16 as u16),
            (40, 40107..=40109) => Some(2300),
            (40, 40071..=40117) => Some(0),
            _ => None,
        };
        (address..address + count).map(register).collect()
    }

    fn write(&mut self, battery: usize, address: u16, value: u16, arrived: Instant) -> bool {
        if address != 41 {
            return false;
        }
        self.setpoint_w[battery] = i64::from(value as i16);
        match self.revealed[battery].take() {
            Some(revealed) => self.samples.push((battery, (arrived - revealed).as_secs_f64() * 1000.0)),
            None => self.other_writes += usize::from(self.jumps > 0),
        }
        true
    }
}

fn answer(plant: &Mutex<Plant>, battery: usize, asked: &Frame, arrived: Instant) -> Option<Reply> {
    let request = Request::decode(&asked.pdu).ok()?;
    let mut plant = plant.lock().expect("the plant");
    let reply = match &request {
        Request::ReadHoldingRegisters { address, count } => {
            plant.read(battery, asked.unit, *address, *count).map(|values| Reply::HoldingRegisters { values })
        }
        Request::WriteMultipleRegisters { address, values } if asked.unit == 64 && values.len() == 1 => {
            let written = plant.write(battery, *address, values[0], arrived);
            written.then_some(Reply::WrittenMultipleRegisters { address: *address, count: 1 })
        }
        _ => None,
    };
    if plant.jumped && asked.unit == 40 && reply.is_some() {
        plant.jumped = false;
        plant.revealed = [Some(Instant::now()); 3];
    }
    Some(reply.unwrap_or(Reply::Exception { function: request.function(), code: 0x0B }))
}

/// One client at a time, answered at once.
fn serve(battery: usize, listener: &TcpListener, plant: &Mutex<Plant>) {
    for mut stream in listener.incoming().flatten() {
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::new();
        while talk(battery, &mut stream, &mut buffer, plant) {}
    }
}

/// Reads once and answers what is complete; false when the connection is over.
fn talk(battery: usize, stream: &mut TcpStream, buffer: &mut Vec<u8>, plant: &Mutex<Plant>) -> bool {
    let mut bytes = [0; 512];
    let Ok(count @ 1..) = stream.read(&mut bytes) else { return false };
    let arrived = Instant::now();
    buffer.extend(&bytes[..count]);
    while let Ok(Some((asked, used))) = mbap::split(buffer) {
        buffer.drain(..used);
        let Some(reply) = answer(plant, battery, &asked, arrived) else { return false };
        let frame = Frame { transaction: asked.transaction, unit: asked.unit, pdu: reply.encode() };
        if stream.write_all(&mbap::encode(&frame)).is_err() {
            return false;
        }
    }
    true
}

/// The running batteries.
pub struct Jumping {
    plant: Arc<Mutex<Plant>>,
    pub ports: Vec<u16>,
}

impl Jumping {
    /// Each on an address of its own.
    pub fn start() -> Jumping {
        let plant = Arc::new(Mutex::new(Plant::default()));
        let mut ports = Vec::new();
        for battery in 0..3 {
            let host = Ipv4Addr::new(127, 0, 0, 1 + battery as u8);
            let listener = TcpListener::bind((host, 0)).expect("a port");
            ports.push(listener.local_addr().expect("an address").port());
            let plant = Arc::clone(&plant);
            thread::spawn(move || serve(battery, &listener, &plant));
        }
        Jumping { plant, ports }
    }

    pub fn lock(&self) -> MutexGuard<'_, Plant> {
        self.plant.lock().expect("the plant")
    }

    /// A controller for them that writes at every jump; `control` may add sections, too.
    pub fn settings<'a>(&self, control: &'a str) -> Settings<'a> {
        Settings {
            hosts: ["127.0.0.1", "127.0.0.2", "127.0.0.3"],
            device: "sax-basic",
            poll_ms: POLL_MS,
            phase_poll_ms: POLL_MS,
            control,
            battery: "write_spacing_ms = 100\nwrite_refill_ms = 100",
        }
    }
}
