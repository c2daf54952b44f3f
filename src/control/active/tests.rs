//! The active set, member by member and second by second.

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
