//! What a commissioning knows beforehand, and the configuration it runs with: the file's own, but polled faster.

use crate::config::{Config, Encoding, Fallback, MeterSource, Strategy};
use crate::control::site::{ControlKind, Site};
use crate::daemon::wiring::{Plan, plan};
use crate::device::library::Library;

/// Poll period while commissioning, ms. Once a second is useful and well above the 500 ms that unit 100 asks for (facts/sax.md 2, Rates);
/// a little less than the refresh period of common meters (1 s), so that the ages of their values differ from poll to poll.
const POLL_MS: u32 = 900;
/// Setpoints that differ by this much are written, W.
const DEADBAND_W: i32 = 30;

/// What a commissioning knows beforehand.
#[derive(Clone, PartialEq, Debug)]
pub struct Setup {
    /// Power that the batteries are moved by, W.
    pub power_w: i64,
    /// The site as the configuration describes it.
    pub site: Site,
    /// What the site does not say about each battery.
    pub batteries: Vec<BatterySetup>,
}

/// One battery.
#[derive(Clone, PartialEq, Debug)]
pub struct BatterySetup {
    /// Its name.
    pub name: String,
    /// The encoding that the configuration says.
    pub encoding: Encoding,
    /// The banks whose setpoint can be encoded in more than one way.
    pub choosable: Vec<String>,
}

/// The configuration to run with: as the file says, but everything is polled every second, the phases come every time, and a battery
/// without a fresh command is handed back.
pub fn prepared(config: &Config) -> Config {
    let mut config = config.clone();
    for battery in &mut config.batteries {
        battery.poll_ms = battery.poll_ms.min(POLL_MS);
    }
    // A meter that sends by itself cannot be asked more often.
    if let Some(meter) = config.meter.as_mut().filter(|m| !matches!(m.source, MeterSource::Telegrams { .. })) {
        meter.poll_ms = meter.poll_ms.min(POLL_MS);
        meter.phase_poll_ms = meter.poll_ms;
    }
    config.control.deadband_w = config.control.deadband_w.min(DEADBAND_W);
    config.control.fallback = Fallback::Release;
    // Whoever commissions wants writes.
    config.site.strategy = Strategy::SelfConsumption;
    config
}

/// The plan for a configuration that is [`prepared`]. What takes setpoints beside limits is moved and released by setpoints alone, through the
/// bank that it will be controlled through.
pub fn planned(config: &Config, library: &Library) -> Plan {
    let mut plan = plan(config, library);
    // On which phase a battery works shows only in phases that are measured.
    plan.meter.iter_mut().for_each(|meter| meter.spec.balance_sum = false);
    plan.p1.iter_mut().for_each(|meter| meter.balance_sum = false);
    for (placed, site) in plan.batteries.iter_mut().zip(&mut plan.site.batteries) {
        if site.control == ControlKind::Hybrid {
            (placed.spec.settings.limits, site.control) = (false, ControlKind::Setpoint);
        }
    }
    plan
}

impl Setup {
    /// For what is [`planned`].
    pub fn new(config: &Config, plan: &Plan, power_w: i64) -> Setup {
        let batteries = config.batteries.iter().zip(&plan.batteries).map(|(battery, placed)| {
            let several = |p: &&std::sync::Arc<crate::device::profile::Profile>| p.setpoint.as_ref().is_some_and(|s| s.encodings.len() > 1);
            let choosable = placed.spec.bank.choice.candidates.iter().filter(several).map(|p| p.name.clone()).collect();
            BatterySetup { name: battery.name.clone(), encoding: battery.setpoint_encoding, choosable }
        });
        Setup { power_w, site: plan.site.clone(), batteries: batteries.collect() }
    }
}
