//! The battery management systems, each with the name of its battery.

use super::battery::BATTERY;
use super::{Facts, Metric, Samples, count, counter, gauge, ratio, seconds};
use crate::serve::document::BmsStatus;
use crate::serve::metrics::page::yes;

pub(super) static LIST: &[Metric] = &[
    gauge("sax_bms_info", &["battery", "device"], "What the BMS of the battery is, always 1.", |f, out| {
        for battery in &f.document.batteries {
            if let Some(bms) = &battery.bms {
                out.add(&[&battery.name, &bms.device], Some(1.0));
            }
        }
    }),
    gauge("sax_bms_connected", BATTERY, "1 while the BMS is heard, else 0.", |f, out| bmses(f, out, |b| Some(yes(b.state == "Normal")))),
    gauge("sax_bms_age_seconds", BATTERY, "Age of the newest answer of the BMS that counts.", |f, out| {
        bmses(f, out, |b| seconds(b.age_ms))
    }),
    gauge("sax_bms_soc_ratio", BATTERY, "State of charge as the BMS says, 0 to 1.", |f, out| bmses(f, out, |b| ratio(b.soc_pct))),
    gauge("sax_bms_soh_ratio", BATTERY, "State of health as the BMS says, 0 to 1.", |f, out| bmses(f, out, |b| ratio(b.soh_pct))),
    gauge("sax_bms_voltage_volts", BATTERY, "Voltage of the cells together.", |f, out| bmses(f, out, |b| b.voltage_v)),
    gauge("sax_bms_current_amperes", BATTERY, "Current of the cells, discharge positive.", |f, out| bmses(f, out, |b| b.current_a)),
    gauge("sax_bms_charge_limit_amperes", BATTERY, "Most charging that BMS and configuration allow.", |f, out| {
        bmses(f, out, |b| b.charge_limit_a);
    }),
    gauge("sax_bms_discharge_limit_amperes", BATTERY, "Most discharging that BMS and configuration allow.", |f, out| {
        bmses(f, out, |b| b.discharge_limit_a);
    }),
    gauge("sax_bms_charge_allowed", BATTERY, "1 when the BMS allows charging, else 0.", |f, out| {
        bmses(f, out, |b| b.charge_allowed.map(yes))
    }),
    gauge("sax_bms_discharge_allowed", BATTERY, "1 when the BMS allows discharging, else 0.", |f, out| {
        bmses(f, out, |b| b.discharge_allowed.map(yes));
    }),
    gauge("sax_bms_cell_voltage_max_volts", BATTERY, "Highest voltage of a cell.", |f, out| bmses(f, out, |b| b.cell_voltage_max_v)),
    gauge("sax_bms_cell_voltage_min_volts", BATTERY, "Lowest voltage of a cell.", |f, out| bmses(f, out, |b| b.cell_voltage_min_v)),
    gauge("sax_bms_cell_temperature_max_celsius", BATTERY, "Highest temperature of a cell.", |f, out| {
        bmses(f, out, |b| b.cell_temperature_max_c.map(|c| c as f64));
    }),
    gauge("sax_bms_cell_temperature_min_celsius", BATTERY, "Lowest temperature of a cell.", |f, out| {
        bmses(f, out, |b| b.cell_temperature_min_c.map(|c| c as f64));
    }),
    gauge("sax_bms_notices", BATTERY, "How many things the BMS reports that someone should know.", |f, out| {
        bmses(f, out, |b| Some(b.notices.len() as f64));
    }),
    counter("sax_bms_events_total", &["battery", "counter"], "What the BMS counts, by the name of its counter.", |f, out| {
        for battery in &f.document.batteries {
            let counters = battery.bms.iter().flat_map(|bms| &bms.counters);
            counters.for_each(|(name, value)| out.add(&[&battery.name, name], count(*value)));
        }
    }),
    gauge("sax_bms_clock_drift_seconds", BATTERY, "How far the clock of the BMS is ahead of ours.", |f, out| {
        bmses(f, out, |b| b.clock_drift_s.map(|s| s as f64));
    }),
];

fn bmses(facts: &Facts<'_>, out: &mut Samples<'_>, of: fn(&BmsStatus) -> Option<f64>) {
    facts.document.batteries.iter().for_each(|battery| out.add(&[&battery.name], battery.bms.as_ref().and_then(of)));
}
