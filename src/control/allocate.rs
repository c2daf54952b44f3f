//! From the net loads to a power per battery: the fuse (P1) before the SoC policy (P3) before self-consumption (P5), then the exact split.
//!
//! A pure function of its inputs. Every lower priority only chooses inside what the higher ones leave. The shares of a phase sum up exactly.

use super::capability::Capability;
use super::math::{clamp, leg, project, share_by_weight};
use super::site::Site;

/// What binds a phase, for the explanation.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Binding {
    /// Nothing: the phase gets what the load asks for.
    #[default]
    Load,
    /// The fuse forces another power than the load would.
    Fuse,
    /// The batteries can or may not do more.
    Batteries,
}

/// The outcome for one phase, W, discharge positive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PhasePlan {
    /// Lowest power that fuse and hard limits allow.
    pub lo: i64,
    /// Highest power that fuse and hard limits allow.
    pub hi: i64,
    /// The same inside the SoC policy.
    pub policy_lo: i64,
    /// The same inside the SoC policy.
    pub policy_hi: i64,
    /// What self-consumption alone would ask for.
    pub wanted_w: i64,
    /// What the phase gets.
    pub power_w: i64,
    /// What decided.
    pub binding: Binding,
}

/// Reused memory, so that a step allocates nothing.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Scratch {
    members: Vec<usize>,
    weight: Vec<i64>,
    cap: Vec<i64>,
    share: Vec<i64>,
    extra: Vec<i64>,
}

/// Active power that the fuse allows on a phase, W: √((V·(I_fuse − margin))² − Q²).
pub fn fuse_w(site: &Site, voltage_mv: i64, reactive_var: i64) -> i64 {
    let apparent = voltage_mv.saturating_mul((site.fuse_ma - site.fuse_margin_ma).max(0)) / 1_000_000;
    leg(apparent, reactive_var)
}

/// Bounds and power of one phase whose batteries have these capabilities in sum.
pub fn plan_phase(load_w: i64, wanted_w: i64, fuse_w: i64, sum: &Capability) -> PhasePlan {
    let hard = (-sum.hard_charge_w, sum.hard_discharge_w);
    let (lo, hi) = project(hard, (load_w - fuse_w, load_w + fuse_w));
    let (policy_lo, policy_hi) = project((lo, hi), (-sum.charge_w, sum.discharge_w));
    let power_w = clamp(wanted_w, policy_lo, policy_hi);
    let inside_batteries = clamp(wanted_w, -sum.charge_w, sum.discharge_w);
    let binding = if power_w != inside_batteries {
        Binding::Fuse
    } else if power_w != wanted_w {
        Binding::Batteries
    } else {
        Binding::Load
    };
    PhasePlan { lo, hi, policy_lo, policy_hi, wanted_w, power_w, binding }
}

/// Splits the power of phase `phase` over its batteries, in proportion to the energy they can give or take; the part that only the fuse
/// can ask for (beyond the SoC policy) is split over the hard limits. Writes to `out_w`.
pub fn split(
    site: &Site,
    phase: usize,
    power_w: i64,
    caps: &[Capability],
    soc_pm: impl Fn(usize) -> i64,
    scratch: &mut Scratch,
    out_w: &mut [i64],
) {
    let discharging = power_w >= 0;
    scratch.members.clear();
    scratch.members.extend((0..site.batteries.len()).filter(|&k| site.batteries[k].connection.slot() == phase));
    let n = scratch.members.len();
    for v in [&mut scratch.weight, &mut scratch.cap, &mut scratch.share, &mut scratch.extra] {
        v.clear();
        v.resize(n, 0);
    }
    for (i, &k) in scratch.members.iter().enumerate() {
        let b = &site.batteries[k];
        let band_pm = if discharging { soc_pm(k) - b.min_soc_pm } else { b.max_soc_pm - soc_pm(k) };
        scratch.weight[i] = (band_pm * b.capacity_wh).div_euclid(1000).max(1);
        scratch.cap[i] = if discharging { caps[k].discharge_w } else { caps[k].charge_w };
    }
    let total = power_w.abs();
    share_by_weight(&scratch.weight, &scratch.cap, total, &mut scratch.share);
    let rest = total - scratch.share.iter().sum::<i64>();
    if rest > 0 {
        for (i, &k) in scratch.members.iter().enumerate() {
            let hard = if discharging { caps[k].hard_discharge_w } else { caps[k].hard_charge_w };
            scratch.cap[i] = hard - scratch.share[i];
        }
        share_by_weight(&scratch.weight, &scratch.cap, rest, &mut scratch.extra);
    }
    for (i, &k) in scratch.members.iter().enumerate() {
        let w = scratch.share[i] + scratch.extra[i];
        out_w[k] = if discharging { w } else { -w };
    }
}
