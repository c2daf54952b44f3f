//! A link that is a function: unit and request in, reply out. Registers only.
#![allow(dead_code, missing_docs)]

use std::time::Duration;

use ::modbus::{Client, Coil, Error, Result};
use sax_controller::link::exchange::Exchange;
use sax_controller::link::{Counters, Link};
use sax_controller::modbus::pdu::{Reply, Request};

pub struct ExchangeLink<F> {
    answer: F,
    unit: u8,
    counters: Counters,
}

impl<F: FnMut(u8, &Request) -> Result<Reply>> ExchangeLink<F> {
    pub fn new(answer: F) -> ExchangeLink<F> {
        ExchangeLink { answer, unit: 0, counters: Counters::default() }
    }

    fn registers(&mut self, request: &Request) -> Result<Vec<u16>> {
        match self.exchange(request)? {
            Reply::HoldingRegisters { values } | Reply::InputRegisters { values } => Ok(values),
            _ => Err(Error::InvalidResponse),
        }
    }
}

impl<F: FnMut(u8, &Request) -> Result<Reply>> Exchange for ExchangeLink<F> {
    fn exchange(&mut self, request: &Request) -> Result<Reply> {
        let answer = (self.answer)(self.unit, request);
        self.counters.count(&answer);
        answer
    }
}

impl<F: FnMut(u8, &Request) -> Result<Reply> + Send> Link for ExchangeLink<F> {
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

impl<F: FnMut(u8, &Request) -> Result<Reply>> Client for ExchangeLink<F> {
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

    fn read_input_registers(&mut self, address: u16, count: u16) -> Result<Vec<u16>> {
        self.registers(&Request::ReadInputRegisters { address, count })
    }

    fn read_holding_registers(&mut self, address: u16, count: u16) -> Result<Vec<u16>> {
        self.registers(&Request::ReadHoldingRegisters { address, count })
    }

    fn write_single_register(&mut self, address: u16, value: u16) -> Result<()> {
        self.exchange(&Request::WriteSingleRegister { address, value }).map(drop)
    }

    fn write_multiple_registers(&mut self, address: u16, values: &[u16]) -> Result<()> {
        self.exchange(&Request::WriteMultipleRegisters { address, values: values.to_vec() }).map(drop)
    }

    fn write_read_multiple_registers(&mut self, _: u16, _: u16, _: &[u16], _: u16, _: u16) -> Result<Vec<u16>> {
        Err(Error::InvalidFunction)
    }

    fn set_uid(&mut self, uid: u8) {
        self.unit = uid;
    }
}
