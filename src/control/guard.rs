//! Do sign and phase of every battery agree with the meter? A mistake there makes the law feed itself (`spec/control.md` 6, point 4).
//!
//! Adds up how well the movements of the grid are explained by the batteries as they are configured, and with each of them elsewhere
//! ([`ledger`]). Where another place explains clearly more, the battery is suspected and checked ([`check`]): all batteries rest, it lets go
//! of its power, and the grid says where that was missing. What is proven there is distrusted ([`super::distrust`]), then tried again.
//!
//! ```text
//!            explains more elsewhere            the check says where
//!   Good ────────────► Suspected ────────────► Wrong ── for a time ─► OnTrial
//!    ▲                     │                     ▲                     │ │
//!    └── fits, or ten minutes old                └── the check again ──┘ │
//!    └──────────────────────────── fits, or ten minutes old ─────────────┘
//! ```
//! It never commands: it says how far each battery can be trusted.

mod astray;
mod check;
mod ledger;

use super::capability::Trust;
use super::distrust::TRIAL;
use super::history::{Series, ms};
use super::site::{ALL_PHASES, SLOTS, Site, SiteLimits, Window};
use crate::units::{Span, Time};
use astray::Astray;
use check::Check;
use ledger::{Ledger, Sample};

/// A battery that moved less is not judged, W.
const MOVED_W: i64 = 200;
/// Another place must explain so much more of what the battery moved, percent; it is twice what it moved where nothing disturbs.
const GAIN_PCT: i64 = 60;
/// The same for the slow ledger, whose steps hold more of a household's life.
const SLOW_GAIN_PCT: i64 = 130;
/// … and this part of all that its own place leaves unexplained, percent: beside large steps of loads a small movement fits anywhere.
const PART_PCT: i64 = 15;
/// What concerns all batteries must explain so much of what the best single mistake explains, percent.
const JOINT_PCT: i64 = 130;
/// A suspicion that is not confirmed ends.
const SUSPICION: Span = Span::from_s(600);
/// Checks in a row without a result, and the pause after them: it doubles until there is a result.
const TRIES: u32 = 3;
const PAUSE: Span = Span::from_s(30);
/// A battery that a check has shown to be right is not doubted for this long, twice as long after the next, and so on: wires do not move.
const SURE: Span = Span::from_s(900);
/// So often times doubling.
const DOUBLINGS: u32 = 6;
/// Its own place has explained its movements clearly best in so many different minutes: it had been right. So far it moved in each, W.
const FITS: u32 = 3;
const FITS_W: i64 = 600;
const MINUTE_MS: i64 = 60_000;
/// Steps of the slow ledger, ms.
const SLOW_MS: i64 = 12_000;
/// … and how far a phase or a battery may move in one, W: a load that stepped and a battery that answered in the same step tell nothing.
const CREEP_W: i64 = 300;
/// Samples that wait for the polls of the batteries.
const WAITING: usize = 16;
/// They do not wait for a battery that has not answered for this long, ms.
const PATIENCE_MS: i64 = 12_000;

/// Where a battery works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Placement {
    /// 0, 1, 2 for L1, L2, L3, or [`ALL_PHASES`].
    pub slot: usize,
    /// It discharges where it says that it charges.
    pub reversed: bool,
}

impl Placement {
    /// By how much the grid falls when the battery's reading rises by `w`.
    fn shows(self, w: i64) -> i64 {
        if self.reversed { -w } else { w }
    }

    /// By how much phase `f` falls.
    fn on_phase(self, f: usize, w: i64) -> i64 {
        match self.slot {
            ALL_PHASES => self.shows(w) / 3,
            slot if slot == f => self.shows(w),
            _ => 0,
        }
    }
}

/// What is held against a battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Standing {
    #[default]
    Good,
    /// It may be elsewhere. `place`: where, if all batteries are wrong in the same way.
    Suspected {
        place: Option<Placement>,
        at: Time,
    },
    Wrong {
        place: Placement,
        until: Time,
    },
    OnTrial {
        place: Placement,
        until: Time,
    },
}

/// Watches all batteries of a site.
#[derive(Clone, PartialEq, Debug)]
pub struct Guard {
    configured: Vec<Placement>,
    standing: Vec<Standing>,
    ledger: Ledger,
    /// The same over longer steps: a mistake can also feed itself by a few watts at a time.
    slow_ledger: Ledger,
    /// When that took its newest sample, ms.
    slow_ms: i64,
    waiting: Vec<Sample>,
    check: Option<Check>,
    /// Power of each battery when the check began, W.
    kept_w: Vec<i64>,
    /// … and when the movement began that is being watched.
    base_w: Vec<i64>,
    next_check: Time,
    /// What slow polls add to the length of a check.
    slow: Span,
    /// Checks in a row without a result.
    tries: u32,
    /// A check has shown once that a battery is elsewhere, with a power that other things have as well.
    once: Option<(usize, Placement)>,
    /// Per battery: a check has shown that it is right; how often, and until when nothing else is believed.
    shown: Vec<u32>,
    sure_until: Vec<Time>,
    /// Per battery: in how many minutes it fitted, and the newest of them, ms; and how often in a row it was proven wrong.
    fitted: Vec<(u32, i64)>,
    proven: Vec<u32>,
    checks: u32,
    astray: Astray,
    /// What the main fuse carries on a phase, W, and what else the grid connection must keep.
    fuse_w: i64,
    limits: SiteLimits,
    /// Nothing is doubted.
    blind: bool,
}

impl Guard {
    /// For a site, of which it believes everything at first.
    pub fn new(site: &Site) -> Guard {
        let n = site.batteries.len();
        Guard {
            configured: site.batteries.iter().map(|b| Placement { slot: b.connection.slot(), reversed: false }).collect(),
            standing: vec![Standing::Good; n],
            ledger: Ledger::new(n, i64::MAX),
            slow_ledger: Ledger::new(n, CREEP_W),
            slow_ms: 0,
            waiting: Vec::with_capacity(WAITING),
            check: None,
            kept_w: vec![0; n],
            base_w: vec![0; n],
            next_check: Time::ZERO,
            slow: site.batteries.iter().map(|b| b.cap_age).max().unwrap_or(Span::ZERO).less(Span::from_s(5)).times(4),
            tries: 0,
            once: None,
            shown: vec![0; n],
            sure_until: vec![Time::ZERO; n],
            fitted: vec![(0, 0); n],
            proven: vec![0; n],
            checks: 0,
            astray: Astray::default(),
            fuse_w: site.fuse_ma.saturating_mul(site.voltage_mv) / 1_000_000,
            limits: site.limits,
            blind: false,
        }
    }

    /// From now on every sign and phase is believed.
    pub fn believe_everything(&mut self) {
        self.blind = true;
    }

    /// Each phase, and their sum, is `error_w` off its target, since the sample `passed_ms` ago. `usual_ms`: what a step takes until it has settled.
    pub fn note_errors(&mut self, error_w: [i64; SLOTS], passed_ms: i64, usual_ms: i64) {
        self.astray.note(error_w, passed_ms, usual_ms);
    }

    /// How far battery `k` is trusted.
    pub fn trust(&self, k: usize) -> Trust {
        match (self.standing.get(k), self.check) {
            (Some(Standing::Wrong { .. }), _) => Trust::Distrusted,
            (_, None) => Trust::Full,
            (_, Some(check)) if check.k == k && check.before.is_some() && !check.goes_back => Trust::Checked,
            _ => {
                let w = self.kept_w.get(k).copied().unwrap_or(0);
                Trust::Kept { charge_w: (-w).max(0), discharge_w: w.max(0) }
            }
        }
    }

    /// On which other phase battery `k` works, and whether with the other sign, than the configuration says, where that is proven.
    pub fn mistakes(&self, k: usize) -> (Option<usize>, bool) {
        match (self.standing.get(k), self.configured.get(k)) {
            (Some(Standing::Wrong { place, .. } | Standing::OnTrial { place, .. }), Some(said)) => {
                let phase = (place.slot != said.slot && place.slot < ALL_PHASES).then_some(place.slot);
                (phase, place.reversed != said.reversed)
            }
            _ => (None, false),
        }
    }

    /// Checks so far: each of them cost a few seconds of one battery.
    pub fn checks(&self) -> u32 {
        self.checks
    }

    /// Time passes. `latest`: the longest latency of the meter that is possible.
    pub fn pass(&mut self, now: Time, latest: Span) {
        let mut tried = false;
        for s in &mut self.standing {
            match *s {
                Standing::Suspected { at, .. } if now.since(at) > SUSPICION => *s = Standing::Good,
                Standing::Wrong { place, until } if now >= until => {
                    *s = Standing::OnTrial { place, until: now + TRIAL };
                    tried = true;
                }
                // Nothing has told in all this time: it is believed, and watched as ever.
                Standing::OnTrial { until, .. } if now >= until => *s = Standing::Good,
                _ => {}
            }
        }
        if tried {
            // What was added up for where it was believed to be says nothing about where it is said to be.
            self.ledger.clear();
            self.slow_ledger.clear();
        }
        if self.check.is_some_and(|c| now.since(c.since) > check::LONGEST + latest.times(2) + self.slow) {
            self.end_check(now, false);
        }
    }

    /// Nothing is being commanded by the meter: what was seen until now says nothing about what comes next.
    pub fn pause(&mut self, now: Time) {
        if self.check.is_some() {
            self.end_check(now, false);
        }
        self.waiting.clear();
        self.ledger.restart();
        self.slow_ledger.restart();
    }

    /// A fuse needs its batteries: a check that is under way ends, and the next one waits.
    pub fn interrupt(&mut self, now: Time) {
        if self.check.is_some() {
            self.end_check(now, false);
            self.next_check = self.next_check.max(now + PAUSE);
        }
    }

    /// The meter says `grid_w` at `at_ms`. `polled`: what a battery said that it did.
    pub fn sample<'a>(&mut self, at_ms: i64, grid_w: [i64; 3], window: Window, now: Time, polled: impl Fn(usize) -> &'a Series) {
        if self.blind {
            return;
        }
        if self.waiting.len() == WAITING {
            self.waiting.remove(0);
        }
        self.waiting.push(Sample { at_ms, grid_w });
        let heard_ms = (0..self.configured.len())
            .filter_map(|k| Some(polled(k).newest()?.0))
            .filter(|t| at_ms - t < PATIENCE_MS)
            .min()
            .unwrap_or(at_ms);
        let sure = |s: &Sample| s.at_ms - window.lo.signed_ms() <= heard_ms;
        let ready = self.waiting.iter().take_while(|s| sure(s)).count();
        for i in 0..ready {
            let sample = self.waiting[i];
            let (configured, standing) = (&self.configured, &self.standing);
            self.ledger.take(sample, window, |k| believed(configured, standing, k), &polled);
            if sample.at_ms - self.slow_ms >= SLOW_MS {
                self.slow_ms = sample.at_ms;
                self.slow_ledger.take(sample, window, |k| believed(configured, standing, k), &polled);
            }
            if self.check.is_some() {
                self.experiment(&sample, now);
            } else {
                self.suspect_all(now);
                self.suspect_one_by_one(now);
                self.begin_check(&sample, now);
            }
        }
        self.waiting.drain(..ready);
    }

    /// A mistake that concerns all batteries, where it explains clearly more than any single one.
    fn suspect_all(&mut self, now: Time) {
        let n = self.configured.len();
        let (joint, gain_w) = self.ledger.joint();
        let travel_w: i64 = (0..n).map(|k| self.ledger.travel_w(k)).sum();
        let movers = (0..n).filter(|&k| self.ledger.travel_w(k) >= MOVED_W).count();
        let wrong = self.standing.iter().any(|s| matches!(s, Standing::Wrong { .. }));
        let sure = self.sure_until.iter().any(|until| now < *until);
        if movers < 2 || wrong || sure || gain_w < travel_w * GAIN_PCT / 100 {
            return;
        }
        let single_w = self.ledger.moved().map(|k| self.ledger.claim_w(k, self.configured[k])).max().unwrap_or(0);
        if gain_w >= single_w * JOINT_PCT / 100 {
            for (standing, &said) in self.standing.iter_mut().zip(&self.configured) {
                let place = joint.place(said);
                if place != said && matches!(standing, Standing::Good | Standing::Suspected { .. }) {
                    *standing = Standing::Suspected { place: Some(place), at: now };
                }
            }
            self.ledger.clear();
        }
    }

    fn suspect_one_by_one(&mut self, now: Time) {
        let now_ms = ms(now);
        for (ledger, gain_pct, part_pct) in [(&self.ledger, GAIN_PCT, PART_PCT), (&self.slow_ledger, SLOW_GAIN_PCT, 0)] {
            let least_w = ledger.unexplained_w() * part_pct / 100;
            for k in ledger.moved() {
                let travel_w = ledger.travel_w(k);
                if travel_w < MOVED_W || now < self.sure_until[k] || matches!(self.standing[k], Standing::Wrong { .. }) {
                    continue;
                }
                let gain_w = ledger.claim_w(k, self.configured[k]);
                let fits = travel_w >= FITS_W && gain_w * 2 <= -3 * travel_w;
                match self.standing[k] {
                    Standing::Good if gain_w >= (travel_w * gain_pct / 100).max(least_w) => {
                        self.standing[k] = Standing::Suspected { place: None, at: now }
                    }
                    Standing::Good if fits && now_ms - self.fitted[k].1 >= MINUTE_MS => {
                        self.fitted[k] = (self.fitted[k].0.saturating_add(1), now_ms);
                    }
                    Standing::OnTrial { .. } if fits => (self.standing[k], self.proven[k]) = (Standing::Good, 0),
                    Standing::Suspected { .. } if gain_w <= -2 * travel_w => self.standing[k] = Standing::Good,
                    _ => {}
                }
            }
        }
    }
}

fn believed(configured: &[Placement], standing: &[Standing], k: usize) -> Placement {
    match standing[k] {
        Standing::Wrong { place, .. } => place,
        _ => configured[k],
    }
}
