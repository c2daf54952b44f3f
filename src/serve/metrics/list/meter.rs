//! The meter, its phases, and what was counted on every link.

use super::{Facts, Metric, Samples, count, counter, gauge, joules, seconds, watts};
use crate::serve::document::Phase;

pub(super) static LIST: &[Metric] = &[
    gauge("sax_meter_info", &["device"], "What the meter is, always 1.", |f, out| {
        if !f.document.meter.device.is_empty() {
            out.add(&[&f.document.meter.device], Some(1.0));
        }
    }),
    gauge("sax_meter_age_seconds", &[], "Age of the newest good sample of the meter.", |f, out| {
        out.add(&[], seconds(f.document.meter.age_ms));
    }),
    gauge("sax_grid_power_watts", &[], "Power at the grid connection, import positive.", |f, out| {
        out.add(&[], watts(f.document.meter.power_w));
    }),
    gauge("sax_grid_frequency_hertz", &[], "Frequency of the grid.", |f, out| out.add(&[], f.document.meter.frequency_hz)),
    counter(
        "sax_grid_import_joules_total",
        &[],
        "Energy taken from the grid as the meter counts it; 3.6 million joules are 1 kWh.",
        |f, out| {
            out.add(&[], joules(f.document.meter.import_wh));
        },
    ),
    counter(
        "sax_grid_export_joules_total",
        &[],
        "Energy given to the grid as the meter counts it; 3.6 million joules are 1 kWh.",
        |f, out| {
            out.add(&[], joules(f.document.meter.export_wh));
        },
    ),
    gauge("sax_phase_power_watts", PHASE, "Power at the grid connection of the phase, import positive.", |f, out| {
        phases(f, out, |p| watts(p.power_w));
    }),
    gauge("sax_phase_current_amperes", PHASE, "Current of the phase.", |f, out| phases(f, out, |p| p.current_a)),
    gauge("sax_phase_voltage_volts", PHASE, "Voltage of the phase.", |f, out| phases(f, out, |p| p.voltage_v)),
    gauge(
        "sax_phase_fuse_headroom_amperes",
        PHASE,
        "How far the current of the phase is below the main fuse; negative is above.",
        |f, out| {
            phases(f, out, |p| p.fuse_headroom_a);
        },
    ),
    gauge("sax_phase_load_watts", PHASE, "What the house draws on the phase without the batteries.", |f, out| {
        phases(f, out, |p| watts(p.load_w));
    }),
    gauge("sax_phase_age_seconds", PHASE, "Age of the values of the phase; they are read more rarely than the total.", |f, out| {
        phases(f, out, |p| seconds(p.age_ms));
    }),
    gauge("sax_meter_latency_min_seconds", &[], "Least age of a value of the meter when it arrives, as learned.", |f, out| {
        out.add(&[], seconds(f.document.meter.learned.window_ms.first().copied()));
    }),
    gauge("sax_meter_latency_max_seconds", &[], "Greatest age of a value of the meter when it arrives, as learned.", |f, out| {
        out.add(&[], seconds(f.document.meter.learned.window_ms.last().copied()));
    }),
    gauge("sax_meter_averaging_seconds", &[], "Over how long the meter averages, as learned.", |f, out| {
        out.add(&[], seconds(Some(f.document.meter.learned.averaging_ms)));
    }),
    counter("sax_requests_total", &["link"], "Requests to devices on the link.", |f, out| {
        for (link, errors) in &f.document.errors {
            out.add(&[name(link)], count(errors.requests));
        }
    }),
    counter("sax_errors_total", &["link", "kind"], "Requests that failed on the link, by kind of failure.", |f, out| {
        for (link, e) in &f.document.errors {
            let kinds = [
                ("timeout", e.timeout),
                ("crc", e.crc),
                ("short", e.short),
                ("wrong_unit", e.wrong_unit),
                ("exception", e.exception),
                ("invalid", e.invalid),
                ("io", e.io),
            ];
            kinds.iter().for_each(|(kind, value)| out.add(&[name(link), kind], count(*value)));
        }
    }),
];

const PHASE: &[&str] = &["phase"];

fn phases(facts: &Facts<'_>, out: &mut Samples<'_>, of: fn(&Phase) -> Option<f64>) {
    facts.document.meter.phases.iter().for_each(|phase| out.add(&[&phase.phase], of(phase)));
}

/// The status calls them "link 192.168.1.11:502".
fn name(link: &str) -> &str {
    link.strip_prefix("link ").unwrap_or(link)
}
