//! `[battery.bms]`: who says what the cells of a battery allow.

use super::link::Link;
use crate::device::setting::Settings;

/// `[battery.bms]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bms {
    /// The name of its profile.
    pub device: String,
    /// How it is reached.
    pub link: Link,
    /// Modbus unit; the profile's where none is given.
    pub unit: Option<u8>,
    /// Poll period; 200 to 15000 ms and no longer than its profile allows, default 1000.
    pub poll_ms: u32,
    /// Most current it may be charged with where the BMS gives no limit, mA; 0 to 10000 A.
    pub max_charge_ma: Option<i32>,
    /// The same for discharging.
    pub max_discharge_ma: Option<i32>,
    /// What its profile lets one set.
    pub settings: Settings,
}
