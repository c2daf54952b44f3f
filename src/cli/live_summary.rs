//! What the live site was like, in figures: with the controller, and what the same time would have been without.

use std::fmt::Write;

use crate::plant::battery::Control;
use crate::plant::kpi::Second;
use crate::plant::sax::{UNIT_BASIC, UNIT_EXTENDED, UNIT_SUNSPEC};
use crate::plant::serve::LiveSite;
use crate::plant::site::Integrals;
use crate::simulated_day::at_rest;
use crate::units::Phase;

/// Wire addresses of setpoints: unit 64 and unit 100 (facts/sax.md 1.1, 1.3).
const SETPOINTS: [u16; 3] = [41, 40049, 49];

/// What is added up.
pub(super) struct Summary {
    begun_ms: u64,
    last: Integrals,
    seconds: i64,
    with: Sums,
    without: Sums,
}

#[derive(Default)]
struct Sums {
    magnitude_mws: [i64; 3],
    import_mws: i64,
    export_mws: i64,
}

impl Sums {
    fn add(&mut self, second: &Second) {
        for (sum, mw) in self.magnitude_mws.iter_mut().zip(second.grid_mw) {
            *sum += mw.abs();
        }
        let net: i64 = second.grid_mw.iter().sum();
        self.import_mws += net.max(0);
        self.export_mws += (-net).max(0);
    }

    fn text(&self, seconds: i64) -> String {
        let [a, b, c] = self.magnitude_mws.map(|sum| sum / seconds.max(1) / 1000);
        let wh = |mws: i64| format!("{}.{} Wh", mws / 3_600_000, mws / 360_000 % 10);
        format!("{:>18} W {:>14} {:>14}", format!("{a} / {b} / {c}"), wh(self.import_mws), wh(self.export_mws))
    }
}

impl Summary {
    /// Begins now.
    pub(super) fn new(site: &LiveSite) -> Summary {
        let (begun_ms, last) = site.with(|site| (site.now_ms(), site.integrals().clone()));
        Summary { begun_ms, last, seconds: 0, with: Sums::default(), without: Sums::default() }
    }

    /// Takes in the second that ends now.
    pub(super) fn second(&mut self, site: &LiveSite) {
        let now = site.with(|site| site.integrals().clone());
        self.with.add(&Second::between(&self.last, &now));
        self.without.add(&at_rest(&self.last, &now));
        self.last = now;
        self.seconds += 1;
    }

    /// The figures; `poll_ms` is the period of the meter.
    pub(super) fn text(&self, site: &LiveSite, poll_ms: u64) -> String {
        let mut out = format!("\n{} seconds{:>31} {:>16} {:>14}\n", self.seconds, "mean |grid| L1 / L2 / L3", "import", "export");
        let _ = writeln!(out, "  with the controller   {}", self.with.text(self.seconds));
        let _ = writeln!(out, "  batteries at rest     {}", self.without.text(self.seconds));
        let batteries = site.with(|site| {
            let first = |k| site.events().find(|e| e.battery == k && SETPOINTS.contains(&e.address)).map(|e| e.at_ms);
            let requests = |k| [UNIT_BASIC, UNIT_EXTENDED, UNIT_SUNSPEC].map(|unit| (unit, site.requests(k, unit)));
            (0..site.batteries()).map(|k| (first(k), site.writes(k), requests(k))).collect::<Vec<_>>()
        });
        for ((first, writes, requests), phase) in batteries.into_iter().zip(Phase::ALL) {
            let first = first.map_or_else(
                || "no setpoint".to_owned(),
                |at_ms| {
                    let after_ms = at_ms.saturating_sub(self.begun_ms);
                    let tenths = after_ms * 10 / poll_ms.max(1);
                    format!("first setpoint after {}.{} meter periods", tenths / 10, tenths % 10)
                },
            );
            let asked: Vec<_> = requests.iter().filter(|(_, n)| *n > 0).map(|(unit, n)| format!("{n} to unit {unit}")).collect();
            let _ = writeln!(out, "  battery on {phase}: {first}, {writes} writes, requests: {}", asked.join(", "));
        }
        out
    }

    /// Batteries that stand under a setpoint other than 0 W.
    pub(super) fn held(&self, site: &LiveSite) -> Vec<String> {
        site.with(|site| {
            let control = |k| site.battery(k).map(|b| b.control(site.now_ms()));
            let held = |k: usize| match control(k) {
                Some(Control::Commanded { power_w, .. }) if power_w != 0 => {
                    Some(format!("the battery on {}: {power_w} W", Phase::ALL[k % 3]))
                }
                _ => None,
            };
            (0..site.batteries()).filter_map(held).collect()
        })
    }
}
