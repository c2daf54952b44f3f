//! What one charger is told of the limit: pauses and runs that last, what forces a pause, and with how much it comes back.
#![allow(missing_docs)]

use proptest::prelude::*;
use sax_controller::balancer::Settings;
use sax_controller::balancer::gate::{Gate, Rules, STARTS_WITHIN, Told, ceiling};
use sax_controller::units::{Span, Time};

const RULES: Rules = Rules { min_current_ma: 6_000, min_pause: Span::from_s(60), min_run: Span::from_s(40) };

fn at(s: u64) -> Time {
    Time::from_ms(1000 * s)
}

#[test]
fn at_the_start_it_counts_as_paused_since_long_ago() {
    let mut gate = Gate::new(RULES);
    assert_eq!((gate.limit_ma(), gate.pause_left(at(0))), (0, Span::ZERO));
    assert_eq!(gate.pass(5_999, false, at(0)), 0);
    assert_eq!(gate.pass(6_000, false, at(1)), 6_000);
}

#[test]
fn a_pause_lasts() {
    let mut gate = Gate::new(RULES);
    gate.pass(16_000, false, at(0));
    assert_eq!(gate.pass(0, true, at(10)), 0);
    assert_eq!(gate.pass(16_000, false, at(11)), 0);
    assert_eq!(gate.pause_left(at(11)), Span::from_s(59));
    assert_eq!(gate.pass(16_000, false, at(69)), 0);
    assert_eq!(gate.pass(16_000, false, at(70)), 16_000);
    assert_eq!(gate.told(), Told::Runs { since: at(70), limit_ma: 16_000 });
}

#[test]
fn charging_lasts_with_the_least_current_unless_something_forces_the_pause() {
    let mut gate = Gate::new(RULES);
    gate.pass(16_000, false, at(0));
    assert_eq!(gate.pass(9_000, false, at(5)), 9_000);
    assert_eq!(gate.pass(3_500, false, at(6)), 6_000);
    assert_eq!(gate.run_left(at(6)), Span::from_s(34));
    assert_eq!(gate.pass(0, false, at(39)), 6_000);
    assert_eq!(gate.pass(0, false, at(40)), 0, "the time is over");
    let mut forced = Gate::new(RULES);
    forced.pass(16_000, false, at(0));
    assert_eq!(forced.pass(7_000, true, at(1)), 7_000, "there is nothing to force");
    assert_eq!(forced.pass(5_999, true, at(2)), 0);
}

#[test]
fn a_charger_without_a_least_current_is_paused_at_nothing() {
    let mut gate = Gate::new(Rules { min_current_ma: 0, min_run: Span::ZERO, ..RULES });
    assert_eq!(gate.pass(0, false, at(0)), 0);
    assert_eq!(gate.told(), Told::Paused { since: None });
    assert_eq!(gate.pass(1, false, at(1)), 1);
    assert_eq!(gate.pass(0, false, at(2)), 0);
}

#[test]
fn a_charger_that_may_go_on_draws_when_it_says_so_or_when_it_has_had_time() {
    let mut gate = Gate::new(RULES);
    assert!(!gate.may_draw(Some(true), at(0)), "it was paused");
    gate.pass(8_000, false, at(100));
    assert!(gate.may_draw(Some(true), at(101)) && !gate.may_draw(Some(false), at(1000)));
    assert!(!gate.may_draw(None, at(101)) && gate.may_draw(None, at(100) + STARTS_WITHIN));
}

#[test]
fn a_paused_charger_comes_back_with_what_fits() {
    let settings = Settings::default();
    assert_eq!(ceiling(&settings, 18_000, true, 16_000), 3_500, "below 6 A it stays paused");
    assert_eq!(ceiling(&settings, 10_000, true, 16_000), 11_500);
    assert_eq!(ceiling(&settings, u32::MAX, true, 16_000), 0);
    assert_eq!(ceiling(&settings, 0, true, 0), 21_500);
    // It was told to go on: its own current does not lower what it may draw.
    assert_eq!(ceiling(&settings, 18_000, false, 11_500), 11_500);
    assert_eq!(ceiling(&settings, 5_000, false, 11_500), 16_500);
}

proptest! {
    /// Whatever happens, no pause is shorter than it may be, no run either but by force, and the share is kept but for the least current.
    #[test]
    fn neither_pauses_nor_runs_are_too_short(moments in prop::collection::vec((0u32..20_000, prop::bool::weighted(0.2), 0u64..30), 1..200)) {
        let (mut gate, mut now) = (Gate::new(RULES), at(1_000));
        let mut changed: Option<Time> = None;
        for (share_ma, forced, passed_s) in moments {
            now += Span::from_s(passed_s);
            let before_ma = gate.limit_ma();
            let told_ma = gate.pass(share_ma, forced, now);
            assert!(told_ma <= share_ma || (told_ma == 6_000 && before_ma > 0 && !forced), "{told_ma} of {share_ma}");
            assert!(told_ma == 0 || told_ma >= 6_000);
            match (before_ma > 0, told_ma > 0) {
                (false, true) => assert!(changed.is_none_or(|t| now.since(t) >= RULES.min_pause)),
                (true, false) => assert!(forced || changed.is_none_or(|t| now.since(t) >= RULES.min_run)),
                _ => continue,
            }
            changed = Some(now);
        }
    }
}
