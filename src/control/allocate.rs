//! From the net loads to a power per slot (L1, L2, L3 and the three-phase batteries): every lower priority only chooses inside what the
//! higher ones leave (`spec/control.md` 2.4): hard limits (P0), fuse (P1), site limits (P2), SoC policy (P3), peak shaving (P4), balance (P5).
//!
//! A pure function of its inputs: no time, no memory. How a slot's power is split over its batteries is [`share`](super::share)'s.

use super::balance::balance;
use super::capability::Capability;
use super::math::{clamp, leg, project};
use super::site::{ALL_PHASES, SLOTS, Site, SiteLimits};
use super::site_limits::limit;

/// What decides over a slot, for the explanation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Binding {
    /// Nothing: the phase gets what its load asks for.
    #[default]
    Load,
    /// Nothing: the phases together get what they ask for.
    Total,
    /// A schedule asks for it.
    Schedule,
    /// Another controller commands it.
    Remote,
    /// The import is below the threshold of peak shaving.
    BelowPeak,
    /// The import is so low that peak shaving recharges.
    Recharge,
    /// The batteries can or may not do more.
    Batteries,
    /// The most that another controller allows.
    RemoteLimit,
    /// The most that may be imported.
    ImportLimit,
    /// The most that may be exported.
    ExportLimit,
    /// The grid operator.
    Dimmed,
    /// The most that phases may differ.
    Unbalance,
    /// The fuse forces another power than anything else would.
    Fuse,
}

/// The outcome for one slot, W, discharge positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SlotPlan {
    /// Lowest power that fuse and hard limits allow.
    pub lo: i64,
    /// Highest power that fuse and hard limits allow.
    pub hi: i64,
    /// The same inside the SoC policy.
    pub policy_lo: i64,
    /// The same inside the SoC policy.
    pub policy_hi: i64,
    /// What would be asked of the slot if it could do everything.
    pub wanted_w: i64,
    /// What the slot gets.
    pub power_w: i64,
    /// What decided.
    pub binding: Binding,
}

/// What is asked of the batteries before any limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ask {
    /// This power of every phase, W.
    PerPhase([i64; 3]),
    /// This power in sum, W, and why.
    Total(i64, Binding),
}

/// What an allocation starts from.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Needs {
    /// Estimated net load of each phase, W.
    pub load_w: [i64; 3],
    /// What the fuse lets through on each phase, W, ≥ 0.
    pub fuse_w: [i64; 3],
    /// What is asked for.
    pub ask: Ask,
    /// What the batteries of each slot may do in sum.
    pub sums: [Capability; SLOTS],
    /// Bounds for the whole site.
    pub limits: SiteLimits,
    /// What may be charged from the grid while dimmed, W.
    pub dimmed_w: Option<i64>,
}

/// The most that another controller allows all batteries together, W, both ≥ 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps {
    /// Of those that charge.
    pub charge_w: i64,
    /// Of those that discharge.
    pub discharge_w: i64,
}

impl Caps {
    /// Nobody has said anything.
    pub const NONE: Caps = Caps { charge_w: i64::MAX, discharge_w: i64::MAX };
}

/// Active power that the fuse allows on a phase, W: √((V·(I_fuse − margin))² − Q²).
pub fn fuse_w(site: &Site, voltage_mv: i64, reactive_var: i64) -> i64 {
    let apparent = voltage_mv.saturating_mul((site.fuse_ma - site.fuse_margin_ma).max(0)) / 1_000_000;
    leg(apparent, reactive_var)
}

/// The power of every slot.
pub fn plan(needs: &Needs) -> [SlotPlan; SLOTS] {
    plan_within(needs, &Caps::NONE)
}

/// The power of every slot, where another controller has a say.
pub fn plan_within(needs: &Needs, caps: &Caps) -> [SlotPlan; SLOTS] {
    let mut x = balance(needs);
    limit(needs, caps, &mut x);
    if needs.sums[ALL_PHASES] != Capability::default() {
        // What the limits changed on all phases at once moves the bounds of each, so they look again.
        for _ in 0..3 {
            hold_fuses(needs, &mut x);
            limit(needs, caps, &mut x);
        }
    }
    let three_phase = x.w[ALL_PHASES];
    let mut plans = [SlotPlan::default(); SLOTS];
    for (slot, plan) in plans.iter_mut().enumerate() {
        let (lo, hi) = hard_bounds(needs, slot, three_phase);
        let (policy_lo, policy_hi) = policy_bounds(needs, slot, (lo, hi));
        let power_w = clamp(x.w[slot], lo, hi);
        let binding = if power_w == x.w[slot] { x.binding[slot] } else { Binding::Fuse };
        *plan = SlotPlan { lo, hi, policy_lo, policy_hi, wanted_w: x.wanted[slot], power_w, binding };
    }
    plans
}

/// Brings every phase back into its fuse, given what the three-phase batteries give now.
fn hold_fuses(needs: &Needs, x: &mut Draft) {
    let held = std::array::from_fn(|slot| {
        let (lo, hi) = hard_bounds(needs, slot, x.w[ALL_PHASES]);
        clamp(x.w[slot], lo, hi)
    });
    x.replace(held, Binding::Fuse);
}

/// Powers of the slots on their way through the priorities.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Draft {
    /// W, discharge positive.
    pub w: [i64; SLOTS],
    /// What would be asked for without bounds.
    pub wanted: [i64; SLOTS],
    /// What decided so far.
    pub binding: [Binding; SLOTS],
}

impl Draft {
    /// Takes over `w`, for the reason `binding` where it differs.
    pub fn replace(&mut self, w: [i64; SLOTS], binding: Binding) {
        for ((own, new), reason) in self.w.iter_mut().zip(w).zip(&mut self.binding) {
            if *own != new {
                (*own, *reason) = (new, binding);
            }
        }
    }
}

/// What of the three-phase power `w` shows on phase `f`, W: the three parts sum up exactly, and none falls when `w` rises.
pub fn third(w: i64, f: usize) -> i64 {
    w.div_euclid(3) + i64::from((f as i64) < w.rem_euclid(3))
}

/// P0 and P1: what hard limits and the fuse allow the batteries of a slot, while the three-phase batteries give `three_phase_w`.
/// The bounds of the three-phase slot itself are those in which the single-phase batteries can still hold the fuse.
pub fn hard_bounds(needs: &Needs, slot: usize, three_phase_w: i64) -> (i64, i64) {
    let hard = (-needs.sums[slot].hard_charge_w, needs.sums[slot].hard_discharge_w);
    if slot == ALL_PHASES {
        return if hard == (0, 0) { hard } else { project(hard, three_phase_fuse(needs)) };
    }
    let (load, fuse, common) = (needs.load_w[slot], needs.fuse_w[slot], third(three_phase_w, slot));
    project(hard, (load - fuse - common, load + fuse - common))
}

/// P3 inside `bounds`.
pub fn policy_bounds(needs: &Needs, slot: usize, bounds: (i64, i64)) -> (i64, i64) {
    project(bounds, (-needs.sums[slot].charge_w, needs.sums[slot].discharge_w))
}

fn three_phase_fuse(needs: &Needs) -> (i64, i64) {
    let lowest = |f: usize| needs.load_w[f] - needs.fuse_w[f] - needs.sums[f].hard_discharge_w;
    let highest = |f: usize| needs.load_w[f] + needs.fuse_w[f] + needs.sums[f].hard_charge_w;
    let lo = lowest(0).max(lowest(1)).max(lowest(2));
    let hi = highest(0).min(highest(1)).min(highest(2));
    (3 * lo, 3 * hi)
}
