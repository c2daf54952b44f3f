//! Load steps and whole days under the real tasks in virtual time, for one choice of meter and battery ("cell").
#![allow(dead_code, missing_docs)]

use std::sync::Arc;

use sax_controller::classic::law::Kind;
use sax_controller::classic::{Classic, plan_for};
use sax_controller::config::{self, Config};
use sax_controller::daemon::director::Director;
use sax_controller::device::library::Library;
use sax_controller::plant::battery_params::BatteryParams;
use sax_controller::plant::day::{Day, DayParams};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::rng::Rng;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::Simulation;
use sax_controller::units::{Phase, Time};

/// Settled within this, W.
pub const BAND_W: i64 = 50;
/// Finding the banks and the slow start (spec/control.md 2.6), where polls are quick.
const START_MS: u64 = 40_000;
/// Where they are slow, in polls: five good samples in a row, with lost ones between them.
const START_POLLS: u64 = 12;
/// The end of a step's time, over which the stationary deviation is averaged.
const STATIONARY_MS: u64 = 8000;
/// A write that changes the setpoint by less than this is the refresh that the device asks for (`deadband_w`).
const DEADBAND_W: i64 = 30;

/// What is varied. Times in ms.
#[derive(Clone, Debug)]
pub struct Cell {
    pub latency_ms: u64,
    pub refresh_ms: u64,
    pub averaging_ms: u64,
    pub jitter_ms: u64,
    pub noise_w: i64,
    pub poll_ms: u64,
    pub battery_poll_ms: u64,
    pub dead_ms: u64,
    pub tau_ms: u64,
    pub ramp_w_per_s: Option<i64>,
    pub scale_pm: u16,
    pub reading_bias_w: i64,
    pub tracking_bias_w: i64,
    pub lost_permille: u16,
    /// Units 64 and 40 only: unit 100 wants 500 ms between requests (facts/sax.md 2, Rates), so polls are no quicker than that.
    pub is_old_firmware: bool,
}

impl Default for Cell {
    /// spec/control.md 3.3: d_m 0.8 s, d_b 0.4 s, tau 0.3 s, meter noise 10 W; an instantaneous meter that is polled every second.
    fn default() -> Self {
        Cell {
            latency_ms: 800,
            refresh_ms: 10,
            averaging_ms: 0,
            jitter_ms: 0,
            noise_w: 10,
            poll_ms: 1000,
            battery_poll_ms: 1000,
            dead_ms: 400,
            tau_ms: 300,
            ramp_w_per_s: None,
            scale_pm: 1000,
            reading_bias_w: 0,
            tracking_bias_w: 0,
            lost_permille: 0,
            is_old_firmware: false,
        }
    }
}

/// Loads of the phases from each time on, in ms and W, and when each step begins and ends.
#[derive(Clone, Debug)]
pub struct Steps {
    trace: Vec<(u64, [i64; 3])>,
    spans: Vec<(u64, u64)>,
}

impl Steps {
    /// Nothing but this load on L2.
    pub fn at_rest(load_w: i64) -> Steps {
        Steps { trace: vec![(0, [200, load_w, 300])], spans: Vec::new() }
    }

    /// This load on L2 from a time on, and measured until another.
    pub fn push(&mut self, from_ms: u64, to_ms: u64, load_w: i64) {
        self.trace.push((from_ms, [200, load_w, 300]));
        self.spans.push((from_ms, to_ms));
    }

    /// When the last step ends.
    pub fn end_ms(&self) -> Option<u64> {
        self.spans.last().map(|span| span.1)
    }
}

/// One step of the load.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Settling time against the bound of spec/control.md 3 for the sample that this step met; infinite when it never settled.
    pub ratio: f64,
    pub settled_s: f64,
    pub bound_s: f64,
    /// Beyond the new load, W, and the size of the step.
    pub overshoot_w: i64,
    pub size_w: i64,
    pub at_ms: u64,
    /// Until the battery moves, and the bound for that: without the lag.
    pub dead_s: f64,
    pub dead_bound_s: f64,
    /// Mean of the grid at the end, W.
    pub deviation_w: f64,
    /// Setpoints that were written, but for refreshes.
    pub writes: usize,
    /// The most that another battery moved, W.
    pub others_w: i64,
}

/// What the window was worth, sample by sample.
#[derive(Clone, Copy, Debug, Default)]
pub struct Coverage {
    pub samples: u64,
    pub inside: u64,
    /// When three movements were seen.
    pub learned_at_ms: Option<u64>,
}

impl Cell {
    fn text(&self) -> String {
        // The default of three periods leaves no time inside the longest heartbeat.
        let stale = if self.poll_ms > 9500 { "meter_stale_s = 25\n" } else { "" };
        let mut text = format!("[site]\nstrategy = \"self-consumption\"\nfuse_a = 35\n[control]\n{stale}[meter]\ndevice = \"sax\"\n");
        text += &format!("poll_ms = {}\nphase_poll_ms = 30000\n", self.poll_ms);
        for k in 0..3 {
            let role = if k == 0 { "master" } else { "slave" };
            text += &format!(
                "[[battery]]\nname = \"B{k}\"\ndevice = \"sax\"\nrole = \"{role}\"\nphase = \"L{}\"\npoll_ms = {}\nlink.tcp = {{ host = \"192.0.2.{k}\" }}\n",
                k + 1,
                self.battery_poll_ms
            );
        }
        text
    }

    pub fn simulation(&self, number: u64, house: House) -> Simulation {
        let (library, config) = self.config();
        self.losing(Simulation::new(&config, &library, self.params(number, house)))
    }

    /// The same site under a law of the field.
    fn classic_simulation(&self, kind: Kind, number: u64, house: House) -> Simulation<Classic> {
        let (library, config) = self.config();
        let plan = plan_for(&config, &library);
        let law = Classic::new(kind, &config, &plan);
        self.losing(Simulation::under(law, plan, &config, self.params(number, house)))
    }

    fn config(&self) -> (Library, Config) {
        let library = Library::built_in().unwrap_or_else(|e| panic!("{e}"));
        let config = config::parse(&self.text(), &library).unwrap_or_else(|f| panic!("{}", f.render("cell.toml")));
        (library, config)
    }

    fn params(&self, number: u64, house: House) -> SiteParams {
        let mut params = SiteParams::new(number, house, &Phase::ALL);
        params.meter = MeterParams {
            period_ms: self.refresh_ms,
            phase_ms: number * 370 % self.refresh_ms.max(1),
            latency_ms: self.latency_ms,
            window_ms: self.averaging_ms,
            noise_w: self.noise_w,
            jitter_ms: self.jitter_ms,
        };
        for (battery, sax) in &mut params.batteries {
            sax.banks.sunspec = !self.is_old_firmware;
            *battery = BatteryParams {
                // Enough for any row of steps.
                capacity_wh: 100_000,
                soc_pm: 500,
                dead_ms: self.dead_ms,
                tau_ms: self.tau_ms,
                ramp_w_per_s: self.ramp_w_per_s,
                reading_scale_pm: self.scale_pm,
                reading_bias_w: self.reading_bias_w,
                tracking_bias_w: self.tracking_bias_w,
                ..battery.clone()
            };
        }
        params
    }

    fn losing<D: Director>(&self, simulation: Simulation<D>) -> Simulation<D> {
        if self.lost_permille > 0 {
            let faults = simulation.site().faults();
            (0..3).for_each(|k| faults.set(k, Fault::LoseReply { permille: self.lost_permille }));
        }
        simulation
    }

    /// Far enough apart that everything rests before the next step.
    pub fn distance_ms(&self) -> u64 {
        let ramp_ms = self.ramp_w_per_s.map_or(0, |r| 3_000_000 / r.unsigned_abs());
        12_000 + self.latency_ms + self.dead_ms + 2 * self.poll_ms + self.battery_poll_ms + ramp_ms + 4 * self.tau_ms
    }

    /// The controller is in operation from here on.
    pub fn start_ms(&self) -> u64 {
        START_MS.max(START_POLLS * self.poll_ms)
    }

    /// `count` random steps of 600 to 3000 W on L2.
    pub fn random_steps(&self, number: u64, count: usize) -> Steps {
        let mut rng = Rng::new(number, "cell");
        let (mut at_ms, mut load) = (self.start_ms(), 700);
        let mut steps = Steps::at_rest(load);
        for _ in 0..count {
            let mut size = rng.range(600, 3000);
            if (load > 2000 && load - size > -2500) || load + size > 4200 {
                size = -size;
            }
            load += size;
            let end_ms = at_ms + self.distance_ms() + u64::from(rng.below(10_000)) / 10 * 10;
            steps.push(at_ms, end_ms, load);
            at_ms = end_ms;
        }
        steps
    }

    /// The same controller and steps again, from the beginning.
    pub fn rerun(&self, number: u64, unseen: usize, count: usize) -> Simulation {
        self.simulation(number, House::Trace(self.random_steps(number, unseen + count).trace))
    }

    /// Settling of `count` random steps, after `unseen` ones that are not measured.
    pub fn steps(&self, number: u64, unseen: usize, count: usize) -> (Vec<Step>, Simulation) {
        self.measure(number, unseen, self.random_steps(number, unseen + count))
    }

    pub fn replay(&self, number: u64, steps: Steps) -> Simulation {
        self.simulation(number, House::Trace(steps.trace))
    }

    /// Settling of these steps but for the first `unseen` ones.
    pub fn measure(&self, number: u64, unseen: usize, steps: Steps) -> (Vec<Step>, Simulation) {
        let mut simulation = self.simulation(number, House::Trace(steps.trace.clone()));
        let arrived = |s: &Simulation| s.control().core().last_good().map_or(0, Time::as_ms);
        let measured = self.measure_under(&mut simulation, unseen, &steps, arrived);
        (measured, simulation)
    }

    /// The same steps under a law of the field, by the bounds that `ours` had: what it has seen of a sample, and when, it does not say.
    pub fn measure_classic(&self, kind: Kind, number: u64, steps: &Steps, ours: &[Step]) -> Vec<Step> {
        let mut simulation = self.classic_simulation(kind, number, House::Trace(steps.trace.clone()));
        let measured = self.measure_under(&mut simulation, 0, steps, |_| 0);
        let against = |(step, own): (Step, &Step)| {
            let ratio = if step.ratio.is_finite() { step.settled_s / own.bound_s } else { step.ratio };
            Step { ratio, bound_s: own.bound_s, dead_bound_s: own.dead_bound_s, ..step }
        };
        measured.into_iter().zip(ours).map(against).collect()
    }

    /// `arrived`: when the newest sample of the meter came, ms.
    fn measure_under<D: Director>(
        &self,
        simulation: &mut Simulation<D>,
        unseen: usize,
        steps: &Steps,
        arrived: impl Fn(&Simulation<D>) -> u64,
    ) -> Vec<Step> {
        let sizes = steps.trace.windows(2).map(|w| w[1].1[1] - w[0].1[1]);
        let mut measured = Vec::new();
        for (n, (&(from_ms, to_ms), size_w)) in steps.spans.iter().zip(sizes).enumerate() {
            if n >= unseen {
                measured.push(self.step(simulation, from_ms, to_ms, size_w, &arrived));
            } else {
                simulation.run_until(Time::from_ms(to_ms - 10));
            }
        }
        measured
    }

    fn step<D: Director>(
        &self,
        simulation: &mut Simulation<D>,
        from_ms: u64,
        to_ms: u64,
        size_w: i64,
        arrived: impl Fn(&Simulation<D>) -> u64,
    ) -> Step {
        let sign = size_w.signum();
        let (mut settled_ms, mut overshoot_w, mut seen_ms, mut moved_ms) = (0, 0, None, None);
        let (mut sum_w, mut count, mut others_w) = (0, 0, 0);
        simulation.run_until(Time::from_ms(from_ms - 10));
        let before = [0, 1, 2].map(|k| simulation.site().battery_w(k));
        for ms in (from_ms..to_ms).step_by(10) {
            simulation.run_until(Time::from_ms(ms));
            let site = simulation.site();
            let grid = site.grid_w()[1];
            if grid.abs() > BAND_W {
                settled_ms = ms + 10 - from_ms;
            }
            overshoot_w = overshoot_w.max(-sign * grid);
            if ms + STATIONARY_MS >= to_ms {
                (sum_w, count) = (sum_w + grid, count + 1);
            }
            if moved_ms.is_none() && sign * (site.battery_w(1) - before[1]) > BAND_W {
                moved_ms = Some(ms - from_ms);
            }
            others_w = [0, 2].map(|k| (site.battery_w(k) - before[k]).abs()).into_iter().fold(others_w, i64::max);
            let whole = site.meter_reading().taken_ms >= from_ms + self.averaging_ms;
            drop(site);
            let arrived = arrived(simulation);
            if seen_ms.is_none() && whole && arrived + 10 > ms {
                seen_ms = Some(arrived - from_ms);
            }
        }
        let ramp_s = self.ramp_w_per_s.map_or(0.0, |r| (size_w.abs() as f64 / r as f64 - self.tau_ms as f64 / 1000.0).max(0.0));
        let lag_s = self.tau_ms as f64 / 1000.0 * (size_w.abs() as f64 / BAND_W as f64).ln();
        let dead_bound_s = (seen_ms.unwrap_or(to_ms - from_ms) + self.dead_ms) as f64 / 1000.0;
        let (bound_s, settled_s) = (dead_bound_s + lag_s + ramp_s, settled_ms as f64 / 1000.0);
        let never = settled_ms + from_ms >= to_ms;
        Step {
            ratio: if never { f64::INFINITY } else { settled_s / bound_s },
            settled_s,
            bound_s,
            overshoot_w,
            size_w,
            at_ms: from_ms,
            dead_s: moved_ms.unwrap_or(to_ms - from_ms) as f64 / 1000.0,
            dead_bound_s,
            deviation_w: sum_w as f64 / f64::from(count.max(1)),
            writes: writes(simulation, from_ms, to_ms),
            others_w,
        }
    }

    /// Runs until `to_ms` and compares the age of every sample with the window.
    pub fn soak(&self, simulation: &mut Simulation, to_ms: u64, coverage: &mut Coverage) {
        let mut last = simulation.control().core().last_good();
        let mut taken_last = 0;
        for ms in (simulation.now().as_ms()..to_ms).step_by(50) {
            simulation.run_until(Time::from_ms(ms));
            let core = simulation.control().core();
            let learned = core.learned();
            if learned.movements >= 3 {
                coverage.learned_at_ms.get_or_insert(ms);
            }
            if core.last_good() == last {
                continue;
            }
            last = core.last_good();
            let taken = simulation.site().meter_reading().taken_ms;
            // The same reading again is not estimated.
            if taken != taken_last {
                let age = last.map_or(0, Time::as_ms).saturating_sub(taken);
                coverage.samples += 1;
                // The battery's own readings are a moment younger than they arrive, too.
                let slack = self.averaging_ms.saturating_sub(learned.averaging.as_ms());
                let inside = (learned.window.lo.as_ms()..=learned.window.hi.as_ms()).contains(&age);
                coverage.inside += u64::from(inside && age + slack / 2 <= learned.window.hi.as_ms());
            }
            taken_last = taken;
        }
    }
}

/// Setpoints of the second battery that were written in this time, but for refreshes of the same one.
fn writes<D: Director>(simulation: &Simulation<D>, from_ms: u64, to_ms: u64) -> usize {
    // Register 41 holds W, 40049 a hundredth of a percent of 4600 W (facts/sax.md 1).
    let watts = |address: u16, value: u16| i64::from(value as i16) * if address == 41 { 100 } else { 46 } / 100;
    let site = simulation.site();
    let setpoints = site.events().filter(|e| e.battery == 1 && [41, 40049].contains(&e.address));
    let all: Vec<_> = setpoints.map(|e| (e.at_ms, watts(e.address, e.value))).collect();
    let changes = |w: &&[(u64, i64)]| (from_ms..to_ms).contains(&w[1].0) && (w[1].1 - w[0].1).abs() >= DEADBAND_W;
    all.windows(2).filter(changes).count()
}

/// A reference day without a car.
pub fn day(params: DayParams) -> House {
    House::Day(Arc::new(Day::new(&DayParams { ev: false, ..params })))
}

/// The value that this share in permille of the values does not exceed.
pub fn quantile(values: &[f64], permille: usize) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let index = (values.len() * permille).div_ceil(1000).max(1) - 1;
    values.get(index).copied().unwrap_or(f64::NAN)
}

/// Share of the steps whose overshoot is within 5 % or 50 W.
pub fn calm_share(steps: &[Step]) -> f64 {
    let calm = steps.iter().filter(|s| s.overshoot_w <= (s.size_w.abs() / 20).max(BAND_W)).count();
    calm as f64 / steps.len().max(1) as f64
}

pub fn ratios(steps: &[Step]) -> Vec<f64> {
    steps.iter().map(|s| s.ratio).collect()
}
