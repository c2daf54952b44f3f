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
    /// It works until `successor` follows; from `going` on it lets go.
    Leaving {
        successor: Option<usize>,
        since: Time,
        going: Option<(Time, i64)>,
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
            let Part::Leaving { successor, since, going } = self.parts[k] else { continue };
            let follows = successor.is_none_or(|s| follows(&members[s]) && members[s].cap_w > 0);
            self.parts[k] = match going {
                Some((from, _)) if now.since(from) >= LET_GO => Part::Resting { since: Some(now) },
                Some(_) => continue,
                None if follows => Part::Leaving { successor, since, going: Some((now, members[k].setpoint_w.saturating_abs())) },
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
            self.parts[last] = Part::Leaving { successor: None, since: now, going: None };
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
            self.parts[old] = Part::Leaving { successor: Some(new), since: now, going: None };
        }
    }

    fn usable_w(&self, k: usize, m: &Member, now: Time) -> i64 {
        let cap_w = m.cap_w.max(0);
        match self.parts[k] {
            Part::Active { .. } => cap_w,
            Part::Resting { .. } => 0,
            // Half of what was its own goes to the newcomer at once, so that there is something to follow.
            Part::Leaving { successor, going: None, .. } => {
                let own = m.setpoint_w.saturating_abs();
                if successor.is_some() { cap_w.min((own / 2).max(m.min_power_w)) } else { cap_w.min(own) }
            }
            Part::Leaving { going: Some((from, start_w)), .. } => {
                let left = LET_GO.less(now.since(from)).as_ms() as i64;
                cap_w.min(start_w.saturating_mul(left) / (LET_GO.as_ms() as i64))
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
mod tests {
    use super::*;

    const CAP_W: i64 = 4600;

    struct Group {
        set: ActiveSet,
        members: Vec<Member>,
        cap_w: Vec<i64>,
        now_s: u64,
        /// These do nothing.
        dead: Vec<usize>,
    }

    impl Group {
        fn new(soc_pm: &[i64]) -> Group {
            let members: Vec<_> = soc_pm.iter().map(|&soc_pm| Member { cap_w: CAP_W, soc_pm, ..Member::default() }).collect();
            Group { set: ActiveSet::new(soc_pm.len()), cap_w: vec![0; soc_pm.len()], members, now_s: 0, dead: vec![] }
        }

        /// A second in which the batteries do what they are told: those with a cap share in proportion to it.
        fn second(&mut self, wanted_w: i64) {
            self.now_s += 1;
            self.set.choose(Time::from_ms(self.now_s * 1000), wanted_w, &self.members, &mut self.cap_w);
            let all: i64 = self.cap_w.iter().sum();
            let has: i64 = self.members.iter().map(|m| m.cap_w).sum();
            assert!(all >= wanted_w.abs().min(has), "{all} W of caps for {wanted_w} W at {} s: {:?}", self.now_s, self.set);
            for (k, m) in self.members.iter_mut().enumerate() {
                assert!((0..=m.cap_w).contains(&self.cap_w[k]));
                m.setpoint_w = if all == 0 { 0 } else { wanted_w.clamp(-all, all) * self.cap_w[k] / all };
                m.measured_w = if self.dead.contains(&k) { 0 } else { m.setpoint_w };
            }
        }

        fn seconds(&mut self, n: u64, wanted_w: i64) -> usize {
            (0..n).for_each(|_| self.second(wanted_w));
            self.working()
        }

        fn working(&self) -> usize {
            (0..self.members.len()).filter(|&k| self.set.works(k)).count()
        }
    }

    #[test]
    fn small_powers_are_done_by_one_even_where_nothing_asks_for_a_least_power() {
        let mut g = Group::new(&[500; 3]);
        assert_eq!(g.seconds(1, 300), 1);
        assert_eq!(g.cap_w, [CAP_W, 0, 0], "ties go to the first");
        assert_eq!(g.seconds(3600, 300), 1);
    }

    #[test]
    fn one_more_above_seventy_percent_and_one_less_below_forty_five_for_a_minute() {
        let mut g = Group::new(&[500; 3]);
        assert_eq!(g.seconds(5, 3220), 1);
        assert_eq!(g.seconds(1, 3221), 2);
        assert_eq!(g.seconds(1, 6441), 3);
        // Dwell first, then the minute, then the ten seconds of letting go.
        assert_eq!(g.seconds(590, 2000), 3);
        assert_eq!(g.seconds(30, 2000), 2);
        assert_eq!(g.seconds(80, 2000), 1);
        assert_eq!(g.seconds(100, 2100), 1);
    }

    #[test]
    fn in_between_nothing_changes() {
        let mut g = Group::new(&[500; 2]);
        g.seconds(1, 4000);
        for w in [2500, 3000, 6000, 2200] {
            assert_eq!(g.seconds(2000, w), 2);
        }
    }

    #[test]
    fn beyond_the_active_caps_all_are_there_in_the_same_step() {
        let mut g = Group::new(&[500; 4]);
        g.seconds(5, 500);
        g.second(18_000);
        assert_eq!(g.cap_w, [CAP_W; 4]);
        g.second(30_000);
        assert_eq!(g.cap_w, [CAP_W; 4]);
    }

    #[test]
    fn the_fullest_discharges_and_the_emptiest_charges() {
        let mut g = Group::new(&[400, 700, 550]);
        g.second(500);
        assert_eq!(g.cap_w, [0, CAP_W, 0]);
        let mut g = Group::new(&[400, 700, 550]);
        g.second(-500);
        assert_eq!(g.cap_w, [CAP_W, 0, 0]);
    }

    #[test]
    fn a_fuller_one_relieves_with_an_overlap_and_never_a_gap() {
        let mut g = Group::new(&[500, 480]);
        g.seconds(601, 1000);
        g.members[1].soc_pm = 551;
        g.second(1000);
        assert_eq!(g.working(), 2, "both, until the new one follows");
        g.seconds(3, 1000);
        assert!(g.cap_w[0] < 1000 && g.cap_w[0] > 0 && g.cap_w[1] == CAP_W, "{:?}", g.cap_w);
        g.seconds(20, 1000);
        assert_eq!(g.cap_w, [0, CAP_W]);
        // It is not given back at once.
        g.members[0].soc_pm = 700;
        assert_eq!((g.seconds(500, 1000), g.cap_w[1]), (1, CAP_W));
        g.seconds(200, 1000);
        assert_eq!(g.cap_w, [CAP_W, 0]);
    }

    #[test]
    fn a_hand_over_to_one_that_does_nothing_is_given_up() {
        let mut g = Group::new(&[500, 480]);
        g.seconds(601, 1000);
        (g.members[1].soc_pm, g.dead) = (600, vec![1]);
        g.seconds(2, 1000);
        assert_eq!(g.working(), 2);
        g.seconds(62, 1000);
        assert_eq!(g.cap_w, [CAP_W, 0]);
        assert_eq!((g.seconds(500, 1000), g.cap_w[0]), (1, CAP_W), "and not tried again at once");
    }

    #[test]
    fn nobody_works_below_its_least_power_where_one_can_do_it_alone() {
        let mut g = Group::new(&[500; 3]);
        for m in &mut g.members {
            (m.cap_w, m.min_power_w) = (500, 300);
        }
        assert_eq!(g.seconds(5, 400), 1, "above 70 %, but two would do 200 W each");
        assert_eq!(g.seconds(5, 501), 2, "one cannot");
        assert_eq!(g.seconds(80, 450), 1, "one can again");
        assert!(g.seconds(1, 650) >= 2, "power before efficiency");
    }

    #[test]
    fn a_change_of_direction_wakes_nobody_and_resets_nothing() {
        let mut g = Group::new(&[500, 510]);
        g.seconds(700, 800);
        let before = g.set.parts.clone();
        for n in 0..50 {
            g.seconds(3, if n % 2 == 0 { -700 } else { 700 });
            assert_eq!(g.set.parts, before, "after {n} changes");
        }
    }

    #[test]
    fn one_that_may_no_longer_is_replaced_at_once() {
        let mut g = Group::new(&[600, 500]);
        g.seconds(5, 1000);
        g.members[0].cap_w = 0;
        g.second(1000);
        assert_eq!(g.cap_w, [0, CAP_W]);
    }

    /// The order of the members does not matter where they differ.
    #[test]
    fn permuting_members_permutes_what_they_do() {
        let socs = [[300, 520, 800], [520, 800, 300], [800, 300, 520]];
        let mut groups: Vec<_> = socs.iter().map(|s| Group::new(s)).collect();
        for s in 0..4000u64 {
            let wanted = ((s / 37 * 7919) % 16_000) as i64 - 4000;
            groups.iter_mut().for_each(|g| g.second(wanted));
            for g in &groups[1..] {
                let of = |soc: i64| g.cap_w[g.members.iter().position(|m| m.soc_pm == soc).unwrap()];
                assert_eq!(groups[0].cap_w, [of(300), of(520), of(800)], "at {s} s");
            }
        }
    }

    /// Whatever happens, the caps hold what is wanted as far as the group has it, and nothing changes its mind all the time.
    #[test]
    fn whatever_comes_the_sum_suffices_and_nobody_flaps() {
        let mut state = 1u64;
        let mut random = move |n: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as i64) % n
        };
        for size in [1usize, 2, 3, 5, 12] {
            let mut g = Group::new(&vec![500; size]);
            let mut wanted = 0;
            let mut changes = 0;
            let mut before = vec![false; size];
            for s in 0..20_000 {
                if random(20) == 0 {
                    wanted = random(size as i64 * 6000) - size as i64 * 2500;
                }
                if random(200) == 0 {
                    let k = random(size as i64) as usize;
                    g.members[k] = Member { cap_w: random(3) * 2300, soc_pm: random(1000), min_power_w: random(3) * 150, ..g.members[k] };
                    g.dead = if random(4) == 0 { vec![k] } else { vec![] };
                }
                g.second(wanted);
                let now: Vec<_> = (0..size).map(|k| g.set.works(k)).collect();
                changes += now.iter().zip(&before).filter(|(a, b)| a != b).count();
                before = now;
                assert!(changes < 60 + s / 3, "{changes} changes in {s} s");
            }
        }
    }

    #[test]
    fn absurd_input_is_survived() {
        let mut set = ActiveSet::new(2);
        let m = Member { cap_w: i64::MAX / 4, soc_pm: 5000, min_power_w: 1 << 40, measured_w: i64::MIN, setpoint_w: i64::MIN };
        let mut cap = [0; 2];
        for wanted in [i64::MIN, i64::MAX, 0, -1] {
            set.choose(Time::from_ms(5), wanted, &[m, m], &mut cap);
        }
        set.choose(Time::from_ms(6), 5, &[m], &mut cap);
        ActiveSet::new(0).choose(Time::from_ms(6), 5, &[], &mut []);
    }
}
