//! The settings of the load balancer: registers 1010 to 1022, and `[load_balancer]`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is done about a current beyond a limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The limit, mA.
    pub limit_ma: u32,
    /// Seconds from seeing it to doing something about it, 0 to 254.
    pub wait_s: u8,
    /// By how much the charger's limit is changed then, mA.
    pub change_ma: u32,
}

/// All settings.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How many phases count, from L1 on: 1 to 3.
    pub phases: u8,
    /// The most the charger may ever draw, mA.
    pub charger_limit_ma: u32,
    /// Above it the limit falls by much.
    pub alarm: Step,
    /// Above it the limit falls.
    pub upper: Step,
    /// At or below it the limit rises.
    pub lower: Step,
    /// The limit without valid currents, mA.
    pub fallback_limit_ma: u32,
    /// Seconds without valid currents until then, 1 to 254.
    pub fallback_time_s: u8,
}

impl Default for Settings {
    /// Reference 2: an 11 kW charger on three phases of 25 A.
    fn default() -> Settings {
        Settings {
            phases: 3,
            charger_limit_ma: 16_000,
            alarm: Step { limit_ma: 24_000, wait_s: 1, change_ma: 12_500 },
            upper: Step { limit_ma: 22_000, wait_s: 5, change_ma: 1_000 },
            lower: Step { limit_ma: 19_000, wait_s: 1, change_ma: 1_000 },
            fallback_limit_ma: 0,
            fallback_time_s: 30,
        }
    }
}

/// Settings that contradict each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SettingsFault {
    /// The charger may draw nothing at all.
    ChargerLimit,
    /// The lower limit is not below the upper one.
    LowerNotBelowUpper,
    /// The upper limit is not below the alarm limit.
    UpperNotBelowAlarm,
    /// An alarm would not lower the limit.
    AlarmChange,
}

impl fmt::Display for SettingsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SettingsFault::ChargerLimit => "the charger limit is 0, and nothing could ever be charged",
            SettingsFault::LowerNotBelowUpper => "the lower limit must be below the upper limit",
            SettingsFault::UpperNotBelowAlarm => "the upper limit must be below the alarm limit",
            SettingsFault::AlarmChange => "the alarm change is 0, and an alarm would change nothing",
        })
    }
}

impl Settings {
    /// The first contradiction.
    pub fn fault(&self) -> Option<SettingsFault> {
        if self.charger_limit_ma == 0 {
            Some(SettingsFault::ChargerLimit)
        } else if self.lower.limit_ma >= self.upper.limit_ma {
            Some(SettingsFault::LowerNotBelowUpper)
        } else if self.upper.limit_ma >= self.alarm.limit_ma {
            Some(SettingsFault::UpperNotBelowAlarm)
        } else if self.alarm.change_ma == 0 {
            Some(SettingsFault::AlarmChange)
        } else {
            None
        }
    }
}
