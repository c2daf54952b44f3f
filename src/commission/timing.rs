//! How old the meter's values are, from the legs: bounds that hold whatever the battery did between two of its readings.
//!
//! A value that shows the old power was measured before the battery's first reading of the new one; a value that shows the new power was
//! measured after its last reading of the old one. What the meter may have aged beside that by its own refresh, which is not in step with
//! our polls, is added on both sides. So the window is never narrower than its evidence.

use super::leg::{Clean, Leg, Movement, after};
use super::record::Record;
use super::response::{Response, partial_ms};
use crate::control::site::Window;
use crate::units::{Span, Time};

/// Added on both sides (`spec/control.md` 2.2).
const MARGIN_MS: i64 = 150;
/// Fewer legs than this make no window (2.2: three events).
pub const LEGS: usize = 3;
/// From this many legs on the one that bounds most is not believed alone.
const MANY: usize = 6;
/// What noise and small loads may add to a part of a movement, per mille.
const DOUBT_PM: i64 = 200;

/// What one leg says about times.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Times {
    /// A value was at most this old on arrival, ms; relative to the battery's readings, so it may be negative.
    pub at_most_ms: Option<i64>,
    /// A value was at least this old on arrival, ms.
    pub at_least_ms: Option<i64>,
    /// The battery's readings: time since the command in ms, part of the movement in per mille.
    pub rise: Vec<(i64, i64)>,
    /// Values of the meter between old and new.
    pub partial: i64,
    /// From the command to the first reading that has moved.
    pub response: Option<Span>,
}

/// Whether the meter gives means instead of momentary values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Averaging {
    /// Momentary values.
    No,
    /// Means over about its refresh period.
    Yes,
    /// Movements and refresh period do not tell.
    Unknown,
}

/// What a clean leg that ended at `end` says.
pub fn times(record: &Record, leg: &Leg, m: &Movement, clean: &Clean, end: Time) -> Times {
    let since_sent = |at: Time| ms(at.since(leg.sent));
    let rise: Vec<(i64, i64)> = after(record.readings(leg.battery), leg.sent)
        .iter()
        .filter(|r| r.at <= end)
        .map(|r| (since_sent(r.at), part(r.power_w - m.before_w, m.battery_w)))
        .collect();
    let on = |f: usize| clean.connection.is_on(f);
    let mut times = Times { response: rise.iter().find(|r| r.1 >= 2 * DOUBT_PM).map(|r| span(r.0)), ..Times::default() };
    for point in record.grid().iter().filter(|g| g.at > leg.sent && g.at <= end) {
        let moved: i64 = (0..3).filter(|f| on(*f)).map(|f| point.power_w[f] - m.grid_before_w[f]).sum();
        let (arrived, shown) = (since_sent(point.at), part(moved, clean.grid_w));
        if shown >= 500 {
            // Measured after the last reading that was clearly behind it, and after the command in any case.
            let measured = rise.iter().filter(|r| r.1 < shown - DOUBT_PM).map(|r| r.0).max().unwrap_or(0);
            times.at_most_ms = Some(times.at_most_ms.unwrap_or(i64::MAX).min(arrived - measured));
        }
        if shown <= DOUBT_PM {
            // Measured before the first reading that was clearly ahead of it; true for means as well.
            let measured = rise.iter().filter(|r| r.1 > 2 * DOUBT_PM).map(|r| r.0).min();
            times.at_least_ms = measured.map(|t| times.at_least_ms.unwrap_or(i64::MIN).max(arrived - t)).or(times.at_least_ms);
        }
        times.partial += i64::from(point.fresh && (150..=850).contains(&shown));
    }
    times.rise = rise;
    times
}

/// The window that holds every age, given the longest refresh period that is possible; `None`: too little evidence, or it contradicts
/// itself.
pub fn window(legs: &[&Times], refresh: Span, averaging: Averaging) -> Option<Window> {
    let mut at_most: Vec<i64> = legs.iter().filter_map(|t| t.at_most_ms).collect();
    let mut at_least: Vec<i64> = legs.iter().filter_map(|t| t.at_least_ms).collect();
    if at_most.len() < LEGS || at_least.len() < LEGS {
        return None;
    }
    at_most.sort_unstable();
    at_least.sort_unstable_by(|a, b| b.cmp(a));
    let trusted = |bounds: &[i64]| bounds[usize::from(bounds.len() >= MANY)];
    // The youngest value is at most `youngest` old, the oldest at least `oldest`; one refresh period lies between youngest and oldest.
    let (youngest, oldest) = (trusted(&at_most), trusted(&at_least));
    if oldest - ms(refresh) > youngest + MARGIN_MS {
        return None;
    }
    // Means that nobody could tell from momentary values reach further back.
    let reach = if averaging == Averaging::Unknown { ms(refresh) } else { 0 };
    // A mean that shows little of a movement may end after it.
    let ends = if averaging == Averaging::No { 0 } else { ms(refresh) * DOUBT_PM / 1000 };
    let (lo, hi) = (oldest - ms(refresh) - ends - MARGIN_MS, youngest + ms(refresh) + MARGIN_MS + reach);
    Some(Window { lo: span(lo), hi: span(hi.max(lo)) })
}

/// Whether the meter averages over about its refresh period: it then shows more values between old and new. `spacing`: mean time between
/// two fresh values.
pub fn averaging(legs: &[(&Times, Response)], refresh: Span, spacing: Span) -> Averaging {
    let expected = |window: Span| legs.iter().map(|(_, r)| partial_ms(r.lag, window)).sum::<i64>() * 1000 / ms(spacing).max(1);
    let (momentary, means) = (expected(Span::ZERO), expected(refresh));
    let seen = legs.iter().map(|(t, _)| t.partial).sum::<i64>() * 1000;
    match means - momentary {
        ..3000 => Averaging::Unknown,
        gap if seen <= momentary + gap / 3 => Averaging::No,
        gap if seen >= means - gap / 3 => Averaging::Yes,
        _ => Averaging::Unknown,
    }
}

fn part(moved_w: i64, whole_w: i64) -> i64 {
    if whole_w == 0 { 0 } else { moved_w * 1000 / whole_w }
}

fn ms(span: Span) -> i64 {
    i64::try_from(span.as_ms()).unwrap_or(i64::MAX / 4)
}

fn span(ms: i64) -> Span {
    Span::from_ms(u64::try_from(ms).unwrap_or(0))
}
