//! Registers 1010 to 1022: where each of them stands in the settings of the load balancer.

use crate::balancer::Settings;

/// One setting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the fields of `balancer::Settings`")]
pub enum Setting {
    ChargerLimit,
    Phases,
    AlarmLimit,
    AlarmWait,
    AlarmChange,
    UpperLimit,
    UpperWait,
    UpperChange,
    LowerLimit,
    LowerWait,
    LowerChange,
    FallbackLimit,
    FallbackTime,
}

enum Place<'a> {
    Current(&'a mut u32),
    Count(&'a mut u8),
}

impl Setting {
    /// Its value, mA or a plain number.
    pub fn of(self, settings: &Settings) -> u32 {
        match self.place(&mut { *settings }) {
            Place::Current(ma) => *ma,
            Place::Count(count) => (*count).into(),
        }
    }

    /// Sets it to what was written.
    pub fn set(self, settings: &mut Settings, written: u16) {
        match self.place(settings) {
            Place::Current(ma) => *ma = unless_the_same(*ma, written),
            Place::Count(count) => *count = u8::try_from(written).unwrap_or(u8::MAX),
        }
    }

    fn place(self, s: &mut Settings) -> Place<'_> {
        match self {
            Setting::ChargerLimit => Place::Current(&mut s.charger_limit_ma),
            Setting::Phases => Place::Count(&mut s.phases),
            Setting::AlarmLimit => Place::Current(&mut s.alarm.limit_ma),
            Setting::AlarmWait => Place::Count(&mut s.alarm.wait_s),
            Setting::AlarmChange => Place::Current(&mut s.alarm.change_ma),
            Setting::UpperLimit => Place::Current(&mut s.upper.limit_ma),
            Setting::UpperWait => Place::Count(&mut s.upper.wait_s),
            Setting::UpperChange => Place::Current(&mut s.upper.change_ma),
            Setting::LowerLimit => Place::Current(&mut s.lower.limit_ma),
            Setting::LowerWait => Place::Count(&mut s.lower.wait_s),
            Setting::LowerChange => Place::Current(&mut s.lower.change_ma),
            Setting::FallbackLimit => Place::Current(&mut s.fallback_limit_ma),
            Setting::FallbackTime => Place::Count(&mut s.fallback_time_s),
        }
    }
}

/// What a current of `before_ma` is when `written` is written: a register has room for 65.535 A only, so whoever writes back what he has
/// read does not change a larger one.
pub fn unless_the_same(before_ma: u32, written: u16) -> u32 {
    if written == u16::MAX { before_ma.max(written.into()) } else { written.into() }
}
