//! The program, the site, and what another controller asks of it.

use super::{Facts, Metric, count, gauge, watts};
use crate::serve::document::Remote;
use crate::serve::metrics::page::yes;
use crate::serve::registers::remote::REMOTE_STATES;

/// Every state of a site, as the status names it.
pub(super) const SITE_STATES: [&str; 7] = ["init", "run", "hold", "ramp", "fallback", "observe", crate::serve::socket::STALLED];

pub(super) static LIST: &[Metric] = &[
    gauge("sax_build_info", &["version"], "The version of sax-controller that runs, always 1.", |_, out| {
        out.add(&[env!("CARGO_PKG_VERSION")], Some(1.0));
    })
    .always(),
    gauge("process_resident_memory_bytes", &[], "Resident memory of the process.", |f, out| {
        out.add(&[], f.process.resident_bytes.and_then(count));
    })
    .always(),
    gauge("process_threads", &[], "Threads of the process.", |f, out| out.add(&[], f.process.threads.and_then(count))).always(),
    gauge("process_open_fds", &[], "Open files and sockets of the process.", |f, out| {
        out.add(&[], f.process.open_fds.and_then(count));
    })
    .always(),
    gauge("sax_uptime_seconds", &[], "How long the controller has run.", |f, out| {
        // The status says it as of its own time.
        out.add(&[], Some(f.document.site.uptime_s as f64 + f.age.as_secs() as f64));
    })
    .lasting(),
    gauge("sax_control_age_seconds", &[], "Age of the newest status of the control thread.", |f, out| {
        out.add(&[], Some(f.age.as_millis() as f64 / 1000.0));
    })
    .lasting(),
    gauge("sax_control_stalled", &[], "1 when the control thread gives no sign of life; measured values are left out then.", |f, out| {
        out.add(&[], Some(yes(f.is_stalled())));
    })
    .lasting(),
    gauge("sax_site_info", &["site", "strategy", "balance"], "What is configured, always 1.", |f, out| {
        out.add(&[&f.document.site.name, f.document.site.strategy, f.document.site.balance], Some(1.0));
    })
    .lasting(),
    gauge("sax_site_state", &["state"], "1 for the state of the site, 0 for the others.", |f, out| {
        out.one_of(f.document.site.state, &SITE_STATES);
    })
    .lasting(),
    gauge("sax_grid_target_watts", &[], "Power aimed at, at the grid connection.", |f, out| {
        out.add(&[], watts(Some(f.document.site.grid_target_w)));
    }),
    gauge("sax_import_limit_watts", &[], "Most import of all phases together, as configured.", |f, out| {
        out.add(&[], watts(f.document.site.limits.import_w));
    }),
    gauge("sax_export_limit_watts", &[], "Most export of all phases together, as configured.", |f, out| {
        out.add(&[], watts(f.document.site.limits.export_w));
    }),
    gauge("sax_recharge_below_watts", &[], "Peak shaving: import below which batteries are recharged.", |f, out| {
        out.add(&[], watts(f.document.site.limits.recharge_below_w));
    }),
    gauge("sax_unbalance_limit_voltamperes", &[], "How much more the batteries may give on one phase than on another.", |f, out| {
        out.add(&[], watts(f.document.site.limits.unbalance_va));
    }),
    gauge("sax_schedule_active", &[], "1 while a window of the schedule is active.", |f, out| {
        out.add(&[], f.document.schedule.as_ref().map(|schedule| yes(schedule.active.is_some())));
    }),
    gauge("sax_remote_state", &["state"], "1 for the state of what another controller asks for, 0 for the others.", |f, out| {
        if let Some(remote) = &f.document.site.remote {
            out.one_of(remote.state, &REMOTE_STATES);
        }
    }),
    gauge("sax_remote_setpoint_watts", &[], "What another controller wants of all batteries together.", |f, out| {
        out.add(&[], watts(remote(f, |r| r.setpoint_w)));
    }),
    gauge("sax_remote_charge_limit_watts", &[], "Most charging of all batteries together that another controller allows.", |f, out| {
        out.add(&[], watts(remote(f, |r| r.charge_limit_w)));
    }),
    gauge("sax_remote_discharge_limit_watts", &[], "Most discharging of all batteries that another controller allows.", |f, out| {
        out.add(&[], watts(remote(f, |r| r.discharge_limit_w)));
    }),
    gauge("sax_remote_heartbeat_age_seconds", &[], "How long the heartbeat of another controller has not changed.", |f, out| {
        out.add(&[], remote(f, |r| r.heartbeat_age_s).and_then(count));
    }),
];

fn remote<T>(facts: &Facts<'_>, of: impl FnOnce(&Remote) -> Option<T>) -> Option<T> {
    facts.document.site.remote.as_ref().and_then(of)
}
