//! A device that holds registers and nothing else: what was never put there does not exist.
#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::modbus::{Client, Coil, Error, Result};
use sax_controller::link::exchange::Exchange;
use sax_controller::link::fault::exception_error;
use sax_controller::link::{Counters, Link};
use sax_controller::modbus::pdu::{Reply, Request};

#[derive(Default)]
struct Inner {
    registers: BTreeMap<u16, u16>,
    written: Vec<(u16, u16)>,
    refused: u32,
}

#[derive(Clone, Default)]
pub struct Shared(Arc<Mutex<Inner>>);

impl Shared {
    pub fn put(&self, registers: &[(u16, u16)]) {
        self.0.lock().unwrap().registers.extend(registers.iter().copied());
    }

    /// What was written to a register, one after the other.
    pub fn written(&self, address: u16) -> Vec<u16> {
        self.0.lock().unwrap().written.iter().filter(|w| w.0 == address).map(|w| w.1).collect()
    }

    /// Requests for what does not exist.
    pub fn refused(&self) -> u32 {
        self.0.lock().unwrap().refused
    }
}

pub struct RegisterLink {
    shared: Shared,
    own: u8,
    unit: u8,
    counters: Counters,
}

impl RegisterLink {
    pub fn new(own: u8, shared: Shared) -> RegisterLink {
        RegisterLink { shared, own, unit: 0, counters: Counters::default() }
    }
}

/// Nobody asks it for anything but by the functions below.
impl Exchange for RegisterLink {
    fn exchange(&mut self, _: &Request) -> Result<Reply> {
        Err(Error::InvalidFunction)
    }
}

impl Link for RegisterLink {
    fn name(&self) -> &str {
        "registers"
    }

    fn generation(&self) -> u64 {
        1
    }

    fn counters(&self) -> Counters {
        self.counters
    }

    fn set_timeout(&mut self, _: Duration) {}
}

impl Client for RegisterLink {
    fn read_discrete_inputs(&mut self, _: u16, _: u16) -> Result<Vec<Coil>> {
        Err(Error::InvalidFunction)
    }

    fn read_coils(&mut self, _: u16, _: u16) -> Result<Vec<Coil>> {
        Err(Error::InvalidFunction)
    }

    fn write_single_coil(&mut self, _: u16, _: Coil) -> Result<()> {
        Err(Error::InvalidFunction)
    }

    fn write_multiple_coils(&mut self, _: u16, _: &[Coil]) -> Result<()> {
        Err(Error::InvalidFunction)
    }

    fn read_input_registers(&mut self, _: u16, _: u16) -> Result<Vec<u16>> {
        Err(exception_error(1))
    }

    fn read_holding_registers(&mut self, address: u16, quantity: u16) -> Result<Vec<u16>> {
        assert_eq!(self.unit, self.own, "another unit was asked");
        let mut inner = self.shared.0.lock().unwrap();
        let values: Option<Vec<u16>> = (0..quantity).map(|i| inner.registers.get(&address.checked_add(i)?).copied()).collect();
        inner.refused += u32::from(values.is_none());
        values.ok_or_else(|| exception_error(2))
    }

    fn write_single_register(&mut self, _: u16, _: u16) -> Result<()> {
        Err(exception_error(1))
    }

    fn write_multiple_registers(&mut self, address: u16, values: &[u16]) -> Result<()> {
        let mut inner = self.shared.0.lock().unwrap();
        for (at, value) in (address..).zip(values) {
            inner.registers.insert(at, *value);
            inner.written.push((at, *value));
        }
        Ok(())
    }

    fn write_read_multiple_registers(&mut self, _: u16, _: u16, _: &[u16], _: u16, _: u16) -> Result<Vec<u16>> {
        Err(Error::InvalidFunction)
    }

    fn set_uid(&mut self, uid: u8) {
        self.unit = uid;
    }
}
