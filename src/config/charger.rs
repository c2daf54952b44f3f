//! `[[charger]]`: a charger that the limit of the load balancer is written to.

use super::devices::{self, Devices, Known, Use};
use super::link::{self, Link, Tcp};
use super::number::amperes;
use super::reader::{At, Section, Spanned};
use super::settings;
use super::site::keep;
use super::words;
use crate::device::setting::Settings;

/// Where the file says nothing, ms: the keep-alive of the ABB Terra AC (facts/p1-load-balancer.md 2.2).
const DEFAULT_POLL_MS: u32 = 30_000;
/// A charger answers as fast as anything else, however rarely it is asked (firmware: 1000 ms, facts/p1-load-balancer.md 2.1).
const TIMEOUT_MS: u32 = 1_000;
/// The least and the most that a charger can offer a car (IEC 61851-1).
pub(super) const LEAST_MA: u32 = 6_000;
const MOST_MA: u32 = 80_000;

/// `[[charger]]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Charger {
    /// Its name, unique among chargers.
    pub name: String,
    /// Its device profile.
    pub device: String,
    /// How it is reached.
    pub link: Link,
    /// Its unit id; `None`: the profile's.
    pub unit: Option<u8>,
    /// Poll period; 1000 to 60000 ms and no longer than its profile allows, default 30000.
    pub poll_ms: u32,
    /// What its profile lets the configuration set.
    pub settings: Settings,
    /// Below this it is paused, mA; 6 to 80 A, default 6 A.
    pub min_current_ma: u32,
    /// What it falls to by itself when we are silent, mA; 0, the default: it stops; else 6 to 80 A.
    pub fallback_limit_ma: u32,
    /// Once paused, at least for this long; 0 to 3600 s, default 60.
    pub min_pause_s: u32,
    /// Once charging, not paused for this long but for an alarm or the fallback; 0 to 3600 s, default 60.
    pub min_run_s: u32,
}

/// `[[charger]]`, and places in it.
pub(super) struct ChargerDraft {
    pub charger: Charger,
    pub device: Option<Known>,
    /// None where there is no usable name.
    pub name_at: Option<At>,
    /// None where there is no usable link.
    pub link_at: Option<At>,
    pub min_current_at: Option<At>,
    pub fallback_at: Option<At>,
    pub at: At,
}

pub(super) fn read(root: &mut Section<'_>, devices: &dyn Devices) -> Vec<ChargerDraft> {
    let sections = root.sections("charger").unwrap_or_default();
    sections.into_iter().map(|section| read_one(section, devices)).collect()
}

fn read_one(mut section: Section<'_>, devices: &dyn Devices) -> ChargerDraft {
    let s = &mut section;
    let name = s.required("name", words::name);
    let device = devices::read(s, devices, Use::Charger).map(Spanned::get);
    let facts = device.as_ref().map(|device| &device.facts);
    let link = link::read(s, facts.and_then(|facts| facts.tcp_port), TIMEOUT_MS);
    let link_at = link.as_ref().map(|link| link.at);
    let mut charger = Charger {
        name: String::new(),
        device: device.as_ref().map(|device| device.name.clone()).unwrap_or_default(),
        link: link.map_or(Link::Tcp(Tcp { host: String::new(), port: 0, timeout_ms: 0, retry_count: 0 }), Spanned::get),
        unit: s.integer("unit", 0..=255u8).map(Spanned::get),
        poll_ms: read_poll(s, facts.and_then(|facts| facts.longest_poll_ms)),
        settings: settings::read(s, facts),
        min_current_ma: LEAST_MA,
        fallback_limit_ma: 0,
        min_pause_s: 60,
        min_run_s: 60,
    };
    let name_at = keep(name, &mut charger.name);
    let min_current_at = keep(s.decimal("min_current_a", 3, LEAST_MA..=MOST_MA), &mut charger.min_current_ma);
    let fallback_at = keep(s.decimal("fallback_limit_a", 3, 0..=MOST_MA), &mut charger.fallback_limit_ma);
    if let Some(at) = fallback_at {
        check_fallback(s, at, charger.fallback_limit_ma, device.as_ref());
    }
    keep(s.integer("min_pause_s", 0..=3_600u32), &mut charger.min_pause_s);
    keep(s.integer("min_run_s", 0..=3_600u32), &mut charger.min_run_s);
    let at = s.at();
    section.finish();
    ChargerDraft { charger, device, name_at, link_at, min_current_at, fallback_at, at }
}

/// What the device can be told to fall to.
fn check_fallback(s: &Section<'_>, at: At, limit_ma: u32, device: Option<&Known>) {
    if (1..LEAST_MA).contains(&limit_ma) {
        s.add_with_help(at, "fallback_limit_a", "no car charges with less than 6 A.", "It must be 0, which stops it, or at least 6.");
        return;
    }
    let Some(Known { name, facts }) = device else { return };
    match facts.fallback_step_ma {
        None => s.add(at, "fallback_limit_a", format!("\"{name}\" cannot be told what to fall to.")),
        Some(step_ma) if limit_ma % step_ma.max(1) != 0 => {
            let message = format!("{} A cannot be told to \"{name}\", only multiples of {} A.", amperes(limit_ma), amperes(step_ma));
            s.add(at, "fallback_limit_a", message);
        }
        Some(_) => {}
    }
}

/// The longest period is half of the communication timeout that the profile writes into the charger at the start (4106h of the ABB Terra
/// AC): being asked is what keeps it from its own fallback.
fn read_poll(s: &mut Section<'_>, longest_ms: Option<u32>) -> u32 {
    let most_ms = longest_ms.unwrap_or(u32::MAX);
    let Some(poll) = s.integer("poll_ms", 1_000..=60_000u32) else { return DEFAULT_POLL_MS.min(most_ms) };
    if poll.value > most_ms {
        let message = format!("{} is too rare: being asked is what tells this charger that somebody is there.", poll.value);
        s.add_with_help(poll.at, "poll_ms", message, format!("It must be at most {most_ms}."));
    }
    poll.value
}
