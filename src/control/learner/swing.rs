//! Is the swing of a battery its own work? If there is a latency under which the load was constant all the time, then the window is wrong.
//!
//! (`spec/control.md` 2.2 and 3.3: a latency outside the prior window.) The search is spread over many calls.

use super::samples::{Samples, TOTAL};
use super::{Batteries, LONGEST_MS};
use crate::control::history::Series;
use crate::control::learned::Learned;
use crate::control::site::{Connection, Site};

/// The stretch that is looked at, ms: more than the period of a swing at the longest latency.
const STRETCH_MS: i64 = 45_000;
/// … but with slow polls, which make a swing slower too, at least so many samples.
const LEAST_SAMPLES: usize = 20;
/// Samples looked at; of more, evenly chosen ones.
const MOST_SAMPLES: usize = 40;
/// Steps in which latencies are tried, ms.
const GRID_MS: i64 = 100;
/// A battery that swings less does no harm, W.
const LEAST_SWING_W: i64 = 150;
/// A swing turns back at least so often in the stretch, each time by half its size.
const LEAST_REVERSALS: u32 = 2;
/// Under the right latency the load deviates by less than this share of the swing, per mille …
const CONSTANT_PM: i64 = 150;
/// … and by less than this share of the variance under the best latency of the window, per cent.
const BETTER_PCT: i64 = 30;
/// Evaluations per call, which bound its time.
const WORK: usize = 160;
/// A phase with more batteries is not looked at.
const MOST_BATTERIES: usize = 8;
/// From one search of a phase to the next, ms.
const PAUSE_MS: i64 = 5000;

/// A search that is going on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Search {
    from_ms: i64,
    to_ms: i64,
    stride_ms: i64,
    swing_w: i64,
    latency_ms: i64,
    best: (i64, i64),
    best_inside: i64,
}

/// The state of searching.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swing {
    /// The phase that is looked at, or all together, and the first battery on it: in the order of the batteries, so that the names of the phases do not
    /// matter.
    phase: usize,
    battery: usize,
    search: Option<Search>,
    not_before_ms: i64,
}

impl Swing {
    /// Does a part of the search. A latency, ms, that explains a swing which none in the window explains.
    /// `netted`: only the sum of the phases was measured.
    pub fn work(
        &mut self,
        site: &Site,
        batteries: &impl Batteries,
        samples: &Samples,
        learned: &Learned,
        now_ms: i64,
        netted: bool,
    ) -> Option<i64> {
        let Some(mut search) = self.search else {
            if now_ms >= self.not_before_ms {
                self.begin(site, batteries, samples, netted);
                self.not_before_ms = now_ms + PAUSE_MS / 3;
            }
            return None;
        };
        let mut left = WORK;
        while left > 0 && search.latency_ms <= LONGEST_MS {
            let (variance, evaluations) = variance(self.phase, &search, site, batteries, samples, learned);
            let (lo, hi) = (learned.window.lo.signed_ms(), learned.window.hi.signed_ms());
            if variance < search.best.0 {
                search.best = (variance, search.latency_ms);
            }
            if (lo..=hi).contains(&search.latency_ms) {
                search.best_inside = search.best_inside.min(variance);
            }
            search.latency_ms += GRID_MS;
            left = left.saturating_sub(evaluations.max(1));
        }
        self.search = Some(search);
        if search.latency_ms <= LONGEST_MS {
            return None;
        }
        self.search = None;
        self.next(site);
        let most = search.swing_w * CONSTANT_PM / 1000;
        let found = search.best.0 < most * most && search.best.0 < search.best_inside / 100 * BETTER_PCT;
        found.then_some(search.best.1)
    }

    /// Begins a search where a battery of the phase swings.
    fn begin(&mut self, site: &Site, batteries: &impl Batteries, samples: &Samples, netted: bool) {
        self.phase = match site.batteries.get(self.battery).map(|b| b.connection) {
            Some(Connection::Phase(f)) if !netted => f,
            _ => TOTAL,
        };
        let swing = self.stretch(site, batteries, samples);
        if swing.is_none() {
            self.next(site);
        }
        self.search = swing;
    }

    /// Goes on to the next battery that is the first one of its kind of connection.
    fn next(&mut self, site: &Site) {
        let n = site.batteries.len().max(1);
        let is_first = |k: &usize| {
            let connection = site.batteries.get(*k).map(|b| b.connection);
            site.batteries.iter().take(*k).all(|b| Some(b.connection) != connection)
        };
        self.battery = (1..=n).map(|i| (self.battery + i) % n).find(is_first).unwrap_or(0);
    }

    fn stretch(&self, site: &Site, batteries: &impl Batteries, samples: &Samples) -> Option<Search> {
        let members = || (0..site.batteries.len()).filter(|k| part(self.phase, site.batteries[*k].connection).is_some());
        let newest = samples.len().checked_sub(1)?;
        let to_ms = samples.get(newest)?.at_ms;
        let by_count = samples.get(samples.len().checked_sub(LEAST_SAMPLES)?)?.at_ms;
        // As far back as every battery's past reaches.
        let known = members().filter_map(|k| batteries.polled(k).get(0)).map(|p| p.0 + LONGEST_MS).max()?;
        let from_ms = by_count.min(to_ms - STRETCH_MS).max(known);
        let first = samples.until(from_ms - 1);
        if members().count() > MOST_BATTERIES || samples.len() - first < LEAST_SAMPLES || to_ms - from_ms < STRETCH_MS / 2 {
            return None;
        }
        let mut swing_w = 0;
        for k in members() {
            let polled = batteries.polled(k);
            let (lo, hi) = polled.iter_from(polled.before(from_ms)).fold((i64::MAX, i64::MIN), |(lo, hi), p| (lo.min(p.1), hi.max(p.1)));
            if reversals(polled, from_ms, hi.saturating_sub(lo) / 2) < LEAST_REVERSALS {
                continue;
            }
            swing_w = swing_w.max(hi.saturating_sub(lo) / part(self.phase, site.batteries[k].connection).unwrap_or(1));
        }
        let stride_ms = (to_ms - from_ms) / MOST_SAMPLES as i64;
        let best = (i64::MAX, 0);
        (swing_w > LEAST_SWING_W).then_some(Search { from_ms, to_ms, stride_ms, swing_w, latency_ms: 0, best, best_inside: i64::MAX })
    }
}

/// Phase `f`, or all together, shows one part in so many of a battery, if it shows it.
fn part(f: usize, connection: Connection) -> Option<i64> {
    match connection {
        _ if f == TOTAL => Some(1),
        Connection::AllPhases => Some(3),
        Connection::Phase(own) => (own == f).then_some(1),
    }
}

/// How often the power turned back by more than `least_w`.
fn reversals(polled: &Series, from_ms: i64, least_w: i64) -> u32 {
    let (mut count, mut direction) = (0, 0);
    let mut extreme: Option<i64> = None;
    for (_, w) in polled.iter_from(polled.before(from_ms)) {
        let from = *extreme.get_or_insert(w);
        let moved = w - from;
        if moved * direction > 0 {
            extreme = Some(w);
        } else if moved.abs() > least_w {
            count += u32::from(direction != 0);
            (direction, extreme) = (moved.signum(), Some(w));
        }
    }
    count
}

/// The variance of the load of phase `f` under the latency that is tried, W², and how much work it was.
fn variance(f: usize, search: &Search, site: &Site, batteries: &impl Batteries, samples: &Samples, learned: &Learned) -> (i64, usize) {
    let middle_ms = search.latency_ms + learned.averaging.signed_ms() / 2;
    let (mut sum, mut squares, mut count, mut evaluations) = (0, 0, 0, 0);
    let mut next_ms = search.from_ms;
    for s in (samples.until(search.from_ms - 1)..samples.len()).filter_map(|i| samples.get(i)) {
        if s.at_ms > search.to_ms {
            break;
        }
        if s.at_ms < next_ms {
            continue;
        }
        next_ms = s.at_ms + search.stride_ms;
        let mut load = s.power_w[f];
        for (k, b) in site.batteries.iter().enumerate() {
            let Some(part) = part(f, b.connection) else { continue };
            let past = learned.batteries[k].past(batteries.polled(k), batteries.commands(k));
            load += past.at(s.at_ms - middle_ms) / part;
            evaluations += 1;
        }
        sum += load;
        squares += load * load;
        count += 1;
    }
    let count = i64::max(count, 1);
    ((squares - sum * sum / count) / count, evaluations)
}
