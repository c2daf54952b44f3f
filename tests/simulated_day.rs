//! A simulated day as a library: its course, what goes wrong on it, and recorded loads.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;

use std::sync::Arc;

use house::{library, parse};
use sax_controller::plant::house::{House, Recorded};
use sax_controller::plant::kpi::{Kpi, KpiParams, Mode};
use sax_controller::plant::kpi_oracle::Oracle;
use sax_controller::simulate::Simulation;
use sax_controller::simulated_day::course::Course;
use sax_controller::simulated_day::overlays::{Overlays, Planned, Trouble};
use sax_controller::simulated_day::{csv, trace};

const SECONDS: u32 = 1200;

/// Twenty minutes with 600 W on each phase and this trouble.
fn with_trouble(load_w: i64, trouble: Option<(Trouble, u32, u32)>) -> (Kpi, Course) {
    let config = parse(&house::config_text(1000, "", ""));
    let mut simulation = Simulation::new(&config, &library(), house::params(1, House::Fixed([load_w; 3]), 600));
    let mut overlays = Overlays::plan(1, &config, 0);
    overlays.planned = trouble.into_iter().map(|(trouble, from_s, to_s)| Planned { trouble, from_s, to_s }).collect();
    let names = |what: &[&str]| what.iter().map(|n| (*n).to_owned()).collect();
    let mut course = Course { fuse_ma: 25_000, batteries: names(&["A", "B", "C"]), ..Course::default() };
    let mut with = Kpi::new(KpiParams { fuse_a: 25, usable_wh: 3 * 7700 });
    let mut without = with.clone();
    with.oracle = Some(Oracle::of(&simulation.site()));
    overlays.run(&mut simulation, SECONDS, &mut with, &mut without, Some(&mut course));
    assert_eq!((course.moments.len(), with.seconds, without.seconds), (1200, 1200, 1200));
    (with, course)
}

#[test]
fn a_course_says_what_happened_in_each_second() {
    let (kpi, course) = with_trouble(600, None);
    let late = &course.moments[600];
    assert_eq!((late.load_w, late.pv_w, late.car_w, late.mode), ([600; 3], 0, [0; 3], Mode::Run));
    for k in 0..3 {
        assert_eq!(late.grid_w[k] + late.battery_w[k], 600, "what the grid gives and the battery gives is what the house takes");
        assert!(late.setpoint_w[k].is_some_and(|w| (550..650).contains(&w)), "{late:?}");
        assert!(late.soc_pm[k] < 400 && late.soc_pm[k] > 350, "{late:?}");
    }
    assert!(late.limit_ma.is_empty() && course.overlays.is_empty());
    let quality = &kpi.quality;
    assert!(quality.used + quality.held > 1000 && quality.used > quality.held, "{quality:?}");
    assert!(quality.heartbeats > 0 && quality.heartbeats <= quality.writes, "{quality:?}");
    assert_eq!(quality.fallback_ms, None);
    let oracle = kpi.oracle.unwrap();
    assert!(oracle.exchanged_mws() == 0 && oracle.regret_mct(kpi.import_net_mws, kpi.export_net_mws) > 0, "{oracle:?}");
}

#[test]
fn without_the_meter_it_falls_back_within_a_minute_and_comes_back() {
    let (kpi, course) = with_trouble(600, Some((Trouble::MeterSilent, 300, 600)));
    assert_eq!(course.moments[299].mode, Mode::Run);
    assert_eq!(course.moments[590].mode, Mode::Fallback);
    assert_eq!(course.moments[1199].mode, Mode::Run);
    assert!(kpi.quality.fallback_ms.is_some_and(|ms| (30_000..=61_500).contains(&ms)), "{:?}", kpi.quality.fallback_ms);
    assert_eq!(course.overlays_at(300).collect::<Vec<_>>(), ["meter silent"]);
    assert_eq!((course.overlays_at(299).count(), course.overlays_at(600).count()), (0, 0));
}

#[test]
fn a_frozen_meter_is_noticed_and_let_go_again() {
    let (_, course) = with_trouble(600, Some((Trouble::MeterFrozen, 300, 500)));
    assert!(course.moments[300..500].iter().any(|m| m.mode != Mode::Run), "200 s of the same reading are not believed");
    assert_eq!(course.moments[1199].mode, Mode::Run);
}

#[test]
fn a_silent_battery_is_left_to_itself_and_the_others_go_on() {
    let (_, course) = with_trouble(600, Some((Trouble::BatterySilent(1), 300, 600)));
    for moment in &course.moments[310..590] {
        assert!(moment.grid_w[0].abs() < 150 && moment.grid_w[2].abs() < 150, "{moment:?}");
    }
    assert_eq!(course.moments[1199].mode, Mode::Run);
}

#[test]
fn a_derated_battery_gives_half_of_its_rating() {
    let (_, course) = with_trouble(4000, Some((Trouble::Derated(0), 300, 600)));
    assert!(course.moments[290].battery_w[0] > 3900, "{:?}", course.moments[290]);
    assert!((2200..=2300).contains(&course.moments[590].battery_w[0]), "{:?}", course.moments[590]);
    assert!(course.moments[290..1200].iter().all(|m| m.battery_w[1] > 3900), "the others are not touched");
    assert!(course.moments[1199].battery_w[0] > 3900, "{:?}", course.moments[1199]);
}

#[test]
fn dimming_reaches_the_core() {
    // Batteries charge from the grid only where a schedule says so: 9 kW all day.
    let more = "[[schedule]]\ntimezone = \"UTC\"\nfrom = \"00:00\"\nto = \"23:59\"\naction = { charge_w = 9000 }\n";
    let text = house::config_text(1000, "", "") + more;
    let config = parse(&text);
    let mut simulation = Simulation::new(&config, &library(), house::params(1, House::Fixed([300; 3]), 600));
    let mut overlays = Overlays::plan(1, &config, 0);
    overlays.planned = vec![Planned { trouble: Trouble::Dimmed, from_s: 300, to_s: 600 }];
    let mut course = Course::default();
    let kpi = Kpi::new(KpiParams { fuse_a: 25, usable_wh: 1 });
    overlays.run(&mut simulation, SECONDS, &mut kpi.clone(), &mut kpi.clone(), Some(&mut course));
    let charged_w = |s: usize| -course.moments[s].battery_w.iter().sum::<i32>();
    assert!(charged_w(290) > 8800 && charged_w(1199) > 8800, "{} {}", charged_w(290), charged_w(1199));
    assert!((4000..=4250).contains(&charged_w(590)), "{}", charged_w(590));
}

#[test]
fn all_of_it_is_on_every_day_and_follows_from_the_number() {
    let config = parse(&house::config_text(1000, "", ""));
    let two_days = Overlays::plan(7, &config, 2 * 86_400);
    assert_eq!(two_days, Overlays::plan(7, &config, 2 * 86_400));
    assert_ne!(two_days.planned, Overlays::plan(8, &config, 2 * 86_400).planned);
    for day in [0..86_400, 86_400..172_800] {
        let of_day: Vec<_> = two_days.planned.iter().filter(|p| day.contains(&p.from_s)).collect();
        let mut lengths: Vec<_> = of_day.iter().filter(|p| p.trouble == Trouble::MeterSilent).map(|p| p.to_s - p.from_s).collect();
        lengths.sort_unstable();
        assert_eq!(lengths, [20, 20, 20, 300]);
        let one = |is: fn(Trouble) -> bool| of_day.iter().filter(|p| is(p.trouble)).map(|p| p.to_s - p.from_s).collect::<Vec<_>>();
        assert_eq!(one(|t| matches!(t, Trouble::BatterySilent(1 | 2))), [600], "not the one that the meter is behind");
        assert_eq!(one(|t| matches!(t, Trouble::Derated(_))), [3600]);
        assert_eq!(one(|t| t == Trouble::MeterFrozen), [60]);
        assert_eq!(one(|t| t == Trouble::MeterLate), [43_200]);
        assert_eq!(one(|t| t == Trouble::Dimmed), [7200]);
    }
    let hour = Overlays::plan(7, &config, 3600);
    assert!(hour.planned.iter().all(|p| p.to_s <= 3600), "{hour:?}");
}

#[test]
fn what_a_course_writes_a_trace_reads() {
    let (_, mut course) = with_trouble(600, None);
    course.batteries = ["A; B", "C, D", "\"E\""].map(str::to_owned).into();
    let mut bytes = Vec::new();
    csv::write(&course, &mut bytes).unwrap();
    let read = trace::parse(std::str::from_utf8(&bytes).unwrap()).unwrap();
    assert_eq!(read.span_ms, SECONDS * 1000);
    assert!(read.points.iter().all(|(_, load_w, pv_w)| (*load_w, *pv_w) == ([600; 3], 0)));
    assert_eq!(read.points.len(), 1200);
}

#[test]
fn a_trace_may_look_as_loggers_write_it() {
    let german = "\u{feff}# Keller\r\nTime;note;total_w;PV_W\r\n2026-01-31T12:00:00Z;x;1000,6;-3\r\n\r\n2026-01-31T12:15:00Z;;;2,4\r\n";
    let read = trace::parse(german).unwrap();
    assert_eq!(read, Recorded { points: vec![(0, [335, 333, 333], 0), (900_000, [335, 333, 333], 2)], span_ms: 1_800_000 });
    let house = House::Recorded(Arc::new(read));
    assert_eq!((house.at(899_999).pv_w, house.at(900_000).pv_w), ([0; 3], [2, 0, 0]));
    assert_eq!((house.next_change_ms(0), house.next_change_ms(900_000)), (900_000, u64::MAX));
    let one = trace::parse("time_s,l3_w,l2_w,l1_w\n1769860800,3,2,1\n").unwrap();
    assert_eq!(one, Recorded { points: vec![(0, [1, 2, 3], 0)], span_ms: 1000 });
}

#[test]
fn a_mistake_has_its_place_and_its_sentence() {
    let head = "time_s,l1_w,l2_w,l3_w,pv_w\n";
    for (text, said) in [
        ("", "1:1: The file has no header."),
        (head, "1:1: The file has a header and no lines below it."),
        ("time_s,l1_w,l3_w\n", "1:1: The header names one phase and not all of them: l1_w, l2_w and l3_w belong together."),
        ("time_s,pv_w\n", "1:1: The header names neither l1_w, l2_w and l3_w nor total_w."),
        ("time_s,total_w,l1_w\n", "1:1: The header names total_w beside a phase: it must be the one or the other."),
        ("total_w\n", "1:1: The header names no time: a column \"time_s\" or \"time\" is needed."),
        ("time,total_w,total_w\n", "1:14: There is a second column \"total_w\"."),
        (&format!("{head}0,1,2,3,4\n1,x,2,3,4\n"), "3:3: l1_w must be a number of watts, not \"x\"."),
        (&format!("{head}0,1,2,3,\n"), "2:9: pv_w has no value yet: the first line needs one."),
        (&format!("{head}0,1,2\n"), "2:6: l3_w has no value yet: the first line needs one."),
        (&format!("{head}0,1,2,3,4\n0,1,2,3,4\n"), "3:1: The time must be later than that of the line before."),
        (&format!("{head}noon,1,2,3,4\n"), "2:1: The time must be seconds or like 2026-01-31T12:00:00Z, not \"noon\"."),
        (&format!("{head}0,20001,2,3,4\n"), "2:3: l1_w must be -20000 to 20000 W, not 20001 W."),
        (&format!("{head}0,1,2,3,-101\n"), "2:9: pv_w must be -100 to 60000 W, not -101 W."),
        (&format!("{head}0,1,2,3,4\n604801,1,2,3,4\n"), "3:1: The file is longer than 168 hours."),
    ] {
        let mistakes = trace::parse(text).unwrap_err();
        assert_eq!(mistakes.first().unwrap().to_string(), said, "{text:?}");
    }
    let many = trace::parse(&(head.to_owned() + &"x,1,2,3,4\n".repeat(1000))).unwrap_err();
    assert!((20..30).contains(&many.len()), "{}", many.len());
}
