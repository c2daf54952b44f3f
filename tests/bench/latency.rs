//! From a meter reading on the wire to the setpoints that follow from it on the wire: the controller's own delay.
//!
//! Three minimal SAX batteries (units 64 and 40) that answer at once. The load of every phase jumps with every few polls; a sample is the
//! time from handing the reply that reveals the jump to the socket (the phase block of unit 40, the last reply of the poll) to having
//! received the whole write of register 41 that follows from it. The time of sending itself is included.
#![allow(missing_docs)]

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{Controller, Settings, Verdict, median, quantile};
use sax_controller::modbus::mbap::{self, Frame};
use sax_controller::modbus::pdu::{Reply, Request};

const POLL_MS: u32 = 200;
/// The load jumps with every so many polls, so that the write budget is full again.
const JUMP_EVERY: u32 = 3;
const LOADS_W: [i64; 2] = [300, 1500];
const SAMPLES: usize = 600;
/// More than this is not waited for.
const PATIENCE: Duration = Duration::from_secs(200);
const LIMIT_MS: f64 = 2.0;
/// Register 47 and 48 are offset by this.
const OFFSET: i64 = 16384;

#[derive(Default)]
struct Plant {
    polls: u32,
    high: bool,
    setpoint_w: [i64; 3],
    /// The reply that is sent next reveals a jump.
    jumped: bool,
    /// When the jump was revealed to the controller, until the battery is written.
    revealed: [Option<Instant>; 3],
    /// Battery and delay in ms.
    samples: Vec<(usize, f64)>,
    jumps: usize,
    /// Jumps that were not followed by a write before the next one.
    missed: usize,
    /// Writes of a setpoint without a jump that was revealed before.
    other_writes: usize,
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

fn line(name: &str, samples: &mut [f64]) {
    let p50 = median(samples);
    let (p90, p99) = (quantile(samples, 900), quantile(samples, 990));
    let most = samples.last().copied().unwrap_or(f64::NAN);
    println!("{name:<10} {:>8} {p50:>9.3} {p90:>9.3} {p99:>9.3} {most:>9.3}", samples.len());
}

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    println!(
        "latency: {SAMPLES} samples, about {} s; load before: {}",
        SAMPLES / 3 * (POLL_MS * JUMP_EVERY) as usize / 1000 + 15,
        common::machine_load()
    );
    let plant = Arc::new(Mutex::new(Plant::default()));
    let mut ports = Vec::new();
    for battery in 0..3 {
        let host = Ipv4Addr::new(127, 0, 0, 1 + battery as u8);
        let listener = TcpListener::bind((host, 0)).expect("a port");
        ports.push(listener.local_addr().expect("an address").port());
        let plant = Arc::clone(&plant);
        thread::spawn(move || serve(battery, &listener, &plant));
    }
    let settings = Settings {
        hosts: ["127.0.0.1", "127.0.0.2", "127.0.0.3"],
        device: "sax-basic",
        poll_ms: POLL_MS,
        phase_poll_ms: POLL_MS,
        control: "deadband_w = 5",
        battery: "write_spacing_ms = 100\nwrite_refill_ms = 100",
    };
    let mut controller = Controller::start("latency", &settings, &ports);
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE && controller.is_alive() && plant.lock().expect("the plant").samples.len() < SAMPLES {
        thread::sleep(Duration::from_millis(200));
    }
    let log = controller.log();
    drop(controller);
    let plant = plant.lock().expect("the plant");
    println!("load after: {}\n", common::machine_load());
    println!("battery     samples    p50/ms    p90/ms    p99/ms    max/ms");
    for (k, name) in ["A", "B", "C"].iter().enumerate() {
        let mut own: Vec<_> = plant.samples.iter().filter(|s| s.0 == k).map(|s| s.1).collect();
        line(name, &mut own);
    }
    let mut all: Vec<_> = plant.samples.iter().map(|s| s.1).collect();
    line("all", &mut all);
    println!(
        "{} jumps of 3 phases, {} without a write before the next, {} other writes\n\n{log}",
        plant.jumps, plant.missed, plant.other_writes
    );
    let p99 = quantile(&mut all, 990);
    let mut verdict = Verdict::default();
    verdict.demand(all.len() >= SAMPLES, format!("only {} of {SAMPLES} samples", all.len()));
    verdict.demand(p99 <= LIMIT_MS, format!("p99 is {p99:.3} ms, more than {LIMIT_MS} ms"));
    verdict.demand(plant.missed * 100 <= plant.jumps * 3, format!("{} of {} jumps were not answered", plant.missed, plant.jumps * 3));
    verdict.end()
}
