//! What would run, in words: as comments, so that the output of `check` stays a configuration.

use std::fmt::Write;

use super::charging_text::{charging_text, frame};
use super::policy_text::policy_text;
use crate::config::{Config, Strategy, TelegramLink};
use crate::control::site::ControlKind;
use crate::daemon::bank_choice::BankChoice;
use crate::daemon::bus_load::{bus_loads, percent};
use crate::daemon::forward::MOST_READERS;
use crate::daemon::wiring::{COMMAND_VALID, Plan};
use crate::device::plan::{battery_requests, bms_requests, charger_requests, merge, requests};
use crate::device::profile::{Block, Profile};
use crate::device::quantity::Quantity;
use crate::link::place::Place;
use crate::serve::metrics::MOST_CLIENTS;

/// The plan of a configuration; `wall_s` is what the wall clock shows, in unix seconds.
pub fn plan_text(config: &Config, plan: &Plan, wall_s: i64) -> String {
    let mut out = String::from("# The plan\n#\n");
    policy_text(config, wall_s).iter().chain(&charging_text(config, plan)).for_each(|text| line(&mut out, text));
    threads(config, plan, &mut out);
    links(plan, &mut out);
    metrics(config, &mut out);
    schedule(plan, &mut out);
    writes(config, plan, &mut out);
    if config.site.strategy != Strategy::Observe {
        charger_writes(plan, &mut out);
    }
    times(config, plan, &mut out);
    out
}

fn line(out: &mut String, text: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# {text}");
}

fn threads(config: &Config, plan: &Plan, out: &mut String) {
    let batteries = plan.batteries.iter().map(|b| format!("battery {}", b.spec.name));
    let bmses = plan.bmses.iter().map(|b| format!("bms {}", b.spec.name));
    let chargers = plan.chargers.iter().map(|c| format!("charger {}", c.spec.name));
    let meter = plan.meter.iter().map(|_| ()).chain(plan.p1.iter().map(|_| ())).map(|()| "meter".to_owned());
    let comm_log = plan.comm_log.iter().map(|path| format!("comm-log (to {})", path.display()));
    let server = plan.server.as_ref().map(|plan| &plan.server);
    let tcp = server.filter(|server| server.tcp.is_some()).map(|_| "modbus-tcp (and a modbus-client per connection)".to_owned());
    let rtu = server.filter(|server| server.rtu.is_some()).map(|_| "modbus-rtu".to_owned());
    let metrics = config.status.metrics.iter().map(|_| "metrics (and a metrics-client per connection)".to_owned());
    let others = ["control", "watchdog", "memory", "status", "main (signals)"].map(String::from);
    let all: Vec<_> =
        batteries.chain(bmses).chain(chargers).chain(meter).chain(tcp).chain(rtu).chain(metrics).chain(comm_log).chain(others).collect();
    line(out, &format!("threads: {}", all.join(", ")));
}

fn links(plan: &Plan, out: &mut String) {
    if let Some(p1) = &plan.p1 {
        let (place, how) = match &p1.link {
            TelegramLink::Serial(serial) => (serial.port.clone(), format!("a serial port at {} baud", serial.baud)),
            TelegramLink::Tcp { host, port } => (Place::Tcp { host: host.clone(), port: *port }.to_string(), "one connection".into()),
        };
        line(out, &format!("link {place}: {how} for the telegrams of the meter, nothing is sent"));
        if let Some(forward) = p1.forward {
            line(out, &format!("link {forward}: listens; up to {MOST_READERS} readers get the telegrams as received"));
        }
    }
    let loads = bus_loads(plan);
    for (i, e) in plan.endpoints.iter().enumerate() {
        let batteries = plan.batteries.iter().filter(|b| b.endpoint == i).map(|b| format!("battery {}", b.spec.name));
        let meter = plan.meter.iter().filter(|m| m.endpoint == i).map(|_| "the meter".to_owned());
        let bmses = plan.bmses.iter().filter(|b| b.endpoint == i).map(|b| format!("the BMS of battery {}", b.spec.name));
        let chargers = plan.chargers.iter().filter(|c| c.endpoint == i).map(|c| format!("charger {}", c.spec.name));
        let gateway = plan.server.iter().filter(|s| s.gateway == Some(i)).map(|_| "the gateway".to_owned());
        let passes = if gateway.clone().next().is_some() { ", and for what the gateway passes on" } else { "" };
        let users: Vec<_> = batteries.chain(bmses).chain(meter).chain(chargers).chain(gateway).collect();
        let users = users.join(" and ");
        match (&e.place, loads.iter().find(|load| load.endpoint == i)) {
            (Place::Rtu(s), Some(load)) => {
                let frame = frame(s);
                let rs485 = if s.rs485.is_some() { ", RS-485 direction by the kernel" } else { "" };
                let busy = format!("busy for {} of the time{passes}", percent(load.busy_pm));
                line(out, &format!("link {}: {frame}{rs485}; a bus for {users}, answers within {}, {busy}", e.place, e.timeout));
            }
            _ => line(out, &format!("link {}: one connection for {users}, answers within {}", e.place, e.timeout)),
        }
    }
}

fn metrics(config: &Config, out: &mut String) {
    let Some(listen) = config.status.metrics else { return };
    let ip = listen.ip().to_canonical();
    let whom = if ip.is_loopback() { "this machine only" } else { "everybody who reaches this port, unless a firewall keeps them out" };
    line(
        out,
        &format!(
            "link {listen}: listens; /metrics for {whom}: status for Prometheus, at most {MOST_CLIENTS} at a time, nothing is commanded"
        ),
    );
}

fn schedule(plan: &Plan, out: &mut String) {
    if let Some(m) = &plan.meter {
        let m = &m.spec;
        line(out, &format!("poll meter: total every {}, phases every {} and at once after a step", m.poll, m.phase_poll));
        for bank in banks(&m.bank.choice, &m.bank.total) {
            let beside = m.battery.as_ref().filter(|(_, b)| b.choice.candidates.iter().any(|c| c.name == bank.name));
            let battery = beside.map(|_| battery_requests(bank)).unwrap_or_default();
            let all = merge(bank, &requests(bank, Quantity::is_total), &battery);
            let phases = if m.bank.phases.contains(&bank.name) { requests(bank, Quantity::is_read_with_phases) } else { Vec::new() };
            let all = merge(bank, &all, &phases);
            let along = if battery.is_empty() { "" } else { ", with the values of the battery it sits behind" };
            let what = if phases.is_empty() { "total" } else { "total and phases" };
            line(out, &format!("  {what} as {}: {}{along}", bank.name, said(&m.bank.choice, bank, &all)));
        }
        for bank in banks(&m.bank.choice, &m.bank.phases).filter(|b| !m.bank.total.contains(&b.name)) {
            line(
                out,
                &format!("  phases as {}: {}", bank.name, said(&m.bank.choice, bank, &requests(bank, Quantity::is_read_with_phases))),
            );
        }
    }
    if let Some(p1) = &plan.p1 {
        line(out, &format!("meter: total and phases with every telegram, one is expected every {}", p1.interval));
        if p1.balance_sum {
            line(out, "  where telegrams hold no power per phase, the total is apportioned");
        }
    }
    for b in &plan.batteries {
        let b = &b.spec;
        line(out, &format!("poll battery {}: every {}", b.name, b.poll));
        for bank in banks(&b.bank.choice, &b.bank.prefer) {
            let along = if b.meter.is_some() { ", unless they come with the meter's" } else { "" };
            line(out, &format!("  as {}: {}{along}", bank.name, said(&b.bank.choice, bank, &battery_requests(bank))));
        }
    }
    for b in &plan.bmses {
        let b = &b.spec;
        line(out, &format!("poll BMS of battery {}: every {}", b.name, b.poll));
        if b.limits.charge_w.is_some() || b.limits.discharge_w.is_some() {
            line(out, "  it gives no current limits as it is set up here: the ratings of the battery count, and what it forbids");
        }
        let blocks: Vec<_> = bms_requests(&b.profile).iter().map(range).collect();
        let model = b.profile.bms.as_ref().and_then(|bms| bms.sunspec_model);
        let from = model.map_or_else(String::new, |m| format!(", counted from where SunSpec model {m} is found"));
        line(out, &format!("  as {}: unit {}, registers {}{from}", b.profile.name, b.unit, blocks.join(", ")));
        if let Some(at) = b.profile.bms.as_ref().and_then(|bms| bms.heartbeat_at).filter(|_| b.heartbeat) {
            line(out, &format!("  register {at} is counted up every second{from}"));
        }
    }
    for c in plan.chargers.iter().map(|c| &c.spec) {
        line(out, &format!("poll charger {}: every {}", c.name, c.poll));
        let blocks: Vec<_> = charger_requests(&c.profile).iter().map(range).collect();
        line(out, &format!("  as {}: unit {}, registers {}", c.profile.name, c.unit, blocks.join(", ")));
    }
}

fn writes(config: &Config, plan: &Plan, out: &mut String) {
    if config.site.strategy == Strategy::Observe {
        line(out, "writes: none (strategy \"observe\")");
        return;
    }
    for b in &plan.batteries {
        let b = &b.spec;
        for bank in banks(&b.bank.choice, &b.bank.prefer) {
            let spacing = b.write_spacing.unwrap_or(bank.budget.spacing);
            let refill = b.write_refill.unwrap_or(bank.budget.refill);
            let hybrid = plan.site.batteries.get(b.index).is_some_and(|battery| battery.control == ControlKind::Hybrid);
            let (what, refresh) = match (&bank.limits, &bank.setpoint) {
                (Some(l), setpoint) if b.settings.limits => {
                    let registers = format!("registers {} (charge limit) and {} (discharge limit)", l.charge.address, l.discharge.address);
                    let commanded = setpoint.as_ref().filter(|_| hybrid).map(|s| {
                        format!("; while it is commanded, register {} (setpoint{})", s.register.address, encoding(&b.encoding, bank))
                    });
                    (registers + &commanded.unwrap_or_default(), l.refresh)
                }
                (_, Some(s)) => (format!("register {} (setpoint{})", s.register.address, encoding(&b.encoding, bank)), s.refresh),
                _ => continue,
            };
            line(out, &format!("write battery {} as {}: unit {}, {what}", b.name, bank.name, b.bank.choice.unit_of(bank)));
            line(
                out,
                &format!(
                    "  on changes of {} W, again after {refresh}; {spacing} apart, {} in a row, then one per {refill}",
                    b.settings.deadband_w, bank.budget.burst
                ),
            );
        }
    }
}

fn charger_writes(plan: &Plan, out: &mut String) {
    for c in plan.chargers.iter().map(|c| &c.spec) {
        let Some(parts) = &c.profile.charger else { continue };
        let registers = [
            (parts.timeout.as_ref().map(|t| t.write.address), "its timeout"),
            (parts.fallback.as_ref().map(|f| f.address), "what it falls to"),
        ];
        let start: Vec<_> = registers.iter().filter_map(|(at, what)| Some(format!("; {} ({what}) at the start", (*at)?))).collect();
        let limit = format!("register {} (limit) on changes and again after {}", parts.limit.address, parts.refresh);
        line(out, &format!("write charger {}: unit {}, {limit}{}", c.name, c.unit, start.concat()));
    }
}

fn times(config: &Config, plan: &Plan, out: &mut String) {
    if config.batteries.is_empty() {
        return;
    }
    let l = &plan.site.ladder;
    line(out, &format!("commands expire {COMMAND_VALID} after they were made: fallback"));
    line(
        out,
        &format!(
            "without good meter data: held after {}, ramped down after {}, fallback after {}, at the latest 2 s before the heartbeat timeout of {}",
            l.hold, l.ramp_start, l.fallback, plan.heartbeat
        ),
    );
    for (b, site) in config.batteries.iter().zip(&plan.site.batteries) {
        let ages = b.ages();
        line(out, &format!("without data of battery {}: no more power after {}, left out after {}", b.name, ages.capped, ages.excluded));
        if let Some(ages) = &site.bms {
            line(out, &format!("without data of its BMS: less power after {}, BMS Comm Loss and fallback after {}", ages.fresh, ages.lost));
        }
    }
}

fn banks<'p>(choice: &'p BankChoice, names: &'p [String]) -> impl Iterator<Item = &'p Profile> {
    names.iter().filter_map(|n| choice.candidates.iter().find(|p| p.name == *n).map(AsRef::as_ref))
}

fn encoding(name: &str, bank: &Profile) -> String {
    match &bank.setpoint {
        Some(s) if s.percent_of_reference => ", % of the reference power".into(),
        Some(s) if !s.encodings.is_empty() => format!(", W as {name}"),
        _ => ", W".into(),
    }
}

fn range(r: &Block) -> String {
    let end = r.address + (r.count - 1);
    let registers = if r.count == 1 { format!("{end}") } else { format!("{} to {end}", r.address) };
    format!("{registers} (function {})", r.function)
}

fn said(choice: &BankChoice, bank: &Profile, requests: &[Block]) -> String {
    let blocks: Vec<_> = requests.iter().map(range).collect();
    format!("unit {}, registers {}", choice.unit_of(bank), blocks.join(", "))
}
