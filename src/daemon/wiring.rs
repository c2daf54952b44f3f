//! From the configuration to tasks, links and the site of the core. A pure function, so that `check` can print what `run` will do.
//!
//! What the configuration may ask about devices is answered here too, out of their profiles. Never opens anything.

mod charging;
mod facts;
mod site;

use std::path::PathBuf;
use std::sync::Arc;

use self::charging::{charger, server};
use self::facts::{current_limits, takes_both};
use self::site::{fallback_limits, no_wait, site};
use super::bank_choice::{BankChoice, BatteryBank, MeterBank};
use super::battery::BatterySpec;
use super::bms::BmsSpec;
use super::bms_watch::StaticLimits;
use super::charger::ChargerSpec;
use super::meter::MeterSpec;
use super::p1::P1Spec;
use crate::config::{self, Config, ControlMode, Fallback, Link, MeterSource, Phases};
use crate::control::bms::Objection;
use crate::control::site::Site;
use crate::device::encode::step_w;
use crate::device::library::Library;
use crate::device::parse::Device;
use crate::device::profile::Profile;
use crate::device::quantity::Quantity;
use crate::device::setting;
use crate::device::writer::{Command, Settings};
use crate::link::place::Place;
use crate::units::{Span, Time};

/// A command is valid for this long: the control thread renews it at every step, at least twice a second.
pub const COMMAND_VALID: Span = Span::from_s(15);
/// Batteries are polled this long after the meter, so that a command that follows from the meter need not wait for their answers.
const AFTER_METER: Span = Span::from_ms(100);
/// So far below the upper limit of the load balancer the phases are watched closely, mA.
const WATCHED_BELOW_MA: u32 = 1_000;

/// Everything that runs.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// The hosts and serial ports, each with one link.
    pub endpoints: Vec<EndpointPlan>,
    /// The batteries, in the order of the configuration.
    pub batteries: Vec<Placed<BatterySpec>>,
    /// The BMSes, in the order of their batteries.
    pub bmses: Vec<Placed<BmsSpec>>,
    /// The chargers, in the order of the configuration.
    pub chargers: Vec<Placed<ChargerSpec>>,
    /// Our own Modbus server.
    pub server: Option<ServerPlan>,
    /// The grid meter, where it is asked.
    pub meter: Option<Placed<MeterSpec>>,
    /// The grid meter, where it sends telegrams by itself.
    pub p1: Option<P1Spec>,
    /// What the core knows.
    pub site: Site,
    /// After this long without a sign of life a thread counts as dead.
    pub heartbeat: Span,
    /// Where communication faults are written down.
    pub comm_log: Option<PathBuf>,
}

/// Our own Modbus server.
#[derive(Clone, PartialEq, Debug)]
pub struct ServerPlan {
    /// As configured.
    pub server: config::Server,
    /// Index of the gateway's link in [`Plan::endpoints`].
    pub gateway: Option<usize>,
    /// Where settings that a client saved are kept; `None`: they cannot be saved.
    pub state: Option<PathBuf>,
}

/// One host, or one serial port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndpointPlan {
    /// Host and port, or serial port.
    pub place: Place,
    /// Deadline of a request.
    pub timeout: Span,
}

/// A task and the index of its endpoint.
#[derive(Clone, PartialEq, Debug)]
pub struct Placed<T> {
    /// Index in [`Plan::endpoints`].
    pub endpoint: usize,
    /// What to do there.
    pub spec: T,
}

/// What `run` will do with this configuration.
pub fn plan(config: &Config, library: &Library) -> Plan {
    let mut endpoints = Vec::new();
    let meter = config.meter.as_ref().and_then(|m| meter(m, config, library, &mut endpoints));
    let mut batteries: Vec<_> =
        (config.batteries.iter().enumerate()).map(|(k, b)| battery(k, b, config, library, &mut endpoints)).collect();
    if let (Some(m), Some((index, _))) = (&meter, meter.as_ref().and_then(|m| m.spec.battery.as_ref())) {
        batteries[*index].spec.meter = Some(m.spec.bank.clone());
    }
    let bmses: Vec<_> = config.batteries.iter().enumerate().filter_map(|(k, b)| bms(k, b, config, library, &mut endpoints)).collect();
    let server = config.server.as_ref().map(|s| server(s, &mut endpoints));
    let chargers: Vec<_> = config.chargers.iter().enumerate().filter_map(|(k, c)| charger(k, c, config, library, &mut endpoints)).collect();
    let users = |endpoint: usize| {
        let asked = batteries.iter().map(|b| b.endpoint).chain(bmses.iter().map(|b| b.endpoint)).chain(meter.as_ref().map(|m| m.endpoint));
        let asked = asked.chain(chargers.iter().map(|c| c.endpoint)).chain(server.as_ref().and_then(|s| s.gateway));
        u64::try_from(asked.filter(|e| *e == endpoint).count()).unwrap_or(u64::MAX)
    };
    let waits = |k: usize| {
        let at: usize = batteries[k].endpoint;
        endpoints[at].timeout.times(users(at).saturating_sub(1))
    };
    let mut site = site(config, waits);
    for (told, battery) in site.batteries.iter_mut().zip(&batteries) {
        let steps = battery.spec.bank.choice.candidates.iter().filter_map(|p| p.setpoint.as_ref()).map(step_w);
        told.step_w = steps.max().unwrap_or(1);
        told.phases_vary = battery.spec.bank.choice.candidates.iter().any(|p| p.phases_vary);
    }
    let p1 = P1Spec::of(config, library, nets_phases(config));
    let heartbeat = Span::from_s(config.control.heartbeat_timeout_s.into());
    let comm_log = config.log.comm_log.as_ref().map(PathBuf::from);
    Plan { endpoints, batteries, bmses, chargers, server, meter, p1, site, heartbeat, comm_log }
}

/// Whether it does not matter how the power lies on the phases: no battery is commanded for a phase of its own.
fn nets_phases(config: &Config) -> bool {
    let for_its_phase = |b: &config::Battery| b.phase != Phases::All && b.control != ControlMode::Limits;
    let commands = !matches!(config.site.strategy, config::Strategy::Limits | config::Strategy::Observe);
    config.site.balance == config::Balance::Sum || !commands || !config.batteries.iter().any(for_its_phase)
}

fn meter(meter: &config::Meter, config: &Config, library: &Library, endpoints: &mut Vec<EndpointPlan>) -> Option<Placed<MeterSpec>> {
    let (link, unit, beside, settings) = match &meter.source {
        // The same registers of the same device: what they mean is said once, at the battery.
        MeterSource::Battery { index } => {
            let battery = &config.batteries[*index];
            let settings = if meter.settings.is_empty() { &battery.settings } else { &meter.settings };
            (&battery.link, None, Some(*index), settings)
        }
        MeterSource::Own { link, unit } => (link, *unit, None, &meter.settings),
        MeterSource::Telegrams { .. } => return None,
    };
    let (choice, mut names) = banks(library, &meter.device, unit, link, settings);
    if names.phases.is_empty() && nets_phases(config) {
        // Currents say how the total lies on the phases.
        let has_current = |p: &Profile| p.point(Quantity::GridCurrentOf(0)).is_some();
        names.phases = names.total.iter().filter(|n| library.profile(n).is_some_and(has_current)).cloned().collect();
    }
    // One request serves both where the meter is read at least as often as the battery.
    let battery =
        beside.filter(|k| meter.poll_ms <= config.batteries[*k].poll_ms).map(|k| (k, battery_bank(&config.batteries[k], library)));
    let spec = MeterSpec {
        resumes: false,
        balance_sum: nets_phases(config),
        nominal_mv: config.site.voltage_mv.into(),
        watched_ma: config.load_balancer.as_ref().map(|l| l.settings.upper.limit_ma.saturating_sub(WATCHED_BELOW_MA)),
        bank: MeterBank { choice, total: names.total, phases: names.phases },
        poll: Span::from_ms(meter.poll_ms.into()),
        first_poll: Time::ZERO,
        phase_poll: Span::from_ms(meter.phase_poll_ms.into()),
        retries: link.retry_count().into(),
        used_phases: site(config, no_wait).used_phases(),
        most_phase_w: site(config, no_wait).plausible_phase_w(),
        most_battery_w: beside.and_then(|k| Some(site(config, no_wait).batteries.get(k)?.plausible_w())).unwrap_or(i64::MAX),
        battery,
    };
    Some(Placed { endpoint: endpoint(link, endpoints), spec })
}

fn battery(
    index: usize,
    b: &config::Battery,
    config: &Config,
    library: &Library,
    endpoints: &mut Vec<EndpointPlan>,
) -> Placed<BatterySpec> {
    let limits = b.control != ControlMode::Setpoint;
    let control = &config.control;
    let fallback = match (control.fallback, limits) {
        // Its task applies it where the control thread does not speak any more: then nobody knows what the BMS says.
        (_, true) if b.bms.is_some() => Command::Limits { charge_w: 0, discharge_w: 0 },
        (_, false) if b.bms.is_some() => Command::Setpoint(0),
        (Fallback::Release, _) => Command::Release,
        (Fallback::Zero, true) => {
            let (charge_w, discharge_w) = fallback_limits(b, config);
            Command::Limits { charge_w, discharge_w }
        }
        (Fallback::Zero, false) => Command::Setpoint(0),
    };
    let poll = Span::from_ms(b.poll_ms.into());
    let spec = BatterySpec {
        index,
        name: b.name.clone(),
        bank: battery_bank(b, library),
        meter: None,
        poll,
        first_poll: Time::ZERO + AFTER_METER.min(Span::from_ms(poll.as_ms() / 4)),
        retries: b.link.retry_count().into(),
        settings: Settings {
            deadband_w: control.deadband_w.into(),
            rated_charge_w: b.max_charge_w.into(),
            rated_discharge_w: b.max_discharge_w.into(),
            limits,
        },
        encoding: b.setpoint_encoding.name().to_owned(),
        write_spacing: b.write_spacing_ms.map(|ms| Span::from_ms(ms.into())),
        write_refill: b.write_refill_ms.map(|ms| Span::from_ms(ms.into())),
        fallback,
        objection: b.bms.as_ref().map(|_| Objection::Silence),
    };
    Placed { endpoint: endpoint(&b.link, endpoints), spec }
}

fn bms(
    index: usize,
    b: &config::Battery,
    config: &Config,
    library: &Library,
    endpoints: &mut Vec<EndpointPlan>,
) -> Option<Placed<BmsSpec>> {
    let bms = b.bms.as_ref()?;
    let profile = Arc::new(library.profile(&bms.device)?.with_settings(&bms.settings));
    let poll = Span::from_ms(bms.poll_ms.into());
    let spec = BmsSpec {
        index,
        name: b.name.clone(),
        unit: bms.unit.unwrap_or(profile.unit),
        limits: static_limits(b, bms, &profile),
        profile,
        poll,
        first_poll: Time::ZERO,
        retries: bms.link.retry_count().into(),
        heartbeat: config.site.strategy != config::Strategy::Observe,
    };
    Some(Placed { endpoint: endpoint(&bms.link, endpoints), spec })
}

/// A BMS that gives no current limit, like an SBAU whose clusters are not configured, still forbids; how much is then the battery's rating.
fn static_limits(b: &config::Battery, bms: &config::Bms, profile: &Profile) -> StaticLimits {
    let (gives_charge, gives_discharge) = current_limits(profile);
    let (charge_ma, discharge_ma) = (bms.max_charge_ma.map(i64::from), bms.max_discharge_ma.map(i64::from));
    StaticLimits {
        charge_ma,
        discharge_ma,
        charge_w: (!gives_charge && charge_ma.is_none()).then_some(b.max_charge_w.into()),
        discharge_w: (!gives_discharge && discharge_ma.is_none()).then_some(b.max_discharge_w.into()),
    }
}

fn battery_bank(b: &config::Battery, library: &Library) -> BatteryBank {
    let (choice, names) = banks(library, &b.device, b.unit, &b.link, &b.settings);
    let fits = |p: &Profile| match b.control {
        ControlMode::Setpoint => p.setpoint.is_some(),
        ControlMode::Limits => p.limits.is_some(),
        ControlMode::Hybrid => takes_both(p),
    };
    let prefer = names.battery.into_iter().filter(|n| choice.candidates.iter().any(|p| p.name == *n && fits(p))).collect();
    BatteryBank { choice, prefer }
}

/// Names of banks by what they are used for, best first.
struct Names {
    battery: Vec<String>,
    total: Vec<String>,
    phases: Vec<String>,
}

fn banks(library: &Library, device: &str, unit: Option<u8>, link: &Link, settings: &setting::Settings) -> (BankChoice, Names) {
    let timeout = Span::from_ms(link.timeout_ms().into());
    let shared = |names: &[String]| library.banks(names).map(|p| Arc::new(p.with_settings(settings))).collect::<Vec<_>>();
    match library.find(device) {
        Some(Device::Choice(c)) => (
            BankChoice { candidates: shared(&c.probe), probing: true, unit: None, timeout },
            Names { battery: c.battery.clone(), total: c.total.clone(), phases: c.phases.clone() },
        ),
        _ => {
            let name = vec![device.to_owned()];
            let choice = BankChoice { candidates: shared(&name), probing: false, unit, timeout };
            let has = |what: fn(&Profile) -> bool| if choice.candidates.iter().any(|p| what(p)) { name.clone() } else { Vec::new() };
            let names = Names { battery: name.clone(), total: has(Profile::has_total), phases: has(Profile::has_phases) };
            (choice, names)
        }
    }
}

fn endpoint(link: &Link, endpoints: &mut Vec<EndpointPlan>) -> usize {
    let timeout = Span::from_ms(link.timeout_ms().into());
    let place = link.place();
    if let Some(i) = endpoints.iter().position(|e| e.place == place) {
        // Whoever shares it gets the time that the slowest needs.
        endpoints[i].timeout = endpoints[i].timeout.max(timeout);
        return i;
    }
    endpoints.push(EndpointPlan { place, timeout });
    endpoints.len() - 1
}
