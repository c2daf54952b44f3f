//! What each battery may do now: ratings, temperature, SoC and age of its data (P0), and the SoC policy with hysteresis (P3).
//!
//! Unknown means no power. Limits only get tighter with age. The polylines are those of `spec/control.md` 2.4.

use super::input::BatterySample;
use super::math::{per_mille, polyline};
use super::site::BatterySite;
use crate::units::Time;

/// Charge derating over SoC (0.1 %), per mille.
const CHARGE_BY_SOC: [(i64, i64); 6] = [(0, 1000), (960, 1000), (970, 625), (980, 400), (990, 200), (1000, 50)];
/// Discharge derating over SoC above the hard minimum (0.1 %), per mille.
const DISCHARGE_ABOVE_MIN: [(i64, i64); 3] = [(0, 0), (1, 250), (30, 1000)];
/// Charge derating over temperature (°C), per mille.
const CHARGE_BY_TEMPERATURE: [(i64, i64); 5] = [(0, 0), (5, 200), (15, 1000), (45, 1000), (55, 0)];
/// Discharge derating over temperature (°C), per mille.
const DISCHARGE_BY_TEMPERATURE: [(i64, i64); 5] = [(-10, 0), (0, 500), (10, 1000), (50, 1000), (60, 0)];

/// Why a battery may not give or take its rated power.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cause {
    /// It may: only its rating bounds it.
    #[default]
    Rating,
    /// The device itself allows less.
    Device,
    /// The device's state allows nothing.
    DeviceState,
    /// The cells are too cold or too warm.
    Temperature,
    /// The SoC is close to its end, or past it.
    StateOfCharge,
    /// The SoC policy blocks until the hysteresis is passed.
    SocPolicy,
    /// A schedule keeps what is left.
    Reserve,
    /// It does not do what it is told.
    NotFollowing,
    /// Its sign or its phase is wrong.
    Distrusted,
    /// Sign and phase are being checked.
    Checked,
    /// The data is older than it may be for more power.
    Aging,
    /// There is no usable data.
    NoData,
    /// The BMS allows less.
    BmsLimit,
    /// The BMS forbids it.
    BmsForbids,
    /// The BMS gives no limit.
    BmsNoLimit,
    /// What the BMS said is getting old.
    BmsAging,
    /// The BMS has not answered yet.
    BmsUnheard,
    /// The BMS is lost.
    BmsLost,
}

impl Cause {
    /// The BMS is the cause.
    pub fn is_bms(self) -> bool {
        matches!(self, Cause::BmsLimit | Cause::BmsForbids | Cause::BmsNoLimit | Cause::BmsAging | Cause::BmsUnheard | Cause::BmsLost)
    }
}

/// How far a battery can be counted on, apart from what it says itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// Nothing speaks against it.
    #[default]
    Full,
    /// It has shown that it does no more than this, W, both ≥ 0.
    CappedAt {
        /// When charging.
        charge_w: i64,
        /// When discharging.
        discharge_w: i64,
    },
    /// While another battery is being checked it does no more than it did, W, both ≥ 0, except for the fuse.
    Kept {
        /// When charging.
        charge_w: i64,
        /// When discharging.
        discharge_w: i64,
    },
    /// Its sign and phase are being checked: it is told 0 W and watched.
    Checked,
    /// Its sign or its phase is wrong: it is told 0 W, and what it does is part of the load.
    Distrusted,
}

/// Powers that a battery may take and give now, W, both ≥ 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Capability {
    /// P0: never more than this, whatever the reason.
    pub hard_charge_w: i64,
    /// P0, discharge.
    pub hard_discharge_w: i64,
    /// Inside the SoC policy.
    pub charge_w: i64,
    /// Inside the SoC policy.
    pub discharge_w: i64,
    /// What bounds `charge_w`.
    pub charge_cause: Cause,
    /// What bounds `discharge_w`.
    pub discharge_cause: Cause,
}

impl Capability {
    /// Nothing more is discharged but for the fuse.
    pub fn keep_reserve(&mut self) {
        if self.discharge_w > 0 {
            (self.discharge_w, self.discharge_cause) = (0, Cause::Reserve);
        }
    }

    /// There is nothing to count on.
    pub fn is_excluded(&self) -> bool {
        self.charge_cause == Cause::NoData
    }
}

/// Blocks of the SoC policy, kept until the hysteresis is passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SocBlocks {
    /// No charge.
    pub charge: bool,
    /// No discharge.
    pub discharge: bool,
}

impl SocBlocks {
    /// The blocks at this SoC.
    pub fn after(self, site: &BatterySite, soc_pm: i64) -> SocBlocks {
        let discharge = if soc_pm <= site.min_soc_pm {
            true
        } else if soc_pm >= site.min_soc_pm + site.hysteresis_pm {
            false
        } else {
            self.discharge
        };
        let charge = if soc_pm >= site.max_soc_pm {
            true
        } else if soc_pm <= site.max_soc_pm - site.hysteresis_pm {
            false
        } else {
            self.charge
        };
        SocBlocks { charge, discharge }
    }
}

/// What the battery may do at `now`, from its newest sample. `usable`: it is not excluded for another reason (failing writes).
pub fn capability(site: &BatterySite, sample: Option<&BatterySample>, blocks: SocBlocks, usable: bool, now: Time) -> Capability {
    let none = Capability { charge_cause: Cause::NoData, discharge_cause: Cause::NoData, ..Capability::default() };
    let Some(sample) = sample else { return none };
    let age = now.since(sample.taken);
    if !usable || age > site.exclude_age || !(0..=1000).contains(&sample.soc_pm) {
        return none;
    }
    let mut charge = Bound::new(site.max_charge_w);
    let mut discharge = Bound::new(site.max_discharge_w);
    charge.lower_to(sample.charge_available_w.unwrap_or(i64::MAX).max(0), Cause::Device);
    discharge.lower_to(sample.discharge_available_w.unwrap_or(i64::MAX).max(0), Cause::Device);
    if let Some(t) = sample.temperature_c {
        charge.scale(polyline(&CHARGE_BY_TEMPERATURE, t), Cause::Temperature);
        discharge.scale(polyline(&DISCHARGE_BY_TEMPERATURE, t), Cause::Temperature);
    }
    discharge.scale(polyline(&DISCHARGE_ABOVE_MIN, sample.soc_pm - site.hard_min_soc_pm), Cause::StateOfCharge);
    charge.scale(if sample.soc_pm >= 1000 { 0 } else { polyline(&CHARGE_BY_SOC, sample.soc_pm) }, Cause::StateOfCharge);
    if !sample.may_charge {
        charge.lower_to(0, Cause::DeviceState);
    }
    if !sample.may_discharge {
        discharge.lower_to(0, Cause::DeviceState);
    }
    if age > site.cap_age {
        charge.lower_to((-sample.power_w).max(0), Cause::Aging);
        discharge.lower_to(sample.power_w.max(0), Cause::Aging);
    }
    let (hard_charge_w, hard_discharge_w) = (charge.w, discharge.w);
    if blocks.charge {
        charge.lower_to(0, Cause::SocPolicy);
    }
    if blocks.discharge {
        discharge.lower_to(0, Cause::SocPolicy);
    }
    Capability {
        hard_charge_w,
        hard_discharge_w,
        charge_w: charge.w,
        discharge_w: discharge.w,
        charge_cause: charge.cause,
        discharge_cause: discharge.cause,
    }
}

/// Lowers what a battery may do to what it is trusted with.
pub fn limit_by_trust(cap: Capability, trust: &Trust) -> Capability {
    let (charge_w, discharge_w, cause) = match *trust {
        Trust::Full => return cap,
        Trust::CappedAt { charge_w, discharge_w } => (charge_w, discharge_w, Cause::NotFollowing),
        Trust::Kept { charge_w, discharge_w } => (charge_w, discharge_w, Cause::Checked),
        Trust::Checked => (0, 0, Cause::Checked),
        Trust::Distrusted => (0, 0, Cause::Distrusted),
    };
    let lowered = |w: i64, to: i64, was: Cause| if to < w { (to.max(0), cause) } else { (w, was) };
    let (charge, discharge) =
        (lowered(cap.charge_w, charge_w, cap.charge_cause), lowered(cap.discharge_w, discharge_w, cap.discharge_cause));
    let hard = |w: i64, to: i64| if matches!(trust, Trust::Kept { .. }) { w } else { w.min(to.max(0)) };
    Capability {
        hard_charge_w: hard(cap.hard_charge_w, charge_w),
        hard_discharge_w: hard(cap.hard_discharge_w, discharge_w),
        charge_w: charge.0,
        discharge_w: discharge.0,
        charge_cause: charge.1,
        discharge_cause: discharge.1,
    }
}

struct Bound {
    w: i64,
    cause: Cause,
}

impl Bound {
    fn new(w: i64) -> Bound {
        Bound { w, cause: Cause::Rating }
    }

    fn lower_to(&mut self, w: i64, cause: Cause) {
        if w < self.w {
            *self = Bound { w, cause };
        }
    }

    fn scale(&mut self, pm: i64, cause: Cause) {
        self.lower_to(per_mille(self.w, pm), cause);
    }
}
