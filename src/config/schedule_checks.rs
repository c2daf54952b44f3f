//! What single windows of a schedule cannot be blamed for: windows against each other, and against the site.

use super::battery::{BatteryDraft, ControlMode};
use super::check::fuse_w;
use super::number::fixed_to_text;
use super::reader::Document;
use super::schedule::WindowDraft;
use super::site::SiteDraft;
use crate::control::demand::Action;
use crate::schedule::{Window, clock};

/// More windows than this are a mistake; each is looked at in every step.
const MOST_WINDOWS: usize = 100;

/// Adds what is wrong with the windows together.
pub(super) fn check(document: &Document, site: &SiteDraft, windows: &[WindowDraft], batteries: &[BatteryDraft]) {
    if let Some(draft) = windows.get(MOST_WINDOWS) {
        document.add(draft.at, "schedule", format!("there are {}, there must not be more than {MOST_WINDOWS}.", windows.len()));
        return;
    }
    let no_battery = !site.observes && !document.has("battery") && document.has("load_balancer");
    if let Some(draft) = windows.first().filter(|_| no_battery) {
        document.add(draft.at, &draft.name, "there is no [[battery]] that it could be for.");
    }
    check_zones(document, windows);
    check_overlaps(document, windows);
    for draft in windows {
        check_action(document, site, draft, batteries);
    }
}

/// Whether windows of two zones overlap would change with their summer times, and with the laws of both countries.
fn check_zones(document: &Document, windows: &[WindowDraft]) {
    let mut known = windows.iter().filter_map(|draft| draft.zone.as_ref().map(|zone| (draft, zone)));
    let Some((first, zone)) = known.next() else { return };
    for (draft, other) in known.filter(|(_, other)| other.value != zone.value) {
        let message = format!("{} is in \"{}\", and all windows must be in one time zone.", first.name, zone.value.name());
        let help = "Otherwise they could overlap on some days of the year and not on others.";
        document.add_with_help(other.at, &format!("{} timezone", draft.name), message, help);
    }
}

fn check_overlaps(document: &Document, drafts: &[WindowDraft]) {
    let known: Vec<(&WindowDraft, Window)> = drafts.iter().filter_map(|draft| Some((draft, draft.window()?))).collect();
    let windows: Vec<Window> = known.iter().map(|(_, window)| *window).collect();
    for later in 1..windows.len() {
        // The first that it overlaps; a window that overlaps several is one mistake.
        let pair = windows[..later].iter().enumerate().find_map(|(earlier, window)| Some((earlier, windows[later].meets(window)?)));
        if let Some((earlier, (day, minute))) = pair {
            let (other, window) = &known[earlier];
            let message = format!(
                "overlaps {} ({window}, line {}): on {} at {} both would be active.",
                other.name,
                document.line_of(other.at),
                day.name(),
                clock(minute)
            );
            document.add(known[later].0.at, &known[later].0.name, message);
        }
    }
}

/// What no battery and no fuse of this site could do.
fn check_action(document: &Document, site: &SiteDraft, draft: &WindowDraft, batteries: &[BatteryDraft]) {
    let Some(action) = draft.action else { return };
    let add = |key: &str, message: String| document.add(action.at, &format!("{} action.{key}", draft.name), message);
    if let Action::GridTarget(w) = action.value {
        if w.abs() > fuse_w(&site.site) {
            add("grid_target_w", format!("{w} W is more than the main fuse carries, which is {} W.", fuse_w(&site.site)));
        } else if let Some(limit_w) = site.site.import_limit_w.filter(|limit_w| w > i64::from(*limit_w)) {
            add("grid_target_w", format!("aims at {w} W, above import_limit_w, which is {limit_w}."));
        } else if let Some(limit_w) = site.site.export_limit_w.filter(|limit_w| w < -i64::from(*limit_w)) {
            add("grid_target_w", format!("aims at {} W of export, above export_limit_w, which is {limit_w}.", -w));
        }
    }
    if let Action::Charge(w) = action.value {
        if let Some(limit_w) = site.site.import_limit_w.filter(|limit_w| w > i64::from(*limit_w)) {
            add("charge_w", format!("{w} W is above import_limit_w, which is {limit_w}."));
            return;
        }
    }
    if batteries.is_empty() {
        return;
    }
    let commanded = || batteries.iter().filter(|b| b.battery.control != ControlMode::Limits);
    let most_pm = batteries.iter().map(|b| i64::from(b.battery.max_soc_pm)).max().unwrap_or(0);
    let least_pm = batteries.iter().map(|b| i64::from(b.battery.min_soc_pm)).min().unwrap_or(0);
    let most_w: i64 = commanded().map(|b| i64::from(b.battery.max_charge_w)).sum();
    let by_itself = "no battery can be commanded: each balances by itself at 0 W, inside limits.";
    match action.value {
        Action::ReserveSoc(pm) if pm > most_pm => {
            let (wanted, most) = (fixed_to_text(pm, 1), fixed_to_text(most_pm, 1));
            add("reserve_soc_pct", format!("{wanted} is more than the max_soc_pct of every battery, the largest is {most}."));
        }
        Action::ReserveSoc(pm) if pm <= least_pm => {
            let (wanted, least) = (fixed_to_text(pm, 1), fixed_to_text(least_pm, 1));
            add(
                "reserve_soc_pct",
                format!("{wanted} is not above the min_soc_pct of any battery, the smallest is {least}: it keeps nothing."),
            );
        }
        Action::Charge(_) if commanded().next().is_none() => add("charge_w", by_itself.to_owned()),
        Action::GridTarget(w) if w != 0 && commanded().next().is_none() => add("grid_target_w", by_itself.to_owned()),
        Action::Charge(w) if w > most_w => {
            add("charge_w", format!("{w} is more than the batteries that can be commanded take together, which is {most_w}."));
        }
        _ => {}
    }
}
