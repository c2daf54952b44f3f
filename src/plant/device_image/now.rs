//! What a simulated device would measure at the present moment, quantity by quantity. Knows nothing of registers.

use super::codes::Mood;
use crate::device::profile::Point;
use crate::device::quantity::Quantity;
use crate::plant::battery::{Battery, Control};
use crate::plant::charger::Charger;
use crate::plant::device::{Device, Serves};
use crate::plant::lies::Lies;
use crate::plant::meter::MeterReading;
use crate::plant::site::Site;

/// Below this a battery counts as idle, W.
const IDLE_W: i64 = 20;
/// Voltage of a pack: 96 cells of 3.2 to 3.4 V, mV.
const CELLS: i64 = 96;

/// A device and the moment.
pub(super) struct Now<'a> {
    pub(super) site: &'a Site,
    pub(super) device: &'a Device,
    meter: MeterReading,
    battery: Option<&'a Battery>,
    charger: Option<&'a Charger>,
    power_w: i64,
    lies: Lies,
    pub(super) mood: Mood,
}

impl<'a> Now<'a> {
    pub(super) fn of(site: &'a Site, device: &'a Device) -> Now<'a> {
        let battery = device.battery().and_then(|k| site.battery(k));
        let now_ms = site.now_ms();
        let host = device.params.host;
        let lies = Lies::of(&site.faults().active(host), host, now_ms);
        let power_w = lies.power_w(battery.map_or(0, |b| b.reported_w(now_ms)));
        let mood = match battery {
            Some(b) if b.state(now_ms).code() == 1 => Mood::Off,
            _ if power_w > IDLE_W => Mood::Discharging,
            _ if power_w < -IDLE_W => Mood::Charging,
            _ => Mood::Idle,
        };
        let charger = match device.params.serves {
            Serves::Charger(k) => site.charger(k),
            Serves::Meter | Serves::Battery(_) | Serves::Bms(_) => None,
        };
        let meter = lies.meter(device.frozen_meter.unwrap_or_else(|| site.meter_reading()));
        Now { site, device, meter, battery, charger, power_w, lies, mood }
    }

    pub(super) fn cell_mv(&self) -> i64 {
        3200 + self.battery.map_or(0, |b| i64::from(b.soc_pm())) / 5
    }

    /// Most current in this direction, mA: what the rating is at the pack's voltage, and nothing when full, empty or left alone.
    pub(super) fn limit_ma(&self, charge: bool) -> i64 {
        let Some(battery) = self.battery.filter(|_| self.device.is_heard(self.site.now_ms())) else { return 0 };
        let (discharge_w, charge_w) = battery.ability_w();
        let rated_w = if charge { charge_w } else { discharge_w };
        let stopped = if charge { battery.is_full() } else { battery.is_empty() };
        // A fifth more than the rating needs, so that the limit is not what stops the battery.
        if stopped { 0 } else { rated_w * 1_200_000 / (self.cell_mv() * CELLS).max(1) }
    }

    /// As [`Now::value`], but what a battery aims at where the profile says that this is what it reports, and blocks that are there whether
    /// or not the battery is full or empty where one register stands for both directions.
    pub(super) fn of_point(&self, point: &Point) -> Option<i64> {
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
        if let Some(charger) = self.charger {
            return of_charger(charger, quantity);
        }
        let battery = self.battery?;
        let params = battery.params();
        Some(match quantity {
            Quantity::Power => self.power_w,
            Quantity::Soc => i64::from(self.lies.soc_pm(battery.soc_pm())),
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
    pub(super) fn largest(&self, quantity: Quantity) -> i64 {
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

fn of_charger(charger: &Charger, quantity: Quantity) -> Option<i64> {
    Some(match quantity {
        Quantity::ChargerCurrentOf(k) => *charger.car().current_ma().get(k)?,
        Quantity::ChargerPower => charger.car().power_mw().iter().sum::<i64>() / 1000,
        Quantity::SessionEnergy => charger.session_wh(),
        Quantity::ChargerInForce => charger.in_force_ma(),
        Quantity::ChargerLimit => charger.limit_ma(),
        Quantity::ChargerMost => charger.params().most_ma,
        Quantity::ChargerFallback => i64::from(charger.fallback_a()) * 1000,
        Quantity::ChargerTimeout => i64::from(charger.timeout_s()),
        _ => return None,
    })
}
