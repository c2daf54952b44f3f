//! `[[charger]]`: a charger that the limit of the load balancer is written to.

use super::later;
use super::link::Link;
use super::reader::Section;
use crate::device::setting::Settings;

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
    /// Poll period, ms; default 30000, the keep-alive of the ABB Terra AC (facts/p1-load-balancer.md 2.2).
    pub poll_ms: u32,
    /// What its profile lets the configuration set.
    pub settings: Settings,
    /// Below this it is paused, mA; default 6000 (IEC 61851-1).
    pub min_current_ma: u32,
    /// What it falls to by itself when we are silent, mA; default 0: it stops.
    pub fallback_limit_ma: u32,
    /// Once paused, at least for this long, s; default 60.
    pub min_pause_s: u32,
    /// Once charging, not paused for this long but for an alarm or the fallback, s; default 60.
    pub min_run_s: u32,
}

pub(super) fn read(root: &mut Section<'_>) -> Vec<Charger> {
    for charger in root.sections("charger").unwrap_or_default() {
        later::refuse(&charger);
        later::read_charger(charger);
    }
    Vec::new()
}
