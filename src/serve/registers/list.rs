//! The list of our registers, the only one: what they show, who may write what, and the table in the README come from it.
//!
//! Registers 1000 to 1092 are those of reference 2, at its addresses and in its units; 2000 to 2906 are ours.

use super::remote::{REMOTE_STATES, RemoteCommand};
use super::row::{Form, MOST_W, Read, Row, Target};
use super::setting::Setting;
use super::view::{ALARM_NAMES, BALANCER_STATES, BATTERY_STATES, BalancerView, BatteryView, SITE_STATES, SiteView};

/// First register of the first battery.
pub const BATTERIES_FROM: u16 = 2100;
/// From one battery to the next.
pub const BATTERY_REGISTERS: u16 = 10;
/// So many batteries have registers.
pub const BATTERIES_MOST: usize = 64;

const MA: &str = "0.001 A";
const S: &str = "s";
const W: &str = "W";
const PERMILLE: &str = "0.1 %";

/// Every register, in the order of addresses. Those of the batteries stand here once, with the addresses of the first one.
pub static LIST: &[Row] = &[
    balancer(1000, MA, "Override: caps the limit of the load balancer at once; the charger limit until it is written", |b| b.override_ma)
        .write(Target::Override, 0, 65535),
    balancer(1001, MA, "Limit decided by the load balancer", |b| b.limit_ma),
    balancer(1002, "", "State of the load balancer", |b| b.state.code().into()).codes(&BALANCER_STATES),
    setting(1010, MA, "Charger limit: the most the charger may ever draw", Setting::ChargerLimit, 0, 65535),
    setting(1011, "", "Phases that count", Setting::Phases, 1, 3),
    setting(1012, MA, "Alarm limit", Setting::AlarmLimit, 0, 65535),
    setting(1013, S, "Alarm limit: wait", Setting::AlarmWait, 0, 254),
    setting(1014, MA, "Alarm limit: change", Setting::AlarmChange, 0, 65535),
    setting(1015, MA, "Upper limit", Setting::UpperLimit, 0, 65535),
    setting(1016, S, "Upper limit: wait", Setting::UpperWait, 0, 254),
    setting(1017, MA, "Upper limit: change", Setting::UpperChange, 0, 65535),
    setting(1018, MA, "Lower limit", Setting::LowerLimit, 0, 65535),
    setting(1019, S, "Lower limit: wait", Setting::LowerWait, 0, 254),
    setting(1020, MA, "Lower limit: change", Setting::LowerChange, 0, 65535),
    setting(1021, MA, "Fallback limit", Setting::FallbackLimit, 0, 65535),
    setting(1022, S, "Fallback time: so long without a valid current", Setting::FallbackTime, 1, 254),
    command(1090, "Our unit id, from the next 1091 on", Target::Address, 1, 247),
    command(1091, "1: check, save and apply 1010 to 1022 and 1090", Target::Save, 1, 1),
    command(1092, "1: restore what the configuration says", Target::Restore, 1, 1),
    site(2000, Form::U16, "", "Version of this map, from 2000 on", |_| Some(1)),
    site(2001, Form::U16, "", "State of the site", |s| Some(s.state as i64)).codes(&SITE_STATES),
    site(2002, Form::U16, "", "Alarms, by bit", |s| Some(s.alarms.bits.into())).codes(&ALARM_NAMES),
    site(2003, Form::U16, "", "How many alarms there are", |s| Some(s.alarms.count)),
    site(2004, Form::U16, S, "Age of the last good reading of the meter; 65535 also for more", |s| s.meter_age_s),
    remote(2005, Form::U16, "", "Remote command", |r| Some(r.state().code())).codes(&REMOTE_STATES),
    site(2006, Form::I32, W, "Grid: power of all phases, import positive", |s| s.grid_w),
    site(2008, Form::I32, W, "Grid: power of L1", |s| s.phase_w[0]),
    site(2010, Form::I32, W, "Grid: power of L2", |s| s.phase_w[1]),
    site(2012, Form::I32, W, "Grid: power of L3", |s| s.phase_w[2]),
    site(2014, Form::U32, MA, "Grid: current of L1", |s| s.phase_ma[0]),
    site(2016, Form::U32, MA, "Grid: current of L2", |s| s.phase_ma[1]),
    site(2018, Form::U32, MA, "Grid: current of L3", |s| s.phase_ma[2]),
    site(2020, Form::I32, W, "Batteries: power of those that are heard, discharge positive", |s| s.power_w),
    site(2022, Form::U16, PERMILLE, "Batteries: state of charge of those that are heard, weighted by capacity", |s| s.soc_pm),
    site(2023, Form::U32, "Wh", "Batteries: capacity of all", |s| Some(s.capacity_wh)),
    site(2025, Form::U32, W, "Batteries: allowed charge power now; 0 unless the site is in run or hold", |s| Some(s.charge_w)),
    site(2027, Form::U32, W, "Batteries: allowed discharge power now; 0 unless the site is in run or hold", |s| Some(s.discharge_w)),
    site(2029, Form::U16, "", "Batteries: permissions, by bit", |s| Some(s.permissions())).codes(&["charge", "discharge"]),
    site(2030, Form::U32, W, "Batteries: rated charge power of all", |s| Some(s.rated_charge_w)),
    site(2032, Form::U32, W, "Batteries: rated discharge power of all", |s| Some(s.rated_discharge_w)),
    site(2034, Form::U16, "", "Batteries: how many there are", |s| Some(s.batteries)),
    site(2035, Form::U16, "0.01 Hz", "Grid: frequency", |s| s.frequency_mhz.map(|mhz| mhz / 10)),
    battery(2100, Form::I32, W, "Battery: power, discharge positive", |b| b.power_w),
    battery(2102, Form::U16, PERMILLE, "Battery: state of charge", |b| b.soc_pm),
    battery(2103, Form::U16, "", "Battery: state", |b| Some(b.state as i64)).codes(&BATTERY_STATES),
    battery(2104, Form::U32, W, "Battery: allowed charge power now, as 2025", |b| Some(b.charge_w)),
    battery(2106, Form::U32, W, "Battery: allowed discharge power now, as 2027", |b| Some(b.discharge_w)),
    battery(2108, Form::U16, S, "Battery: age of its last reading; 65535 also for more", |b| b.age_s),
    battery(2109, Form::U16, "", "Battery: its own alarms, bits as in 2002", |b| Some(b.alarms.into())),
    remote(2900, Form::I32, W, "Remote: power of all batteries, discharge positive", |r| r.values().setpoint_w)
        .write(Target::Setpoint, -MOST_W, MOST_W)
        .or_none(),
    remote(2902, Form::U32, W, "Remote: most charge power of all batteries", |r| r.values().charge_limit_w)
        .write(Target::ChargeLimit, 0, MOST_W)
        .or_none(),
    remote(2904, Form::U32, W, "Remote: most discharge power of all batteries", |r| r.values().discharge_limit_w)
        .write(Target::DischargeLimit, 0, MOST_W)
        .or_none(),
    remote(2906, Form::U16, "", "Remote: heartbeat, any value other than before", |r| Some(r.heartbeat().into())).write(
        Target::Heartbeat,
        0,
        65535,
    ),
];

const fn balancer(address: u16, unit: &'static str, name: &'static str, read: fn(&BalancerView) -> i64) -> Row {
    Row::new(address, Form::U16, unit, name, Read::Balancer(read))
}

const fn setting(address: u16, unit: &'static str, name: &'static str, which: Setting, least: i64, most: i64) -> Row {
    Row::new(address, Form::U16, unit, name, Read::Setting(which)).write(Target::Setting(which), least, most)
}

const fn command(address: u16, name: &'static str, target: Target, least: i64, most: i64) -> Row {
    Row::new(address, Form::U16, "", name, Read::Never).write(target, least, most)
}

const fn site(address: u16, form: Form, unit: &'static str, name: &'static str, read: fn(&SiteView) -> Option<i64>) -> Row {
    Row::new(address, form, unit, name, Read::Site(read))
}

const fn battery(address: u16, form: Form, unit: &'static str, name: &'static str, read: fn(&BatteryView) -> Option<i64>) -> Row {
    Row::new(address, form, unit, name, Read::Battery(read))
}

const fn remote(address: u16, form: Form, unit: &'static str, name: &'static str, read: fn(&RemoteCommand) -> Option<i64>) -> Row {
    Row::new(address, form, unit, name, Read::Remote(read))
}
