//! What the registers show: everything that goes into them, as numbers; and the registers made of it.

use super::list::{BATTERIES_MOST, BATTERY_REGISTERS, LIST};
use super::remote::RemoteCommand;
use super::row::{Form, Read, Row};
use crate::balancer::{Settings, State};
use crate::serve::image::Image;

/// Codes of [`SiteState`].
pub const SITE_STATES: [&str; 6] = ["init", "run", "hold", "ramp", "fallback", "observe"];
/// Codes of [`BatteryState`].
pub const BATTERY_STATES: [&str; 3] = ["no answer", "in use", "answers, but is left out"];
/// Codes of the load balancer's states.
pub const BALANCER_STATES: [&str; 5] = ["normal", "lower limit", "upper limit", "alarm limit", "fallback"];

/// Where the site stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "the states of the ladder, and the strategy that writes nothing")]
pub enum SiteState {
    #[default]
    Init,
    Run,
    Hold,
    Ramp,
    Fallback,
    Observe,
}

impl SiteState {
    /// The batteries are told what the site needs.
    pub fn is_working(self) -> bool {
        matches!(self, SiteState::Run | SiteState::Hold)
    }
}

/// What can be said about one battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BatteryState {
    /// It is not heard.
    #[default]
    NoAnswer,
    /// It is counted on.
    InUse,
    /// It is heard, but not counted on.
    LeftOut,
}

/// One bit of register 2002.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "see ALARM_NAMES")]
pub enum AlarmBit {
    MeterLost,
    MeterFrozen,
    MeterImplausible,
    FuseOverload,
    BatteryLost,
    NotFollowed,
    WritesFail,
    SignWrong,
    PhaseWrong,
    BmsLost,
    ThreadDead,
    Charger,
    RemoteLost,
    OwnMessage,
}

/// What the bits of register 2002 mean.
pub const ALARM_NAMES: [&str; 14] = [
    "meter lost",
    "meter frozen",
    "meter implausible",
    "fuse overload",
    "battery lost",
    "command not followed",
    "writes fail",
    "wrong sign",
    "wrong phase",
    "BMS lost",
    "thread without sign of life",
    "charger",
    "remote heartbeat lost",
    "message of a battery or BMS",
];

impl AlarmBit {
    /// The bit as a number.
    pub fn mask(self) -> u16 {
        1 << self as u16
    }
}

/// The alarms of the site.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Alarms {
    /// One for each kind of which there are any.
    pub bits: u16,
    /// How many in all.
    pub count: i64,
}

impl Alarms {
    /// Adds `count` of a kind.
    pub fn add(&mut self, bit: AlarmBit, count: usize) {
        if count > 0 {
            self.bits |= bit.mask();
            self.count = self.count.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }
}

/// The site.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "see the list: one field for each register; `None` is unknown")]
pub struct SiteView {
    pub state: SiteState,
    pub alarms: Alarms,
    pub meter_age_s: Option<i64>,
    pub grid_w: Option<i64>,
    pub phase_w: [Option<i64>; 3],
    pub phase_ma: [Option<i64>; 3],
    pub frequency_mhz: Option<i64>,
    pub power_w: Option<i64>,
    pub soc_pm: Option<i64>,
    pub capacity_wh: i64,
    pub charge_w: i64,
    pub discharge_w: i64,
    pub rated_charge_w: i64,
    pub rated_discharge_w: i64,
    pub batteries: i64,
}

impl SiteView {
    /// Register 2029.
    pub fn permissions(&self) -> i64 {
        i64::from(self.charge_w > 0) | i64::from(self.discharge_w > 0) << 1
    }
}

/// One battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "see the list: one field for each register; `None` is unknown")]
pub struct BatteryView {
    pub power_w: Option<i64>,
    pub soc_pm: Option<i64>,
    pub state: BatteryState,
    pub charge_w: i64,
    pub discharge_w: i64,
    pub age_s: Option<i64>,
    pub alarms: u16,
}

/// The load balancer at work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "see the list: one field for each register")]
pub struct BalancerView {
    pub override_ma: i64,
    pub limit_ma: i64,
    pub state: State,
}

/// Everything that registers show.
pub(super) struct View<'a> {
    pub unit: u8,
    /// With the staged settings; `None` without a load balancer.
    pub balancer: Option<(BalancerView, Settings)>,
    pub site: &'a SiteView,
    pub batteries: &'a [BatteryView],
    pub remote: &'a RemoteCommand,
}

impl View<'_> {
    /// The registers that show this.
    pub fn image(&self) -> Image {
        let mut ranges = Ranges(Vec::with_capacity(8));
        for rows in LIST.chunk_by(|a, b| a.is_of_battery() == b.is_of_battery()) {
            if rows.first().is_some_and(Row::is_of_battery) {
                self.push_batteries(rows, &mut ranges);
                continue;
            }
            for row in rows {
                if let Some(contents) = self.contents(row) {
                    ranges.push(row.address, row.form, contents);
                }
            }
        }
        Image { unit: self.unit, ranges: ranges.0 }
    }

    fn push_batteries(&self, rows: &[Row], ranges: &mut Ranges) {
        let mut offset = 0;
        for battery in self.batteries.iter().take(BATTERIES_MOST) {
            for row in rows {
                if let Read::Battery(read) = row.read {
                    ranges.push(row.address + offset, row.form, row.form.contents(read(battery)));
                }
            }
            offset += BATTERY_REGISTERS;
        }
    }

    /// What stands in a register; `None` where it does not exist or cannot be read.
    fn contents(&self, row: &Row) -> Option<u32> {
        let number = match row.read {
            Read::Never | Read::Battery(_) => return None,
            Read::Balancer(read) => Some(read(&self.balancer.as_ref()?.0)),
            Read::Setting(setting) => Some(setting.of(&self.balancer.as_ref()?.1).into()),
            Read::Site(read) => read(self.site),
            Read::Remote(read) => read(self.remote),
        };
        Some(row.form.contents(number))
    }
}

/// Room for the longest range but that of many batteries.
const RANGE_ROOM: usize = 40;

struct Ranges(Vec<(u16, Vec<u16>)>);

impl Ranges {
    /// Appends to the last range where it ends at `address`, and begins another one where it does not.
    fn push(&mut self, address: u16, form: Form, contents: u32) {
        let follows = |(first, words): &&mut (u16, Vec<u16>)| usize::from(*first) + words.len() == usize::from(address);
        let words = match self.0.last_mut().filter(follows) {
            Some((_, words)) => words,
            None => {
                self.0.push((address, Vec::with_capacity(RANGE_ROOM)));
                let Some((_, words)) = self.0.last_mut() else { return };
                words
            }
        };
        if form != Form::U16 {
            words.push((contents >> 16) as u16);
        }
        words.push(contents as u16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_states() {
        let states = [State::Normal, State::Lower, State::Upper, State::Alarm, State::Fallback];
        assert!(states.iter().all(|s| BALANCER_STATES[usize::from(s.code())] == s.name()));
        assert_eq!(ALARM_NAMES[AlarmBit::OwnMessage as usize], "message of a battery or BMS");
        assert_eq!(SITE_STATES[SiteState::Observe as usize], "observe");
        assert_eq!(BATTERY_STATES[BatteryState::LeftOut as usize], "answers, but is left out");
    }
}
