//! What comes out of the core: an order per battery, and why.

use std::fmt;

use super::allocate::SlotPlan;
use super::bms::Objection;
use super::capability::{Capability, Cause};
use super::ladder::Mode;
use crate::units::{Phase, Span, Time};

/// What a battery is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Order {
    /// Nothing may be written.
    #[default]
    Silent,
    /// This power, W, discharge positive.
    Setpoint {
        /// The power.
        watts: i64,
        /// A fuse is at stake: write spacing may be broken.
        urgent: bool,
    },
    /// These limits, W, both ≥ 0; the battery balances inside them by itself.
    Limits {
        /// Most it may charge with.
        charge_w: i64,
        /// Most it may discharge with.
        discharge_w: i64,
        /// See `Setpoint`.
        urgent: bool,
    },
    /// Hand the battery back to its own control.
    Release,
}

/// Why a battery got its order.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reason {
    /// Too few good samples of the meter so far.
    #[default]
    WaitingForMeter,
    /// The battery has not been heard yet.
    WaitingForBattery,
    /// The battery's BMS has not been heard yet.
    WaitingForBms,
    /// The battery's BMS is lost: fallback.
    BmsLost,
    /// Nothing stands in the way of what the load asks for.
    FollowingLoad,
    /// Strategy `observe`.
    Observing,
    /// The fuse of this phase decides.
    Fuse(Phase),
    /// `unbalance_limit_va` decides.
    Unbalance,
    /// `import_limit_w` decides.
    ImportLimit,
    /// Dimmed by the grid operator.
    Dimmed,
    /// `export_limit_w` decides.
    ExportLimit,
    /// A schedule decides.
    Scheduled,
    /// Another controller decides.
    Remote,
    /// Another controller commands the site, but this battery balances by itself: its part of the command became its limits.
    RemoteAsLimits,
    /// What another controller allows decides.
    RemoteLimit,
    /// The import is below the threshold: nothing is asked of the batteries.
    BelowPeak,
    /// The import is so low that what was shaved is put back.
    Recharging,
    /// Other batteries do it alone.
    Resting,
    /// The battery cannot or may not charge more.
    ChargeBound(Cause),
    /// The battery cannot or may not discharge more.
    DischargeBound(Cause),
    /// The power is raised slowly after the start.
    StartUp,
    /// The configured ramp.
    RampLimit,
    /// No fresh meter data: kept.
    Hold,
    /// No fresh meter data: on the way to the fallback.
    Ramp,
    /// No meter data: fallback.
    Fallback,
    /// No usable data of this battery.
    NoData,
    /// The battery balances by itself.
    OwnControl,
}

impl Reason {
    /// Something other than the load decides.
    pub fn limits(&self) -> bool {
        !matches!(self, Reason::FollowingLoad | Reason::OwnControl)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::WaitingForMeter => "waiting for good meter samples",
            Reason::WaitingForBattery => "waiting for the battery's first answer",
            Reason::WaitingForBms => "waiting for the first answer of its BMS",
            Reason::BmsLost => "fallback, BMS Comm Loss",
            Reason::FollowingLoad => "following the load",
            Reason::Observing => "observing only",
            Reason::Fuse(phase) => return write!(f, "limited by fuse {phase}"),
            Reason::Unbalance => "limited by unbalance_limit_va",
            Reason::ImportLimit => "limited by import_limit_w",
            Reason::Dimmed => "dimmed by the grid operator",
            Reason::ExportLimit => "limited by export_limit_w",
            Reason::Scheduled => "scheduled",
            Reason::Remote => "commanded by another controller",
            Reason::RemoteAsLimits => "balancing by itself up to what another controller commands",
            Reason::RemoteLimit => "limited by another controller",
            Reason::BelowPeak => "at rest, the import is below the limit",
            Reason::Recharging => "recharging, the import is below recharge_below_w",
            Reason::Resting => "at rest, other batteries do it alone",
            Reason::ChargeBound(cause) => return write!(f, "charging limited: {}", said(*cause, true)),
            Reason::DischargeBound(cause) => return write!(f, "discharging limited: {}", said(*cause, false)),
            Reason::StartUp => "raised slowly after the start",
            Reason::RampLimit => "limited by ramp_w_per_s",
            Reason::Hold => "kept, the meter data is not fresh",
            Reason::Ramp => "on the way to the fallback, the meter data is too old",
            Reason::Fallback => "fallback, no meter data",
            Reason::NoData => "no fresh data of this battery",
            Reason::OwnControl => "balancing by itself inside its limits",
        })
    }
}

fn said(cause: Cause, charging: bool) -> &'static str {
    match (cause, charging) {
        (Cause::Rating, _) => "rated power",
        (Cause::Device, _) => "the device allows no more",
        (Cause::DeviceState, _) => "the device's state does not allow it",
        (Cause::Temperature, _) => "temperature",
        (Cause::StateOfCharge, true) => "almost full",
        (Cause::StateOfCharge, false) => "almost empty",
        (Cause::SocPolicy, true) => "SoC at maximum",
        (Cause::SocPolicy, false) => "SoC below minimum",
        (Cause::Reserve, _) => "kept in reserve by a schedule",
        (Cause::NotFollowing, _) => "it does not follow its commands",
        (Cause::Distrusted, _) => "its sign or its phase is wrong",
        (Cause::Checked, _) => "sign and phase are being checked",
        (Cause::Aging, _) => "its data is getting old",
        (Cause::NoData, _) => "no data",
        (Cause::BmsLimit, _) => "the BMS allows no more",
        (Cause::BmsForbids, _) => "the BMS forbids it",
        (Cause::BmsNoLimit, _) => "the BMS gives no limit",
        (Cause::BmsAging, _) => "the data of the BMS is getting old",
        (Cause::BmsUnheard, _) => "the BMS has not answered yet",
        (Cause::BmsLost, _) => "BMS Comm Loss",
    }
}

/// The decision for one battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BatteryDecision {
    /// What to tell it.
    pub order: Order,
    /// Power it is meant to have, W, discharge positive; also where nothing is written (`observe`).
    pub setpoint_w: i64,
    /// What it may do now.
    pub capability: Capability,
    /// Why.
    pub reason: Reason,
    /// What its BMS has against leaving it to its own control; `None`: it may be released.
    pub objection: Option<Objection>,
}

/// The state of one phase.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PhaseDecision {
    /// Estimated net load, W, where one is known.
    pub load_w: Option<i64>,
    /// Bounds and outcome.
    pub plan: SlotPlan,
    /// A current above the alarm threshold was measured.
    pub overload: bool,
}

/// The outcome of a step.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// When it was made.
    pub at: Time,
    /// Where the ladder stands.
    pub mode: Mode,
    /// Age of the last good meter sample, where there was one.
    pub meter_age: Option<Span>,
    /// Good samples in a row and how many lead to `Run`.
    pub progress: (u32, u32),
    /// Per phase; bounds and outcome are those of its single-phase batteries.
    pub phases: [PhaseDecision; 3],
    /// Bounds and outcome of the three-phase batteries.
    pub three_phase: SlotPlan,
    /// Per battery, in the order of the site.
    pub batteries: Vec<BatteryDecision>,
}
