//! The figures of a `[[battery]]`: ratings, states of charge, times between writes; each in its range, and none against another.

use super::Battery;
use crate::config::devices::Known;
use crate::config::number::fixed_to_text;
use crate::config::reader::{Section, Spanned};
use crate::config::site::keep;

/// Inverters work badly below 150 to 300 W (spec/control.md 2.4, active set).
const MIN_POWER_W: i32 = 200;
/// More than any SAX battery has: what is above is a mistake in writing.
const MOST_SAX_W: i32 = 50_000;
/// A PowerPack has up to 250 kW (reference 3), and there may be several behind one controller.
const MOST_W: i32 = 1_000_000;

pub(super) fn read_writes(s: &mut Section<'_>, battery: &mut Battery) {
    let spacing = s.integer("write_spacing_ms", 100..=10_000u32);
    let refill = s.integer("write_refill_ms", 100..=10_000u32);
    if let (Some(spacing), Some(refill)) = (spacing, refill) {
        if refill.value < spacing.value {
            let message = format!("the average time between writes cannot be shorter than the least, which is {}.", spacing.value);
            s.add(refill.at, "write_refill_ms", message);
        }
    }
    battery.write_spacing_ms = spacing.map(Spanned::get);
    battery.write_refill_ms = refill.map(Spanned::get);
}

/// Only a SAX battery's ratings are known (facts/sax.md, ratings); a wrong guess for another would overload it.
pub(super) fn read_ratings(s: &mut Section<'_>, battery: &mut Battery, device: Option<&Known>) {
    let most_w = most_w(device);
    let mut rating = |key: &str, range: std::ops::RangeInclusive<i32>, into: &mut i32| {
        let read = |s: &mut Section<'_>, key: &str| s.integer(key, range);
        let must = device.is_some_and(|device| !device.is_sax());
        keep(if must { s.required(key, read) } else { read(s, key) }, into)
    };
    rating("capacity_wh", 100..=20 * most_w, &mut battery.capacity_wh);
    let charge_at = rating("max_charge_w", 0..=most_w, &mut battery.max_charge_w);
    rating("max_discharge_w", 0..=most_w, &mut battery.max_discharge_w);
    if battery.max_charge_w == 0 && battery.max_discharge_w == 0 {
        s.add(charge_at.unwrap_or(s.at()), "max_charge_w", "a battery that may neither charge nor discharge has no use.");
    }
}

/// The largest power that can be meant.
fn most_w(device: Option<&Known>) -> i32 {
    if device.is_some_and(|device| !device.is_sax()) { MOST_W } else { MOST_SAX_W }
}

pub(super) fn read_min_power(s: &mut Section<'_>, battery: &mut Battery, device: Option<&Known>) {
    let discharge_w = battery.max_discharge_w;
    let least = s.integer("min_power_w", 0..=most_w(device));
    if let Some(least) = least.filter(|least| least.value > discharge_w) {
        s.add(least.at, "min_power_w", format!("{} is more than max_discharge_w, which is {discharge_w}.", least.value));
    }
    battery.min_power_w = least.map_or(MIN_POWER_W.min(discharge_w), Spanned::get);
}

pub(super) fn read_soc(s: &mut Section<'_>, battery: &mut Battery) {
    let min_at = keep(s.decimal("min_soc_pct", 1, 0..=1000u16), &mut battery.min_soc_pm);
    let max_at = keep(s.decimal("max_soc_pct", 1, 0..=1000u16), &mut battery.max_soc_pm);
    let hysteresis_at = keep(s.decimal("soc_hysteresis_pct", 1, 10..=500u16), &mut battery.soc_hysteresis_pm);
    let show = |soc_pm: u16| fixed_to_text(soc_pm.into(), 1);
    let (min_pm, max_pm) = (battery.min_soc_pm, battery.max_soc_pm);
    if min_pm >= max_pm {
        let (key, at) = if min_at.is_some() { ("min_soc_pct", min_at) } else { ("max_soc_pct", max_at) };
        let message = format!("min_soc_pct ({}) must be below max_soc_pct ({}).", show(min_pm), show(max_pm));
        s.add(at.unwrap_or(s.at()), key, message);
    } else if battery.soc_hysteresis_pm >= max_pm - min_pm {
        let (key, at) = match (hysteresis_at, min_at) {
            (Some(at), _) => ("soc_hysteresis_pct", at),
            (None, Some(at)) => ("min_soc_pct", at),
            (None, None) => ("max_soc_pct", max_at.unwrap_or(s.at())),
        };
        let (hysteresis, band) = (show(battery.soc_hysteresis_pm), show(max_pm - min_pm));
        let message =
            format!("soc_hysteresis_pct ({hysteresis}) must be less than what lies between min_soc_pct and max_soc_pct ({band}).");
        s.add(at, key, message);
    }
}
