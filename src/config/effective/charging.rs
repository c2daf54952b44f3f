//! `[load_balancer]`, `[[charger]]` and `[server]` as they are understood.

use super::{Toml, inline, quoted, serial};
use crate::config::{Charger, LoadBalancer, Server, settings};

pub(super) fn write_load_balancer(out: &mut Toml, balancer: &LoadBalancer) {
    let settings = &balancer.settings;
    out.header("[load_balancer]");
    out.number("phases", settings.phases);
    out.fixed("charger_limit_a", settings.charger_limit_ma, 3);
    for (name, step) in [("alarm", settings.alarm), ("upper", settings.upper), ("lower", settings.lower)] {
        out.fixed(&format!("{name}_limit_a"), step.limit_ma, 3);
        out.number(&format!("{name}_wait_s"), step.wait_s);
        out.fixed(&format!("{name}_change_a"), step.change_ma, 3);
    }
    out.fixed("fallback_limit_a", settings.fallback_limit_ma, 3);
    out.number("fallback_time_s", settings.fallback_time_s);
    if let Some(led) = &balancer.led {
        out.text("led", led);
    }
}

pub(super) fn write_charger(out: &mut Toml, charger: &Charger) {
    out.header("[[charger]]");
    out.text("name", &charger.name);
    out.text("device", &charger.device);
    out.link(&charger.link);
    out.optional("unit", charger.unit);
    out.optional("settings", settings::to_toml(&charger.settings));
    out.number("poll_ms", charger.poll_ms);
    out.fixed("min_current_a", charger.min_current_ma, 3);
    out.fixed("fallback_limit_a", charger.fallback_limit_ma, 3);
    out.number("min_pause_s", charger.min_pause_s);
    out.number("min_run_s", charger.min_run_s);
}

pub(super) fn write_server(out: &mut Toml, server: &Server) {
    out.header("[server]");
    out.number("address", server.address);
    if let Some(tcp) = &server.tcp {
        let allow: Vec<_> = tcp.allow.iter().map(|network| quoted(&network.to_string())).collect();
        let rest = format!("max_connections = {}, idle_timeout_s = {}", tcp.max_connections, tcp.idle_timeout_s);
        let (listen, allow, writable) = (quoted(&tcp.listen.to_string()), allow.join(", "), tcp.writable);
        out.number("tcp", format!("{{ listen = {listen}, allow = [{allow}], writable = {writable}, {rest} }}"));
    }
    if let Some(rtu) = &server.rtu {
        out.number("rtu", format!("{{ {}, writable = {} }}", serial(&rtu.serial), rtu.writable));
    }
    if let Some(gateway) = &server.gateway {
        let units: Vec<_> = gateway.units.iter().map(u8::to_string).collect();
        let link = format!("link.{} = {}", gateway.link.kind(), inline(&gateway.link));
        out.number("gateway", format!("{{ units = [{}], {link} }}", units.join(", ")));
    }
}
