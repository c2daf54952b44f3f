//! Batteries that balance by themselves: the limits they get, and when one is commanded instead (`spec/control.md` 2.5, LIMIT and HYBRID).

use super::Core;
use crate::control::allocate::SlotPlan;
use crate::control::decision::Order;
use crate::control::demand::Action;
use crate::control::ladder::{Mode, ramped};
use crate::control::math::clamp;
use crate::control::site::{Connection, ControlKind, Strategy};
use crate::units::{Span, Time};

/// Whether a battery gets setpoints.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Commanded {
    /// As a rule.
    #[default]
    Always,
    /// It balances by itself.
    Not,
    /// For a while, since then.
    Since(Time),
}

impl Core {
    /// Takes hybrid batteries over, or lets them go.
    pub(super) fn take_over(&mut self, now: Time) {
        for k in 0..self.batteries.len() {
            let commanded = match self.site.batteries[k].control {
                ControlKind::Setpoint => continue,
                ControlKind::Limits => false,
                ControlKind::Hybrid => self.needs_more_than_limits(k),
            };
            let b = &mut self.batteries[k];
            b.commanded = match (b.commanded, commanded) {
                (Commanded::Since(since), true) => Commanded::Since(since),
                (_, true) => {
                    (b.out_w, b.aim_w) = b.sample.map_or((0, 0), |s| (s.power_w, s.power_w));
                    Commanded::Since(now)
                }
                (before, false) => {
                    if before != Commanded::Not {
                        b.written.clear();
                        b.follow.rest();
                    }
                    Commanded::Not
                }
            };
        }
    }

    /// How far the command of battery `k` may move in this step, W, where all may move by `change_w`: a battery that was just taken over is
    /// first told what it is doing anyway.
    pub(super) fn change_of(&self, k: usize, change_w: i64, now: Time) -> i64 {
        if self.batteries[k].commanded == Commanded::Since(now) { 0 } else { change_w }
    }

    /// A balanced phase is not all that is wanted: a command from outside, charging from the grid, another target, or, of a three-phase
    /// battery, what the fuse of one phase asks for (a single-phase one that balances its phase holds its fuse anyway). Missing meter data
    /// changes nothing at first.
    fn needs_more_than_limits(&self, k: usize) -> bool {
        let connection = self.site.batteries[k].connection;
        let plan = &self.plans[connection.slot()];
        let for_fuse = connection == Connection::AllPhases && (plan.lo > 0 || plan.hi < 0);
        let asked = match self.demand.action {
            _ if self.demand.remote.setpoint_w.is_some() => true,
            Some(Action::Charge(_)) => true,
            Some(Action::GridTarget(w)) => w != 0,
            Some(Action::Hold | Action::ReserveSoc(_)) | None => false,
        };
        match self.ladder.mode() {
            _ if self.lacks_bms(k) => false,
            Mode::Run { .. } => asked || for_fuse,
            Mode::Hold { .. } => self.batteries[k].commanded != Commanded::Not,
            Mode::Init | Mode::Ramp | Mode::Fallback => false,
        }
    }

    /// The limits of a battery that balances by itself.
    pub(super) fn limits(&mut self, k: usize, mode: Mode, age: Span, urgent: bool, now: Time) -> Order {
        let wanted = self.wanted_limits(k);
        let site = &self.site.batteries[k];
        let (fallback_charge, fallback_discharge) = (site.fallback_charge_w, site.fallback_discharge_w);
        let most = self.most_limits(k, (fallback_charge, fallback_discharge), now);
        let ages = &self.site.ladder;
        let b = &mut self.batteries[k];
        let (charge_w, discharge_w) = match mode {
            Mode::Init | Mode::Hold { .. } => (b.charge_limit.current_w(), b.discharge_limit.current_w()),
            Mode::Run { .. } => (b.charge_limit.towards(wanted.0, now), b.discharge_limit.towards(wanted.1, now)),
            Mode::Ramp => {
                let (charge, discharge) = b.ramp_from_limits;
                let charge = ramped(charge, charge.min(fallback_charge), age, ages);
                let discharge = ramped(discharge, discharge.min(fallback_discharge), age, ages);
                (b.charge_limit.force(charge), b.discharge_limit.force(discharge))
            }
            Mode::Fallback => (b.charge_limit.force(fallback_charge), b.discharge_limit.force(fallback_discharge)),
        };
        Order::Limits { charge_w: clamp(charge_w, 0, most.0), discharge_w: clamp(discharge_w, 0, most.1), urgent }
    }

    /// Charge and discharge power that the battery may use for its own balance, W.
    fn wanted_limits(&self, k: usize) -> (i64, i64) {
        let (connection, cap) = (self.site.batteries[k].connection, self.capabilities[k]);
        let plan = self.plans[connection.slot()];
        let members = || self.groups[connection.slot()].members().iter().copied();
        let all_charge: i64 = members().map(|i| self.capabilities[i].charge_w).sum();
        let all_discharge: i64 = members().map(|i| self.capabilities[i].discharge_w).sum();
        let (charge, discharge) = self.slot_limits(&plan);
        let share = self.shares[k];
        let beside_commanded = members().any(|i| i != k && self.batteries[i].commanded != Commanded::Not);
        let (charge, discharge) = match (self.demand.action, self.site.strategy) {
            // It cannot be commanded, but it can be kept from doing more than its part.
            _ if self.demand.remote.setpoint_w.is_some() => ((-share).max(0), share.max(0)),
            (Some(Action::Hold), _) => (0, 0),
            // It would take back what the commanded one is to give to the grid.
            (Some(Action::GridTarget(w)), _) if w != 0 && beside_commanded => (0, 0),
            // By itself it takes what the sun gives; what it has must not run out of it meanwhile.
            (Some(Action::Charge(_)), _) => (portion(cap.charge_w, charge, all_charge), 0),
            (None | Some(Action::ReserveSoc(_)), Strategy::PeakShaving { .. }) => ((-share).max(0), share.max(0)),
            _ => (portion(cap.charge_w, charge, all_charge), portion(cap.discharge_w, discharge, all_discharge)),
        };
        let (charge, discharge) = self.under_remote(k, charge, discharge);
        // Whatever else: what the fuse asks for may be used.
        let for_fuse = |forced: bool, w: i64| if forced { w.max(0) } else { 0 };
        (charge.max(for_fuse(plan.hi < 0, -share)), discharge.max(for_fuse(plan.lo > 0, share)))
    }

    /// These limits, W, inside what another controller allows.
    fn under_remote(&self, k: usize, charge_w: i64, discharge_w: i64) -> (i64, i64) {
        let remote = &self.demand.remote;
        let charge = |i: usize| ((-self.shares[i]).max(0), self.capabilities[i].charge_w);
        let discharge = |i: usize| (self.shares[i].max(0), self.capabilities[i].discharge_w);
        let (most_charge_w, most_discharge_w) =
            (self.part_of(k, remote.charge_limit_w, charge), self.part_of(k, remote.discharge_limit_w, discharge));
        (charge_w.min(most_charge_w), discharge_w.min(most_discharge_w))
    }

    /// What falls to battery `k`, which balances by itself, of a limit for all batteries, W: what the commanded ones leave is shared by what
    /// each could do. `of` tells the share of a battery, and what it could do.
    fn part_of(&self, k: usize, limit_w: Option<i64>, of: impl Fn(usize) -> (i64, i64)) -> i64 {
        let Some(mut left_w) = limit_w else { return i64::MAX };
        let mut all_w = 0;
        for (i, battery) in self.batteries.iter().enumerate() {
            let (share_w, could_w) = of(i);
            if battery.commanded == Commanded::Not {
                all_w += could_w;
            } else {
                left_w = left_w.saturating_sub(share_w);
            }
        }
        portion(of(k).1, left_w.max(0), all_w)
    }

    /// What a slot may charge and discharge with, W, inside fuse, policy, unbalance and dimming.
    fn slot_limits(&self, plan: &SlotPlan) -> (i64, i64) {
        let even = self.site.limits.unbalance_va.unwrap_or(i64::MAX);
        let surplus = -self.estimates.iter().map(|e| e.load_w).sum::<i64>();
        let budget = self.demand.dimmed_w.map_or(i64::MAX, |w| w.max(surplus).max(0));
        ((-plan.policy_lo).max(0).min(even).min(budget), plan.policy_hi.max(0).min(even))
    }
}

/// The part of what a phase may do that falls to a battery which could do `own_w` of `all_w`, W.
fn portion(own_w: i64, phase_w: i64, all_w: i64) -> i64 {
    if phase_w >= all_w { own_w } else { own_w * phase_w / all_w.max(1) }
}
