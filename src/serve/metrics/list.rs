//! The one list of metrics: name, meaning, labels, and how each is taken from the status. Page, table and tests are made from it.
//!
//! Names follow the conventions of Prometheus: `sax_`, base units as suffix, `_total` for what only grows. Signs are those of the status:
//! import and discharge are positive. Labels have few values: names from the configuration, links, phases and states, never what a device
//! says in words.

mod alarms;
mod battery;
mod bms;
mod charging;
mod meter;
mod site;

use super::page::{Facts, Samples};

/// What Prometheus calls a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only grows, and begins anew with the program.
    Counter,
}

/// One metric.
#[derive(Debug)]
pub struct Metric {
    /// With the unit at its end.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it is, in one sentence.
    pub help: &'static str,
    /// In the order in which their values are given.
    pub labels: &'static [&'static str],
    /// It is true, or still counts, while the control thread gives no sign of life.
    pub(super) lasts: bool,
    /// It needs no status at all.
    pub(super) always: bool,
    pub(super) take: Take,
}

/// Adds the samples.
type Take = fn(&Facts<'_>, &mut Samples<'_>);

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str, take: Take) -> Metric {
    Metric { name, kind: Kind::Gauge, help, labels, lasts: false, always: false, take }
}

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str, take: Take) -> Metric {
    Metric { name, kind: Kind::Counter, help, labels, lasts: true, always: false, take }
}

impl Metric {
    const fn lasting(self) -> Metric {
        Metric { lasts: true, ..self }
    }

    const fn always(self) -> Metric {
        Metric { always: true, ..self }
    }

    /// The unit, as the end of its name says; empty for what has none.
    pub fn unit(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        UNITS.iter().find(|unit| name.strip_suffix(*unit).is_some_and(|rest| rest.ends_with('_'))).copied().unwrap_or_default()
    }
}

/// Base units (prometheus.io/docs/practices/naming), and `voltamperes`, for which there is none.
const UNITS: [&str; 10] = ["watts", "amperes", "volts", "voltamperes", "hertz", "seconds", "ratio", "joules", "celsius", "bytes"];

/// All metrics, in the order of the page.
pub fn all() -> impl Iterator<Item = &'static Metric> {
    [site::LIST, meter::LIST, battery::LIST, bms::LIST, charging::LIST, alarms::LIST].into_iter().flatten()
}

fn watts(value: Option<i64>) -> Option<f64> {
    value.map(|value| value as f64)
}

fn count(value: u64) -> Option<f64> {
    Some(value as f64)
}

/// Milliseconds as seconds.
fn seconds(ms: Option<u64>) -> Option<f64> {
    ms.map(|ms| ms as f64 / 1000.0)
}

/// 1 Wh is 3600 J.
fn joules(wh: Option<i64>) -> Option<f64> {
    wh.map(|wh| wh as f64 * 3600.0)
}

/// Percent as a ratio, without what the division would leave behind the fifth decimal.
fn ratio(percent: Option<f64>) -> Option<f64> {
    percent.map(|percent| (percent * 1000.0).round() / 100_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut names = Vec::new();
        for metric in all() {
            let Metric { name, help, kind, labels, .. } = metric;
            let is_word = |word: &str| {
                word.starts_with(|c: char| c.is_ascii_lowercase())
                    && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
            };
            assert!((name.starts_with("sax_") || name.starts_with("process_")) && is_word(name), "{name}");
            assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
            assert!(labels.iter().all(|label| is_word(label) && !["job", "instance", "le", "quantile"].contains(label)), "{name}");
            assert!(!help.is_empty() && help.ends_with('.') && !help.contains(['\\', '\n', '|']), "{name}: {help}");
            for wrong in ["_w", "_a", "_v", "_pct", "_percent", "_ms", "_wh", "_hz", "_kb"] {
                assert!(!name.ends_with(wrong), "{name}");
            }
            assert!(!names.contains(name), "{name} is there twice");
            names.push(*name);
        }
        assert_eq!(all().find(|m| m.name == "sax_grid_import_joules_total").map(Metric::unit), Some("joules"));
    }

    #[test]
    fn numbers_are_as_a_person_would_write_them() {
        assert_eq!((ratio(Some(57.3)), ratio(Some(99.9)), ratio(Some(7.0))), (Some(0.573), Some(0.999), Some(0.07)));
        assert_eq!((seconds(Some(1234)), joules(Some(1)), watts(Some(-5))), (Some(1.234), Some(3600.0), Some(-5.0)));
    }
}
