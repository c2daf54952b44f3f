//! The key figures of a day as ratios and as a table for people; see [`kpi`](super::kpi).

use std::fmt;

use super::kpi::{Kpi, Mode};

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

impl fmt::Display for Kpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |f: &mut fmt::Formatter<'_>, what: &str, value: String| writeln!(f, "{what:<34}{value:>24}");
        row(f, "time", format!("{} h {:02} min", self.seconds / 3600, self.seconds / 60 % 60))?;
        row(f, "house / sun", format!("{} / {} kWh", kwh(self.load_mws), kwh(self.pv_mws)))?;
        row(f, "import / export, netted", format!("{} / {} kWh", kwh(self.import_net_mws), kwh(self.export_net_mws)))?;
        let phases = |mws: [i64; 3]| kwh(mws.iter().sum());
        row(f, "import / export, phase by phase", format!("{} / {} kWh", phases(self.import_mws), phases(self.export_mws)))?;
        row(f, "self-consumption", percent(self.self_consumption_pm()))?;
        row(f, "autarky", percent(self.autarky_pm()))?;
        row(f, "batteries: throughput / loss", format!("{} / {} Wh", self.throughput_wh(), self.loss_wh()))?;
        row(f, "batteries: cycles", format!("{}.{:03}", self.millicycles() / 1000, self.millicycles() % 1000))?;
        row(f, "batteries: travel", format!("{} kW", self.travel_mw / 1_000_000))?;
        row(f, "peak import, 1 s", watts(self.peak_second_mw))?;
        row(f, "peak import, 15 min", watts(self.peak_quarter_mw))?;
        row(f, "grid power, RMS", watts([0, 1, 2].map(|k| self.rms_w(k) * 1000)))?;
        let rated = self.params.fuse_a;
        row(f, &format!("above {rated} A / above 1.13 x {rated} A"), format!("{} / {} s", self.fuse_s, self.fuse_113_s))?;
        row(f, "longest overload", format!("{} s", self.fuse_longest_s))?;
        let most = self.fuse_ma2s.iter().max().copied().unwrap_or(0) / 1_000_000;
        row(f, "overload integral, worst phase", format!("{most} A²s"))?;
        row(f, "writes per hour and battery", tenths(self.writes_per_h_tenths()))?;
        row(f, "reversals per hour and battery", tenths(self.reversals_per_h_tenths()))?;
        for (mode, seconds) in Mode::ALL.iter().zip(self.mode_s).filter(|(_, seconds)| *seconds > 0) {
            row(f, &format!("{mode:?}").to_lowercase(), format!("{seconds} s"))?;
        }
        Ok(())
    }
}

fn permille(part: i64, whole: i64) -> i64 {
    (i128::from(part) * 1000 / i128::from(whole.max(1))) as i64
}

fn kwh(mws: i64) -> String {
    let wh = mws / MWS_PER_WH;
    format!("{}.{:02}", wh / 1000, wh % 1000 / 10)
}

fn percent(pm: Option<i64>) -> String {
    pm.map_or("-".to_owned(), |pm| format!("{}{}.{} %", if pm < 0 { "-" } else { "" }, pm.abs() / 10, pm.abs() % 10))
}

fn tenths(value: u64) -> String {
    format!("{}.{}", value / 10, value % 10)
}

fn watts(mw: [i64; 3]) -> String {
    let [a, b, c] = mw.map(|mw| mw / 1000);
    format!("{a} / {b} / {c} W")
}
