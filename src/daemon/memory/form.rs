//! What stands in the file, and what of it is believed.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::config::{Config, Link, MeterSource, TelegramLink};
use crate::control::learned::{BatteryLearned, Learned};
use crate::control::site::Window;
use crate::daemon::state_file::form;
use crate::units::Span;

/// Of this form; another one is dropped.
const VERSION: u32 = 1;
/// A meter later than this is not controlled by (spec/control.md 3.8: no limit cycle up to 15 s), ms.
const LATEST_MS: u64 = 16_000;
/// Batteries seen in the field react within 30 s (spec/control.md 1.1); twice that is nonsense, ms.
const SLOWEST_MS: u64 = 60_000;
/// Power readings are off by 15 % at most (spec/control.md 0), per mille.
const SCALE_PM: std::ops::RangeInclusive<i64> = 850..=1150;

/// Why a file is dropped: the end of a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Unusable {
    /// The operating system does not give it.
    Unreadable(String),
    /// It is no JSON, or not ours.
    Malformed(String),
    /// It was written by another release.
    Version(u64),
    /// It is about other devices; the first line that differs.
    Devices(String),
    /// A value that cannot be.
    OutOfRange(&'static str),
    /// It lists other batteries than the devices that it names.
    Batteries,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unusable::Unreadable(error) => write!(f, "it cannot be read: {error}."),
            Unusable::Malformed(error) => write!(f, "it is damaged: {error}."),
            Unusable::Version(found) => write!(f, "its form is version {found}, and this release has version {VERSION}."),
            Unusable::Devices(line) => write!(f, "the configuration's devices have changed: {line}."),
            Unusable::OutOfRange(what) => write!(f, "its {what} is out of range."),
            Unusable::Batteries => f.write_str("its batteries are not those of its devices."),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    version: u32,
    /// What identifies the devices.
    devices: Vec<String>,
    window_ms: [u64; 2],
    averaging_ms: u64,
    movements: u32,
    batteries: Vec<BatteryForm>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BatteryForm {
    /// For people; the order is that of the configuration.
    name: String,
    scale_pm: i64,
    response_ms: Option<u64>,
}

/// What makes meter and batteries those that something was learned about, a line each: not how often they are polled, nor what they may do.
pub fn devices(config: &Config) -> Vec<String> {
    let place = |link: &Link, unit: Option<u8>| {
        let unit = unit.map_or_else(|| "the profile's unit".to_owned(), |unit| format!("unit {unit}"));
        format!("{link} {unit}")
    };
    let meter = config.meter.iter().map(|meter| match &meter.source {
        MeterSource::Battery { index } => {
            let name = config.batteries.get(*index).map_or("", |b| b.name.as_str());
            format!("meter: {} through battery {name:?}", meter.device)
        }
        MeterSource::Telegrams { link: TelegramLink::Serial(serial), .. } => format!("meter: {} at {}", meter.device, serial.port),
        MeterSource::Telegrams { link: TelegramLink::Tcp { host, port }, .. } => format!("meter: {} at {host}:{port}", meter.device),
        MeterSource::Own { link, unit } => format!("meter: {} at {}", meter.device, place(link, *unit)),
    });
    let batteries = config.batteries.iter().map(|b| {
        let (place, encoding) = (place(&b.link, b.unit), b.setpoint_encoding.name());
        format!("battery {:?}: {} at {place}, phase {}, {encoding}", b.name, b.device, b.phase)
    });
    meter.chain(batteries).collect()
}

pub(super) fn to_text(learned: &Learned, devices: &[String], names: &[String]) -> String {
    let battery = |(b, name): (&BatteryLearned, &String)| BatteryForm {
        name: name.clone(),
        scale_pm: b.scale_pm,
        response_ms: b.response.map(Span::as_ms),
    };
    let form = Form {
        version: VERSION,
        devices: devices.to_vec(),
        window_ms: [learned.window.lo.as_ms(), learned.window.hi.as_ms()],
        averaging_ms: learned.averaging.as_ms(),
        movements: learned.movements,
        batteries: learned.batteries.iter().zip(names).map(battery).collect(),
    };
    // Strings and integers always become JSON.
    serde_json::to_string_pretty(&form).unwrap_or_default() + "\n"
}

pub(super) fn from_text(text: &str, devices: &[String], names: &[String]) -> Result<Learned, Unusable> {
    let form: Form = form(text, VERSION, Unusable::Malformed, Unusable::Version)?;
    if let Some(line) = first_difference(&form.devices, devices) {
        return Err(Unusable::Devices(line));
    }
    if form.batteries.iter().map(|b| &b.name).ne(names) {
        return Err(Unusable::Batteries);
    }
    let [lo_ms, hi_ms] = form.window_ms;
    let window = Window { lo: Span::from_ms(lo_ms), hi: Span::from_ms(hi_ms) };
    let faults = [
        ("window_ms", lo_ms > hi_ms || hi_ms > LATEST_MS || hi_ms == 0),
        ("movements", form.movements == 0 && (lo_ms > 0 || window.hi < Window::PRIOR.hi)),
        ("averaging_ms", form.averaging_ms > LATEST_MS),
        ("scale_pm", form.batteries.iter().any(|b| !SCALE_PM.contains(&b.scale_pm))),
        ("response_ms", form.batteries.iter().any(|b| b.response_ms.is_some_and(|ms| ms > SLOWEST_MS))),
    ];
    if let Some((what, _)) = faults.iter().find(|fault| fault.1) {
        return Err(Unusable::OutOfRange(what));
    }
    let battery = |b: &BatteryForm| BatteryLearned { scale_pm: b.scale_pm, response: b.response_ms.map(Span::from_ms) };
    Ok(Learned {
        window,
        averaging: Span::from_ms(form.averaging_ms),
        movements: form.movements,
        batteries: form.batteries.iter().map(battery).collect(),
    })
}

fn first_difference(before: &[String], now: &[String]) -> Option<String> {
    let come = now.iter().find(|line| !before.contains(line)).map(|line| format!("there is now {line}"));
    let gone = || before.iter().find(|line| !now.contains(line)).map(|line| format!("there was {line}"));
    let turned = || (before != now).then(|| "their order is another".to_owned());
    come.or_else(gone).or_else(turned)
}
