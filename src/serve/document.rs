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
    /// `null` where the configuration has no `[load_balancer]`.
    pub load_balancer: Option<LoadBalancer>,
    pub chargers: Vec<Charger>,
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
    /// `null` where the configuration has no `[server]`.
    pub remote: Option<Remote>,
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

/// What another controller asks for, over our registers.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct Remote {
    /// "none", "active", "waiting for the heartbeat" or "dropped".
    pub state: &'static str,
    /// Of all batteries; `null`: not asked for.
    pub setpoint_w: Option<i64>,
    pub charge_limit_w: Option<i64>,
    pub discharge_limit_w: Option<i64>,
    /// `null`: it has not changed within the timeout.
    pub heartbeat_age_s: Option<u64>,
    pub heartbeat_timeout_s: u64,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct LoadBalancer {
    /// 0 normal, 1 lower limit, 2 upper limit, 3 alarm limit, 4 fallback.
    pub state: u16,
    pub state_name: &'static str,
    /// What all chargers together may draw on a phase.
    pub limit_a: f64,
    /// The cap of register 1000.
    pub override_a: f64,
    pub charger_limit_a: f64,
    /// Of the phases that count; `null`: not known.
    pub largest_current_a: Option<f64>,
    /// What comes before the next step, in words; empty: nothing.
    pub waits_for: &'static str,
    /// How much longer, where that is a matter of time.
    pub wait_s: Option<u8>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct Charger {
    pub name: String,
    pub device: String,
    pub state: String,
    /// What it is told; 0: paused.
    pub limit_a: f64,
    pub current_a: [Option<f64>; 3],
    pub power_w: Option<i64>,
    /// Energy of the session.
    pub session_wh: Option<i64>,
    /// Why it is told what it is told.
    pub reason: String,
    pub age_ms: Option<u64>,
    pub writes: u64,
    pub last_write: Option<String>,
    pub last_write_age_ms: Option<u64>,
    pub notices: Vec<String>,
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
    /// What the meter counted so far; `null` where it does not say.
    pub import_wh: Option<i64>,
    pub export_wh: Option<i64>,
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
    /// `null` where it has none.
    pub bms: Option<BmsStatus>,
    pub learned: BatteryLearned,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "see Document")]
pub struct BmsStatus {
    pub device: String,
    /// "Normal" or "Disconnected".
    pub state: &'static str,
    /// Why the newest poll brought nothing; empty: it did.
    pub fault: String,
    /// Of the newest answer that counts.
    pub age_ms: Option<u64>,
    pub soc_pct: Option<f64>,
    pub soh_pct: Option<f64>,
    pub voltage_v: Option<f64>,
    /// Discharge positive.
    pub current_a: Option<f64>,
    /// With what the configuration allows.
    pub charge_limit_a: Option<f64>,
    pub discharge_limit_a: Option<f64>,
    pub charge_allowed: Option<bool>,
    pub discharge_allowed: Option<bool>,
    pub cell_voltage_max_v: Option<f64>,
    pub cell_voltage_min_v: Option<f64>,
    pub cell_temperature_max_c: Option<i64>,
    pub cell_temperature_min_c: Option<i64>,
    /// Counted on where its 16 bits wrap.
    pub counters: std::collections::BTreeMap<String, u64>,
    /// How far its clock is ahead of ours, beside its time zone.
    pub clock_drift_s: Option<i64>,
    /// Its status registers in words.
    pub status: std::collections::BTreeMap<String, String>,
    pub notices: Vec<String>,
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
