//! A simulated device that answers as its profile says: a meter at the grid connection, a battery, its management system, or a charger.
//!
//! Judges requests and carries out writes; what the registers hold is in [`device_image`](super::device_image). Takes what the profile
//! knows and refuses everything else, so that a controller that asks for more than its profile says is found out. SAX batteries are not
//! here: theirs are made by hand ([`sax`](super::sax)).

mod charger;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::device_image::{self as image, Image};
use super::meter::MeterReading;
use super::sax::Answer;
use super::site::Site;
use crate::device::mirror::{self, Taken};
use crate::device::profile::{Profile, Register};
use crate::modbus::pdu::{Reply, Request};

const ILLEGAL_FUNCTION: u8 = 1;
const ILLEGAL_ADDRESS: u8 = 2;
const ILLEGAL_VALUE: u8 = 3;

/// What a device is to the site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Serves {
    /// The meter at the grid connection.
    Meter,
    /// This battery, or one of its register banks.
    Battery(usize),
    /// The management system of this battery.
    Bms(usize),
    /// This charger.
    Charger(usize),
}

/// A device to build.
#[derive(Clone, PartialEq, Debug)]
pub struct DeviceParams {
    /// The host or bus it is on: a battery's own below the number of batteries, further ones from there on.
    pub host: usize,
    /// Its unit there.
    pub unit: u8,
    /// How it answers, with its settings.
    pub profile: Arc<Profile>,
    /// What it is.
    pub serves: Serves,
    /// What the chosen encoding adds to a setpoint in its register.
    pub offset: i64,
    /// A battery with a heartbeat ignores setpoints, and ends the one in force, this long after the last beat, in ms; a management system
    /// allows no current while nobody writes its heartbeat for so long.
    pub patience_ms: u64,
}

/// The device, and what it remembers.
#[derive(Clone, Debug)]
pub(super) struct Device {
    pub(super) params: DeviceParams,
    /// What the registers mean, at the addresses where this device has them.
    pub(super) profile: Arc<Profile>,
    pub(super) written: BTreeMap<u16, u16>,
    /// The heartbeat that was written last, and when, in ms.
    pub(super) beat: Option<(u16, u64)>,
    pub(super) frozen: Option<Image>,
    pub(super) frozen_meter: Option<MeterReading>,
}

/// Where a SunSpec device has its model (behind "SunS" and the common model of 66 registers).
pub(super) const SUNSPEC_BASE: u16 = 40_000;
pub(super) const SUNSPEC_MODEL: u16 = SUNSPEC_BASE + 2 + 2 + 66;

impl Device {
    pub(super) fn new(params: DeviceParams) -> Device {
        let model = params.profile.bms.as_ref().and_then(|bms| bms.sunspec_model);
        let profile = match model {
            Some(_) => Arc::new(params.profile.shifted(i32::from(SUNSPEC_MODEL))),
            None => Arc::clone(&params.profile),
        };
        Device { params, profile, written: BTreeMap::new(), beat: None, frozen: None, frozen_meter: None }
    }

    /// The battery it belongs to.
    pub(super) fn battery(&self) -> Option<usize> {
        match self.params.serves {
            Serves::Meter | Serves::Charger(_) => None,
            Serves::Battery(k) | Serves::Bms(k) => Some(k),
        }
    }

    /// Forgets everything, as a restart does.
    pub(super) fn restart(&mut self) {
        self.written.clear();
        self.beat = None;
    }

    /// Whether someone shows that it lives, as far as this device wants to know.
    pub(super) fn is_heard(&self, now_ms: u64) -> bool {
        let wants = self.profile.heartbeat.is_some() || self.profile.bms.as_ref().is_some_and(|bms| bms.heartbeat_at.is_some());
        !wants || self.beat.is_some_and(|(_, at_ms)| now_ms < at_ms + self.params.patience_ms)
    }
}

/// Makes what device `k` reports stand still from now on, or lets it go on.
pub(super) fn freeze(site: &mut Site, k: usize, meter: bool, registers: bool) {
    let reading = site.meter_reading();
    let Some(device) = site.devices.get(k) else { return };
    let image = registers.then(|| device.frozen.clone().unwrap_or_else(|| image::of(site, device)));
    let kept = device.frozen_meter.unwrap_or(reading);
    let device = &mut site.devices[k];
    (device.frozen, device.frozen_meter) = (image, meter.then_some(kept));
}

/// Answers a request to device `k` at the site's present time.
pub(super) fn answer(site: &mut Site, k: usize, request: &Request) -> Answer {
    let Some(device) = site.devices.get(k) else { return Answer::Silence };
    let (battery, unit) = (device.battery(), device.params.unit);
    if let Some(battery) = battery {
        site.note_request(battery, unit);
    }
    site.ask_charger(k);
    let Some(device) = site.devices.get(k) else { return Answer::Silence };
    match request {
        Request::ReadHoldingRegisters { address, count } => read(site, device, 3, *address, *count),
        Request::ReadInputRegisters { address, count } => read(site, device, 4, *address, *count),
        Request::WriteSingleRegister { address, value } => match write(site, k, 6, *address, &[*value]) {
            Ok(()) => Answer::Reply(Reply::WrittenSingleRegister { address: *address, value: *value }),
            Err(code) => exception(request, code),
        },
        Request::WriteMultipleRegisters { address, values } => match write(site, k, 16, *address, values) {
            Ok(()) => Answer::Reply(Reply::WrittenMultipleRegisters { address: *address, count: values.len() as u16 }),
            Err(code) => exception(request, code),
        },
        _ => exception(request, ILLEGAL_FUNCTION),
    }
}

fn read(site: &Site, device: &Device, function: u8, address: u16, count: u16) -> Answer {
    let image = device.frozen.clone().unwrap_or_else(|| image::of(site, device));
    let values = image.slice(function, address, count);
    Answer::Reply(match (values, function) {
        (None, _) => Reply::Exception { function, code: ILLEGAL_ADDRESS },
        (Some(values), 4) => Reply::InputRegisters { values },
        (Some(values), _) => Reply::HoldingRegisters { values },
    })
}

/// One number or one fixed write per request, all of its registers at once.
fn write(site: &mut Site, k: usize, function: u8, address: u16, values: &[u16]) -> Result<(), u8> {
    let now_ms = site.now_ms();
    let profile = Arc::clone(&site.devices[k].profile);
    if let Serves::Charger(charger) = site.devices[k].params.serves {
        return charger::write(site, k, charger, function, address, values);
    }
    let taken = takes(&profile);
    let at_address: Vec<_> = taken.iter().filter(|t| t.0.address == address && usize::from(t.1) == values.len()).collect();
    if at_address.is_empty() {
        return Err(if taken.is_empty() { ILLEGAL_FUNCTION } else { ILLEGAL_ADDRESS });
    }
    if at_address.iter().all(|(t, _)| t.function != function) {
        return Err(ILLEGAL_FUNCTION);
    }
    if let Some(heartbeat) = profile.heartbeat.filter(|h| h.address == address) {
        if !heartbeat.values.contains(&values[0]) {
            return Err(ILLEGAL_VALUE);
        }
    }
    let battery = site.devices[k].battery();
    // The heartbeat of a management system is no command to its battery.
    let commanded = battery.filter(|_| matches!(site.devices[k].params.serves, Serves::Battery(_)));
    for (register, value) in (address..).zip(values) {
        if let Some(battery) = commanded {
            site.note_write(battery, site.devices[k].params.unit, register, *value);
        }
    }
    let device = &mut site.devices[k];
    let stood = stands(device);
    device.written.extend((address..).zip(values.iter().copied()));
    note_beat(device, address, values[0], now_ms);
    obey(site, k, address, stood);
    Ok(())
}

/// Everything that may be written: where, with which function, and how many registers.
fn takes(profile: &Profile) -> Vec<(Taken, u16)> {
    let number = |r: &Register| (Taken { address: r.address, function: r.function, words: Vec::new() }, r.kind.words());
    let word = |address: u16, function: u8| (Taken { address, function, words: Vec::new() }, 1);
    let fixed = mirror::start(profile).into_iter().chain(mirror::release(profile));
    let mut all: Vec<_> = fixed.map(|t| (t.clone(), u16::try_from(t.words.len()).unwrap_or(u16::MAX))).collect();
    all.extend(profile.setpoint.iter().map(|s| number(&s.register)));
    all.extend(profile.limits.iter().flat_map(|l| [number(&l.charge), number(&l.discharge)]));
    all.extend(profile.heartbeat.iter().map(|h| word(h.address, h.function)));
    all.extend(profile.bms.iter().filter_map(|b| b.heartbeat_at).map(|at| word(at, 16)));
    all
}

/// A beat counts when it is another one than the last.
fn note_beat(device: &mut Device, address: u16, value: u16, now_ms: u64) {
    let of_battery = device.profile.heartbeat.is_some_and(|h| h.address == address);
    let of_bms = device.profile.bms.as_ref().is_some_and(|b| b.heartbeat_at == Some(address));
    if (of_battery || of_bms) && device.beat.is_none_or(|(last, _)| last != value) {
        device.beat = Some((value, now_ms));
    }
}

/// Whether everything was written that must stand before a setpoint counts.
fn stands(device: &Device) -> bool {
    mirror::start(&device.profile).iter().all(|t| holds(device, t))
}

fn holds(device: &Device, taken: &Taken) -> bool {
    (taken.address..).zip(&taken.words).all(|(at, word)| device.written.get(&at) == Some(word))
}

/// What a write means for the battery. A setpoint counts once all start writes stand; those that come after it make it count.
fn obey(site: &mut Site, k: usize, address: u16, stood: bool) {
    let now_ms = site.now_ms();
    let device = &site.devices[k];
    let Serves::Battery(battery) = device.params.serves else { return };
    let profile = Arc::clone(&device.profile);
    let (stands, heard) = (stands(device), device.is_heard(now_ms));
    let released = mirror::release(&profile).iter().any(|t| t.address == address && holds(device, t));
    let number = |r: &Register| {
        let words: Option<Vec<u16>> = (r.address..).take(usize::from(r.kind.words())).map(|at| device.written.get(&at).copied()).collect();
        mirror::number(r, &words?)
    };
    let watts = |r: &Register| number(r).map(|n| mirror::scaled(r, n));
    let limits = profile.limits.as_ref().map(|l| (l.charge.address, l.discharge.address, watts(&l.charge), watts(&l.discharge)));
    let commanded = profile.setpoint.as_ref().filter(|s| s.register.address == address || stands && !stood);
    let power_w = commanded.and_then(|s| Some(image::watts(site, battery, device, s, number(&s.register)?)));
    let Some(battery) = site.battery_mut(battery) else { return };
    if released || stood && !stands {
        battery.release(now_ms);
    } else if let Some(power_w) = power_w.filter(|_| stands && heard) {
        battery.command(now_ms, power_w);
    }
    if let Some((charge_at, discharge_at, charge, discharge)) = limits {
        let (discharge_w, charge_w) = battery.limits_w(now_ms);
        let watts = |written: Option<i64>, now: u16| written.map_or(now, |w| w.clamp(0, 0xFFFF) as u16);
        if address == charge_at {
            battery.set_limits(now_ms, discharge_w, watts(charge, charge_w));
        } else if address == discharge_at {
            battery.set_limits(now_ms, watts(discharge, discharge_w), charge_w);
        }
    }
}

fn exception(request: &Request, code: u8) -> Answer {
    Answer::Reply(Reply::Exception { function: request.function(), code })
}
