//! One battery under commissioning: what it was told, what it said, and what was found out so far.

use std::collections::VecDeque;

use super::leg::{Clean, Leg, Movement};
use super::setup::BatterySetup;
use super::timing::Times;
use crate::config::Encoding;
use crate::control::bms::Objection;
use crate::control::decision::Order;
use crate::control::input::{BatterySample, Written};
use crate::control::site::ControlKind;
use crate::daemon::message::{BatteryReport, WriteReport};
use crate::units::{Span, Time};

/// A battery whose encoding was changed gets this much longer than it took to run away, to come back.
const COMES_BACK: Span = Span::from_s(2);
/// … but no more than this in all.
const COMES_BACK_MOST: Span = Span::from_s(8);

/// One battery.
#[derive(Clone, PartialEq, Debug)]
pub struct Subject {
    /// What is known beforehand.
    pub setup: BatterySetup,
    /// What it is told.
    pub order: Order,
    /// What its BMS had against handing it back when that was to be done.
    pub objection: Option<Objection>,
    /// The encoding that its setpoints are written in.
    pub encoding: Encoding,
    /// How often that was changed.
    pub changes: u32,
    /// It has followed a setpoint, so the encoding is right.
    pub followed: bool,
    /// It does not go to 0 W when told.
    pub ignores: bool,
    /// It stands under our control, or has shown that it does not.
    pub taken: bool,
    /// Its hand-back was acknowledged.
    pub released: bool,
    /// Its readings move against its setpoints; `None`: not known yet.
    pub inverted: Option<bool>,
    /// The newest good answer.
    pub newest: Option<BatterySample>,
    /// The bank it is read through.
    pub bank: String,
    /// Conditions that it reports itself.
    pub notices: Vec<String>,
    /// Those that held from the beginning.
    pub known: Vec<String>,
    /// What went wrong last.
    pub fault: Option<String>,
    /// The newest setpoint and when it was sent first.
    pub sent: Option<(i64, Time)>,
    /// A setpoint was ever sent; else it has no encoding and cannot run away in it.
    pub told_setpoint: bool,
    /// Power from which it moves to that, W.
    before_w: i64,
    acknowledged: bool,
    /// The newest setpoint was sent again before anybody knew of the first time.
    pub rewritten: bool,
    /// It is on its way back after its encoding was changed.
    grace_until: Time,
    /// The legs that are left: setpoints, W.
    pub todo: Option<VecDeque<i64>>,
    /// The setpoint that it stands at, W.
    pub level_w: i64,
    /// How often the present leg was repeated.
    pub repeats: u32,
    /// Since when it is at rest.
    pub since: Time,
    /// Legs that were clean.
    pub clean: Vec<CleanLeg>,
    /// Setpoints that it did not follow, W.
    pub not_followed: Vec<i64>,
    /// Legs that never became clean.
    pub unclear: u32,
    /// What a person should read beside the findings.
    pub notes: Vec<String>,
}

/// A leg that battery and grid agree about.
#[derive(Clone, PartialEq, Debug)]
pub struct CleanLeg {
    /// The leg.
    pub leg: Leg,
    /// What happened.
    pub movement: Movement,
    /// What to think of it.
    pub clean: Clean,
    /// What it says about times.
    pub times: Times,
}

impl Subject {
    /// A battery that was not asked anything yet.
    pub fn new(setup: BatterySetup) -> Subject {
        Subject {
            encoding: setup.encoding,
            setup,
            order: Order::Silent,
            objection: None,
            changes: 0,
            followed: false,
            ignores: false,
            taken: false,
            released: false,
            inverted: None,
            newest: None,
            bank: String::new(),
            notices: Vec::new(),
            known: Vec::new(),
            fault: None,
            sent: None,
            told_setpoint: false,
            before_w: 0,
            acknowledged: false,
            rewritten: false,
            grace_until: Time::ZERO,
            todo: None,
            level_w: 0,
            repeats: 0,
            since: Time::ZERO,
            clean: Vec::new(),
            not_followed: Vec::new(),
            unclear: 0,
            notes: Vec::new(),
        }
    }

    /// What it did last, W; 0 while that is unknown.
    pub fn power_w(&self) -> i64 {
        self.newest.map_or(0, |s| s.power_w)
    }

    /// Its bank takes setpoints in more than one encoding.
    pub fn is_choosable(&self) -> bool {
        self.setup.choosable.contains(&self.bank)
    }

    /// It stands, or stood, under our control.
    pub fn is_told(&self) -> bool {
        self.order != Order::Silent
    }

    /// Tells it to move to this power.
    pub fn tell(&mut self, watts: i64, urgent: bool) {
        self.order = Order::Setpoint { watts, urgent };
    }

    /// Holds it at 0 W, in the way that its control allows.
    pub fn hold(&mut self, control: ControlKind) {
        match control {
            ControlKind::Setpoint => self.tell(0, false),
            _ => self.order = Order::Limits { charge_w: 0, discharge_w: 0, urgent: false },
        }
    }

    /// Ends its part: it is handed back, or left at 0 W where its BMS objects. Then nothing is written where that stands already.
    pub fn let_go(&mut self, objection: Option<Objection>) {
        let rests = match self.order {
            Order::Setpoint { watts: 0, .. } => self.acknowledged && self.sent.is_some_and(|s| s.0 == 0),
            Order::Limits { charge_w: 0, discharge_w: 0, .. } => self.sent.is_some(),
            _ => false,
        };
        self.released |= rests && objection.is_some();
        (self.order, self.objection) = (Order::Release, objection);
    }

    /// Takes an answer.
    pub fn heard(&mut self, report: &BatteryReport, power_w: i64) {
        self.fault = report.fault.as_ref().map(ToString::to_string);
        if !report.device.is_empty() {
            self.bank.clone_from(&report.device);
        }
        let Some(sample) = report.sample else { return };
        self.notices.clone_from(&report.notices);
        self.newest = Some(sample);
        // Arrived: from here on it has no reason to be where it was before.
        if let Some((w, _)) = self.sent {
            if self.ways(w).iter().any(|w| (sample.power_w - w).abs() <= power_w / 2) {
                self.before_w = sample.power_w;
            }
        }
    }

    /// A setpoint is on its way.
    pub fn sending(&mut self, watts: i64, at: Time) {
        self.told_setpoint = true;
        let again = self.sent.is_some_and(|(w, _)| w == watts);
        if again && self.acknowledged {
            return;
        }
        self.rewritten = again;
        (self.sent, self.acknowledged, self.before_w) = (Some((watts, at)), false, self.power_w());
    }

    /// A write has ended.
    pub fn written(&mut self, report: &WriteReport) {
        if let Some(fault) = &report.fault {
            self.fault = Some(fault.to_string());
            return;
        }
        match report.written {
            Some(Written::Setpoint(w)) => self.acknowledged |= self.sent.is_some_and(|s| s.0 == w),
            // Limits have no setpoint; being held is what counts.
            Some(Written::Limits) if self.order != Order::Release && self.sent.is_none() => {
                (self.sent, self.before_w) = (Some((0, report.at)), self.power_w());
            }
            _ => {}
        }
        let back = matches!(report.written, Some(Written::Released | Written::Limits | Written::Setpoint(0)));
        self.released |= self.order == Order::Release && back;
    }

    /// It does what it cannot have been told: beyond where it was and where it was sent by more than the probe's power, twice that at most.
    pub fn runs_away(&self, power_w: i64, now: Time) -> bool {
        let (Some((w, _)), Some(sample)) = (self.sent, self.newest) else { return false };
        // Inside limits it balances by itself, and is late: whether it holds them is seen when it is taken.
        if self.ignores || !self.told_setpoint || now < self.grace_until {
            return false;
        }
        let ways = self.ways(w);
        let lo = ways.iter().fold(self.before_w, |lo, w| lo.min(*w));
        let hi = ways.iter().fold(self.before_w, |hi, w| hi.max(*w));
        let slack_w = if w == 0 { power_w } else { power_w / 2 };
        sample.power_w < lo - slack_w || sample.power_w > hi + slack_w
    }

    /// Speaks the other encoding from now on, and is told 0 W in it.
    pub fn change_encoding(&mut self, now: Time) {
        let took = self.sent.map_or(Span::ZERO, |s| now.since(s.1));
        self.grace_until = now + (took + COMES_BACK).min(COMES_BACK_MOST);
        self.encoding = other(self.encoding);
        self.changes += 1;
        (self.sent, self.acknowledged, self.released) = (None, false, false);
        if self.order != Order::Release {
            self.begin_anew();
        }
    }

    /// Back to 0 W; its legs are made from the beginning.
    pub fn begin_anew(&mut self) {
        (self.level_w, self.repeats, self.todo) = (0, 0, None);
        self.tell(0, true);
    }

    /// Where a setpoint may lead: to its mirror image as well, until the sign is known.
    fn ways(&self, watts: i64) -> [i64; 2] {
        match self.inverted {
            None => [watts, -watts],
            Some(false) => [watts; 2],
            Some(true) => [-watts; 2],
        }
    }
}

/// The other one of two.
pub fn other(encoding: Encoding) -> Encoding {
    match encoding {
        Encoding::Int16 => Encoding::Offset,
        Encoding::Offset => Encoding::Int16,
    }
}
