//! The picture of a day: strict XML, every series, and no peak lost between two pixels.
#![allow(missing_docs)]

#[path = "common/xml.rs"]
mod xml;

use sax_controller::picture::{Pane, Table, View, draw};
use sax_controller::plant::kpi::Mode;
use sax_controller::simulated_day::course::{Course, Moment, Overlay};
use xml::{elements, points};

/// A quiet house: every value is small and constant.
fn course(seconds: usize, batteries: usize, chargers: usize) -> Course {
    let moment = Moment {
        load_w: [300, 200, 100],
        pv_w: 900,
        grid_w: [0; 3],
        car_w: [0; 3],
        battery_w: vec![10; batteries],
        setpoint_w: vec![Some(10); batteries],
        soc_pm: vec![500; batteries],
        limit_ma: vec![Some(16_000); chargers],
        mode: Mode::Run,
    };
    Course {
        fuse_ma: 25_000,
        batteries: (0..batteries).map(|k| format!("B{k}")).collect(),
        chargers: (0..chargers).map(|k| format!("W{k}")).collect(),
        overlays: Vec::new(),
        moments: vec![moment; seconds],
    }
}

fn table() -> Table {
    Table { head: vec!["one".into()], rows: vec![("import".into(), vec!["1.00 kWh".into()])] }
}

fn one(course: &Course) -> String {
    draw("A day", &["with a note".to_owned()], &[Pane { name: "only".into(), view: View::of(course, 1) }], &table())
}

/// Paths of this series.
fn paths(svg: &str, name: &str) -> Vec<Vec<(f64, f64)>> {
    let all = elements(svg);
    all.iter().filter(|e| e.name == "path" && e.get("data-name") == Some(name)).filter_map(|e| Some(points(e.get("d")?))).collect()
}

fn highest(path: &[(f64, f64)]) -> (f64, f64) {
    path.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).expect("a path with points")
}

#[test]
fn a_peak_of_one_second_is_in_the_picture_of_a_day_and_of_a_week() {
    for days in [1, 7] {
        let mut course = course(days * 86_400, 1, 0);
        course.moments[40_000].grid_w[0] = 7000;
        let svg = one(&course);
        let grid = paths(&svg, "grid");
        let (at, top) = highest(&grid[0]);
        // 0 W of L1 is where all the other points are.
        let (_, level) = grid[0][0];
        let (_, level_2) = grid[1][0];
        assert_eq!(highest(&grid[1]).1, level_2, "nothing happens on L2");
        // The axis reaches from 0 to 7 kW over 135 pixels.
        assert!((level - top - 135.0).abs() < 0.2, "{days} days: {level} {top}");
        let expected = 118.0 + 40_000.0 * 1080.0 / (days as f64 * 86_400.0);
        assert!((at - expected).abs() <= 1.0, "{days} days: {at} is not {expected}");
        // The fuse has 30 A too little in that second, and says so.
        let fuse = paths(&svg, "fuse");
        let lowest = |path: &[(f64, f64)]| path.iter().map(|p| p.1).fold(0.0, f64::max);
        assert!(lowest(&fuse[0]) > lowest(&fuse[1]) + 50.0, "{days} days");
    }
}

#[test]
fn every_series_is_there_for_every_site() {
    for (batteries, chargers, hours) in [(0, 1, 1), (1, 0, 24), (3, 1, 24), (12, 2, 24), (40, 0, 168), (3, 1, 1)] {
        let svg = one(&course(hours * 3600, batteries, chargers));
        let count = |name: &str| paths(&svg, name).len();
        let what = format!("{batteries} batteries, {chargers} chargers, {hours} h");
        // What is energy is an area and an envelope.
        assert_eq!((count("sun"), count("load"), count("grid"), count("fuse")), (6, 6, 3, 3), "{what}");
        assert_eq!((count("battery"), count("soc")), (2 * batteries.min(12), batteries.min(12)), "{what}");
        assert_eq!((count("charger"), count("limit")), (2 * chargers.min(1), chargers.min(1)), "{what}");
        assert_eq!(elements(&svg).iter().filter(|e| e.get("class") == Some("run")).count(), 2, "the strip and the legend: {what}");
        assert!(svg.contains("29 more") || batteries < 40, "{what}");
    }
}

#[test]
fn exact_values_stand_under_the_pointer() {
    let mut course = course(86_400, 1, 1);
    course.moments[43_210].grid_w[2] = 4321;
    course.moments[43_210].mode = Mode::Hold;
    let svg = one(&course);
    let cell = elements(&svg).into_iter().find(|e| e.name == "title" && e.text.starts_with("12:00 to")).expect("a cell at noon");
    assert!(cell.text.contains("HOLD"), "{}", cell.text);
    assert!(cell.text.contains("L3 house 0.10 (0.10 to 0.10), grid 0.01 (0.00 to 4.32) kW, 6.2 A free"), "{}", cell.text);
    assert!(cell.text.contains("B0 0.01 (0.01 to 0.01) kW, 50.0 %"), "{}", cell.text);
    assert!(cell.text.contains("limit 16.0 A"), "{}", cell.text);
}

#[test]
fn what_goes_wrong_is_named_and_never_lost() {
    let mut course = course(86_400, 3, 0);
    course.overlays = vec![
        Overlay { name: "meter silent".into(), from_s: 7200, to_s: 7201 },
        Overlay { name: "battery out of reach".into(), from_s: 86_000, to_s: 86_400 },
    ];
    course.moments[7300].mode = Mode::Fallback;
    let svg = one(&course);
    let all = elements(&svg);
    let bars: Vec<_> = all.iter().filter(|e| e.get("class") == Some("fault")).collect();
    assert_eq!(bars.len(), 2);
    assert!(bars.iter().all(|bar| bar.get("width").and_then(|w| w.parse::<f64>().ok()).is_some_and(|w| w >= 1.5)));
    for name in ["meter silent", "battery out of reach"] {
        assert!(all.iter().any(|e| e.name == "text" && e.text == name), "{name}");
    }
    assert!(all.iter().any(|e| e.get("class") == Some("fallback") && e.get("height") == Some("12")), "a second of fallback is as high");
}

#[test]
fn whatever_a_name_holds_the_picture_is_sound() {
    let mut course = course(3600, 1, 1);
    course.batteries[0] = "<\"&\u{1}>]]>".into();
    course.chargers[0] = "'\u{FFFE}&amp;".into();
    let svg = draw("a < b & c", &["\u{0}".repeat(9)], &[Pane { name: "\"".into(), view: View::of(&course, 1) }], &table());
    let texts: Vec<String> = elements(&svg).into_iter().map(|e| e.text).collect();
    assert!(texts.iter().any(|t| t == "<\"&\u{FFFD}>]]>"), "{texts:?}");
    assert!(texts.iter().any(|t| t == "'\u{FFFD}&amp;"), "{texts:?}");
}

#[test]
fn a_lively_day_of_twelve_batteries_stays_below_a_megabyte_also_side_by_side() {
    let mut course = course(86_400, 12, 1);
    let mut state = 1_u32;
    let mut random = |most: i32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as i32 % most
    };
    for m in &mut course.moments {
        m.load_w = [random(7000), random(7000), random(7000)];
        m.pv_w = random(9000);
        m.grid_w = [random(9000) - 4000, random(9000) - 4000, random(9000) - 4000];
        m.battery_w.iter_mut().for_each(|w| *w = random(8000) - 3500);
        m.soc_pm.iter_mut().for_each(|pm| *pm = random(1000) as u16);
        m.car_w = [random(3700); 3];
    }
    for panes in [1, 5] {
        let pane = |k: usize| Pane { name: format!("law {k}"), view: View::of(&course, panes) };
        let svg = draw("A day", &[], &(0..panes).map(pane).collect::<Vec<_>>(), &table());
        assert!(svg.len() < 1_000_000, "{panes} panes: {} bytes", svg.len());
        assert_eq!(paths(&svg, "grid").len(), 3 * panes);
    }
}

#[test]
fn a_course_without_a_second_is_an_empty_picture() {
    let svg = one(&course(0, 2, 1));
    assert!(elements(&svg).iter().any(|e| e.name == "text" && e.text == "A day"));
}
