//! The registers of a simulated device as they read at the present moment: what is true, put into the form that its profile describes.
//!
//! Only shows; writes are in [`device`](super::device). Codes and bits are chosen by what they allow and by their names.

mod charger;
mod codes;
mod now;

use std::collections::BTreeMap;

use self::codes::{pick, status_words};
use self::now::Now;
use super::device::{Device, SUNSPEC_BASE, SUNSPEC_MODEL};
use super::faults::Fault;
use super::site::Site;
use crate::device::bms::BmsParts;
use crate::device::mirror;
use crate::device::profile::{Point, Profile, Setpoint};

/// Power of ten of a percentage setpoint: hundredths of a percent, which a register of 16 bits just holds.
const PERCENT_EXPONENT: i32 = -2;

/// Registers that exist, and what they hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Image {
    holding: BTreeMap<u16, u16>,
    input: BTreeMap<u16, u16>,
}

impl Image {
    /// The registers asked for with function 3 or 4; `None` if one of them does not exist.
    pub(super) fn slice(&self, function: u8, address: u16, count: u16) -> Option<Vec<u16>> {
        let registers = if function == 4 { &self.input } else { &self.holding };
        (0..count).map(|i| registers.get(&address.checked_add(i)?).copied()).collect()
    }

    /// Fills registers that exist; what does not stays away.
    fn put(&mut self, address: u16, values: &[u16]) {
        for (at, value) in (address..).zip(values) {
            for registers in [&mut self.holding, &mut self.input] {
                if let Some(place) = registers.get_mut(&at) {
                    *place = *value;
                }
            }
        }
    }

    /// Takes registers away.
    fn remove(&mut self, addresses: &[u16]) {
        for address in addresses {
            self.holding.remove(address);
            self.input.remove(address);
        }
    }

    fn make(&mut self, address: u16, values: &[u16]) {
        self.holding.extend((address..).zip(values.iter().copied()));
    }
}

/// All registers of this device now.
pub(super) fn of(site: &Site, device: &Device) -> Image {
    let now = Now::of(site, device);
    let profile = &*device.profile;
    let mut image = Image::default();
    for block in &profile.blocks {
        let registers = if block.function == 4 { &mut image.input } else { &mut image.holding };
        registers.extend((block.address..).take(usize::from(block.count)).map(|at| (at, 0)));
    }
    if profile.bms.as_ref().is_some_and(|bms| bms.sunspec_model.is_some()) {
        sunspec(profile, &mut image);
    } else {
        image.put(profile.probe.address, &profile.probe.expect);
    }
    for status in &profile.statuses {
        image.put(status.address, &status_words(status, now.mood));
    }
    for (at, value) in &device.written {
        image.make(*at, &[*value]);
    }
    for point in &profile.points {
        put_point(&now, point, &mut image);
    }
    if let Some(at) = profile.setpoint.as_ref().and_then(|s| s.scale_factor_at) {
        image.put(at, &[PERCENT_EXPONENT as i16 as u16]);
    }
    if let Some(bms) = &profile.bms {
        put_bms(&now, bms, &mut image);
    }
    if site.faults().active(device.params.host).contains(&Fault::NotANumber) {
        put_not_a_number(&now, &mut image);
    }
    charger::put(site, device, &mut image);
    image
}

/// What a setpoint that was written means for this battery, W.
pub(super) fn watts(site: &Site, battery: usize, device: &Device, setpoint: &Setpoint, raw: i64) -> i64 {
    let reference_w = site.battery(battery).map_or(0, |b| b.params().max_discharge_w);
    mirror::watts(setpoint, raw, device.params.offset, reference_w, PERCENT_EXPONENT)
}

fn put_point(now: &Now, point: &Point, image: &mut Image) {
    let profile = &*now.device.profile;
    if !point.codes.is_empty() {
        let code = pick(&point.codes, now.mood).unwrap_or(0);
        return image.put(point.address, &mirror::registers(profile, point, code, 0));
    }
    let exponent = point.scale_factor_at.map(|at| (at, mirror::exponent(profile, at, |q| now.largest(q))));
    if let Some((at, exponent)) = exponent {
        image.put(at, &[exponent as i16 as u16]);
    }
    let Some(value) = now.of_point(point) else { return };
    image.put(point.address, &mirror::registers(profile, point, value, exponent.map_or(0, |(_, e)| e)));
}

/// Every point says that it has no value; what a group of packs may do as well.
fn put_not_a_number(now: &Now, image: &mut Image) {
    let profile = &*now.device.profile;
    for point in &profile.points {
        image.put(point.address, &mirror::not_a_number(profile, point));
    }
    if let Some(group) = profile.bms.as_ref().and_then(|bms| bms.group.as_ref()) {
        for n in 0..group.count {
            let first = group.base.saturating_add(n.saturating_mul(group.stride));
            image.put(first.saturating_add(group.charge_limit), &[0xFFFF]);
            image.put(first.saturating_add(group.discharge_limit), &[0xFFFF]);
        }
    }
}

/// "SunS", the common model, the model itself, the end.
fn sunspec(profile: &Profile, image: &mut Image) {
    let last = profile.blocks.iter().map(|b| b.address.saturating_add(b.count)).max().unwrap_or(SUNSPEC_MODEL + 2);
    // Facts/devices.md 4.5: model 802 has 62 registers.
    let length = (last - SUNSPEC_MODEL - 2).max(62);
    let model = profile.bms.as_ref().and_then(|b| b.sunspec_model).unwrap_or(0);
    image.make(SUNSPEC_BASE, &[0x5375, 0x6E53, 1, 66]);
    image.make(SUNSPEC_BASE + 4, &[0; 66]);
    image.make(SUNSPEC_MODEL, &[model, length]);
    image.make(SUNSPEC_MODEL + 2, &vec![0; usize::from(length)]);
    image.make(SUNSPEC_MODEL + 2 + length, &[0xFFFF, 0]);
}

fn put_bms(now: &Now, bms: &BmsParts, image: &mut Image) {
    let seconds = now.site.now_ms() / 1000;
    if let Some(at) = bms.alive_at {
        image.put(at, &[(seconds % 0x1_0000) as u16]);
    }
    for (_, at) in bms.counters.iter().filter(|(name, _)| name.contains("time")) {
        image.put(*at, &[(seconds % 0x1_0000) as u16]);
    }
    if let Some(at) = bms.clock_at {
        image.put(at, &civil(now.site.wall_s()));
    }
    if let Some(group) = &bms.group {
        let running = group.count.clamp(1, 2);
        image.put(group.running_at, &[(1 << running) - 1]);
        for n in 0..running {
            let first = group.base.saturating_add(n.saturating_mul(group.stride));
            for (offset, charge) in [(group.charge_limit, true), (group.discharge_limit, false)] {
                let tenths = now.limit_ma(charge) / 100 / i64::from(running);
                image.put(first.saturating_add(offset), &[tenths.clamp(0, 0xFFFF) as u16]);
            }
        }
    }
}

/// Year, month, day, hour, minute, second of a moment in seconds since 1970, in UTC (Howard Hinnant's `civil_from_days`).
fn civil(unix_s: i64) -> [u16; 6] {
    let (days, second) = (unix_s.div_euclid(86_400), unix_s.rem_euclid(86_400));
    let z = days + 719_468;
    let (era, day_of_era) = (z.div_euclid(146_097), z.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    [year, month, day, second / 3600, second / 60 % 60, second % 60].map(|n| n.clamp(0, 0xFFFF) as u16)
}
