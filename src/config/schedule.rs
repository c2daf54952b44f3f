//! `[[schedule]]`.

use super::nearest::{distance, nearest};
use super::reader::{At, Section, Spanned};
use crate::control::demand::Action;
use crate::schedule::{Day, Days, Schedule, Window, Zone};

/// More time zones than this are not offered.
const OFFERED: usize = 3;

/// `[[schedule]]`, and places in it.
pub(super) struct WindowDraft {
    /// What findings call it, `schedule 2`.
    pub name: String,
    /// None where it is missing or unknown.
    pub zone: Option<Spanned<Zone>>,
    pub from_min: Option<u16>,
    pub to_min: Option<u16>,
    pub days: Option<Days>,
    pub action: Option<Spanned<Action>>,
    pub at: At,
}

impl WindowDraft {
    /// The window, unless a part of it is missing or wrong; the action of a window may be.
    pub fn window(&self) -> Option<Window> {
        let action = self.action.map_or(Action::Hold, Spanned::get);
        Some(Window { days: self.days?, from_min: self.from_min?, to_min: self.to_min?, action })
    }
}

/// The schedule of a file in which nothing is wrong.
pub(super) fn resolve(windows: &[WindowDraft]) -> Option<Schedule> {
    let zone = windows.first()?.zone.as_ref()?.value.clone();
    Some(Schedule { zone, windows: windows.iter().filter_map(WindowDraft::window).collect() })
}

pub(super) fn read(root: &mut Section<'_>) -> Vec<WindowDraft> {
    root.sections("schedule").unwrap_or_default().into_iter().map(read_one).collect()
}

fn read_one(mut section: Section<'_>) -> WindowDraft {
    let s = &mut section;
    let zone = read_zone(s);
    let days = read_days(s);
    let from = s.required("from", |s, key| time(s, key, 0..=1439));
    let to = s.required("to", |s, key| time(s, key, 0..=1440));
    if let (Some(from), Some(to)) = (from, to) {
        if from.value == to.value {
            let message = "is the same as from: such a window would be empty.";
            s.add_with_help(to.at, "to", message, "A whole day is from = \"00:00\", to = \"24:00\".");
        }
    }
    let action = read_action(s);
    let draft = WindowDraft {
        name: s.name().to_owned(),
        zone,
        from_min: from.map(Spanned::get),
        // Midnight at the end is the end of the day, not the beginning of the next.
        to_min: to.map(Spanned::get).filter(|to| Some(*to) != from.map(Spanned::get)).map(|to| if to == 0 { 1440 } else { to }),
        days,
        action,
        at: s.at(),
    };
    section.finish();
    draft
}

fn read_zone(s: &mut Section<'_>) -> Option<Spanned<Zone>> {
    let name = s.required("timezone", Section::string)?;
    if let Some(zone) = Zone::find(&name.value) {
        return Some(name.map(|_| zone));
    }
    let shown: String = name.value.chars().take(40).collect();
    let message = format!("\"{shown}\" is not a known time zone.");
    let help = match nearest_zones(&name.value).as_slice() {
        [] => "Time zones are named after places, as in \"Europe/Berlin\".".to_owned(),
        names => format!("Did you mean \"{}\"?", names.join("\" or \"")),
    };
    s.add_with_help(name.at, "timezone", message, help);
    None
}

/// The zones of that place, or else the one whose place is spelt most alike: few know the continent by which a zone is filed.
fn nearest_zones(name: &str) -> Vec<String> {
    let place = |zone: &str| zone.rsplit('/').next().unwrap_or_default().replace(' ', "_");
    let wanted = place(name);
    let limit = (wanted.chars().count() / 4).max(1);
    let mut near: Vec<(usize, usize, String)> =
        Zone::names().into_iter().map(|zone| (distance(&place(&zone), &wanted), distance(&zone, name), zone)).collect();
    // Abbreviations are not places: "CET" is a zone that nobody should be led to, "CEST" is not "Brazil/West", and "Etc/GMT+1" is west.
    let first = |place: &str| place.chars().next().map(|c| c.to_ascii_lowercase());
    let named = |zone: &str| zone.contains('/') && !zone.starts_with("Etc/") && first(&place(zone)) == first(&wanted);
    near.retain(|(of_place, _, zone)| wanted.len() > 2 && *of_place <= limit && named(zone));
    near.sort_unstable();
    let most = if near.first().is_some_and(|(of_place, _, _)| *of_place == 0) { OFFERED } else { 1 };
    let best = near.first().map_or(0, |(of_place, _, _)| *of_place);
    near.into_iter().filter(|(of_place, _, _)| *of_place == best).take(most).map(|(_, _, zone)| zone).collect()
}

fn read_days(s: &mut Section<'_>) -> Option<Days> {
    if !s.has("days") {
        // Asked for, so that a misspelt key is offered this one.
        let _ = s.strings("days");
        return Some(Days::ALL);
    }
    let list = s.strings("days")?;
    let names = Day::ALL.map(Day::name);
    let mut days = Days::NONE;
    let mut right = true;
    for word in &list {
        match Day::ALL.into_iter().find(|day| day.name() == word.value) {
            Some(day) if days.has(day) => {
                s.add(word.at, "days", format!("\"{}\" stands here a second time.", word.value));
                right = false;
            }
            Some(day) => days = days.and(day),
            None => {
                let shown: String = word.value.chars().take(20).collect();
                let message = format!("\"{shown}\" is not one of \"{}\".", names.join("\", \""));
                match nearest(&word.value, names) {
                    Some(meant) => s.add_with_help(word.at, "days", message, format!("Did you mean \"{meant}\"?")),
                    None => s.add(word.at, "days", message),
                }
                right = false;
            }
        }
    }
    if list.is_empty() {
        s.add(s.at(), "days", "must name at least one day. Leave it out for every day.");
    }
    (right && days != Days::NONE).then_some(days)
}

/// A time of the day as a minute of it.
fn time(s: &mut Section<'_>, key: &str, range: std::ops::RangeInclusive<u16>) -> Option<Spanned<u16>> {
    let text = s.string(key)?;
    let two = |part: &str| (part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse::<u16>().ok()).flatten();
    let (hours, minutes) = text.value.split_once(':').unwrap_or_default();
    let minute = match (two(hours), two(minutes)) {
        (Some(hours @ 0..=24), Some(minutes @ 0..=59)) => Some(hours * 60 + minutes),
        _ => None,
    };
    let Some(minute) = minute.filter(|minute| range.contains(minute)) else {
        let last = if *range.end() == 1440 { "24:00" } else { "23:59" };
        s.add(text.at, key, format!("must be a time from \"00:00\" to \"{last}\", written as in \"01:30\"."));
        return None;
    };
    Some(text.map(|_| minute))
}

/// Exactly one of four; the place is that of its value.
fn read_action(s: &mut Section<'_>) -> Option<Spanned<Action>> {
    let mut action = s.required("action", |s, key| s.section_as(key, "action = { hold = true }"))?;
    let target = action.integer("grid_target_w", -2_000_000..=2_000_000i32).map(|w| w.map(|w| Action::GridTarget(w.into())));
    let reserve = action.decimal("reserve_soc_pct", 1, 0..=1000u16).map(|pm| pm.map(|pm| Action::ReserveSoc(pm.into())));
    let charge = action.integer("charge_w", 1..=2_000_000i32).map(|w| w.map(|w| Action::Charge(w.into())));
    let hold = action.boolean("hold");
    if let Some(hold) = hold.filter(|hold| !hold.value) {
        action.add(hold.at, "hold", "must be true: a window that asks for nothing is left out.");
    }
    let hold = hold.filter(|hold| hold.value).map(|hold| hold.map(|_| Action::Hold));
    let known = ["grid_target_w", "reserve_soc_pct", "charge_w", "hold"].iter().filter(|key| action.has(key)).count();
    if known > 1 || action.keys().is_empty() {
        s.add(action.at(), "action", "must be exactly one of grid_target_w, reserve_soc_pct, charge_w and hold.");
    }
    action.finish();
    target.or(reserve).or(charge).or(hold)
}
