//! `[[status]]`: registers with codes, bits, or a number that is only shown.

use super::settings::Names;
use super::{DECIMALS, points};
use crate::config::reader::Section;
use crate::device::profile::Kind;
use crate::device::setting::Only;
use crate::device::status::{Content, Status};

/// What a status may be; nothing of it is a float.
const KINDS: [(&str, Kind); 4] = [("u16", Kind::U16), ("i16", Kind::I16), ("u32", Kind::U32), ("i32", Kind::I32)];

pub(super) fn read(root: &mut Section<'_>, names: &Names<'_>) -> Vec<Status> {
    let mut statuses: Vec<Status> = Vec::new();
    for section in root.sections("status").unwrap_or_default() {
        let at = section.at();
        let Some(status) = one(section, names) else { continue };
        if statuses.iter().any(|s| s.name == status.name && s.only == status.only) {
            root.add(at, "status", format!("\"{}\" is there twice.", status.name));
        }
        statuses.push(status);
    }
    statuses
}

fn one(mut s: Section<'_>, names: &Names<'_>) -> Option<Status> {
    let name = s.required("name", Section::string);
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let kind = s.choice("type", &KINDS);
    let only = names.only(&mut s);
    let content = if s.has("bits") {
        bits(&mut s, names, &only, kind.map_or(Kind::U16, |k| k.value).words())
    } else if s.has("codes") {
        if let Some(kind) = kind.filter(|k| k.value != Kind::U16) {
            s.add(kind.at, "type", "a code is one register, \"u16\".");
        }
        let codes = points::codes(&mut s, "codes", names, &only, (0, i64::from(u16::MAX)));
        Content::Codes { codes, other: s.section("other").and_then(points::meaning) }
    } else {
        number(&mut s, kind.map_or(Kind::U16, |k| k.value))
    };
    let status = Status { name: name?.value, address: address.as_ref()?.value, content, only };
    if let Some(at) = address.filter(|a| !names.blocks.is_empty() && !names.is_read(a.value, status.words())) {
        s.add(at.at, "address", "these registers lie in no [[block]] of this profile.");
    }
    s.finish();
    Some(status)
}

fn bits(s: &mut Section<'_>, names: &Names<'_>, only: &Only, words: u16) -> Content {
    let last = if words == 2 { 31 } else { 15u8 };
    let bits = points::codes(s, "bits", names, only, (0, last.into()));
    let needs_any = s.integers("needs_any", 0..=last).unwrap_or_default().into_iter().map(|bit| bit.value).collect();
    Content::Bits { words, bits, other: s.section("other").and_then(points::meaning), needs_any }
}

fn number(s: &mut Section<'_>, kind: Kind) -> Content {
    let offset = s.integer("offset", -1_000_000..=1_000_000i64).map_or(0, |o| o.value);
    let scale_millionths = s.decimal("scale", DECIMALS, -1_000_000_000..=1_000_000_000i64).map_or(1_000_000, |v| v.value);
    let unit = s.string("unit").map_or(String::new(), |u| u.value);
    Content::Number { kind, offset, scale_millionths, unit }
}
