//! The registers of a simulated device as they read at the present moment: what is true, put into the form that its profile describes.
//!
//! Only shows; writes are in [`device`](super::device). Codes and bits are chosen by what they allow and by their names.

use std::collections::BTreeMap;

use super::battery::{Battery, Control};
use super::device::{Device, SUNSPEC_BASE, SUNSPEC_MODEL};
use super::meter::MeterReading;
use super::site::Site;
use crate::device::bms::BmsParts;
use crate::device::mirror;
use crate::device::profile::{Code, Point, Profile, Setpoint};
use crate::device::quantity::Quantity;
use crate::device::status::{Content, Status};

/// Power of ten of a percentage setpoint: hundredths of a percent, which a register of 16 bits just holds.
const PERCENT_EXPONENT: i32 = -2;
/// Below this a battery counts as idle, W.
const IDLE_W: i64 = 20;
/// Voltage of a pack: 96 cells of 3.2 to 3.4 V, mV.
const CELLS: i64 = 96;

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
    image
}

/// What a setpoint that was written means for this battery, W.
pub(super) fn watts(site: &Site, battery: usize, device: &Device, setpoint: &Setpoint, raw: i64) -> i64 {
    let reference_w = site.battery(battery).map_or(0, |b| b.params().max_discharge_w);
    mirror::watts(setpoint, raw, device.params.offset, reference_w, PERCENT_EXPONENT)
}

/// What a device is like at the moment, in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mood {
    Charging,
    Discharging,
    Idle,
    Off,
}

struct Now<'a> {
    site: &'a Site,
    device: &'a Device,
    meter: MeterReading,
    battery: Option<&'a Battery>,
    power_w: i64,
    mood: Mood,
}

impl<'a> Now<'a> {
    fn of(site: &'a Site, device: &'a Device) -> Now<'a> {
        let battery = device.battery().and_then(|k| site.battery(k));
        let now_ms = site.now_ms();
        let power_w = battery.map_or(0, |b| b.reported_w(now_ms));
        let mood = match battery {
            Some(b) if b.state(now_ms).code() == 1 => Mood::Off,
            _ if power_w > IDLE_W => Mood::Discharging,
            _ if power_w < -IDLE_W => Mood::Charging,
            _ => Mood::Idle,
        };
        Now { site, device, meter: device.frozen_meter.unwrap_or_else(|| site.meter_reading()), battery, power_w, mood }
    }

    fn cell_mv(&self) -> i64 {
        3200 + self.battery.map_or(0, |b| i64::from(b.soc_pm())) / 5
    }

    /// Most current in this direction, mA: what the rating is at the pack's voltage, and nothing when full, empty or left alone.
    fn limit_ma(&self, charge: bool) -> i64 {
        let Some(battery) = self.battery.filter(|_| self.device.is_heard(self.site.now_ms())) else { return 0 };
        let rated_w = if charge { battery.params().max_charge_w } else { battery.params().max_discharge_w };
        let stopped = if charge { battery.is_full() } else { battery.is_empty() };
        // A fifth more than the rating needs, so that the limit is not what stops the battery.
        if stopped { 0 } else { rated_w * 1_200_000 / (self.cell_mv() * CELLS).max(1) }
    }

    /// As [`Now::value`], but what a battery aims at where the profile says that this is what it reports, and blocks that are there whether
    /// or not the battery is full or empty where one register stands for both directions.
    fn of_point(&self, point: &Point) -> Option<i64> {
        use Quantity::{ChargeAvailable, DischargeAvailable, Power};
        let twin = |q: Quantity| self.device.profile.point(q).is_some_and(|p| p.address == point.address);
        let battery = self.battery;
        match (point.quantity, battery) {
            (Power, Some(battery)) if point.target => Some(match battery.control(self.site.now_ms()) {
                Control::Commanded { power_w, .. } => power_w,
                Control::OwnMeter => battery.power_mw() / 1000,
            }),
            (ChargeAvailable | DischargeAvailable, Some(battery)) if twin(ChargeAvailable) && twin(DischargeAvailable) => {
                let params = battery.params();
                // Whole blocks: what has begun counts.
                let block = point.scale_millionths.max(1) / 1_000_000;
                Some(params.max_charge_w.max(params.max_discharge_w) + block.max(1) - 1)
            }
            (quantity, _) => self.value(quantity),
        }
    }

    /// In units of the last decimal; `None` where this device does not know it.
    fn value(&self, quantity: Quantity) -> Option<i64> {
        let meter = &self.meter;
        match quantity {
            Quantity::GridPower => return Some(meter.total_w()),
            Quantity::GridPowerOf(k) => return meter.power_w.get(k).copied(),
            Quantity::GridCurrentOf(k) => return meter.current_ma().get(k).copied(),
            Quantity::GridVoltageOf(k) => return meter.voltage_mv.get(k).copied(),
            Quantity::GridReactiveOf(_) | Quantity::GridReactive => return Some(0),
            Quantity::GridApparent => return Some(meter.power_w.iter().map(|w| w.abs()).sum()),
            Quantity::PowerFactor => return Some(1000),
            // mW times 10 ms to Wh.
            Quantity::GridImport => return Some(self.site.integrals().import / 360_000_000),
            Quantity::GridExport => return Some(self.site.integrals().export / 360_000_000),
            Quantity::Frequency => return Some(meter.frequency_mhz),
            _ => {}
        }
        let battery = self.battery?;
        let params = battery.params();
        Some(match quantity {
            Quantity::Power => self.power_w,
            Quantity::Soc => i64::from(battery.soc_pm()),
            Quantity::Temperature => 24,
            Quantity::ChargeAvailable => {
                if battery.is_full() {
                    0
                } else {
                    params.max_charge_w
                }
            }
            Quantity::DischargeAvailable => {
                if battery.is_empty() {
                    0
                } else {
                    params.max_discharge_w
                }
            }
            Quantity::ReferencePower => params.max_discharge_w,
            Quantity::Capacity | Quantity::FullEnergy => params.capacity_wh,
            Quantity::StoredEnergy => battery.energy_mwh() / 1000,
            Quantity::Soh => 980,
            Quantity::PackVoltage => self.cell_mv() * CELLS,
            Quantity::PackCurrent => self.power_w * 1_000_000 / (self.cell_mv() * CELLS).max(1),
            Quantity::ChargeLimit => self.limit_ma(true),
            Quantity::DischargeLimit => self.limit_ma(false),
            Quantity::CellVoltageMax => self.cell_mv() + 4,
            Quantity::CellVoltageMin => self.cell_mv() - 4,
            Quantity::CellTemperatureMax => 25,
            Quantity::CellTemperatureMin => 22,
            _ => return None,
        })
    }

    /// The largest value that may come, for the choice of a scale factor.
    fn largest(&self, quantity: Quantity) -> i64 {
        let rated_w = self.battery.map_or(100_000, |b| b.params().max_charge_w.max(b.params().max_discharge_w));
        match quantity {
            Quantity::Power | Quantity::ChargeAvailable | Quantity::DischargeAvailable | Quantity::ReferencePower => rated_w * 5 / 4,
            Quantity::Soc => 1000,
            Quantity::Temperature => 150,
            Quantity::GridPower | Quantity::GridPowerOf(_) | Quantity::GridReactiveOf(_) => 250_000,
            Quantity::GridCurrentOf(_) => 500_000,
            Quantity::GridVoltageOf(_) => 300_000,
            Quantity::Frequency => 60_000,
            Quantity::Capacity => self.battery.map_or(0, |b| b.params().capacity_wh),
            other => self.value(other).unwrap_or(0),
        }
    }
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

fn status_words(status: &Status, mood: Mood) -> Vec<u16> {
    match &status.content {
        Content::Codes { codes, other } => {
            // Where only troubles have names, a value without a name is none.
            let unnamed = (1..=i64::from(u16::MAX)).find(|n| codes.iter().all(|c| c.value != *n)).filter(|_| other.is_none());
            let all_bad = codes.iter().all(|c| !is_healthy(c)) && mood != Mood::Off;
            vec![unnamed.filter(|_| all_bad && !codes.is_empty()).or_else(|| pick(codes, mood)).unwrap_or(0) as u16]
        }
        Content::Bits { words, bits, needs_any, .. } => {
            let needed: Vec<Code> = bits.iter().filter(|b| needs_any.iter().any(|n| i64::from(*n) == b.value)).cloned().collect();
            let set = pick(&needed, mood).map_or(0_u32, |bit| 1_u32.checked_shl(bit as u32).unwrap_or(0));
            if *words == 2 { vec![(set >> 16) as u16, set as u16] } else { vec![set as u16] }
        }
        Content::Number { kind, .. } => vec![0; usize::from(kind.words())],
    }
}

fn is_healthy(code: &Code) -> bool {
    code.charge && code.discharge && !code.alarm
}

/// The code that fits best: it allows what a healthy device allows, and its name says what the device does.
fn pick(codes: &[Code], mood: Mood) -> Option<i64> {
    let score = |code: &&Code| {
        let name = code.name.to_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        let (charging, discharging) = (has(&["charg"]) && !has(&["discharg"]), has(&["discharg"]));
        let trouble = has(&["fault", "fail", "not passed", "error"]) && !name.starts_with("no ");
        let fits = match mood {
            Mood::Charging => charging,
            Mood::Discharging => discharging,
            Mood::Idle => has(&["ready", "standby", "idle", "hold", "normal", "none", "connected"]) && !has(&["disconnected", "not "]),
            Mood::Off => return i32::from(!code.charge && !code.discharge) * 4,
        };
        // Where nothing fits, better what says nothing about charging.
        i32::from(is_healthy(code)) * 8 - i32::from(trouble) * 4 + i32::from(fits) * 2 + i32::from(!charging && !discharging)
    };
    // The first of those that fit equally well.
    let best = codes.iter().map(|c| score(&c)).max()?;
    codes.iter().find(|c| score(c) == best).map(|c| c.value)
}
