//! A link straight into the simulated site, in virtual time and without bytes.
//!
//! Faults become the errors a real link reports: what never comes is a timeout, what does not fit is an invalid response, what ends the
//! connection is an I/O error and makes the next request a new connection. Never advances the site: whoever drives the time does.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::modbus::{Client, Coil, Error, ExceptionCode, Result};

use super::faults::Fault;
use super::sax::Answer;
use super::site::Site;
use super::wire;
use crate::link::fault::Fault as LinkFault;
use crate::link::{Counters, Link};
use crate::modbus::pdu::{Reply, Request};

/// A link to one unit of one battery of a site.
pub struct SimLink {
    site: Arc<Mutex<Site>>,
    battery: usize,
    unit: u8,
    name: String,
    timeout: Duration,
    generation: u64,
    connected: bool,
    starts: u32,
    counters: Counters,
    answered: bool,
}

impl SimLink {
    /// A link to this battery; [`Client::set_uid`] chooses the unit, 64 at first.
    pub fn new(site: Arc<Mutex<Site>>, battery: usize) -> SimLink {
        SimLink {
            site,
            battery,
            unit: super::sax::UNIT_BASIC,
            name: format!("sim:{battery}"),
            timeout: Duration::from_secs(1),
            generation: 0,
            connected: false,
            starts: 0,
            counters: Counters::default(),
            answered: false,
        }
    }

    fn ask(&mut self, request: &Request) -> Result<Reply> {
        let result = self.exchange(request);
        self.counters.count(&result);
        // Timeouts and exceptions leave the connection as it is.
        if result.as_ref().is_err_and(|error| matches!(LinkFault::of(error), LinkFault::Io(_) | LinkFault::Invalid(_))) {
            self.connected = false;
        }
        result
    }

    fn exchange(&mut self, request: &Request) -> Result<Reply> {
        let mut site = self.site.lock().unwrap_or_else(PoisonError::into_inner);
        let active = site.faults().active(self.battery);
        if active.contains(&Fault::Refuse) {
            return Err(io_error(io::ErrorKind::ConnectionRefused));
        }
        let starts = site.battery(self.battery).map_or(0, |b| b.starts());
        if self.connected && self.starts != starts {
            return Err(io_error(io::ErrorKind::ConnectionReset));
        }
        if !self.connected {
            (self.connected, self.starts) = (true, starts);
            self.generation += 1;
        }
        if let Some(kind) = active.iter().find_map(ending) {
            return Err(io_error(kind));
        }
        let answer = wire::respond(&mut site, self.battery, self.unit, request, &active);
        drop(site);
        let Answer::Reply(reply) = answer else { return Err(io_error(io::ErrorKind::TimedOut)) };
        let answered = std::mem::replace(&mut self.answered, true);
        for fault in active {
            deliver(fault, &reply, self.timeout, answered)?;
        }
        match reply {
            Reply::Exception { code, .. } => Err(exception(code).map_or(Error::InvalidResponse, Error::Exception)),
            reply if reply.function() != request.function() => Err(Error::InvalidResponse),
            reply => Ok(reply),
        }
    }

    fn registers(&mut self, request: &Request) -> Result<Vec<u16>> {
        match self.ask(request)? {
            Reply::HoldingRegisters { values } | Reply::InputRegisters { values } | Reply::ReadWriteMultipleRegisters { values } => {
                Ok(values)
            }
            _ => Err(Error::InvalidResponse),
        }
    }

    fn coils(&mut self, request: &Request, count: u16) -> Result<Vec<Coil>> {
        match self.ask(request)? {
            Reply::Coils { packed } | Reply::DiscreteInputs { packed } => {
                let bit = |k: u16| packed.get(usize::from(k / 8)).is_some_and(|byte| byte >> (k % 8) & 1 == 1);
                Ok((0..count).map(|k| Coil::from(bit(k))).collect())
            }
            _ => Err(Error::InvalidResponse),
        }
    }
}

/// How a fault ends the connection, if it does.
fn ending(fault: &Fault) -> Option<io::ErrorKind> {
    match fault {
        Fault::Reset => Some(io::ErrorKind::ConnectionReset),
        Fault::Close => Some(io::ErrorKind::UnexpectedEof),
        _ => None,
    }
}

/// What a fault of the bytes makes of a reply.
fn deliver(fault: Fault, reply: &Reply, timeout: Duration, answered: bool) -> Result<()> {
    let late = |ms: u64| if Duration::from_millis(ms) >= timeout { Err(io_error(io::ErrorKind::TimedOut)) } else { Ok(()) };
    match fault {
        Fault::Delay(ms) => late(ms),
        Fault::Trickle(ms) => late(ms.saturating_mul(7 + reply.encode().len() as u64)),
        Fault::HalfFrame | Fault::WrongLength => Err(io_error(io::ErrorKind::TimedOut)),
        Fault::StaleReplay if !answered => Err(io_error(io::ErrorKind::TimedOut)),
        Fault::StaleReplay | Fault::Garbage | Fault::WrongId | Fault::WrongUnit | Fault::TrailingBytes | Fault::ShortByOne => {
            Err(Error::InvalidResponse)
        }
        _ => Ok(()),
    }
}

fn io_error(kind: io::ErrorKind) -> Error {
    Error::Io(kind.into())
}

fn exception(code: u8) -> Option<ExceptionCode> {
    Some(match code {
        1 => ExceptionCode::IllegalFunction,
        2 => ExceptionCode::IllegalDataAddress,
        3 => ExceptionCode::IllegalDataValue,
        4 => ExceptionCode::SlaveOrServerFailure,
        5 => ExceptionCode::Acknowledge,
        6 => ExceptionCode::SlaveOrServerBusy,
        7 => ExceptionCode::NegativeAcknowledge,
        8 => ExceptionCode::MemoryParity,
        9 => ExceptionCode::NotDefined,
        10 => ExceptionCode::GatewayPath,
        11 => ExceptionCode::GatewayTarget,
        _ => return None,
    })
}

impl Link for SimLink {
    fn name(&self) -> &str {
        &self.name
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }
}

impl Client for SimLink {
    fn read_discrete_inputs(&mut self, address: u16, quantity: u16) -> Result<Vec<Coil>> {
        self.coils(&Request::ReadDiscreteInputs { address, count: quantity }, quantity)
    }

    fn read_coils(&mut self, address: u16, quantity: u16) -> Result<Vec<Coil>> {
        self.coils(&Request::ReadCoils { address, count: quantity }, quantity)
    }

    fn write_single_coil(&mut self, address: u16, value: Coil) -> Result<()> {
        self.ask(&Request::WriteSingleCoil { address, on: value == Coil::On }).map(drop)
    }

    fn write_multiple_coils(&mut self, address: u16, coils: &[Coil]) -> Result<()> {
        let count = u16::try_from(coils.len()).map_err(|_| Error::InvalidFunction)?;
        let byte = |chunk: &[Coil]| chunk.iter().enumerate().fold(0, |bits, (k, coil)| bits | u8::from(*coil == Coil::On) << k);
        self.ask(&Request::WriteMultipleCoils { address, count, packed: coils.chunks(8).map(byte).collect() }).map(drop)
    }

    fn read_input_registers(&mut self, address: u16, quantity: u16) -> Result<Vec<u16>> {
        self.registers(&Request::ReadInputRegisters { address, count: quantity })
    }

    fn read_holding_registers(&mut self, address: u16, quantity: u16) -> Result<Vec<u16>> {
        self.registers(&Request::ReadHoldingRegisters { address, count: quantity })
    }

    fn write_single_register(&mut self, address: u16, value: u16) -> Result<()> {
        self.ask(&Request::WriteSingleRegister { address, value }).map(drop)
    }

    fn write_multiple_registers(&mut self, address: u16, values: &[u16]) -> Result<()> {
        self.ask(&Request::WriteMultipleRegisters { address, values: values.to_vec() }).map(drop)
    }

    fn write_read_multiple_registers(
        &mut self,
        write_address: u16,
        write_quantity: u16,
        write_values: &[u16],
        read_address: u16,
        read_quantity: u16,
    ) -> Result<Vec<u16>> {
        let values = write_values.get(..usize::from(write_quantity)).ok_or(Error::InvalidFunction)?.to_vec();
        self.registers(&Request::ReadWriteMultipleRegisters { read_address, read_count: read_quantity, write_address, values })
    }

    fn set_uid(&mut self, uid: u8) {
        self.unit = uid;
    }
}
