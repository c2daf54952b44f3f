//! Load balancer, chargers and our own Modbus server, in words for the person who wrote the file.

use crate::config::{Charger, Config, Gateway, LoadBalancer, Server, Strategy, TcpServer, amperes, fixed_to_text};
use crate::daemon::wiring::Plan;
use crate::device::profile::Profile;
use crate::link::place::{Parity, Serial};

/// A line each.
pub fn charging_text(config: &Config, plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(balancer) = &config.load_balancer {
        balanced(balancer, &mut lines);
        if config.site.strategy == Strategy::Observe {
            lines.push("  while observing it is only computed, and no charger is told".to_owned());
        }
    }
    for (k, charger) in config.chargers.iter().enumerate() {
        let profile = plan.chargers.iter().find(|placed| placed.spec.index == k).map(|placed| placed.spec.profile.as_ref());
        charged(charger, profile, config, &mut lines);
    }
    if let Some(server) = &config.server {
        served(server, plan, &mut lines);
    }
    lines
}

fn balanced(balancer: &LoadBalancer, lines: &mut Vec<String>) {
    let s = &balancer.settings;
    let phases = if s.phases == 1 { "the current of L1".to_owned() } else { format!("the largest current of L1 to L{}", s.phases) };
    lines.push(format!("load balancer: a charger gets 0 to {} A, by {phases}, checked every second", amperes(s.charger_limit_ma)));
    for (above, step) in [("alarm: above", s.alarm), ("upper: above", s.upper)] {
        lines.push(format!("  {above} {} A for {} s: {} A less", amperes(step.limit_ma), step.wait_s, amperes(step.change_ma)));
    }
    let lower = s.lower;
    lines.push(format!("  lower: {} A or less for {} s: {} A more", amperes(lower.limit_ma), lower.wait_s, amperes(lower.change_ma)));
    lines.push(format!("  fallback: without a valid current for {} s: {} A", s.fallback_time_s, amperes(s.fallback_limit_ma)));
    if let Some(led) = &balancer.led {
        lines.push(format!("  the LED /sys/class/leds/{led} shows its state"));
    }
}

fn charged(charger: &Charger, profile: Option<&Profile>, config: &Config, lines: &mut Vec<String>) {
    let unit = charger.unit.or(profile.map(|p| p.unit)).map_or_else(String::new, |unit| format!(", unit {unit}"));
    let every = fixed_to_text(charger.poll_ms.into(), 3);
    lines.push(format!("charger {}: {} at {}{unit}, asked every {every} s", charger.name, charger.device, charger.link));
    if config.site.strategy == Strategy::Observe {
        return;
    }
    // Together they never get more than the limit.
    let forced = if config.chargers.len() > 1 { "an alarm, the fallback or another charger" } else { "an alarm or the fallback" };
    lines.push(format!(
        "  paused below {} A, for {} s at least; not paused in its first {} s but for {forced}",
        amperes(charger.min_current_ma),
        charger.min_pause_s,
        charger.min_run_s
    ));
    let parts = profile.and_then(|p| p.charger.as_ref());
    if parts.is_none_or(|parts| parts.fallback.is_some()) {
        lines.push(format!("  it falls to {} A by itself when nobody asks it", amperes(charger.fallback_limit_ma)));
    }
    if let Some(most_ma) = parts.and_then(|parts| parts.most_ma) {
        lines.push(format!("  larger limits are written to it as {} A", amperes(most_ma)));
    }
}

fn served(server: &Server, plan: &Plan, lines: &mut Vec<String>) {
    lines.push(format!("server: our own registers at unit {}", server.address));
    if let Some(tcp) = &server.tcp {
        let TcpServer { listen, writable, max_connections, idle_timeout_s, .. } = tcp;
        let allow: Vec<_> = tcp.allow.iter().map(ToString::to_string).collect();
        lines.push(format!("  over TCP at {listen}, {}, for {}", may(*writable), allow.join(", ")));
        lines.push(format!("  up to {max_connections} connections; one that is silent for {idle_timeout_s} s is closed"));
    }
    if let Some(rtu) = &server.rtu {
        lines.push(format!("  on {} ({}), {}", rtu.serial.port, frame(&rtu.serial), may(rtu.writable)));
    }
    if let Some(gateway) = &server.gateway {
        passed(gateway, plan, lines);
    }
}

fn passed(gateway: &Gateway, plan: &Plan, lines: &mut Vec<String>) {
    let units: Vec<_> = gateway.units.iter().map(u8::to_string).collect();
    let word = if units.len() == 1 { "unit" } else { "units" };
    lines.push(format!("  gateway: requests to {word} {} are passed on to {}", units.join(", "), gateway.link));
    let Some(endpoint) = plan.server.as_ref().and_then(|server| server.gateway) else { return };
    let chargers = plan.chargers.iter().filter(|c| c.endpoint == endpoint).map(|c| (format!("charger {}", c.spec.name), vec![c.spec.unit]));
    let batteries = plan.batteries.iter().filter(|b| b.endpoint == endpoint).map(|b| {
        let choice = &b.spec.bank.choice;
        (format!("battery {}", b.spec.name), choice.candidates.iter().map(|bank| choice.unit_of(bank)).collect())
    });
    for (name, own) in chargers.chain(batteries) {
        if let Some(unit) = own.iter().find(|unit| gateway.units.contains(unit)) {
            lines.push(format!("  unit {unit} is {name}, which we command ourselves: what others write there competes with that"));
        }
    }
}

fn may(writable: bool) -> &'static str {
    if writable { "writable" } else { "read only" }
}

/// As in "9600 baud, 8N1".
pub fn frame(serial: &Serial) -> String {
    let parity = match serial.parity {
        Parity::None => 'N',
        Parity::Even => 'E',
        Parity::Odd => 'O',
    };
    format!("{} baud, {}{parity}{}", serial.baud, serial.data_bits, serial.stop_bits)
}
