//! The status document: what `sax-controller status --json` prints. Keys are a contract (`spec/status.json`): added to, never renamed.
//! `null` means unknown. Signs: import +, discharge +.

use serde::Serialize;

/// Everything there is to know about the site.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the keys are those of the contract and are listed in the README")]
pub struct Document {
    pub version: &'static str,
    pub site: Site,
    pub meter: Meter,
    pub batteries: Vec<Battery>,
    pub load_balancer: Option<()>,
    pub chargers: Vec<()>,
    /// `null` where the configuration has no `[[schedule]]`.
    pub schedule: Option<Schedule>,
    pub alarms: Vec<Alarm>,
    pub errors: std::collections::BTreeMap<String, Errors>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct Site {
    pub name: String,
    pub state: &'static str,
    pub reason: String,
    pub strategy: &'static str,
    pub balance: &'static str,
    /// Aimed at now, at the grid connection; a schedule may have changed it.
    pub grid_target_w: i64,
    pub limits: Limits,
    pub uptime_s: u64,
}

/// What is configured; `null`: no limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct Limits {
    pub import_w: Option<i64>,
    pub recharge_below_w: Option<i64>,
    pub export_w: Option<i64>,
    pub unbalance_va: Option<i64>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct Schedule {
    pub timezone: String,
    /// The window in words, `null` between the windows.
    pub active: Option<String>,
    /// What it asks for, in words.
    pub action: Option<String>,
    /// Why no window can be active: the wall clock was never set. Else empty.
    pub reason: &'static str,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct Meter {
    pub device: String,
    pub age_ms: Option<u64>,
    pub power_w: Option<i64>,
    pub frequency_hz: Option<f64>,
    pub phases: Vec<Phase>,
    pub learned: MeterLearned,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct MeterLearned {
    /// Between these ages a value is when it arrives.
    pub window_ms: [u64; 2],
    /// Over how long the meter averages.
    pub averaging_ms: u64,
    /// What the window stands on; 0: nothing is learned yet, it is the one to start with.
    pub movements: u32,
}

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct BatteryLearned {
    /// What its power reading is multiplied by to agree with the meter.
    pub scale: f64,
    /// The longest time from a command to the movement.
    pub response_ms: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct Phase {
    pub phase: String,
    pub power_w: Option<i64>,
    pub current_a: Option<f64>,
    pub voltage_v: Option<f64>,
    pub fuse_headroom_a: Option<f64>,
    /// Age of the values of the phases; they are read more rarely than the total.
    pub age_ms: Option<u64>,
    /// Net load: what the house draws without the batteries.
    pub load_w: Option<i64>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct Battery {
    pub name: String,
    pub device: String,
    pub role: &'static str,
    pub phase: String,
    pub state: String,
    pub age_ms: Option<u64>,
    pub soc_pct: Option<f64>,
    pub power_w: Option<i64>,
    pub setpoint_w: Option<i64>,
    pub charge_limit_w: Option<i64>,
    pub discharge_limit_w: Option<i64>,
    pub limited_by: String,
    /// Why it was told what it was told, also when nothing limits it.
    pub reason: String,
    pub writes: u64,
    /// The last write in words, and its age.
    pub last_write: Option<String>,
    pub last_write_age_ms: Option<u64>,
    pub bms: Option<()>,
    pub learned: BatteryLearned,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct Alarm {
    pub name: String,
    pub since_s: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct Errors {
    pub requests: u64,
    pub timeout: u64,
    pub crc: u64,
    pub short: u64,
    pub wrong_unit: u64,
    pub exception: u64,
    pub invalid: u64,
    pub io: u64,
}

/// A value in thousandths as a number with decimals.
pub fn thousandths(value: i64) -> f64 {
    value as f64 / 1000.0
}
