//! `[meter]`: the one meter at the grid connection.

use std::net::SocketAddr;

use super::battery::BatteryDraft;
use super::devices::{self, Devices, Known, Use};
use super::ladder::DEFAULT_POLL_MS;
use super::later;
use super::link::{self, Link};
use super::reader::{At, Section, Spanned};
use super::settings;
use crate::device::setting::Settings;
use crate::link::place::Serial;

/// `[meter]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meter {
    /// The name of its profile.
    pub device: String,
    /// How it is read.
    pub source: MeterSource,
    /// Period of total power and frequency; 200 to 60000 ms, default 5000.
    pub poll_ms: u32,
    /// Period of the values per phase; from `poll_ms` to 60000 ms, default 30000.
    pub phase_poll_ms: u32,
    /// What its profile lets one set.
    pub settings: Settings,
}

/// How the meter is read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MeterSource {
    /// Through a battery, over its link.
    Battery {
        /// Its index in [`super::Config::batteries`].
        index: usize,
    },
    /// Over a link of its own, or one that it shares with a device at the same address.
    Own {
        /// Where it is.
        link: Link,
        /// Modbus unit; the profile's where none is given.
        unit: Option<u8>,
    },
    /// It sends telegrams by itself (P1).
    Telegrams {
        /// Where they come from.
        link: TelegramLink,
        /// Where other readers get them as received.
        forward: Option<SocketAddr>,
    },
}

/// Where telegrams come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TelegramLink {
    /// `link.serial`
    Serial(Serial),
    /// `link.tcp`: a serial server.
    Tcp {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
}

/// `[meter]`, and places in it.
pub(super) struct MeterDraft {
    pub device: Option<Known>,
    /// The battery that is named.
    pub battery: Option<Spanned<String>>,
    link: Option<Spanned<Link>>,
    unit: Option<u8>,
    pub poll_ms: u32,
    pub poll_at: Option<At>,
    phase_poll_ms: u32,
    settings: Settings,
    pub at: At,
}

impl MeterDraft {
    /// Whether it is read through a battery.
    pub fn via_battery(&self) -> bool {
        self.device.as_ref().is_some_and(|device| device.facts.via_battery)
    }

    /// The battery it is read through: the one named, else the master, else the only one there is.
    pub fn battery_index(&self, batteries: &[BatteryDraft]) -> Option<usize> {
        let sax = |draft: &BatteryDraft| draft.device.as_ref().is_none_or(Known::is_sax);
        match &self.battery {
            Some(name) => batteries.iter().position(|draft| draft.battery.name == name.value),
            None => batteries.iter().position(|draft| sax(draft) && draft.is_master()),
        }
    }

    /// What the drafts mean, once they were checked.
    pub fn resolve(self, batteries: &[BatteryDraft]) -> Meter {
        let index = self.battery_index(batteries).unwrap_or_default();
        let source = match self.link {
            Some(link) => MeterSource::Own { link: link.value, unit: self.unit },
            None => MeterSource::Battery { index },
        };
        let device = self.device.map(|device| device.name).unwrap_or_default();
        Meter { device, source, poll_ms: self.poll_ms, phase_poll_ms: self.phase_poll_ms, settings: self.settings }
    }
}

pub(super) fn read(root: &mut Section<'_>, devices: &dyn Devices) -> Option<MeterDraft> {
    let mut section = root.section("meter")?;
    let s = &mut section;
    let device = devices::read(s, devices, Use::Meter).map(Spanned::get);
    let via_battery = device.as_ref().is_some_and(|device| device.facts.via_battery);
    let battery = s.string("battery");
    let unit = s.integer("unit", 0..=255u8);
    let poll = s.integer("poll_ms", 200..=60_000u32);
    let poll_ms = poll.map_or(DEFAULT_POLL_MS, Spanned::get);
    let mut link = None;
    if device.is_none() {
        link::check_only(s);
    } else if via_battery {
        refuse_own_link(s, unit.map(|unit| unit.at));
    } else {
        link = link::read(s, device.as_ref().and_then(|device| device.facts.tcp_port), poll_ms);
        if let Some(battery) = &battery {
            s.add(battery.at, "battery", "this meter is not read through a battery.");
        }
    }
    let phase_poll = s.integer("phase_poll_ms", 200..=60_000u32);
    if let Some(phase_poll) = phase_poll.filter(|phase_poll| phase_poll.value < poll_ms) {
        s.add(phase_poll.at, "phase_poll_ms", format!("{} is shorter than poll_ms, which is {poll_ms}.", phase_poll.value));
    }
    let settings = settings::read(s, device.as_ref().map(|device| &device.facts));
    let forward = later::listener(s, "forward");
    later::refuse_key(s, "forward", forward);
    let at = s.at();
    section.finish();
    Some(MeterDraft {
        device,
        battery: battery.filter(|_| via_battery),
        link,
        unit: unit.map(Spanned::get),
        poll_ms,
        poll_at: poll.map(|poll| poll.at),
        phase_poll_ms: phase_poll.map_or(poll_ms.max(30_000), Spanned::get),
        settings,
        at,
    })
}

impl MeterDraft {
    /// The Modbus link it has for itself, and the unit that the file names.
    pub fn own_link(&self) -> Option<(&Spanned<Link>, Option<u8>)> {
        self.link.as_ref().map(|link| (link, self.unit))
    }
}

/// A meter behind a battery has no link of its own.
fn refuse_own_link(section: &mut Section<'_>, unit: Option<At>) {
    let message = "this meter is read through a battery, over the link of that.";
    if let Some(link) = section.section("link") {
        section.add(link.at(), "link", message);
    }
    if let Some(at) = unit {
        section.add(at, "unit", message);
    }
}
