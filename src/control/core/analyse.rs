//! The first half of a step: what the phases need and may, and where a fuse cannot wait. Orders nothing.

use super::Core;
use crate::control::alarm::Alarm;
use crate::control::allocate::{PhasePlan, fuse_w, plan_phase, split};
use crate::control::capability::Capability;
use crate::control::decision::PhaseDecision;
use crate::control::estimate::PhaseEstimate;
use crate::control::input::PhaseSample;
use crate::control::ladder::Mode;
use crate::control::math::clamp;
use crate::units::{Phase, Span, Time};

/// The alarm threshold lies this far below the fuse, mA (`spec/control.md` 2.6: 24 A of 25 A).
const ALARM_BELOW_FUSE_MA: i64 = 1000;

impl Core {
    pub(super) fn analyse_phases(&mut self, now: Time, age: Option<Span>) {
        self.shares.fill(0);
        let lost = age.map_or(self.started.is_some_and(|t| now.since(t) > self.site.ladder.hold), |a| a > self.site.ladder.hold);
        self.alarms.set(Alarm::MeterLost, lost, now);
        for f in 0..3 {
            let phase = self.phases.map_or_else(PhaseSample::default, |p| p[f]);
            let overload = !lost && self.overloaded(&phase);
            self.alarms.set(Alarm::FuseOverload(Phase::ALL[f]), overload, now);
            let estimate = self.estimates[f];
            let mut out = PhaseDecision { load_w: estimate.seeded.then_some(estimate.load_w), overload, ..Default::default() };
            if estimate.seeded {
                out.plan = self.plan(f, &phase, &estimate);
                let soc = |k: usize| self.batteries[k].sample.map_or(0, |s| s.soc_pm);
                split(&self.site, f, out.plan.power_w, &self.capabilities, soc, &mut self.scratch, &mut self.shares);
            }
            self.decision.phases[f] = out;
        }
    }

    /// Where the fuse cannot wait: neither what the batteries of a phase were told until now nor what they would be told if they moved
    /// no faster than `change_w` may violate it.
    pub(super) fn find_violations(&mut self, change_w: i64) {
        let running = matches!(self.ladder.mode(), Mode::Run { .. });
        for f in 0..3 {
            let plan = self.decision.phases[f].plan;
            let (mut told, mut slewed) = (0, 0);
            for k in (0..self.batteries.len()).filter(|&k| self.site.batteries[k].connection.slot() == f) {
                told += self.batteries[k].out_w;
                slewed += self.within_hard(k, self.slewed(k, change_w));
            }
            let holds = |w: &i64| (plan.lo..=plan.hi).contains(w);
            self.violated[f] = running && self.estimates[f].seeded && !(holds(&told) && holds(&slewed));
        }
    }

    /// The share of battery `k`, no further than `change_w` from what it was told last.
    pub(super) fn slewed(&self, k: usize, change_w: i64) -> i64 {
        let out = self.batteries[k].out_w;
        clamp(self.shares[k], out.saturating_sub(change_w), out.saturating_add(change_w))
    }

    /// The last clamp before the wire.
    pub(super) fn within_hard(&self, k: usize, w: i64) -> i64 {
        clamp(w, -self.capabilities[k].hard_charge_w, self.capabilities[k].hard_discharge_w)
    }

    fn plan(&self, f: usize, phase: &PhaseSample, estimate: &PhaseEstimate) -> PhasePlan {
        let members = (0..self.batteries.len()).filter(|&k| self.site.batteries[k].connection.slot() == f);
        let sum = members.fold(Capability::default(), |sum, k| add(sum, &self.capabilities[k]));
        let fuse = fuse_w(&self.site, phase.voltage_mv.unwrap_or(self.site.voltage_mv), phase.reactive_var);
        let wanted = estimate.load_w - self.targets_w[f] + estimate.trim_w;
        plan_phase(estimate.load_w, wanted, fuse, &sum)
    }

    fn overloaded(&self, phase: &PhaseSample) -> bool {
        let by_power = phase.current_by_power_ma(self.site.voltage_mv);
        by_power.max(phase.current_ma.unwrap_or(0).saturating_abs()) > self.site.fuse_ma - ALARM_BELOW_FUSE_MA
    }
}

fn add(sum: Capability, c: &Capability) -> Capability {
    Capability {
        hard_charge_w: sum.hard_charge_w + c.hard_charge_w,
        hard_discharge_w: sum.hard_discharge_w + c.hard_discharge_w,
        charge_w: sum.charge_w + c.charge_w,
        discharge_w: sum.discharge_w + c.discharge_w,
        ..sum
    }
}
