//! `[meter]`: the one meter at the grid connection.

use std::net::SocketAddr;

use super::battery::BatteryDraft;
use super::devices::{self, Devices, Known, Use};
use super::ladder::DEFAULT_POLL_MS;
use super::link::{self, Link};
use super::reader::{At, Section, Spanned};
use super::settings;
use super::words;
use crate::device::setting::Settings;
use crate::link::place::Serial;

/// How often a meter sends telegrams where nothing else is said, ms: DSMR 5, ESMR, Belgium (facts/p1-load-balancer.md 3.1).
const TELEGRAM_MS: u32 = 1_000;

/// `[meter]`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meter {
    /// The name of its profile.
    pub device: String,
    /// How it is read.
    pub source: MeterSource,
    /// Period of total power and frequency; 200 to 60000 ms, default 5000. Of a meter that sends telegrams by itself: how often it does
    /// that, default 1000.
    pub poll_ms: u32,
    /// Period of the values per phase; from `poll_ms` to 60000 ms, default 30000. Telegrams hold all of them: the same as `poll_ms`.
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
    pub telegrams: Option<Spanned<TelegramLink>>,
    pub forward: Option<SocketAddr>,
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

    /// Where it is, if it has a link of its own.
    pub fn address(&self) -> Option<(&Link, Option<u8>)> {
        self.link.as_ref().map(|link| (&link.value, self.unit))
    }

    /// Whether it sends telegrams by itself.
    pub fn sends_telegrams(&self) -> bool {
        self.device.as_ref().is_some_and(|device| device.facts.telegrams)
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
        let source = match (self.telegrams, self.link) {
            (Some(link), _) => MeterSource::Telegrams { link: link.value, forward: self.forward },
            (None, Some(link)) => MeterSource::Own { link: link.value, unit: self.unit },
            (None, None) => MeterSource::Battery { index },
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
    let sends = device.as_ref().is_some_and(|device| device.facts.telegrams);
    let battery = s.string("battery");
    let unit = s.integer("unit", 0..=255u8);
    let poll = s.integer("poll_ms", 200..=60_000u32);
    let poll_ms = poll.map_or(if sends { TELEGRAM_MS } else { DEFAULT_POLL_MS }, Spanned::get);
    let (mut link, mut telegrams) = (None, None);
    if device.is_none() {
        link::check_only(s);
    } else if via_battery {
        refuse_own_link(s, unit.map(|unit| unit.at));
    } else {
        if sends {
            telegrams = telegram_link(s);
            if let Some(unit) = unit {
                s.add(unit.at, "unit", "this meter sends telegrams by itself, it is not asked.");
            }
        } else {
            link = link::read(s, device.as_ref().and_then(|device| device.facts.tcp_port), poll_ms);
        }
        if let Some(battery) = &battery {
            s.add(battery.at, "battery", "this meter is not read through a battery.");
        }
    }
    let phase_poll = s.integer("phase_poll_ms", 200..=60_000u32);
    match phase_poll {
        Some(phase_poll) if sends => s.add(phase_poll.at, "phase_poll_ms", "the phases of this meter come with every telegram."),
        Some(phase_poll) if phase_poll.value < poll_ms => {
            s.add(phase_poll.at, "phase_poll_ms", format!("{} is shorter than poll_ms, which is {poll_ms}.", phase_poll.value));
        }
        _ => {}
    }
    let settings = settings::read(s, device.as_ref().map(|device| &device.facts));
    let forward = forward(s, device.is_none() || sends);
    let at = s.at();
    section.finish();
    let phase_default_ms = if sends { poll_ms } else { poll_ms.max(30_000) };
    Some(MeterDraft {
        device,
        battery: battery.filter(|_| via_battery),
        link,
        telegrams,
        forward,
        unit: unit.map(Spanned::get),
        poll_ms,
        poll_at: poll.map(|poll| poll.at),
        phase_poll_ms: phase_poll.filter(|_| !sends).map_or(phase_default_ms, Spanned::get),
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

/// Where telegrams come from: a serial port or a serial server.
fn telegram_link(meter: &mut Section<'_>) -> Option<Spanned<TelegramLink>> {
    let mut link = meter.required("link", Section::section)?;
    if let Some(port) = link.section("rtu") {
        let help = "A P1 port is link.serial, or link.tcp behind a serial server.";
        link.add_with_help(port.at(), "rtu", "this meter sends telegrams by itself, it does not speak Modbus.", help);
    }
    let tcp = link.section("tcp").map(|mut tcp| {
        let host = tcp.required("host", words::host);
        // No default: serial servers have none in common.
        let port = tcp.required("port", |tcp, key| tcp.integer(key, 1..=u16::MAX));
        let at = tcp.at();
        tcp.finish();
        (at, host.zip(port).map(|(host, port)| host.map(|host| TelegramLink::Tcp { host, port: port.value })))
    });
    let serial = link::read_serial(&mut link);
    if let Some(rs485) = serial.as_ref().filter(|serial| serial.value.rs485.is_some()) {
        link.add(rs485.at, "serial.rs485", "nothing is sent to this meter, so that there is no direction to switch.");
    }
    let read = match (tcp, serial) {
        (Some((at, _)), Some(_)) => {
            link.add(at, "tcp", "there is link.serial already, and a meter has one link.");
            None
        }
        (Some((_, tcp)), None) => tcp,
        (None, serial) => {
            // Something that is no section has been refused already.
            if !["tcp", "rtu", "serial"].iter().any(|key| link.has(key)) {
                link.document().add_missing(link.at(), &link.full("serial"), "serial", "this key is missing.");
            }
            serial.map(|serial| serial.map(TelegramLink::Serial))
        }
    };
    link.finish();
    read
}

/// `forward`, for meters whose telegrams can be passed on.
fn forward(meter: &mut Section<'_>, fits: bool) -> Option<SocketAddr> {
    let address = words::listener(meter, "forward")?;
    if !fits {
        meter.add(address.at, "forward", "this meter sends no telegrams that could be passed on.");
    }
    Some(address.value)
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
