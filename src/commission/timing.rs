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

/// A fitted response counts when its mean error is no larger, per mille, …
const FIT_PM: i64 = 40;
/// … and is believed to this, ms.
const FIT_MS: i64 = 200;

/// What one leg says about times: ms since its command, and parts of the movement in per mille.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Times {
    /// The readings of the battery.
    pub rise: Vec<(i64, i64)>,
    /// The values of the meter, and whether they were fresh.
    pub shown: Vec<(i64, i64, bool)>,
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
    let since_sent = |at: Time| at.since(leg.sent).signed_ms();
    let rise = after(record.readings(leg.battery), leg.sent)
        .iter()
        .filter(|r| r.at <= end)
        .map(|r| (since_sent(r.at), part(r.power_w - m.before_w, m.battery_w)))
        .collect();
    let moved =
        |power_w: &[i64; 3]| -> i64 { (0..3).filter(|f| clean.connection.is_on(*f)).map(|f| power_w[f] - m.grid_before_w[f]).sum() };
    let shown = record
        .grid()
        .iter()
        .filter(|g| g.at > leg.sent && g.at <= end)
        .map(|g| (since_sent(g.at), part(moved(&g.power_w), clean.grid_w), g.fresh))
        .collect();
    Times { rise, shown }
}

impl Times {
    /// From the command to the first reading that has moved.
    pub fn response(&self) -> Option<Span> {
        self.rise.iter().find(|r| r.1 >= 2 * DOUBT_PM).map(|r| span(r.0))
    }

    /// A value was at most this old on arrival, ms; relative to the battery's readings, so it may be negative.
    fn at_most(&self, response: Option<Response>) -> Option<i64> {
        // Measured after the last reading that was clearly behind it, and after the command in any case.
        let measured = |shown: i64| {
            let read = self.rise.iter().filter(|r| r.1 < shown - DOUBT_PM).map(|r| r.0).max().unwrap_or(0);
            response.map_or(read, |r| read.max(r.reaches(shown - DOUBT_PM) - FIT_MS))
        };
        self.shown.iter().filter(|s| s.1 >= 500).map(|s| s.0 - measured(s.1.min(1000))).min()
    }

    /// A value was at least this old on arrival, ms.
    fn at_least(&self, response: Option<Response>) -> Option<i64> {
        // Measured before the first reading that was clearly ahead of it; true for means as well.
        let read = self.rise.iter().filter(|r| r.1 > 2 * DOUBT_PM).map(|r| r.0).min()?;
        let measured = response.map_or(read, |r| read.min(r.reaches(2 * DOUBT_PM) + FIT_MS));
        self.shown.iter().filter(|s| s.1 <= DOUBT_PM).map(|s| s.0 - measured).max()
    }

    /// Values of the meter between old and new.
    fn partial(&self) -> i64 {
        self.shown.iter().filter(|s| s.2 && (150..=850).contains(&s.1)).count() as i64
    }
}

/// The window that holds every age, given the longest refresh period that is possible; `None`: too little evidence, or it contradicts
/// itself.
pub fn window(legs: &[(&Times, Option<Response>)], refresh: Span, averaging: Averaging) -> Option<Window> {
    let fitted = |r: &Option<Response>| r.filter(|r| r.error_pm <= FIT_PM);
    let mut at_most: Vec<i64> = legs.iter().filter_map(|(t, r)| t.at_most(fitted(r))).collect();
    let mut at_least: Vec<i64> = legs.iter().filter_map(|(t, r)| t.at_least(fitted(r))).collect();
    if at_most.len() < LEGS || at_least.len() < LEGS {
        return None;
    }
    at_most.sort_unstable();
    at_least.sort_unstable_by(|a, b| b.cmp(a));
    let trusted = |bounds: &[i64]| bounds[usize::from(bounds.len() >= MANY)];
    // The youngest value is at most `youngest` old, the oldest at least `oldest`; one refresh period lies between youngest and oldest.
    let (youngest, oldest) = (trusted(&at_most), trusted(&at_least));
    if oldest - refresh.signed_ms() > youngest + MARGIN_MS {
        return None;
    }
    // Means that nobody could tell from momentary values reach further back.
    let reach = if averaging == Averaging::Unknown { refresh.signed_ms() } else { 0 };
    // A mean that shows little of a movement may end after it.
    let ends = if averaging == Averaging::No { 0 } else { refresh.signed_ms() * DOUBT_PM / 1000 };
    let (lo, hi) = (oldest - refresh.signed_ms() - ends - MARGIN_MS, youngest + refresh.signed_ms() + MARGIN_MS + reach);
    Some(Window { lo: span(lo), hi: span(hi.max(lo)) })
}

/// Whether the meter averages over about its refresh period: it then shows more values between old and new. `spacing`: mean time between
/// two fresh values.
pub fn averaging(legs: &[(&Times, Response)], refresh: Span, spacing: Span) -> Averaging {
    let expected = |window: Span| legs.iter().map(|(_, r)| partial_ms(r.lag, window)).sum::<i64>() * 1000 / spacing.signed_ms().max(1);
    let (momentary, means) = (expected(Span::ZERO), expected(refresh));
    let seen = legs.iter().map(|(t, _)| t.partial()).sum::<i64>() * 1000;
    // With a lag as long as the refresh period both show nearly the same, and the counts are small.
    match means - momentary {
        ..2000 => Averaging::Unknown,
        _ if seen <= momentary => Averaging::No,
        gap if gap >= 3000 && seen >= means + 500 => Averaging::Yes,
        _ => Averaging::Unknown,
    }
}

fn part(moved_w: i64, whole_w: i64) -> i64 {
    if whole_w == 0 { 0 } else { moved_w * 1000 / whole_w }
}

fn span(ms: i64) -> Span {
    Span::from_ms(u64::try_from(ms).unwrap_or(0))
}
