//! What the core knows about the site: constants from the configuration and of the law. Nothing here changes while running.

use super::input::{PLAUSIBLE_BATTERY_W, PLAUSIBLE_W};
use crate::units::Span;

/// One site: its grid connection, its batteries and the constants of the law.
#[derive(Clone, PartialEq, Debug)]
pub struct Site {
    /// The batteries, in the order of every index in this module.
    pub batteries: Vec<BatterySite>,
    /// What the batteries are there for.
    pub strategy: Strategy,
    /// Whether phases are netted.
    pub balance: Balance,
    /// Aim at the grid connection, all phases together, W, import positive.
    pub target_w: i64,
    /// Bounds for the whole site.
    pub limits: SiteLimits,
    /// Main fuse per phase, mA.
    pub fuse_ma: i64,
    /// Kept free below the fuse, mA (`spec/control.md` 2.4, P1: 1.5 A).
    pub fuse_margin_ma: i64,
    /// Voltage where the meter gives none, mV.
    pub voltage_mv: i64,
    /// When missing data leads to what.
    pub ladder: Ladder,
    /// How often the meter's total is read.
    pub meter_period: Span,
    /// A block with voltages that stays bit-identical for this long is frozen. 2.6 says 60 s; it is two thirds of the heartbeat, so that
    /// the fallback is reached inside it.
    pub frozen_after: Span,
    /// Largest change of a command, W/s; 0 is unlimited.
    pub ramp_w_per_s: i64,
    /// How the power is raised after the start.
    pub start_up: StartUp,
    /// Reads and computes everything, commands nothing.
    pub observe: bool,
    /// What a battery is told when the ladder has ended.
    pub fallback: FallbackKind,
    /// Constants of the estimator.
    pub tuning: Tuning,
}

impl Site {
    /// The aim at each phase when all together aim at `total_w`: equal parts on the phases that have a battery, the remainder on the first.
    pub fn targets(&self, total_w: i64) -> [i64; 3] {
        let used = self.used_phases();
        let n = used.iter().filter(|u| **u).count().max(1) as i64;
        let first = used.iter().position(|u| *u);
        std::array::from_fn(|f| if used[f] { total_w / n + if first == Some(f) { total_w % n } else { 0 } } else { 0 })
    }

    /// More power than this cannot be on one phase, W: one and a half times what its fuse carries or its batteries have.
    pub fn plausible_phase_w(&self) -> i64 {
        let fuse_w = self.fuse_ma.saturating_mul(self.voltage_mv) / 1_000_000;
        let batteries_w: i64 = self.batteries.iter().map(BatterySite::rating_w).fold(0, i64::saturating_add);
        plausible(fuse_w.max(batteries_w))
    }

    /// The phases that have a battery.
    pub fn used_phases(&self) -> [bool; 3] {
        std::array::from_fn(|f| self.batteries.iter().any(|b| b.connection.is_on(f)))
    }
}

/// One battery as the configuration describes it.
#[derive(Clone, PartialEq, Debug)]
pub struct BatterySite {
    /// The phase or phases it works on.
    pub connection: Connection,
    /// Rated discharge power, W.
    pub max_discharge_w: i64,
    /// Rated charge power, W.
    pub max_charge_w: i64,
    /// Usable energy, Wh.
    pub capacity_wh: i64,
    /// Below this not even the fuse may discharge, 0.1 %.
    pub hard_min_soc_pm: i64,
    /// No discharge at or below, 0.1 %.
    pub min_soc_pm: i64,
    /// No charge at or above, 0.1 %.
    pub max_soc_pm: i64,
    /// How far the SoC must come back before a block ends, 0.1 %.
    pub hysteresis_pm: i64,
    /// Data older than this: never more than it was doing.
    pub cap_age: Span,
    /// Data older than this: excluded.
    pub exclude_age: Span,
    /// How the battery is told.
    pub control: ControlKind,
    /// Limits in fallback, W, for batteries that take limits.
    pub fallback_charge_w: i64,
    /// See `fallback_charge_w`.
    pub fallback_discharge_w: i64,
    /// Below this power it works badly, W: where others can, they do it alone.
    pub min_power_w: i64,
    /// It can be told multiples of this only, W; 1 for most.
    pub step_w: i64,
    /// Of one on all phases: it divides its power over them as it likes, so that only its sum is known of the phases.
    pub phases_vary: bool,
    /// The ages of what its BMS says, where it has one: the authority on what its cells allow.
    pub bms: Option<BmsSite>,
}

impl BatterySite {
    /// The larger of its ratings, W.
    pub fn rating_w(&self) -> i64 {
        self.max_charge_w.max(self.max_discharge_w)
    }

    /// It cannot do more than this, W: its rating is what it is allowed here, and the device may be larger.
    pub fn plausible_w(&self) -> i64 {
        PLAUSIBLE_BATTERY_W.max(self.rating_w().saturating_mul(3))
    }
}

fn plausible(w: i64) -> i64 {
    PLAUSIBLE_W.max(w.saturating_add(w / 2))
}

/// How old what a BMS said may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BmsSite {
    /// Its limits hold until this age, and fall from there on.
    pub fresh: Span,
    /// From this age on it is lost: nothing is allowed, and the battery gets the fallback.
    pub lost: Span,
}

/// Where a battery is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Connection {
    /// Single-phase: 0, 1 or 2 for L1, L2, L3.
    Phase(usize),
    /// Three-phase: a third of its power on every phase.
    AllPhases,
}

/// Groups of batteries that work on the same phases: L1, L2, L3, and those on all of them.
pub const SLOTS: usize = 4;
/// The slot of three-phase batteries.
pub const ALL_PHASES: usize = 3;

impl Connection {
    /// 0, 1, 2 or [`ALL_PHASES`].
    pub fn slot(self) -> usize {
        match self {
            Connection::Phase(f) => f,
            Connection::AllPhases => ALL_PHASES,
        }
    }

    /// Whether its power shows on phase `f`.
    pub fn is_on(self, f: usize) -> bool {
        self == Connection::Phase(f) || self == Connection::AllPhases
    }
}

/// What the batteries are there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// The grid power is kept at its target.
    SelfConsumption,
    /// Import is kept below [`SiteLimits::import_w`], and the batteries are recharged while it is lower than `recharge_below_w`, W.
    PeakShaving {
        /// Recharging never makes the import higher than this, W.
        recharge_below_w: i64,
    },
}

/// What is balanced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Balance {
    /// Each battery works for its own phase.
    PerPhase,
    /// The sum of the phases counts (German and Austrian metering).
    Sum,
}

/// Bounds for the whole site; `None` is no bound.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SiteLimits {
    /// Most import of all phases together, W.
    pub import_w: Option<i64>,
    /// Most export of all phases together, W.
    pub export_w: Option<i64>,
    /// How much more the batteries may give, or take, on one phase than on another, VA.
    pub unbalance_va: Option<i64>,
}

/// Who balances.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ControlKind {
    /// We command power.
    Setpoint,
    /// The battery balances by itself inside the limits that we write.
    Limits,
    /// As `Limits`, but commanded while more is wanted of it than a balanced phase.
    Hybrid,
}

/// What the ladder ends in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FallbackKind {
    /// Commanded to 0 W, or to the fallback limits.
    Zero,
    /// Handed back to the device's own control.
    Release,
}

/// After the start the power is raised no faster than `w_per_s` for `length`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StartUp {
    /// W/s.
    pub w_per_s: i64,
    /// For how long.
    pub length: Span,
}

impl Default for StartUp {
    /// `spec/control.md` 2.6, "start/restart".
    fn default() -> Self {
        StartUp { w_per_s: 1000, length: Span::from_s(10) }
    }
}

/// The possible ages of a meter value at its arrival: between `lo` and `hi`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Shortest latency.
    pub lo: Span,
    /// Longest latency.
    pub hi: Span,
}

impl Window {
    /// Before anything was learned (`spec/control.md` 2.2).
    pub const PRIOR: Window = Window { lo: Span::ZERO, hi: Span::from_s(6) };
    /// No window ends later.
    pub const LATEST: Span = Span::from_s(16);

    /// What is possible for a meter that is read with this period, before anything was learned: its own refresh may be as slow.
    pub fn prior(meter_period: Span) -> Window {
        Window { hi: Window::PRIOR.hi.max(meter_period + Span::from_s(2)).min(Window::LATEST), ..Window::PRIOR }
    }
}

/// Ages of the last good sample at which the fail-safe ladder goes one step down (`spec/control.md`, head and 2.6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ladder {
    /// Outputs are kept.
    pub hold: Span,
    /// Outputs start to move to zero.
    pub ramp_start: Span,
    /// Zero, or released.
    pub fallback: Span,
}

/// Constants of the estimator (`spec/control.md` 2.2 and 3.6): none of them depends on the latency.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// Sensor noise, W.
    pub noise_w: i64,
    /// Sensor error in per mille of the battery power.
    pub noise_pm: i64,
    /// A hull this narrow counts as exact, W.
    pub narrow_w: i64,
    /// Weight of a small innovation, per mille.
    pub alpha_pm: i64,
    /// Integral gain of the trim per sample, per mille.
    pub trim_gain_pm: i64,
    /// Largest trim, W.
    pub trim_max_w: i64,
    /// The trim runs only while the grid is this close to its target, W.
    pub trim_reach_w: i64,
}

/// The constants are those of batteries up to this size, per phase, W; larger ones are measured, and told, more coarsely.
const HOUSEHOLD_W: i64 = 10_000;

impl Tuning {
    /// For a site whose largest battery has `most_w` on one phase.
    pub fn for_power(most_w: i64) -> Tuning {
        let of = |w: i64| w.saturating_mul(most_w.max(HOUSEHOLD_W)) / HOUSEHOLD_W;
        let home = Tuning::default();
        Tuning {
            noise_w: of(home.noise_w),
            narrow_w: of(home.narrow_w),
            trim_max_w: of(home.trim_max_w),
            trim_reach_w: of(home.trim_reach_w),
            ..home
        }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning { noise_w: 25, noise_pm: 10, narrow_w: 60, alpha_pm: 200, trim_gain_pm: 30, trim_max_w: 150, trim_reach_w: 200 }
    }
}
