//! The alarms: whom each is about, and what it says, without the numbers in it.
//!
//! Numbers would make a new series of each value ("its clock is 6 min behind"), and Prometheus keeps every one for weeks.

use super::{Facts, Metric, count, gauge};
use crate::serve::document::{Alarm, Document};

/// So many are served; all are counted.
const SERVED_MOST: usize = 500;

pub(super) static LIST: &[Metric] = &[
    gauge("sax_alarms", &[], "How many alarms hold.", |f, out| out.add(&[], count(f.document.alarms.len() as u64))),
    gauge("sax_alarm_active", LABELS, "1 for every alarm that holds; one that is over is not there.", |f, out| {
        for ((subject, alarm), _) in merged(f) {
            out.add(&[subject, &alarm], Some(1.0));
        }
    }),
    gauge("sax_alarm_age_seconds", LABELS, "How long the alarm has held.", |f, out| {
        for ((subject, alarm), since_s) in merged(f) {
            out.add(&[subject, &alarm], count(since_s));
        }
    }),
];

const LABELS: &[&str] = &["subject", "alarm"];

/// Whom it is about, and what it says.
type Said<'a> = (&'a str, String);

/// Each once, because a series may be there only once, with the longest time.
fn merged<'f>(facts: &Facts<'f>) -> std::collections::BTreeMap<Said<'f>, u64> {
    let mut all = std::collections::BTreeMap::new();
    for Alarm { name, since_s } in facts.document.alarms.iter().take(SERVED_MOST) {
        let (subject, text) = split(facts.document, name);
        let longest = all.entry((subject, without_numbers(text))).or_insert(*since_s);
        *longest = (*longest).max(*since_s);
    }
    all
}

/// "battery A: command not followed" as "battery A" and the rest. Names of batteries and chargers may hold anything, also a colon.
fn split<'a>(document: &Document, name: &'a str) -> (&'a str, &'a str) {
    let of = |kind: &str, device: &str| {
        let end = name.strip_prefix(kind)?.strip_prefix(device)?.strip_prefix(": ")?;
        Some(name.len() - end.len())
    };
    let batteries = document.batteries.iter().filter_map(|battery| of("battery ", &battery.name));
    let chargers = document.chargers.iter().filter_map(|charger| of("charger ", &charger.name));
    let begin = batteries.chain(chargers).max().or_else(|| name.find(": ").map(|at| at + 2)).unwrap_or(0);
    let (subject, text) = name.split_at_checked(begin).unwrap_or(("", name));
    (subject.strip_suffix(": ").unwrap_or(subject), text)
}

/// Without what stands in parentheses, and with N for numbers, but for one at the beginning.
fn without_numbers(text: &str) -> String {
    let text = text.split_once(" (").map_or(text, |(before, _)| before);
    let is_number =
        |word: &str| word.bytes().any(|b| b.is_ascii_digit()) && word.bytes().all(|b| b.is_ascii_digit() || b"+-.,".contains(&b));
    let words = text.split(' ').enumerate().map(|(k, word)| if k > 0 && is_number(word) { "N" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::document::Battery;

    #[test]
    fn alarms_are_told_apart_by_whom_and_what_they_are_about() {
        let battery = |name: &str| Battery { name: name.into(), ..Battery::default() };
        let document = Document { batteries: ["A", "A: b", "Cellar 2"].map(battery).into(), ..Document::default() };
        for (name, subject, text) in [
            ("battery A: command not followed", "battery A", "command not followed"),
            ("battery A: b: writes fail", "battery A: b", "writes fail"),
            ("battery Cellar 2: BMS: its clock is 6 min behind", "battery Cellar 2", "BMS: its clock is N min behind"),
            ("battery A: 0 % state of charge", "battery A", "0 % state of charge"),
            ("fuse L1: overload", "fuse L1", "overload"),
            ("meter: values that cannot be (L1: 99999 W)", "meter", "values that cannot be"),
            ("something else", "", "something else"),
        ] {
            let (whom, what) = split(&document, name);
            assert_eq!((whom, without_numbers(what).as_str()), (subject, text), "{name}");
        }
    }
}
