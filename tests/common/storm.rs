//! Random sites, and a stream of good, stale, lost, repeated and absurd inputs for the core.
#![allow(dead_code, missing_docs)]

use sax_controller::control::core::Core;
use sax_controller::control::decision::Order;
use sax_controller::control::demand::{Action, Demand, Remote};
use sax_controller::control::input::{BatterySample, BmsSample, MeterSample, PhaseSample, Written};
use sax_controller::control::site::*;
use sax_controller::plant::rng::Rng;
use sax_controller::units::{Span, Time};

pub use super::common::battery_sample;

/// A good sample with bits that were never seen before.
pub fn meter_sample(rng: &mut Rng, taken: Time, power_w: [i64; 3]) -> MeterSample {
    let phase = |w: i64, voltage_mv: i64| PhaseSample { power_w: w, reactive_var: 0, voltage_mv: Some(voltage_mv), current_ma: None };
    MeterSample {
        taken,
        total_w: Some(power_w.iter().sum()),
        phases: Some(power_w.map(|w| phase(w, rng.range(215_000, 245_000)))),
        phases_missing: false,
        phases_apportioned: false,
        total_print: rng.next_u64(),
        phase_print: Some(rng.next_u64()),
        phase_print_is_lively: true,
    }
}

/// A number that no device means.
pub fn nonsense(rng: &mut Rng) -> i64 {
    let choice = [i64::MIN, i64::MAX, i64::MIN + 1, -(1 << 31), 1 << 31, (1 << 31) - 1, -(1 << 40), 1 << 62, -1_000_000, 1_000_000];
    choice[rng.below(choice.len() as u32) as usize]
}

/// Makes one field that counts absurd; says which.
pub fn absurd(rng: &mut Rng, sample: &mut MeterSample) -> &'static str {
    let wrong = nonsense(rng);
    let f = rng.below(3) as usize;
    let Some(phases) = &mut sample.phases else { return "nothing" };
    match rng.below(4) {
        0 => {
            phases[f].power_w = wrong;
            "power"
        }
        1 => {
            phases[f].voltage_mv = Some(wrong);
            "voltage"
        }
        2 => {
            phases[f].reactive_var = wrong;
            "reactive power"
        }
        _ => {
            sample.total_w = Some(wrong);
            "total"
        }
    }
}

pub fn random_site(rng: &mut Rng) -> Site {
    let n = 1 + rng.below(12) as usize;
    let limits = rng.chance(200);
    let three_phase = if rng.chance(250) { 300 } else { 0 };
    let import_w = rng.chance(300).then(|| rng.range(0, 15_000));
    let shaving = import_w.is_some_and(|w| w > 0) && rng.chance(500);
    let battery = |rng: &mut Rng| {
        let (max_discharge_w, max_charge_w) = (rng.range(0, 8000), rng.range(0, 8000));
        let min_soc_pm = rng.range(0, 300);
        BatterySite {
            connection: if rng.chance(three_phase) { Connection::AllPhases } else { Connection::Phase(rng.below(3) as usize) },
            max_discharge_w,
            max_charge_w,
            capacity_wh: rng.range(100, 30_000),
            hard_min_soc_pm: min_soc_pm.min(50),
            min_soc_pm,
            max_soc_pm: rng.range(700, 1000),
            hysteresis_pm: rng.range(10, 100),
            cap_age: Span::from_s(5),
            exclude_age: Span::from_s(15),
            control: match rng.below(10) {
                0..4 if limits => ControlKind::Limits,
                4..7 if limits => ControlKind::Hybrid,
                _ => ControlKind::Setpoint,
            },
            fallback_charge_w: if rng.chance(700) { 0 } else { rng.range(0, max_charge_w) },
            fallback_discharge_w: if rng.chance(700) { 0 } else { rng.range(0, max_discharge_w) },
            min_power_w: rng.range(0, 300),
            step_w: 1,
            phases_vary: false,
            bms: None,
        }
    };
    let hold = if rng.chance(500) { 3 } else { 15 };
    let ramp_start = if hold == 3 { 10_000 } else { 22_500 };
    let mut site = Site {
        batteries: (0..n).map(|_| battery(rng)).collect(),
        strategy: match import_w {
            Some(w) if shaving => Strategy::PeakShaving { recharge_below_w: w / 2 },
            _ => Strategy::SelfConsumption,
        },
        balance: if rng.chance(300) { Balance::Sum } else { Balance::PerPhase },
        target_w: if rng.chance(500) { 0 } else { 6 * rng.range(-330, 330) },
        limits: SiteLimits {
            import_w,
            export_w: rng.chance(300).then(|| rng.range(0, 10_000)),
            unbalance_va: rng.chance(300).then(|| rng.range(0, 6_000)),
        },
        fuse_ma: rng.range(6, 63) * 1000,
        fuse_margin_ma: 1500,
        voltage_mv: 230_000,
        ladder: Ladder {
            hold: Span::from_s(hold),
            ramp_start: Span::from_ms(ramp_start),
            fallback: Span::from_ms(30_000.max(ramp_start + 15_000)),
        },
        meter_period: Span::from_s(1),
        frozen_after: Span::from_s(58),
        ramp_w_per_s: if rng.chance(600) { 0 } else { rng.range(10, 5000) },
        start_up: StartUp::default(),
        observe: rng.chance(50),
        fallback: if rng.chance(300) { FallbackKind::Release } else { FallbackKind::Zero },
        tuning: Tuning::default(),
    };
    // Drawn last, so that everything else is as it was without.
    for b in &mut site.batteries {
        let ages = [(5, 30), (5, 58), (15, 58)].map(|(fresh, lost)| BmsSite { fresh: Span::from_s(fresh), lost: Span::from_s(lost) });
        b.bms = rng.chance(300).then(|| ages[rng.below(3) as usize]);
    }
    for b in &mut site.batteries {
        b.phases_vary = b.connection == Connection::AllPhases && rng.chance(100);
    }
    site
}

pub fn random_demand(rng: &mut Rng) -> Demand {
    let action = match rng.below(8) {
        0 => Some(Action::Hold),
        1 => Some(Action::Charge(rng.range(1, 12_000))),
        2 => Some(Action::GridTarget(6 * rng.range(-500, 500))),
        3 => Some(Action::ReserveSoc(rng.range(0, 1000))),
        _ => None,
    };
    let dimmed_w = rng.chance(200).then(|| rng.range(0, 5000));
    let some =
        |rng: &mut Rng, least: i64, most: i64| rng.chance(300).then(|| if rng.chance(20) { nonsense(rng) } else { rng.range(least, most) });
    let remote =
        Remote { setpoint_w: some(rng, -15_000, 15_000), charge_limit_w: some(rng, 0, 9_000), discharge_limit_w: some(rng, 0, 9_000) };
    Demand { action, dimmed_w, remote }
}

/// An input to the core.
#[derive(Clone, Copy, Debug)]
pub enum Entry {
    Meter(MeterSample),
    Battery(usize, BatterySample),
    Bms(usize, BmsSample),
    Written(usize, Written, Time),
    Demand(Demand),
}

impl Entry {
    pub fn apply(self, core: &mut Core) {
        match self {
            Entry::Meter(m) => core.meter(m),
            Entry::Battery(k, b) => core.battery(k, b),
            Entry::Bms(k, s) => core.bms(k, s),
            Entry::Written(k, w, at) => core.written(k, w, at),
            Entry::Demand(d) => core.demand(d),
        }
    }
}

/// A core in a storm, and what an outsider knows about the good samples it has had.
pub struct Storm {
    pub rng: Rng,
    pub site: Site,
    pub core: Core,
    pub now: Time,
    pub last_good: Option<Time>,
    pub good_ever: u32,
    /// Possibly good samples in a row now, and the most since the last step.
    pub in_a_row: u32,
    pub in_a_row_most: u32,
    pub log: Option<Vec<Entry>>,
    pub no_demands: bool,
    remote: Remote,
    hold_back: bool,
    load_w: [i64; 3],
    power_w: Vec<i64>,
    soc_pm: Vec<i64>,
    last: Vec<Entry>,
    newest: Option<Time>,
    calm: bool,
    /// What the BMSes say, and what an outsider knows of them.
    bms_rng: Rng,
    pub bms: Vec<Watched>,
}

/// A BMS as an outsider sees it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Watched {
    pub newest: Option<BmsSample>,
    /// Nothing came for too long; then so many samples in a row.
    pub lost: bool,
    pub good: u32,
}

impl Watched {
    /// Time passes.
    pub fn look(&mut self, ages: &BmsSite, now: Time) {
        if !self.lost && self.newest.is_some_and(|s| now.since(s.taken) >= ages.lost) {
            (self.lost, self.good) = (true, 0);
        }
    }

    pub fn take(&mut self, ages: &BmsSite, sample: BmsSample) {
        let sane = |w: Option<i64>| w.is_none_or(|w| w >= 0);
        let plausible =
            sane(sample.charge_limit_w) && sane(sample.discharge_limit_w) && sample.soc_pm.is_none_or(|s| (0..=1000).contains(&s));
        if !plausible || self.newest.is_some_and(|s| s.taken >= sample.taken) {
            return;
        }
        self.look(ages, sample.taken);
        let near = self.newest.is_some_and(|s| sample.taken.since(s.taken) <= ages.fresh);
        self.good = if near && self.good > 0 { self.good + 1 } else { 1 };
        self.lost &= self.good < 2;
        self.newest = Some(sample);
    }

    /// Most charge and discharge power, W, that it leaves a battery which could do this.
    pub fn most_w(&self, ages: &BmsSite, could_w: (i64, i64), now: Time) -> (i64, i64) {
        let Some(s) = self.newest.filter(|_| !self.lost) else { return (0, 0) };
        let age = now.since(s.taken).as_ms() as i64;
        let (fresh, lost) = (ages.fresh.as_ms() as i64, ages.lost.as_ms() as i64);
        let part = |w: i64| if age <= fresh { w } else { w * (lost - age).max(0) / (lost - fresh) };
        let said = self.said_w();
        (part(could_w.0.min(said.0)), part(could_w.1.min(said.1)))
    }

    /// Its last word.
    pub fn said_w(&self) -> (i64, i64) {
        let s = self.newest.unwrap_or_default();
        let one = |may: bool, w: Option<i64>| if may { w.unwrap_or(0) } else { 0 };
        (one(s.may_charge, s.charge_limit_w), one(s.may_discharge, s.discharge_limit_w))
    }
}

impl Storm {
    pub fn new(number: u64, tag: &str) -> Storm {
        let site = random_site(&mut Rng::new(number, "site"));
        let n = site.batteries.len();
        let mut rng = Rng::new(number, tag);
        let soc_pm = (0..n).map(|_| rng.range(0, 1000)).collect();
        Storm {
            rng,
            core: Core::new(site.clone()),
            site,
            now: Time::ZERO,
            last_good: None,
            good_ever: 0,
            in_a_row: 0,
            in_a_row_most: 0,
            log: None,
            no_demands: false,
            remote: Remote::default(),
            hold_back: false,
            load_w: [500; 3],
            power_w: vec![0; n],
            soc_pm,
            last: Vec::new(),
            newest: None,
            calm: number % 3 == 0,
            bms_rng: Rng::new(number, "bms"),
            bms: vec![Watched::default(); n],
        }
    }

    /// What another controller asks for.
    pub fn remote(&self) -> Remote {
        self.remote
    }

    fn give(&mut self, entry: Entry) {
        if !self.hold_back {
            entry.apply(&mut self.core);
        }
        self.last.push(entry);
        if let Some(log) = &mut self.log {
            log.push(entry);
        }
    }

    /// Time passes; the inputs that come are returned and not given to the core.
    pub fn round(&mut self) -> Vec<Entry> {
        self.hold_back = true;
        self.inputs();
        self.hold_back = false;
        self.last.clone()
    }

    /// Time passes, and some of the inputs come.
    pub fn inputs(&mut self) {
        self.last.clear();
        let rng = &mut self.rng;
        let bad = if self.calm { 20 } else { 150 };
        let pass = match rng.below(1000) {
            x if x < bad / 2 => 0,
            x if x < bad => rng.range(3_000, 12_000),
            x if x < bad + 10 => rng.range(12_000, 300_000),
            _ => rng.range(200, 1500),
        };
        self.now += Span::from_ms(pass as u64);
        for f in 0..3 {
            if rng.chance(60) {
                self.load_w[f] = rng.range(-9_000, 15_000);
            }
        }
        if !self.no_demands && rng.chance(30) {
            let demand = random_demand(rng);
            self.remote = demand.remote;
            self.give(Entry::Demand(demand));
        }
        for k in 0..self.site.batteries.len() {
            self.battery_input(k, bad);
            self.bms_input(k, bad);
        }
        self.meter_input(bad);
    }

    fn battery_input(&mut self, k: usize, bad: u32) {
        let rng = &mut self.rng;
        self.soc_pm[k] = (self.soc_pm[k] + rng.range(-3, 3)).clamp(0, 1000);
        let mut sample = battery_sample(self.now, self.power_w[k] + rng.range(-10, 10), self.soc_pm[k]);
        sample.may_charge = !rng.chance(bad / 4);
        sample.may_discharge = !rng.chance(bad / 4);
        sample.charge_available_w = rng.chance(100).then(|| rng.range(-100, 6000));
        sample.discharge_available_w = rng.chance(100).then(|| rng.range(-100, 6000));
        sample.temperature_c = rng.chance(100).then(|| rng.range(-30, 80));
        match rng.below(1000) {
            x if x < bad => return,
            x if x < bad + 30 => sample.taken = self.now.before(Span::from_ms(rng.below(20_000).into())),
            x if x < bad + 45 => sample.power_w = nonsense(rng),
            x if x < bad + 60 => sample.soc_pm = nonsense(rng),
            x if x < bad + 75 => sample.temperature_c = Some(nonsense(rng)),
            x if x < bad + 90 => sample.discharge_available_w = Some(nonsense(rng)),
            _ => {}
        }
        self.give(Entry::Battery(k, sample));
        if self.rng.chance(50) {
            self.give(Entry::Battery(k, sample));
        }
    }

    fn bms_input(&mut self, k: usize, bad: u32) {
        let Some(ages) = self.site.batteries[k].bms else { return };
        let rng = &mut self.bms_rng;
        let some = |rng: &mut Rng| (!rng.chance(bad / 8)).then(|| if rng.chance(500) { rng.range(0, 9000) } else { rng.range(0, 200_000) });
        let mut sample = BmsSample {
            taken: self.now,
            may_charge: !rng.chance(bad / 4),
            may_discharge: !rng.chance(bad / 4),
            charge_limit_w: some(rng),
            discharge_limit_w: some(rng),
            soc_pm: rng.chance(500).then_some(self.soc_pm[k]),
        };
        match rng.below(1000) {
            x if x < 300 + bad => return,
            x if x < 320 + bad => sample.taken = self.now.before(Span::from_ms(rng.below(20_000).into())),
            x if x < 330 + bad => sample.charge_limit_w = Some(nonsense(rng)),
            x if x < 340 + bad => sample.soc_pm = Some(nonsense(rng)),
            _ => {}
        }
        self.bms[k].take(&ages, sample);
        self.give(Entry::Bms(k, sample));
        if self.bms_rng.chance(50) {
            self.give(Entry::Bms(k, sample));
        }
    }

    fn meter_input(&mut self, bad: u32) {
        let mut grid_w = self.load_w;
        for (b, w) in self.site.batteries.iter().zip(&self.power_w) {
            match b.connection {
                Connection::Phase(f) => grid_w[f] -= w,
                Connection::AllPhases => grid_w.iter_mut().for_each(|g| *g -= w / 3),
            }
        }
        let rng = &mut self.rng;
        let grid_w = grid_w.map(|w| (w + rng.range(-15, 15)).clamp(-60_000, 60_000));
        let mut sample = meter_sample(rng, self.now, grid_w);
        let mut good = true;
        match rng.below(1000) {
            x if x < bad => return,
            x if x < bad + 40 => {
                good = absurd(rng, &mut sample) == "nothing";
            }
            x if x < bad + 60 => sample.taken = self.now.before(Span::from_ms(rng.below(20_000).into())),
            x if x < bad + 80 => (sample.phases, sample.phases_missing, good) = (None, true, false),
            x if x < bad + 120 => (sample.phases, sample.phase_print) = (None, None),
            x if x < bad + 160 => (sample.total_print, sample.phase_print) = (1, Some(1)),
            _ => {}
        }
        self.note(&sample, good);
        self.give(Entry::Meter(sample));
        if self.rng.chance(50) {
            self.give(Entry::Meter(sample));
        }
    }

    /// Books it as an outsider would, in favour of the core where there is doubt.
    fn note(&mut self, sample: &MeterSample, good: bool) {
        let newer = self.newest.is_none_or(|t| sample.taken > t);
        self.newest = self.newest.max(Some(sample.taken));
        if !good {
            // One that is not newer than the newest was no sample at all.
            self.in_a_row = if newer { 0 } else { self.in_a_row };
            return;
        }
        let far = self.last_good.is_none_or(|t| sample.taken.since(t) > self.site.ladder.hold.max(Span::from_s(3)));
        self.in_a_row = if far { 1 } else { self.in_a_row + 1 };
        self.in_a_row_most = self.in_a_row_most.max(self.in_a_row);
        self.good_ever += 1;
        self.last_good = self.last_good.max(Some(sample.taken));
    }

    /// Gives the inputs of this round once more.
    pub fn repeat_last(&self, core: &mut Core) {
        self.last.iter().filter(|e| !matches!(e, Entry::Written(..))).for_each(|e| e.apply(core));
    }

    /// Some orders reach their battery.
    pub fn writes(&mut self) {
        let orders: Vec<Order> = self.core.decision().batteries.iter().map(|b| b.order).collect();
        for (k, order) in orders.into_iter().enumerate() {
            if !self.rng.chance(400) {
                continue;
            }
            let written = match (order, self.rng.below(20)) {
                (Order::Silent, _) => continue,
                (_, 0) => Written::Refused,
                (Order::Setpoint { watts, .. }, 1) => Written::Unknown(watts),
                (Order::Setpoint { watts, .. }, _) => {
                    self.power_w[k] = watts;
                    Written::Setpoint(watts)
                }
                (Order::Limits { .. }, 1) => Written::NotAcknowledged,
                (Order::Limits { .. }, _) => Written::Limits,
                (Order::Release, _) => Written::Released,
            };
            self.give(Entry::Written(k, written, self.now));
        }
    }
}
