//! What a sample of the meter says about the net load, given what the batteries may have done when it was taken; and what can be learned
//! from it.

use super::steps::coarse_w;
use super::{Battery, Core};
use crate::control::allocate::{Binding, fuse_w, third};
use crate::control::decision::Order;
use crate::control::estimate::{BatteriesThen, Circumstances};
use crate::control::history::{Hull, Series, ms};
use crate::control::input::PhaseSample;
use crate::control::learner::{Batteries, LEAST_MOVEMENTS};
use crate::control::site::{ALL_PHASES, Connection, ControlKind};
use crate::units::{Span, Time};

/// Off its target, W, for so long, on balance, a phase does not come to rest, ms.
const OFF_W: i64 = 100;
const OFF_FOR_MS: i64 = 180_000;
/// One sample counts for no more time than this, ms.
const LONGEST_STEP_MS: i64 = 15_000;

impl Core {
    /// Takes the powers of the phases, which arrived just now, into the estimates.
    pub(super) fn estimate(&mut self, phases: &[PhaseSample; 3], arrived: Time) {
        self.learner.sample(ms(arrived), phases.map(|p| p.power_w), self.only_sum_is_known());
        self.doubt_scales(phases, self.since_estimate_ms(arrived));
        self.estimated = Some(arrived);
        let window = self.learned.window;
        if self.only_sum_is_known() {
            return self.estimate_sum(phases, window, ms(arrived));
        }
        let (from, to) = (ms(arrived) - window.hi.signed_ms(), ms(arrived) - window.lo.signed_ms());
        for (f, phase) in phases.iter().enumerate() {
            let then = self.batteries_then(f, from, to);
            let (target_w, saturated) = self.trim_towards(f, phases);
            let around = Circumstances { target_w, saturated, window, confirm: self.must_confirm(f, phase) };
            self.estimates[f].take(phase.power_w, &then, &around, &self.site.tuning);
        }
    }

    /// For how long what the sample at `arrived` says is taken to have held, ms.
    pub(super) fn since_estimate_ms(&self, arrived: Time) -> i64 {
        self.estimated.map_or(0, |t| arrived.since(t).signed_ms().min(LONGEST_STEP_MS))
    }

    /// A scale that does not fit shows as a phase that does not come to rest at its target: then it is learned anew.
    fn doubt_scales(&mut self, phases: &[PhaseSample; 3], passed: i64) {
        let off_w = OFF_W + coarse_w(&self.site);
        for (f, phase) in phases.iter().enumerate() {
            let off = self.plans[f].binding == Binding::Load && (phase.power_w - self.targets_w[f]).abs() > off_w;
            self.off_ms[f] = (self.off_ms[f] + if off { passed } else { -passed }).max(0);
            if self.off_ms[f] < OFF_FOR_MS {
                continue;
            }
            self.off_ms[f] = 0;
            let members = self.site.batteries.iter().zip(&mut self.learned.batteries).filter(|(s, _)| s.connection.is_on(f));
            members.for_each(|(_, learned)| learned.scale_pm = 1000);
        }
        let missing_w = self.missing_w(phases);
        let off = self.sum_is_free() && missing_w.abs() > off_w;
        self.off_ms[ALL_PHASES] = (self.off_ms[ALL_PHASES] + if off { passed } else { -passed }).max(0);
        if self.off_ms[ALL_PHASES] >= OFF_FOR_MS {
            self.off_ms[ALL_PHASES] = 0;
            let all = self.site.batteries.iter().zip(&mut self.learned.batteries).filter(|(s, _)| s.connection == Connection::AllPhases);
            all.for_each(|(_, learned)| learned.scale_pm = 1000);
        }
    }

    /// By how much the sum of the phases is off its target, W.
    fn missing_w(&self, phases: &[PhaseSample; 3]) -> i64 {
        phases.iter().map(|p| p.power_w).sum::<i64>() - self.targets_w.iter().sum::<i64>()
    }

    /// The three-phase batteries can do all that is missing in sum.
    fn sum_is_free(&self) -> bool {
        !self.groups[ALL_PHASES].members().is_empty() && matches!(self.plans[ALL_PHASES].binding, Binding::Load | Binding::Total)
    }

    /// What the trim of phase `f` compares its power with, W, and whether it rests. Where phases are netted, or only three-phase batteries
    /// can do something about it, the sum counts, and each phase takes a third of what is missing there.
    pub(super) fn trim_towards(&self, f: usize, phases: &[PhaseSample; 3]) -> (i64, bool) {
        match self.plans[f].binding {
            // What a coarse step leaves open is no error of the battery.
            _ if self.is_coarse(f) => (self.targets_w[f], true),
            Binding::Load => (self.targets_w[f], false),
            binding if binding == Binding::Total || self.sum_is_free() => {
                let missing = self.missing_w(phases);
                // A three-phase battery shows on every phase what it does beside its command: there the reach is that of three.
                let reach_w = self.site.tuning.trim_reach_w * if self.sum_is_free() { 3 } else { 1 };
                (phases[f].power_w - missing / 3, missing.abs() >= reach_w)
            }
            _ => (self.targets_w[f], true),
        }
    }

    pub(super) fn batteries_then(&self, f: usize, from: i64, to: i64) -> BatteriesThen {
        let mut then = BatteriesThen { hull: Hull::ZERO, middle_w: 0, absolute_w: 0 };
        let averaging = self.learned.averaging.signed_ms();
        let members = self.site.batteries.iter().enumerate().filter(|(_, s)| s.connection.is_on(f));
        // A battery that is not heard, or not believed, counts as part of the load, and so do the commands it may or may not have got.
        for (k, s) in members.filter(|(k, _)| !self.batteries[*k].polled.is_empty() && !self.batteries[*k].distrusted) {
            let b = &self.batteries[k];
            let past = self.learned.batteries[k].past(&b.polled, &b.written);
            let part = if s.connection == Connection::AllPhases { 3 } else { 1 };
            let h = past.averaged_hull(from, to, averaging);
            then.hull.lo += h.lo.div_euclid(part);
            then.hull.hi -= (-h.hi).div_euclid(part);
            then.middle_w += past.at((from + to - averaging).div_euclid(2)).div_euclid(part);
            then.absolute_w += past.newest_w().abs() / part;
        }
        then
    }

    /// What the batteries on phase `f` are told to deliver there beyond what they delivered when its newest sample was taken, W: by so much
    /// its power falls once they do it and the meter shows it.
    pub fn relief_w(&self, f: usize) -> i64 {
        let Some(taken) = self.phases_taken else { return 0 };
        let (window, averaging) = (self.learned.window, self.learned.averaging.signed_ms());
        let then = ms(taken) - (window.lo.signed_ms() + window.hi.signed_ms() + averaging) / 2;
        let members = self.site.batteries.iter().enumerate().filter(|(_, site)| site.connection.is_on(f));
        let missing = members.filter_map(|(k, site)| {
            let (b, decision) = (&self.batteries[k], &self.decision.batteries[k]);
            let Order::Setpoint { watts, .. } = decision.order else { return None };
            if decision.capability.is_excluded() || b.distrusted || b.polled.is_empty() {
                return None;
            }
            let then_w = self.learned.batteries[k].past(&b.polled, &b.written).at(then);
            Some(if site.connection == Connection::AllPhases { third(watts, f) - third(then_w, f) } else { watts - then_w })
        });
        missing.sum()
    }

    /// On a meter that averages, the first sample of a step shows a part of it; where the batteries are so fast that the second one would
    /// already show what they made of that part, the first one is not acted on (`spec/control.md` 2.2, confirm rule). An overload is no
    /// time to wait: what the grid connection itself shows beyond the fuse is taken at once.
    pub(super) fn must_confirm(&self, f: usize, phase: &PhaseSample) -> bool {
        let averaging = self.learned.averaging;
        let averages = averaging > Span::ZERO && averaging.times(2) >= self.site.meter_period;
        if !averages || self.learned.movements < LEAST_MOVEMENTS {
            return false;
        }
        let members = self.site.batteries.iter().zip(&self.learned.batteries).filter(|(s, _)| s.connection.is_on(f));
        let Some(response) = members.map(|(_, l)| l.response.unwrap_or(Span::ZERO)).min() else { return false };
        // The response is the longest one seen, blurred by the polls, and waiting in vain costs less than acting on a part: half of it.
        let seen_after = Span::from_ms(self.learned.window.lo.as_ms() + response.as_ms() / 2);
        let fuse = fuse_w(&self.site, phase.voltage_mv.unwrap_or(self.site.voltage_mv), phase.reactive_var);
        seen_after < averaging && phase.power_w.saturating_abs() <= fuse
    }

    /// Learns from what was seen until now; a bounded part of it in every step.
    pub(super) fn learn(&mut self, now: Time) {
        for (k, b) in self.batteries.iter().enumerate().filter(|(k, _)| self.site.batteries[*k].control == ControlKind::Setpoint) {
            self.learner.wanted(k, ms(now), b.out_w);
        }
        self.learner.work(&self.site, &Pasts(&self.batteries), &mut self.learned, ms(now));
    }
}

/// The batteries as the learner sees them.
struct Pasts<'a>(&'a [Battery]);

impl Batteries for Pasts<'_> {
    fn polled(&self, k: usize) -> &Series {
        &self.0[k].polled
    }

    fn commands(&self, k: usize) -> &Series {
        &self.0[k].written
    }
}
