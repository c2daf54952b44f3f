//! What the configuration must know about devices, out of their profiles.

use crate::config::{DeviceFacts, Devices};
use crate::device::library::Library;
use crate::device::parse::Device;
use crate::device::profile::{Profile, Register};
use crate::device::quantity::Quantity;

impl Devices for Library {
    fn find(&self, name: &str) -> Option<DeviceFacts> {
        Library::find(self, name).map(|device| match device {
            Device::Profile(p) => facts(std::iter::once(p.as_ref())),
            Device::Choice(c) => facts(self.banks(&c.probe)),
            Device::Telegrams(_) => DeviceFacts { meter: true, telegrams: true, ..DeviceFacts::default() },
        })
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|d| d.name().to_owned()).collect()
    }
}

/// What one unit of this register stands for, mA.
fn step_ma(register: &Register) -> u32 {
    u32::try_from(register.scale_millionths.unsigned_abs() / 1_000_000).unwrap_or(u32::MAX).max(1)
}

/// Whether a BMS gives a charge and a discharge limit.
pub(super) fn current_limits(profile: &Profile) -> (bool, bool) {
    let group = profile.bms.as_ref().is_some_and(|bms| bms.group.is_some());
    let has = |quantity| group || profile.point(quantity).is_some();
    (has(Quantity::ChargeLimit), has(Quantity::DischargeLimit))
}

/// It can be told either.
pub(super) fn takes_both(p: &Profile) -> bool {
    p.limits.is_some() && p.setpoint.is_some()
}

fn facts<'p>(banks: impl Iterator<Item = &'p Profile>) -> DeviceFacts {
    let mut facts = DeviceFacts::default();
    for p in banks {
        facts.battery |= p.is_battery();
        facts.meter |= p.has_total() || p.has_phases();
        facts.via_battery |= p.meter_behind_battery;
        facts.phases |= p.has_phases();
        facts.currents |= (0..3).all(|f| p.point(Quantity::GridCurrentOf(f)).is_some());
        facts.bms |= p.bms.is_some();
        if let Some(charger) = &p.charger {
            facts.charger = true;
            facts.fallback_step_ma = charger.fallback.as_ref().map(step_ma);
            facts.longest_poll_ms = charger.longest_poll().map(|poll| u32::try_from(poll.as_ms()).unwrap_or(u32::MAX));
        }
        facts.longest_poll_ms = facts.longest_poll_ms.or(p.bms.as_ref().and_then(|b| b.longest_poll_ms));
        facts.settings.extend(p.settings.iter().cloned());
        facts.tcp_port = facts.tcp_port.or(Some(p.tcp_port));
        facts.units.push(p.unit);
        if p.is_battery() {
            facts.setpoint |= p.setpoint.is_some();
            facts.limits |= p.limits.is_some();
            facts.hybrid |= takes_both(p);
            facts.encodings.extend(p.setpoint.iter().flat_map(|s| s.encodings.iter().map(|e| e.0.clone())));
        }
    }
    facts
}
