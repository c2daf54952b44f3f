//! Keys and sections whose function comes in a later release: known, checked for type and range, and refused.

use super::link;
use super::reader::{At, Section, Spanned};
use super::words;

/// Notes that the key of the value at this place belongs to a later release.
pub(super) fn refuse_key(section: &Section<'_>, key: &str, at: Option<At>) {
    if let Some(at) = at {
        section.add(at, key, "this key is not supported yet.");
    }
}

/// One of several words; those without a value belong to a later release.
pub(super) fn choice<T: Copy>(section: &mut Section<'_>, key: &str, choices: &[(&str, Option<T>)]) -> Option<Spanned<T>> {
    let word = section.choice(key, choices)?;
    let Some(value) = word.value else {
        section.add(word.at, key, format!("{} is not supported yet.", section.literal(word.at)));
        return None;
    };
    Some(word.map(|_| value))
}

/// A section of a later release.
pub(super) fn refuse(section: &Section<'_>) {
    section.document().add(section.at(), section.name(), "this section is not supported yet.");
}

pub(super) fn read_load_balancer(mut s: Section<'_>) {
    let _ = s.integer("phases", 1..=3u8);
    for key in ["charger_limit_a", "alarm_limit_a", "alarm_change_a", "upper_limit_a", "upper_change_a", "lower_limit_a"] {
        let _ = s.decimal(key, 3, 0..=250_000i32);
    }
    for key in ["lower_change_a", "fallback_limit_a"] {
        let _ = s.decimal(key, 3, 0..=250_000i32);
    }
    for key in ["alarm_wait_s", "upper_wait_s", "lower_wait_s", "fallback_time_s"] {
        let _ = s.integer(key, 0..=3_600u32);
    }
    let _ = words::name(&mut s, "led");
    s.finish();
}

pub(super) fn read_charger(mut s: Section<'_>) {
    let _ = s.required("name", words::name);
    let _ = s.required("device", Section::string);
    link::check_only(&mut s);
    let _ = s.integer("unit", 0..=255u8);
    let _ = s.integer("poll_ms", 200..=60_000u32);
    for key in ["min_current_a", "fallback_limit_a"] {
        let _ = s.decimal(key, 3, 0..=250_000i32);
    }
    s.finish();
}

pub(super) fn read_server(mut s: Section<'_>) {
    let _ = s.integer("address", 1..=247u8);
    if let Some(mut tcp) = s.section("tcp") {
        let _ = tcp.required("listen", words::listener);
        let _ = tcp.strings("allow");
        let _ = tcp.boolean("writable");
        let _ = tcp.integer("max_connections", 1..=250u8);
        tcp.finish();
    }
    if let Some(mut rtu) = s.section("rtu") {
        let _ = rtu.boolean("writable");
        let _ = link::serial_keys(&mut rtu, link::Speaks::Rtu);
        rtu.finish();
    }
    s.finish();
}
