//! What came of all runs: a line each as they end, and a table of the kinds.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use crate::kinds::{DUTIES, Kind};
use crate::machine;
use crate::run::Outcome;

#[derive(Debug, Default)]
struct Row {
    faults: u64,
    in_pairs: u64,
    fallback_ms: u64,
    recovery_ms: u64,
    lines: usize,
}

#[derive(Debug, Default)]
pub struct Report {
    runs: u64,
    void: u64,
    bad: Vec<u64>,
    violations: usize,
    rows: BTreeMap<Kind, Row>,
}

impl Report {
    pub fn take(&mut self, number: u64, outcome: &Outcome, kept: &Path) {
        self.runs += 1;
        if let Some(why) = &outcome.void {
            self.void += 1;
            println!("number {number}: void: {why}, trace in {}", kept.join(number.to_string()).display());
            return;
        }
        for case in &outcome.cases {
            let row = self.rows.entry(case.injection.kind).or_default();
            row.faults += 1;
            row.fallback_ms = row.fallback_ms.max(case.fallback_ms.unwrap_or(0));
            row.lines = row.lines.max(case.lines);
        }
        for (kinds, ms) in &outcome.recoveries {
            for kind in kinds {
                let row = self.rows.entry(*kind).or_default();
                row.recovery_ms = row.recovery_ms.max(*ms);
                row.in_pairs += u64::from(kinds.len() > 1);
            }
        }
        let faults = outcome.cases.len();
        if outcome.violations.is_empty() {
            println!("number {number}: {faults} faults, all well ({} runs so far)", self.runs);
            return;
        }
        self.bad.push(number);
        self.violations += outcome.violations.len();
        println!(
            "number {number}: {faults} faults, {} VIOLATIONS, kept in {}",
            outcome.violations.len(),
            kept.join(number.to_string()).display()
        );
        for violation in outcome.violations.iter().take(8) {
            println!("    {violation}");
        }
    }

    pub fn is_clean(&self) -> bool {
        self.bad.is_empty() && self.runs > self.void
    }

    pub fn text(&self, took: Duration) -> String {
        let mut out =
            format!("\n{:<16} {:>7} {:>9} {:>12} {:>12} {:>10}\n", "kind", "faults", "in pairs", "fallback", "recovery", "most lines");
        let seconds = |ms: u64| if ms == 0 { "-".to_owned() } else { format!("{}.{} s", ms / 1000, ms % 1000 / 100) };
        for duty in &DUTIES {
            let Some(row) = self.rows.get(&duty.kind) else { continue };
            let (fallback, recovery) = (seconds(row.fallback_ms), seconds(row.recovery_ms));
            let _ =
                writeln!(out, "{:<16} {:>7} {:>9} {fallback:>12} {recovery:>12} {:>10}", duty.name, row.faults, row.in_pairs, row.lines);
        }
        let faults: u64 = self.rows.values().map(|r| r.faults).sum();
        let _ = write!(
            out,
            "\n{} runs in {} s, {} void, {faults} faults, {} violations in {} runs; the machine was late by at most {} ms",
            self.runs,
            took.as_secs(),
            self.void,
            self.violations,
            self.bad.len(),
            machine::late_ms()
        );
        for number in &self.bad {
            let _ = write!(out, "\nagain: make chaos NUMBER={number} RUNS=1");
        }
        out
    }
}
