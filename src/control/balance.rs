//! P5: what the slots are asked for, inside hard limits, fuse and SoC policy, and which slot does what of it.
//!
//! Per phase, single-phase batteries serve their own phase and three-phase ones what is common to all; in sum, all charge or all discharge
//! (no energy circulates), and phases with more load get more (`spec/control.md` 2.4). Knows nothing of limits for the whole site.

use super::allocate::{Ask, Binding, Draft, Needs, hard_bounds, policy_bounds, third};
use super::math::{clamp, last_that, level_to};
use super::site::{ALL_PHASES, SLOTS};

/// The slots' powers before the limits of the site.
pub fn balance(needs: &Needs) -> Draft {
    match needs.ask {
        Ask::PerPhase(wanted) => per_phase(needs, wanted),
        Ask::Total(total_w, why) => in_sum(needs, total_w, why),
    }
}

fn per_phase(needs: &Needs, wanted_w: [i64; 3]) -> Draft {
    let total = wanted_w.iter().sum();
    let phase = |t: i64, f: usize| {
        let (lo, hi) = bounds(needs, f, t);
        clamp(wanted_w[f] - third(t, f), lo, hi)
    };
    let with = |t: i64| t + (0..3).map(|f| phase(t, f)).sum::<i64>();
    let (lo, hi) = bounds(needs, ALL_PHASES, 0);
    let three_phase = choose(needs, total, (lo, hi), with, with);
    let mut draft = Draft { w: [0; SLOTS], wanted: [0; SLOTS], binding: [Binding::Load; SLOTS] };
    for (f, wanted_w) in wanted_w.into_iter().enumerate() {
        draft.w[f] = phase(three_phase, f);
        draft.wanted[f] = wanted_w - third(three_phase, f);
        let batteries = clamp(draft.wanted[f], -needs.sums[f].charge_w, needs.sums[f].discharge_w);
        draft.binding[f] = bound_by(draft.wanted[f], batteries, draft.w[f], Binding::Load);
    }
    draft.w[ALL_PHASES] = three_phase;
    draft.wanted[ALL_PHASES] = total - draft.w[..3].iter().sum::<i64>();
    let sum = &needs.sums[ALL_PHASES];
    let batteries = clamp(draft.wanted[ALL_PHASES], -sum.charge_w, sum.discharge_w);
    draft.binding[ALL_PHASES] = bound_by(draft.wanted[ALL_PHASES], batteries, three_phase, Binding::Load);
    draft
}

fn in_sum(needs: &Needs, total_w: i64, why: Binding) -> Draft {
    // The same sign everywhere, but for what the fuse forces.
    let one_way = |slot: usize, t: i64| {
        let (lo, hi) = bounds(needs, slot, t);
        let rest = clamp(0, lo, hi);
        if total_w >= 0 { (rest, hi) } else { (lo, rest) }
    };
    let low = |t: i64| t + (0..3).map(|f| one_way(f, t).0).sum::<i64>();
    let high = |t: i64| t + (0..3).map(|f| one_way(f, t).1).sum::<i64>();
    let three_phase = choose(needs, total_w, one_way(ALL_PHASES, 0), high, low);
    let phases: [(i64, i64); 3] = std::array::from_fn(|f| one_way(f, three_phase));
    let preferred = std::array::from_fn(|f| needs.load_w[f] - third(three_phase, f));
    let x = level_to(preferred, phases.map(|b| b.0), phases.map(|b| b.1), total_w - three_phase);
    let w = [x[0], x[1], x[2], three_phase];
    let missing = total_w - w.iter().sum::<i64>();
    let binding = std::array::from_fn(|slot| {
        let full = if total_w >= 0 { w[slot] >= needs.sums[slot].discharge_w } else { w[slot] <= -needs.sums[slot].charge_w };
        match missing {
            0 => why,
            _ if full => Binding::Batteries,
            _ => Binding::Fuse,
        }
    });
    Draft { w, wanted: w.map(|w| w + missing), binding }
}

/// What the three-phase batteries give: their part of `total_w` by what they can do, moved only as far as the single-phase ones cannot do
/// the rest. `most` and `least` are the sums that a three-phase power makes possible; neither falls when it rises.
fn choose(needs: &Needs, total_w: i64, (lo, hi): (i64, i64), most: impl Fn(i64) -> i64, least: impl Fn(i64) -> i64) -> i64 {
    if lo == hi {
        return lo;
    }
    let can = |slot: usize| if total_w >= 0 { needs.sums[slot].discharge_w } else { needs.sums[slot].charge_w };
    let all: i64 = (0..SLOTS).map(can).sum();
    let part = total_w * can(ALL_PHASES) / all.max(1);
    // From here on the others can do what is missing; up to there they are not too much.
    let first = if most(lo) >= total_w { lo } else { (last_that(lo, hi, |t| most(t) < total_w) + 1).min(hi) };
    let last = last_that(lo, hi, |t| least(t) <= total_w);
    clamp(part, first, last.max(first))
}

/// Where the batteries of a slot may be moved to.
fn bounds(needs: &Needs, slot: usize, three_phase_w: i64) -> (i64, i64) {
    policy_bounds(needs, slot, hard_bounds(needs, slot, three_phase_w))
}

fn bound_by(wanted_w: i64, batteries_w: i64, power_w: i64, free: Binding) -> Binding {
    if power_w != batteries_w {
        Binding::Fuse
    } else if power_w != wanted_w {
        Binding::Batteries
    } else {
        free
    }
}
