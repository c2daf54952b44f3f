//! The core itself: takes samples as they come, and decides when it is stepped.
//!
//! Analysis first (who may do what, where the ladder stands, what the phases need), then one decision per battery. Whatever else is
//! decided, no order leaves the hard limits of its battery as they are known at that moment.

use super::alarm::{Alarm, AlarmBoard};
use super::allocate::{Binding, PhasePlan, Scratch, fuse_w, plan_phase, split};
use super::capability::{Capability, SocBlocks, capability};
use super::decision::{BatteryDecision, Decision, Order, PhaseDecision, Reason};
use super::estimate::{BatteriesThen, PhaseEstimate};
use super::follow::Follow;
use super::frozen::{Freshness, Frozen};
use super::history::{Hull, Series, hull, ms};
use super::input::{BatterySample, MeterSample, PhaseSample, Written};
use super::ladder::{Ladder, Mode, ramped};
use super::limits_mode::Limit;
use super::math::clamp;
use super::site::{ControlKind, FallbackKind, Site};
use crate::units::{Phase, Span, Time};

/// The alarm threshold lies this far below the fuse, mA (2.6: 24 A of 25 A).
const ALARM_BELOW_FUSE_MA: i64 = 1000;
/// Batteries that were never heard hold up the others for at most this long.
const WAIT_FOR_BATTERIES: Span = Span::from_s(15);
/// Failed writes in a row that exclude a battery (2.6).
const WRITES_FAILED_MOST: u32 = 3;

#[derive(Clone, PartialEq, Debug, Default)]
struct Battery {
    sample: Option<BatterySample>,
    polled: Series,
    written: Series,
    blocks: SocBlocks,
    follow: Follow,
    writes_failed: u32,
    out_w: i64,
    ramp_from_w: i64,
    charge_limit: Limit,
    discharge_limit: Limit,
    ramp_from_limits: (i64, i64),
}

/// The state of the control law for one site.
#[derive(Clone, PartialEq, Debug)]
pub struct Core {
    site: Site,
    batteries: Vec<Battery>,
    estimates: [PhaseEstimate; 3],
    phases: Option<[PhaseSample; 3]>,
    ladder: Ladder,
    total_block: Frozen,
    phase_block: Frozen,
    alarms: AlarmBoard,
    newest_sample: Option<Time>,
    started: Option<Time>,
    stepped: Option<Time>,
    capabilities: Vec<Capability>,
    shares: Vec<i64>,
    scratch: Scratch,
    /// What the batteries of a phase were told until now violates its fuse.
    violated: [bool; 3],
    decision: Decision,
}

impl Core {
    /// A core that has seen nothing yet.
    pub fn new(site: Site) -> Core {
        let n = site.batteries.len();
        Core {
            batteries: vec![Battery::default(); n],
            estimates: Default::default(),
            phases: None,
            ladder: Ladder::default(),
            total_block: Frozen::new(n, true),
            phase_block: Frozen::new(n, false),
            alarms: AlarmBoard::new(n),
            newest_sample: None,
            started: None,
            stepped: None,
            capabilities: vec![Capability::default(); n],
            shares: vec![0; n],
            scratch: Scratch::default(),
            violated: [false; 3],
            decision: Decision {
                at: Time::ZERO,
                mode: Mode::Init,
                meter_age: None,
                progress: Ladder::default().progress(),
                phases: Default::default(),
                batteries: vec![BatteryDecision::default(); n],
            },
            site,
        }
    }

    /// The site this core was made for.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// What a person should know of.
    pub fn alarms(&self) -> &AlarmBoard {
        &self.alarms
    }

    /// The newest decision.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// When the last good sample of the meter was taken.
    pub fn last_good(&self) -> Option<Time> {
        self.ladder.last_good()
    }

    /// The newest sample of battery `k`.
    pub fn battery_sample(&self, k: usize) -> Option<&BatterySample> {
        self.batteries.get(k).and_then(|b| b.sample.as_ref())
    }

    /// The newest good phases of the meter.
    pub fn phases(&self) -> Option<&[PhaseSample; 3]> {
        self.phases.as_ref()
    }

    /// The estimate of each phase.
    pub fn estimates(&self) -> &[PhaseEstimate; 3] {
        &self.estimates
    }

    /// Battery `k` has answered. Samples that are not newer than the last one, and such as cannot be, are ignored.
    pub fn battery(&mut self, k: usize, sample: BatterySample) {
        let Some(b) = self.batteries.get_mut(k) else { return };
        if !sample.is_plausible() || b.sample.is_some_and(|s| s.taken >= sample.taken) {
            return;
        }
        b.polled.push(sample.taken, sample.power_w);
        b.blocks = b.blocks.after(&self.site.batteries[k], sample.soc_pm);
        b.sample = Some(sample);
        if self.site.batteries[k].control == ControlKind::Setpoint {
            b.follow.judge(&b.polled, &b.written);
        }
    }

    /// Something was written to battery `k`, or may have been.
    pub fn written(&mut self, k: usize, what: Written, at: Time) {
        let Some(b) = self.batteries.get_mut(k) else { return };
        match what {
            Written::Setpoint(w) => {
                b.written.push(at, w);
                b.writes_failed = 0;
            }
            Written::Unknown(w) => {
                b.written.push(at, w);
                b.writes_failed = b.writes_failed.saturating_add(1);
            }
            Written::Refused | Written::LimitsUnknown => b.writes_failed = b.writes_failed.saturating_add(1),
            Written::Limits => b.writes_failed = 0,
            Written::Released => {
                b.written.clear();
                b.follow.rest();
                b.writes_failed = 0;
            }
        }
    }

    /// The meter has answered. Samples that are not newer than the last one change nothing.
    pub fn meter(&mut self, sample: MeterSample) {
        if self.newest_sample.is_some_and(|t| sample.taken <= t) {
            return;
        }
        self.newest_sample = Some(sample.taken);
        let now = sample.taken;
        let plausible = sample.is_plausible(self.site.used_phases());
        self.alarms.set(Alarm::MeterImplausible, !plausible, now);
        if !plausible {
            self.ladder.bad_sample();
            return;
        }
        let freshness = self.freshness(&sample);
        self.alarms.set(Alarm::MeterFrozen, matches!(freshness, Freshness::Frozen { .. }), now);
        if let Freshness::Frozen { since } = freshness {
            self.ladder.disown_since(since);
            return;
        }
        let complete = sample.phases.is_some() || (self.phases.is_some() && !sample.phases_missing);
        if !complete {
            self.ladder.bad_sample();
            return;
        }
        if let Some(phases) = sample.phases {
            self.phases = Some(phases);
            if freshness == Freshness::New || !self.estimates[0].seeded {
                self.estimate(&phases, now);
            }
        }
        let before = self.ladder.mode();
        let ready = self.is_ready(now);
        self.ladder.good_sample(now, ready, &self.site.ladder);
        if matches!(before, Mode::Init | Mode::Fallback) && matches!(self.ladder.mode(), Mode::Run { .. }) {
            self.start_bumpless();
        }
    }

    /// Decides, from everything seen so far, what holds at `now`.
    pub fn step(&mut self, now: Time) -> &Decision {
        self.started.get_or_insert(now);
        self.analyse_batteries(now);
        if self.ladder.age(now, &self.site.ladder) {
            self.fall();
        }
        let age = self.ladder.last_good().map(|t| now.since(t));
        self.analyse_phases(now, age);
        let limit_w = self.change_limit_w(now);
        self.find_violations(limit_w.0);
        let kept = self.kept();
        let outputs_age = self.ladder.age_of_outputs(now);
        for k in 0..self.batteries.len() {
            self.decision.batteries[k] = self.decide(k, outputs_age, limit_w, &kept, now);
        }
        self.stepped = Some(now);
        self.decision.at = now;
        self.decision.mode = self.ladder.mode();
        self.decision.meter_age = age;
        self.decision.progress = self.ladder.progress();
        &self.decision
    }

    fn freshness(&mut self, sample: &MeterSample) -> Freshness {
        let settle = self.site.window.hi + self.site.meter_period.times(2);
        let polled = || self.batteries.iter().map(|b| &b.polled);
        let total = self.total_block.judge(sample.total_print, sample.taken, None, settle, polled());
        let Some(print) = sample.phase_print else { return total };
        let lively_for = sample.phase_print_is_lively.then_some(self.site.frozen_after);
        self.phase_block.judge(print, sample.taken, lively_for, settle, polled())
    }

    fn estimate(&mut self, phases: &[PhaseSample; 3], arrived: Time) {
        let (from, to) = (ms(arrived) - ms_of(self.site.window.hi), ms(arrived) - ms_of(self.site.window.lo));
        for (f, phase) in phases.iter().enumerate() {
            let mut then = BatteriesThen { hull: Hull { lo: 0, hi: 0 }, middle_w: 0, absolute_w: 0 };
            let members = self.batteries.iter().zip(&self.site.batteries).filter(|(_, s)| s.phase == f);
            for (b, site) in members {
                let pending = (site.control == ControlKind::Setpoint).then(|| b.pending_w()).flatten();
                let h = hull(&b.polled, &b.written, pending, from, to);
                then.hull.lo += h.lo;
                then.hull.hi += h.hi;
                then.middle_w += b.polled.at((from + to).div_euclid(2)).unwrap_or(0);
                then.absolute_w += b.polled.newest().map_or(0, |p| p.1.abs());
            }
            let saturated = self.decision.phases[f].plan.binding != Binding::Load;
            let target = self.site.target_w[f];
            self.estimates[f].take(phase.power_w, &then, target, saturated, self.site.window, &self.site.tuning);
        }
    }

    fn is_ready(&self, now: Time) -> bool {
        let waited = self.started.is_some_and(|t| now.since(t) >= WAIT_FOR_BATTERIES);
        waited || self.batteries.iter().all(|b| b.sample.is_some())
    }

    /// The first command is what the battery is doing anyway.
    fn start_bumpless(&mut self) {
        for b in &mut self.batteries {
            b.out_w = b.sample.map_or(0, |s| s.power_w);
        }
    }

    /// From `Run` or `Hold` into `Ramp`.
    fn fall(&mut self) {
        for b in &mut self.batteries {
            b.ramp_from_w = b.out_w;
            b.ramp_from_limits = (b.charge_limit.current_w(), b.discharge_limit.current_w());
        }
        self.estimates.iter_mut().for_each(PhaseEstimate::reset);
    }

    fn analyse_batteries(&mut self, now: Time) {
        for (k, b) in self.batteries.iter_mut().enumerate() {
            let usable = b.writes_failed < WRITES_FAILED_MOST;
            let cap = capability(&self.site.batteries[k], b.sample.as_ref(), b.blocks, usable, now);
            let silent = b.sample.is_none_or(|s| now.since(s.taken) > self.site.batteries[k].exclude_age);
            if silent {
                b.polled.clear();
                b.follow.rest();
            }
            self.capabilities[k] = cap;
            let missed = silent && self.started.is_some_and(|t| now.since(t) > self.site.batteries[k].exclude_age);
            self.alarms.set(Alarm::BatteryLost(k), missed, now);
            self.alarms.set(Alarm::NotFollowed(k), b.follow.refuses(), now);
            self.alarms.set(Alarm::WritesFail(k), !usable, now);
        }
    }

    fn analyse_phases(&mut self, now: Time, age: Option<Span>) {
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
    fn find_violations(&mut self, change_w: i64) {
        let running = matches!(self.ladder.mode(), Mode::Run { .. });
        for f in 0..3 {
            let plan = self.decision.phases[f].plan;
            let (mut told, mut slewed) = (0, 0);
            for k in (0..self.batteries.len()).filter(|&k| self.site.batteries[k].phase == f) {
                told += self.batteries[k].out_w;
                slewed += self.within_hard(k, self.slewed(k, change_w));
            }
            let holds = |w: &i64| (plan.lo..=plan.hi).contains(w);
            self.violated[f] = running && self.estimates[f].seeded && !(holds(&told) && holds(&slewed));
        }
    }

    /// The share of battery `k`, no further than `change_w` from what it was told last.
    fn slewed(&self, k: usize, change_w: i64) -> i64 {
        let out = self.batteries[k].out_w;
        clamp(self.shares[k], out.saturating_sub(change_w), out.saturating_add(change_w))
    }

    /// The last clamp before the wire.
    fn within_hard(&self, k: usize, w: i64) -> i64 {
        clamp(w, -self.capabilities[k].hard_charge_w, self.capabilities[k].hard_discharge_w)
    }

    fn plan(&self, f: usize, phase: &PhaseSample, estimate: &PhaseEstimate) -> PhasePlan {
        let members = (0..self.batteries.len()).filter(|&k| self.site.batteries[k].phase == f);
        let sum = members.fold(Capability::default(), |sum, k| add(sum, &self.capabilities[k]));
        let fuse = fuse_w(&self.site, phase.voltage_mv.unwrap_or(self.site.voltage_mv), phase.reactive_var);
        let wanted = estimate.load_w - self.site.target_w[f] + estimate.trim_w;
        plan_phase(estimate.load_w, wanted, fuse, &sum)
    }

    fn overloaded(&self, phase: &PhaseSample) -> bool {
        let voltage_mv = phase.voltage_mv.unwrap_or(self.site.voltage_mv).max(1);
        let by_power = phase.power_w.abs().saturating_mul(1_000_000) / voltage_mv;
        by_power.max(phase.current_ma.unwrap_or(0).saturating_abs()) > self.site.fuse_ma - ALARM_BELOW_FUSE_MA
    }

    /// How far a command may move in this step, W, and why.
    fn change_limit_w(&self, now: Time) -> (i64, Reason) {
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
        (rate * elapsed / 1000, why)
    }

    fn decide(&mut self, k: usize, age: Span, change_limit: (i64, Reason), kept: &[(i64, i64); 3], now: Time) -> BatteryDecision {
        let cap = self.capabilities[k];
        let (setpoint_w, mut reason) = self.setpoint(k, age, change_limit, kept);
        self.batteries[k].out_w = setpoint_w;
        // The fallback must not wait for the write budget either.
        let urgent = self.violated[self.site.batteries[k].phase] || self.ladder.mode() == Mode::Fallback;
        let limits = self.site.batteries[k].control == ControlKind::Limits;
        let mut order = match self.ladder.mode() {
            Mode::Fallback if self.site.fallback == FallbackKind::Release => Order::Release,
            mode if limits => self.limits(k, mode, age, urgent, now),
            _ => Order::Setpoint { watts: setpoint_w, urgent },
        };
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
        BatteryDecision { order, setpoint_w, capability: cap, reason }
    }

    fn setpoint(&self, k: usize, age: Span, (change_w, change_why): (i64, Reason), kept: &[(i64, i64); 3]) -> (i64, Reason) {
        let (b, cap) = (&self.batteries[k], &self.capabilities[k]);
        let f = self.site.batteries[k].phase;
        let (wanted, reason) = match self.ladder.mode() {
            Mode::Init => (0, Reason::WaitingForMeter),
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

    /// Per phase what is being charged, and the last known surplus, W: all batteries of a phase are judged by the same figures.
    fn kept(&self) -> [(i64, i64); 3] {
        std::array::from_fn(|f| {
            let members = self.batteries.iter().zip(&self.site.batteries).filter(|(_, s)| s.phase == f);
            let charging = members.map(|(b, _)| (-b.out_w).max(0)).sum();
            (charging, (-(self.estimates[f].load_w + self.estimates[f].trim_w)).max(0))
        })
    }

    fn reason(&self, k: usize) -> Reason {
        let f = self.site.batteries[k].phase;
        let (plan, cap) = (&self.decision.phases[f].plan, &self.capabilities[k]);
        match plan.binding {
            Binding::Load => Reason::FollowingLoad,
            Binding::Fuse => Reason::Fuse(Phase::ALL[f]),
            Binding::Batteries if plan.wanted_w > plan.power_w => Reason::DischargeBound(cap.discharge_cause),
            Binding::Batteries => Reason::ChargeBound(cap.charge_cause),
        }
    }

    /// The limits of a battery that balances by itself.
    fn limits(&mut self, k: usize, mode: Mode, age: Span, urgent: bool, now: Time) -> Order {
        let site = &self.site.batteries[k];
        let (plan, cap) = (self.decision.phases[site.phase].plan, self.capabilities[k]);
        let members = || (0..self.capabilities.len()).filter(|&i| self.site.batteries[i].phase == site.phase);
        let all_charge: i64 = members().map(|i| self.capabilities[i].charge_w).sum();
        let all_discharge: i64 = members().map(|i| self.capabilities[i].discharge_w).sum();
        let (fallback_charge, fallback_discharge) = (site.fallback_charge_w, site.fallback_discharge_w);
        let ages = &self.site.ladder;
        let b = &mut self.batteries[k];
        let (charge_w, discharge_w) = match mode {
            Mode::Init | Mode::Hold { .. } => (b.charge_limit.current_w(), b.discharge_limit.current_w()),
            Mode::Run { .. } => {
                let charge = portion(cap.charge_w, (-plan.policy_lo).max(0), all_charge);
                let discharge = portion(cap.discharge_w, plan.policy_hi.max(0), all_discharge);
                (b.charge_limit.towards(charge, now), b.discharge_limit.towards(discharge, now))
            }
            Mode::Ramp => {
                let (charge, discharge) = b.ramp_from_limits;
                let charge = ramped(charge, charge.min(fallback_charge), age, ages);
                let discharge = ramped(discharge, discharge.min(fallback_discharge), age, ages);
                (b.charge_limit.force(charge), b.discharge_limit.force(discharge))
            }
            Mode::Fallback => (b.charge_limit.force(fallback_charge), b.discharge_limit.force(fallback_discharge)),
        };
        Order::Limits {
            charge_w: clamp(charge_w, 0, cap.hard_charge_w.max(fallback_charge)),
            discharge_w: clamp(discharge_w, 0, cap.hard_discharge_w.max(fallback_discharge)),
            urgent,
        }
    }
}

/// In `Hold` outputs are kept, but nothing more is charged than the last known surplus: charging from the grid ends.
fn held(out: i64, (charging, surplus): (i64, i64)) -> i64 {
    if out < 0 && charging > surplus { out * surplus / charging } else { out }
}

/// The part of what a phase may do that falls to a battery which could do `own_w` of `all_w`, W.
fn portion(own_w: i64, phase_w: i64, all_w: i64) -> i64 {
    if phase_w >= all_w { own_w } else { own_w * phase_w / all_w.max(1) }
}

impl Battery {
    /// A command that may be written at any moment.
    fn pending_w(&self) -> Option<i64> {
        self.written.newest().filter(|(_, w)| *w != self.out_w).map(|_| self.out_w)
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

fn ms_of(span: Span) -> i64 {
    i64::try_from(span.as_ms()).unwrap_or(i64::MAX)
}
