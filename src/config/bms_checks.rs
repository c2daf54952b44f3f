//! What is wrong with a `[battery.bms]` beside the rest of the file.

use super::battery::BatteryDraft;
use super::bms::{BmsDraft, FALL};
use super::link::Link;
use super::meter::MeterDraft;
use super::reader::Document;
use super::site::ControlDraft;
use crate::units::Span;

pub(super) fn check(document: &Document, control: &ControlDraft, meter: Option<&MeterDraft>, batteries: &[BatteryDraft]) {
    for (index, draft) in batteries.iter().enumerate() {
        let Some(bms) = &draft.bms else { continue };
        check_address(document, draft, bms, meter, batteries, index);
        check_ages(document, draft, bms, control);
    }
}

fn key_of(draft: &BatteryDraft, key: &str) -> String {
    format!("battery \"{}\" bms {key}", draft.battery.name)
}

/// Two devices at one address would be asked for each other's registers.
fn check_address(
    document: &Document,
    draft: &BatteryDraft,
    bms: &BmsDraft,
    meter: Option<&MeterDraft>,
    batteries: &[BatteryDraft],
    index: usize,
) {
    let same = |link: &Link, unit: Option<u8>| bms.bms.link.is_same_place(link) && bms.bms.unit == unit;
    let battery = batteries.iter().filter(|other| other.host_at.is_some()).find(|other| same(&other.battery.link, other.battery.unit));
    let earlier = batteries.iter().take(index).filter_map(|other| Some((other, other.bms.as_ref()?)));
    let other_bms = earlier.map(|(other, bms)| (other, &bms.bms)).find(|(_, bms)| same(&bms.link, bms.unit));
    let holder = match (battery, other_bms, meter.and_then(MeterDraft::address)) {
        (Some(other), ..) => format!("battery \"{}\"", other.battery.name),
        (_, Some((other, _)), _) => format!("the BMS of battery \"{}\"", other.battery.name),
        (.., Some((link, unit))) if same(link, unit) => "the meter".to_owned(),
        _ => return,
    };
    let key = if matches!(bms.bms.link, Link::Tcp(_)) { "link.tcp.host" } else { "link.rtu.port" };
    document.add(bms.link_at, &key_of(draft, key), format!("{holder} has this address already."));
}

/// Its limits must have time to fall before the fallback.
fn check_ages(document: &Document, draft: &BatteryDraft, bms: &BmsDraft, control: &ControlDraft) {
    let heartbeat = Span::from_s(control.control.heartbeat_timeout_s.into());
    let ages = bms.bms.ages(heartbeat);
    if ages.fresh + FALL <= ages.lost {
        return;
    }
    let message = format!(
        "its limits would hold for {} after its last answer, and the fallback must be reached {} after it: no time is left to lower them.",
        ages.fresh, ages.lost
    );
    let help = format!("poll_ms must be at most {}.", ages.lost.less(FALL).as_ms() / 3);
    document.add_with_help(bms.poll_at.unwrap_or(bms.at), &key_of(draft, "poll_ms"), message, help);
}
