//! The configuration as it is understood, written as a configuration: every key that has a value, defaults included.
//!
//! What the file leaves to the device profile (`unit`, `write_spacing_ms`, `write_refill_ms`) is left to it here too.

mod charging;

use std::fmt::{Display, Write as _};

use self::charging::{write_charger, write_load_balancer, write_server};
use super::number::fixed_to_text;
use super::settings;
use super::{Battery, Bms, Config, ControlMode, Fallback, Link, Meter, MeterSource, Role, Strategy, TelegramLink};
use crate::control::demand::Action;
use crate::link::place::{Parity, Serial};
use crate::schedule::{Days, Schedule, Window, clock};

/// Valid TOML that [`super::parse`] turns into an equal [`Config`].
pub fn effective(config: &Config) -> String {
    let mut out = Toml(String::new());
    write_site(&mut out, config);
    write_control(&mut out, config);
    if let Some(meter) = &config.meter {
        write_meter(&mut out, meter, &config.batteries);
    }
    for battery in &config.batteries {
        write_battery(&mut out, battery);
    }
    if let Some(schedule) = &config.schedule {
        schedule.windows.iter().for_each(|window| write_window(&mut out, schedule, window));
    }
    if let Some(balancer) = &config.load_balancer {
        write_load_balancer(&mut out, balancer);
    }
    for charger in &config.chargers {
        write_charger(&mut out, charger);
    }
    if let Some(server) = &config.server {
        write_server(&mut out, server);
    }
    out.header("[status]");
    out.text("socket", &config.status.socket);
    if let Some(metrics) = config.status.metrics {
        out.text("metrics", &metrics.to_string());
    }
    out.header("[log]");
    out.text("level", config.log.level.name());
    if let Some(path) = &config.log.comm_log {
        out.text("comm_log", path);
    }
    out.0
}

/// TOML that is being written.
struct Toml(String);

impl Toml {
    fn header(&mut self, header: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        let _ = writeln!(self.0, "{gap}{header}");
    }

    fn number(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "{key} = {value}");
    }

    fn optional(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.number(key, value);
        }
    }

    fn fixed(&mut self, key: &str, value: impl Into<i64>, decimals: u32) {
        self.number(key, fixed_to_text(value.into(), decimals));
    }

    fn text(&mut self, key: &str, value: &str) {
        self.number(key, quoted(value));
    }

    fn link(&mut self, link: &Link) {
        self.number(&format!("link.{}", link.kind()), inline(link));
    }
}

/// A link, without the key.
fn inline(link: &Link) -> String {
    let timing = format!("timeout_ms = {}, retry_count = {}", link.timeout_ms(), link.retry_count());
    match link {
        Link::Tcp(tcp) => format!("{{ host = {}, port = {}, {timing} }}", quoted(&tcp.host), tcp.port),
        Link::Rtu(rtu) => format!("{{ {}, {timing} }}", serial(&rtu.serial)),
    }
}

/// The keys of a serial port.
fn serial(serial: &Serial) -> String {
    let Serial { port, baud, parity, data_bits, stop_bits, rs485 } = serial;
    let parity = match parity {
        Parity::None => "none",
        Parity::Even => "even",
        Parity::Odd => "odd",
    };
    let rs485 = rs485.map_or_else(String::new, |r| {
        format!(
            ", rs485 = {{ rts_on_send = {}, delay_before_ms = {}, delay_after_ms = {} }}",
            r.rts_on_send, r.delay_before_ms, r.delay_after_ms
        )
    });
    format!("port = {}, baud = {baud}, parity = \"{parity}\", data_bits = {data_bits}, stop_bits = {stop_bits}{rs485}", quoted(port))
}

fn write_site(out: &mut Toml, config: &Config) {
    let site = &config.site;
    out.header("[site]");
    out.text("name", &site.name);
    out.text("strategy", site.strategy.name());
    out.text("balance", site.balance.name());
    out.number("grid_target_w", site.grid_target_w);
    out.fixed("fuse_a", site.fuse_ma, 3);
    out.optional("import_limit_w", site.import_limit_w);
    if let Strategy::PeakShaving { recharge_below_w } = site.strategy {
        out.number("recharge_below_w", recharge_below_w);
    }
    out.optional("export_limit_w", site.export_limit_w);
    out.optional("unbalance_limit_va", site.unbalance_limit_va);
    out.fixed("voltage_v", site.voltage_mv, 3);
}

fn write_control(out: &mut Toml, config: &Config) {
    let control = &config.control;
    out.header("[control]");
    out.text("write_to", "each");
    out.number("heartbeat_timeout_s", control.heartbeat_timeout_s);
    out.fixed("meter_stale_s", control.meter_stale_ms, 3);
    out.number("deadband_w", control.deadband_w);
    out.number("ramp_w_per_s", control.ramp_w_per_s);
    out.text(
        "fallback",
        match control.fallback {
            Fallback::Zero => "zero",
            Fallback::Release => "release",
        },
    );
    out.number("fallback_charge_w", control.fallback_charge_w);
    out.number("fallback_discharge_w", control.fallback_discharge_w);
}

fn write_meter(out: &mut Toml, meter: &Meter, batteries: &[Battery]) {
    out.header("[meter]");
    out.text("device", &meter.device);
    match &meter.source {
        MeterSource::Battery { index } => {
            if let Some(battery) = batteries.get(*index) {
                out.text("battery", &battery.name);
            }
        }
        MeterSource::Own { link, unit } => {
            out.link(link);
            out.optional("unit", *unit);
        }
        MeterSource::Telegrams { link, forward } => {
            out.number("poll_ms", meter.poll_ms);
            match link {
                TelegramLink::Serial(port) => out.number("link.serial", format!("{{ {} }}", serial(port))),
                TelegramLink::Tcp { host, port } => out.number("link.tcp", format!("{{ host = {}, port = {port} }}", quoted(host))),
            }
            if let Some(forward) = forward {
                out.text("forward", &forward.to_string());
            }
            return;
        }
    }
    out.optional("settings", settings::to_toml(&meter.settings));
    out.number("poll_ms", meter.poll_ms);
    out.number("phase_poll_ms", meter.phase_poll_ms);
}

fn write_battery(out: &mut Toml, battery: &Battery) {
    out.header("[[battery]]");
    out.text("name", &battery.name);
    out.text("device", &battery.device);
    out.text("role", if battery.role == Role::Master { "master" } else { "slave" });
    out.text("phase", &battery.phase.to_string());
    out.text("control", if battery.control == ControlMode::Setpoint { "setpoint" } else { "limits" });
    out.text("setpoint_encoding", battery.setpoint_encoding.name());
    out.link(&battery.link);
    out.optional("unit", battery.unit);
    out.optional("settings", settings::to_toml(&battery.settings));
    out.number("poll_ms", battery.poll_ms);
    out.optional("write_spacing_ms", battery.write_spacing_ms);
    out.optional("write_refill_ms", battery.write_refill_ms);
    out.number("capacity_wh", battery.capacity_wh);
    out.number("max_charge_w", battery.max_charge_w);
    out.number("max_discharge_w", battery.max_discharge_w);
    out.number("min_power_w", battery.min_power_w);
    out.fixed("min_soc_pct", battery.min_soc_pm, 1);
    out.fixed("max_soc_pct", battery.max_soc_pm, 1);
    out.fixed("soc_hysteresis_pct", battery.soc_hysteresis_pm, 1);
    if let Some(bms) = &battery.bms {
        write_bms(out, bms);
    }
}

fn write_bms(out: &mut Toml, bms: &Bms) {
    out.header("[battery.bms]");
    out.text("device", &bms.device);
    out.link(&bms.link);
    out.optional("unit", bms.unit);
    out.optional("settings", settings::to_toml(&bms.settings));
    out.number("poll_ms", bms.poll_ms);
    let current = |ma: Option<i32>| ma.map(|ma| fixed_to_text(ma.into(), 3));
    out.optional("max_charge_a", current(bms.max_charge_ma));
    out.optional("max_discharge_a", current(bms.max_discharge_ma));
}

fn write_window(out: &mut Toml, schedule: &Schedule, window: &Window) {
    out.header("[[schedule]]");
    out.text("timezone", schedule.zone.name());
    if window.days != Days::ALL {
        let days: Vec<_> = window.days.iter().map(|day| quoted(day.name())).collect();
        out.number("days", format!("[{}]", days.join(", ")));
    }
    out.text("from", &clock(window.from_min));
    out.text("to", &clock(window.to_min));
    let action = match window.action {
        Action::GridTarget(w) => format!("grid_target_w = {w}"),
        Action::ReserveSoc(pm) => format!("reserve_soc_pct = {}", fixed_to_text(pm, 1)),
        Action::Charge(w) => format!("charge_w = {w}"),
        Action::Hold => "hold = true".to_owned(),
    };
    out.number("action", format!("{{ {action} }}"));
}

/// A TOML string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
