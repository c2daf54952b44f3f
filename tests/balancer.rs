//! The load balancer against the golden traces of the firmware, row by row, and what must hold for any currents and settings.
#![allow(missing_docs)]

use proptest::prelude::*;
use sax_controller::balancer::{Balancer, Measured, Settings, State, Step, Waits};
use sax_controller::units::{Span, Time};

const NO_CEILING: u32 = u32::MAX;

fn at(ms: u64) -> Time {
    Time::from_ms(ms)
}

/// A reading that the batteries cannot do anything about.
fn reading(largest_ma: u32, taken: Time) -> Option<Measured> {
    Some(Measured { taken, confirmed: taken, largest_ma, expected_ma: largest_ma, bearable: false })
}

/// One that they were told to take off.
fn relieved(largest_ma: u32, taken: Time) -> Option<Measured> {
    reading(largest_ma, taken).map(|m| Measured { expected_ma: 0, ..m })
}

/// The settings behind the traces: the firmware waits 5 s at the lower limit.
fn firmware() -> Settings {
    let settings = Settings::default();
    Settings { lower: Step { wait_s: 5, ..settings.lower }, ..settings }
}

/// In normal operation with this limit.
fn balancer(settings: Settings, limit_ma: u32) -> Balancer {
    let mut b = Balancer::new(Settings { fallback_limit_ma: limit_ma, ..settings }, Span::from_s(1));
    b.check(None, NO_CEILING, Time::ZERO);
    assert_eq!((b.state(), b.limit_ma()), (State::Fallback, limit_ma));
    b.apply(settings);
    b
}

struct Row {
    largest_ma: u32,
    state: u16,
    limit_ma: u32,
    wait_left: Option<u8>,
}

fn rows(csv: &str) -> Vec<Row> {
    let number = |text: &str| text.parse::<u32>().expect("an integer");
    let row = |line: &str| match line.split(',').collect::<Vec<_>>()[..] {
        [_, grid_a, state, limit, wait, _] => Row {
            largest_ma: number(grid_a) * 1000,
            state: state.parse().expect("a state"),
            limit_ma: number(limit),
            wait_left: (wait != "-").then(|| wait.parse().expect("seconds")),
        },
        _ => panic!("not six columns: {line}"),
    };
    csv.lines().skip(1).map(row).collect()
}

/// Every row, by one check per second with a reading just before it.
fn replay(name: &str, csv: &str, settings: Settings) {
    let rows = rows(csv);
    assert!(rows.len() > 10, "{name}: {} rows", rows.len());
    // The traces start with the limit of their first row, which no action has changed yet.
    let mut b = balancer(settings, rows[0].limit_ma);
    for (second, row) in rows.iter().enumerate() {
        let now = at(60_000 + 1000 * second as u64);
        assert!(b.step(reading(row.largest_ma, now.before(Span::from_ms(10))), NO_CEILING, now), "{name}: no check at {second}");
        let wait = match b.waits() {
            Waits::Seconds(left) => Some(left),
            Waits::No => None,
            other => panic!("{name}: {other:?} at {second}"),
        };
        let is = (b.state().code(), b.limit_ma(), wait);
        assert_eq!(is, (row.state, row.limit_ma, row.wait_left), "{name} at {second}: {} mA", row.largest_ma);
    }
}

#[test]
fn the_golden_traces() {
    replay("boot_with_telegrams_10A", include_str!("data/traces/boot_with_telegrams_10A.csv"), firmware());
    replay("open_loop_15_26_15", include_str!("data/traces/open_loop_15_26_15.csv"), firmware());
    replay("upper_hold_23A", include_str!("data/traces/upper_hold_23A.csv"), firmware());
    replay("readme_lower_wait_1", include_str!("data/traces/readme_lower_wait_1.csv"), Settings::default());
    let quick = Settings { upper: Step { wait_s: 2, ..firmware().upper }, ..firmware() };
    replay("upper_wait_2", include_str!("data/traces/upper_wait_2.csv"), quick);
}

#[test]
fn the_settings_of_the_table_are_the_default() {
    let s = Settings::default();
    assert_eq!((s.lower.wait_s, s.fallback_time_s, s.fallback_limit_ma, s.charger_limit_ma), (1, 30, 0, 16_000));
    assert_eq!(s.fault(), None);
}

#[test]
fn without_currents_the_fallback_holds_at_once_and_is_left_with_the_first_one() {
    let settings = Settings { fallback_limit_ma: 8_000, ..Settings::default() };
    let mut b = Balancer::new(settings, Span::from_s(1));
    assert!(b.step(None, NO_CEILING, at(0)));
    assert_eq!((b.state(), b.limit_ma(), b.waits()), (State::Fallback, 8_000, Waits::No));
    let last = reading(20_000, at(1_000));
    (1..=30).for_each(|s| {
        b.check(last, NO_CEILING, at(1000 * s));
        assert_eq!((b.state(), b.limit_ma()), (State::Normal, 8_000), "at {s} s");
    });
    b.set_override(Some(2_000));
    b.set_override(None);
    b.check(last, NO_CEILING, at(31_000));
    assert_eq!((b.state(), b.limit_ma()), (State::Fallback, 8_000), "raised to the fallback limit too, at once");
    // The currents are old, but the total has shown meanwhile that they still hold.
    b.check(last.map(|m| Measured { confirmed: at(31_500), ..m }), NO_CEILING, at(32_000));
    assert_eq!((b.state(), b.limit_ma()), (State::Normal, 8_000));
}

#[test]
fn one_reading_never_makes_two_cuts() {
    let mut b = balancer(Settings::default(), 16_000);
    let telegram = reading(25_000, at(1_000));
    let limits: Vec<_> = (1..=9)
        .map(|s| {
            b.check(telegram, NO_CEILING, at(1000 * s));
            (b.limit_ma(), b.waits())
        })
        .collect();
    let reading_missing = (3_500, Waits::Reading);
    assert_eq!(limits[..4], [(16_000, Waits::Seconds(1)), (3_500, Waits::No), (3_500, Waits::Seconds(1)), reading_missing]);
    assert!(limits[4..].iter().all(|l| *l == reading_missing), "{limits:?}");
    b.check(reading(25_000, at(9_500)), NO_CEILING, at(10_000));
    assert_eq!((b.limit_ma(), b.waits()), (0, Waits::No), "the next telegram counts at once");
}

#[test]
fn a_total_that_has_not_moved_is_enough_to_raise_and_not_to_lower() {
    for (largest_ma, limit_ma) in [(10_000, 9_000), (23_000, 7_000)] {
        let mut b = balancer(Settings { upper: Step { wait_s: 1, ..Settings::default().upper }, ..Settings::default() }, 8_000);
        let phases = reading(largest_ma, at(1_000));
        b.check(phases, NO_CEILING, at(1_000));
        b.check(phases, NO_CEILING, at(2_000));
        assert_eq!(b.limit_ma(), limit_ma);
        for s in 3..=6 {
            b.check(phases.map(|m| Measured { confirmed: at(1000 * s - 10), ..m }), NO_CEILING, at(1000 * s));
        }
        assert_eq!(b.limit_ma(), if largest_ma == 10_000 { 11_000 } else { 7_000 });
    }
}

#[test]
fn the_first_sign_of_an_alarm_does_not_wait_for_the_next_second() {
    let mut b = balancer(Settings::default(), 16_000);
    assert!(b.step(reading(20_000, at(900)), NO_CEILING, at(1_000)));
    assert!(!b.step(reading(23_000, at(1_100)), NO_CEILING, at(1_100)), "only an alarm is looked at between the checks");
    assert!(b.step(reading(26_000, at(1_300)), NO_CEILING, at(1_300)));
    assert_eq!((b.state(), b.waits(), b.limit_ma()), (State::Alarm, Waits::Seconds(1), 16_000));
    assert!(!b.step(reading(26_000, at(1_400)), NO_CEILING, at(1_400)), "it is in that state already");
    assert_eq!(b.next_check(), at(2_300));
    assert!(b.step(reading(26_000, at(1_400)), NO_CEILING, at(2_300)));
    assert_eq!(b.limit_ma(), 3_500);
    // Seen by a check, it is no news: what was said then holds until the next second.
    let mut seen = balancer(Settings { fallback_time_s: 2, ..Settings::default() }, 16_000);
    let old = reading(26_000, at(1_000));
    seen.check(old, NO_CEILING, at(3_500));
    assert_eq!(seen.state(), State::Fallback);
    assert!(!seen.step(old.map(|m| Measured { confirmed: at(3_600), ..m }), NO_CEILING, at(3_600)));
}

#[test]
fn batteries_get_one_period_of_the_meter_and_once() {
    for (patience_s, wait_s, cut_at) in [(1, 1, 3_000), (5, 1, 7_000), (2, 5, 8_000)] {
        let alarm = Step { wait_s, ..Settings::default().alarm };
        let settings = Settings { alarm, ..Settings::default() };
        let mut b = Balancer::new(settings, Span::from_s(patience_s));
        b.set_override(None);
        (0..40).for_each(|s| b.check(reading(10_000, at(1000 * s)), NO_CEILING, at(1000 * s)));
        let start = 40_000;
        let mut cuts = Vec::new();
        for ms in (0..30_000).step_by(1000) {
            let before = b.limit_ma();
            b.check(relieved(26_000, at(start + ms)), NO_CEILING, at(start + ms));
            if b.limit_ma() < before {
                cuts.push(ms);
            } else if (1000 * u64::from(wait_s)..cut_at - 1000).contains(&ms) {
                assert_eq!(b.waits(), Waits::Batteries, "{ms} ms");
            }
        }
        let again = cut_at - 1000 + 1000 * (u64::from(wait_s) + 1);
        assert_eq!(cuts, [cut_at - 1000, again], "patience {patience_s} s, wait {wait_s} s");
    }
}

/// What the fuse carries may take longer, but not for ever.
#[test]
fn batteries_get_three_periods_for_what_the_fuse_carries() {
    let mut b = balancer(Settings::default(), 16_000);
    let bearable = |s: u64| relieved(24_500, at(1000 * s)).map(|m| Measured { bearable: true, ..m });
    (0..=3).for_each(|s| b.check(bearable(s), NO_CEILING, at(1000 * s)));
    assert_eq!((b.limit_ma(), b.waits()), (16_000, Waits::Batteries));
    b.check(bearable(4), NO_CEILING, at(4_000));
    assert_eq!((b.limit_ma(), b.waits()), (3_500, Waits::No));
}

#[test]
fn a_patience_shorter_than_a_second_does_not_last_until_the_next_one() {
    let mut b = Balancer::new(Settings::default(), Span::from_ms(200));
    (0..40).for_each(|s| b.check(reading(10_000, at(1000 * s)), NO_CEILING, at(1000 * s)));
    let bearable = relieved(25_000, at(40_100)).map(|m| Measured { bearable: true, ..m });
    assert!(b.step(bearable, NO_CEILING, at(40_100)));
    assert!(b.step(bearable, NO_CEILING, at(41_100)));
    assert_eq!((b.waits(), b.next_check()), (Waits::Batteries, at(41_300)));
    assert!(b.step(bearable, NO_CEILING, at(41_300)));
    assert_eq!((b.waits(), b.next_check()), (Waits::Batteries, at(42_300)), "it looks again in a second, not all the time");
    assert!(!b.step(relieved(26_000, at(41_400)), NO_CEILING, at(41_400)));

    let mut b = Balancer::new(Settings::default(), Span::from_ms(200));
    (0..40).for_each(|s| b.check(reading(10_000, at(1000 * s)), NO_CEILING, at(1000 * s)));
    let told = relieved(26_000, at(40_100));
    assert!(b.step(told, NO_CEILING, at(40_100)) && b.step(told, NO_CEILING, at(41_100)));
    assert!(!b.step(told, NO_CEILING, at(41_200)));
    assert_eq!(b.limit_ma(), 16_000);
    assert!(b.step(told, NO_CEILING, at(41_300)));
    assert_eq!((b.limit_ma(), b.next_check()), (3_500, at(42_300)));
}

#[test]
fn batteries_that_are_not_told_enough_get_no_time() {
    let mut b = balancer(Settings::default(), 16_000);
    let almost = |s: u64| reading(26_000, at(1000 * s)).map(|m| Measured { expected_ma: 24_001, ..m });
    b.check(almost(1), NO_CEILING, at(1_000));
    b.check(almost(2), NO_CEILING, at(2_000));
    assert_eq!(b.limit_ma(), 3_500);
}

#[test]
fn the_override_caps_at_once_and_does_not_raise() {
    let mut b = balancer(Settings::default(), 16_000);
    b.set_override(Some(10_000));
    assert_eq!((b.limit_ma(), b.override_ma()), (10_000, 10_000));
    for s in 1..=10 {
        b.check(reading(10_000, at(1000 * s)), NO_CEILING, at(1000 * s));
        assert_eq!((b.limit_ma(), b.state()), (10_000, State::Lower));
    }
    b.set_override(None);
    assert_eq!((b.limit_ma(), b.override_ma()), (10_000, 16_000));
    b.check(reading(10_000, at(11_000)), NO_CEILING, at(11_000));
    b.check(reading(10_000, at(12_000)), NO_CEILING, at(12_000));
    assert_eq!(b.limit_ma(), 11_000);
    b.check(reading(10_000, at(13_000)), 4_000, at(13_000));
    assert_eq!(b.limit_ma(), 4_000, "the ceiling counts at once too, and is kept");
    b.check(reading(20_000, at(14_000)), NO_CEILING, at(14_000));
    assert_eq!(b.limit_ma(), 4_000);
}

#[test]
fn other_settings_keep_the_running_limit_and_wait() {
    let mut b = balancer(Settings::default(), 12_000);
    b.check(reading(23_000, at(1_000)), NO_CEILING, at(1_000));
    assert_eq!(b.waits(), Waits::Seconds(5));
    let upper = Step { wait_s: 2, ..Settings::default().upper };
    b.apply(Settings { charger_limit_ma: 11_000, upper, ..Settings::default() });
    assert_eq!((b.limit_ma(), b.waits(), b.state()), (11_000, Waits::Seconds(2), State::Upper));
    // As often as they are applied, the wait goes on.
    for s in 2..=3 {
        b.check(reading(23_000, at(1000 * s)), NO_CEILING, at(1000 * s));
        b.apply(Settings { upper, ..Settings::default() });
    }
    assert_eq!(b.limit_ma(), 10_000);
}

fn any_settings() -> impl Strategy<Value = Settings> {
    let step = || (any::<u32>(), 0u8..=254, any::<u32>()).prop_map(|(limit_ma, wait_s, change_ma)| Step { limit_ma, wait_s, change_ma });
    (1u8..=3, any::<u32>(), step(), step(), step(), any::<u32>(), 0u8..=254).prop_map(
        |(phases, charger_limit_ma, alarm, upper, lower, fallback_limit_ma, fallback_time_s)| Settings {
            phases,
            charger_limit_ma,
            alarm,
            upper,
            lower,
            fallback_limit_ma,
            fallback_time_s,
        },
    )
}

/// What happens at a check: the current, how old it is, what the batteries make of it, a ceiling, an override that is set.
type Moment = (Option<u32>, u16, u32, u32, Option<Option<u32>>, u16);

fn moments(most_ma: u32) -> impl Strategy<Value = Vec<Moment>> {
    let moment = (
        prop::option::weighted(0.9, 0..most_ma),
        0u16..4_000,
        any::<u32>(),
        prop_oneof![Just(u32::MAX), any::<u32>()],
        prop::option::weighted(0.1, any::<Option<u32>>()),
        0u16..3_000,
    );
    prop::collection::vec(moment, 1..80)
}

fn play(settings: Settings, moments: &[Moment], mut look: impl FnMut(&Balancer, u32)) {
    let (mut b, mut now) = (Balancer::new(settings, Span::from_s(2)), at(100_000));
    for (largest, age_ms, expected, ceiling, cap, passed) in moments {
        now += Span::from_ms(u64::from(*passed));
        if let Some(cap) = cap {
            b.set_override(*cap);
            look(&b, u32::MAX);
        }
        let taken = now.before(Span::from_ms(u64::from(*age_ms)));
        let expected = |largest: u32| (*expected).min(largest);
        let measured =
            largest.map(|ma| Measured { taken, confirmed: taken, largest_ma: ma, expected_ma: expected(ma), bearable: ma % 2 == 0 });
        let checked = b.step(measured, *ceiling, now);
        look(&b, if checked { *ceiling } else { u32::MAX });
    }
}

proptest! {
    #[test]
    fn never_above_any_cap(settings in any_settings(), moments in moments(u32::MAX)) {
        play(settings, &moments, |b, ceiling_ma| {
            let most = b.settings().charger_limit_ma.min(b.override_ma()).min(ceiling_ma);
            assert!(b.limit_ma() <= most, "{b:?}");

        });
    }

    #[test]
    fn the_same_again(settings in any_settings(), moments in moments(60_000)) {
        let record = || {
            let mut seen = Vec::new();
            play(settings, &moments, |b, _| seen.push(b.clone()));
            seen
        };
        assert_eq!(record(), record());
    }

    #[test]
    fn fallback_stays_what_it_is(settings in any_settings(), silences in 1u64..200) {
        let mut b = balancer(settings, 0);
        for s in 0..silences {
            b.check(None, NO_CEILING, at(1000 * s));
            let fallback_ma = settings.fallback_limit_ma.min(settings.charger_limit_ma);
            assert_eq!((b.state(), b.limit_ma(), b.waits()), (State::Fallback, fallback_ma, Waits::No));
        }
    }

    /// From the same state, what a larger current leads to in the next action is never a larger limit.
    #[test]
    fn more_current_never_gives_more(moments in moments(40_000), one in 0u32..40_000, other in 0u32..40_000) {
        let mut start = Balancer::new(Settings::default(), Span::from_s(2));
        play(Settings::default(), &moments, |b, _| start = b.clone());
        start.set_override(None);
        let (smaller, larger) = (one.min(other), one.max(other));
        let next = |largest_ma: u32| {
            let mut b = start.clone();
            for s in 0..20 {
                let now = at(10_000_000 + 1000 * s);
                b.check(reading(largest_ma, now), NO_CEILING, now);
                if b.limit_ma() != start.limit_ma() {
                    break;
                }
            }
            b.limit_ma()
        };
        assert!(next(larger) <= next(smaller), "{start:?}");
    }
}
