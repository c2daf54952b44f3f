//! P2 and P4: bounds for the whole site, applied to the balanced powers, lowest priority first: import limit and peak shaving, export
//! limit, dimming (§14a EnWG), unbalance (`spec/control.md` 2.4). Each only moves what hard limits and fuse leave, so those always hold.

use super::allocate::{Binding, Draft, Needs, hard_bounds, policy_bounds, third};
use super::math::{lower_to, raise_to};
use super::site::{ALL_PHASES, SLOTS};

/// Moves the powers of `x` until the limits hold, as far as they can.
pub fn limit(needs: &Needs, x: &mut Draft) {
    let load: i64 = needs.load_w.iter().sum();
    let bounds: [(i64, i64); SLOTS] = std::array::from_fn(|slot| hard_bounds(needs, slot, x.w[ALL_PHASES]));
    if let Some(import_w) = needs.limits.import_w {
        let policy: [i64; SLOTS] = std::array::from_fn(|slot| policy_bounds(needs, slot, bounds[slot]).1.max(x.w[slot]));
        x.replace(raise_to(x.w, policy, load.saturating_sub(import_w)), Binding::ImportLimit);
    }
    if let Some(export_w) = needs.limits.export_w {
        let floor: [i64; SLOTS] = std::array::from_fn(|slot| bounds[slot].0.min(x.w[slot]));
        x.replace(lower_to(x.w, floor, load.saturating_add(export_w)), Binding::ExportLimit);
    }
    if let Some(budget_w) = needs.dimmed_w {
        dim(needs, x, &bounds, budget_w.max(-load).max(0));
    }
    if let Some(most_va) = needs.limits.unbalance_va {
        even_out(x, &bounds, most_va);
    }
}

/// Charging ends at the budget, but for what the fuse forces into the batteries. What is charged less must not be exported beyond the
/// limit: discharging is lowered for it.
fn dim(needs: &Needs, x: &mut Draft, bounds: &[(i64, i64); SLOTS], budget_w: i64) {
    let charging = x.w.map(|w| (-w).max(0));
    if charging.iter().sum::<i64>() <= budget_w {
        return;
    }
    let forced: [i64; SLOTS] = std::array::from_fn(|slot| (-bounds[slot].1).max(0).min(charging[slot]));
    let less = lower_to(charging, forced, budget_w);
    let dimmed = std::array::from_fn(|slot| if x.w[slot] < 0 { -less[slot] } else { x.w[slot] });
    x.replace(dimmed, Binding::Dimmed);
    if let Some(export_w) = needs.limits.export_w {
        let floor: [i64; SLOTS] = std::array::from_fn(|slot| bounds[slot].0.max(x.w[slot].min(0)));
        let most = needs.load_w.iter().sum::<i64>().saturating_add(export_w);
        x.replace(lower_to(x.w, floor, most), Binding::ExportLimit);
    }
}

/// No phase gives, or takes, more than `most_va` above the one that does least of it. Three-phase batteries do the same on all.
fn even_out(x: &mut Draft, bounds: &[(i64, i64); SLOTS], most_va: i64) {
    for sign in [1, -1] {
        let common: [i64; 3] = std::array::from_fn(|f| sign * third(x.w[ALL_PHASES], f));
        let phase = |w: &[i64; SLOTS], f: usize| sign * w[f] + common[f];
        let least = (0..3).map(|f| phase(&x.w, f).max(0)).min().unwrap_or(0);
        let mut w = x.w;
        for f in (0..3).filter(|&f| phase(&x.w, f) > most_va + least) {
            let floor = if sign > 0 { bounds[f].0 } else { -bounds[f].1 };
            w[f] = sign * (most_va + least - common[f]).max(floor).min(sign * x.w[f]);
        }
        x.replace(w, Binding::Unbalance);
    }
}
