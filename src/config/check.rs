//! What single keys cannot be blamed for: the file as a whole.

use super::battery::{BatteryDraft, ControlMode, Phases};
use super::ladder::{DEFAULT_POLL_MS, Ladder, default_stale_ms};
use super::link::Link;
use super::meter::MeterDraft;
use super::number::fixed_to_text;
use super::reader::{At, Document};
use super::site::{Balance, ControlDraft, Site, SiteDraft, Strategy};
use crate::units::{Phase, Span};

/// A Modbus segment has 247 addresses; more batteries than this are a mistake.
const MOST_BATTERIES: usize = 250;

/// Adds what is wrong with the parts together, and sets the stale limit where the file does not.
pub(super) fn check(
    document: &Document,
    site: &SiteDraft,
    control: &mut ControlDraft,
    meter: Option<&MeterDraft>,
    batteries: &[BatteryDraft],
) {
    check_present(document, site, meter, batteries);
    check_masters(document, batteries);
    let compared = &batteries[..batteries.len().min(MOST_BATTERIES)];
    check_names(document, compared);
    check_addresses(document, compared);
    check_ladder(document, control, meter);
    check_powers(document, site, control, batteries);
    check_limits(document, site, batteries);
    check_strategy(document, site, batteries);
    if let Some(meter) = meter {
        check_meter_battery(document, meter, batteries);
        check_meter_phases(document, site, meter, batteries);
    }
}

fn check_present(document: &Document, site: &SiteDraft, meter: Option<&MeterDraft>, batteries: &[BatteryDraft]) {
    if let Some(draft) = batteries.get(MOST_BATTERIES) {
        document.add(draft.at, "battery", format!("there are {}, there must not be more than {MOST_BATTERIES}.", batteries.len()));
    }
    if site.observes {
        return;
    }
    if batteries.is_empty() && !document.has("battery") && !document.has("load_balancer") {
        document.add_missing(At::default(), "battery", "", "there is no [[battery]], and nothing to control without one.");
    }
    if meter.is_none() && !document.has("meter") {
        document.add_missing(At::default(), "meter", "", "there is no [meter], and nothing to control by without one.");
    }
}

/// Exactly one master among the SAX batteries.
fn check_masters(document: &Document, batteries: &[BatteryDraft]) {
    let mut masters = batteries.iter().filter(|draft| draft.is_sax() && draft.is_master());
    let first = masters.next();
    for draft in masters {
        let other = first.map(|first| first.battery.name.as_str()).unwrap_or_default();
        let at = draft.role.map_or(draft.at, |role| role.at);
        document.add(at, &key_of(draft, "role"), format!("\"{other}\" is the master already, and there is only one."));
    }
    let unclear = batteries.iter().any(|draft| draft.device.is_none() || (draft.has_role && draft.role.is_none()));
    if let Some(draft) = batteries.iter().find(|draft| draft.is_sax()).filter(|_| first.is_none() && !unclear) {
        let message = "none of the SAX batteries is the master, one of them must have role = \"master\".";
        document.add_missing(draft.role.map_or(draft.at, |role| role.at), &key_of(draft, "role"), "", message);
    }
}

fn check_names(document: &Document, batteries: &[BatteryDraft]) {
    for (index, draft) in batteries.iter().enumerate() {
        let Some(at) = draft.name_at else { continue };
        if batteries[..index].iter().any(|other| other.battery.name == draft.battery.name) {
            document.add(at, "battery name", format!("\"{}\" is the name of another battery already.", draft.battery.name));
        }
    }
}

/// Every SAX battery has a host and port of its own (a port of its own where a router forwards it); others may share one behind a gateway, with a unit of their own.
fn check_addresses(document: &Document, batteries: &[BatteryDraft]) {
    for (index, draft) in batteries.iter().enumerate() {
        let Some(at) = draft.host_at else { continue };
        let (link, unit) = (&draft.battery.link, draft.battery.unit);
        let clash = batteries[..index].iter().filter(|other| other.host_at.is_some()).find_map(|other| {
            let together = link.is_same_place(&other.battery.link);
            if together && unit == other.battery.unit {
                Some(format!("battery \"{}\" has this address already.", other.battery.name))
            } else if together && draft.is_sax() && other.is_sax() && matches!(link, Link::Tcp(_)) {
                Some(format!("battery \"{}\" has this host and port already, and every SAX battery has its own.", other.battery.name))
            } else {
                None
            }
        });
        if let Some(message) = clash {
            let key = if matches!(draft.battery.link, Link::Tcp(_)) { "link.tcp.host" } else { "link.rtu.port" };
            document.add(at, &key_of(draft, key), message);
        }
    }
}

/// The meter behind a battery needs one that exists and has a meter behind it.
fn check_meter_battery(document: &Document, meter: &MeterDraft, batteries: &[BatteryDraft]) {
    let unreadable = batteries.is_empty() && document.has("battery");
    if !meter.via_battery() || unreadable {
        return;
    }
    match (&meter.battery, meter.battery_index(batteries).map(|index| &batteries[index])) {
        (Some(name), None) if batteries.iter().all(|draft| draft.name_at.is_some()) => {
            document.add_missing(name.at, "meter battery", "", format!("there is no battery \"{}\".", name.value));
        }
        (Some(name), Some(draft)) if draft.device.as_ref().is_some_and(|device| !device.is_sax()) => {
            let message = format!("battery \"{}\" has no meter behind it that could be read.", name.value);
            document.add(name.at, "meter battery", message);
        }
        (None, None) if batteries.iter().all(|draft| draft.device.as_ref().is_some_and(|device| !device.is_sax())) => {
            document.add_missing(meter.at, "meter", "", "it is read through a SAX battery, and there is none.");
        }
        _ => {}
    }
}

/// Batteries on single phases need a meter that gives the power of each. What telegrams hold shows only when they come.
fn check_meter_phases(document: &Document, site: &SiteDraft, meter: &MeterDraft, batteries: &[BatteryDraft]) {
    let total_only = meter.device.as_ref().is_some_and(|device| !device.facts.phases && !device.facts.telegrams);
    let commanded = |draft: &BatteryDraft| draft.battery.phase != Phases::All && draft.battery.control != ControlMode::Limits;
    let per_phase =
        site.site.balance == Balance::PerPhase && matches!(site.strategy, Some(Strategy::SelfConsumption | Strategy::PeakShaving { .. }));
    if total_only && per_phase && batteries.iter().any(commanded) {
        let message = "this meter gives no power per phase, and the batteries on single phases work for their own phase.";
        let help = "With balance = \"sum\" in [site] they work for the total of all phases, for which it will do.";
        document.add_with_help(meter.at, "meter device", message, help);
    }
}

/// The ladder must end before the heartbeat does.
fn check_ladder(document: &Document, control: &mut ControlDraft, meter: Option<&MeterDraft>) {
    let poll_ms = meter.map_or(DEFAULT_POLL_MS, |meter| meter.poll_ms);
    match control.stale_at {
        None => control.control.meter_stale_ms = default_stale_ms_of(meter, poll_ms, control.control.heartbeat_timeout_s),
        Some(at) if u64::from(control.control.meter_stale_ms) < 2 * u64::from(poll_ms) => {
            let message = "is shorter than two poll periods of the meter: one lost reading would stop the control.";
            let help = format!("It must be at least {}.", fixed_to_text(2 * i64::from(poll_ms), 3));
            document.add_with_help(at, "control meter_stale_s", message, help);
            // Whatever else is wrong with these times shows with the least value that would do.
            control.control.meter_stale_ms = poll_ms.saturating_mul(2);
            control.stale_at = None;
        }
        Some(_) => {}
    }
    let heartbeat = Span::from_s(control.control.heartbeat_timeout_s.into());
    let ladder = Ladder::new(Span::from_ms(control.control.meter_stale_ms.into()), heartbeat);
    if ladder.fits() {
        return;
    }
    let longest = Ladder::longest_hold(heartbeat);
    let (key, at, help) = match (control.stale_at, meter.and_then(|meter| meter.poll_at), longest) {
        (Some(at), _, Some(longest)) => {
            ("control meter_stale_s", Some(at), format!("It must be at most {}.", fixed_to_text(as_i64(longest.as_ms()), 3)))
        }
        (None, Some(at), Some(longest)) if longest >= Span::from_s(3) => {
            ("meter poll_ms", Some(at), format!("It must be at most {}.", longest.as_ms() / 3))
        }
        _ => ("control heartbeat_timeout_s", control.heartbeat_at, format!("It must be at least {}.", ladder.shortest_heartbeat_s())),
    };
    let message = format!(
        "the fallback would be reached only {} after the last reading, and it must be 2 s before the heartbeat timeout of {heartbeat}.",
        ladder.fallback
    );
    document.add_with_help(at.or(control.heartbeat_at).unwrap_or_default(), key, message, help);
}

/// The stale limit where none is given. Nobody can ask a DSMR 4 meter more often than it sends, which is every 10 s: where three periods
/// would not fit the heartbeat, two and a half must do.
fn default_stale_ms_of(meter: Option<&MeterDraft>, poll_ms: u32, heartbeat_s: u32) -> u32 {
    let three_ms = default_stale_ms(poll_ms);
    let fits = Ladder::new(Span::from_ms(three_ms.into()), Span::from_s(heartbeat_s.into())).fits();
    if fits || !meter.is_some_and(MeterDraft::sends_telegrams) { three_ms } else { poll_ms.saturating_mul(5) / 2 }
}

/// Powers that no battery and no fuse of this site could carry.
fn check_powers(document: &Document, site: &SiteDraft, control: &ControlDraft, batteries: &[BatteryDraft]) {
    let fuse_w = fuse_w(&site.site);
    if let Some(at) = site.target_at.filter(|_| i64::from(site.site.grid_target_w).abs() > fuse_w) {
        let message = format!("{} W is more than the main fuse carries, which is {fuse_w} W.", site.site.grid_target_w);
        document.add(at, "site grid_target_w", message);
    }
    let limits = [
        ("charge_w", control.charge_at, control.control.fallback_charge_w, batteries.iter().map(|d| d.battery.max_charge_w).max()),
        (
            "discharge_w",
            control.discharge_at,
            control.control.fallback_discharge_w,
            batteries.iter().map(|d| d.battery.max_discharge_w).max(),
        ),
    ];
    for (name, at, limit_w, most_w) in limits {
        if let (Some(at), Some(most_w)) = (at, most_w) {
            if limit_w > most_w {
                let message = format!("{limit_w} is more than the max_{name} of every battery, the largest is {most_w}.");
                document.add(at, &format!("control fallback_{name}"), message);
            }
        }
    }
}

/// Limits that could never hold anything back, or would hold back everything.
fn check_limits(document: &Document, draft: &SiteDraft, batteries: &[BatteryDraft]) {
    let (site, fuse_w) = (&draft.site, fuse_w(&draft.site));
    let limits = [("import_limit_w", draft.import_at, site.import_limit_w), ("export_limit_w", draft.export_at, site.export_limit_w)];
    for (key, at, limit_w) in limits {
        if let (Some(at), Some(limit_w)) = (at, limit_w.filter(|limit_w| i64::from(*limit_w) > fuse_w)) {
            let message = format!("{limit_w} W is more than the main fuse carries, which is {fuse_w} W: it would never limit anything.");
            document.add(at, &format!("site {key}"), message);
        }
    }
    if let Some(at) = draft.target_at.filter(|_| site.grid_target_w != 0) {
        let target_w = site.grid_target_w;
        let elsewhere = match draft.strategy {
            Some(Strategy::PeakShaving { .. }) => Some("strategy \"peak-shaving\" aims at no grid power, only below import_limit_w."),
            Some(Strategy::Limits) => Some("with strategy \"limits\" the batteries balance by themselves, at 0 W."),
            Some(Strategy::SelfConsumption) if nobody_is_commanded(batteries) => {
                Some("no battery is commanded: each balances by itself at 0 W, inside limits.")
            }
            Some(Strategy::SelfConsumption | Strategy::Observe) | None => None,
        };
        match elsewhere {
            Some(message) if nobody_is_commanded(batteries) => document.add(at, "site grid_target_w", message),
            Some(message) => {
                document.add_with_help(at, "site grid_target_w", message, "A window of a [[schedule]] may have another target.");
            }
            None => {}
        }
        if let Some(limit_w) = site.import_limit_w.filter(|limit_w| target_w > *limit_w) {
            document.add(at, "site grid_target_w", format!("aims at {target_w} W, above import_limit_w, which is {limit_w}."));
        } else if let Some(limit_w) = site.export_limit_w.filter(|limit_w| target_w < -*limit_w) {
            document.add(at, "site grid_target_w", format!("aims at {} W of export, above export_limit_w, which is {limit_w}.", -target_w));
        }
    }
    let single: Vec<_> =
        batteries.iter().filter_map(|draft| if let Phases::One(phase) = draft.battery.phase { Some(phase) } else { None }).collect();
    let incomplete = !single.is_empty() && Phase::ALL.iter().any(|phase| !single.contains(phase));
    if let Some(at) = draft.unbalance_at.filter(|_| site.unbalance_limit_va == Some(0) && incomplete) {
        let message = "0 VA keeps every single-phase battery at 0 W, because not every phase has one.";
        document.add(at, "site unbalance_limit_va", message);
    }
}

/// What a strategy cannot do with batteries that balance by themselves.
fn check_strategy(document: &Document, draft: &SiteDraft, batteries: &[BatteryDraft]) {
    let nobody = nobody_is_commanded(batteries);
    match (draft.strategy, draft.strategy_at) {
        (Some(Strategy::PeakShaving { .. }), Some(at)) if nobody => {
            let message = "\"peak-shaving\" commands batteries, and none of these is: each balances by itself, inside limits.";
            let help = "At least one must take setpoints and have control = \"setpoint\".";
            document.add_with_help(at, "site strategy", message, help);
        }
        _ => {}
    }
    let why = match draft.strategy {
        Some(Strategy::Limits) => Some("with strategy \"limits\" each battery balances by itself: \"sum\" would have no effect."),
        Some(Strategy::SelfConsumption) if nobody => {
            Some("no battery is commanded, each balances by itself: \"sum\" would have no effect.")
        }
        _ => None,
    };
    if let (Some(why), Some(at)) = (why, draft.balance_at.filter(|_| draft.site.balance == Balance::Sum)) {
        let help = "Leave it out, or have the batteries commanded: strategy \"self-consumption\" and control = \"setpoint\".";
        document.add_with_help(at, "site balance", why, help);
    }
}

/// Whether every battery balances by itself, inside limits.
fn nobody_is_commanded(batteries: &[BatteryDraft]) -> bool {
    !batteries.is_empty() && batteries.iter().all(|draft| draft.battery.control == ControlMode::Limits)
}

/// What the main fuse carries on three phases, W.
pub(super) fn fuse_w(site: &Site) -> i64 {
    3 * i64::from(site.fuse_ma) * i64::from(site.voltage_mv) / 1_000_000
}

/// What findings call a key of this battery.
fn key_of(draft: &BatteryDraft, key: &str) -> String {
    format!("battery \"{}\" {key}", draft.battery.name)
}

fn as_i64(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
