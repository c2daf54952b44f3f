//! Windows of a schedule against the calendar: summer time, midnight, and a wall clock that somebody sets.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;

use house::{config_text, library, params, parse, run_s};
use sax_controller::config;
use sax_controller::control::demand::Action;
use sax_controller::control::ladder::Mode;
use sax_controller::plant::house::House;
use sax_controller::schedule::{Day, Days, Now, Schedule, Window, Zone};
use sax_controller::simulate::Simulation;

const HOUR: i64 = 3600;
/// 2026-03-29 01:00 UTC: in Berlin 02:00 becomes 03:00.
const SPRING: i64 = 1_774_746_000;
/// 2026-10-25 01:00 UTC: in Berlin 03:00 becomes 02:00.
const AUTUMN: i64 = 1_792_890_000;

fn minutes(text: &str) -> u16 {
    let (hour, minute) = text.split_once(':').unwrap();
    hour.parse::<u16>().unwrap() * 60 + minute.parse::<u16>().unwrap()
}

fn window(days: Days, from: &str, to: &str) -> Window {
    Window { days, from_min: minutes(from), to_min: minutes(to), action: Action::Hold }
}

fn schedule(windows: Vec<Window>) -> Schedule {
    Schedule { zone: Zone::find("Europe/Berlin").unwrap(), windows }
}

/// Every day from one time to another.
fn daily(from: &str, to: &str) -> Schedule {
    schedule(vec![window(Days::ALL, from, to)])
}

/// The times of change between two points, as minutes after the first, looked for by the second around every minute.
fn changes(schedule: &Schedule, from: i64, to: i64) -> Vec<(i64, bool)> {
    let active = |s: i64| schedule.action(s).is_some();
    (from + 1..=to).filter(|s| active(*s) != active(s - 1)).map(|s| ((s - from), active(s))).collect()
}

#[test]
fn in_the_hour_that_is_left_out_a_window_begins_at_the_end_of_the_gap() {
    // One second before the change it is 01:59:59, then 03:00:00.
    assert_eq!(changes(&daily("02:30", "04:00"), SPRING - HOUR, SPRING + 3 * HOUR), [(HOUR, true), (2 * HOUR, false)]);
    assert_eq!(changes(&daily("01:30", "02:30"), SPRING - HOUR, SPRING + 3 * HOUR), [(HOUR / 2, true), (HOUR, false)]);
    // All of it lies in the gap: the clock on the wall never shows such a time.
    assert_eq!(changes(&daily("02:10", "02:50"), SPRING - 12 * HOUR, SPRING + 12 * HOUR), []);
    assert_eq!(changes(&daily("01:00", "05:00"), SPRING - 2 * HOUR, SPRING + 4 * HOUR), [(HOUR, true), (4 * HOUR, false)]);
}

#[test]
fn in_the_hour_that_is_repeated_a_window_is_active_twice() {
    // 02:00 to 02:59 comes an hour before the change and again right after it.
    let expected = [(HOUR / 2, true), (HOUR, false), (3 * HOUR / 2, true), (2 * HOUR, false)];
    assert_eq!(changes(&daily("02:30", "03:00"), AUTUMN - HOUR, AUTUMN + 3 * HOUR), expected);
    assert_eq!(changes(&daily("02:00", "03:00"), AUTUMN - 2 * HOUR, AUTUMN + 3 * HOUR), [(HOUR, true), (3 * HOUR, false)]);
    assert_eq!(
        changes(&daily("01:30", "02:30"), AUTUMN - 2 * HOUR, AUTUMN + 2 * HOUR),
        [(HOUR / 2, true), (3 * HOUR / 2, false), (2 * HOUR, true), (5 * HOUR / 2, false)]
    );
}

#[test]
fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
    let saturday = Days::NONE.and(Day::Saturday);
    let night = schedule(vec![window(saturday, "22:00", "06:00")]);
    // Saturday 2026-03-28 00:00 in Berlin; the night is one hour short.
    let midnight = SPRING - 26 * HOUR;
    assert_eq!(changes(&night, midnight, midnight + 7 * 24 * HOUR), [(22 * HOUR, true), (29 * HOUR, false)]);
    // In autumn one hour long.
    let midnight = AUTUMN - 27 * HOUR;
    assert_eq!(changes(&night, midnight, midnight + 6 * 24 * HOUR), [(22 * HOUR, true), (31 * HOUR, false)]);
    // Until the end of the day is not over midnight.
    let evening = schedule(vec![window(saturday, "22:00", "24:00")]);
    assert_eq!(changes(&evening, midnight, midnight + 2 * 24 * HOUR), [(22 * HOUR, true), (24 * HOUR, false)]);
}

#[test]
fn a_whole_week_has_no_hole() {
    let all = schedule(vec![window(Days::ALL, "06:00", "22:00"), window(Days::ALL, "22:00", "06:00")]);
    assert_eq!(changes(&all, SPRING - 4 * 24 * HOUR, SPRING + 4 * 24 * HOUR), []);
    assert!(all.action(SPRING).is_some());
}

#[test]
fn what_comes_next_is_what_will_be() {
    let night = daily("23:30", "04:30");
    let said: Vec<_> = night.next(SPRING - 4 * HOUR, 2).iter().map(|o| (o.from.unwrap().to_string(), o.to.unwrap().to_string())).collect();
    let text = |s: &str| s.to_owned();
    assert_eq!(
        said,
        [(text("sat 2026-03-28 23:30"), text("sun 2026-03-29 04:30")), (text("sun 2026-03-29 23:30"), text("mon 2026-03-30 04:30"))]
    );
    let now = night.next(SPRING, 1);
    assert_eq!((now[0].from, now[0].to.unwrap().to_string()), (None, text("sun 2026-03-29 04:30")));
    let always = daily("00:00", "24:00").next(SPRING, 3);
    assert_eq!((always.len(), always[0].from, always[0].to), (1, None, None));
    // A weekly window that summer time swallows comes a week later.
    let swallowed = schedule(vec![window(Days::NONE.and(Day::Sunday), "02:10", "02:50")]);
    let next = swallowed.next(SPRING - HOUR, 1);
    assert_eq!(next[0].from.map(|f| f.to_string()), Some(text("sun 2026-04-05 02:10")));
}

#[test]
fn a_clock_that_was_never_set_makes_no_window_active() {
    let always = schedule(vec![window(Days::ALL, "00:00", "12:00"), window(Days::ALL, "12:00", "24:00")]);
    for unset in [i64::MIN, -1, 0, 1_704_067_199, i64::MAX] {
        assert_eq!((always.now(unset), always.action(unset)), (Now::ClockNotSet, None), "{unset}");
        assert!(always.next(unset, 3).len() <= 3);
    }
    assert_eq!(always.now(1_704_067_200), Now::Active(0));
}

/// Three batteries behind a fixed load, charged from the grid from 01:00 to 05:00.
fn site() -> (config::Config, Simulation) {
    let text = config_text(1000, "", "")
        + "[[schedule]]\ntimezone = \"Europe/Berlin\"\nfrom = \"01:00\"\nto = \"05:00\"\naction = { charge_w = 3000 }\n";
    let config = parse(&text);
    let simulation = Simulation::new(&config, &library(), params(1, House::Fixed([400, 300, 200]), 200));
    (config, simulation)
}

fn document(simulation: &Simulation) -> serde_json::Value {
    serde_json::to_value(simulation.control().document(simulation.now())).unwrap()
}

#[test]
fn the_virtual_wall_clock_starts_at_a_local_midnight() {
    let (config, mut simulation) = site();
    run_s(&mut simulation, 3590);
    assert!(document(&simulation)["schedule"]["active"].is_null());
    run_s(&mut simulation, 20);
    let document = document(&simulation);
    assert_eq!(document["schedule"]["active"], "every day 01:00 to 05:00");
    assert_eq!(document["schedule"]["action"], "charge with 3000 W");
    assert_eq!(document["schedule"]["timezone"], config.schedule.unwrap().zone.name());
}

#[test]
fn a_window_is_obeyed_from_its_beginning_to_its_end() {
    let (_, mut simulation) = site();
    let batteries = |simulation: &Simulation| simulation.site().truth().battery_w.iter().sum::<i64>();
    run_s(&mut simulation, 3590);
    assert!((batteries(&simulation) - 900).abs() < 60, "the load is covered: {}", batteries(&simulation));
    run_s(&mut simulation, 40);
    assert!((batteries(&simulation) + 3000).abs() < 150, "charged from the grid: {}", batteries(&simulation));
    simulation.set_wall_s(1_767_222_000);
    run_s(&mut simulation, 30);
    assert!((batteries(&simulation) - 900).abs() < 60, "and the load again: {}", batteries(&simulation));
}

#[test]
fn jumps_of_the_wall_clock_change_the_window_and_nothing_else() {
    let (_, mut simulation) = site();
    let (_, mut calm) = site();
    let one_o_clock = Zone::find("Europe/Berlin").unwrap().unix_s((2026, 6, 1), (1, 0)).unwrap();
    run_s(&mut simulation, 60);
    run_s(&mut calm, 60);
    // Jumps between times outside the window, some of them absurd: not one decision differs from those under a clock that stands.
    for wall in [0, one_o_clock - 1, i64::MAX, one_o_clock + 4 * HOUR, i64::MIN, 1_800_000_000] {
        simulation.set_wall_s(if wall == one_o_clock - 1 { wall - 60 } else { wall });
        for _ in 0..20 {
            run_s(&mut simulation, 1);
            run_s(&mut calm, 1);
            assert_eq!(simulation.control().decision(), calm.control().decision(), "{wall}");
        }
    }
    assert!(matches!(simulation.control().decision().mode, Mode::Run { .. }));
    // Into the window and out again.
    simulation.set_wall_s(one_o_clock);
    run_s(&mut simulation, 2);
    assert_eq!(document(&simulation)["schedule"]["action"], "charge with 3000 W");
    simulation.set_wall_s(one_o_clock - 10);
    run_s(&mut simulation, 2);
    assert!(document(&simulation)["schedule"]["active"].is_null());
    run_s(&mut simulation, 10);
    assert_eq!(document(&simulation)["schedule"]["action"], "charge with 3000 W");
}

#[test]
fn the_status_says_that_the_clock_was_never_set() {
    let (_, mut simulation) = site();
    simulation.set_wall_s(0);
    run_s(&mut simulation, 10);
    let schedule = &document(&simulation)["schedule"];
    assert!(schedule["active"].is_null());
    assert_eq!(schedule["reason"], "the wall clock was never set, so no window is active; a time server would set it");
    simulation.set_wall_s(SPRING + 12 * HOUR);
    run_s(&mut simulation, 1);
    assert_eq!(document(&simulation)["schedule"]["reason"], "");
}

#[test]
fn without_a_schedule_there_is_nothing_to_say() {
    let mut simulation = house::simulation(1000, params(1, House::Fixed([400, 300, 200]), 200));
    run_s(&mut simulation, 5);
    assert!(document(&simulation)["schedule"].is_null());
}
