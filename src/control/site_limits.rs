//! P2 and P4: bounds for the whole site, applied to the balanced powers, lowest priority first: what another controller allows, import limit
//! and peak shaving, export limit, dimming (§14a EnWG), unbalance (`spec/control.md` 2.4). Each only moves what hard limits and fuse leave,
//! so those always hold; and what the owner has configured is never broken for another controller.

use super::allocate::{Binding, Caps, Draft, Needs, hard_bounds, policy_bounds, third};
use super::math::{lower_to, raise_to};
use super::site::{ALL_PHASES, SLOTS};

/// Moves the powers of `x` until the limits hold, as far as they can.
pub fn limit(needs: &Needs, caps: &Caps, x: &mut Draft) {
    let load: i64 = needs.load_w.iter().sum();
    let bounds: [(i64, i64); SLOTS] = std::array::from_fn(|slot| hard_bounds(needs, slot, x.w[ALL_PHASES]));
    cap(x, &bounds, Direction::Charging, caps.charge_w, Binding::RemoteLimit);
    cap(x, &bounds, Direction::Discharging, caps.discharge_w, Binding::RemoteLimit);
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
    if !cap(x, bounds, Direction::Charging, budget_w, Binding::Dimmed) {
        return;
    }
    if let Some(export_w) = needs.limits.export_w {
        let floor: [i64; SLOTS] = std::array::from_fn(|slot| bounds[slot].0.max(x.w[slot].min(0)));
        let most = needs.load_w.iter().sum::<i64>().saturating_add(export_w);
        x.replace(lower_to(x.w, floor, most), Binding::ExportLimit);
    }
}

/// Which way a battery works.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Charging,
    Discharging,
}

/// Lowers the batteries that work in this direction to `most_w` in sum, but for what the fuse forces. True where that was too much.
fn cap(x: &mut Draft, bounds: &[(i64, i64); SLOTS], direction: Direction, most_w: i64, why: Binding) -> bool {
    let sign = if direction == Direction::Charging { -1 } else { 1 };
    let does = x.w.map(|w| (sign * w).max(0));
    if does.iter().sum::<i64>() <= most_w {
        return false;
    }
    let least = |slot: usize| if direction == Direction::Charging { -bounds[slot].1 } else { bounds[slot].0 };
    let forced: [i64; SLOTS] = std::array::from_fn(|slot| least(slot).max(0).min(does[slot]));
    let less = lower_to(does, forced, most_w);
    for slot in (0..SLOTS).filter(|&slot| less[slot] < does[slot]) {
        x.w[slot] = sign * less[slot];
        x.binding[slot] = if less[slot] == forced[slot] && forced[slot] > 0 { Binding::Fuse } else { why };
    }
    true
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
