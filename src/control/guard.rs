//! Do sign and phase of every battery agree with the meter? A mistake there makes the law feed itself (`spec/control.md` 6, point 4).
//!
//! Adds up how well the movements of the grid are explained by the batteries as they are configured, and with each of them elsewhere
//! ([`ledger`]). Where another place explains clearly more, the battery is suspected: it is told 0 W and watched, while no other does more
//! than before. If that shows the same once more, it is distrusted for an hour and told 0 W; then it is tried again.
//!
//! ```text
//!            explains more elsewhere            the same again, from new movements
//!   Good ────────────► Suspected ────────────► Wrong ── an hour ──► OnTrial
//!    ▲                     │                     ▲                     │ │
//!    └── fits, or ten minutes old                └── suspected again ──┘ │
//!    └──────────────────────────────── fits ─────────────────────────────┘
//! ```
//! It never commands: it says how far each battery can be trusted.

mod ledger;

use super::capability::Trust;
use super::site::{ALL_PHASES, Site, Window};
use crate::units::{Span, Time};
use ledger::{Ledger, Sample};

/// A battery that moved less is not judged, W.
const MOVED_W: i64 = 250;
/// Another place must explain so much more of what the battery moved, percent; it is twice what it moved where nothing disturbs.
const GAIN_PCT: i64 = 100;
/// … and so much more than the next best, percent of that.
const LEAD_PCT: i64 = 30;
/// A suspicion that is not confirmed ends.
const SUSPICION: Span = Span::from_s(600);
/// A check ends, whatever came of it; the window of the meter's latency comes on top.
const CHECK: Span = Span::from_s(10);
/// Time between checks.
const CHECK_AGAIN: Span = Span::from_s(60);
/// Distrust ends, and the battery is tried again.
const DISTRUST: Span = Span::from_s(3600);
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
    /// It may be there; `None` where only something else makes it suspicious.
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
    },
}

/// Battery `k` is told 0 W, to see what the grid says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Check {
    k: usize,
    since: Time,
}

/// Watches all batteries of a site.
#[derive(Clone, PartialEq, Debug)]
pub struct Guard {
    configured: Vec<Placement>,
    standing: Vec<Standing>,
    ledger: Ledger,
    waiting: Vec<Sample>,
    check: Option<Check>,
    /// Power of each battery when the check began, W.
    kept_w: Vec<i64>,
    next_check: Time,
    checks: u32,
}

impl Guard {
    /// For a site, of which it believes everything at first.
    pub fn new(site: &Site) -> Guard {
        let n = site.batteries.len();
        Guard {
            configured: site.batteries.iter().map(|b| Placement { slot: b.connection.slot(), reversed: false }).collect(),
            standing: vec![Standing::Good; n],
            ledger: Ledger::new(n),
            waiting: Vec::with_capacity(WAITING),
            check: None,
            kept_w: vec![0; n],
            next_check: Time::ZERO,
            checks: 0,
        }
    }

    /// How far battery `k` is trusted.
    pub fn trust(&self, k: usize) -> Trust {
        match (self.standing.get(k), self.check) {
            (Some(Standing::Wrong { .. }), _) => Trust::Distrusted,
            (_, None) => Trust::Full,
            (_, Some(check)) if check.k == k => Trust::Checked,
            _ => {
                let w = self.kept_w.get(k).copied().unwrap_or(0);
                Trust::Kept { charge_w: (-w).max(0), discharge_w: w.max(0) }
            }
        }
    }

    /// On which other phase battery `k` works, and whether with the other sign, than the configuration says, where that is proven.
    pub fn mistakes(&self, k: usize) -> (Option<usize>, bool) {
        match (self.standing.get(k), self.configured.get(k)) {
            (Some(Standing::Wrong { place, .. } | Standing::OnTrial { place }), Some(said)) => {
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
        for s in &mut self.standing {
            match *s {
                Standing::Suspected { at, .. } if now.since(at) > SUSPICION => *s = Standing::Good,
                Standing::Wrong { place, until } if now >= until => *s = Standing::OnTrial { place },
                _ => {}
            }
        }
        if self.check.is_some_and(|c| now.since(c.since) > CHECK + latest) {
            self.end_check(now);
        }
    }

    /// The meter says `grid_w` at `at_ms`. `power`: what a battery did at a time, W, and `newest_ms` when it was last heard, where it is.
    pub fn sample(
        &mut self,
        at_ms: i64,
        grid_w: [i64; 3],
        window: Window,
        now: Time,
        newest_ms: impl Fn(usize) -> Option<i64>,
        power: impl Fn(usize, i64) -> Option<i64>,
    ) {
        if self.waiting.len() == WAITING {
            self.waiting.remove(0);
        }
        self.waiting.push(Sample { at_ms, grid_w });
        let heard_ms = (0..self.configured.len()).filter_map(newest_ms).filter(|t| at_ms - t < PATIENCE_MS).min().unwrap_or(at_ms);
        let sure = |s: &Sample| s.at_ms - i64::try_from(window.lo.as_ms()).unwrap_or(0) <= heard_ms;
        let ready = self.waiting.iter().take_while(|s| sure(s)).count();
        for i in 0..ready {
            let (configured, standing) = (&self.configured, &self.standing);
            self.ledger.take(self.waiting[i], window, |k| believed(configured, standing, k), &power);
            self.judge(now, &power);
        }
        self.waiting.drain(..ready);
    }

    /// What the sums say about every battery.
    fn judge(&mut self, now: Time, power: &impl Fn(usize, i64) -> Option<i64>) {
        for k in 0..self.configured.len() {
            let travel_w = self.ledger.travel_w(k);
            if travel_w < MOVED_W || matches!(self.standing[k], Standing::Wrong { .. }) {
                continue;
            }
            let claim = self.ledger.claim(k, self.configured[k]);
            if claim.gain_w >= travel_w * GAIN_PCT / 100 && claim.lead_w >= claim.gain_w * LEAD_PCT / 100 {
                self.accuse(k, claim.place, now);
                self.begin_check(k, now, power);
            } else if claim.gain_w <= -travel_w / 2 {
                self.clear(k, now);
            }
        }
    }

    fn accuse(&mut self, k: usize, place: Placement, now: Time) {
        let again = match self.standing[k] {
            Standing::Suspected { place: before, .. } => before.is_none_or(|p| p == place),
            Standing::OnTrial { .. } => true,
            Standing::Good | Standing::Wrong { .. } => false,
        };
        if !again {
            self.standing[k] = Standing::Suspected { place: Some(place), at: now };
            self.ledger.clear_battery(k);
            return;
        }
        self.standing[k] = Standing::Wrong { place, until: now + DISTRUST };
        self.ledger.clear();
        if self.check.is_some_and(|c| c.k == k) {
            self.end_check(now);
        }
        self.suspect_partners(self.configured[k], place, now);
    }

    /// Mistakes come in pairs: what is mixed up with it, or read with the same sign, is suspected at once.
    fn suspect_partners(&mut self, said: Placement, place: Placement, now: Time) {
        for (standing, configured) in self.standing.iter_mut().zip(&self.configured) {
            let partner = configured.slot == place.slot && place.slot != said.slot || place.reversed != said.reversed;
            if partner && *standing == Standing::Good {
                *standing = Standing::Suspected { place: None, at: now };
            }
        }
    }

    fn clear(&mut self, k: usize, now: Time) {
        self.standing[k] = Standing::Good;
        if self.check.is_some_and(|c| c.k == k) {
            self.end_check(now);
        }
    }

    /// A suspected battery that does something can let go of it.
    fn begin_check(&mut self, k: usize, now: Time, power: &impl Fn(usize, i64) -> Option<i64>) {
        let newest = |k: usize| power(k, i64::MAX).unwrap_or(0);
        let suspected = matches!(self.standing[k], Standing::Suspected { .. });
        if suspected && self.check.is_none() && now >= self.next_check && newest(k).abs() >= MOVED_W {
            for (k, kept) in self.kept_w.iter_mut().enumerate() {
                *kept = newest(k);
            }
            self.check = Some(Check { k, since: now });
            self.checks = self.checks.saturating_add(1);
        }
    }

    fn end_check(&mut self, now: Time) {
        self.check = None;
        self.next_check = now + CHECK_AGAIN;
    }
}

fn believed(configured: &[Placement], standing: &[Standing], k: usize) -> Placement {
    match standing[k] {
        Standing::Wrong { place, .. } => place,
        _ => configured[k],
    }
}
