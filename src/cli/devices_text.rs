//! Device profiles as text.

use std::fmt::Write;

use super::table::{table, wrap};
use crate::config::{DeviceFacts, Devices, fixed_to_text};
use crate::device::bms::BmsParts;
use crate::device::charger::{ChargerCode, ChargerParts, Connected};
use crate::device::library::Library;
use crate::device::parse::Device;
use crate::device::profile::{Choice, Code, FixedWrite, Kind, Point, Profile, Register};
use crate::device::setting::{Chosen, Only, Range, Setting};
use crate::device::status::{Content, Status};
use crate::units::Span;

/// All devices, one line each.
pub(super) fn list(library: &Library) -> String {
    let row = |device: &Device| {
        let kind = Devices::find(library, device.name()).map_or(String::new(), |facts| kind(&facts));
        vec![device.name().to_owned(), kind, device.title().to_owned()]
    };
    let rows: Vec<_> = library.iter().map(row).collect();
    format!("{}\n'sax-controller devices NAME' shows registers, writes and settings.\n", table(&["NAME", "KIND", "TITLE"], &rows))
}

fn kind(facts: &DeviceFacts) -> String {
    let kinds = [(facts.battery, "battery"), (facts.meter || facts.telegrams, "meter"), (facts.bms, "BMS"), (facts.charger, "charger")];
    kinds.iter().filter(|k| k.0).map(|k| k.1).collect::<Vec<_>>().join(", ")
}

/// What the profile of a device says.
pub(super) fn describe(device: &Device) -> String {
    match device {
        Device::Profile(profile) => describe_profile(profile),
        Device::Choice(choice) => describe_choice(choice),
        Device::Telegrams(sender) => format!("{}: {}\n\nIt sends telegrams by itself.\n", sender.name, sender.title),
    }
}

fn describe_choice(c: &Choice) -> String {
    let rows = [("probed", &c.probe), ("battery", &c.battery), ("meter, total", &c.total), ("meter, phases", &c.phases)];
    let rows: Vec<_> = rows.iter().map(|(what, names)| vec![(*what).to_owned(), names.join(", ")]).collect();
    format!("{}: {}\n\nRegister banks, best first; those that answer are used\n{}", c.name, c.title, table(&["FOR", "PROFILES"], &rows))
}

fn describe_profile(p: &Profile) -> String {
    let mut out = format!("{}: {}\nunit {}, TCP port {}", p.name, p.title, p.unit, p.tcp_port);
    if p.gap > Span::ZERO {
        out += &format!(", at least {} between requests", p.gap);
    }
    if p.low_word_first {
        out += ", low word first";
    }
    if p.phases_vary {
        out += ", divides its power over the phases as it likes";
    }
    out += "\n";
    let mut part = |title: &str, text: String| {
        if !text.is_empty() {
            out += &format!("\n{title}\n{text}");
        }
    };
    part("Settings, as in settings = { ... }", settings(p));
    part("Registers that are read together", blocks(p));
    part("Values", points(p));
    part("Status registers; what is not said to forbid something allows it", statuses(p));
    part("Writes", writes(p));
    part("As a charger", p.charger.as_ref().map_or_else(String::new, charger));
    part("As a battery management system", p.bms.as_ref().map_or_else(String::new, bms));
    out
}

fn settings(p: &Profile) -> String {
    let row = |s: &Setting| {
        let default = match &s.default {
            Some(Chosen::Number(n)) => fixed_to_text(*n, 6),
            Some(Chosen::Word(word)) => format!("\"{word}\""),
            None => "none".into(),
        };
        let range = match &s.range {
            Range::Number { min, max, .. } => format!("{} to {}", fixed_to_text(*min, 6), fixed_to_text(*max, 6)),
            Range::Words(words) => words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", "),
        };
        vec![s.name.clone(), default, format!("{}; {range}", s.title)]
    };
    table(&["NAME", "DEFAULT", "MEANING AND RANGE"], &p.settings.iter().map(row).collect::<Vec<_>>())
}

fn blocks(p: &Profile) -> String {
    let last = |b: &crate::device::profile::Block| u32::from(b.address) + u32::from(b.count) - 1;
    let row = |b: &crate::device::profile::Block| {
        vec![format!("{} to {}", b.address, last(b)), b.count.to_string(), if b.function == 4 { "input (4)" } else { "holding (3)" }.into()]
    };
    table(&["REGISTERS", "COUNT", "KIND"], &p.blocks.iter().map(row).collect::<Vec<_>>())
}

fn points(p: &Profile) -> String {
    let mut rows = Vec::new();
    for point in &p.points {
        rows.push(vec![point.address.to_string(), point.kind.name().into(), scale(point), point.quantity.name().into(), remarks(point)]);
        for code in &point.codes {
            rows.push(vec![String::new(), String::new(), String::new(), format!("  {}", code.value), meaning(code)]);
        }
    }
    table(&["REGISTER", "TYPE", "SCALE", "VALUE", ""], &rows)
}

fn scale(point: &Point) -> String {
    let mut scale = factor(point.scale_millionths, &point.factors);
    if let Some(at) = point.scale_factor_at {
        scale += &format!(" · 10^[{at}]");
    }
    scale
}

fn factor(scale_millionths: i64, factors: &[String]) -> String {
    std::iter::once(fixed_to_text(scale_millionths, 6)).chain(factors.iter().cloned()).collect::<Vec<_>>().join(" · ")
}

fn remarks(point: &Point) -> String {
    let mut said = Vec::new();
    if point.offset != 0 {
        said.push(format!("raw {:+}", point.offset));
    }
    said.extend(point.zero_from.iter().map(|name| format!("raw − {name}")));
    if point.target {
        said.push("what the device aims at, not what it measures".into());
    }
    said.extend(only(&point.only));
    said.join("; ")
}

fn only(only: &Only) -> Option<String> {
    let needs = only.needs.iter().map(|name| format!("{name} is set"));
    let when = only.when.iter().map(|(name, word)| format!("{name} is \"{word}\""));
    let all: Vec<_> = needs.chain(when).collect();
    (!all.is_empty()).then(|| format!("only where {}", all.join(" and ")))
}

fn meaning(code: &Code) -> String {
    let forbids = match (code.charge, code.discharge) {
        (true, true) => None,
        (false, true) => Some("no charging"),
        (true, false) => Some("no discharging"),
        (false, false) => Some("no charging, no discharging"),
    };
    let parts = [Some(code.name.as_str()), forbids, code.alarm.then_some("notice")];
    let mut said = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
    if let Some(only) = only(&code.only) {
        said += &format!("; {only}");
    }
    said
}

fn statuses(p: &Profile) -> String {
    let mut rows = Vec::new();
    for status in &p.statuses {
        let (how, codes, other) = content(status);
        let head = [Some(how), only(&status.only)].into_iter().flatten().filter(|s| !s.is_empty()).collect::<Vec<_>>().join("; ");
        rows.push(vec![status.address.to_string(), status.name.clone(), head]);
        for code in codes {
            let value = code.value_from.clone().unwrap_or_else(|| code.value.to_string());
            rows.push(vec![String::new(), format!("  {value}"), meaning(code)]);
        }
        rows.extend(other.map(|other| vec![String::new(), "  others".into(), meaning(other)]));
    }
    table(&["REGISTER", "NAME", "MEANING"], &rows)
}

fn content(status: &Status) -> (String, &[Code], Option<&Code>) {
    match &status.content {
        Content::Codes { codes, other } => ("code".into(), codes, other.as_ref()),
        Content::Bits { words, bits, other, needs_any } => {
            let needed: Vec<_> = needs_any.iter().map(u8::to_string).collect();
            let rule = if needed.is_empty() { String::new() } else { format!(", one of {} must be set", needed.join(", ")) };
            (format!("{} bits{rule}", words * 16), bits, other.as_ref())
        }
        Content::Number { kind, offset, scale_millionths, unit } => {
            let shift = if *offset == 0 { String::new() } else { format!("raw {offset:+}, ") };
            let scaled =
                if *scale_millionths == 1_000_000 { String::new() } else { format!("· {} ", fixed_to_text(*scale_millionths, 6)) };
            (format!("{shift}{} {scaled}{unit}", kind.name()).trim_end().to_owned(), &[], None)
        }
    }
}

fn writes(p: &Profile) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let (after, before): (Vec<_>, Vec<_>) = p.start.iter().partition(|w| w.after_setpoint);
    rows.extend(before.into_iter().map(|w| fixed("before the first command", w, p.low_word_first)));
    if let Some(h) = p.heartbeat {
        let value = format!("{:#06x} and {:#06x} in turn", h.values[0], h.values[1]);
        let when = if p.limits.is_some() { "before every setpoint and limit" } else { "before every setpoint" };
        rows.push(vec![when.into(), h.address.to_string(), h.function.to_string(), "u16".into(), value]);
    }
    if let Some(s) = &p.setpoint {
        let encodings: Vec<_> = s.encodings.iter().map(|(name, add)| format!("\"{name}\" {add:+}")).collect();
        let unit = if s.percent_of_reference { "percent of the reference power".into() } else { unit(&s.register) };
        let encodings = if encodings.is_empty() { String::new() } else { format!("; encodings {}", encodings.join(", ")) };
        rows.push(register("setpoint", &s.register, &format!("{unit}; again every {}{encodings}", s.refresh)));
    }
    rows.extend(after.into_iter().map(|w| fixed("after the first setpoint", w, p.low_word_first)));
    if let Some(l) = &p.limits {
        for (what, limit) in [("charge limit", &l.charge), ("discharge limit", &l.discharge)] {
            rows.push(register(what, limit, &format!("{}; again every {}", unit(limit), l.refresh)));
        }
    }
    rows.extend(p.release.iter().map(|w| fixed("at the end", w, p.low_word_first)));
    if rows.is_empty() {
        return String::new();
    }
    let silent = if p.silent_unless_ready { "Nothing is written while it is not ready, except to end a command. " } else { "" };
    let b = &p.budget;
    let pace = format!("{silent}At least {} between writes, {} in a row, then one per {}.", b.spacing, b.burst, b.refill);
    let pace: String = wrap(&pace, 98).iter().map(|line| format!("  {line}\n")).collect();
    table(&["WHEN", "REGISTER", "FUNCTION", "TYPE", "VALUE"], &rows) + &pace
}

fn register(when: &str, r: &Register, value: &str) -> Vec<String> {
    vec![when.into(), r.address.to_string(), r.function.to_string(), r.kind.name().into(), value.to_owned()]
}

fn unit(r: &Register) -> String {
    match factor(r.scale_millionths, &r.factors).as_str() {
        "1" => "W".into(),
        scale => format!("units of {scale} W"),
    }
}

fn fixed(when: &str, w: &FixedWrite, low_word_first: bool) -> Vec<String> {
    let mut said = vec![w.value_from.clone().unwrap_or_else(|| number(w, low_word_first))];
    said.extend(w.refresh.map(|r| format!("again every {r}")));
    said.extend(w.required.then(|| "required".to_owned()));
    said.extend(w.verify.then(|| "compared at every poll".to_owned()));
    said.extend(only(&w.only));
    vec![when.into(), w.write.address.to_string(), w.write.function.to_string(), w.kind.name().into(), said.join("; ")]
}

fn number(w: &FixedWrite, low_word_first: bool) -> String {
    let words = w.write.words.as_slice();
    let (first, second) = (words.first().copied().unwrap_or(0), words.get(1).copied().unwrap_or(0));
    let (high, low) = if low_word_first { (second, first) } else { (first, second) };
    let bits = u32::from(high) << 16 | u32::from(low);
    match w.kind {
        Kind::U16 => first.to_string(),
        Kind::I16 => (first as i16).to_string(),
        Kind::U32 => bits.to_string(),
        Kind::I32 => (bits as i32).to_string(),
        Kind::F32 => f32::from_bits(bits).to_string(),
    }
}

fn charger(parts: &ChargerParts) -> String {
    let row = |what: &str, r: &Register, more: &str| {
        register(what, r, &format!("units of {} A{more}", factor(r.scale_millionths / 1000, &r.factors)))
    };
    let most = match (&parts.most_from, parts.most_ma) {
        (Some(name), _) => format!(", at most {name}"),
        (None, Some(most_ma)) => format!(", at most {} A", fixed_to_text(most_ma.into(), 3)),
        (None, None) => String::new(),
    };
    let mut rows = vec![row("limit", &parts.limit, &format!("{most}; again every {}", parts.refresh))];
    rows.extend(parts.timeout.iter().map(|w| fixed("communication timeout", w, false)));
    rows.extend(parts.fallback.iter().map(|r| row("fallback limit", r, "")));
    let mut out = table(&["WHAT", "REGISTER", "FUNCTION", "TYPE", "VALUE"], &rows);
    if let Some(states) = &parts.states {
        let connected = |code: &ChargerCode| match code.connected {
            Connected::No => "no car",
            Connected::Yes if code.charging => "charging",
            Connected::Yes => "a car",
            Connected::ByCable => "a car, if the cable says so",
        };
        let row = |code: &ChargerCode| vec![code.value.to_string(), code.name.clone(), connected(code).to_owned()];
        let _ = writeln!(out, "State, register {} from bit {} on", states.address, states.shift);
        out += &table(&["CODE", "NAME", "MEANING"], &states.codes.iter().map(row).collect::<Vec<_>>());
    }
    out
}

fn bms(parts: &BmsParts) -> String {
    let row = |what: &str, said: String| vec![what.to_owned(), said];
    let mut rows = Vec::new();
    rows.extend(parts.longest_poll_ms.map(|ms| row("poll", format!("at least every {}", Span::from_ms(ms.into())))));
    rows.extend(parts.sunspec_model.map(|model| row("registers", format!("count from the id register of SunSpec model {model}"))));
    rows.extend(parts.alive_at.map(|at| row("sign of life", format!("register {at} must change"))));
    rows.extend(parts.heartbeat_at.map(|at| row("heartbeat", format!("register {at} is counted up once a second"))));
    rows.extend(parts.clock_at.map(|at| row("clock", format!("registers {at} to {}", u32::from(at) + 5))));
    rows.extend(parts.counters.iter().map(|(name, at)| row("counter", format!("{name}, register {at}, 16 bits"))));
    rows.extend(parts.contradictions.iter().map(|c| row("contradiction", c.name.clone())));
    if let Some(g) = &parts.group {
        let said = |k: usize, number: u16| g.from[k].clone().unwrap_or_else(|| number.to_string());
        let limits = format!(
            "charge limit +{}, discharge limit +{}, 0.1 A, summed over those in operation (register {}); first {}, distance {}, number {}",
            g.charge_limit,
            g.discharge_limit,
            g.running_at,
            said(0, g.base),
            said(1, g.stride),
            said(2, g.count)
        );
        rows.push(row("sub-units", limits));
    }
    table(&["WHAT", "HOW"], &rows)
}
