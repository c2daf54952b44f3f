//! What the live site was like, in figures: with the controller, and what the same time would have been without.

use std::fmt::Write;

use crate::config::{Balance, Config, Phases, Strategy};
use crate::plant::battery::Control;
use crate::plant::kpi::Second;
use crate::plant::serve::LiveSite;
use crate::plant::site::Integrals;
use crate::simulated_day::at_rest;
use crate::units::Phase;

/// A grid limit or the fuse counts as broken when it is passed by more than this for a whole second, W: the meter's noise, and the regulation
/// that takes place around a limit.
const BEYOND_W: i64 = 100;
/// What happens before the controller has seen everything once, s.
const STARTING_S: i64 = 10;

/// What is added up.
pub(super) struct Summary {
    names: Vec<String>,
    /// Name of each charger, and the limit at which it is to be left, mA.
    chargers: Vec<(String, i64)>,
    poll_ms: u64,
    balance: Balance,
    target_w: i64,
    /// Some grid power is aimed at.
    aims: bool,
    /// Why none is, where none is.
    aimless: &'static str,
    fuse_w: i64,
    import_w: Option<i64>,
    export_w: Option<i64>,
    /// The phases that batteries feed.
    fed: [bool; 3],
    /// Seconds beyond the fuse of a phase, the import limit and the export limit: with the controller, and with batteries at rest.
    beyond: [[i64; 2]; 3],
    /// Distance from the target, mW times s, of what is balanced: with the controller, and with batteries at rest.
    missed: [i64; 2],
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
    pub(super) fn new(site: &LiveSite, config: &Config) -> Summary {
        let (begun_ms, last) = site.with(|site| (site.now_ms(), site.integrals().clone()));
        Summary {
            names: config.batteries.iter().map(|b| b.name.clone()).collect(),
            poll_ms: config.meter.as_ref().map_or(1000, |m| m.poll_ms.into()),
            // With batteries on all phases the sum is what they can balance.
            balance: if config.batteries.iter().any(|b| b.phase == Phases::All) { Balance::Sum } else { config.site.balance },
            target_w: config.site.grid_target_w.into(),
            aims: !matches!(config.site.strategy, Strategy::PeakShaving { .. }) && !config.batteries.is_empty(),
            aimless: if config.batteries.is_empty() { "there is no battery" } else { "this strategy aims at no grid power" },
            chargers: config.chargers.iter().map(|c| (c.name.clone(), c.fallback_limit_ma.into())).collect(),
            fuse_w: i64::from(config.site.fuse_ma) * i64::from(config.site.voltage_mv) / 1_000_000,
            import_w: config.site.import_limit_w.map(i64::from),
            export_w: config.site.export_limit_w.map(i64::from),
            fed: Phase::ALL.map(|phase| config.batteries.iter().any(|b| b.phase == Phases::All || b.phase == Phases::One(phase))),
            beyond: [[0; 2]; 3],
            missed: [0; 2],
            begun_ms,
            last,
            seconds: 0,
            with: Sums::default(),
            without: Sums::default(),
        }
    }

    /// Takes in the second that ends now.
    pub(super) fn second(&mut self, site: &LiveSite) {
        let now = site.with(|site| site.integrals().clone());
        let (with, without) = (Second::between(&self.last, &now), at_rest(&self.last, &now));
        self.with.add(&with);
        self.without.add(&without);
        if self.seconds >= STARTING_S {
            for (k, second) in [&with, &without].into_iter().enumerate() {
                self.judge(k, second);
            }
        }
        self.last = now;
        self.seconds += 1;
    }

    fn judge(&mut self, k: usize, second: &Second) {
        let watts = second.grid_mw.map(|mw| mw / 1000);
        let sum: i64 = watts.iter().sum();
        self.beyond[0][k] += i64::from(watts.iter().any(|w| w.abs() > self.fuse_w + BEYOND_W));
        self.beyond[1][k] += i64::from(self.import_w.is_some_and(|most| sum > most + BEYOND_W));
        self.beyond[2][k] += i64::from(self.export_w.is_some_and(|most| -sum > most + BEYOND_W));
        let target_mw = self.target_w * 1000;
        self.missed[k] += match self.balance {
            Balance::PerPhase => {
                let fed = second.grid_mw.iter().zip(self.fed).filter(|(_, fed)| *fed);
                fed.map(|(mw, _)| (mw - target_mw / 3).abs()).sum::<i64>()
            }
            Balance::Sum => (second.grid_mw.iter().sum::<i64>() - target_mw).abs(),
        };
    }

    /// In words: whether control worked.
    pub(super) fn verdict(&self, released: bool) -> String {
        let judged = (self.seconds - STARTING_S).max(0);
        if judged == 0 {
            return format!("Whether control worked cannot be said after {} s: the first {STARTING_S} s do not count.", self.seconds);
        }
        let counted = match self.balance {
            Balance::PerPhase => self.fed.iter().filter(|fed| **fed).count().max(1) as i64,
            Balance::Sum => 1,
        };
        let [with, without] = self.missed.map(|mws| mws / judged / counted / 1000);
        let what = match self.balance {
            Balance::PerPhase => "each phase with a battery was",
            Balance::Sum => "the sum of the phases was",
        };
        let names = ["the fuse", "the import limit", "the export limit"];
        let broken: Vec<_> = names.iter().zip(self.beyond).filter(|(_, [with, _])| *with > 0).collect();
        let limits = match broken.as_slice() {
            [] => "No limit was passed.".to_owned(),
            broken => {
                let each = broken.iter().map(|(name, [with, without])| format!("{name} for {with} s ({without} s with batteries at rest)"));
                format!("Passed: {}.", each.collect::<Vec<_>>().join(", "))
            }
        };
        let is_better = if self.aims { with < without } else { self.beyond.iter().all(|[with, without]| with <= without) };
        let worked = if released && is_better { "Control worked" } else { "Control did NOT work" };
        let how_far = match self.aims {
            true => format!(": in the mean {what} {with} W away from the target, with batteries at rest {without} W"),
            false => format!(", as far as can be said: {}, it is judged by its limits", self.aimless),
        };
        let released = if released { "Every battery was released." } else { "NOT every battery was released." };
        format!("{worked}{how_far}.\n{released} {limits}")
    }

    /// The figures.
    pub(super) fn text(&self, site: &LiveSite) -> String {
        let mut out = format!("\n{} seconds{:>31} {:>16} {:>14}\n", self.seconds, "mean |grid| L1 / L2 / L3", "import", "export");
        let _ = writeln!(out, "  with the controller   {}", self.with.text(self.seconds));
        let _ = writeln!(out, "  batteries at rest     {}", self.without.text(self.seconds));
        for (k, name) in self.names.iter().enumerate() {
            let (first, writes, requests, wiring) = site.with(|site| {
                let wiring = site.battery(k).map_or_else(String::new, |b| b.params().phase.to_string());
                (site.first_setpoint_ms(k), site.writes(k), site.all_requests(k), wiring)
            });
            let first = first.map_or_else(
                || "no setpoint".to_owned(),
                |at_ms| {
                    let after_ms = at_ms.saturating_sub(self.begun_ms);
                    let tenths = after_ms * 10 / self.poll_ms.max(1);
                    format!("first setpoint after {}.{} meter periods", tenths / 10, tenths % 10)
                },
            );
            let asked: Vec<_> = requests.iter().map(|(unit, n)| format!("{n} to {unit}")).collect();
            let _ = writeln!(out, "  battery {name} on {wiring}: {first}, {writes} writes, asked: {}", asked.join(", "));
        }
        for (k, (name, _)) in self.chargers.iter().enumerate() {
            let told = site.with(|site| site.charger(k).map(|c| (c.writes(), c.requests(), c.car().charged_wh(), c.switches())));
            if let Some((writes, requests, wh, switches)) = told {
                let _ = writeln!(
                    out,
                    "  charger {name}: {wh} Wh charged, contactor switched {switches} times, {writes} writes, {requests} requests"
                );
            }
        }
        out
    }

    /// Batteries that stand under a setpoint other than 0 W, and chargers that were told another last limit than their fallback.
    pub(super) fn held(&self, site: &LiveSite) -> Vec<String> {
        site.with(|site| {
            let left = |(k, (name, fallback_ma)): (usize, &(String, i64))| {
                let charger = site.charger(k).filter(|c| c.writes() > 0 && c.limit_ma() != *fallback_ma)?;
                Some(format!("charger {name}: {} mA", charger.limit_ma()))
            };
            let held = |(k, name): (usize, &String)| match site.battery(k).map(|b| b.control(site.now_ms())) {
                Some(Control::Commanded { power_w, .. }) if power_w != 0 => Some(format!("battery {name}: {power_w} W")),
                _ => None,
            };
            self.names.iter().enumerate().filter_map(held).chain(self.chargers.iter().enumerate().filter_map(left)).collect()
        })
    }
}
