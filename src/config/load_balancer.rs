//! `[load_balancer]`: what a charger may draw.

use super::number::amperes;
use super::reader::{At, Section, Spanned};
use super::site::keep;
use super::words;
use crate::balancer::{Settings, SettingsFault};

/// More than any charger draws: what is above is a mistake in writing.
const MOST_MA: u32 = 250_000;
/// The longest wait of a register of reference 2.
const LONGEST_WAIT_S: u8 = 254;

/// `[load_balancer]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoadBalancer {
    /// Its limits, waits and changes; defaults of reference 2. Limits are 0 to 250 A, and a change is never 0.
    pub settings: Settings,
    /// Name of a LED under `/sys/class/leds` that shows the state.
    pub led: Option<String>,
}

/// `[load_balancer]`, and places in it.
pub(super) struct LoadBalancerDraft {
    pub load_balancer: LoadBalancer,
    pub at: At,
    places: Vec<(&'static str, At)>,
}

impl LoadBalancerDraft {
    /// Where this key stands, or else the section.
    pub fn place(&self, key: &str) -> At {
        self.of_key(key).unwrap_or(self.at)
    }

    fn of_key(&self, key: &str) -> Option<At> {
        self.places.iter().find(|place| place.0 == key).map(|place| place.1)
    }
}

pub(super) fn read(root: &mut Section<'_>) -> Option<LoadBalancerDraft> {
    let mut section = root.section("load_balancer")?;
    let mut settings = Settings::default();
    let mut places = Vec::new();
    let whole = read_settings(&mut section, &mut settings, &mut places);
    let led = words::led(&mut section, "led").map(Spanned::get);
    let draft = LoadBalancerDraft { load_balancer: LoadBalancer { settings, led }, at: section.at(), places };
    // Beside a number that could not be read, others would contradict its default.
    if whole {
        check(&section, &draft);
    }
    section.finish();
    Some(draft)
}

/// Whether every number that stands there could be read.
fn read_settings(s: &mut Section<'_>, settings: &mut Settings, places: &mut Vec<(&'static str, At)>) -> bool {
    let mut whole = true;
    let mut note = |s: &Section<'_>, key: &'static str, at: Option<At>| {
        whole &= at.is_some() || !s.has(key);
        places.extend(at.map(|at| (key, at)));
    };
    let at = keep(s.integer("phases", 1..=3u8), &mut settings.phases);
    note(s, "phases", at);
    let Settings { alarm, upper, lower, .. } = settings;
    let currents = [
        ("charger_limit_a", 0, &mut settings.charger_limit_ma),
        ("alarm_limit_a", 0, &mut alarm.limit_ma),
        ("alarm_change_a", 1, &mut alarm.change_ma),
        ("upper_limit_a", 0, &mut upper.limit_ma),
        ("upper_change_a", 1, &mut upper.change_ma),
        ("lower_limit_a", 0, &mut lower.limit_ma),
        ("lower_change_a", 1, &mut lower.change_ma),
        ("fallback_limit_a", 0, &mut settings.fallback_limit_ma),
    ];
    for (key, least, into) in currents {
        let at = keep(s.decimal(key, 3, least..=MOST_MA), into);
        note(s, key, at);
    }
    let times = [
        ("alarm_wait_s", 0, &mut alarm.wait_s),
        ("upper_wait_s", 0, &mut upper.wait_s),
        ("lower_wait_s", 0, &mut lower.wait_s),
        ("fallback_time_s", 1, &mut settings.fallback_time_s),
    ];
    for (key, least, into) in times {
        let at = keep(s.integer(key, least..=LONGEST_WAIT_S), into);
        note(s, key, at);
    }
    whole
}

/// What the numbers say against each other.
fn check(s: &Section<'_>, draft: &LoadBalancerDraft) {
    let settings = &draft.load_balancer.settings;
    let limits = match settings.fault() {
        Some(SettingsFault::LowerNotBelowUpper) => [("lower_limit_a", settings.lower.limit_ma), ("upper_limit_a", settings.upper.limit_ma)],
        Some(SettingsFault::UpperNotBelowAlarm) => [("upper_limit_a", settings.upper.limit_ma), ("alarm_limit_a", settings.alarm.limit_ma)],
        Some(fault @ (SettingsFault::ChargerLimit | SettingsFault::AlarmChange)) => {
            let key = if fault == SettingsFault::ChargerLimit { "charger_limit_a" } else { "alarm_change_a" };
            s.add(draft.place(key), key, format!("{fault}."));
            return;
        }
        None => {
            check_fallback(s, draft);
            return;
        }
    };
    let [(low, low_ma), (high, high_ma)] = limits;
    // The one that the file has; where it has both, the lower one.
    let key = if draft.of_key(low).is_some() { low } else { high };
    let message = format!("{low} is {}, and must be below {high}, which is {}.", amperes(low_ma), amperes(high_ma));
    s.add(draft.place(key), key, message);
}

/// A limit that would never be reached.
fn check_fallback(s: &Section<'_>, draft: &LoadBalancerDraft) {
    let settings = &draft.load_balancer.settings;
    if settings.fallback_limit_ma > settings.charger_limit_ma {
        let (fallback, most) = (amperes(settings.fallback_limit_ma), amperes(settings.charger_limit_ma));
        let message = format!("{fallback} A is more than charger_limit_a, which is {most}.");
        s.add(draft.place("fallback_limit_a"), "fallback_limit_a", message);
    }
}
