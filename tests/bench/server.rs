//! Our Modbus server under load: eight clients that ask as fast as they are answered, half of them writing, and one that sends a byte per
//! second. The controller's own delay, from a meter reading to the setpoints, must not be longer for it, and its memory must not grow.
//!
//! `SECONDS=600 cargo bench --bench server` for ten minutes under load instead of one.
#![allow(missing_docs)]

mod common;
mod jumping;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Controller, Verdict, median, quantile};
use jumping::Jumping;
use sax_controller::modbus::mbap::{self, Frame};
use sax_controller::modbus::pdu::{Reply, Request};

const CLIENTS: u16 = 8;
/// The controller starts and settles in this time.
const SETTLED: Duration = Duration::from_secs(15);
/// Under load memory is looked at first after this time: the threads of the connections are there.
const WARM: Duration = Duration::from_secs(5);
/// What the median and p99 may be longer under load, ms: another program on two processors costs that much by itself.
const LIMIT_MS: f64 = 2.0;
/// What resident memory may be more at the end than when all connections were there, kB.
const GROWTH_KB: u64 = 512;

#[derive(Default)]
struct Load {
    over: AtomicBool,
    answered: AtomicU64,
    refused: AtomicU64,
    /// Of the slow client: connections that the server has closed.
    closed: AtomicU64,
}

impl Load {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }
}

/// What client `k` asks in its round: the even ones read, the odd ones write the override and the heartbeat.
fn request(k: u16, round: u16) -> Request {
    match (k % 2, round % 2) {
        (0, 0) => Request::ReadHoldingRegisters { address: 1010, count: 13 },
        (0, _) => Request::ReadInputRegisters { address: 2000, count: 36 },
        (_, 0) => Request::WriteSingleRegister { address: 1000, value: 6_000 + round % 10_000 },
        (_, _) => Request::WriteMultipleRegisters { address: 2906, values: vec![round] },
    }
}

fn quick(address: SocketAddr, k: u16, load: &Load) {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("a socket");
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket");
    let (mut buffer, mut chunk) = (Vec::new(), [0; 300]);
    for round in (0..=u16::MAX).cycle() {
        if !load.goes_on() {
            return;
        }
        let frame = Frame { transaction: round, unit: 10, pdu: request(k, round).encode() };
        stream.write_all(&mbap::encode(&frame)).expect("the server takes it");
        let reply = loop {
            if let Some((reply, length)) = mbap::split(&buffer).expect("frames") {
                buffer.drain(..length);
                break reply;
            }
            let count = stream.read(&mut chunk).expect("the server answers");
            assert!(count > 0, "the server has closed");
            buffer.extend(&chunk[..count]);
        };
        assert_eq!(reply.transaction, round);
        let is_exception = matches!(Reply::decode(&reply.pdu), Ok(Reply::Exception { .. }) | Err(_));
        let counter = if is_exception { &load.refused } else { &load.answered };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn slow(address: SocketAddr, load: &Load) {
    while load.goes_on() {
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(1))).expect("a socket");
        for byte in mbap::encode(&Frame { transaction: 1, unit: 10, pdu: request(0, 0).encode() }) {
            let closed = match (stream.write_all(&[byte]), stream.read(&mut [0; 64])) {
                (Err(_), _) | (_, Ok(0)) => true,
                (_, Err(error)) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
                (_, Ok(_)) => false,
            };
            if closed {
                load.closed.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if !load.goes_on() {
                return;
            }
        }
    }
}

/// What was measured in a time.
struct Measured {
    /// Delays in ms.
    samples: Vec<f64>,
    jumps: usize,
    /// Setpoints that did not come before the next jump: they have no delay, so without them p99 would say too little.
    missed: usize,
}

/// Delays measured in this time, and what they say.
fn measure(what: &str, plant: &Jumping, controller: &mut Controller, span: Duration) -> Measured {
    let counts = || {
        let plant = plant.lock();
        (plant.samples.len(), plant.jumps, plant.missed)
    };
    let (before, jumps_before, missed_before) = counts();
    let begun = Instant::now();
    while begun.elapsed() < span && controller.is_alive() {
        thread::sleep(Duration::from_millis(100));
    }
    let mut samples: Vec<f64> = plant.lock().samples.iter().skip(before).map(|sample| sample.1).collect();
    let (p50, p90, p99) = (median(&mut samples), quantile(&mut samples, 900), quantile(&mut samples, 990));
    let (_, jumps, missed) = counts();
    let (jumps, missed) = (jumps - jumps_before, missed - missed_before);
    let max = samples.last().copied().unwrap_or(f64::NAN);
    println!("{what:<12} {:>8} {p50:>9.3} {p90:>9.3} {p99:>9.3} {max:>9.3} {missed:>8}", samples.len());
    Measured { samples, jumps, missed }
}

fn main() -> ExitCode {
    if !common::is_wanted() {
        return ExitCode::SUCCESS;
    }
    let seconds: u64 = std::env::var("SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let span = Duration::from_secs(seconds);
    println!("server: up to 60 s without and {seconds} s with load; load of the machine before: {}", common::machine_load());
    let plant = Jumping::start();
    let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let control =
        format!("deadband_w = 5\n[load_balancer]\n[server]\ntcp = {{ listen = \"{address}\", writable = true, max_connections = 9 }}");
    let mut controller = Controller::start("server", &plant.settings(&control), &plant.ports);
    thread::sleep(SETTLED);

    println!("\n              samples    p50/ms    p90/ms    p99/ms    max/ms   missed");
    let mut without = measure("without load", &plant, &mut controller, span.min(Duration::from_secs(60)));
    let idle_kb = controller.status_kb("VmRSS");
    let (load, mut memory_kb, mut cpu_ms) = (Load::default(), [0; 2], 0.0);
    let begun = Instant::now();
    let mut under = thread::scope(|scope| {
        let load = &load;
        for k in 0..CLIENTS {
            scope.spawn(move || quick(address, k, load));
        }
        scope.spawn(move || slow(address, load));
        thread::sleep(WARM);
        memory_kb[0] = controller.status_kb("VmRSS");
        let cpu_before = controller.cpu_ms();
        let under = measure("under load", &plant, &mut controller, span);
        cpu_ms = controller.cpu_ms() - cpu_before;
        memory_kb[1] = controller.status_kb("VmRSS");
        load.over.store(true, Ordering::Relaxed);
        under
    });
    let (answered, refused) = (load.answered.load(Ordering::Relaxed), load.refused.load(Ordering::Relaxed));
    println!(
        "\n{:.0} requests/s, {refused} refused; the slow client was closed {} times; processor {:.1} %",
        answered as f64 / begun.elapsed().as_secs_f64(),
        load.closed.load(Ordering::Relaxed),
        cpu_ms / 10.0 / span.as_secs_f64()
    );
    println!("memory: {idle_kb} kB without connections, {} kB with, {} kB at the end\n\n{}", memory_kb[0], memory_kb[1], controller.log());
    let mut verdict = Verdict::default();
    let more = |permille: usize, under: &mut [f64], without: &mut [f64]| quantile(under, permille) - quantile(without, permille);
    let (p50, p99) = (more(500, &mut under.samples, &mut without.samples), more(990, &mut under.samples, &mut without.samples));
    verdict.demand(controller.is_alive(), "the controller has ended");
    verdict.demand(!without.samples.is_empty() && !under.samples.is_empty(), "no samples");
    for Measured { jumps, missed, .. } in [&without, &under] {
        verdict.demand(missed * 100 <= jumps * 3, format!("{missed} of {} setpoints came later than the next jump", jumps * 3));
    }
    verdict.demand(p50 <= LIMIT_MS && p99 <= LIMIT_MS, format!("under load p50 is {p50:.3} ms longer and p99 {p99:.3} ms"));
    verdict.demand(refused == 0, format!("{refused} requests were refused"));
    verdict.demand(memory_kb[1] <= memory_kb[0] + GROWTH_KB, format!("memory grew from {} to {} kB", memory_kb[0], memory_kb[1]));
    verdict.end()
}
