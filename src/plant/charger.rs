//! A simulated charger with a car: limit, communication timeout, fallback, contactor. What the registers say is in
//! [`device_image`](super::device_image), by its profile; it behaves like an ABB Terra AC (facts/p1-load-balancer.md 2.2, 2.3).
//!
//! Integers only, steps of 10 ms. Knows nothing of registers. A silence that is too long ends in the fallback limit, which holds until a
//! limit is written again; without a fallback limit it is an error, and nothing is charged until then.

mod physics;

use std::collections::VecDeque;

use super::car::{Car, CarParams};

/// What it says after a start: 32 A, a timeout of 60 s, and a fallback limit that stands for none (facts 2.2, 2.3).
const START_LIMIT_MA: i64 = 32_000;
const START_TIMEOUT_S: u16 = 60;
const START_FALLBACK_A: u16 = 256;
/// From here on the fallback limit stands for none: 0xFF is the default (facts 2.2).
const NO_FALLBACK_A: u16 = 0xFF;

/// So many of the newest writes are remembered.
const MAX_TOLD: usize = 10_000;

/// A charger to build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ChargerParams {
    /// The largest current it was set up for, mA.
    pub most_ma: i64,
    /// The limit it starts with, mA.
    pub start_ma: i64,
    /// Registers that its firmware does not have although its profile does.
    pub missing: Vec<u16>,
    /// The car.
    pub car: CarParams,
}

impl Default for ChargerParams {
    fn default() -> ChargerParams {
        ChargerParams { most_ma: 32_000, start_ma: START_LIMIT_MA, missing: Vec::new(), car: CarParams::default() }
    }
}

/// Something that was written to a charger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Written {
    /// The limit, mA.
    LimitMa(i64),
    /// The communication timeout, s.
    TimeoutS(u16),
    /// The limit after that timeout, A.
    FallbackA(u16),
}

/// A write, and when it came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// In ms of the site.
    pub at_ms: u64,
    /// What.
    pub what: Written,
}

/// What a charger does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ChargerState {
    /// No car.
    Free,
    /// A car that wants nothing.
    Connected,
    /// A car that waits for a permission.
    Paused,
    /// The contactor is closed.
    Charging,
    /// Nobody has asked it for too long, and no fallback limit is set.
    Error,
}

/// The charger.
#[derive(Clone, Debug)]
pub struct Charger {
    params: ChargerParams,
    car: Car,
    limit_ma: i64,
    timeout_s: u16,
    fallback_a: u16,
    /// When it was asked last, or started, ms.
    asked_ms: u64,
    /// The timeout is over: the fallback holds until a limit is written.
    alone: bool,
    /// Nobody asks, and there is no fallback limit.
    lost: bool,
    down_until_ms: u64,
    starts: u32,
    /// What the pilot permits, mA.
    pilot_ma: i64,
    closed: bool,
    /// When the contactor may close, ms; `None` while nothing calls for it.
    closes_ms: Option<u64>,
    switches: u64,
    session_from_wh: i64,
    told: VecDeque<Told>,
    writes: u64,
    requests: u64,
}

impl Charger {
    /// A charger that has just started.
    pub fn new(params: ChargerParams) -> Charger {
        Charger {
            car: Car::new(params.car.clone()),
            limit_ma: params.start_ma,
            timeout_s: START_TIMEOUT_S,
            fallback_a: START_FALLBACK_A,
            asked_ms: 0,
            alone: false,
            lost: false,
            down_until_ms: 0,
            starts: 1,
            pilot_ma: 0,
            closed: false,
            closes_ms: None,
            switches: 0,
            session_from_wh: 0,
            told: VecDeque::new(),
            writes: 0,
            requests: 0,
            params,
        }
    }

    /// Someone has asked it for something.
    pub fn ask(&mut self, now_ms: u64) {
        (self.asked_ms, self.lost) = (now_ms, false);
        self.requests += 1;
    }

    /// Takes what is written to it.
    pub fn tell(&mut self, told: Told) {
        match told.what {
            Written::LimitMa(limit_ma) => (self.limit_ma, self.alone) = (limit_ma, false),
            Written::TimeoutS(timeout_s) => self.timeout_s = timeout_s,
            Written::FallbackA(fallback_a) => self.fallback_a = fallback_a,
        }
        if self.told.len() >= MAX_TOLD {
            self.told.pop_front();
        }
        self.told.push_back(told);
        self.writes += 1;
    }

    /// Puts another car there, and pulls the contactor open if need be.
    pub fn set_car(&mut self, car: CarParams) {
        self.open();
        self.car = Car::new(car);
        self.pilot_ma = 0;
        self.session_from_wh = 0;
    }

    /// Starts anew, without power and answers for `down_ms`; it has forgotten its limit, its timeout and its fallback limit.
    pub fn reboot(&mut self, now_ms: u64, down_ms: u64) {
        self.open();
        (self.limit_ma, self.timeout_s, self.fallback_a) = (START_LIMIT_MA, START_TIMEOUT_S, START_FALLBACK_A);
        (self.alone, self.lost, self.pilot_ma) = (false, false, 0);
        (self.down_until_ms, self.asked_ms) = (now_ms + down_ms, now_ms + down_ms);
        self.starts = self.starts.saturating_add(1);
    }

    fn open(&mut self) {
        self.switches += u64::from(self.closed);
        (self.closed, self.closes_ms) = (false, None);
        self.car.cut_off();
    }
}

/// What it is like at the moment.
impl Charger {
    /// How it was built.
    pub fn params(&self) -> &ChargerParams {
        &self.params
    }

    /// The car.
    pub fn car(&self) -> &Car {
        &self.car
    }

    /// What it does.
    pub fn state(&self, now_ms: u64) -> ChargerState {
        match () {
            () if self.lost => ChargerState::Error,
            () if !self.car.is_plugged(now_ms) => ChargerState::Free,
            () if self.closed => ChargerState::Charging,
            () if self.car.is_hungry() => ChargerState::Paused,
            () => ChargerState::Connected,
        }
    }

    /// The limit in force, mA.
    pub fn in_force_ma(&self) -> i64 {
        let limit_ma = match (self.alone, self.fallback_a) {
            (false, _) => self.limit_ma,
            (true, NO_FALLBACK_A..) => 0,
            (true, fallback_a) => i64::from(fallback_a) * 1000,
        };
        limit_ma.clamp(0, self.params.most_ma)
    }

    /// The limit that was written last, mA.
    pub fn limit_ma(&self) -> i64 {
        self.limit_ma
    }

    /// Whether a limit was ever written to it, as far as writes are remembered.
    pub fn was_limited(&self) -> bool {
        self.told.iter().any(|told| matches!(told.what, Written::LimitMa(_)))
    }

    /// The communication timeout, s.
    pub fn timeout_s(&self) -> u16 {
        self.timeout_s
    }

    /// The fallback limit, A.
    pub fn fallback_a(&self) -> u16 {
        self.fallback_a
    }

    /// Whether it answers at all: not while it starts.
    pub fn is_up(&self, now_ms: u64) -> bool {
        now_ms >= self.down_until_ms
    }

    /// How often it was started; every start ends its connections.
    pub fn starts(&self) -> u32 {
        self.starts
    }

    /// The newest writes, oldest first.
    pub fn told(&self) -> impl DoubleEndedIterator<Item = &Told> + ExactSizeIterator {
        self.told.iter()
    }

    /// How many writes it took, those that are forgotten by now too.
    pub fn writes(&self) -> u64 {
        self.writes
    }

    /// How many requests reached it.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// How often its contactor has closed or opened.
    pub fn switches(&self) -> u64 {
        self.switches
    }

    /// Whether the contactor is closed.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Energy since the contactor closed last, Wh.
    pub fn session_wh(&self) -> i64 {
        self.car.charged_wh() - self.session_from_wh
    }
}
