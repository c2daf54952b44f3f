//! The first half of a step: what the slots need and may, and where a fuse cannot wait. Orders nothing.

use super::Core;
use crate::control::alarm::Alarm;
use crate::control::allocate::{Ask, Binding, Caps, Needs, SlotPlan, fuse_w, plan_within, third};
use crate::control::capability::{Capability, capability, limit_by_trust};
use crate::control::decision::PhaseDecision;
use crate::control::demand::Action;
use crate::control::input::PhaseSample;
use crate::control::ladder::Mode;
use crate::control::math::clamp;
use crate::control::share::{Rooms, split};
use crate::control::site::{ALL_PHASES, Balance, SLOTS, Strategy};
use crate::units::{Phase, Span, Time};

/// The alarm threshold lies this far below the fuse, mA (`spec/control.md` 2.6: 24 A of 25 A).
const ALARM_BELOW_FUSE_MA: i64 = 1000;

/// More power than any batteries have, W: what another controller commands beyond is this.
const MOST_REMOTE_W: i64 = 1 << 31;

/// Failed writes in a row that exclude a battery (2.6).
const WRITES_FAILED_MOST: u32 = 3;

impl Core {
    /// What each battery may do.
    pub(super) fn analyse_batteries(&mut self, now: Time) {
        for k in 0..self.batteries.len() {
            let site = &self.site.batteries[k];
            let b = &mut self.batteries[k];
            let usable = b.writes_failed < WRITES_FAILED_MOST;
            let sample = b.counted();
            let mut cap = capability(site, sample.as_ref(), b.blocks, usable, now);
            b.reserved = self.demand.reserves(b.soc_pm().unwrap_or(0), b.reserved, site.hysteresis_pm);
            if b.reserved {
                cap.keep_reserve();
            }
            let silent = sample.is_none_or(|s| now.since(s.taken) > site.exclude_age);
            if silent {
                b.polled.clear();
                b.written.clear();
                b.follow.rest();
                self.learner.forget(k);
            }
            let missed = silent && self.started.is_some_and(|t| now.since(t) > site.exclude_age);
            self.alarms.set(Alarm::BatteryLost(k), missed, now);
            self.alarms.set(Alarm::WritesFail(k), !usable, now);
            let cap = self.under_bms(k, limit_by_trust(cap, &self.trust[k]), now);
            self.capabilities[k] = cap;
            self.ready_w[k] = (cap.charge_w, cap.discharge_w);
        }
    }

    pub(super) fn analyse_phases(&mut self, now: Time, age: Option<Span>) {
        let lost = age.map_or(self.started.is_some_and(|t| now.since(t) > self.site.ladder.hold), |a| a > self.site.ladder.hold);
        self.alarms.set(Alarm::MeterLost, lost, now);
        self.shares.fill(0);
        self.plans = [SlotPlan::default(); SLOTS];
        let seeded = self.estimates.iter().all(|e| e.seeded);
        if seeded {
            self.plans = plan_within(&self.needs(), &self.caps());
            self.share_out(now);
        }
        for f in 0..3 {
            let overload = !lost && self.phases.is_some_and(|phases| self.overloaded(&phases[f]));
            self.alarms.set(Alarm::FuseOverload(Phase::ALL[f]), overload, now);
            let load_w = seeded.then_some(self.estimates[f].load_w);
            self.decision.phases[f] = PhaseDecision { load_w, plan: self.plans[f], overload };
        }
        self.decision.three_phase = self.plans[ALL_PHASES];
    }

    /// Who does how much of what a slot gets.
    fn share_out(&mut self, now: Time) {
        for (slot, group) in self.groups.iter_mut().enumerate() {
            let power_w = self.plans[slot].power_w;
            group.choose(power_w, &self.batteries, &self.capabilities, &mut self.ready_w, now);
            let rooms = Rooms { caps: &self.capabilities, ready_w: &self.ready_w };
            let soc = |k: usize| self.batteries[k].soc_pm().unwrap_or(0);
            split(&self.site, group.members(), power_w, rooms, soc, &mut self.scratch, &mut self.shares);
        }
    }

    /// Where the fuse cannot wait: neither what the batteries were told until now nor what they would be told if they moved no faster than
    /// `change_w` may violate it.
    pub(super) fn find_violations(&mut self, change_w: i64, now: Time) {
        self.violated = [false; SLOTS];
        let running = matches!(self.ladder.mode(), Mode::Run { .. });
        if !running || !self.estimates.iter().all(|e| e.seeded) {
            return;
        }
        let (mut told, mut slewed) = ([0; SLOTS], [0; SLOTS]);
        for k in 0..self.batteries.len() {
            let slot = self.site.batteries[k].connection.slot();
            told[slot] += self.batteries[k].out_w;
            slewed[slot] += self.within_hard(k, self.slewed(k, self.change_of(k, change_w, now)));
        }
        for (slot, plan) in self.plans.iter().enumerate() {
            let holds = |w: i64| (plan.lo..=plan.hi).contains(&w);
            self.violated[slot] = !(holds(told[slot]) && holds(slewed[slot]));
        }
        // The bounds of a phase stand on what the three-phase batteries are to give, so none may wait for the other.
        let planned = self.plans[ALL_PHASES].power_w;
        let differs = |w: &[i64; SLOTS]| (0..3).any(|f| self.exceeds(f, w[f] + third(w[ALL_PHASES], f)));
        let stake = self.violated.contains(&true) || differs(&told) || differs(&slewed);
        if stake && (told[ALL_PHASES] != planned || slewed[ALL_PHASES] != planned) {
            self.violated = [true; SLOTS];
        }
    }

    /// Whether phase `f` with this battery power is beyond its fuse.
    fn exceeds(&self, f: usize, battery_w: i64) -> bool {
        (self.estimates[f].load_w - battery_w).abs() > self.fuse_of(f)
    }

    /// The share of battery `k`, no further than `change_w` from what it was told last.
    pub(super) fn slewed(&self, k: usize, change_w: i64) -> i64 {
        let out = self.batteries[k].aim_w;
        clamp(self.shares[k], out.saturating_sub(change_w), out.saturating_add(change_w))
    }

    /// The last clamp before the wire.
    pub(super) fn within_hard(&self, k: usize, w: i64) -> i64 {
        clamp(w, -self.capabilities[k].hard_charge_w, self.capabilities[k].hard_discharge_w)
    }

    fn needs(&self) -> Needs {
        let mut sums = [Capability::default(); SLOTS];
        for (k, battery) in self.site.batteries.iter().enumerate() {
            let slot = battery.connection.slot();
            sums[slot] = add(sums[slot], &self.capabilities[k]);
        }
        Needs {
            load_w: self.estimates.map(|e| e.load_w),
            fuse_w: std::array::from_fn(|f| self.fuse_of(f)),
            ask: self.ask(),
            sums,
            limits: self.site.limits,
            dimmed_w: self.demand.dimmed_w,
        }
    }

    /// What another controller allows.
    fn caps(&self) -> Caps {
        let said = |limit_w: Option<i64>| limit_w.map_or(i64::MAX, |w| w.max(0));
        let remote = &self.demand.remote;
        Caps { charge_w: said(remote.charge_limit_w), discharge_w: said(remote.discharge_limit_w) }
    }

    /// What is asked of the batteries before any limit. Another controller's command comes before strategy and schedule.
    pub(super) fn ask(&self) -> Ask {
        if let Some(w) = self.demand.remote.setpoint_w {
            return Ask::Total(clamp(w, -MOST_REMOTE_W, MOST_REMOTE_W), Binding::Remote);
        }
        let wanted = std::array::from_fn(|f| self.estimates[f].load_w - self.targets_w[f] + self.estimates[f].trim_w);
        let total: i64 = wanted.iter().sum();
        match (self.demand.action, self.site.strategy) {
            (Some(Action::Hold), _) => Ask::Total(0, Binding::Schedule),
            (Some(Action::Charge(w)), _) if total > -w => Ask::Total(-w, Binding::Schedule),
            (Some(Action::Charge(_)), _) => Ask::Total(total, Binding::Total),
            (None | Some(Action::ReserveSoc(_)), Strategy::PeakShaving { recharge_below_w }) => self.shave(recharge_below_w),
            _ if self.site.balance == Balance::Sum || self.only_sum_is_known() => Ask::Total(total, Binding::Total),
            _ => Ask::PerPhase(wanted),
        }
    }

    /// P4: what is above the limit comes from the batteries, and what is free below the other threshold goes into them.
    fn shave(&self, recharge_below_w: i64) -> Ask {
        let load: i64 = self.estimates.iter().map(|e| e.load_w).sum();
        let most = self.site.limits.import_w.unwrap_or(i64::MAX);
        if load > most {
            Ask::Total(load - most, Binding::ImportLimit)
        } else if load < recharge_below_w {
            Ask::Total(load - recharge_below_w, Binding::Recharge)
        } else {
            Ask::Total(0, Binding::BelowPeak)
        }
    }

    /// What the fuse lets through on phase `f`, W.
    fn fuse_of(&self, f: usize) -> i64 {
        let phase = self.phases.map_or_else(PhaseSample::default, |p| p[f]);
        fuse_w(&self.site, phase.voltage_mv.unwrap_or(self.site.voltage_mv), phase.reactive_var)
    }

    pub(super) fn overloaded(&self, phase: &PhaseSample) -> bool {
        phase.most_current_ma(self.site.voltage_mv) > self.site.fuse_ma - ALARM_BELOW_FUSE_MA
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
