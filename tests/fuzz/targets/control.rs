//! The core on any site under any inputs at any times, samples of any value among them: the invariants of `spec/control.md` section 4 after
//! every step, and arithmetic that never overflows. The fuzzer's bytes say what comes when; `tests/core_invariants.rs` draws it by lot.

use sax_controller::control::capability::{SocBlocks, capability};
use sax_controller::control::core::Core;
use sax_controller::control::decision::{Decision, Order};
use sax_controller::control::demand::{Action, Demand, Remote};
use sax_controller::control::input::{BatterySample, BmsSample, MeterSample, PhaseSample, Written};
use sax_controller::control::ladder::Mode;
use sax_controller::control::learned::{BatteryLearned, Learned};
use sax_controller::control::site::*;
use sax_controller::plant::rng::Rng;
use sax_controller::units::{Span, Time};

use super::bytes::Bytes;
use super::common::battery_sample;
use super::storm::{Watched, random_site};

/// More steps say nothing new.
const MOST_STEPS: u32 = 400;
/// Numbers that no device means.
const NONSENSE: [i64; 10] =
    [i64::MIN, i64::MAX, i64::MIN + 1, -(1 << 31), 1 << 31, (1 << 31) - 1, -(1 << 40), 1 << 62, -1_000_000, 1_000_000];

/// A core, and what an outsider knows.
struct Watch<'b> {
    bytes: Bytes<'b>,
    site: Site,
    core: Core,
    now: Time,
    newest: Option<Time>,
    last_good: Option<Time>,
    good_ever: u32,
    in_a_row: u32,
    in_a_row_most: u32,
    bms: Vec<Watched>,
    print: u64,
}

pub fn run(input: &[u8]) {
    let mut bytes = Bytes(input);
    let mut site = random_site(&mut Rng::new(bytes.u16().into(), "site"));
    if bytes.chance(60) {
        site.batteries.iter_mut().for_each(|b| b.step_w = 1000);
    }
    let n = site.batteries.len();
    let mut core = Core::new(site.clone());
    if bytes.chance(60) {
        core.remember(learned(&mut bytes, n));
    }
    let bms = vec![Watched::default(); n];
    let (now, newest, last_good) = (Time::ZERO, None, None);
    let mut watch = Watch { bytes, site, core, now, newest, last_good, good_ever: 0, in_a_row: 0, in_a_row_most: 0, bms, print: 0 };
    for _ in 0..MOST_STEPS {
        if watch.bytes.is_empty() {
            return;
        }
        watch.round();
    }
}

fn learned(bytes: &mut Bytes<'_>, batteries: usize) -> Learned {
    let lo = Span::from_ms(u64::from(bytes.u8()) * 30);
    let window = Window { lo, hi: lo + Span::from_ms(u64::from(bytes.u8()) * 30) };
    let mut battery =
        |_| BatteryLearned { scale_pm: 850 + i64::from(bytes.u16() % 301), response: Some(Span::from_ms(u64::from(bytes.u16()) % 60_001)) };
    let batteries = (0..batteries).map(&mut battery).collect();
    Learned { window, averaging: Span::from_ms(u64::from(bytes.u16()) % 16_001), movements: u32::from(bytes.u8()), batteries }
}

impl Watch<'_> {
    /// Time passes, things come, and a step is taken.
    fn round(&mut self) {
        let pass = match self.bytes.below(16) {
            0 => 0,
            1 => u64::from(self.bytes.u16()) * 10,
            2 => 3000 + u64::from(self.bytes.u8()) * 40,
            3 => u64::from(self.bytes.u8()),
            _ => self.bytes.one(&[200, 500, 1000, 1000, 1500]),
        };
        self.now += Span::from_ms(pass);
        for _ in 0..self.bytes.below(6) {
            self.input();
        }
        let before = self.core.decision().clone();
        let twin = self.bytes.chance(40).then(|| self.core.clone());
        let decision = self.core.step(self.now).clone();
        if let Some(mut twin) = twin {
            assert_eq!(&decision, twin.step(self.now), "a clone decided otherwise");
            assert!(twin == self.core);
        }
        self.judge(&before, &decision);
        self.in_a_row_most = self.in_a_row;
    }

    fn input(&mut self) {
        let k = self.bytes.below(self.site.batteries.len());
        match self.bytes.below(16) {
            0..6 => self.meter(),
            6..9 => self.battery(k),
            9 => (0..self.site.batteries.len()).for_each(|k| self.battery(k)),
            10 | 11 => self.bms(k),
            12 | 13 => self.written(k),
            14 => self.demand(),
            // A quiet minute of good samples.
            _ => self.good_samples(),
        }
    }

    fn watts(&mut self) -> i64 {
        match self.bytes.below(8) {
            0 => 0,
            1 => i64::from(self.bytes.u16() as i16),
            _ => i64::from(self.bytes.u8() as i8) * 80,
        }
    }

    /// When something was taken: mostly now, sometimes before.
    fn taken(&mut self) -> Time {
        if self.bytes.chance(24) { self.now.before(Span::from_ms(u64::from(self.bytes.u16()) % 20_000)) } else { self.now }
    }

    fn good_samples(&mut self) {
        for _ in 0..6 {
            self.now += Span::from_s(1);
            (0..self.site.batteries.len()).for_each(|k| self.core.battery(k, battery_sample(self.now, 0, 500)));
            let load_w = [self.watts(), 0, 0];
            let sample = self.sample(load_w, self.now);
            self.take(sample, true);
        }
    }

    fn sample(&mut self, power_w: [i64; 3], taken: Time) -> MeterSample {
        self.print += 1;
        let voltage_mv = 225_000 + i64::from(self.bytes.u8()) * 40;
        let phase = |power_w| PhaseSample { power_w, reactive_var: 0, voltage_mv: Some(voltage_mv), current_ma: None };
        MeterSample {
            taken,
            total_w: Some(power_w.iter().sum()),
            phases: Some(power_w.map(phase)),
            phases_missing: false,
            phases_apportioned: false,
            total_print: self.print,
            phase_print: Some(self.print),
            phase_print_is_lively: self.bytes.chance(200),
        }
    }

    fn meter(&mut self) {
        let (taken, power_w) = (self.taken(), [0; 3].map(|_: i64| self.watts()));
        let mut sample = self.sample(power_w, taken);
        let mut good = true;
        let (f, wrong) = (self.bytes.below(3), self.bytes.one(&NONSENSE));
        match (self.bytes.below(24), &mut sample.phases) {
            (0, Some(phases)) => (phases[f].power_w, good) = (wrong, false),
            (1, Some(phases)) => (phases[f].voltage_mv, good) = (Some(wrong), false),
            (2, Some(phases)) => (phases[f].reactive_var, good) = (wrong, false),
            (3, _) => (sample.total_w, good) = (Some(wrong), false),
            (4, Some(phases)) => phases[f].current_ma = Some(wrong),
            (5, phases) => (*phases, sample.phases_missing, good) = (None, true, false),
            (6, phases) => (*phases, sample.phase_print) = (None, None),
            (7, _) => (sample.total_print, sample.phase_print) = (1, Some(1)),
            (8, _) => sample.phases_apportioned = true,
            (9, _) => sample.total_w = None,
            (10, Some(phases)) => phases[f].voltage_mv = None,
            (11, Some(phases)) => (phases[f].power_w, phases[f].voltage_mv) = (0, Some(0)),
            _ => {}
        }
        self.take(sample, good);
    }

    /// Books it as an outsider would, in favour of the core where there is doubt.
    fn take(&mut self, sample: MeterSample, good: bool) {
        let newer = self.newest.is_none_or(|t| sample.taken > t);
        self.newest = self.newest.max(Some(sample.taken));
        if good {
            let far = self.last_good.is_none_or(|t| sample.taken.since(t) > self.site.ladder.hold.max(Span::from_s(3)));
            self.in_a_row = if far { 1 } else { self.in_a_row + 1 };
            self.in_a_row_most = self.in_a_row_most.max(self.in_a_row);
            self.good_ever += 1;
            self.last_good = self.last_good.max(Some(sample.taken));
        } else if newer {
            self.in_a_row = 0;
        }
        self.core.meter(sample);
    }

    fn battery(&mut self, k: usize) {
        let (taken, power_w, soc_pm) = (self.taken(), self.watts(), i64::from(self.bytes.u16()) % 1001);
        let mut sample = battery_sample(taken, power_w, soc_pm);
        let wrong = if self.bytes.chance(128) { self.bytes.one(&NONSENSE) } else { self.watts() };
        match self.bytes.below(24) {
            0 => sample.power_w = wrong,
            1 => sample.soc_pm = wrong,
            2 => sample.temperature_c = Some(wrong),
            3 => sample.charge_available_w = Some(wrong),
            4 => sample.discharge_available_w = Some(wrong),
            5 => sample.may_charge = false,
            6 => sample.may_discharge = false,
            _ => {}
        }
        self.core.battery(k, sample);
    }

    fn bms(&mut self, k: usize) {
        let Some(ages) = self.site.batteries[k].bms else { return };
        let taken = self.taken();
        let mut some = || match self.bytes.below(8) {
            0 => None,
            1 => Some(self.bytes.one(&NONSENSE)),
            2 => Some(0),
            _ => Some(i64::from(self.bytes.u16())),
        };
        let (charge_limit_w, discharge_limit_w) = (some(), some());
        let soc_pm = self.bytes.chance(128).then(|| i64::from(self.bytes.u16()) % 1100);
        let (may_charge, may_discharge) = (!self.bytes.chance(30), !self.bytes.chance(30));
        let sample = BmsSample { taken, may_charge, may_discharge, charge_limit_w, discharge_limit_w, soc_pm };
        self.bms[k].take(&ages, sample);
        self.core.bms(k, sample);
    }

    /// What came of the order, or of one that was never given.
    fn written(&mut self, k: usize) {
        let watts = match self.core.decision().batteries[k].order {
            Order::Setpoint { watts, .. } if self.bytes.chance(220) => watts,
            _ => self.watts(),
        };
        let kinds = [Written::Sending(watts), Written::Setpoint(watts), Written::Unknown(watts), Written::Refused, Written::Limits];
        let written = match self.bytes.below(8) {
            0 => Written::NotAcknowledged,
            1 => Written::Released,
            _ => self.bytes.one(&kinds),
        };
        let at = self.taken();
        self.core.written(k, written, at);
    }

    fn demand(&mut self) {
        let mut some = || match self.bytes.below(8) {
            0 => Some(self.bytes.one(&NONSENSE)),
            1 => Some(i64::from(self.bytes.u16() as i16)),
            _ => None,
        };
        let remote = Remote { setpoint_w: some(), charge_limit_w: some(), discharge_limit_w: some() };
        let dimmed_w = self.bytes.chance(40).then(|| i64::from(self.bytes.u16()));
        let action = match self.bytes.below(8) {
            0 => Some(Action::Hold),
            1 => Some(Action::Charge(1 + i64::from(self.bytes.u16()))),
            2 => Some(Action::GridTarget(self.watts())),
            3 => Some(Action::ReserveSoc(i64::from(self.bytes.u16()) % 1001)),
            _ => None,
        };
        self.core.demand(Demand { action, dimmed_w, remote });
    }

    fn judge(&mut self, before: &Decision, decision: &Decision) {
        let age = self.last_good.map(|t| self.now.since(t));
        let late = age.is_none_or(|age| age >= self.site.ladder.fallback);
        for (k, b) in decision.batteries.iter().enumerate() {
            assert!(self.good_ever >= 5 || b.order == Order::Silent, "{:?} after {} good samples", b.order, self.good_ever);
            assert!(!self.site.observe || b.order == Order::Silent, "observe wrote {:?}", b.order);
            assert!(!late || self.is_at_rest(k, b.order), "{:?} {age:?} after the last good sample", b.order);
            self.is_inside_the_box(k, b.order, decision.mode);
            self.is_allowed_by_the_bms(k, b.order);
            let (w, was) = (b.setpoint_w, before.batteries[k].setpoint_w);
            assert!(decision.mode != Mode::Ramp || (was.min(0)..=was.max(0)).contains(&w), "the ramp went from {was} W to {w} W");
        }
        if matches!(decision.mode, Mode::Run { .. }) && matches!(before.mode, Mode::Init | Mode::Ramp | Mode::Fallback) {
            assert!(self.in_a_row_most >= 5, "running after {} good samples in a row", self.in_a_row_most);
        }
    }

    fn is_at_rest(&self, k: usize, order: Order) -> bool {
        let site = &self.site.batteries[k];
        match order {
            Order::Silent => true,
            Order::Release => self.site.fallback == FallbackKind::Release,
            Order::Setpoint { watts, .. } => watts == 0,
            Order::Limits { charge_w, discharge_w, .. } => charge_w <= site.fallback_charge_w && discharge_w <= site.fallback_discharge_w,
        }
    }

    fn is_inside_the_box(&self, k: usize, order: Order, mode: Mode) {
        let (site, sample) = (&self.site.batteries[k], self.core.battery_sample(k));
        // The state of charge of a BMS that can be heard counts before the battery's own.
        let soc_pm = self.core.bms_state(k).and_then(|bms| bms.soc_pm());
        let counted = sample.map(|s| BatterySample { soc_pm: soc_pm.unwrap_or(s.soc_pm), ..*s });
        let cap = capability(site, counted.as_ref(), SocBlocks::default(), true, self.now);
        match order {
            Order::Setpoint { watts, .. } => {
                let Some(s) = sample else { panic!("a command to a battery that was never heard") };
                assert!((-cap.hard_charge_w..=cap.hard_discharge_w).contains(&watts), "{watts} W beyond {cap:?}");
                assert!((-site.max_charge_w..=site.max_discharge_w).contains(&watts), "{watts} W beyond the rating");
                assert!(self.now.since(s.taken) <= site.exclude_age || watts == 0, "{watts} W to a battery without fresh data");
                assert!((s.may_charge || watts >= 0) && (s.may_discharge || watts <= 0), "{watts} W against the device's state");
            }
            Order::Limits { charge_w, discharge_w, .. } => {
                assert!(sample.is_some(), "limits to a battery that was never heard");
                let most = (cap.hard_charge_w.max(site.fallback_charge_w), cap.hard_discharge_w.max(site.fallback_discharge_w));
                assert!((0..=most.0.min(site.max_charge_w)).contains(&charge_w), "limit {charge_w} W");
                assert!((0..=most.1.min(site.max_discharge_w)).contains(&discharge_w), "limit {discharge_w} W");
            }
            Order::Release => assert!(mode == Mode::Fallback || site.bms.is_some(), "released in {mode:?}"),
            Order::Silent => {}
        }
    }

    fn is_allowed_by_the_bms(&mut self, k: usize, order: Order) {
        let site = &self.site.batteries[k];
        let Some(ages) = site.bms else { return };
        self.bms[k].look(&ages, self.now);
        let bms = self.bms[k];
        let most = bms.most_w(&ages, (site.max_charge_w, site.max_discharge_w), self.now);
        let (said, fallback) = (bms.said_w(), (site.fallback_charge_w, site.fallback_discharge_w));
        assert!(bms.newest.is_some() || order == Order::Silent, "{order:?} before the first word of the BMS");
        match order {
            Order::Setpoint { watts, .. } => assert!((-most.0..=most.1).contains(&watts), "{watts} W where {most:?} is allowed"),
            Order::Limits { charge_w, discharge_w, .. } => {
                let most = if bms.lost { (fallback.0.min(said.0), fallback.1.min(said.1)) } else { most };
                assert!(charge_w <= most.0 && discharge_w <= most.1, "{charge_w} W, {discharge_w} W where {most:?} is allowed");
            }
            Order::Release | Order::Silent => {}
        }
    }
}
