//! What the threads say to each other. Every channel is bounded and none ever blocks its sender: a slot keeps the
//! newest value, and events beyond the bound are dropped, for then nobody takes them any more.

use super::bms_watch::Seen;
use super::charger::ChargerReport;
use crate::config::Encoding;
use crate::control::bms::Objection;
use crate::control::decision::Order;
use crate::control::input::{BatterySample, BmsSample, MeterSample, Written};
use crate::device::bms::BmsValues;
use crate::link::Counters;
use crate::link::fault::Fault;
use crate::units::Time;

/// From the tasks that own devices to the control thread.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The meter was asked.
    Meter(MeterReport),
    /// A battery was asked.
    Battery(usize, BatteryReport),
    /// A setpoint, W, is about to be sent to a battery: from now on it may be in force.
    Sending(usize, i64, Time),
    /// A battery was written.
    Written(usize, WriteReport),
    /// The BMS of a battery was asked.
    Bms(usize, Box<BmsReport>),
    /// A charger was asked.
    Charger(usize, Box<ChargerReport>),
    /// A limit was written to a charger, or may have been.
    ChargerWritten(usize, WriteReport),
    /// A thread gives signs of life, or no longer.
    Thread(String, bool),
    /// The alarm that a port of ours cannot be bound, and since when; `None`: it is over.
    Port(String, Option<Time>),
}

/// The outcome of a poll of the meter.
#[derive(Clone, PartialEq, Debug)]
pub struct MeterReport {
    /// When.
    pub at: Time,
    /// What it measured; `None`: nothing usable.
    pub sample: Option<MeterSample>,
    /// Frequency, mHz.
    pub frequency_mhz: Option<i64>,
    /// What its counters say, where they came along.
    pub energies: Energies,
    /// The profiles that are read.
    pub device: String,
    /// What went wrong.
    pub fault: Option<Fault>,
    /// The link's name and counters.
    pub link: LinkReport,
}

/// What the counters of a meter say, Wh.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Energies {
    /// Taken from the grid so far.
    pub import_wh: Option<i64>,
    /// Given to the grid so far.
    pub export_wh: Option<i64>,
}

/// The outcome of a poll of a battery.
#[derive(Clone, PartialEq, Debug)]
pub struct BatteryReport {
    /// When.
    pub at: Time,
    /// What it said; `None`: nothing usable.
    pub sample: Option<BatterySample>,
    /// Name of its state.
    pub state: Option<String>,
    /// What it reports itself.
    pub notices: Vec<String>,
    /// The profile that is read.
    pub device: String,
    /// What went wrong.
    pub fault: Option<Fault>,
    /// The link's name and counters.
    pub link: LinkReport,
}

/// The outcome of a poll of the BMS of a battery.
#[derive(Clone, PartialEq, Debug)]
pub struct BmsReport {
    /// When.
    pub at: Time,
    /// What it allows; `None`: nothing usable.
    pub sample: Option<BmsSample>,
    /// What it said, and what that means.
    pub said: Option<(BmsValues, Seen)>,
    /// The profile that is read.
    pub device: String,
    /// What went wrong.
    pub fault: Option<Fault>,
    /// The link's name and counters.
    pub link: LinkReport,
}

impl BmsReport {
    /// What a BMS that shows no sign of life says: it can only forbid.
    pub fn standing(&self) -> Option<&BmsSample> {
        self.said.as_ref().and_then(|(_, seen)| seen.standing.as_ref())
    }
}

/// The outcome of a write to a battery.
#[derive(Clone, PartialEq, Debug)]
pub struct WriteReport {
    /// When the answer was there, or the wait for it over.
    pub at: Time,
    /// What was written, as the core wants to know it; `None` for writes that are no commands.
    pub written: Option<Written>,
    /// In words, for people.
    pub what: String,
    /// What went wrong.
    pub fault: Option<Fault>,
}

/// The state of a link.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LinkReport {
    /// `192.168.1.11:502`
    pub name: String,
    /// Requests and faults so far.
    pub counters: Counters,
}

/// From the control thread to a battery: the newest wins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Instruction {
    /// What to do.
    pub order: Order,
    /// Until when it counts. Afterwards the battery's thread applies the fallback by itself.
    pub valid_until: Time,
    /// Only for a battery that stands under a command: from the watchdog, which must not be the first to command.
    pub only_if_commanded: bool,
    /// Setpoints are written in this encoding from now on, where the device leaves a choice; `None`: as before.
    pub encoding: Option<Encoding>,
    /// What its BMS has against leaving it to its own control; `None`: it may be released.
    pub objection: Option<Objection>,
}
