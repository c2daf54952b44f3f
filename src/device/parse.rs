//! Reads a device profile from TOML. Every mistake is reported with its place, like those of the configuration.

mod bms;
mod charger;
mod points;
mod settings;
mod statuses;
mod writes;

use super::profile::{Block, Budget, Choice, Point, Probe, Profile};
use crate::config::reader::{Document, Findings, Section};
use crate::p1::Checksum;
use crate::units::Span;
use settings::Names;

/// Most registers of one read (Modbus application protocol 6.3).
const MOST_REGISTERS: u16 = 125;
/// Numbers of settings and scales are given to this many decimals.
const DECIMALS: u32 = 6;

/// What a profile file describes.
#[derive(Clone, PartialEq, Debug)]
pub enum Device {
    /// One register bank.
    Profile(Box<Profile>),
    /// Several banks, of which those that answer are used.
    Choice(Choice),
    /// It has no registers: it sends telegrams by itself.
    Telegrams(Sender),
}

/// A meter that sends P1 telegrams.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sender {
    /// Its name in configurations.
    pub name: String,
    /// For people.
    pub title: String,
    /// How the CRC of its telegrams is made.
    pub checksum: Checksum,
}

impl Device {
    /// Its name in configurations.
    pub fn name(&self) -> &str {
        match self {
            Device::Profile(p) => &p.name,
            Device::Choice(c) => &c.name,
            Device::Telegrams(s) => &s.name,
        }
    }

    /// For people.
    pub fn title(&self) -> &str {
        match self {
            Device::Profile(p) => &p.title,
            Device::Choice(c) => &c.title,
            Device::Telegrams(s) => &s.title,
        }
    }
}

/// Reads the text of a profile file.
pub fn parse(text: &str) -> Result<Device, Findings> {
    let document = Document::parse(text);
    let mut root = document.root();
    let device = if root.has("choose") {
        choice(&mut root).map(Device::Choice)
    } else if root.has("protocol") {
        sender(&mut root).map(Device::Telegrams)
    } else {
        profile(&mut root).map(|p| Device::Profile(Box::new(p)))
    };
    root.finish();
    document.into_findings().or(device)
}

fn sender(root: &mut Section<'_>) -> Option<Sender> {
    let name = root.required("name", Section::string);
    let title = root.required("title", Section::string);
    let protocol = root.choice("protocol", &[("p1", ())]);
    let checksum = root.choice("crc", &Checksum::NAMES).map_or(Checksum::default(), |crc| crc.value);
    protocol?;
    Some(Sender { name: name?.value, title: title?.value, checksum })
}

fn choice(root: &mut Section<'_>) -> Option<Choice> {
    let name = root.required("name", Section::string)?.value;
    let title = root.required("title", Section::string)?.value;
    let mut choose = root.section("choose")?;
    let mut list = |key: &str| choose.strings(key).map(|names| names.into_iter().map(|n| n.value).collect::<Vec<_>>());
    let probe = list("probe");
    let (battery, total, phases) = (list("battery"), list("total"), list("phases"));
    choose.finish();
    Some(Choice {
        name,
        title,
        probe: probe?,
        battery: battery.unwrap_or_default(),
        total: total.unwrap_or_default(),
        phases: phases.unwrap_or_default(),
    })
}

fn profile(root: &mut Section<'_>) -> Option<Profile> {
    let name = root.required("name", Section::string);
    let title = root.required("title", Section::string);
    let unit = root.required("unit", |s, k| s.integer(k, 0..=255u8));
    let tcp_port = root.integer("tcp_port", 1..=u16::MAX).map_or(502, |p| p.value);
    let gap = span(root, "request_gap_ms", 0..=10_000).unwrap_or(Span::ZERO);
    let orders = [("high-first", false), ("low-first", true)];
    let low_word_first = root.choice("word_order", &orders).is_some_and(|o| o.value);
    let settings = settings::read(root);
    let has_blocks = root.has("block");
    let blocks: Vec<Block> = root.sections("block").unwrap_or_default().into_iter().filter_map(points::block).collect();
    if !has_blocks {
        root.add(root.at(), "block", "a profile needs at least one [[block]] of registers that may be read together.");
    }
    let names = Names { settings: &settings, blocks: &blocks, low_word_first };
    let register_base = names.number(root, "register_base", &[]);
    let probe = root.section("probe").map(points::probe);
    let points = read_points(root, &names);
    let statuses = statuses::read(root, &names);
    let setpoint = root.section("setpoint").map(|s| writes::setpoint(s, &names));
    let limits = root.section("limits").map(|s| writes::limits(s, &names));
    let heartbeat = root.section("heartbeat").map(writes::heartbeat);
    let mut fixed = |key: &str| {
        let sections = root.sections(key).unwrap_or_default();
        sections.into_iter().filter_map(|s| writes::fixed(s, &names)).collect::<Vec<_>>()
    };
    let (start, release) = (fixed("start"), fixed("release"));
    let budget = root.section("write_budget").map_or(Some(DEFAULT_BUDGET), writes::budget);
    let bms = root.section("bms").map(|s| bms::read(s, &names));
    let charger = root.section("charger").map(|s| charger::read(s, &names));
    let mut switch = |key: &str| root.boolean(key).is_some_and(|b| b.value);
    let (meter_behind_battery, silent_unless_ready) = (switch("meter_behind_battery"), switch("silent_unless_ready"));
    let phases_vary = switch("phases_vary");
    let single_unit_reference_w = root.integer("single_unit_reference_w", 1..=1_000_000i64).map(|w| w.value);
    if heartbeat.is_some() && setpoint.is_none() {
        root.add(root.at(), "heartbeat", "a heartbeat goes with a [setpoint].");
    }
    let probe = match probe {
        Some(probe) => probe?,
        None => Probe { address: blocks.first()?.address, count: 1, expect: Vec::new() },
    };
    Some(Profile {
        name: name?.value,
        title: title?.value,
        unit: unit?.value,
        tcp_port,
        gap,
        probe,
        points,
        setpoint: transpose(setpoint)?,
        limits: transpose(limits)?,
        start,
        release,
        budget: budget?,
        meter_behind_battery,
        single_unit_reference_w,
        statuses,
        low_word_first,
        bms: transpose(bms)?,
        charger: transpose(charger)?,
        heartbeat: transpose(heartbeat)?,
        silent_unless_ready,
        phases_vary,
        register_base,
        blocks,
        settings,
    })
}

/// Where a profile does not say how often its device may be written.
const DEFAULT_BUDGET: Budget = Budget { spacing: Span::from_s(1), burst: 3, refill: Span::from_s(5) };

fn read_points(root: &mut Section<'_>, names: &Names<'_>) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    for section in root.sections("point").unwrap_or_default() {
        let at = section.at();
        let Some(point) = points::point(section, names) else { continue };
        if points.iter().any(|p| p.quantity == point.quantity && p.only == point.only) {
            root.add(at, "point", format!("\"{}\" is given twice.", point.quantity.name()));
        }
        points.push(point);
    }
    points
}

fn transpose<T>(part: Option<Option<T>>) -> Option<Option<T>> {
    match part {
        Some(None) => None,
        Some(part) => Some(part),
        None => Some(None),
    }
}

fn span(section: &mut Section<'_>, key: &str, range: std::ops::RangeInclusive<u32>) -> Option<Span> {
    section.integer(key, range).map(|ms| Span::from_ms(u64::from(ms.value)))
}
