//! `[charger]`: how a charger is told its limit, and what its states are called.

use super::settings::Names;
use super::span;
use super::writes::{fixed, register};
use crate::config::reader::Section;
use crate::device::charger::{ChargerCode, ChargerParts, Connected, States};
use crate::device::profile::{FixedWrite, Kind, Register};
use crate::device::setting::Range;

/// A register of limits is scaled in amperes, like the points; inside the numbers are milliamperes.
const MA_PER_A: i64 = 1000;

pub(super) fn read(mut s: Section<'_>, names: &Names<'_>) -> Option<ChargerParts> {
    let limit = s.required("limit", |s, k| amperes(s.section(k)?, names, Kind::U32));
    let refresh = s.required("refresh_ms", |s, k| span(s, k, 1000..=300_000));
    let most_ma = s.decimal("most_a", 3, 6_000..=1_000_000u32).map(|most| most.value);
    let most_from = most_from(&mut s, names);
    let timeout = s.section("timeout").and_then(|s| timeout(s, names));
    let fallback = s.section("fallback").and_then(|s| amperes(s, names, Kind::U16));
    let states = s.section("state").and_then(|s| states(s, names));
    s.finish();
    Some(ChargerParts { limit: limit?, refresh: refresh?, most_ma, most_from, timeout, fallback, states })
}

fn amperes(mut s: Section<'_>, names: &Names<'_>, kind: Kind) -> Option<Register> {
    let register = register(&mut s, names, kind, kind.range(), "A");
    s.finish();
    register.map(|r| Register { scale_millionths: r.scale_millionths.saturating_mul(MA_PER_A), ..r })
}

fn most_from(s: &mut Section<'_>, names: &Names<'_>) -> Option<String> {
    let at = s.at();
    let name = names.number(s, "most_from", &[])?;
    let is_number = names.settings.iter().any(|setting| setting.name == name && matches!(setting.range, Range::Number { .. }));
    if !is_number || names.range(&name).is_some_and(|(least, _)| least < 0) {
        s.add(at, "most_from", format!("\"{name}\" must be a number of amperes, not below 0."));
    }
    Some(name)
}

/// The communication timeout: one register of seconds, so that it can be compared with what is read back.
fn timeout(s: Section<'_>, names: &Names<'_>) -> Option<FixedWrite> {
    let (document, at, key) = (s.document(), s.at(), s.full("type"));
    let write = fixed(s, names)?;
    if write.kind != Kind::U16 {
        document.add(at, &key, "must be \"u16\": the timeout is one register of seconds.");
    }
    Some(write)
}

fn states(mut s: Section<'_>, names: &Names<'_>) -> Option<States> {
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let shift = s.integer("shift", 0..=15u8).map_or(0, |v| v.value);
    let mask = s.integer("mask", 1..=u16::MAX).map_or(u16::MAX, |v| v.value);
    let cable = s.section("cable").map(|mut cable| {
        let address = cable.required("address", |s, k| s.integer(k, 0..=u16::MAX - 1));
        let from = cable.required("connected_from", |s, k| s.integer(k, 1..=u32::MAX));
        if let Some(address) = address.as_ref().filter(|a| !names.is_read(a.value, 2)) {
            cable.add(address.at, "address", "these registers lie in no [[block]] of this profile.");
        }
        cable.finish();
        Some((address?.value, from?.value))
    });
    if let Some(address) = address.as_ref().filter(|a| !names.is_read(a.value, 1)) {
        s.add(address.at, "address", "this register lies in no [[block]] of this profile.");
    }
    let mut codes: Vec<ChargerCode> = Vec::new();
    for mut section in s.sections("codes").unwrap_or_default() {
        let value = section.required("value", |s, k| s.integer(k, 0..=mask));
        let name = section.required("name", Section::string);
        let charging = section.boolean("charging").is_some_and(|b| b.value);
        let connected = section.required("connected", |s, k| s.choice(k, &Connected::NAMES));
        section.finish();
        let (Some(value), Some(name), Some(connected)) = (value, name, connected) else { continue };
        if codes.iter().any(|known| known.value == value.value) {
            s.add(value.at, "codes", format!("the value {} is there twice.", value.value));
        }
        codes.push(ChargerCode { value: value.value, name: name.value, charging, connected: connected.value });
    }
    s.finish();
    let cable = match cable {
        Some(cable) => Some(cable?),
        None => None,
    };
    Some(States { address: address?.value, shift, mask, cable, codes })
}
