//! What is wrong with `[load_balancer]` and `[[charger]]` beside the rest of the file.

use super::battery::BatteryDraft;
use super::charger::{ChargerDraft, LEAST_MA};
use super::link::Link;
use super::load_balancer::LoadBalancerDraft;
use super::meter::MeterDraft;
use super::number::amperes;
use super::reader::{At, Document};
use super::site::SiteDraft;

/// More chargers than this are a mistake.
const MOST_CHARGERS: usize = 32;

/// Adds what does not fit together.
pub(super) fn check(
    document: &Document,
    site: &SiteDraft,
    meter: Option<&MeterDraft>,
    batteries: &[BatteryDraft],
    balancer: Option<&LoadBalancerDraft>,
    chargers: &[ChargerDraft],
) {
    if let Some(balancer) = balancer {
        check_fuse(document, site, balancer);
        check_meter(document, site, meter, balancer);
    } else if let Some(first) = chargers.first().filter(|_| !document.has("load_balancer")) {
        let message = "there is no [load_balancer], which says how much a charger may draw.";
        document.add_missing(first.at, &key_of(first, ""), "load_balancer", message);
    }
    if let Some(first) = chargers.get(MOST_CHARGERS) {
        document.add(first.at, "charger", format!("there are {}, there must not be more than {MOST_CHARGERS}.", chargers.len()));
    }
    let compared = &chargers[..chargers.len().min(MOST_CHARGERS)];
    for (index, draft) in compared.iter().enumerate() {
        check_name(document, draft, &compared[..index]);
        check_address(document, draft, &compared[..index], meter, batteries);
        if let Some(balancer) = balancer {
            check_currents(document, draft, balancer);
        }
    }
}

/// An alarm that comes after the fuse helps nobody.
fn check_fuse(document: &Document, site: &SiteDraft, balancer: &LoadBalancerDraft) {
    let alarm_ma = balancer.load_balancer.settings.alarm.limit_ma;
    let fuse_ma = site.site.fuse_ma.unsigned_abs();
    if alarm_ma > fuse_ma {
        let message =
            format!("{} A is more than fuse_a, which is {}: the alarm would come after the fuse.", amperes(alarm_ma), amperes(fuse_ma));
        document.add(balancer.place("alarm_limit_a"), "load_balancer alarm_limit_a", message);
    }
}

/// It works by the currents of the phases, and they must come in time.
fn check_meter(document: &Document, site: &SiteDraft, meter: Option<&MeterDraft>, balancer: &LoadBalancerDraft) {
    let Some(meter) = meter else {
        // Other strategies miss the meter by themselves.
        if site.observes && !document.has("meter") {
            let message = "there is no [meter], and it works by the currents of the phases.";
            document.add_missing(balancer.at, "load_balancer", "meter", message);
        }
        return;
    };
    if meter.device.as_ref().is_some_and(|device| !device.facts.phases && !device.facts.currents && !device.facts.telegrams) {
        let message = "the meter gives neither current nor power of the phases, and it works by their currents.";
        document.add(balancer.at, "load_balancer", message);
    }
    let time_s = balancer.load_balancer.settings.fallback_time_s;
    let least_s = meter.poll_ms.saturating_mul(2).div_ceil(1_000);
    if u32::from(time_s) < least_s {
        let message = format!("{time_s} s is shorter than two poll periods of the meter: one lost reading would stop the charging.");
        let help = format!("It must be at least {least_s}.");
        document.add_with_help(balancer.place("fallback_time_s"), "load_balancer fallback_time_s", message, help);
    }
}

fn check_name(document: &Document, draft: &ChargerDraft, earlier: &[ChargerDraft]) {
    let Some(at) = draft.name_at else { return };
    if earlier.iter().any(|other| other.charger.name == draft.charger.name) {
        document.add(at, "charger name", format!("\"{}\" is the name of another charger already.", draft.charger.name));
    }
}

/// Two devices at one address would be asked for each other's registers. On a serial bus that is said where its units are compared.
fn check_address(
    document: &Document,
    draft: &ChargerDraft,
    earlier: &[ChargerDraft],
    meter: Option<&MeterDraft>,
    batteries: &[BatteryDraft],
) {
    let (Some(at), Link::Tcp(_)) = (draft.link_at, &draft.charger.link) else { return };
    let same = |link: &Link, unit: Option<u8>| draft.charger.link.is_same_place(link) && draft.charger.unit == unit;
    let charger = earlier.iter().filter(|other| other.link_at.is_some()).find(|other| same(&other.charger.link, other.charger.unit));
    let battery = batteries.iter().filter(|other| other.host_at.is_some()).find(|other| same(&other.battery.link, other.battery.unit));
    let bms = batteries.iter().find(|other| other.bms.as_ref().is_some_and(|bms| same(&bms.bms.link, bms.bms.unit)));
    let holder = match (charger, battery, bms, meter.and_then(MeterDraft::address)) {
        (Some(other), ..) => format!("charger \"{}\"", other.charger.name),
        (_, Some(other), ..) => format!("battery \"{}\"", other.battery.name),
        (.., Some(other), _) => format!("the BMS of battery \"{}\"", other.battery.name),
        (.., Some((link, unit))) if same(link, unit) => "the meter".to_owned(),
        _ => return,
    };
    document.add(at, &key_of(draft, "link.tcp.host"), format!("{holder} has this address already."));
}

/// Currents that this site will never let it have.
fn check_currents(document: &Document, draft: &ChargerDraft, balancer: &LoadBalancerDraft) {
    let most_ma = balancer.load_balancer.settings.charger_limit_ma;
    let add = |at: Option<At>, key: &str, ma: u32, so: &str| {
        let message = format!("{} A is more than charger_limit_a, which is {}{so}", amperes(ma), amperes(most_ma));
        document.add(at.unwrap_or(draft.at), &key_of(draft, key), message);
    };
    // 0 is refused where it stands.
    if draft.charger.min_current_ma > most_ma && most_ma > 0 {
        add(draft.min_current_at, "min_current_a", draft.charger.min_current_ma, ": it would never charge.");
    }
    let fallback_ma = draft.charger.fallback_limit_ma;
    if fallback_ma > most_ma && fallback_ma >= LEAST_MA {
        add(draft.fallback_at, "fallback_limit_a", fallback_ma, ".");
    }
}

/// What findings call a key of this charger.
fn key_of(draft: &ChargerDraft, key: &str) -> String {
    format!("charger \"{}\" {key}", draft.charger.name).trim_end().to_owned()
}
