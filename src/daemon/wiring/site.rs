//! What the core knows about a site, out of the configuration. Pure; it only translates.

use crate::config::{self, Config, ControlMode, Fallback, Phases};
use crate::control::site::{
    Balance, BatterySite, BmsSite, Connection, ControlKind, FallbackKind, Ladder, Site, SiteLimits, StartUp, Strategy, Tuning,
};
use crate::units::Span;

/// Kept free below the fuse, mA (`spec/control.md` 2.4, P1).
const FUSE_MARGIN_MA: i64 = 1500;
/// Below this not even the fuse may discharge, 0.1 % (`spec/control/law.py`).
const HARD_MIN_SOC_PM: u16 = 50;

/// Nobody waits.
pub(super) fn no_wait(_: usize) -> Span {
    Span::ZERO
}

/// The site of the core. `waits`: how long a write to each battery may have to wait for others on its link.
pub(super) fn site(config: &Config, waits: impl Fn(usize) -> Span) -> Site {
    let ladder = config.ladder();
    let meter_period = config.meter.as_ref().map_or(Span::from_s(5), |m| Span::from_ms(m.poll_ms.into()));
    Site {
        batteries: config.batteries.iter().enumerate().map(|(k, b)| battery_site(b, config, waits(k))).collect(),
        strategy: match config.site.strategy {
            config::Strategy::PeakShaving { recharge_below_w } => Strategy::PeakShaving { recharge_below_w: recharge_below_w.into() },
            config::Strategy::SelfConsumption | config::Strategy::Limits | config::Strategy::Observe => Strategy::SelfConsumption,
        },
        balance: match config.site.balance {
            config::Balance::PerPhase => Balance::PerPhase,
            config::Balance::Sum => Balance::Sum,
        },
        target_w: config.site.grid_target_w.into(),
        limits: SiteLimits {
            import_w: config.site.import_limit_w.map(i64::from),
            export_w: config.site.export_limit_w.map(i64::from),
            unbalance_va: config.site.unbalance_limit_va.map(i64::from),
        },
        fuse_ma: config.site.fuse_ma.into(),
        fuse_margin_ma: FUSE_MARGIN_MA,
        voltage_mv: config.site.voltage_mv.into(),
        ladder: Ladder { hold: ladder.hold, ramp_start: ladder.ramp_start, fallback: ladder.fallback },
        meter_period,
        frozen_after: Span::from_ms(ladder.heartbeat.min(Span::from_s(60)).as_ms() * 2 / 3),
        ramp_w_per_s: config.control.ramp_w_per_s.into(),
        start_up: StartUp::default(),
        observe: config.site.strategy == config::Strategy::Observe,
        fallback: match config.control.fallback {
            Fallback::Zero => FallbackKind::Zero,
            Fallback::Release => FallbackKind::Release,
        },
        tuning: Tuning::for_power(config.batteries.iter().map(most_on_a_phase).max().unwrap_or(0)),
    }
}

fn battery_site(b: &config::Battery, config: &Config, wait: Span) -> BatterySite {
    let ages = b.ages();
    let (fallback_charge_w, fallback_discharge_w) = fallback_limits(b, config);
    BatterySite {
        connection: match b.phase {
            Phases::One(phase) => Connection::Phase(phase.index()),
            Phases::All => Connection::AllPhases,
        },
        max_discharge_w: b.max_discharge_w.into(),
        max_charge_w: b.max_charge_w.into(),
        capacity_wh: b.capacity_wh.into(),
        hard_min_soc_pm: b.min_soc_pm.min(HARD_MIN_SOC_PM).into(),
        min_soc_pm: b.min_soc_pm.into(),
        max_soc_pm: b.max_soc_pm.into(),
        hysteresis_pm: b.soc_hysteresis_pm.into(),
        cap_age: ages.capped,
        exclude_age: ages.excluded,
        control: match b.control {
            ControlMode::Setpoint => ControlKind::Setpoint,
            ControlMode::Limits => ControlKind::Limits,
            ControlMode::Hybrid => ControlKind::Hybrid,
        },
        fallback_charge_w,
        fallback_discharge_w,
        min_power_w: b.min_power_w.into(),
        step_w: 1,
        phases_vary: false,
        bms: b.bms.as_ref().map(|bms| bms_site(bms, config, wait)),
    }
}

/// Most power of a battery on one phase, W.
fn most_on_a_phase(b: &config::Battery) -> i64 {
    let w = i64::from(b.max_charge_w.max(b.max_discharge_w));
    if b.phase == Phases::All { w / 3 } else { w }
}

/// How old what a BMS said may be; the battery is in its fallback as long before the heartbeat timeout as without a meter.
fn bms_site(bms: &config::Bms, config: &Config, wait: Span) -> BmsSite {
    let ages = bms.ages(Span::from_s(config.control.heartbeat_timeout_s.into())).before_waiting(wait);
    BmsSite { fresh: ages.fresh, lost: ages.lost }
}

/// Charge and discharge limit in fallback, W: never more than the battery's own ratings.
pub(super) fn fallback_limits(b: &config::Battery, config: &Config) -> (i64, i64) {
    let control = &config.control;
    (control.fallback_charge_w.min(b.max_charge_w).into(), control.fallback_discharge_w.min(b.max_discharge_w).into())
}
