//! What is written: `[setpoint]`, `[limits]`, `[heartbeat]`, `[[start]]`, `[[release]]` and `[write_budget]`.

use super::settings::Names;
use super::{DECIMALS, span};
use crate::config::reader::{Section, Spanned};
use crate::device::encode::words;
use crate::device::profile::{Budget, FixedWrite, Heartbeat, Kind, Limits, RawWrite, Register, Setpoint};
use crate::device::setting::Only;

pub(super) fn setpoint(mut s: Section<'_>, names: &Names<'_>) -> Option<Setpoint> {
    let percent_of_reference = s.boolean("percent_of_reference").is_some_and(|b| b.value);
    let scale_factor = s.integer("scale_factor_at", 0..=u16::MAX);
    let register = register(&mut s, names, Kind::I16, (i64::from(i16::MIN), i64::from(i16::MAX)), "W");
    let refresh = s.required("refresh_ms", |s, k| span(s, k, 1000..=300_000));
    let mut encodings = Vec::new();
    for mut e in s.sections("encodings").unwrap_or_default() {
        let name = e.required("name", Section::string);
        let offset = e.integer("offset", 0..=i64::from(u16::MAX)).map_or(0, |o| o.value);
        e.finish();
        encodings.extend(name.map(|n| (n.value, offset)));
    }
    if percent_of_reference && scale_factor.is_none() {
        s.add(s.at(), "scale_factor_at", "a setpoint in percent needs the register of its scale factor.");
    }
    if let Some(at) = scale_factor.filter(|sf| !names.is_read(sf.value, 1)) {
        s.add(at.at, "scale_factor_at", "this register lies in no [[block]] of this profile.");
    }
    s.finish();
    let scale_factor_at = scale_factor.map(|sf| sf.value);
    Some(Setpoint { register: register?, encodings, percent_of_reference, scale_factor_at, refresh: refresh? })
}

pub(super) fn limits(mut s: Section<'_>, names: &Names<'_>) -> Option<Limits> {
    let mut one = |key: &str| {
        let mut part = s.required(key, |s, k| s.section(k))?;
        let register = register(&mut part, names, Kind::U16, (0, i64::from(u16::MAX)), "W");
        part.finish();
        register
    };
    let (charge, discharge) = (one("charge"), one("discharge"));
    let refresh = s.required("refresh_ms", |s, k| span(s, k, 1000..=300_000));
    s.finish();
    Some(Limits { charge: charge?, discharge: discharge?, refresh: refresh? })
}

/// The value that is commanded; where no type is said, this one, with this range unless the profile says another.
pub(super) fn register(s: &mut Section<'_>, names: &Names<'_>, default: Kind, usual: (i64, i64), unit: &str) -> Option<Register> {
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let kind = s.choice("type", &Kind::NAMES).map(|k| k.value);
    let function = write_function(s, kind.unwrap_or(default));
    let possible = kind.map_or((i64::from(i16::MIN), i64::from(u16::MAX)), Kind::range);
    let usual = kind.map_or(usual, Kind::range);
    let min = s.integer("min", possible.0..=possible.1).map_or(usual.0, |v| v.value);
    let max = s.integer("max", possible.0..=possible.1).map_or(usual.1, |v| v.value);
    if min > max {
        s.add(s.at(), "min", "the least value is above the largest one.");
    }
    let scale = s.decimal("scale", DECIMALS, -1_000_000_000_000..=1_000_000_000_000i64);
    let scale_millionths = scale.map_or(1_000_000, |v| v.value);
    if let Some(at) = scale.filter(|v| v.value == 0) {
        s.add(at.at, "scale", format!("0 {unit} per unit means that nothing can be commanded."));
    }
    let factors = names.factors(s, scale_millionths, scale_millionths == 0, &[]);
    Some(Register {
        address: address?.value,
        function: function?,
        min,
        max: max.max(min),
        kind: kind.unwrap_or(default),
        scale_millionths,
        factors,
        low_word_first: names.low_word_first,
    })
}

/// The key `function`: 6 for one register, 16 for any number of them.
fn write_function(s: &mut Section<'_>, kind: Kind) -> Option<u8> {
    let function = s.required("function", |s, k| s.integer(k, 0..=255u8))?;
    match function.value {
        6 if kind.words() > 1 => s.add(function.at, "function", "function 6 writes one register, this value has two; it must be 16."),
        6 | 16 => return Some(function.value),
        _ => s.add(function.at, "function", "registers are written with function 6 or 16."),
    }
    None
}

pub(super) fn heartbeat(mut s: Section<'_>) -> Option<Heartbeat> {
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let function = write_function(&mut s, Kind::U16);
    let at = s.at();
    let values: Vec<u16> = s.required("values", |s, k| s.integers(k, 0..=u16::MAX))?.into_iter().map(|v| v.value).collect();
    let values = match values[..] {
        [a, b] if a != b => Some([a, b]),
        _ => {
            s.add(at, "values", "must be two different values, which are written in turn.");
            None
        }
    };
    s.finish();
    Some(Heartbeat { address: address?.value, function: function?, values: values? })
}

/// One of `[[start]]` or `[[release]]`.
pub(super) fn fixed(mut s: Section<'_>, names: &Names<'_>) -> Option<FixedWrite> {
    let address = s.required("address", |s, k| s.integer(k, 0..=u16::MAX));
    let kind = s.choice("type", &Kind::NAMES).map_or(Kind::U16, |k| k.value);
    let function = write_function(&mut s, kind);
    let only = names.only(&mut s);
    let (value, value_from) = value(&mut s, names, kind, &only);
    let refresh = span(&mut s, "refresh_ms", 1000..=300_000);
    let mut switch = |key: &str| s.boolean(key);
    let (after_setpoint, required, verify) = (switch("after_setpoint"), switch("required"), switch("verify"));
    if let (Some(address), Some(verify)) = (&address, verify.filter(|v| v.value)) {
        if !names.is_read(address.value, kind.words()) {
            s.add(verify.at, "verify", "only what lies in a [[block]] can be compared.");
        }
    }
    s.finish();
    let is = |switch: Option<Spanned<bool>>| switch.is_some_and(|b| b.value);
    let words = words(kind, value?, names.low_word_first);
    Some(FixedWrite {
        write: RawWrite { address: address?.value, function: function?, words },
        kind,
        value_from,
        refresh,
        after_setpoint: is(after_setpoint),
        required: is(required),
        verify: is(verify),
        only,
    })
}

/// `value`, or the setting that gives it and 0 in its place.
fn value(s: &mut Section<'_>, names: &Names<'_>, kind: Kind, only: &Only) -> (Option<i64>, Option<String>) {
    let (min, max) = kind.range();
    let at = s.at();
    let Some(name) = names.number(s, "value_from", &[only]) else {
        let read = |s: &mut Section<'_>, k: &str| s.integer(k, min..=max).map(|v| v.value);
        return (if s.has("value_from") { s.integer("value", min..=max).map(|v| v.value) } else { s.required("value", read) }, None);
    };
    let fits = |(least, most): (i64, i64)| least / 1_000_000 >= min && most / 1_000_000 <= max;
    if !names.range(&name).is_some_and(fits) {
        s.add(at, "value_from", format!("\"{name}\" can be a number that does not fit the type \"{}\".", kind.name()));
    }
    (Some(0), Some(name))
}

pub(super) fn budget(mut s: Section<'_>) -> Option<Budget> {
    let spacing = span(&mut s, "spacing_ms", 0..=600_000);
    let burst = s.integer("burst", 1..=100u32);
    let refill = span(&mut s, "refill_ms", 1..=600_000);
    s.finish();
    Some(Budget { spacing: spacing?, burst: burst?.value, refill: refill? })
}
