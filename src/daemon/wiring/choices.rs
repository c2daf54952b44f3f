//! Which register banks a device of the configuration may have, and what each of them is used for.

use std::sync::Arc;

use super::facts::takes_both;
use crate::config::{self, ControlMode, Link};
use crate::daemon::bank_choice::{BankChoice, BatteryBank};
use crate::device::library::Library;
use crate::device::parse::Device;
use crate::device::profile::Profile;
use crate::device::setting;
use crate::units::Span;

/// The banks of a battery, those first that can be told what this one is told.
pub(super) fn battery_bank(b: &config::Battery, library: &Library) -> BatteryBank {
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
pub(super) struct Names {
    pub(super) battery: Vec<String>,
    pub(super) total: Vec<String>,
    pub(super) phases: Vec<String>,
}

/// The register banks behind the name of a device, with their settings, and what each is used for.
pub(super) fn banks(library: &Library, device: &str, unit: Option<u8>, link: &Link, settings: &setting::Settings) -> (BankChoice, Names) {
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
