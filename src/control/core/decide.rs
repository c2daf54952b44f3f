//! The second half of a step: the order for each battery, and why.

use super::Core;
use super::limits::Commanded;
use crate::control::allocate::Binding;
use crate::control::bms::Contact;
use crate::control::decision::{BatteryDecision, Order, Reason};
use crate::control::ladder::{Mode, ramped};
use crate::control::math::clamp;
use crate::control::site::{ALL_PHASES, Balance, FallbackKind, SLOTS};
use crate::units::{Phase, Span, Time};

impl Core {
    /// How far a command may move in this step, W, and why.
    pub(super) fn change_limit_w(&mut self, now: Time) -> (i64, Reason) {
        let elapsed = self.stepped.map_or(Span::ZERO, |t| now.since(t)).as_ms().min(2000) as i64;
        let ramp = self.site.ramp_w_per_s;
        let start = self.site.start_up;
        let starting = matches!(self.ladder.mode(), Mode::Run { since } if now.since(since) < start.length);
        let (rate, why) = match (starting, ramp > 0) {
            (true, true) if ramp < start.w_per_s => (ramp, Reason::RampLimit),
            (true, _) => (start.w_per_s, Reason::StartUp),
            (false, true) => (ramp, Reason::RampLimit),
            (false, false) => return (i64::MAX, Reason::FollowingLoad),
        };
        let change_mw = rate * elapsed + self.ramp_rest_mw;
        self.ramp_rest_mw = change_mw % 1000;
        (change_mw / 1000, why)
    }

    pub(super) fn decide(
        &mut self,
        k: usize,
        age: Span,
        change_limit: (i64, Reason),
        kept: &[(i64, i64); SLOTS],
        now: Time,
    ) -> BatteryDecision {
        let cap = self.capabilities[k];
        let commanded = self.batteries[k].commanded;
        let change_limit = (self.change_of(k, change_limit.0, now), change_limit.1);
        let (exact_w, mut reason) = self.setpoint(k, age, change_limit, kept);
        let setpoint_w = self.in_steps(k, exact_w);
        self.batteries[k].aim_w = exact_w;
        let before_w = std::mem::replace(&mut self.batteries[k].out_w, setpoint_w);
        let fallen = self.ladder.mode() == Mode::Fallback || self.lacks_bms(k);
        let forbidden = self.is_forbidden(k, before_w);
        // The fallback must not wait for the write budget either, and what a BMS forbids must end.
        let urgent = self.violated[self.site.batteries[k].connection.slot()] || fallen || forbidden;
        let objection = self.objection(k);
        let mut order = match self.ladder.mode() {
            _ if fallen && self.site.fallback == FallbackKind::Release && objection.is_none() => Order::Release,
            mode if commanded == Commanded::Not => self.limits(k, if fallen { Mode::Fallback } else { mode }, age, urgent, now),
            _ => Order::Setpoint { watts: setpoint_w, urgent },
        };
        if self.batteries[k].bms.is_some_and(|bms| bms.contact() == Contact::Unheard) {
            reason = Reason::WaitingForBms;
            order = Order::Silent;
        }
        if self.batteries[k].sample.is_none() {
            reason = Reason::WaitingForBattery;
            order = Order::Silent;
        }
        if self.ladder.mode() == Mode::Init {
            order = Order::Silent;
        }
        if self.site.observe {
            reason = Reason::Observing;
            order = Order::Silent;
        }
        BatteryDecision { order, setpoint_w, capability: cap, reason, objection }
    }

    fn setpoint(&self, k: usize, age: Span, (change_w, change_why): (i64, Reason), kept: &[(i64, i64); SLOTS]) -> (i64, Reason) {
        let (b, cap) = (&self.batteries[k], &self.capabilities[k]);
        let f = self.site.batteries[k].connection.slot();
        let (wanted, reason) = match self.ladder.mode() {
            Mode::Init => (0, Reason::WaitingForMeter),
            _ if self.lacks_bms(k) => (0, Reason::BmsLost),
            Mode::Hold { .. } => (held(b.out_w, kept[f]), Reason::Hold),
            Mode::Ramp => {
                let left = ramped(b.ramp_from_w, 0, age, &self.site.ladder);
                (clamp(left, b.out_w.min(0), b.out_w.max(0)), Reason::Ramp)
            }
            Mode::Fallback => (0, Reason::Fallback),
            Mode::Run { .. } if self.violated[f] => (self.shares[k], self.reason(k)),
            Mode::Run { .. } => {
                let slewed = self.slewed(k, change_w);
                (slewed, if slewed == self.shares[k] { self.reason(k) } else { change_why })
            }
        };
        let allowed = self.within_hard(k, wanted);
        let reason = if cap.is_excluded() && matches!(reason, Reason::FollowingLoad | Reason::DischargeBound(_) | Reason::ChargeBound(_)) {
            Reason::NoData
        } else {
            reason
        };
        (allowed, reason)
    }

    /// Per slot what is being charged, and the last known surplus, W: all batteries of a slot are judged by the same figures. Where phases
    /// are netted, or batteries work on all of them, the whole site is one.
    pub(super) fn kept(&self) -> [(i64, i64); SLOTS] {
        let charging = |slots: std::ops::Range<usize>| {
            let members = self.batteries.iter().zip(&self.site.batteries).filter(|(_, s)| slots.contains(&s.connection.slot()));
            members.map(|(b, _)| (-b.out_w).max(0)).sum()
        };
        let surplus = |f: usize| -(self.estimates[f].load_w + self.estimates[f].trim_w);
        let all = charging(0..SLOTS);
        let common = self.site.batteries.iter().any(|b| b.connection.slot() == ALL_PHASES);
        let apart = self.site.balance == Balance::PerPhase && !common;
        std::array::from_fn(|slot| match slot {
            ALL_PHASES => (all, (0..3).map(surplus).sum::<i64>().max(0)),
            f if apart => (charging(f..f + 1), surplus(f).max(0)),
            _ => (all, (0..3).map(surplus).sum::<i64>().max(0)),
        })
    }

    fn reason(&self, k: usize) -> Reason {
        let slot = self.site.batteries[k].connection.slot();
        let (plan, cap) = (&self.plans[slot], &self.capabilities[k]);
        let share = self.shares[k];
        match plan.binding {
            Binding::Load | Binding::Total if plan.wanted_w > 0 && share >= cap.discharge_w && cap.discharge_cause.is_bms() => {
                Reason::DischargeBound(cap.discharge_cause)
            }
            Binding::Load | Binding::Total if plan.wanted_w < 0 && share <= -cap.charge_w && cap.charge_cause.is_bms() => {
                Reason::ChargeBound(cap.charge_cause)
            }
            Binding::Load | Binding::Total if share == 0 && self.ready_w[k] == (0, 0) && !cap.is_excluded() => Reason::Resting,
            Binding::Load | Binding::Total => Reason::FollowingLoad,
            Binding::Schedule => Reason::Scheduled,
            Binding::Remote if self.batteries[k].commanded == Commanded::Not => Reason::RemoteAsLimits,
            Binding::Remote => Reason::Remote,
            Binding::RemoteLimit => Reason::RemoteLimit,
            Binding::BelowPeak => Reason::BelowPeak,
            Binding::Recharge => Reason::Recharging,
            Binding::ImportLimit => Reason::ImportLimit,
            Binding::ExportLimit => Reason::ExportLimit,
            Binding::Dimmed => Reason::Dimmed,
            Binding::Unbalance => Reason::Unbalance,
            Binding::Fuse => Reason::Fuse(self.tightest_phase(slot)),
            Binding::Batteries if plan.wanted_w > plan.power_w => Reason::DischargeBound(cap.discharge_cause),
            Binding::Batteries => Reason::ChargeBound(cap.charge_cause),
        }
    }

    /// The phase whose fuse decides over a slot: its own, or the fullest.
    fn tightest_phase(&self, slot: usize) -> Phase {
        let fullest = (0..3).max_by_key(|&f| self.estimates[f].load_w.abs()).unwrap_or(0);
        Phase::ALL[if slot == ALL_PHASES { fullest } else { slot }]
    }
}

/// In `Hold` outputs are kept, but nothing more is charged than the last known surplus: charging from the grid ends.
fn held(out: i64, (charging, surplus): (i64, i64)) -> i64 {
    if out < 0 && charging > surplus { out * surplus / charging } else { out }
}
