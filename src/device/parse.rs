//! Reads a device profile from TOML. Every mistake is reported with its place, like those of the configuration.

use super::profile::{Block, Budget, Choice, Code, Kind, Limits, Point, Probe, Profile, RawWrite, Register, Setpoint};
use super::quantity::Quantity;
use crate::config::reader::{Document, Findings, Section};
use crate::p1::Checksum;
use crate::units::Span;

/// Most registers of one read (Modbus application protocol 6.3).
const MOST_REGISTERS: u16 = 125;

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
    let probe = root.section("probe").map(read_probe);
    let blocks: Vec<Block> = root.sections("block").unwrap_or_default().into_iter().filter_map(block).collect();
    let points: Vec<Point> = root.sections("point").unwrap_or_default().into_iter().filter_map(|s| point(s, &blocks)).collect();
    let setpoint = root.section("setpoint").map(read_setpoint);
    let limits = root.section("limits").map(read_limits);
    let start = root.sections("start").unwrap_or_default().into_iter().filter_map(raw_write).collect();
    let release = root.sections("release").unwrap_or_default().into_iter().filter_map(raw_write).collect();
    let budget = root.section("write_budget").map_or(Some(Budget { spacing: Span::from_s(1), burst: 3, refill: Span::from_s(5) }), budget);
    let meter_behind_battery = root.boolean("meter_behind_battery").is_some_and(|b| b.value);
    let single_unit_reference_w = root.integer("single_unit_reference_w", 1..=1_000_000i64).map(|w| w.value);
    if blocks.is_empty() {
        root.add(root.at(), "block", "a profile needs at least one [[block]] of registers that may be read together.");
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
        blocks,
        points,
        setpoint: transpose(setpoint)?,
        limits: transpose(limits)?,
        start,
        release,
        budget: budget?,
        meter_behind_battery,
        single_unit_reference_w,
        settings: Vec::new(),
        statuses: Vec::new(),
        low_word_first: false,
        bms: None,
        heartbeat: None,
        silent_unless_ready: false,
    })
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

fn read_probe(mut s: Section<'_>) -> Option<Probe> {
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let count = s.integer("count", 1..=MOST_REGISTERS).map_or(1, |c| c.value);
    let expect = s.integers("expect", 0..=u16::MAX).unwrap_or_default().into_iter().map(|v| v.value).collect();
    s.finish();
    Some(Probe { address: address?.value, count, expect })
}

fn block(mut s: Section<'_>) -> Option<Block> {
    let function = s.integer("function", 3..=4u8).map_or(3, |f| f.value);
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let count = s.required("count", |s, k| s.integer(k, 1..=MOST_REGISTERS));
    if let (Some(address), Some(count)) = (&address, &count) {
        if address.value.checked_add(count.value - 1).is_none() {
            s.add(count.at, "count", "the block ends beyond register 65535.");
        }
    }
    s.finish();
    Some(Block { function, address: address?.value, count: count?.value })
}

fn point(mut s: Section<'_>, blocks: &[Block]) -> Option<Point> {
    let quantity = s.required("quantity", |s, k| s.choice(k, &Quantity::names()));
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let kind = s.required("type", |s, k| s.choice(k, &Kind::NAMES));
    let offset = s.integer("offset", -1_000_000..=1_000_000i64).map_or(0, |o| o.value);
    let scale_millionths = s.decimal("scale", 6, -1_000_000_000_000..=1_000_000_000_000i64).map_or(1_000_000, |v| v.value);
    let scale_factor = s.integer("scale_factor_at", 0..=u16::MAX);
    let invalid = s.integers("invalid", i64::from(i32::MIN)..=i64::from(u32::MAX)).unwrap_or_default();
    let codes = s.sections("codes").unwrap_or_default().into_iter().filter_map(code).collect();
    let (words, start) = (kind.as_ref().map_or(1, |k| k.value.words()), address.as_ref().map_or(0, |a| a.value));
    let inside = |address: u16, words: u16| blocks.iter().any(|b| b.holds(address, words));
    if let Some(at) = address.as_ref().filter(|_| !blocks.is_empty() && !inside(start, words)) {
        s.add(at.at, "address", "these registers lie in no [[block]] of this profile.");
    }
    if let Some(at) = scale_factor.as_ref().filter(|sf| !blocks.iter().any(|b| b.holds(start, words) && b.holds(sf.value, 1))) {
        s.add(at.at, "scale_factor_at", "the scale factor must lie in the same [[block]] as the value, so that both are read together.");
    }
    s.finish();
    Some(Point {
        quantity: quantity?.value,
        address: address?.value,
        kind: kind?.value,
        offset,
        scale_millionths,
        scale_factor_at: scale_factor.map(|sf| sf.value),
        invalid: invalid.into_iter().map(|v| v.value).collect(),
        codes,
    })
}

fn code(mut s: Section<'_>) -> Option<Code> {
    let value = s.required("value", |s, k| s.integer(k, i64::from(i32::MIN)..=i64::from(u32::MAX)));
    let name = s.required("name", Section::string);
    let charge = s.boolean("charge").is_none_or(|b| b.value);
    let discharge = s.boolean("discharge").is_none_or(|b| b.value);
    let alarm = s.boolean("alarm").is_some_and(|b| b.value);
    s.finish();
    Some(Code { value: value?.value, name: name?.value, charge, discharge, alarm })
}

fn register(s: &mut Section<'_>, min: i64, max: i64) -> Option<Register> {
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let function = write_function(s);
    let min = s.integer("min", i64::from(i16::MIN)..=i64::from(u16::MAX)).map_or(min, |v| v.value);
    let max = s.integer("max", i64::from(i16::MIN)..=i64::from(u16::MAX)).map_or(max, |v| v.value);
    if min > max {
        s.add(s.at(), "min", "the least value is above the largest one.");
    }
    Some(Register { address: address?.value, function: function?, min, max: max.max(min) })
}

fn write_function(s: &mut Section<'_>) -> Option<u8> {
    let function = s.required("function", |s, k| s.integer(k, 0..=255u8))?;
    if function.value == 6 || function.value == 16 {
        return Some(function.value);
    }
    s.add(function.at, "function", "registers are written with function 6 or 16.");
    None
}

fn read_setpoint(mut s: Section<'_>) -> Option<Setpoint> {
    let percent_of_reference = s.boolean("percent_of_reference").is_some_and(|b| b.value);
    let scale_factor_at = s.integer("scale_factor_at", 0..=u16::MAX).map(|v| v.value);
    let register = register(&mut s, i64::from(i16::MIN), i64::from(i16::MAX));
    let refresh = s.required("refresh_ms", |s, k| span(s, k, 1000..=300_000));
    let mut encodings = Vec::new();
    for mut e in s.sections("encodings").unwrap_or_default() {
        let name = e.required("name", Section::string);
        let offset = e.integer("offset", 0..=i64::from(u16::MAX)).map_or(0, |o| o.value);
        e.finish();
        encodings.extend(name.map(|n| (n.value, offset)));
    }
    if percent_of_reference && scale_factor_at.is_none() {
        s.add(s.at(), "scale_factor_at", "a setpoint in percent needs the register of its scale factor.");
    }
    s.finish();
    Some(Setpoint { register: register?, encodings, percent_of_reference, scale_factor_at, refresh: refresh? })
}

fn read_limits(mut s: Section<'_>) -> Option<Limits> {
    let mut one = |key: &str| {
        let mut part = s.required(key, |s, k| s.section(k))?;
        let register = register(&mut part, 0, i64::from(u16::MAX));
        part.finish();
        register
    };
    let (charge, discharge) = (one("charge"), one("discharge"));
    let refresh = s.required("refresh_ms", |s, k| span(s, k, 1000..=300_000));
    s.finish();
    Some(Limits { charge: charge?, discharge: discharge?, refresh: refresh? })
}

fn raw_write(mut s: Section<'_>) -> Option<RawWrite> {
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let function = write_function(&mut s);
    let value = s.required("value", |s, k| s.integer(k, 0..=u16::MAX));
    let refresh = span(&mut s, "refresh_ms", 1000..=300_000);
    let after_setpoint = s.boolean("after_setpoint").is_some_and(|b| b.value);
    s.finish();
    Some(RawWrite { address: address?.value, function: function?, value: value?.value, refresh, after_setpoint })
}

fn budget(mut s: Section<'_>) -> Option<Budget> {
    let spacing = span(&mut s, "spacing_ms", 0..=600_000);
    let burst = s.integer("burst", 1..=100u32);
    let refill = span(&mut s, "refill_ms", 1..=600_000);
    s.finish();
    Some(Budget { spacing: spacing?, burst: burst?.value, refill: refill? })
}
