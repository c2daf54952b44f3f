//! Polls a server with our own link: `PORT COUNT POLLS`. Reads COUNT holding registers from 0 of unit 64 over one connection, 100 times
//! to warm up and then POLLS times, and prints the time and the processor time of these in ns, and the sum of all registers.
#![allow(missing_docs)]

use std::fs;
use std::time::{Duration, Instant};

use sax_controller::link::deadline::Hurry;
use sax_controller::link::place::Place;
use sax_controller::link::{Link, open};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let [port, count, polls] = arguments[..] else { return Err("usage: PORT COUNT POLLS".into()) };
    let place = Place::Tcp { host: "127.0.0.1".into(), port: u16::try_from(port)? };
    let mut link = open(&place, Duration::from_secs(1), Hurry::default());
    link.set_uid(64);
    let count = u16::try_from(count)?;
    for _ in 0..100 {
        poll(link.as_mut(), count)?;
    }
    let mut sum = 0;
    let (begun, before) = (Instant::now(), cpu_ns()?);
    for _ in 0..polls {
        sum += poll(link.as_mut(), count)?;
    }
    println!("{} {} {sum}", begun.elapsed().as_nanos(), cpu_ns()? - before);
    Ok(())
}

fn poll(link: &mut dyn Link, count: u16) -> Outcome<u64> {
    let words = link.read_holding_registers(0, count).map_err(|error| format!("{error:?}"))?;
    Ok(words.iter().map(|w| u64::from(*w)).sum())
}

/// Processor time of this thread, the only one.
fn cpu_ns() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/schedstat")?;
    Ok(text.split_whitespace().next().unwrap_or_default().parse()?)
}
