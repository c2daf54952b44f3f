//! `[bms]`: what only a battery management system has.

use super::settings::Names;
use crate::config::reader::Section;
use crate::device::bms::{BmsParts, Contradiction, Group};
use crate::device::setting::{Only, Setting};

pub(super) fn read(mut s: Section<'_>, names: &Names<'_>) -> Option<BmsParts> {
    let longest_poll_ms = s.integer("longest_poll_ms", 200..=60_000u32).map(|v| v.value);
    let alive_at = at(&mut s, "alive_at", names, 1);
    let heartbeat_at = s.integer("heartbeat_at", 0..=u16::MAX).map(|v| v.value);
    let clock_at = at(&mut s, "clock_at", names, 6);
    let sunspec_model = s.integer("sunspec_model", 1..=u16::MAX - 1).map(|v| v.value);
    let mut counters = Vec::new();
    for mut counter in s.sections("counters").unwrap_or_default() {
        let name = counter.required("name", Section::string);
        let address = counter.required("address", |s, k| at(s, k, names, 1));
        counter.finish();
        counters.extend(name.map(|n| n.value).zip(address));
    }
    let contradictions = s.sections("contradictions").unwrap_or_default().into_iter().filter_map(|c| contradiction(c, names)).collect();
    let group = s.section("group").map(|g| group(g, names));
    s.finish();
    Some(BmsParts {
        longest_poll_ms,
        alive_at,
        heartbeat_at,
        clock_at,
        counters,
        contradictions,
        group: match group {
            Some(group) => Some(group?),
            None => None,
        },
        sunspec_model,
    })
}

/// The address of registers that are read.
fn at(s: &mut Section<'_>, key: &str, names: &Names<'_>, words: u16) -> Option<u16> {
    let address = s.integer(key, 0..=u16::MAX)?;
    if !names.is_read(address.value, words) {
        s.add(address.at, key, "these registers lie in no [[block]] of this profile.");
    }
    Some(address.value)
}

fn contradiction(mut s: Section<'_>, names: &Names<'_>) -> Option<Contradiction> {
    let name = s.required("name", Section::string);
    let address = s.required("address", |s, k| at(s, k, names, 1));
    let value = s.required("value", |s, k| s.integer(k, 0..=u16::MAX));
    let bit_address = s.required("bit_address", |s, k| at(s, k, names, 1));
    let bit = s.required("bit", |s, k| s.integer(k, 0..=15u8));
    s.finish();
    Some(Contradiction { name: name?.value, address: address?, value: value?.value, bit_address: bit_address?, bit: bit?.value })
}

/// Where its place comes from settings that nobody gave, there is no group; so they need no defaults.
fn group(mut s: Section<'_>, names: &Names<'_>) -> Option<Group> {
    let (base, base_from) = place(&mut s, names, "base", "base_from", u16::MAX);
    let (stride, stride_from) = place(&mut s, names, "stride", "stride_from", 10_000);
    let (count, count_from) = place(&mut s, names, "count", "count_from", 64);
    let running_at = s.required("running_at", |s, k| at(s, k, names, 1));
    let charge_limit = s.required("charge_limit", |s, k| s.integer(k, 0..=100u16));
    let discharge_limit = s.required("discharge_limit", |s, k| s.integer(k, 0..=100u16));
    s.finish();
    Some(Group {
        base: base?,
        stride: stride?,
        count: count?,
        running_at: running_at?,
        charge_limit: charge_limit?.value,
        discharge_limit: discharge_limit?.value,
        from: [base_from, stride_from, count_from],
    })
}

/// A number, or the setting that gives it and 0 in its place.
fn place(s: &mut Section<'_>, names: &Names<'_>, key: &str, from: &str, most: u16) -> (Option<u16>, Option<String>) {
    if !s.has(from) {
        return (s.required(key, |s, k| s.integer(k, 0..=most)).map(|v| v.value), None);
    }
    // Named as needed here: the group exists only with it.
    let given: Vec<_> =
        names.settings.iter().map(|setting: &Setting| Only { needs: Some(setting.name.clone()), when: Vec::new() }).collect();
    let name = names.number(s, from, &given.iter().collect::<Vec<_>>());
    let fits = |(least, largest): (i64, i64)| least >= 0 && largest / 1_000_000 <= i64::from(most);
    if let Some(name) = name.as_ref().filter(|name| !names.range(name).is_some_and(fits)) {
        s.add(s.at(), from, format!("\"{name}\" can be a number outside 0 to {most}."));
    }
    (Some(0), name)
}
