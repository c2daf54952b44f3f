//! How good a day was: the key figures of control.md 5.2, from one second to the next.
//!
//! Fed with means of one second; integers only. Never looks at a site by itself: [`Second::between`] makes a second of two readings of
//! its sums. The figures for people are in [`kpi_report`](super::kpi_report).

use super::kpi_control::{Quality, Seen};
use super::kpi_fuse::Thermal;
use super::kpi_oracle::Oracle;
use super::kpi_steps::Steps;
use super::site::Integrals;

/// What the controller did in a second.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Starting, not in control yet.
    #[default]
    Init,
    /// In control.
    Run,
    /// Without fresh measurements, outputs kept.
    Hold,
    /// On the way to the fallback.
    Ramp,
    /// Fallback.
    Fallback,
}

impl Mode {
    /// All of them, in order.
    pub const ALL: [Mode; 5] = [Mode::Init, Mode::Run, Mode::Hold, Mode::Ramp, Mode::Fallback];
}

/// The limits the figures refer to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KpiParams {
    /// Rating of the main fuse in A.
    pub fuse_a: i64,
    /// Usable capacity of all batteries in Wh.
    pub usable_wh: i64,
}

/// Means of one second, and what happened in it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Second {
    /// What each phase of the house takes, with the car, without sun and batteries, in mW.
    pub load_mw: [i64; 3],
    /// What the sun gives, all phases, in mW.
    pub pv_mw: i64,
    /// Grid power of each phase in mW, import positive.
    pub grid_mw: [i64; 3],
    /// Power of each battery in mW, discharge positive.
    pub battery_mw: Vec<i64>,
    /// The setpoint in force for each battery in W, if there is one; may be shorter than `battery_mw`.
    pub setpoint_w: Vec<Option<i64>>,
    /// Writes to each battery in this second; may be shorter than `battery_mw`.
    pub writes: Vec<u32>,
    /// Energy stored in all batteries at the end of the second, in mWh.
    pub stored_mwh: i64,
    /// Of each phase, whether its batteries give all they can at the end of the second, and whether they take all they can.
    pub spent: [[bool; 2]; 3],
    /// What the controller did.
    pub mode: Mode,
    /// What else was seen of it.
    pub seen: Seen,
}

impl Second {
    /// The means between two readings of the sums of a site; zero when no time lies between them.
    pub fn between(from: &Integrals, to: &Integrals) -> Second {
        let steps = (to.at_ms.saturating_sub(from.at_ms) / 10) as i64;
        let mean = |from: i64, to: i64| if steps > 0 { (to - from) / steps } else { 0 };
        let means = |from: [i64; 3], to: [i64; 3]| std::array::from_fn(|k| mean(from[k], to[k]));
        Second {
            load_mw: means(from.load, to.load),
            pv_mw: mean(from.pv.iter().sum(), to.pv.iter().sum()),
            grid_mw: means(from.grid, to.grid),
            battery_mw: from.battery.iter().zip(&to.battery).map(|(a, b)| mean(*a, *b)).collect(),
            ..Second::default()
        }
    }
}

/// The figures so far. Energies are sums of mW over seconds: mWs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kpi {
    /// The limits the figures refer to.
    pub params: KpiParams,
    /// Seconds seen.
    pub seconds: u64,
    /// Energy taken by the house.
    pub load_mws: i64,
    /// Energy of the sun.
    pub pv_mws: i64,
    /// Import of all phases together, where positive.
    pub import_net_mws: i64,
    /// Export of all phases together, where positive.
    pub export_net_mws: i64,
    /// Import phase by phase, for meters that do not net.
    pub import_mws: [i64; 3],
    /// Export phase by phase.
    pub export_mws: [i64; 3],
    /// Energy out of the batteries.
    pub discharged_mws: i64,
    /// Energy into the batteries.
    pub charged_mws: i64,
    /// Highest import of a second on each phase.
    pub peak_second_mw: [i64; 3],
    /// Highest mean import of a quarter of an hour on each phase.
    pub peak_quarter_mw: [i64; 3],
    /// Seconds with a phase above the rating of the fuse.
    pub fuse_s: u64,
    /// Seconds with a phase above 1.13 times the rating.
    pub fuse_113_s: u64,
    /// Longest time above the rating.
    pub fuse_longest_s: u64,
    /// Integral of I² - I_n² above the rating, largest phase, in mA² s.
    pub fuse_ma2s: [i128; 3],
    /// How far the batteries' powers moved.
    pub travel_mw: i64,
    /// Writes to each battery.
    pub writes: Vec<u64>,
    /// Reversals of each battery's setpoint by more than 50 W.
    pub reversals: Vec<u64>,
    /// Sum of squares of each phase's grid power in W.
    pub squares_w2: [i128; 3],
    /// Seconds in each mode, in the order of [`Mode::ALL`].
    pub mode_s: [u64; 5],
    /// Whether the main fuse would have tripped.
    pub thermal: Thermal,
    /// How well informed the controller was.
    pub quality: Quality,
    /// Batteries that follow at once, where there is something to compare with them.
    pub oracle: Option<Oracle>,
    /// What was switched in the house, where that is known.
    pub steps: Option<Steps>,
    pub(super) stored_mwh: Option<(i64, i64)>,
    quarter_mws: [i64; 3],
    fuse_run_s: u64,
    last_battery_mw: Vec<i64>,
    zigzag: Vec<Zigzag>,
}

/// Voltage at which powers are turned into currents (control.md 5.1: 230 V).
const VOLTAGE_V: i64 = 230;
/// A setpoint has turned when it moved back by more than this, in W (control.md 5.2).
const REVERSAL_W: i64 = 50;

impl Kpi {
    /// Nothing seen yet.
    pub fn new(params: KpiParams) -> Kpi {
        Kpi {
            params,
            seconds: 0,
            load_mws: 0,
            pv_mws: 0,
            import_net_mws: 0,
            export_net_mws: 0,
            import_mws: [0; 3],
            export_mws: [0; 3],
            discharged_mws: 0,
            charged_mws: 0,
            peak_second_mw: [0; 3],
            peak_quarter_mw: [0; 3],
            fuse_s: 0,
            fuse_113_s: 0,
            fuse_longest_s: 0,
            fuse_ma2s: [0; 3],
            travel_mw: 0,
            writes: Vec::new(),
            reversals: Vec::new(),
            squares_w2: [0; 3],
            mode_s: [0; 5],
            thermal: Thermal::default(),
            quality: Quality::default(),
            oracle: None,
            steps: None,
            stored_mwh: None,
            quarter_mws: [0; 3],
            fuse_run_s: 0,
            last_battery_mw: Vec::new(),
            zigzag: Vec::new(),
        }
    }

    /// Takes in a second.
    pub fn second(&mut self, second: &Second) {
        self.seconds += 1;
        self.mode_s[second.mode as usize] += 1;
        self.energy(second);
        self.fuse(second);
        self.batteries(second);
        self.quality.second(&second.seen, second.mode);
        if let Some(oracle) = &mut self.oracle {
            oracle.second(second.load_mw.iter().sum::<i64>() - second.pv_mw);
        }
        if let Some(steps) = &mut self.steps {
            steps.second(second);
        }
    }

    fn energy(&mut self, second: &Second) {
        let net: i64 = second.grid_mw.iter().sum();
        self.load_mws += second.load_mw.iter().sum::<i64>();
        self.pv_mws += second.pv_mw;
        self.import_net_mws += net.max(0);
        self.export_net_mws += (-net).max(0);
        for (k, mw) in second.grid_mw.into_iter().enumerate() {
            self.import_mws[k] += mw.max(0);
            self.export_mws[k] += (-mw).max(0);
            self.peak_second_mw[k] = self.peak_second_mw[k].max(mw);
            self.quarter_mws[k] += mw;
            self.squares_w2[k] += i128::from(mw) * i128::from(mw) / 1_000_000;
            if self.seconds % 900 == 0 {
                self.peak_quarter_mw[k] = self.peak_quarter_mw[k].max(self.quarter_mws[k] / 900);
                self.quarter_mws[k] = 0;
            }
        }
        let start = self.stored_mwh.map_or(second.stored_mwh, |(start, _)| start);
        self.stored_mwh = Some((start, second.stored_mwh));
    }

    fn fuse(&mut self, second: &Second) {
        let rated_ma = self.params.fuse_a * 1000;
        let currents = second.grid_mw.map(|mw| mw.abs() / VOLTAGE_V);
        let highest = currents.into_iter().max().unwrap_or(0);
        self.thermal.second(currents, rated_ma);
        for (sum, ma) in self.fuse_ma2s.iter_mut().zip(currents) {
            *sum += (i128::from(ma).pow(2) - i128::from(rated_ma).pow(2)).max(0);
        }
        self.fuse_run_s = if highest > rated_ma { self.fuse_run_s + 1 } else { 0 };
        self.fuse_s += u64::from(highest > rated_ma);
        self.fuse_113_s += u64::from(highest * 100 > rated_ma * 113);
        self.fuse_longest_s = self.fuse_longest_s.max(self.fuse_run_s);
    }

    fn batteries(&mut self, second: &Second) {
        let count = second.battery_mw.len();
        if self.last_battery_mw.len() != count {
            self.last_battery_mw.clone_from(&second.battery_mw);
        }
        self.writes.resize(self.writes.len().max(count), 0);
        self.reversals.resize(self.reversals.len().max(count), 0);
        self.zigzag.resize(self.zigzag.len().max(count), Zigzag::default());
        for (k, mw) in second.battery_mw.iter().enumerate() {
            self.discharged_mws += (*mw).max(0);
            self.charged_mws += (-*mw).max(0);
            self.travel_mw += (mw - self.last_battery_mw[k]).abs();
            self.writes[k] += second.writes.get(k).copied().map_or(0, u64::from);
            if let Some(Some(setpoint_w)) = second.setpoint_w.get(k) {
                self.reversals[k] += u64::from(self.zigzag[k].turned(*setpoint_w));
            }
        }
        self.last_battery_mw.clone_from(&second.battery_mw);
    }
}

/// Finds turns of a signal: the last extreme, and which way it went from there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Zigzag {
    extreme_w: Option<i64>,
    direction: i64,
}

impl Zigzag {
    fn turned(&mut self, value_w: i64) -> bool {
        let extreme_w = *self.extreme_w.get_or_insert(value_w);
        let moved = value_w - extreme_w;
        if moved * self.direction > 0 {
            self.extreme_w = Some(value_w);
        }
        if moved.abs() <= REVERSAL_W || moved.signum() == self.direction {
            return false;
        }
        let was_moving = self.direction != 0;
        (self.extreme_w, self.direction) = (Some(value_w), moved.signum());
        was_moving
    }
}
