//! What is wrong with `[server]` and `status.metrics` beside the rest of the file. That a serial port is taken is said where ports are compared.

use std::net::{IpAddr, SocketAddr};

use super::link::Link;
use super::meter::MeterDraft;
use super::reader::Document;
use super::serve::StatusDraft;
use super::server::ServerDraft;

/// Adds what does not fit together.
pub(super) fn check(document: &Document, server: &ServerDraft, meter: Option<&MeterDraft>) {
    let Some((tcp, at)) = server.server.tcp.as_ref().zip(server.listen_at) else { return };
    if meter.and_then(|meter| meter.forward).is_some_and(|forward| meet(forward, tcp.listen)) {
        document.add(at, "server tcp.listen", "the meter passes its telegrams on at this port already, as forward says.");
    }
    if let Some((gateway, at)) = server.server.gateway.as_ref().zip(server.gateway_link_at) {
        if leads_to(&gateway.link, tcp.listen) {
            document.add(at, "server gateway.link.tcp.host", "we listen there ourselves: requests would go round in circles.");
        }
    }
}

/// Others that listen must leave the port of the metrics alone.
pub(super) fn check_metrics(document: &Document, status: &StatusDraft, server: Option<&ServerDraft>, meter: Option<&MeterDraft>) {
    let Some((metrics, at)) = status.status.metrics.zip(status.metrics_at) else { return };
    if server.and_then(|server| server.server.tcp.as_ref()).is_some_and(|tcp| meet(tcp.listen, metrics)) {
        document.add(at, "status metrics", "[server.tcp] listen has this port already.");
    }
    if meter.and_then(|meter| meter.forward).is_some_and(|forward| meet(forward, metrics)) {
        document.add(at, "status metrics", "the meter passes its telegrams on at this port already, as forward says.");
    }
}

/// Whether only one of them can be listened on.
fn meet(a: SocketAddr, b: SocketAddr) -> bool {
    let (a_ip, b_ip) = (a.ip().to_canonical(), b.ip().to_canonical());
    a.port() == b.port() && (a_ip == b_ip || a_ip.is_unspecified() || b_ip.is_unspecified())
}

/// Whether this link ends where we listen, as far as that can be told from its spelling.
fn leads_to(link: &Link, listen: SocketAddr) -> bool {
    let Link::Tcp(tcp) = link else { return false };
    let ours = listen.ip().to_canonical();
    let there = match tcp.host.parse::<IpAddr>().map(|host| host.to_canonical()) {
        Ok(host) => host == ours || (host.is_loopback() && (ours.is_loopback() || ours.is_unspecified())),
        Err(_) => tcp.host.eq_ignore_ascii_case("localhost") && (ours.is_loopback() || ours.is_unspecified()),
    };
    there && tcp.port == listen.port()
}
