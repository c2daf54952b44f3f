//! The page: every metric of the list that has something to say, in the text format 0.0.4 of Prometheus.
//!
//! What is unknown is left out. While the control thread gives no sign of life everything that was measured is left out too, because it is
//! of then: what remains are counters, what was configured, and that it is so.

use std::fmt::Write as _;
use std::time::Duration;

use super::list::{Kind, Metric, all};
use super::process::Process;
use crate::serve::document::Document;
use crate::serve::socket::STALLED;

/// What a page is made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'f> {
    /// The status.
    pub document: &'f Document,
    /// How old it is.
    pub age: Duration,
    /// This process.
    pub process: Process,
}

impl Facts<'_> {
    /// The control thread gives no sign of life.
    pub fn is_stalled(&self) -> bool {
        self.document.site.state == STALLED
    }

    /// There was a status: just after the start there is none.
    fn is_known(&self) -> bool {
        !self.document.version.is_empty()
    }
}

/// The samples of one metric.
#[derive(Debug)]
pub(super) struct Samples<'p> {
    out: &'p mut String,
    metric: &'static Metric,
    begun: bool,
}

/// The whole page.
pub fn page(facts: &Facts<'_>) -> String {
    let mut out = String::with_capacity(16 * 1024);
    for metric in all() {
        let shown = (facts.is_known() && (metric.lasts || !facts.is_stalled())) || metric.always;
        if shown {
            (metric.take)(facts, &mut Samples { out: &mut out, metric, begun: false });
        }
    }
    out
}

impl Samples<'_> {
    /// One sample, with the values of the metric's labels in their order; nothing where it is unknown.
    pub(super) fn add(&mut self, labels: &[&str], value: Option<f64>) {
        let Some(value) = value.filter(|value| value.is_finite()) else { return };
        let Metric { name, help, kind, .. } = self.metric;
        // Writing to a string cannot fail.
        if !self.begun {
            let kind = if *kind == Kind::Counter { "counter" } else { "gauge" };
            let _ = write!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
            self.begun = true;
        }
        self.out.push_str(name);
        for (k, (label, value)) in self.metric.labels.iter().zip(labels).enumerate() {
            let _ = write!(self.out, "{}{label}=\"", if k == 0 { '{' } else { ',' });
            escape(value, self.out);
            self.out.push('"');
        }
        if !self.metric.labels.is_empty() {
            self.out.push('}');
        }
        let _ = writeln!(self.out, " {value}");
    }

    /// One of several states: 1 for the one that is, 0 for the others.
    pub(super) fn one_of(&mut self, is: &str, states: &[&str]) {
        for state in states {
            self.add(&[state], Some(yes(*state == is)));
        }
    }
}

/// 1 for yes, 0 for no.
pub(super) fn yes(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// In the value of a label three characters are written as two.
fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut out = String::new();
        escape("a\\\"b\"\nc \u{e9}", &mut out);
        assert_eq!(out, "a\\\\\\\"b\\\"\\nc \u{e9}");
    }
}
