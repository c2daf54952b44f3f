//! Which simulated devices stand for those of a configuration: SAX batteries by hand, everything else by its profile.
//!
//! Only decides; the devices are in [`plant`](crate::plant). Nothing that is in the configuration is connected to.

use std::sync::Arc;

use crate::config::{self, Config, Link, MeterSource};
use crate::daemon::wiring::{EndpointPlan, Plan};
use crate::device::library::Library;
use crate::device::profile::Profile;
use crate::link::place::Place;
use crate::plant::battery_params::BatteryParams;
use crate::plant::car::CarParams;
use crate::plant::charger::ChargerParams;
use crate::plant::day::DAY_S;
use crate::plant::device::{DeviceParams, Serves};
use crate::plant::house::House;
use crate::units::Span;

/// A device with a heartbeat waits at least this long for the next beat (facts/devices.md 1.3: the controller writes 10 s).
const LEAST_PATIENCE: Span = Span::from_s(10);
/// A management system whose heartbeat has no timeout by definition (facts/devices.md 4.5) is given this one.
const BMS_PATIENCE: Span = Span::from_s(10);

/// The devices of this configuration that answer by their profile. Those at endpoint `e` of the plan are on the host with the number of
/// batteries plus `e`, or on that of a SAX battery which is at the same place.
pub fn devices(config: &Config, plan: &Plan, library: &Library) -> Vec<DeviceParams> {
    let mut devices = Vec::new();
    let sax: Vec<_> = config.batteries.iter().map(|b| is_sax(library, &b.device).then(|| b.link.place())).collect();
    let host = |link: &Link| host(&sax, &plan.endpoints, &link.place());
    for (k, battery) in config.batteries.iter().enumerate().filter(|(_, b)| !is_sax(library, &b.device)) {
        for profile in library.banks(&banks(library, &battery.device)) {
            let profile = profile.with_settings(&battery.settings);
            let offset = profile.setpoint.as_ref().and_then(|s| s.encodings.iter().find(|e| e.0 == battery.setpoint_encoding.name()));
            devices.push(DeviceParams {
                host: host(&battery.link),
                unit: battery.unit.unwrap_or(profile.unit),
                offset: offset.map_or(0, |e| e.1),
                patience_ms: patience(&profile).as_ms(),
                serves: Serves::Battery(k),
                profile: Arc::new(profile),
            });
        }
    }
    for (k, bms) in config.batteries.iter().enumerate().filter_map(|(k, b)| Some((k, b.bms.as_ref()?))) {
        for profile in library.banks(&banks(library, &bms.device)) {
            let profile = Arc::new(profile.with_settings(&bms.settings));
            let (unit, patience_ms) = (bms.unit.unwrap_or(profile.unit), BMS_PATIENCE.as_ms());
            devices.push(DeviceParams { host: host(&bms.link), unit, profile, serves: Serves::Bms(k), offset: 0, patience_ms });
        }
    }
    for (k, charger) in config.chargers.iter().enumerate() {
        if let Some(profile) = library.profile(&charger.device) {
            let profile = Arc::new(profile.with_settings(&charger.settings));
            let (unit, serves) = (charger.unit.unwrap_or(profile.unit), Serves::Charger(k));
            devices.push(DeviceParams { host: host(&charger.link), unit, profile, serves, offset: 0, patience_ms: 0 });
        }
    }
    devices.extend(config.meter.iter().flat_map(|meter| of_meter(meter, library, &host)));
    devices
}

/// The chargers of this configuration, each with a car: that of the reference day, or one that wants energy from early on. Further cars come
/// home later.
pub fn chargers(config: &Config, house: &House) -> Vec<ChargerParams> {
    let car = match house {
        House::Day(day) => CarParams {
            plug_ms: u64::try_from(day.plug_s).unwrap_or(0) * 1000,
            need_wh: day.need_wh.into(),
            again_ms: Some(DAY_S as u64 * 1000),
            ..CarParams::default()
        },
        _ => CarParams { plug_ms: 5_000, resume_ms: 10_000, ..CarParams::default() },
    };
    let later = |k: usize| CarParams { plug_ms: car.plug_ms + k as u64 * 60_000, ..car.clone() };
    (0..config.chargers.len()).map(|k| ChargerParams { car: later(k), ..ChargerParams::default() }).collect()
}

/// Where the configuration has what stands on each host of the site; `None` for a host that nobody asks.
pub fn places(config: &Config, plan: &Plan, library: &Library) -> Vec<Option<Place>> {
    let devices = devices(config, plan, library);
    let used = |host: usize| devices.iter().any(|d| d.host == host);
    let sax = config.batteries.iter().map(|b| is_sax(library, &b.device).then(|| b.link.place()));
    let own = config.batteries.len();
    sax.chain(plan.endpoints.iter().enumerate().map(|(e, endpoint)| used(own + e).then(|| endpoint.place.clone()))).collect()
}

/// The hosts that are serial buses.
pub fn buses(config: &Config, plan: &Plan, library: &Library) -> Vec<usize> {
    let places = places(config, plan, library);
    places.iter().enumerate().filter(|(_, place)| matches!(place, Some(Place::Rtu(_)))).map(|(host, _)| host).collect()
}

/// A meter behind a battery is in the registers of that battery, where it is a SAX battery.
fn of_meter(meter: &config::Meter, library: &Library, host: &dyn Fn(&Link) -> usize) -> Vec<DeviceParams> {
    let MeterSource::Own { link, unit } = &meter.source else { return Vec::new() };
    let names = banks(library, &meter.device);
    let profiles = library.banks(&names).map(|p| Arc::new(p.with_settings(&meter.settings)));
    let device = |profile: Arc<Profile>| DeviceParams {
        host: host(link),
        unit: unit.unwrap_or(profile.unit),
        profile,
        serves: Serves::Meter,
        offset: 0,
        patience_ms: 0,
    };
    profiles.map(device).collect()
}

/// Makes a battery behave as its profile supposes: how long a setpoint holds, and whether it balances by itself without one.
pub fn like_its_profile(params: BatteryParams, device: &str, library: &Library) -> BatteryParams {
    if is_sax(library, device) {
        return params;
    }
    let names = banks(library, device);
    let hold = library.banks(&names).map(patience).max().unwrap_or(LEAST_PATIENCE);
    BatteryParams {
        setpoint_timeout_s: u16::try_from(hold.as_ms() / 1000).unwrap_or(u16::MAX),
        own_meter: library.banks(&names).any(|p| p.limits.is_some()),
        ..params
    }
}

/// Three refreshes of the setpoint: one may be lost, and the next one be late.
fn patience(profile: &Profile) -> Span {
    profile.setpoint.as_ref().map_or(LEAST_PATIENCE, |s| s.refresh.times(3)).max(LEAST_PATIENCE)
}

/// Whether the SAX battery made by hand stands for this device: it bears the name of one, and nobody has put another profile in its place.
pub fn is_sax(library: &Library, device: &str) -> bool {
    let built_in = || Library::built_in().ok();
    (device == "sax" || device.starts_with("sax-")) && built_in().is_some_and(|own| own.find(device) == library.find(device))
}

/// The names of the banks of a device.
fn banks(library: &Library, device: &str) -> Vec<String> {
    match library.find(device) {
        Some(crate::device::parse::Device::Choice(choice)) => choice.probe.clone(),
        _ => vec![device.to_owned()],
    }
}

fn host(sax: &[Option<Place>], endpoints: &[EndpointPlan], place: &Place) -> usize {
    if let Some(k) = sax.iter().position(|s| s.as_ref() == Some(place)) {
        return k;
    }
    sax.len() + endpoints.iter().position(|e| e.place == *place).unwrap_or(endpoints.len())
}
