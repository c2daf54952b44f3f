//! Batteries that are told their power in coarse steps, such as whole kilowatts: which step it is.
//!
//! Following the load takes the nearest one, and leaves it only when the load has clearly moved on, so that a battery does not go back
//! and forth between two. Where a bound asks for power it gets no less than that, where a bound holds it back no more. Everywhere else
//! the step towards zero. Never leaves the hard limits.

use super::Core;
use crate::control::allocate::Binding;
use crate::control::ladder::Mode;
use crate::control::site::Site;

/// A step is kept while it is no further than this from what is wanted, percent of a step.
const KEPT_PCT: i64 = 65;

impl Core {
    /// What battery `k` can be told for `w`, W.
    pub(super) fn in_steps(&self, k: usize, w: i64) -> i64 {
        let step = self.site.batteries[k].step_w;
        if step <= 1 {
            return w;
        }
        let less = w / step * step;
        let more = less + if w % step == 0 { 0 } else { step * w.signum() };
        if !matches!(self.ladder.mode(), Mode::Run { .. }) {
            return less;
        }
        let plan = &self.plans[self.site.batteries[k].connection.slot()];
        let needed = match plan.binding {
            Binding::ImportLimit => w > 0,
            Binding::ExportLimit => w < 0,
            Binding::Fuse => w > 0 && plan.lo > 0 || w < 0 && plan.hi < 0,
            _ => false,
        };
        let chosen = match plan.binding {
            _ if needed => more,
            Binding::Load | Binding::Total => {
                let nearest = if (more - w).abs() < (w - less).abs() { more } else { less };
                let kept = self.batteries[k].out_w;
                let stays = kept % step == 0 && (kept - w).abs() * 100 <= step * KEPT_PCT && kept.signum() * w.signum() >= 0;
                if stays { kept } else { nearest }
            }
            _ => less,
        };
        let inside = self.within_hard(k, chosen) == chosen && (needed || (plan.lo..=plan.hi).contains(&chosen));
        if inside { chosen } else { less }
    }

    /// A battery on phase `f` is told coarse steps.
    pub(super) fn is_coarse(&self, f: usize) -> bool {
        self.site.batteries.iter().any(|b| b.step_w > 1 && b.connection.is_on(f))
    }
}

/// So far off its target a phase may stay where a battery cannot be told exactly, W.
pub(super) fn coarse_w(site: &Site) -> i64 {
    site.batteries.iter().map(|b| b.step_w).filter(|step| *step > 1).max().unwrap_or(0) * KEPT_PCT / 100
}
