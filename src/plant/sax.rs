//! What a SAX battery answers on Modbus: units 64 (basic), 40 (extended) and 100 (SunSpec).
//!
//! Judges requests and carries out writes; the registers themselves are in [`sax_images`](super::sax_images). Speaks typed requests
//! and replies; framing, faults and sockets are elsewhere. Source: facts/sax.md 1 and 2.

use super::battery_params::{Absent, Encoding41};
use super::meter::MeterReading;
use super::sax_images as images;
use super::site::{Cell, Site};
use crate::modbus::pdu::{Reply, Request};

/// The basic mode (facts/sax.md 1.1).
pub const UNIT_BASIC: u8 = 64;
/// The extended mode (facts/sax.md 1.2).
pub const UNIT_EXTENDED: u8 = 40;
/// The SunSpec mode (facts/sax.md 1.3).
pub const UNIT_SUNSPEC: u8 = 100;

const ILLEGAL_FUNCTION: u8 = 1;
const ILLEGAL_ADDRESS: u8 = 2;
const ILLEGAL_VALUE: u8 = 3;
const GATEWAY_TARGET: u8 = 0x0B;

/// What comes back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// This.
    Reply(Reply),
    /// Nothing.
    Silence,
}

/// What was written and has no meaning for the physics, and what is stuck.
#[derive(Clone, Debug, Default)]
pub(super) struct Registers {
    pub(super) raw_41: Option<u16>,
    pub(super) cos_phi: Option<u16>,
    pub(super) percent: i16,
    pub(super) frozen_meter: Option<MeterReading>,
    pub(super) frozen_images: Option<[images::Image; 3]>,
}

enum Bank {
    Basic,
    Extended,
    Sunspec,
}

/// Answers a request at the site's present time.
pub fn answer(site: &mut Site, battery: usize, unit: u8, request: &Request) -> Answer {
    site.note_request(battery, unit);
    let Some(cell) = site.cells.get(battery).filter(|cell| cell.battery.is_up(site.now_ms())) else { return Answer::Silence };
    let Some(bank) = bank(cell, unit) else {
        return match cell.sax.absent {
            Absent::Silence => Answer::Silence,
            Absent::Exception => exception(request, GATEWAY_TARGET),
        };
    };
    match request {
        Request::ReadHoldingRegisters { address, count } => match images::of(site, battery, unit).and_then(|i| i.slice(*address, *count)) {
            Some(values) => Answer::Reply(Reply::HoldingRegisters { values }),
            None => exception(request, ILLEGAL_ADDRESS),
        },
        Request::WriteSingleRegister { address, value } => match bank {
            // facts/sax.md 2: single writes on unit 64 end in an i/o timeout.
            Bank::Basic => Answer::Silence,
            Bank::Extended => exception(request, ILLEGAL_ADDRESS),
            Bank::Sunspec => written(write_sunspec(site, battery, *address, &[*value]), request),
        },
        Request::WriteMultipleRegisters { address, values } => match bank {
            Bank::Basic => written(write_basic(site, battery, *address, values), request),
            Bank::Extended => exception(request, ILLEGAL_ADDRESS),
            Bank::Sunspec => written(write_sunspec(site, battery, *address, values), request),
        },
        _ => exception(request, ILLEGAL_FUNCTION),
    }
}

/// Makes what is reported stand still from now on, or lets it go on.
pub(super) fn freeze(site: &mut Site, battery: usize, meter: bool, registers: bool) {
    let reading = site.meter_reading();
    if let Some(cell) = site.cells.get_mut(battery) {
        let kept = cell.registers.frozen_meter.unwrap_or(reading);
        cell.registers.frozen_meter = meter.then_some(kept);
        if !registers {
            cell.registers.frozen_images = None;
        } else if cell.registers.frozen_images.is_none() {
            let snapshot = images::all(site, battery);
            site.cells[battery].registers.frozen_images = snapshot;
        }
    }
}

fn bank(cell: &Cell, unit: u8) -> Option<Bank> {
    match unit {
        UNIT_BASIC if cell.sax.banks.basic => Some(Bank::Basic),
        UNIT_EXTENDED if cell.sax.banks.extended => Some(Bank::Extended),
        UNIT_SUNSPEC if cell.sax.banks.sunspec => Some(Bank::Sunspec),
        _ => None,
    }
}

/// One register per write (facts/sax.md 2), except that two on 43 write 44 as well and that 41 takes 42 with it.
fn write_basic(site: &mut Site, battery: usize, address: u16, values: &[u16]) -> Result<(), u8> {
    let allowed = match (address, values.len()) {
        (41..=45, 1) | (41 | 43, 2) => Ok(()),
        (41..=45, _) => Err(ILLEGAL_VALUE),
        _ => Err(ILLEGAL_ADDRESS),
    };
    allowed?;
    if matches!(address, 43 | 44) && !site.cells[battery].sax.limits_unlocked {
        return Err(ILLEGAL_ADDRESS);
    }
    if address == 45 && !matches!(values[0], 1 | 2) {
        return Err(ILLEGAL_VALUE);
    }
    for (register, value) in (address..).zip(values) {
        write_basic_register(site, battery, register, *value);
    }
    Ok(())
}

fn write_basic_register(site: &mut Site, battery: usize, register: u16, value: u16) {
    let now_ms = site.now_ms();
    site.note_write(battery, UNIT_BASIC, register, value);
    let cell = &mut site.cells[battery];
    let (discharge_w, charge_w) = cell.battery.limits_w(now_ms);
    match register {
        41 => {
            cell.registers.raw_41 = Some(value);
            let power_w = match cell.sax.encoding_41 {
                Encoding41::Plain => i64::from(value as i16),
                Encoding41::Offset => i64::from(value) - images::OFFSET_W,
            };
            cell.battery.command(now_ms, power_w);
        }
        42 => cell.registers.cos_phi = Some(value),
        43 => cell.battery.set_limits(now_ms, value, charge_w),
        44 => cell.battery.set_limits(now_ms, discharge_w, value),
        _ => cell.battery.switch(value == 2),
    }
}

/// Setpoint in percent, timeout and mode (facts/sax.md 1.3: 40049 to 40051); all or nothing.
fn write_sunspec(site: &mut Site, battery: usize, address: u16, values: &[u16]) -> Result<(), u8> {
    let first = address.checked_sub(site.cells[battery].sax.sunspec_base).ok_or(ILLEGAL_ADDRESS)?;
    let pairs: Vec<(u16, u16)> = (first..=u16::MAX).zip(values.iter().copied()).collect();
    if values.is_empty() || pairs.iter().any(|(register, _)| !(49..=51).contains(register)) {
        return Err(ILLEGAL_ADDRESS);
    }
    let sound = |(register, value): &(u16, u16)| match register {
        49 => (-10_000..=10_000).contains(&i32::from(*value as i16)),
        50 => *value <= 300,
        _ => *value <= 1,
    };
    if !pairs.iter().all(sound) {
        return Err(ILLEGAL_VALUE);
    }
    for (register, value) in pairs {
        write_sunspec_register(site, battery, register, value);
    }
    Ok(())
}

fn write_sunspec_register(site: &mut Site, battery: usize, register: u16, value: u16) {
    let now_ms = site.now_ms();
    let address = site.cells[battery].sax.sunspec_base + register;
    site.note_write(battery, UNIT_SUNSPEC, address, value);
    let commanded = images::commanded_w(site, battery).is_some();
    let cell = &mut site.cells[battery];
    match register {
        49 => cell.registers.percent = value as i16,
        50 => cell.battery.set_timeout_s(value),
        _ if value == 0 => cell.battery.release(now_ms),
        _ => {}
    }
    // A setpoint counts in setpoint mode; the mode takes the setpoint that is there (facts/sax.md 2: mode first, then setpoint).
    if register == 51 && value == 1 || register == 49 && commanded {
        let power_w = i64::from(cell.registers.percent) * cell.battery.params().max_discharge_w / 10_000;
        cell.battery.command(now_ms, power_w);
    }
}

fn written(result: Result<(), u8>, request: &Request) -> Answer {
    match (result, request) {
        (Err(code), _) => exception(request, code),
        (Ok(()), Request::WriteSingleRegister { address, value }) => {
            Answer::Reply(Reply::WrittenSingleRegister { address: *address, value: *value })
        }
        (Ok(()), Request::WriteMultipleRegisters { address, values }) => {
            Answer::Reply(Reply::WrittenMultipleRegisters { address: *address, count: values.len() as u16 })
        }
        (Ok(()), _) => Answer::Silence,
    }
}

fn exception(request: &Request, code: u8) -> Answer {
    let function = request.function();
    Answer::Reply(Reply::Exception { function, code })
}
