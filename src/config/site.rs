//! `[site]` and `[control]`.

use super::later;
use super::reader::{At, Section, Spanned};
use super::words;

/// What a main fuse of 2000 A carries on three phases, and some, W.
const MOST_SITE_W: i32 = 2_000_000;

/// What the controller is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Strategy {
    /// Keeps the grid power at `grid_target_w`.
    SelfConsumption,
    /// Keeps the import below `import_limit_w`, and the batteries full for that.
    PeakShaving {
        /// Recharging never makes the import higher than this; below `import_limit_w`, default half of it.
        recharge_below_w: i32,
    },
    /// The batteries balance by themselves, and are given limits.
    Limits,
    /// Reads everything, writes nothing.
    Observe,
}

impl Strategy {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::SelfConsumption => "self-consumption",
            Strategy::PeakShaving { .. } => "peak-shaving",
            Strategy::Limits => "limits",
            Strategy::Observe => "observe",
        }
    }
}

/// What is balanced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Balance {
    /// Each battery works for its own phase.
    PerPhase,
    /// The phases are netted, as German and Austrian meters count: each battery works for all of them.
    Sum,
}

impl Balance {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Balance::PerPhase => "per-phase",
            Balance::Sum => "sum",
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

/// `[site]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Site {
    /// To show; default "Home".
    pub name: String,
    /// Must be given.
    pub strategy: Strategy,
    /// Default [`Balance::PerPhase`].
    pub balance: Balance,
    /// The grid power aimed at, import positive; -2000000 to 2000000 W, default 0.
    pub grid_target_w: i32,
    /// Main fuse, per phase; 6 to 2000 A. Must be given, but under [`Strategy::Observe`], where it is 25 A by default.
    pub fuse_ma: i32,
    /// Most import of all phases together; 0 to 2000000 W.
    pub import_limit_w: Option<i32>,
    /// Most export of all phases together; 0 to 2000000 W.
    pub export_limit_w: Option<i32>,
    /// How much more the batteries may give, or take, on one phase than on another; 0 to 1000000 VA.
    pub unbalance_limit_va: Option<i32>,
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
    /// Smaller changes are not written; 0 to 5000 W, default 30.
    pub deadband_w: i32,
    /// The fastest change of a command in W/s, up to 1000000; 0, the default, leaves it to the device.
    pub ramp_w_per_s: i32,
    /// Default [`Fallback::Zero`].
    pub fallback: Fallback,
    /// Limit in fallback, for devices that take limits; 0 to 1000000 W, default 0.
    pub fallback_charge_w: i32,
    /// Limit in fallback, for devices that take limits; 0 to 1000000 W, default 0.
    pub fallback_discharge_w: i32,
}

/// `[site]`, and places in it.
pub(super) struct SiteDraft {
    pub site: Site,
    pub target_at: Option<At>,
    pub import_at: Option<At>,
    pub export_at: Option<At>,
    pub unbalance_at: Option<At>,
    pub balance_at: Option<At>,
    pub strategy_at: Option<At>,
    /// None where the strategy is missing or wrong.
    pub strategy: Option<Strategy>,
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
    let site = Site {
        name: "Home".to_owned(),
        strategy: Strategy::Observe,
        balance: Balance::PerPhase,
        grid_target_w: 0,
        fuse_ma: 25_000,
        import_limit_w: None,
        export_limit_w: None,
        unbalance_limit_va: None,
        voltage_mv: 230_000,
    };
    let mut draft = SiteDraft {
        site,
        target_at: None,
        import_at: None,
        export_at: None,
        unbalance_at: None,
        balance_at: None,
        strategy_at: None,
        strategy: None,
        observes: false,
    };
    let Some(mut section) = root.required("site", Section::section) else { return draft };
    let (s, site) = (&mut section, &mut draft.site);
    if let Some(name) = words::name(s, "name") {
        site.name = name.value;
    }
    let strategies = [
        ("self-consumption", Strategy::SelfConsumption),
        ("peak-shaving", Strategy::PeakShaving { recharge_below_w: 0 }),
        ("limits", Strategy::Limits),
        ("observe", Strategy::Observe),
    ];
    let strategy = s.required("strategy", |s, key| s.choice(key, &strategies));
    (draft.strategy_at, draft.strategy) = (strategy.map(|strategy| strategy.at), strategy.map(Spanned::get));
    draft.balance_at = keep(s.choice("balance", &[("per-phase", Balance::PerPhase), ("sum", Balance::Sum)]), &mut site.balance);
    draft.target_at = keep(s.integer("grid_target_w", -MOST_SITE_W..=MOST_SITE_W), &mut site.grid_target_w);
    let fuse = |s: &mut Section<'_>, key: &str| s.decimal(key, 3, 6_000..=2_000_000i32);
    // A strategy that is missing or misspelt hides nothing else that is missing.
    draft.observes = draft.strategy == Some(Strategy::Observe);
    let fuse = if draft.observes { fuse(s, "fuse_a") } else { s.required("fuse_a", fuse) };
    site.fuse_ma = fuse.map_or(site.fuse_ma, Spanned::get);
    site.voltage_mv = s.decimal("voltage_v", 3, 180_000..=265_000i32).map_or(site.voltage_mv, Spanned::get);
    let mut limit = |key: &str, most: i32, into: &mut Option<i32>| {
        let read = s.integer(key, 0..=most);
        *into = read.map(Spanned::get);
        read.map(|read| read.at)
    };
    draft.import_at = limit("import_limit_w", MOST_SITE_W, &mut site.import_limit_w);
    draft.export_at = limit("export_limit_w", MOST_SITE_W, &mut site.export_limit_w);
    draft.unbalance_at = limit("unbalance_limit_va", 1_000_000, &mut site.unbalance_limit_va);
    site.strategy = read_peak(s, strategy, site.import_limit_w, draft.import_at).unwrap_or(Strategy::Observe);
    section.finish();
    draft
}

/// What belongs to peak shaving only: the limit that it needs, and below what it recharges. The strategy, with that in it.
fn read_peak(s: &mut Section<'_>, strategy: Option<Spanned<Strategy>>, limit_w: Option<i32>, limit_at: Option<At>) -> Option<Strategy> {
    let recharge = s.integer("recharge_below_w", 0..=MOST_SITE_W);
    let strategy = strategy?;
    if !matches!(strategy.value, Strategy::PeakShaving { .. }) {
        if let Some(recharge) = recharge {
            s.add(recharge.at, "recharge_below_w", "belongs to strategy \"peak-shaving\", and has no meaning with another.");
        }
        return Some(strategy.value);
    }
    if !s.has("import_limit_w") {
        let message = "strategy \"peak-shaving\" needs it: import is kept below this.";
        s.document().add_missing(strategy.at, &s.full("import_limit_w"), "import_limit_w", message);
    }
    let Some(limit_w) = limit_w else { return Some(strategy.value) };
    if limit_w == 0 {
        let message = "0 W leaves nothing to recharge the batteries with: with strategy \"peak-shaving\" it must be more.";
        s.add(limit_at.unwrap_or(strategy.at), "import_limit_w", message);
    } else if let Some(recharge) = recharge.filter(|recharge| recharge.value >= limit_w) {
        let message = format!("{} W must be below import_limit_w, which is {limit_w}.", recharge.value);
        s.add(recharge.at, "recharge_below_w", message);
    }
    Some(Strategy::PeakShaving { recharge_below_w: recharge.map_or(limit_w / 2, Spanned::get) })
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
    keep(s.integer("deadband_w", 0..=5_000i32), &mut c.deadband_w);
    keep(s.integer("ramp_w_per_s", 0..=1_000_000i32), &mut c.ramp_w_per_s);
    keep(s.choice("fallback", &[("zero", Fallback::Zero), ("release", Fallback::Release)]), &mut c.fallback);
    draft.charge_at = keep(s.integer("fallback_charge_w", 0..=1_000_000i32), &mut c.fallback_charge_w);
    draft.discharge_at = keep(s.integer("fallback_discharge_w", 0..=1_000_000i32), &mut c.fallback_discharge_w);
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
