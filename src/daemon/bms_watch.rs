//! What the answers of a BMS mean, one after the other: is it alive, what power do its limits stand for, how far have its counters come, is
//! its clock right, is something strange?
//!
//! Pure: time comes in. It never asks; the task does.

use crate::control::input::BmsSample;
use crate::device::bms::{BmsParts, BmsValues};
use crate::units::{Span, Time};

/// A heartbeat register that did not change for longer belongs to a BMS that does not live.
const STANDS_STILL: Span = Span::from_s(5);
/// What is lost between the cells and the terminals: of what the cells can give, this much comes out, per mille (`spec/control.md` 2.4, caps).
const GIVES_PM: i64 = 950;
/// A counter that counts at most once a second has begun anew if it is further ahead than twice the time that passed, and this.
const AHEAD: u64 = 60;
/// That is told for so long.
const TOLD: Span = Span::from_s(600);
/// A clock that is further off needs someone, s.
const DRIFT_S: i64 = 300;
/// Clocks show local time: what is a multiple of this, s, up to the largest difference of a time zone, s, is one.
const ZONE_S: i64 = 1800;
const ZONE_MOST_S: i64 = 14 * 3600;
/// Before this (2020-09-13) our own clock was never set, unix seconds.
const CLOCK_SET_S: i64 = 1_600_000_000;

/// Limits of the configuration, mA: in force where the BMS gives none, or larger ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StaticLimits {
    /// Most current it may be charged with.
    pub charge_ma: Option<i64>,
    /// The same for discharging.
    pub discharge_ma: Option<i64>,
    /// Charge power, W, where neither the BMS nor the configuration can give a current: the battery's rating.
    pub charge_w: Option<i64>,
    /// The same for discharging.
    pub discharge_w: Option<i64>,
}

/// What is known beside the values themselves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// For the core; `None` where the BMS does not live.
    pub sample: Option<BmsSample>,
    /// For the core, where the BMS does not live: it can still forbid.
    pub standing: Option<BmsSample>,
    /// Most current it may be charged with, mA, of BMS and configuration together.
    pub charge_limit_ma: Option<i64>,
    /// The same for discharging.
    pub discharge_limit_ma: Option<i64>,
    /// Its counters without their wrapping: name and count.
    pub counters: Vec<(String, u64)>,
    /// How far its clock is ahead of ours, s, beside its time zone.
    pub clock_drift_s: Option<i64>,
    /// What someone should know, in words.
    pub notices: Vec<String>,
}

/// What the answers before said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct BmsWatch {
    /// Its heartbeat register, when that changed last, and whether it ever did.
    alive: Option<(u16, Time, bool)>,
    counters: Vec<Counter>,
    /// The answer before.
    before: Option<Time>,
    /// It has given a charge limit, and a discharge limit.
    gave: (bool, bool),
    /// Which counter has begun anew, and when.
    anew: Option<(String, Time)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Counter {
    raw: Option<u16>,
    count: u64,
}

impl BmsWatch {
    /// Takes an answer. `wall_s`: what our clock shows, in unix seconds.
    pub fn take(&mut self, values: &BmsValues, parts: &BmsParts, statics: StaticLimits, now: Time, wall_s: i64) -> Seen {
        self.count(values, parts, now);
        let charge_ma = limit(values.charge_limit_ma, statics.charge_ma, &mut self.gave.0);
        let discharge_ma = limit(values.discharge_limit_ma, statics.discharge_ma, &mut self.gave.1);
        let drift_s = values.clock_s.filter(|_| wall_s >= CLOCK_SET_S).map(|s| drift(s, wall_s));
        let sample = BmsSample {
            taken: now,
            may_charge: values.may_charge,
            may_discharge: values.may_discharge,
            charge_limit_w: power(charge_ma, values.voltage_mv).or(statics.charge_w),
            discharge_limit_w: power(discharge_ma, values.voltage_mv).map(|w| w.saturating_mul(GIVES_PM) / 1000).or(statics.discharge_w),
            soc_pm: values.soc_pm,
        };
        let lives = self.lives(values.alive, parts, now);
        Seen {
            sample: lives.then_some(sample),
            standing: (!lives).then_some(sample),
            charge_limit_ma: charge_ma,
            discharge_limit_ma: discharge_ma,
            counters: parts.counters.iter().zip(&self.counters).map(|(c, counter)| (c.0.clone(), counter.count)).collect(),
            clock_drift_s: drift_s,
            notices: self.notices(values, drift_s, now),
        }
    }

    /// A heartbeat register, where there is one, must have changed a moment ago.
    fn lives(&mut self, alive: Option<u16>, parts: &BmsParts, now: Time) -> bool {
        if parts.alive_at.is_none() {
            return true;
        }
        let Some(value) = alive else { return false };
        let (changed, ever) = match self.alive {
            Some((before, changed, ever)) if before == value => (changed, ever),
            Some(_) => (now, true),
            None => (now, false),
        };
        self.alive = Some((value, changed, ever));
        ever && now.since(changed) <= STANDS_STILL
    }

    /// Counters of 16 bits wrap: what counts is the difference, modulo 65536. One that is ahead of time has begun anew.
    fn count(&mut self, values: &BmsValues, parts: &BmsParts, now: Time) {
        let passed_s = self.before.map_or(0, |before| now.since(before).as_s());
        self.before = Some(now);
        self.counters.resize(parts.counters.len(), Counter::default());
        for ((counter, raw), (name, _)) in self.counters.iter_mut().zip(&values.counters).zip(&parts.counters) {
            let Some(raw) = *raw else { continue };
            let by = counter.raw.map_or(0, |before| u64::from(raw.wrapping_sub(before)));
            match counter.raw.replace(raw) {
                Some(_) if by <= passed_s.saturating_mul(2).saturating_add(AHEAD) => counter.count = counter.count.saturating_add(by),
                Some(_) => {
                    counter.count = raw.into();
                    self.anew = Some((name.clone(), now));
                }
                None => counter.count = raw.into(),
            }
        }
    }

    fn notices(&mut self, values: &BmsValues, drift_s: Option<i64>, now: Time) -> Vec<String> {
        let mut notices = values.notices.clone();
        let has_voltage = values.voltage_mv.is_some_and(|mv| mv > 0);
        if values.soc_pm == Some(0) && has_voltage {
            // Reference 1, "Logs & Debugging".
            notices.push("0 % state of charge with otherwise good data: it may be in a fault state, check its internal fuse and the pre-charge resistor".into());
        }
        if let Some(drift_s) = drift_s.filter(|s| s.abs() > DRIFT_S) {
            let way = if drift_s > 0 { "ahead" } else { "behind" };
            notices.push(format!("its clock is {} min {way}", drift_s.abs() / 60));
        }
        self.anew = self.anew.take().filter(|(_, at)| now.since(*at) < TOLD);
        if let Some((name, _)) = &self.anew {
            notices.push(format!("its counter \"{name}\" has begun anew, it was restarted"));
        }
        notices
    }
}

/// The smaller of what both say. What the BMS has given once is not replaced by the configuration when it does not any more.
fn limit(says: Option<i64>, set: Option<i64>, gave: &mut bool) -> Option<i64> {
    *gave |= says.is_some();
    match (says, set) {
        (Some(says), Some(set)) => Some(says.min(set)),
        (Some(says), None) => Some(says),
        (None, set) => set.filter(|_| !*gave),
    }
}

/// W, rounded down; unknown without a voltage.
fn power(current_ma: Option<i64>, voltage_mv: Option<i64>) -> Option<i64> {
    let uw = i128::from(current_ma?.max(0)) * i128::from(voltage_mv?.max(0));
    i64::try_from(uw / 1_000_000).ok()
}

/// How far `clock_s` is ahead of `wall_s`, s, beside a time zone.
fn drift(clock_s: i64, wall_s: i64) -> i64 {
    let ahead_s = clock_s.saturating_sub(wall_s);
    let zone_s = (ahead_s.saturating_add(ZONE_S / 2)).div_euclid(ZONE_S).saturating_mul(ZONE_S);
    if zone_s.abs() <= ZONE_MOST_S { ahead_s.saturating_sub(zone_s) } else { ahead_s }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL_S: i64 = 1_755_084_153;

    fn values() -> BmsValues {
        BmsValues {
            may_charge: true,
            may_discharge: true,
            soc_pm: Some(480),
            voltage_mv: Some(768_400),
            charge_limit_ma: Some(50_000),
            discharge_limit_ma: Some(60_000),
            ..BmsValues::default()
        }
    }

    fn at(s: u64) -> Time {
        Time::from_ms(s * 1000)
    }

    fn take(watch: &mut BmsWatch, values: &BmsValues, statics: StaticLimits, s: u64) -> Seen {
        watch.take(values, &BmsParts::default(), statics, at(s), WALL_S)
    }

    #[test]
    fn limits_are_current_times_voltage_and_the_smaller_of_both() {
        let mut watch = BmsWatch::default();
        let sample = take(&mut watch, &values(), StaticLimits::default(), 1).sample.unwrap();
        // 38420 W; 46104 W less what is lost on the way out.
        assert_eq!((sample.charge_limit_w, sample.discharge_limit_w), (Some(38_420), Some(43_798)));
        let set = StaticLimits { charge_ma: Some(10_000), discharge_ma: Some(100_000), ..StaticLimits::default() };
        let both = take(&mut watch, &values(), set, 2);
        assert_eq!((both.charge_limit_ma, both.discharge_limit_ma), (Some(10_000), Some(60_000)));
        let without = BmsValues { voltage_mv: None, ..values() };
        let sample = take(&mut watch, &without, set, 3).sample.unwrap();
        assert_eq!((sample.charge_limit_w, sample.discharge_limit_w), (None, None));
        let huge = BmsValues { charge_limit_ma: Some(i64::MAX), discharge_limit_ma: Some(-5), voltage_mv: Some(i64::MAX), ..values() };
        let sample = take(&mut watch, &huge, StaticLimits::default(), 4).sample.unwrap();
        assert_eq!((sample.charge_limit_w, sample.discharge_limit_w), (None, Some(0)));
    }

    #[test]
    fn the_configuration_speaks_only_where_the_bms_never_did() {
        let none = BmsValues { charge_limit_ma: None, discharge_limit_ma: None, ..values() };
        let set = StaticLimits { charge_ma: Some(10_000), ..StaticLimits::default() };
        let mut watch = BmsWatch::default();
        let seen = take(&mut watch, &none, set, 1);
        assert_eq!((seen.charge_limit_ma, seen.discharge_limit_ma), (Some(10_000), None));
        assert_eq!(seen.sample.unwrap().discharge_limit_w, None);
        take(&mut watch, &BmsValues { charge_limit_ma: Some(2000), ..values() }, set, 2);
        assert_eq!(take(&mut watch, &none, set, 3).charge_limit_ma, None);
    }

    #[test]
    fn a_heartbeat_that_stands_still_is_no_sign_of_life() {
        let parts = BmsParts { alive_at: Some(18), ..BmsParts::default() };
        let mut watch = BmsWatch::default();
        let mut lives = |beat: Option<u16>, s: u64| {
            watch.take(&BmsValues { alive: beat, ..values() }, &parts, StaticLimits::default(), at(s), WALL_S).sample.is_some()
        };
        let said: Vec<_> = [(Some(7), 1), (Some(7), 2), (Some(8), 3), (Some(8), 8), (Some(8), 9), (None, 10), (Some(0), 11), (Some(0), 60)]
            .map(|(beat, s)| lives(beat, s))
            .into();
        assert_eq!(said, [false, false, true, true, false, false, true, false]);
    }

    #[test]
    fn counters_wrap_and_begin_anew() {
        let parts = BmsParts { counters: vec![("time".into(), 1118)], ..BmsParts::default() };
        let mut watch = BmsWatch::default();
        let mut count = |raw: Option<u16>, s: u64| {
            let seen = watch.take(&BmsValues { counters: vec![raw], ..values() }, &parts, StaticLimits::default(), at(s), WALL_S);
            (seen.counters[0].1, seen.notices.len())
        };
        assert_eq!(count(Some(65_530), 10), (65_530, 0));
        assert_eq!(count(Some(65_535), 15), (65_535, 0));
        assert_eq!(count(Some(4), 20), (65_540, 0), "wrapped");
        assert_eq!(count(None, 21), (65_540, 0));
        assert_eq!(count(Some(2004), 2020), (67_540, 0), "a long silence");
        assert_eq!(count(Some(3), 2021), (3, 1), "restarted");
        assert_eq!(count(Some(603), 2621), (603, 0), "told for ten minutes");
    }

    #[test]
    fn its_clock_may_show_local_time_but_not_another() {
        let drifts = [0, 60, 360, 3600, 5400 - 301, -5 * 3600 - 1800 + 420, -1_755_084_153].map(|ahead| drift(WALL_S + ahead, WALL_S));
        assert_eq!(drifts, [0, 60, 360, 0, -301, 420, -1_755_084_153]);
        let mut watch = BmsWatch::default();
        let notices = |watch: &mut BmsWatch, ahead: i64, wall_s: i64| {
            let values = BmsValues { clock_s: Some(WALL_S + ahead), ..values() };
            watch.take(&values, &BmsParts::default(), StaticLimits::default(), at(1), wall_s).notices
        };
        assert_eq!(notices(&mut watch, 300, WALL_S), Vec::<String>::new());
        assert_eq!(notices(&mut watch, -361, WALL_S), ["its clock is 6 min behind"]);
        assert_eq!(notices(&mut watch, 361, 1000), Vec::<String>::new(), "our own was never set");
    }

    #[test]
    fn an_empty_battery_with_good_data_hints_at_a_fault() {
        let mut watch = BmsWatch::default();
        let notices = |soc_pm, voltage_mv| {
            let mut watch = watch.clone();
            take(&mut watch, &BmsValues { soc_pm, voltage_mv, ..values() }, StaticLimits::default(), 1).notices
        };
        let said = notices(Some(0), Some(700_000));
        assert!(said.len() == 1 && said[0].contains("internal fuse") && said[0].contains("pre-charge resistor"), "{said:?}");
        assert!(notices(Some(1), Some(700_000)).is_empty() && notices(Some(0), None).is_empty() && notices(None, Some(1)).is_empty());
        let own = BmsValues { notices: vec!["high cell voltage".into()], ..values() };
        assert_eq!(take(&mut watch, &own, StaticLimits::default(), 1).notices, ["high cell voltage"]);
    }

    #[test]
    fn a_rating_counts_only_where_nobody_can_give_a_current() {
        let rated = StaticLimits { charge_w: Some(3_500), ..StaticLimits::default() };
        let mut watch = BmsWatch::default();
        let silent = BmsValues { charge_limit_ma: None, discharge_limit_ma: None, ..values() };
        let sample = take(&mut watch, &silent, rated, 1).sample.unwrap();
        assert_eq!((sample.charge_limit_w, sample.discharge_limit_w), (Some(3_500), None));
    }
}
