//! What a battery management system lets its battery do, by what it said last and how long ago.
//!
//! ```text
//!   Unheard ── a sample ──► Heard ── older than `lost` ──► Lost
//!                             ▲                             │
//!                             └──── two samples in a row ───┘
//! ```
//! Before the first sample, and when lost, it allows nothing. In between its limits hold until `fresh` and then fall steadily, to nothing at
//! `lost`. A limit that it does not give is no power. It never orders: it lowers what a battery may do, and even a fuse cannot pass that.

use std::fmt;

use super::capability::{Capability, Cause};
use super::input::BmsSample;
use super::site::BmsSite;
use crate::units::{Span, Time};

/// Samples in a row that end a loss (`facts/devices.md` 4.2: 2 valid frames).
const RECOVER: u32 = 2;

/// Whether it can be heard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Contact {
    /// It has never said anything.
    #[default]
    Unheard,
    /// It speaks.
    Heard,
    /// It has said nothing for too long.
    Lost {
        /// Samples in a row since.
        good: u32,
    },
}

/// What a BMS has against leaving its battery to its own control when nobody commands it any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Objection {
    /// It forbids charging.
    Charging,
    /// It forbids discharging.
    Discharging,
    /// It forbids both.
    Both,
    /// It is not heard: nobody knows what it forbids.
    Silence,
}

impl Objection {
    /// What this word says against it.
    pub fn of(word: &BmsSample) -> Option<Objection> {
        match word.most_w() {
            (1.., 1..) => None,
            (_, 1..) => Some(Objection::Charging),
            (1.., _) => Some(Objection::Discharging),
            _ => Some(Objection::Both),
        }
    }

    /// The battery may be charged all the same.
    pub fn allows_charging(self) -> bool {
        self == Objection::Discharging
    }

    /// The battery may be discharged all the same.
    pub fn allows_discharging(self) -> bool {
        self == Objection::Charging
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Objection::Charging => "its BMS forbids charging",
            Objection::Discharging => "its BMS forbids discharging",
            Objection::Both => "its BMS forbids charging and discharging",
            Objection::Silence => "its BMS is not heard",
        })
    }
}

/// The BMS of one battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bms {
    ages: BmsSite,
    contact: Contact,
    newest: Option<BmsSample>,
}

impl Bms {
    /// One that was not heard yet.
    pub fn new(ages: BmsSite) -> Bms {
        Bms { ages, contact: Contact::Unheard, newest: None }
    }

    /// Whether it can be heard.
    pub fn contact(&self) -> Contact {
        self.contact
    }

    /// Whether it was heard once and is lost now.
    pub fn is_lost(&self) -> bool {
        matches!(self.contact, Contact::Lost { .. })
    }

    /// The newest sample.
    pub fn newest(&self) -> Option<&BmsSample> {
        self.newest.as_ref()
    }

    /// It has said something. False where that is not newer than the last, or cannot be: then nothing changes.
    pub fn take(&mut self, sample: BmsSample) -> bool {
        if !sample.is_plausible() || self.newest.is_some_and(|s| s.taken >= sample.taken) {
            return false;
        }
        self.pass(sample.taken);
        let gap = self.newest.map_or(Span::ZERO, |s| sample.taken.since(s.taken));
        self.contact = match self.contact {
            Contact::Unheard | Contact::Heard => Contact::Heard,
            Contact::Lost { good } if good > 0 && gap <= self.ages.fresh && good + 1 >= RECOVER => Contact::Heard,
            Contact::Lost { good } if good > 0 && gap <= self.ages.fresh => Contact::Lost { good: good + 1 },
            Contact::Lost { .. } => Contact::Lost { good: 1 },
        };
        self.newest = Some(sample);
        true
    }

    /// It says this, but shows no sign of life: what it forbids counts, what it allows does not, and nobody has heard it.
    pub fn forbid(&mut self, standing: &BmsSample) {
        if let Some(newest) = self.newest.as_mut().filter(|s| standing.is_plausible() && standing.taken > s.taken) {
            *newest = newest.lowered_by(standing);
        }
    }

    /// Time passes. True when this lost it.
    pub fn pass(&mut self, now: Time) -> bool {
        let lost = self.contact == Contact::Heard && self.newest.is_none_or(|s| now.since(s.taken) >= self.ages.lost);
        if lost {
            self.contact = Contact::Lost { good: 0 };
        }
        lost
    }

    /// Its state of charge, 0.1 %, where it gives one and can be heard.
    pub fn soc_pm(&self) -> Option<i64> {
        self.newest.filter(|_| self.contact == Contact::Heard).and_then(|s| s.soc_pm)
    }

    /// Charge and discharge power that its last word allows, W, however old that is.
    pub fn last_word_w(&self) -> (i64, i64) {
        self.newest.map_or((0, 0), |s| s.most_w())
    }

    /// What is left at `now` of what the battery may do by itself.
    pub fn limit(&self, cap: Capability, now: Time) -> Capability {
        let (left_ms, of_ms) = self.left(now);
        let sample = self.newest.unwrap_or_default();
        let (most_charge_w, most_discharge_w) = sample.most_w();
        let one = |w: i64, most_w: i64| {
            let most_w = w.min(most_w);
            let left = i128::from(most_w) * i128::from(left_ms) / i128::from(of_ms);
            i64::try_from(left).unwrap_or(0).max(0)
        };
        let lowered = |w: i64, said_w: i64, may: bool, limit: Option<i64>, was: Cause| {
            let most = one(w, said_w);
            if most < w { (most, self.cause(may, limit, left_ms < of_ms && w <= said_w)) } else { (w, was) }
        };
        let charge = lowered(cap.charge_w, most_charge_w, sample.may_charge, sample.charge_limit_w, cap.charge_cause);
        let discharge = lowered(cap.discharge_w, most_discharge_w, sample.may_discharge, sample.discharge_limit_w, cap.discharge_cause);
        Capability {
            hard_charge_w: one(cap.hard_charge_w, most_charge_w),
            hard_discharge_w: one(cap.hard_discharge_w, most_discharge_w),
            charge_w: charge.0,
            discharge_w: discharge.0,
            charge_cause: charge.1,
            discharge_cause: discharge.1,
        }
    }

    fn cause(&self, may: bool, limit: Option<i64>, by_age: bool) -> Cause {
        match self.contact {
            Contact::Unheard => Cause::BmsUnheard,
            Contact::Lost { .. } => Cause::BmsLost,
            Contact::Heard if !may => Cause::BmsForbids,
            Contact::Heard if limit.is_none() => Cause::BmsNoLimit,
            Contact::Heard if by_age => Cause::BmsAging,
            Contact::Heard => Cause::BmsLimit,
        }
    }

    /// The part of its limits that holds at `now`: numerator and denominator, both in ms.
    fn left(&self, now: Time) -> (i64, i64) {
        let falls = self.ages.lost.less(self.ages.fresh).signed_ms().max(1);
        match self.newest.filter(|_| self.contact == Contact::Heard) {
            Some(s) => (self.ages.lost.less(now.since(s.taken)).signed_ms().min(falls), falls),
            None => (0, falls),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: BmsSite = BmsSite { fresh: Span::from_s(5), lost: Span::from_s(58) };
    const CAP: Capability = Capability {
        hard_charge_w: 3000,
        hard_discharge_w: 4000,
        charge_w: 3000,
        discharge_w: 4000,
        charge_cause: Cause::Rating,
        discharge_cause: Cause::Rating,
    };

    fn at(ms: u64) -> Time {
        Time::from_ms(ms)
    }

    fn sample(ms: u64) -> BmsSample {
        BmsSample {
            taken: at(ms),
            may_charge: true,
            may_discharge: true,
            charge_limit_w: Some(2000),
            discharge_limit_w: Some(90_000),
            soc_pm: Some(480),
        }
    }

    fn heard(ms: u64) -> Bms {
        let mut bms = Bms::new(AGES);
        assert!(bms.take(sample(ms)));
        bms
    }

    fn powers(bms: &Bms, ms: u64) -> (i64, i64) {
        let cap = bms.limit(CAP, at(ms));
        assert_eq!((cap.hard_charge_w, cap.hard_discharge_w), (cap.charge_w, cap.discharge_w));
        (cap.charge_w, cap.discharge_w)
    }

    /// Every contact × every event, with the contact that must follow.
    #[test]
    fn all_transitions() {
        use Contact::*;
        let lost = || {
            let mut bms = heard(1000);
            assert!(bms.pass(at(59_000)));
            bms
        };
        let half = || {
            let mut bms = lost();
            bms.take(sample(60_000));
            bms
        };
        for (name, bms, contact) in [
            ("unheard", Bms::new(AGES), Unheard),
            ("heard", heard(1000), Heard),
            ("lost", lost(), Lost { good: 0 }),
            ("half", half(), Lost { good: 1 }),
        ] {
            assert_eq!(bms.contact(), contact, "{name}");
            let after = |event: &dyn Fn(&mut Bms)| {
                let mut bms = bms;
                event(&mut bms);
                bms.contact()
            };
            let good_soon = after(&|b| assert!(b.take(sample(61_000))));
            let good_late = after(&|b| assert!(b.take(sample(66_000))));
            let absurd = after(&|b| assert!(!b.take(BmsSample { soc_pm: Some(1001), ..sample(61_000) })));
            let negative = after(&|b| assert!(!b.take(BmsSample { charge_limit_w: Some(-1), ..sample(61_000) })));
            let a_moment = after(&|b| assert!(!b.pass(at(58_999))));
            let an_hour = after(&|b| {
                b.pass(at(3_600_000));
            });
            assert_eq!((absurd, negative, a_moment), (contact, contact, contact), "{name}");
            let expected = match contact {
                Unheard => (Heard, Heard, Unheard),
                // What comes after so long a silence finds it lost, whether or not anyone looked meanwhile.
                Heard => (Lost { good: 1 }, Lost { good: 1 }, Lost { good: 0 }),
                Lost { good: 0 } => (Lost { good: 1 }, Lost { good: 1 }, Lost { good: 0 }),
                Lost { .. } => (Heard, Lost { good: 1 }, Lost { good: 1 }),
            };
            assert_eq!((good_soon, good_late, an_hour), expected, "{name}");
            let old = sample(if contact == Unheard { 1000 } else { 0 });
            assert_eq!(after(&|b| assert_eq!(b.take(old), contact == Unheard)), if contact == Unheard { Heard } else { contact }, "{name}");
        }
    }

    #[test]
    fn limits_hold_then_fall_steadily_to_nothing() {
        let mut bms = heard(1000);
        let said: Vec<_> = [1000, 6000, 19_250, 32_500, 45_750, 58_999].map(|ms| powers(&bms, ms)).into();
        assert_eq!(said, [(2000, 4000), (2000, 4000), (1500, 3000), (1000, 2000), (500, 1000), (0, 0)]);
        let mut before = (i64::MAX, i64::MAX);
        for ms in 1000..60_000 {
            bms.pass(at(ms));
            let now = powers(&bms, ms);
            assert!(now.0 <= before.0 && now.1 <= before.1, "{ms} ms: {now:?} after {before:?}");
            before = now;
        }
        assert_eq!((before, bms.contact()), ((0, 0), Contact::Lost { good: 0 }));
        assert_eq!(bms.last_word_w(), (2000, 90_000));
    }

    #[test]
    fn nothing_before_the_first_sample_and_until_two_after_a_loss() {
        let mut bms = Bms::new(AGES);
        assert_eq!((powers(&bms, 0), bms.limit(CAP, at(0)).charge_cause), ((0, 0), Cause::BmsUnheard));
        bms.take(sample(1000));
        assert_eq!(powers(&bms, 1000), (2000, 4000));
        bms.pass(at(70_000));
        assert_eq!((powers(&bms, 70_000), bms.limit(CAP, at(70_000)).discharge_cause), ((0, 0), Cause::BmsLost));
        bms.take(sample(71_000));
        assert_eq!((powers(&bms, 71_000), bms.soc_pm()), ((0, 0), None));
        bms.take(sample(72_000));
        assert_eq!((powers(&bms, 72_000), bms.soc_pm()), ((2000, 4000), Some(480)));
    }

    #[test]
    fn what_is_forbidden_or_unlimited_is_no_power_and_the_cause_says_so() {
        let limited = |s: BmsSample, ms: u64| {
            let mut bms = Bms::new(AGES);
            bms.take(s);
            let cap = bms.limit(CAP, at(ms));
            ((cap.charge_w, cap.charge_cause), (cap.discharge_w, cap.discharge_cause))
        };
        assert_eq!(limited(sample(0), 0), ((2000, Cause::BmsLimit), (4000, Cause::Rating)));
        assert_eq!(limited(sample(0), 31_500), ((1000, Cause::BmsLimit), (2000, Cause::BmsAging)));
        let forbids = BmsSample { may_charge: false, discharge_limit_w: None, ..sample(0) };
        assert_eq!(limited(forbids, 0), ((0, Cause::BmsForbids), (0, Cause::BmsNoLimit)));
    }
}
