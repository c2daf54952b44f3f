//! What is read: `[probe]`, `[[block]]`, `[[point]]` and codes.

use super::settings::Names;
use super::{DECIMALS, MOST_REGISTERS};
use crate::config::reader::Section;
use crate::device::profile::{Block, Code, Kind, Point, Probe};
use crate::device::quantity::Quantity;
use crate::device::setting::Only;

pub(super) fn probe(mut s: Section<'_>) -> Option<Probe> {
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let count = s.integer("count", 1..=MOST_REGISTERS).map_or(1, |c| c.value);
    let expect = s.integers("expect", 0..=u16::MAX).unwrap_or_default().into_iter().map(|v| v.value).collect();
    s.finish();
    Some(Probe { address: address?.value, count, expect })
}

pub(super) fn block(mut s: Section<'_>) -> Option<Block> {
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

pub(super) fn point(mut s: Section<'_>, names: &Names<'_>) -> Option<Point> {
    let quantity = s.required("quantity", |s, k| s.choice(k, &Quantity::names()));
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let kind = s.required("type", |s, k| s.choice(k, &Kind::NAMES));
    let only = names.only(&mut s);
    let offset = s.integer("offset", -1_000_000..=1_000_000i64).map_or(0, |o| o.value);
    let zero_from = names.number(&mut s, "zero_from", &[&only]);
    let scale = s.decimal("scale", DECIMALS, -1_000_000_000_000..=1_000_000_000_000i64);
    if let Some(zero) = scale.as_ref().filter(|scale| scale.value == 0) {
        s.add(zero.at, "scale", "with a scale of 0 the value would always be 0.");
    }
    let scale_millionths = scale.map_or(1_000_000, |v| v.value);
    let factors = names.factors(&mut s, scale_millionths, true, &[&only]);
    let scale_factor = s.integer("scale_factor_at", 0..=u16::MAX);
    let invalid = s.integers("invalid", i64::from(i32::MIN)..=i64::from(u32::MAX)).unwrap_or_default();
    let target = s.boolean("target").is_some_and(|t| t.value);
    let codes = codes(&mut s, "codes", names, &only, (i64::from(i32::MIN), i64::from(u32::MAX)));
    let (words, start) = (kind.as_ref().map_or(1, |k| k.value.words()), address.as_ref().map_or(0, |a| a.value));
    if let Some(at) = address.as_ref().filter(|_| !names.blocks.is_empty() && !names.is_read(start, words)) {
        s.add(at.at, "address", "these registers lie in no [[block]] of this profile.");
    }
    if let Some(at) = scale_factor.as_ref().filter(|sf| !names.blocks.iter().any(|b| b.holds(start, words) && b.holds(sf.value, 1))) {
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
        factors,
        zero_from,
        target,
        only,
    })
}

/// A list of codes, or of bits, whose values lie in this range.
pub(super) fn codes(s: &mut Section<'_>, key: &str, names: &Names<'_>, within: &Only, range: (i64, i64)) -> Vec<Code> {
    let mut codes: Vec<Code> = Vec::new();
    for mut section in s.sections(key).unwrap_or_default() {
        let only = names.only(&mut section);
        let value_from = names.number(&mut section, "value_from", &[&only, within]);
        let value = match value_from {
            None => section.required("value", |s, k| s.integer(k, range.0..=range.1)).map(|v| v.value),
            Some(_) => Some(0),
        };
        let at = section.at();
        let (Some(value), Some(code)) = (value, meaning(section)) else { continue };
        let code = Code { value, value_from, only, ..code };
        if code.value_from.is_none() && codes.iter().any(|c| c.value == code.value && c.value_from.is_none() && c.only == code.only) {
            s.add(at, key, format!("the value {} is there twice.", code.value));
        }
        codes.push(code);
    }
    codes
}

/// What a code or a bit says; its value is somewhere else.
pub(super) fn meaning(mut s: Section<'_>) -> Option<Code> {
    let name = s.required("name", Section::string);
    let charge = s.boolean("charge").is_none_or(|b| b.value);
    let discharge = s.boolean("discharge").is_none_or(|b| b.value);
    let alarm = s.boolean("alarm").is_some_and(|b| b.value);
    s.finish();
    Some(Code { value: 0, name: name?.value, charge, discharge, alarm, value_from: None, only: Only::default() })
}
