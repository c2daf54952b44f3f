//! Our links against somebody else's Modbus server: every function, exceptions, and units that are not there. The servers of this folder
//! have 200 of each kind: holding registers 1000 + address, input registers 2000 + address, every third coil on, every second input on.
//!
//! `interop-client rtu PORT|tcp PORT [--identification] [--silent-units] [--swallows]`; says what failed and ends with 1.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use modbus::Coil;
use sax_controller::link::deadline::Hurry;
use sax_controller::link::exchange::Exchange;
use sax_controller::link::fault::Fault;
use sax_controller::link::place::{Parity, Place, Serial};
use sax_controller::link::rtu::RtuLink;
use sax_controller::link::tcp::TcpLink;
use sax_controller::link::{Counters, Link, open};
use sax_controller::modbus::pdu::{Reply, Request};

type Outcome = Result<(), String>;

const TIMEOUT: Duration = Duration::from_millis(1000);

/// What a server is asked beside the usual.
#[derive(Clone, Copy, Default)]
struct Options {
    identification: bool,
    /// It keeps silent when another unit is asked.
    silent_units: bool,
    /// After a request to another unit it takes the next one on the bus for the answer to it (libmodbus 3.1.6, `confirmation_to_ignore`).
    swallows: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|a| a == name);
    let options = Options { identification: has("--identification"), silent_units: has("--silent-units"), swallows: has("--swallows") };
    let outcome = match arguments.as_slice() {
        [kind, port, ..] if kind == "rtu" => rtu(port, options),
        [kind, port, ..] if kind == "tcp" => tcp(port, options),
        _ => Err("usage: interop-client rtu PORT|tcp PORT [--identification] [--silent-units] [--swallows]".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("interop-client {}: {why}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn rtu(port: &str, options: Options) -> Outcome {
    let serial = Serial { port: port.into(), baud: 9600, parity: Parity::None, data_bits: 8, stop_bits: 1, rs485: None };
    all(open(&Place::Rtu(serial.clone()), TIMEOUT, Hurry::default()), options)?;
    identification(&mut RtuLink::new(&serial, TIMEOUT, Hurry::default()), options)
}

fn tcp(port: &str, options: Options) -> Outcome {
    let port = port.parse().map_err(|_| format!("{port} is no port"))?;
    all(open(&Place::Tcp { host: "127.0.0.1".into(), port }, TIMEOUT, Hurry::default()), options)?;
    identification(&mut TcpLink::new("127.0.0.1", port, TIMEOUT), options)
}

fn all(mut link: Box<dyn Link>, options: Options) -> Outcome {
    let link = link.as_mut();
    link.set_uid(64);
    reads(link)?;
    writes(link)?;
    let mut expected = refusals(link)?;
    if options.silent_units {
        expected.timeout += silence(link, options.swallows)?;
    }
    // A burst: nothing is lost and nothing is shifted.
    for address in (0..150).rev() {
        expect(&format!("register {address}"), link.read_input_registers(address, 1), &[2000 + address])?;
    }
    let counted = Counters { requests: 0, ..link.counters() };
    if counted != expected || link.generation() != 1 {
        return Err(format!("counted {counted:?} on connection {}, not {expected:?} on the first", link.generation()));
    }
    Ok(())
}

fn reads(link: &mut dyn Link) -> Outcome {
    let bits = |on: fn(usize) -> bool, from: usize, count: usize| (from..from + count).map(|k| Coil::from(on(k))).collect::<Vec<_>>();
    expect("FC 1", link.read_coils(3, 150), &bits(|k| k % 3 == 0, 3, 150))?;
    expect("FC 1, one", link.read_coils(1, 1), &[Coil::Off])?;
    expect("FC 2", link.read_discrete_inputs(7, 9), &bits(|k| k % 2 == 1, 7, 9))?;
    expect("FC 3", link.read_holding_registers(0, 125), &(1000..1125).collect::<Vec<u16>>())?;
    expect("FC 4", link.read_input_registers(100, 3), &[2100, 2101, 2102])
}

fn writes(link: &mut dyn Link) -> Outcome {
    written("FC 5", link.write_single_coil(1, Coil::On))?;
    expect("FC 5 read back", link.read_coils(1, 1), &[Coil::On])?;
    written("FC 6", link.write_single_register(10, 0xfc18))?;
    written("FC 15", link.write_multiple_coils(1, &[Coil::Off, Coil::On, Coil::Off]))?;
    expect("FC 15 read back", link.read_coils(1, 3), &[Coil::Off, Coil::On, Coil::Off])?;
    let many: Vec<u16> = (0..123).collect();
    written("FC 16", link.write_multiple_registers(20, &many))?;
    expect("FC 16 read back", link.read_holding_registers(19, 125), &[&[1019], &many[..], &[1143]].concat())?;
    expect("FC 23", link.write_read_multiple_registers(12, 2, &[7, 8], 10, 4), &[0xfc18, 1011, 7, 8])
}

/// Beyond the end of the map.
fn refusals(link: &mut dyn Link) -> Result<Counters, String> {
    refused("a read", link.read_holding_registers(200, 1), &Fault::Exception(2))?;
    refused("a read over the end", link.read_input_registers(199, 2), &Fault::Exception(2))?;
    refused("a write", link.write_single_register(200, 1), &Fault::Exception(2))?;
    Ok(Counters { exception: 3, ..Counters::default() })
}

/// Returns how many requests had no answer.
fn silence(link: &mut dyn Link, swallows: bool) -> Result<u64, String> {
    link.set_uid(9);
    link.set_timeout(Duration::from_millis(300));
    let begun = Instant::now();
    refused("another unit", link.read_holding_registers(0, 1), &Fault::Timeout)?;
    if begun.elapsed() > Duration::from_secs(3) {
        return Err(format!("the deadline of 300 ms passed after {:?}", begun.elapsed()));
    }
    link.set_uid(64);
    if swallows {
        refused("the first request to the right unit", link.read_holding_registers(0, 1), &Fault::Timeout)?;
        // It took five of the eight bytes; the others are forgotten after its byte timeout of half a second.
        std::thread::sleep(Duration::from_millis(700));
    }
    link.set_timeout(TIMEOUT);
    expect("the right unit again", link.read_holding_registers(0, 1), &[1000])?;
    Ok(1 + u64::from(swallows))
}

fn identification(link: &mut impl Exchange, options: Options) -> Outcome {
    if !options.identification {
        return Ok(());
    }
    match link.exchange(&Request::ReadDeviceIdentification { code: 1, object: 0 }) {
        Ok(Reply::DeviceIdentification { objects, .. }) if objects.first() == Some(&(0, b"interop".to_vec())) => Ok(()),
        other => Err(format!("FC 43: {other:?}")),
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, outcome: modbus::Result<Vec<T>>, wanted: &[T]) -> Outcome {
    match outcome {
        Ok(got) if got == wanted => Ok(()),
        Ok(got) => Err(format!("{what}: {got:?} instead of {wanted:?}")),
        Err(error) => Err(format!("{what}: {}", Fault::of(&error))),
    }
}

fn written(what: &str, outcome: modbus::Result<()>) -> Outcome {
    outcome.map_err(|error| format!("{what}: {}", Fault::of(&error)))
}

fn refused<T: std::fmt::Debug>(what: &str, outcome: modbus::Result<T>, wanted: &Fault) -> Outcome {
    match outcome.map_err(|error| Fault::of(&error)) {
        Err(fault) if fault == *wanted => Ok(()),
        other => Err(format!("{what}: {other:?} instead of {wanted}")),
    }
}
