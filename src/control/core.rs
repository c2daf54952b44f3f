//! The core itself: takes samples as they come, and decides when it is stepped.
//!
//! Analysis first (who may do what, where the ladder stands, what the phases need), then one decision per battery. Whatever else is
//! decided, no order leaves the hard limits of its battery as they are known at that moment.

mod analyse;
mod authority;
mod decide;
mod group;
mod limits;
mod netted;
mod observe;
mod steps;
mod take;
mod trust;

use group::Group;
use limits::Commanded;

use super::alarm::AlarmBoard;
use super::allocate::SlotPlan;
use super::bms::Bms;
use super::capability::{Capability, SocBlocks, Trust};
use super::decision::{BatteryDecision, Decision};
use super::demand::{Action, Demand};
use super::estimate::PhaseEstimate;
use super::follow::Follow;
use super::frozen::Frozen;
use super::guard::Guard;
use super::history::Series;
use super::input::{BatterySample, PhaseSample};
use super::ladder::{Ladder, Mode};
use super::learned::Learned;
use super::learner::Learner;
use super::limits_mode::Limit;
use super::share::Scratch;
use super::site::{BatterySite, ControlKind, SLOTS, Site, Window};
use crate::units::{Span, Time};

/// A narrower window was not learned from a meter.
const NARROWEST: Span = Span::from_ms(300);
#[derive(Clone, PartialEq, Debug, Default)]
struct Battery {
    sample: Option<BatterySample>,
    polled: Series,
    written: Series,
    blocks: SocBlocks,
    bms: Option<Bms>,
    follow: Follow,
    /// Its sign or phase is wrong.
    distrusted: bool,
    writes_failed: u32,
    out_w: i64,
    /// What it would have been told if it took every watt.
    aim_w: i64,
    ramp_from_w: i64,
    charge_limit: Limit,
    discharge_limit: Limit,
    ramp_from_limits: (i64, i64),
    commanded: Commanded,
    /// A schedule keeps what is left, until the hysteresis is passed.
    reserved: bool,
}

/// The state of the control law for one site.
#[derive(Clone, PartialEq, Debug)]
pub struct Core {
    site: Site,
    learned: Learned,
    learner: Learner,
    demand: Demand,
    /// The aim at each phase, W.
    targets_w: [i64; 3],
    batteries: Vec<Battery>,
    estimates: [PhaseEstimate; 3],
    /// All phases together, where only their total is measured.
    sum: PhaseEstimate,
    phases: Option<[PhaseSample; 3]>,
    /// When they were taken.
    phases_taken: Option<Time>,
    /// They were not measured, but are the total, apportioned.
    apportioned: bool,
    /// For how long each phase, and the sum where three-phase batteries work on it, was off its target, less the time in which it was not, ms.
    off_ms: [i64; SLOTS],
    /// When the phases were estimated last.
    estimated: Option<Time>,
    ladder: Ladder,
    total_block: Frozen,
    phase_block: Frozen,
    alarms: AlarmBoard,
    newest_sample: Option<Time>,
    started: Option<Time>,
    stepped: Option<Time>,
    trust: Vec<Trust>,
    guard: Guard,
    /// A phase had more current than its fuse should carry.
    was_overloaded: bool,
    capabilities: Vec<Capability>,
    /// Charge and discharge power of those that are to do the work as a rule, W.
    ready_w: Vec<(i64, i64)>,
    groups: [Group; SLOTS],
    plans: [SlotPlan; SLOTS],
    shares: Vec<i64>,
    scratch: Scratch,
    /// What of the configured ramp did not make a whole watt yet, mW.
    ramp_rest_mw: i64,
    /// What the batteries of a slot were told until now violates a fuse.
    violated: [bool; SLOTS],
    decision: Decision,
}

impl Core {
    /// A core that has seen nothing yet.
    pub fn new(site: Site) -> Core {
        let n = site.batteries.len();
        let window = Window::prior(site.meter_period);
        let battery = |b: &BatterySite| Battery {
            commanded: if b.control == ControlKind::Setpoint { Commanded::Always } else { Commanded::Not },
            bms: b.bms.map(Bms::new),
            follow: Follow::of(b.rating_w(), b.step_w),
            ..Battery::default()
        };
        Core {
            learned: Learned { window, ..Learned::nothing(n) },
            learner: Learner::new(n, window),
            demand: Demand::default(),
            targets_w: site.targets(site.target_w),
            batteries: site.batteries.iter().map(battery).collect(),
            estimates: Default::default(),
            sum: PhaseEstimate::default(),
            phases: None,
            phases_taken: None,
            apportioned: false,
            off_ms: [0; SLOTS],
            estimated: None,
            ladder: Ladder::default(),
            total_block: Frozen::new(n, true),
            phase_block: Frozen::new(n, false),
            alarms: AlarmBoard::new(n),
            newest_sample: None,
            started: None,
            stepped: None,
            trust: vec![Trust::Full; n],
            guard: Guard::new(&site),
            was_overloaded: false,
            capabilities: vec![Capability::default(); n],
            ready_w: vec![(0, 0); n],
            groups: std::array::from_fn(|slot| Group::new(&site, slot)),
            plans: Default::default(),
            shares: vec![0; n],
            scratch: Scratch::new(n),
            ramp_rest_mw: 0,
            violated: [false; SLOTS],
            decision: Decision {
                at: Time::ZERO,
                mode: Mode::Init,
                meter_age: None,
                progress: Ladder::default().progress(),
                phases: Default::default(),
                three_phase: SlotPlan::default(),
                batteries: vec![BatteryDecision::default(); n],
            },
            site,
        }
    }

    /// The site this core was made for.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Starts from what was learned before; something else than this site's is ignored, and what cannot be is left out.
    pub fn remember(&mut self, mut learned: Learned) {
        if learned.batteries.len() != self.site.batteries.len() {
            return;
        }
        let period = self.site.meter_period;
        if learned.movements == 0 || learned.window.hi.less(learned.window.lo) < NARROWEST {
            (learned.window, learned.movements) = (Window::prior(period), 0);
        } else {
            // The polls met the meter's refreshes in another way then.
            let slip = period.less(Span::from_s(1));
            learned.window = Window { lo: learned.window.lo.less(slip), hi: (learned.window.hi + slip).min(Window::LATEST) };
        }
        if learned.averaging > period {
            learned.averaging = Span::ZERO;
        }
        self.learner.remember(&learned);
        self.learned = learned;
    }

    /// What was learned so far.
    pub fn learned(&self) -> &Learned {
        &self.learned
    }

    /// What is asked of the site from now on.
    pub fn demand(&mut self, demand: Demand) {
        self.demand = demand;
        self.targets_w = self.site.targets(match demand.action {
            Some(Action::GridTarget(w)) => w,
            _ => self.site.target_w,
        });
    }

    /// Before the first sample: normal operation was ended in good order a moment ago.
    pub fn resume(&mut self) {
        self.ladder.resume();
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

    /// When those phases were taken.
    pub fn phases_taken(&self) -> Option<Time> {
        self.phases_taken
    }

    /// Those phases were not measured, but are the total, apportioned.
    pub fn phases_are_apportioned(&self) -> bool {
        self.apportioned
    }

    /// The estimate of each phase.
    pub fn estimates(&self) -> &[PhaseEstimate; 3] {
        &self.estimates
    }

    /// Decides, from everything seen so far, what holds at `now`.
    pub fn step(&mut self, now: Time) -> &Decision {
        self.started.get_or_insert(now);
        self.watch_trust(now);
        self.analyse_batteries(now);
        if self.ladder.age(now, &self.site.ladder) {
            self.fall();
        }
        let age = self.ladder.last_good().map(|t| now.since(t));
        self.analyse_phases(now, age);
        let limit_w = self.change_limit_w(now);
        self.take_over(now);
        self.find_violations(limit_w.0, now);
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
        self.learn(now);
        &self.decision
    }

    /// From `Run` or `Hold` into `Ramp`.
    fn fall(&mut self) {
        for b in &mut self.batteries {
            b.ramp_from_w = b.out_w;
            b.ramp_from_limits = (b.charge_limit.current_w(), b.discharge_limit.current_w());
        }
        self.estimates.iter_mut().for_each(PhaseEstimate::reset);
        self.sum.reset();
    }
}
