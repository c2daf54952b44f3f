//! From what single movements say about the age of the meter's values to the window that holds all ages.

use super::{LEAST_MOVEMENTS, LONGEST_MS};
use crate::control::site::Window;
use crate::units::Span;

/// Movements remembered.
const CAPACITY: usize = 16;
/// Steps in which ages are told apart, ms (`spec/control.md` 2.2).
const GRID_MS: i64 = 100;
const GRID: usize = (LONGEST_MS / GRID_MS) as usize + 1;
/// Ages with this share of the best vote belong to the window, per cent (2.2).
const ENOUGH_PCT: i64 = 75;
/// What a movement counts for when another one came after it, per cent (2.2).
const KEPT_PCT: i64 = 97;
/// Added on both sides, ms (2.2).
const MARGIN_MS: i64 = 150;
/// The polls slip against the refreshes of the meter, over hours through a whole refresh period: the ages that were seen are a part of all
/// ages, which span at least this much, ms.
const REFRESH_MS: i64 = 1000;

/// A window never ends later, ms.
const LATEST_MS: i64 = LONGEST_MS + REFRESH_MS;

/// One movement: a sample was at least, and one was at most this old, ms.
type Bounds = (i64, i64);

/// The movements seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ages {
    /// What holds while there are too few movements.
    base: (i64, i64),
    seen: [Bounds; CAPACITY],
    count: usize,
    next: usize,
}

impl Ages {
    /// No movement was seen, and `base` holds.
    pub fn new(base: Window) -> Ages {
        Ages { base: (ms(base.lo), ms(base.hi)), seen: [(0, 0); CAPACITY], count: 0, next: 0 }
    }

    /// Begins anew with `window`, made wide enough for `latency_ms` and a second around it.
    pub fn restart(&mut self, window: Window, latency_ms: Option<i64>) {
        *self = Ages::new(window);
        if let Some(latency) = latency_ms {
            self.base = (self.base.0.min(latency - REFRESH_MS).max(0), self.base.1.max(latency + REFRESH_MS));
        }
    }

    /// A movement has shown that a sample was at least, and one was at most this old.
    pub fn note(&mut self, at_least_ms: i64, at_most_ms: i64) {
        self.seen[self.next] = (at_least_ms, at_most_ms);
        self.next = (self.next + 1) % CAPACITY;
        self.count = (self.count + 1).min(CAPACITY);
    }

    /// The window that follows.
    pub fn window(&self) -> Window {
        let (lo, hi) = if self.count < LEAST_MOVEMENTS as usize { self.widened() } else { self.voted() };
        let span = |ms: i64| Span::from_ms(u64::try_from(ms).unwrap_or(0));
        Window { lo: span(lo), hi: span(hi.min(LATEST_MS)) }
    }

    /// The base, as far as it is not contradicted: a movement that rejects all of it widens it at once.
    fn widened(&self) -> (i64, i64) {
        self.seen[..self.count].iter().fold(self.base, |(lo, hi), &(least, most)| {
            let lo = if most < lo { most - REFRESH_MS - MARGIN_MS } else { lo };
            let hi = if least > hi { most.max(least) + REFRESH_MS + MARGIN_MS } else { hi };
            (lo.max(0), hi)
        })
    }

    /// The hull of the ages that three movements in four allow and of those a refresh around them, never narrower than its evidence: no
    /// movement lies outside.
    fn voted(&self) -> (i64, i64) {
        let seen = &self.seen[..self.count];
        let mut votes = [0i64; GRID];
        let mut weight = 10_000;
        for i in 0..self.count {
            let (least, most) = self.seen[(self.next + CAPACITY - 1 - i) % CAPACITY];
            let (lo, hi) = (least.min(most), least.max(most));
            let first = (lo + GRID_MS / 2).div_euclid(GRID_MS).clamp(0, GRID as i64 - 1) as usize;
            let last = (hi + GRID_MS / 2).div_euclid(GRID_MS).clamp(0, GRID as i64 - 1) as usize;
            votes[first..=last].iter_mut().for_each(|v| *v += weight);
            weight = weight * KEPT_PCT / 100;
        }
        let best = votes.iter().copied().max().unwrap_or(0);
        let enough = |v: &i64| *v * 100 >= best * ENOUGH_PCT;
        let at = |i: Option<usize>| i.unwrap_or(0) as i64 * GRID_MS;
        let (first, last) = (at(votes.iter().position(enough)), at(votes.iter().rposition(enough)));
        let most_least = seen.iter().map(|b| b.0).max().unwrap_or(0);
        let least_most = seen.iter().map(|b| b.1).min().unwrap_or(LONGEST_MS);
        let lo = (first - REFRESH_MS).min(least_most) - MARGIN_MS;
        let hi = (last + REFRESH_MS).max(most_least) + MARGIN_MS;
        (lo.max(0), hi)
    }
}

fn ms(span: Span) -> i64 {
    span.signed_ms().min(2 * LONGEST_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(bounds: &[Bounds]) -> (u64, u64) {
        let mut ages = Ages::new(Window::PRIOR);
        bounds.iter().for_each(|b| ages.note(b.0, b.1));
        let w = ages.window();
        (w.lo.as_ms(), w.hi.as_ms())
    }

    #[test]
    fn three_movements_narrow_the_window() {
        assert_eq!(after(&[(2000, 3000); 2]), (0, 6000));
        assert_eq!(after(&[(2000, 3000), (2200, 3400), (2300, 2900)]), (1150, 4050));
    }

    #[test]
    fn one_movement_beyond_the_window_widens_it_at_once() {
        assert_eq!(after(&[(7500, 15_000)]), (0, 16_000));
        assert_eq!(after(&[(7500, 15_000), (7900, 9000), (7700, 8600)]), (6750, 9750));
    }

    #[test]
    fn ages_that_differ_all_belong_to_it() {
        let (lo, hi) = after(&[(800, 900), (900, 1000), (800, 950), (2000, 2300), (850, 900)]);
        assert!(lo <= 800 && hi >= 2000, "{lo} to {hi}");
    }
}
