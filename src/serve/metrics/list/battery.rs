//! The batteries.

use super::{Facts, Metric, Samples, count, counter, gauge, ratio, seconds, watts};
use crate::serve::document::Battery;
use crate::serve::metrics::page::yes;

pub(super) static LIST: &[Metric] = &[
    gauge("sax_battery_info", &["battery", "device", "role", "phase"], "What the battery is, always 1.", |f, out| {
        f.document.batteries.iter().for_each(|b| out.add(&[&b.name, &b.device, b.role, &b.phase], Some(1.0)));
    }),
    gauge("sax_battery_answers", BATTERY, "0 when the battery does not answer, else 1.", |f, out| {
        batteries(f, out, |b| Some(yes(b.state != "no answer")));
    }),
    gauge("sax_battery_age_seconds", BATTERY, "Age of the newest values of the battery.", |f, out| {
        batteries(f, out, |b| seconds(b.age_ms))
    }),
    gauge("sax_battery_soc_ratio", BATTERY, "State of charge, 0 to 1.", |f, out| batteries(f, out, |b| ratio(b.soc_pct))),
    gauge("sax_battery_power_watts", BATTERY, "Power of the battery, discharge positive.", |f, out| {
        batteries(f, out, |b| watts(b.power_w))
    }),
    gauge("sax_battery_setpoint_watts", BATTERY, "Power that the battery is told, discharge positive.", |f, out| {
        batteries(f, out, |b| watts(b.setpoint_w));
    }),
    gauge("sax_battery_charge_limit_watts", BATTERY, "Most that the battery may be charged with now.", |f, out| {
        batteries(f, out, |b| watts(b.charge_limit_w));
    }),
    gauge("sax_battery_discharge_limit_watts", BATTERY, "Most that the battery may give now.", |f, out| {
        batteries(f, out, |b| watts(b.discharge_limit_w));
    }),
    gauge(
        "sax_battery_limited",
        BATTERY,
        "1 when something keeps the battery from what is wanted of it; the status says what.",
        |f, out| {
            batteries(f, out, |b| Some(yes(!b.limited_by.is_empty())));
        },
    ),
    counter("sax_battery_writes_total", BATTERY, "Writes that the battery has acknowledged.", |f, out| {
        batteries(f, out, |b| count(b.writes))
    }),
    gauge("sax_battery_last_write_age_seconds", BATTERY, "How long ago the battery was written last.", |f, out| {
        batteries(f, out, |b| seconds(b.last_write_age_ms));
    }),
    gauge("sax_battery_scale_ratio", BATTERY, "What the power reading is multiplied by to agree with the meter, as learned.", |f, out| {
        batteries(f, out, |b| Some(b.learned.scale));
    }),
    gauge("sax_battery_response_seconds", BATTERY, "Longest time from a command to the movement, as learned.", |f, out| {
        batteries(f, out, |b| seconds(b.learned.response_ms));
    }),
];

pub(super) const BATTERY: &[&str] = &["battery"];

fn batteries(facts: &Facts<'_>, out: &mut Samples<'_>, of: fn(&Battery) -> Option<f64>) {
    facts.document.batteries.iter().for_each(|battery| out.add(&[&battery.name], of(battery)));
}
