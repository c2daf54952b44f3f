//! Polls a server with tokio-modbus, on one thread as it is cheapest. Arguments and output as `../ours.rs`.

use std::fs;
use std::time::Instant;

use tokio_modbus::client::{Context, tcp};
use tokio_modbus::prelude::{Reader, Slave};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<usize> = std::env::args().skip(1).map(|a| a.parse()).collect::<Result<_, _>>()?;
    let [port, count, polls] = arguments[..] else { return Err("usage: tokio-modbus-client PORT COUNT POLLS".into()) };
    tokio::runtime::Builder::new_current_thread().enable_io().build()?.block_on(run(u16::try_from(port)?, u16::try_from(count)?, polls))
}

async fn run(port: u16, count: u16, polls: usize) -> Outcome<()> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    stream.set_nodelay(true)?;
    let mut client = tcp::attach_slave(stream, Slave(64));
    for _ in 0..100 {
        poll(&mut client, count).await?;
    }
    let mut sum = 0;
    let (begun, before) = (Instant::now(), cpu_ns()?);
    for _ in 0..polls {
        sum += poll(&mut client, count).await?;
    }
    println!("{} {} {sum}", begun.elapsed().as_nanos(), cpu_ns()? - before);
    Ok(())
}

async fn poll(client: &mut Context, count: u16) -> Outcome<u64> {
    Ok(client.read_holding_registers(0, count).await??.iter().map(|w| u64::from(*w)).sum())
}

/// Processor time of this thread, the only one.
fn cpu_ns() -> Outcome<u64> {
    let text = fs::read_to_string("/proc/self/schedstat")?;
    Ok(text.split_whitespace().next().unwrap_or_default().parse()?)
}
