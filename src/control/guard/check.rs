//! The experiment that proves a wrong sign or phase: everything rests, one battery lets go of its power, everything rests again.
//!
//! Nobody does more than before meanwhile, so that a mistake feeds itself no longer from here on. Loads that change in between leave it
//! without a result; it is repeated then.

use super::ledger::{PLACES, Sample, is_possible, placement};
use super::{DISTRUST, DOUBLINGS, Guard, MOVED_W, PAUSE, Placement, SURE, Standing, TRIES};
use crate::units::{Span, Time};

/// It ends without a result; twice the window of the meter's latency comes on top.
pub(super) const LONGEST: Span = Span::from_s(16);
/// It has let go when it moved by this much, W.
const LET_GO_W: i64 = 200;
/// The house rests while no phase changes by more between two samples, W.
const STILL_W: i64 = 80;
/// A place that is true leaves no more unexplained than this part of what was let go, percent, and this, W.
const REST_PCT: i64 = 20;
const REST_W: i64 = 40;
/// One that is wrong leaves at least this; it is twice what was let go where nothing disturbs, percent.
const WRONG_PCT: i64 = 130;
/// Every other place must leave this much if the configured one is to be believed, percent.
const CLEARLY_PCT: i64 = 70;

/// Battery `k` is being checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Check {
    pub k: usize,
    pub since: Time,
    /// The meter when everything rested; from then on the battery is told 0 W.
    pub before: Option<Sample>,
    /// It lets go no longer: it may go back to what it did, which shows the same once more.
    pub goes_back: bool,
    /// The newest sample at which everything rested: the house must rest as well.
    pub last: Option<Sample>,
}

impl Guard {
    /// A suspected battery that does something can let go of it.
    pub(super) fn begin_check(&mut self, now: Time) {
        let doubted = |s: &Standing| matches!(s, Standing::Suspected { .. } | Standing::OnTrial { .. });
        let candidates = (0..self.standing.len())
            .filter(|&k| doubted(&self.standing[k]) && self.ledger.newest_w(k).abs() >= MOVED_W && self.is_astray(k));
        let Some(k) = candidates.max_by_key(|&k| self.ledger.newest_w(k).abs()).filter(|_| now >= self.next_check) else { return };
        self.keep_powers();
        self.check = Some(Check { k, since: now, before: None, goes_back: false, last: None });
        self.checks = self.checks.saturating_add(1);
    }

    /// The phase on which battery `k` is said to be, or the sum if it is on all, does not come to its target: a battery in its place brings
    /// it there, whatever the house does meanwhile.
    fn is_astray(&self, k: usize) -> bool {
        self.astray_ms[self.configured[k].slot] >= self.astray_least_ms
    }

    /// Looks at a sample during a check.
    pub(super) fn experiment(&mut self, sample: &Sample, now: Time) {
        if self.check.is_some_and(|c| !self.ledger.is_heard(c.k)) {
            return self.end_check(now, false);
        }
        let Some(mut check) = self.check.filter(|_| (0..self.standing.len()).all(|k| self.ledger.rests(k))) else { return };
        let still = check.last.replace(*sample).is_some_and(|last| (0..3).all(|f| (last.grid_w[f] - sample.grid_w[f]).abs() <= STILL_W));
        self.check = Some(check);
        if !still {
            return;
        }
        let Some(before) = check.before else {
            if self.ledger.newest_w(check.k).abs() < LET_GO_W || self.holds_a_fuse(check.k, sample) {
                return self.end_check(now, false);
            }
            self.keep_powers();
            self.base_w.copy_from_slice(&self.kept_w);
            (check.before, check.last) = (Some(*sample), None);
            self.check = Some(check);
            return;
        };
        let by_w = self.ledger.newest_w(check.k) - self.base_w[check.k];
        if by_w.abs() < LET_GO_W {
            return;
        }
        let here = self.configured[check.k];
        let here_w = self.unexplained_w(check.k, here, &before, sample);
        let places = (0..PLACES).map(placement).filter(|there| is_possible(*there, here));
        let best = places.map(|there| (self.unexplained_w(check.k, there, &before, sample), there)).min_by_key(|b| b.0);
        let little_w = by_w.abs() * REST_PCT / 100 + REST_W;
        match best {
            Some((rest_w, _)) if here_w <= little_w && rest_w >= by_w.abs() * CLEARLY_PCT / 100 => {
                self.standing[check.k] = Standing::Good;
                self.once = None;
                self.sure_until[check.k] = now + SURE.times(1 << self.shown[check.k]);
                self.shown[check.k] = (self.shown[check.k] + 1).min(DOUBLINGS);
                self.end_check(now, true);
            }
            Some((rest_w, there)) if rest_w <= little_w && here_w >= by_w.abs() * WRONG_PCT / 100 => {
                let again = self.once == Some((check.k, there));
                self.once = Some((check.k, there));
                if again {
                    self.prove(check.k, there, now);
                    self.end_check(now, true);
                } else if check.goes_back {
                    self.end_check(now, false);
                } else {
                    (0..self.base_w.len()).for_each(|k| self.base_w[k] = self.ledger.newest_w(k));
                    self.check = Some(Check { since: now, before: Some(*sample), goes_back: true, last: None, ..check });
                }
            }
            _ => self.end_check(now, false),
        }
    }

    /// A phase that is within its fuse now would be beyond it without battery `k`, if that is where it is said to be.
    fn holds_a_fuse(&self, k: usize, sample: &Sample) -> bool {
        let lets_go_w = self.ledger.newest_w(k);
        (0..3).any(|f| {
            let with_w = sample.grid_w[f];
            let without_w = with_w + self.configured[k].on_phase(f, lets_go_w);
            with_w.abs() <= self.fuse_w && without_w.abs() > self.fuse_w
        })
    }

    /// How much the net loads moved between two samples if battery `k` is `there`, W.
    fn unexplained_w(&self, k: usize, there: Placement, before: &Sample, after: &Sample) -> i64 {
        // Where all are suspected of the same mistake, the others are wrong as well if this one is.
        let alike = matches!(self.standing[k], Standing::Suspected { place: Some(place), .. } if place == there);
        let mut rest_w: [i64; 3] = std::array::from_fn(|f| after.grid_w[f] - before.grid_w[f]);
        for j in 0..self.configured.len() {
            let place = match self.standing[j] {
                _ if j == k => there,
                Standing::Suspected { place: Some(place), .. } if alike => place,
                _ => super::believed(&self.configured, &self.standing, j),
            };
            let by_w = self.ledger.newest_w(j) - self.base_w[j];
            rest_w.iter_mut().enumerate().for_each(|(f, rest)| *rest += place.on_phase(f, by_w));
        }
        rest_w.iter().map(|w| w.abs()).sum()
    }

    fn prove(&mut self, k: usize, place: Placement, now: Time) {
        let wrong = |place| Standing::Wrong { place, until: now + DISTRUST };
        let all_alike = matches!(self.standing[k], Standing::Suspected { place: Some(there), .. } if there == place);
        self.standing[k] = wrong(place);
        let said = self.configured[k];
        for (standing, configured) in self.standing.iter_mut().zip(&self.configured) {
            let partner = configured.slot == place.slot && place.slot != said.slot || place.reversed != said.reversed;
            match *standing {
                // All are wrong in the same way, and this one has proven it.
                Standing::Suspected { place: Some(there), .. } if all_alike => *standing = wrong(there),
                // Mistakes come in pairs: what is mixed up with it, or read with the same sign, is checked next.
                Standing::Good if partner => *standing = Standing::Suspected { place: None, at: now },
                _ => {}
            }
        }
    }

    pub(super) fn end_check(&mut self, now: Time, result: bool) {
        self.check = None;
        self.tries = if result { 0 } else { self.tries.saturating_add(1) };
        if self.tries > 0 && self.tries % TRIES == 0 {
            self.next_check = now + PAUSE.times(1 << (self.tries / TRIES - 1).min(DOUBLINGS));
        }
        self.ledger.clear();
        self.slow_ledger.clear();
    }

    fn keep_powers(&mut self) {
        for (k, kept) in self.kept_w.iter_mut().enumerate() {
            *kept = self.ledger.newest_w(k);
        }
    }
}
