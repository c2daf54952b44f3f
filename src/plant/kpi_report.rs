//! The key figures of a day as ratios and as a table for people; see [`kpi`](super::kpi).

use std::fmt;

use super::kpi::{Kpi, Mode};
use super::kpi_oracle::{EXPORT_CT, IMPORT_CT, cost_mct};
use super::kpi_steps::Steps;

/// mWs of a watt-hour.
const MWS_PER_WH: i64 = 3_600_000;

impl Kpi {
    /// Part of the sun's energy that was not exported, in 0.1 %; `None` without sun. With batteries that lose energy it says more than
    /// was used.
    pub fn self_consumption_pm(&self) -> Option<i64> {
        (self.pv_mws > 0).then(|| 1000 - permille(self.export_net_mws, self.pv_mws))
    }

    /// Part of the load that was not imported, in 0.1 %; `None` without load.
    pub fn autarky_pm(&self) -> Option<i64> {
        (self.load_mws > 0).then(|| 1000 - permille(self.import_net_mws, self.load_mws))
    }

    /// What the batteries lost in Wh: taken in, not given out and no longer there.
    pub fn loss_wh(&self) -> i64 {
        let (start, end) = self.stored_mwh.unwrap_or_default();
        (self.charged_mws - self.discharged_mws) / MWS_PER_WH - (end - start) / 1000
    }

    /// Energy through the batteries, in and out, in Wh.
    pub fn throughput_wh(&self) -> i64 {
        (self.charged_mws + self.discharged_mws) / MWS_PER_WH
    }

    /// Full cycles in thousandths.
    pub fn millicycles(&self) -> i64 {
        self.throughput_wh() * 1000 / (2 * self.params.usable_wh.max(1))
    }

    /// Root mean square of a phase's grid power in W.
    pub fn rms_w(&self, phase: usize) -> i64 {
        let squares = self.squares_w2.get(phase).copied().unwrap_or(0);
        let mean = squares / i128::from(self.seconds.max(1));
        i64::try_from(mean.unsigned_abs().isqrt()).unwrap_or(i64::MAX)
    }

    /// Writes per hour and battery in tenths.
    pub fn writes_per_h_tenths(&self) -> u64 {
        self.per_h_tenths(&self.writes)
    }

    /// Reversals of the setpoint per hour and battery in tenths.
    pub fn reversals_per_h_tenths(&self) -> u64 {
        self.per_h_tenths(&self.reversals)
    }

    fn per_h_tenths(&self, counts: &[u64]) -> u64 {
        counts.iter().sum::<u64>() * 36_000 / (self.seconds * counts.len() as u64).max(1)
    }
}

/// A figure in words, and its value with its unit.
pub type Row = (String, String);

impl Kpi {
    /// What the grid connection, the house and the fuse saw; also without batteries.
    pub fn grid_rows(&self) -> Vec<Row> {
        let phases = |mws: [i64; 3]| mws.map(kwh).join(" / ");
        let rated = self.params.fuse_a;
        let most = self.fuse_ma2s.iter().max().copied().unwrap_or(0) / 1_000_000;
        let fuse = match self.thermal.tripped_s() {
            Some(s) => format!("trips after {} h {:02} min", s / 3600, s / 60 % 60),
            None => format!("holds, {} % warm at most", percent_of(self.thermal.most_pm())),
        };
        rows([
            ("import, netted", format!("{} kWh", kwh(self.import_net_mws))),
            ("export, netted", format!("{} kWh", kwh(self.export_net_mws))),
            ("import, L1 / L2 / L3", format!("{} kWh", phases(self.import_mws))),
            ("export, L1 / L2 / L3", format!("{} kWh", phases(self.export_mws))),
            ("self-consumption", percent(self.self_consumption_pm())),
            ("autarky", percent(self.autarky_pm())),
            ("peak import, 1 s", watts(self.peak_second_mw)),
            ("peak import, 15 min", watts(self.peak_quarter_mw)),
            ("grid power, RMS", watts([0, 1, 2].map(|k| self.rms_w(k) * 1000))),
            (&format!("above {rated} A / above 1.13 x {rated} A"), format!("{} / {} s", self.fuse_s, self.fuse_113_s)),
            ("longest overload", format!("{} s", self.fuse_longest_s)),
            ("overload integral, worst phase", format!("{most} A²s")),
            ("fuse", fuse),
            (&format!("bill at {IMPORT_CT} / {EXPORT_CT} ct"), euros(cost_mct(self.import_net_mws, self.export_net_mws))),
        ])
    }

    /// What the batteries did, and what was done to them.
    pub fn battery_rows(&self) -> Vec<Row> {
        let (start, end) = self.stored_mwh.unwrap_or_default();
        let mut rows = rows([
            ("batteries: stored, start / end", format!("{} / {} Wh", start / 1000, end / 1000)),
            ("batteries: throughput / loss", format!("{} / {} Wh", self.throughput_wh(), self.loss_wh())),
            ("batteries: cycles", format!("{}.{:03}", self.millicycles() / 1000, self.millicycles() % 1000)),
            ("batteries: travel", format!("{} kW", self.travel_mw / 1_000_000)),
            ("writes per hour and battery", tenths(self.writes_per_h_tenths())),
            ("writes that repeat the last one", share(self.quality.heartbeats, self.quality.writes)),
            ("reversals per hour and battery", tenths(self.reversals_per_h_tenths())),
        ]);
        let seconds = |mode: Mode| (format!("time in {}", format!("{mode:?}").to_uppercase()), format!("{} s", self.mode_s[mode as usize]));
        rows.extend(Mode::ALL.map(seconds));
        rows.extend(self.control_rows());
        rows
    }

    /// How good the control was, as far as that was looked at.
    fn control_rows(&self) -> Vec<Row> {
        let quality = &self.quality;
        let mut rows = Vec::new();
        if let Some(oracle) = &self.oracle {
            let exchanged = self.import_net_mws + self.export_net_mws;
            let mct = oracle.regret_mct(self.import_net_mws, self.export_net_mws);
            rows.push(("more than batteries without delay".to_owned(), cents(mct)));
            let both = format!("{} / {} kWh", kwh(exchanged), kwh(oracle.exchanged_mws()));
            rows.push(("exchanged with the grid / theirs".to_owned(), both));
        }
        if quality.used + quality.held > 0 {
            let all = quality.used + quality.held;
            let both = format!("{} / {}", share(quality.used, all), share(quality.held, all));
            rows.push(("samples: exact / in movement".to_owned(), both));
        }
        if let Some((low, high, learned)) = quality.window_ms {
            let how = if learned { "learned" } else { "not learned" };
            rows.push(("age of the meter, as believed".to_owned(), format!("{low} to {high} ms, {how}")));
            rows.push(("true age is within that".to_owned(), share(quality.covered.0, quality.covered.1)));
        }
        let fallback = quality.fallback_ms.map_or("never".to_owned(), |ms| format!("{}.{} s", ms / 1000, ms / 100 % 10));
        rows.push(("longest from last data to FALLBACK".to_owned(), fallback));
        rows.extend(self.steps.iter().flat_map(step_rows));
        rows
    }
}

impl fmt::Display for Kpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = rows([
            ("time", format!("{} h {:02} min", self.seconds / 3600, self.seconds / 60 % 60)),
            ("house / sun", format!("{} / {} kWh", kwh(self.load_mws), kwh(self.pv_mws))),
        ]);
        for (what, value) in first.into_iter().chain(self.grid_rows()).chain(self.battery_rows()) {
            writeln!(f, "{what:<34}{value:>26}")?;
        }
        Ok(())
    }
}

/// What became of the labelled steps.
fn step_rows(steps: &Steps) -> Vec<Row> {
    let judged = &steps.judged;
    let late = judged.iter().filter(|j| j.settled_s.is_none()).count();
    let mut rows = vec![("labelled steps / never settled".to_owned(), format!("{} / {late}", judged.len()))];
    if let (Some(ratio), Some(beyond)) = (steps.ratio_percent(), steps.overshoot_pm()) {
        let hundredths = |v: u64| format!("{}.{:02}", v / 100, v % 100);
        let tenths = |v: u64| format!("{}.{}", v / 10, v % 10);
        rows.push(("settling to bound, median / 95 %".to_owned(), format!("{} / {}", hundredths(ratio.0), hundredths(ratio.1))));
        rows.push(("overshoot, median / 95 %".to_owned(), format!("{} / {} %", tenths(beyond.0), tenths(beyond.1))));
    }
    rows
}

fn rows<const N: usize>(rows: [(&str, String); N]) -> Vec<Row> {
    rows.map(|(what, value)| (what.to_owned(), value)).into()
}

fn permille(part: i64, whole: i64) -> i64 {
    (i128::from(part) * 1000 / i128::from(whole.max(1))) as i64
}

/// Energy in kWh with two decimals.
pub fn kwh(mws: i64) -> String {
    let wh = mws / MWS_PER_WH;
    format!("{}.{:02}", wh / 1000, wh % 1000 / 10)
}

fn percent(pm: Option<i64>) -> String {
    pm.map_or("-".to_owned(), |pm| format!("{}{}.{} %", if pm < 0 { "-" } else { "" }, pm.abs() / 10, pm.abs() % 10))
}

fn percent_of(pm: i64) -> String {
    format!("{}.{}", pm / 10, pm % 10)
}

fn share(part: u64, whole: u64) -> String {
    percent((whole > 0).then(|| (part * 1000 / whole) as i64))
}

/// Thousandths of a cent in euros.
fn euros(mct: i64) -> String {
    let ct = mct / 1000;
    format!("{}{}.{:02} euro", if ct < 0 { "-" } else { "" }, ct.abs() / 100, ct.abs() % 100)
}

/// Thousandths of a cent in cents.
fn cents(mct: i64) -> String {
    format!("{}{}.{} ct", if mct < 0 { "-" } else { "" }, mct.abs() / 1000, mct.abs() / 100 % 10)
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

fn watts(mw: [i64; 3]) -> String {
    let [a, b, c] = mw.map(|mw| mw / 1000);
    format!("{a} / {b} / {c} W")
}
