//! A device that holds registers and nothing else: what was never put there does not exist.
#![allow(dead_code, missing_docs)]

#[path = "exchange_link.rs"]
mod exchange_link;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use exchange_link::ExchangeLink;
use sax_controller::link::Link;
use sax_controller::link::fault::exception_error;
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

/// A link to a device of the unit `own` with these registers.
pub fn register_link(own: u8, shared: Shared) -> impl Link {
    ExchangeLink::new(move |unit, request| {
        let mut inner = shared.0.lock().unwrap();
        match request {
            Request::ReadHoldingRegisters { address, count } => {
                assert_eq!(unit, own, "another unit was asked");
                let values: Option<Vec<u16>> = (0..*count).map(|i| inner.registers.get(&address.checked_add(i)?).copied()).collect();
                inner.refused += u32::from(values.is_none());
                values.map(|values| Reply::HoldingRegisters { values }).ok_or_else(|| exception_error(2))
            }
            Request::WriteMultipleRegisters { address, values } => {
                for (at, value) in (*address..).zip(values) {
                    inner.registers.insert(at, *value);
                    inner.written.push((at, *value));
                }
                Ok(Reply::WrittenMultipleRegisters { address: *address, count: values.len() as u16 })
            }
            _ => Err(exception_error(1)),
        }
    })
}
