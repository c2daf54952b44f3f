//! What ends a commissioning at once, and what may not be begun: fuse, silence, values that cannot be.

use super::subject::Subject;
use crate::control::input::MeterSample;
use crate::control::site::Site;
use crate::units::{Phase, Span, Time};

/// Nobody may be silent for longer.
pub const SILENCE: Span = Span::from_s(5);
/// This much below the fuse everything stops, mA.
const STOP_BELOW_MA: i64 = 1000;

/// The phase whose current leaves less than an ampere to the fuse, and its current in mA.
pub fn overloaded(site: &Site, sample: &MeterSample) -> Option<(Phase, i64)> {
    let phases = sample.phases?;
    Phase::ALL.into_iter().zip(phases).find_map(|(phase, p)| {
        let current_ma = p.current_ma.map_or(0, i64::saturating_abs).max(p.current_by_power_ma(site.voltage_mv));
        (current_ma > site.fuse_ma - STOP_BELOW_MA).then_some((phase, current_ma))
    })
}

/// Whether a battery may move by `change_w`, wherever it is connected and whatever its sign is, inside the fuse.
pub fn leaves_room(site: &Site, sample: &MeterSample, change_w: i64) -> bool {
    let room_w = |f: usize| {
        let voltage_mv = sample.phases.and_then(|p| p[f].voltage_mv).unwrap_or(site.voltage_mv);
        (site.fuse_ma - site.fuse_margin_ma.max(STOP_BELOW_MA)) * voltage_mv / 1_000_000
    };
    sample.phases.is_some_and(|phases| (0..3).all(|f| phases[f].power_w.saturating_abs() + change_w.abs() <= room_w(f)))
}

/// Who has been silent for too long.
pub fn silent(meter: Option<Time>, subjects: &[Subject], now: Time) -> Option<String> {
    let late = |at: Option<Time>| at.is_none_or(|t| now.since(t) > SILENCE);
    if late(meter) {
        return Some("the meter does not answer".into());
    }
    let subject = subjects.iter().find(|s| late(s.newest.map(|n| n.taken)))?;
    let fault = subject.fault.as_ref().map_or_else(String::new, |f| format!(" ({f})"));
    Some(format!("battery {} does not answer{fault}", subject.setup.name))
}
