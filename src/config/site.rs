//! `[site]` and `[control]`.

use super::later;
use super::reader::{At, Section, Spanned};
use super::words;

/// What the controller is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// Keeps the grid power at `grid_target_w`.
    SelfConsumption,
    /// Reads everything, writes nothing.
    Observe,
}

impl Strategy {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::SelfConsumption => "self-consumption",
            Strategy::Observe => "observe",
        }
    }
}

/// What happens to the batteries when the controller no longer knows what it does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fallback {
    /// Commanded to 0 W, and limited by the fallback limits.
    Zero,
    /// Handed back to the device's own control where it has one, else as `Zero`.
    Release,
}

/// `[site]`. The balance is per phase: each battery works for its own phase.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// To show; default "Home".
    pub name: String,
    /// Must be given.
    pub strategy: Strategy,
    /// The grid power aimed at, import positive; -50000 to 50000 W, default 0.
    pub grid_target_w: i32,
    /// Main fuse, per phase; 6 to 250 A. Must be given, but under [`Strategy::Observe`], where it is 25 A by default.
    pub fuse_ma: i32,
    /// Used where the meter gives no voltage; 180 to 265 V, default 230.
    pub voltage_mv: i32,
}

/// `[control]`. Every battery gets its own command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// No heartbeat for this long: fallback. 10 to 60 s, default 60.
    pub heartbeat_timeout_s: u32,
    /// From this age on a meter reading is no longer good; at least two poll periods, default three, but not below 3 s.
    pub meter_stale_ms: u32,
    /// Smaller changes are not written; 0 to 500 W, default 30.
    pub deadband_w: i32,
    /// The fastest change of a command in W/s, up to 50000; 0, the default, leaves it to the device.
    pub ramp_w_per_s: i32,
    /// Default [`Fallback::Zero`].
    pub fallback: Fallback,
    /// Limit in fallback, for devices that take limits; 0 to 50000 W, default 0.
    pub fallback_charge_w: i32,
    /// Limit in fallback, for devices that take limits; 0 to 50000 W, default 0.
    pub fallback_discharge_w: i32,
}

/// `[site]`, and places in it.
pub(super) struct SiteDraft {
    pub site: Site,
    pub target_at: Option<At>,
    /// The strategy is known to be "observe", which needs neither meter nor batteries.
    pub observes: bool,
}

/// `[control]`, and places in it.
pub(super) struct ControlDraft {
    /// `meter_stale_ms` is not right yet where it was left out.
    pub control: Control,
    pub heartbeat_at: Option<At>,
    pub stale_at: Option<At>,
    pub charge_at: Option<At>,
    pub discharge_at: Option<At>,
}

pub(super) fn read_site(root: &mut Section<'_>) -> SiteDraft {
    let mut site = Site { name: "Home".to_owned(), strategy: Strategy::Observe, grid_target_w: 0, fuse_ma: 25_000, voltage_mv: 230_000 };
    let Some(mut section) = root.required("site", Section::section) else {
        return SiteDraft { site, target_at: None, observes: false };
    };
    let s = &mut section;
    if let Some(name) = words::name(s, "name") {
        site.name = name.value;
    }
    let strategies = [
        ("self-consumption", Some(Strategy::SelfConsumption)),
        ("observe", Some(Strategy::Observe)),
        ("peak-shaving", None),
        ("limits", None),
    ];
    let strategy = s.required("strategy", |s, key| later::choice(s, key, &strategies));
    site.strategy = strategy.map_or(Strategy::Observe, Spanned::get);
    let _ = later::choice(s, "balance", &[("per-phase", Some(())), ("sum", None)]);
    let target = s.integer("grid_target_w", -50_000..=50_000i32);
    site.grid_target_w = target.map_or(0, Spanned::get);
    let fuse = |s: &mut Section<'_>, key: &str| s.decimal(key, 3, 6_000..=250_000i32);
    // A strategy that is missing or misspelt hides nothing else that is missing.
    let observes = strategy.is_some_and(|strategy| strategy.value == Strategy::Observe);
    let fuse = if observes { fuse(s, "fuse_a") } else { s.required("fuse_a", fuse) };
    site.fuse_ma = fuse.map_or(site.fuse_ma, Spanned::get);
    site.voltage_mv = s.decimal("voltage_v", 3, 180_000..=265_000i32).map_or(site.voltage_mv, Spanned::get);
    for (key, most) in [("import_limit_w", 200_000), ("export_limit_w", 200_000), ("unbalance_limit_va", 50_000)] {
        let at = s.integer(key, 0..=most).map(|limit: Spanned<i32>| limit.at);
        later::refuse_key(s, key, at);
    }
    section.finish();
    SiteDraft { site, target_at: target.map(|target| target.at), observes }
}

pub(super) fn read_control(root: &mut Section<'_>) -> ControlDraft {
    let mut draft = ControlDraft {
        control: Control {
            heartbeat_timeout_s: 60,
            meter_stale_ms: 0,
            deadband_w: 30,
            ramp_w_per_s: 0,
            fallback: Fallback::Zero,
            fallback_charge_w: 0,
            fallback_discharge_w: 0,
        },
        heartbeat_at: None,
        stale_at: None,
        charge_at: None,
        discharge_at: None,
    };
    let Some(mut section) = root.section("control") else { return draft };
    let (s, c) = (&mut section, &mut draft.control);
    let _ = later::choice(s, "write_to", &[("each", Some(())), ("master", None)]);
    draft.heartbeat_at = keep(s.integer("heartbeat_timeout_s", 10..=60u32), &mut c.heartbeat_timeout_s);
    draft.stale_at = keep(s.decimal("meter_stale_s", 3, 1_000..=60_000u32), &mut c.meter_stale_ms);
    keep(s.integer("deadband_w", 0..=500i32), &mut c.deadband_w);
    keep(s.integer("ramp_w_per_s", 0..=50_000i32), &mut c.ramp_w_per_s);
    keep(s.choice("fallback", &[("zero", Fallback::Zero), ("release", Fallback::Release)]), &mut c.fallback);
    draft.charge_at = keep(s.integer("fallback_charge_w", 0..=50_000i32), &mut c.fallback_charge_w);
    draft.discharge_at = keep(s.integer("fallback_discharge_w", 0..=50_000i32), &mut c.fallback_discharge_w);
    section.finish();
    draft
}

/// Puts what was read in the place of the default, and says where it stood.
pub(super) fn keep<T>(read: Option<Spanned<T>>, into: &mut T) -> Option<At> {
    read.map(|read| {
        *into = read.value;
        read.at
    })
}
