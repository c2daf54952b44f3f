//! Which batteries of a group work and which rest (`spec/control.md` 2.4, "Active set"): few at a good power instead of many at a bad one.
//!
//! ```text
//!   Resting ── needed, or fuller than one that works ──► Active
//!      ▲                                                   │ no longer needed for a minute, or relieved by a fuller one
//!      └── let go of ── Leaving ◄──────────────────────────┘
//! ```
//! One that leaves keeps its power until the newcomer shows that it follows, and then lets go of it bit by bit: the sum never has a gap.
//! Where the active ones do not suffice, all work in the same step. This module never shares power out and knows nothing of phases: it says
//! how much of each battery ordinary operation may use. Time is an argument, nothing is allocated after the start.

use crate::units::{Span, Time};

/// So much of what the active ones could do is a good load, percent; above it one more is woken.
const WAKE_PCT: i64 = 70;
/// One is let go when the rest could do it below this share, percent …
const DROP_PCT: i64 = 45;
/// … for this long.
const DROP_AFTER: Span = Span::from_s(60);
/// The order by state of charge changes only for this much, 0.1 %.
const HYSTERESIS_PM: i64 = 50;
/// One that has just begun or ended stays so for this long, unless power is missing.
const DWELL: Span = Span::from_s(600);
/// How long one that leaves takes to let go.
const LET_GO: Span = Span::from_s(10);
/// A hand-over to one that does not follow is given up.
const GIVE_UP: Span = Span::from_s(60);
/// A newcomer follows when it does this share of its setpoint, percent, or all but this, W.
const FOLLOWS_PCT: i64 = 70;
const FOLLOWS_W: i64 = 100;

/// What there is to know about a battery, for the direction that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Member {
    /// Power that the policy allows it in the direction that is wanted, W, ≥ 0.
    pub cap_w: i64,
    /// State of charge, 0.1 %.
    pub soc_pm: i64,
    /// Below this power it works badly, W.
    pub min_power_w: i64,
    /// What it does, W, discharge positive.
    pub measured_w: i64,
    /// What it was told last, W, discharge positive.
    pub setpoint_w: i64,
}

/// What a battery of the group does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Resting {
        since: Option<Time>,
    },
    Active {
        since: Option<Time>,
    },
    /// It does `held_w` until `successor` follows; from `going` on it lets go.
    Leaving {
        successor: Option<usize>,
        since: Time,
        held_w: i64,
        going: Option<Time>,
    },
}

/// The active set of one group: the batteries of a phase, or all of them where the sum of the phases counts.
#[derive(Clone, PartialEq, Debug)]
pub struct ActiveSet {
    parts: Vec<Part>,
    /// The members from the first to work to the last, for the present direction.
    order: Vec<usize>,
    discharging: bool,
    /// Since when one less would do.
    too_many_since: Option<Time>,
}

impl ActiveSet {
    /// For a group of `members` batteries, all of them at rest.
    pub fn new(members: usize) -> ActiveSet {
        ActiveSet {
            parts: vec![Part::Resting { since: None }; members],
            order: (0..members).collect(),
            discharging: true,
            too_many_since: None,
        }
    }

    /// How much of each member ordinary operation may use at `now`, W, where the group is wanted to do `wanted_w` (discharge positive).
    /// Written to `cap_w`: the whole cap of one that is active, what is left of one that leaves, 0 of one that rests. The sum is never
    /// less than what is wanted if the group has it. Slices are as long as the group; what is beyond is ignored.
    pub fn choose(&mut self, now: Time, wanted_w: i64, members: &[Member], cap_w: &mut [i64]) {
        let n = self.parts.len().min(members.len()).min(cap_w.len());
        if n < self.parts.len() {
            cap_w.iter_mut().zip(members).for_each(|(c, m)| *c = m.cap_w.max(0));
            return;
        }
        if wanted_w != 0 {
            self.discharging = wanted_w > 0;
        }
        let x = wanted_w.saturating_abs();
        self.sort(members);
        self.hand_over(now, members);
        self.wake(now, x, members);
        self.let_go(now, x, members);
        self.relieve(now, members);
        for (k, m) in members.iter().enumerate().take(n) {
            cap_w[k] = self.usable_w(k, m, now);
        }
        self.wake_all_where_it_is_not_enough(now, x, members, cap_w);
    }

    /// Whether member `k` works, alone or until another has taken over.
    pub fn works(&self, k: usize) -> bool {
        self.parts.get(k).is_some_and(|p| !matches!(p, Part::Resting { .. }))
    }

    /// Fullest first when discharging, emptiest first when charging; neighbours change places only for a clear difference.
    fn sort(&mut self, members: &[Member]) {
        let sign = if self.discharging { 1 } else { -1 };
        for _ in 1..self.order.len() {
            let mut changed = false;
            for i in 1..self.order.len() {
                let (a, b) = (self.order[i - 1], self.order[i]);
                let ahead = sign * (members[b].soc_pm - members[a].soc_pm);
                let works_first = self.is_active(b) && !self.is_active(a);
                let tie = ahead == 0 && self.is_active(a) == self.is_active(b) && b < a;
                if ahead > HYSTERESIS_PM || (ahead > -HYSTERESIS_PM && works_first) || tie {
                    self.order.swap(i - 1, i);
                    changed = true;
                }
            }
            if !changed {
                break;
            }
        }
    }

    fn is_active(&self, k: usize) -> bool {
        matches!(self.parts[k], Part::Active { .. })
    }

    fn active_w(&self, members: &[Member]) -> i64 {
        (0..members.len()).filter(|&k| self.is_active(k)).map(|k| members[k].cap_w.max(0)).sum()
    }

    /// Those that leave let go once their successor follows; where it does not, they stay and it rests again.
    fn hand_over(&mut self, now: Time, members: &[Member]) {
        for k in 0..self.parts.len() {
            let Part::Leaving { successor, since, held_w, going } = self.parts[k] else { continue };
            let follows = successor.is_none_or(|s| follows(&members[s]) && members[s].cap_w > 0);
            self.parts[k] = match going {
                Some(from) if now.since(from) >= LET_GO => Part::Resting { since: Some(now) },
                Some(_) => continue,
                None if follows => Part::Leaving { successor, since, held_w, going: Some(now) },
                None if now.since(since) >= GIVE_UP => {
                    if let Some(s) = successor {
                        self.parts[s] = Part::Resting { since: Some(now) };
                    }
                    Part::Active { since: Some(now) }
                }
                None => continue,
            };
        }
    }

    /// Smallest number that does it at a good load, but not more than can do their least power.
    fn wake(&mut self, now: Time, x: i64, members: &[Member]) {
        while x > 0 && !is_below(x, WAKE_PCT, self.active_w(members)) {
            let count = (0..members.len()).filter(|&k| self.is_active(k)).count() as i64;
            let next = self.order.iter().copied().find(|&k| !self.is_active(k) && members[k].cap_w > 0);
            let Some(next) = next else { break };
            let suffices = x <= self.active_w(members);
            let too_little = suffices && count > 0 && x < (count + 1) * self.least_w(members, next);
            // One that has just left is woken again only where its power is missing.
            let dwells = suffices && matches!(self.parts[next], Part::Resting { since: Some(t) } if now.since(t) < DWELL);
            if too_little || dwells {
                break;
            }
            self.parts[next] = Part::Active { since: Some(now) };
            self.too_many_since = None;
        }
    }

    /// The largest least power among the active ones and `next`.
    fn least_w(&self, members: &[Member], next: usize) -> i64 {
        (0..members.len()).filter(|&k| k == next || self.is_active(k)).map(|k| members[k].min_power_w).max().unwrap_or(0)
    }

    /// The last of the order goes when the others could do it easily, and had to for a minute.
    fn let_go(&mut self, now: Time, x: i64, members: &[Member]) {
        let count = (0..members.len()).filter(|&k| self.is_active(k)).count();
        let last = self.order.iter().rev().copied().find(|&k| self.is_active(k));
        let Some(last) = last.filter(|_| count > 1) else {
            self.too_many_since = None;
            return;
        };
        let rest_w = self.active_w(members) - members[last].cap_w.max(0);
        let too_little = x < count as i64 * self.least_w(members, last) && x <= rest_w;
        if !is_below(x, DROP_PCT, rest_w) && !too_little {
            self.too_many_since = None;
            return;
        }
        let since = *self.too_many_since.get_or_insert(now);
        let dwells = matches!(self.parts[last], Part::Active { since: Some(t) } if now.since(t) < DWELL) && !too_little;
        if now.since(since) >= DROP_AFTER && !dwells {
            let held_w = members[last].setpoint_w.saturating_abs();
            self.parts[last] = Part::Leaving { successor: None, since: now, held_w, going: None };
            self.too_many_since = None;
        }
    }

    /// One that rests relieves one that works, if it is clearly fuller (emptier when charging); one hand-over at a time.
    fn relieve(&mut self, now: Time, members: &[Member]) {
        if self.parts.iter().any(|p| matches!(p, Part::Leaving { .. })) {
            return;
        }
        let rested = |p: Part| matches!(p, Part::Resting { since } if since.is_none_or(|t| now.since(t) >= DWELL));
        let worked = |p: Part| matches!(p, Part::Active { since } if since.is_none_or(|t| now.since(t) >= DWELL));
        let best = self.order.iter().copied().find(|&k| rested(self.parts[k]) && members[k].cap_w > 0);
        let worst = self.order.iter().rev().copied().find(|&k| worked(self.parts[k]));
        let (Some(new), Some(old)) = (best, worst) else { return };
        let sign = if self.discharging { 1 } else { -1 };
        let enough = members[new].cap_w >= members[old].cap_w || members[old].cap_w <= 0;
        if sign * (members[new].soc_pm - members[old].soc_pm) > HYSTERESIS_PM && enough {
            self.parts[new] = Part::Active { since: Some(now) };
            // Half of what was its own goes to the newcomer at once, so that there is something to follow.
            let held_w = (members[old].setpoint_w.saturating_abs() / 2).max(members[old].min_power_w);
            self.parts[old] = Part::Leaving { successor: Some(new), since: now, held_w, going: None };
        }
    }

    fn usable_w(&self, k: usize, m: &Member, now: Time) -> i64 {
        let cap_w = m.cap_w.max(0);
        match self.parts[k] {
            Part::Active { .. } => cap_w,
            Part::Resting { .. } => 0,
            Part::Leaving { held_w, going: None, .. } => cap_w.min(held_w),
            Part::Leaving { held_w, going: Some(from), .. } => {
                let left = LET_GO.less(now.since(from)).signed_ms();
                cap_w.min(held_w.saturating_mul(left) / LET_GO.signed_ms())
            }
        }
    }

    /// Beyond what the chosen ones can do everybody works, in the same step.
    fn wake_all_where_it_is_not_enough(&mut self, now: Time, x: i64, members: &[Member], cap_w: &mut [i64]) {
        if cap_w.iter().take(members.len()).sum::<i64>() >= x {
            return;
        }
        for (k, m) in members.iter().enumerate() {
            if m.cap_w > 0 && !self.is_active(k) {
                self.parts[k] = Part::Active { since: Some(now) };
            }
            cap_w[k] = if self.is_active(k) { m.cap_w.max(0) } else { 0 };
        }
        self.too_many_since = None;
    }
}

/// `x` is at most this share of `of`; both ≥ 0.
fn is_below(x: i64, percent: i64, of: i64) -> bool {
    i128::from(x) * 100 <= i128::from(percent) * i128::from(of)
}

/// It does most of what it was told, or was told next to nothing yet.
fn follows(m: &Member) -> bool {
    let told = m.setpoint_w.saturating_abs();
    let does = m.measured_w.saturating_mul(m.setpoint_w.signum());
    told > FOLLOWS_W && (does >= told - FOLLOWS_W || !is_below(does.max(0), FOLLOWS_PCT, told))
}

#[cfg(test)]
mod tests;
