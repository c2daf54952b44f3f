//! The experiment that proves a wrong sign or phase: everything rests, one battery lets go of its power, everything rests again.
//!
//! Nobody does more than before meanwhile, so that a mistake feeds itself no longer from here on. Loads that change in between leave it
//! without a result; it is repeated then. What holds a limit of the grid connection is never let go.

use super::ledger::{PLACES, Sample, is_possible, placement};
use super::{DOUBLINGS, FITS, Guard, MOVED_W, PAUSE, Placement, SURE, Standing, TRIES};
use crate::control::distrust;
use crate::units::{Span, Time};

/// It ends without a result; twice the window of the meter's latency comes on top.
pub(super) const LONGEST: Span = Span::from_s(16);
/// It has let go when it moved by this much, W.
const LET_GO_W: i64 = 200;
/// A limit is kept to about this, W.
const KEPT_W: i64 = 100;
/// A load has stepped where a phase moves by so much more than batteries did, percent.
const STEP_PCT: i64 = 30;
/// The pause after that.
const CALM: Span = Span::from_s(10);
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
    pub(super) fn begin_check(&mut self, sample: &Sample, now: Time) {
        let doubted = |s: &Standing| matches!(s, Standing::Suspected { .. } | Standing::OnTrial { .. });
        let candidates = (0..self.standing.len())
            .filter(|&k| doubted(&self.standing[k]) && self.ledger.newest_w(k).abs() >= MOVED_W)
            // A battery in its place brings its phase, or the sum, to the target.
            .filter(|&k| self.astray.is_strange(self.configured[k].slot) && !self.holds_a_limit(k, sample));
        let Some(k) = candidates.max_by_key(|&k| self.ledger.newest_w(k).abs()).filter(|_| now >= self.next_check) else { return };
        self.keep_powers();
        self.check = Some(Check { k, since: now, before: None, goes_back: false, last: None });
        self.checks = self.checks.saturating_add(1);
    }

    /// Looks at a sample during a check.
    pub(super) fn experiment(&mut self, sample: &Sample, now: Time) {
        if self.check.is_some_and(|c| !self.ledger.is_heard(c.k)) {
            return self.end_check(now, false);
        }
        if self.check.is_some_and(|c| c.before.is_some_and(|before| self.load_stepped(c.k, &before, sample))) {
            self.next_check = self.next_check.max(now + CALM);
            return self.end_check(now, false);
        }
        let Some(mut check) = self.check.filter(|_| (0..self.standing.len()).all(|k| self.ledger.rests(k))) else { return };
        let still = check.last.replace(*sample).is_some_and(|last| (0..3).all(|f| (last.grid_w[f] - sample.grid_w[f]).abs() <= STILL_W));
        self.check = Some(check);
        if !still {
            return;
        }
        let Some(before) = check.before else {
            if self.ledger.newest_w(check.k).abs() < LET_GO_W || self.holds_a_limit(check.k, sample) {
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
                (self.standing[check.k], self.proven[check.k]) = (Standing::Good, 0);
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

    /// A limit of the grid connection is kept now, and would not be without battery `k`, if that is where it is said to be.
    fn holds_a_limit(&self, k: usize, sample: &Sample) -> bool {
        let lets_go_w = self.ledger.newest_w(k);
        let without_w = std::array::from_fn(|f| sample.grid_w[f] + self.configured[k].on_phase(f, lets_go_w));
        self.breaks_more(&sample.grid_w, &without_w)
    }

    /// Some limit of the grid connection is kept with the powers `before`, and is not with `after`: the fuse of a phase, or what the site
    /// may import or export. What is kept at such a limit is a little beyond it at times.
    fn breaks_more(&self, before: &[i64; 3], after: &[i64; 3]) -> bool {
        let breaks = |before_w: i64, after_w: i64, most_w: i64| before_w <= most_w && after_w > most_w;
        let (total_w, total_after_w): (i64, i64) = (before.iter().sum(), after.iter().sum());
        let most_w = |limit_w: Option<i64>| limit_w.map_or(i64::MAX, |w| w.saturating_add(KEPT_W));
        (0..3).any(|f| breaks(before[f].abs(), after[f].abs(), self.fuse_w))
            || breaks(total_w, total_after_w, most_w(self.limits.import_w))
            || breaks(-total_w, -total_after_w, most_w(self.limits.export_w))
    }

    /// Since `before` a phase has moved by more than all that batteries have let go, wherever they are, or beyond a limit: battery `k` is
    /// needed, and nothing can be told any more.
    fn load_stepped(&self, k: usize, before: &Sample, sample: &Sample) -> bool {
        let others = (0..self.configured.len()).filter(|&j| j != k);
        let let_go_w = self.kept_w[k].abs() + others.map(|j| (self.kept_w[j] - self.ledger.newest_w(j)).abs()).sum::<i64>();
        let most_w = let_go_w + let_go_w * STEP_PCT / 100 + 2 * STILL_W;
        (0..3).any(|f| (sample.grid_w[f] - before.grid_w[f]).abs() > most_w) || self.breaks_more(&before.grid_w, &sample.grid_w)
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
        let all_alike = matches!(self.standing[k], Standing::Suspected { place: Some(there), .. } if there == place);
        for (j, standing) in self.standing.iter().enumerate() {
            let alike = all_alike && matches!(standing, Standing::Suspected { place: Some(_), .. });
            self.proven[j] = self.proven[j].saturating_add(u32::from(j == k || alike));
        }
        let was_right = self.fitted[k].0 >= FITS || self.shown[k] > 0;
        let until = now + distrust::length(self.proven[k], was_right);
        let wrong = |place| Standing::Wrong { place, until };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::control::site::SiteLimits;
    use crate::daemon::wiring::plan;
    use crate::device::library::Library;

    /// One battery on L1 that does `w`, and a site that may import and export 3 kW.
    fn guard(w: i64) -> Guard {
        let text = "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[meter]\ndevice = \"sax\"\n[[battery]]\nname = \"A\"\ndevice = \"sax\"\n\
                    phase = \"L1\"\nlink.tcp = { host = \"192.0.2.1\" }\n";
        let library = Library::built_in().expect("the library");
        let config = config::parse(text, &library).unwrap_or_else(|f| panic!("{}", f.render("test.toml")));
        let mut site = plan(&config, &library).site;
        site.limits = SiteLimits { import_w: Some(3000), export_w: Some(3000), unbalance_va: None };
        let mut guard = Guard::new(&site);
        let mut polled = crate::control::history::Series::default();
        polled.push(Time::from_ms(1000), w);
        guard.ledger.take(
            Sample { at_ms: 1000, grid_w: [0; 3] },
            crate::control::site::Window::PRIOR,
            |_| guard.configured[0],
            |_| &polled,
        );
        guard.kept_w[0] = w;
        guard
    }

    fn at(grid_w: [i64; 3]) -> Sample {
        Sample { at_ms: 2000, grid_w }
    }

    #[test]
    fn what_keeps_a_limit_is_not_let_go() {
        assert!(!guard(2000).holds_a_limit(0, &at([900, 0, 0])), "2900 W without it");
        assert!(guard(2000).holds_a_limit(0, &at([1000, 2000, 0])), "kept at the import limit");
        assert!(guard(2000).holds_a_limit(0, &at([1050, 2000, 0])), "and a little beyond it");
        assert!(guard(-2000).holds_a_limit(0, &at([0, -2000, 0])), "the export limit");
        assert!(!guard(-2000).holds_a_limit(0, &at([0, 2900, 0])), "its charging keeps nothing");
        assert!(guard(4000).holds_a_limit(0, &at([1800, -3000, 0])), "the fuse of L1");
        assert!(guard(4000).holds_a_limit(0, &at([1800, -9000, 0])), "whatever another phase does");
        assert!(!guard(4000).holds_a_limit(0, &at([6000, 0, 0])), "who is beyond them all may be the cause");
    }

    #[test]
    fn a_load_that_steps_ends_the_check() {
        let stepped = |after: [i64; 3]| guard(1000).load_stepped(0, &at([100, 100, 100]), &at(after));
        for after in [[1100, 100, 100], [-900, 100, 100], [100, 1100, 100], [400, 430, 440]] {
            assert!(!stepped(after), "{after:?} may be what it has let go");
        }
        for after in [[2100, 100, 100], [100, -1900, 100], [1100, 1100, 1100]] {
            assert!(stepped(after), "{after:?}");
        }
    }
}
