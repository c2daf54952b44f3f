//! `[battery.bms]`: who says what the cells of a battery allow.

use super::devices::{self, Devices, Use};
use super::link::{self, Link};
use super::reader::{At, Section, Spanned};
use super::settings;
use crate::device::setting::Settings;
use crate::units::Span;

/// Where the file says nothing, ms; 500 ms are enough for stationary storage, reference 1.
const DEFAULT_POLL_MS: u32 = 1_000;
/// From the age at which limits begin to fall to the one at which nothing is left there is at least this much.
pub(super) const FALL: Span = Span::from_s(5);
/// Between the fallback and the heartbeat timeout there is this much, as without a meter.
const RESERVE: Span = Span::from_s(2);

/// `[battery.bms]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bms {
    /// The name of its profile.
    pub device: String,
    /// How it is reached.
    pub link: Link,
    /// Modbus unit; the profile's where none is given.
    pub unit: Option<u8>,
    /// Poll period; 200 to 15000 ms and no longer than its profile allows, default 1000.
    pub poll_ms: u32,
    /// Most current it may be charged with where the BMS gives no limit, mA; 0 to 10000 A.
    pub max_charge_ma: Option<i32>,
    /// The same for discharging.
    pub max_discharge_ma: Option<i32>,
    /// What its profile lets one set.
    pub settings: Settings,
}

/// How old what a BMS said may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BmsAges {
    /// From this age on its limits fall.
    pub fresh: Span,
    /// At this age nothing is left of them, and the battery is in fallback.
    pub lost: Span,
}

impl Bms {
    /// The ages at this heartbeat timeout.
    pub fn ages(&self, heartbeat: Span) -> BmsAges {
        BmsAges { fresh: Span::from_s(5).max(Span::from_ms(self.poll_ms.into()).times(3)), lost: heartbeat.less(RESERVE) }
    }
}

impl BmsAges {
    /// The same where a write to the battery may have to wait so long for the other devices on its link, should they hang: what is lost is
    /// lost so much sooner, as far as half of its time, and what counts as fresh, allow.
    pub fn before_waiting(self, wait: Span) -> BmsAges {
        let sooner = self.lost.less(wait.less(RESERVE));
        BmsAges { lost: sooner.max(self.fresh).max(Span::from_ms(self.lost.as_ms() / 2)), ..self }
    }
}

/// `[battery.bms]`, and places in it.
pub(super) struct BmsDraft {
    pub bms: Bms,
    pub link_at: At,
    pub poll_at: Option<At>,
    pub at: At,
}

/// The BMS of the battery whose section this is.
pub(super) fn read(battery: &mut Section<'_>, devices: &dyn Devices) -> Option<BmsDraft> {
    let mut section = battery.section("bms")?;
    let s = &mut section;
    let device = devices::read(s, devices, Use::Bms).map(Spanned::get);
    let facts = device.as_ref().map(|device| &device.facts);
    let poll = s.integer("poll_ms", 200..=15_000u32);
    let poll_ms = poll.map_or(DEFAULT_POLL_MS, Spanned::get);
    if let (Some(poll), Some(most)) = (poll, facts.and_then(|facts| facts.longest_poll_ms)) {
        if poll.value > most {
            let message = format!("{} is too rare: being asked is what tells this BMS that somebody is there.", poll.value);
            s.add_with_help(poll.at, "poll_ms", message, format!("It must be at most {most}."));
        }
    }
    let link = link::read(s, facts.and_then(|facts| facts.tcp_port), poll_ms);
    let unit = s.integer("unit", 0..=255u8).map(Spanned::get);
    let mut current = |key: &str| s.decimal(key, 3, 0..=10_000_000i32).map(Spanned::get);
    let (max_charge_ma, max_discharge_ma) = (current("max_charge_a"), current("max_discharge_a"));
    let settings = settings::read(s, facts);
    let at = s.at();
    section.finish();
    let (Some(link), Some(device)) = (link, device.map(|device| device.name)) else { return None };
    let (link_at, poll_at) = (link.at, poll.map(|poll| poll.at));
    let bms = Bms { device, link: link.value, unit, poll_ms, max_charge_ma, max_discharge_ma, settings };
    Some(BmsDraft { bms, link_at, poll_at, at })
}
