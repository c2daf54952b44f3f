//! What `[[schedule]]` may say, and what is said about one that is wrong.
#![allow(missing_docs)]

#[path = "common/texts.rs"]
mod texts;

use sax_controller::config::parse;
use texts::{Fake, SMALL, findings, good};

/// A window, for appending: line 13 to 17.
const WINDOW: &str = "[[schedule]]\ntimezone = \"Europe/Berlin\"\nfrom = \"01:00\"\nto = \"05:00\"\naction = { charge_w = 2000 }\n";

/// [`SMALL`] and [`WINDOW`] with one piece replaced must have exactly this one finding.
#[track_caller]
fn window(from: &str, to: &str, expected: &str) {
    assert!(WINDOW.contains(from), "{from}");
    assert_eq!(findings(&format!("{SMALL}{}", WINDOW.replacen(from, to, 1))), [expected]);
}

#[test]
fn windows_of_a_schedule() {
    let config = good(&format!("{SMALL}{WINDOW}"));
    assert_eq!(config.schedule.unwrap().windows[0].to_string(), "every day 01:00 to 05:00");
    let time = |last: &str| format!("must be a time from \"00:00\" to \"{last}\", written as in \"01:30\".");
    for bad in ["25:00", "1:00", "01:60", "0100", "24:01", "-1:00", "01:00:00", ""] {
        window("05:00", bad, &format!("16:6: schedule 1 to: {}", time("24:00")));
    }
    window("01:00", "24:00", &format!("15:8: schedule 1 from: {}", time("23:59")));
    window("\"01:00\"", "01:00:00", "15:8: schedule 1 from: must be a string, this is a date or time.");
    let expected =
        "16:6: schedule 1 to: is the same as from: such a window would be empty. A whole day is from = \"00:00\", to = \"24:00\".";
    window("05:00", "01:00", expected);
    window("from = \"01:00\"\n", "", "13:1: schedule 1 from: this key is missing.");
    let days = |days: &str, expected: &str| window("from", &format!("days = {days}\nfrom"), expected);
    let known = "is not one of \"mon\", \"tue\", \"wed\", \"thu\", \"fri\", \"sat\", \"sun\".";
    days("[\"mon\", \"tues\"]", &format!("15:16: schedule 1 days: \"tues\" {known} Did you mean \"tue\"?"));
    days("[\"Montag\"]", &format!("15:9: schedule 1 days: \"Montag\" {known}"));
    days("[\"mon\", \"mon\"]", "15:16: schedule 1 days: \"mon\" stands here a second time.");
    days("[]", "13:1: schedule 1 days: must name at least one day. Leave it out for every day.");
    days("\"mon\"", "15:8: schedule 1 days: must be a list, in square brackets, this is a string.");
    window("from", "day = [\"mon\"]\nfrom", "15:1: schedule 1 day: this key is not known here. Did you mean days?");
}

#[test]
fn time_zones_are_known_by_name() {
    let zone = |name: &str, help: &str| {
        window("Europe/Berlin", name, &format!("14:12: schedule 1 timezone: \"{name}\" is not a known time zone. {help}"));
    };
    zone("Europe/Berln", "Did you mean \"Europe/Berlin\"?");
    zone("Berlin", "Did you mean \"Europe/Berlin\"?");
    zone("Europa/Wien", "Time zones are named after places, as in \"Europe/Berlin\".");
    zone("Europe/New York", "Did you mean \"America/New_York\"?");
    zone("Europe/Zürich", "Did you mean \"Europe/Zurich\"?");
    zone("CEST", "Time zones are named after places, as in \"Europe/Berlin\".");
    zone("GMT+1", "Time zones are named after places, as in \"Europe/Berlin\".");
    zone("Rom", "Did you mean \"Europe/Rome\"?");
    zone("MESZ", "Time zones are named after places, as in \"Europe/Berlin\".");
    zone("", "Time zones are named after places, as in \"Europe/Berlin\".");
    let expected = "14:12: schedule 1 timezone: must be a string, this is an integer.";
    window("\"Europe/Berlin\"", "1", expected);
    let other = WINDOW.replace("Europe/Berlin", "Europe/Vienna").replace("01:00", "07:00").replace("05:00", "08:00");
    let expected = ["19:12: schedule 2 timezone: schedule 1 is in \"Europe/Berlin\", and all windows must be in one time zone. \
                     Otherwise they could overlap on some days of the year and not on others."];
    assert_eq!(findings(&format!("{SMALL}{WINDOW}{other}")), expected);
}

#[test]
fn no_window_overlaps_another() {
    let second = |days: &str, from: &str, to: &str| {
        let window = WINDOW.replace("to = \"05:00", &format!("to = \"{to}")).replace("from = \"01:00", &format!("from = \"{from}"));
        let days = if days.is_empty() { String::new() } else { format!("\ndays = {days}") };
        format!("{SMALL}{WINDOW}{}", window.replace("[[schedule]]", &format!("[[schedule]]{days}")))
    };
    let overlaps = |text: &str, when: &str| {
        let expected =
            format!("18:1: schedule 2: overlaps schedule 1 (every day 01:00 to 05:00, line 13): on {when} both would be active.");
        assert_eq!(findings(text), [expected]);
    };
    overlaps(&second("", "04:59", "06:00"), "mon at 04:59");
    overlaps(&second("[\"sun\"]", "22:00", "01:01"), "mon at 01:00");
    overlaps(&second("", "00:00", "24:00"), "mon at 01:00");
    overlaps(&second("", "01:00", "05:00"), "mon at 01:00");
    assert_eq!(good(&second("", "05:00", "01:00")).schedule.unwrap().windows.len(), 2);
    let many: String = (0..101).map(|_| WINDOW).collect();
    assert_eq!(findings(&format!("{SMALL}{many}")), ["513:1: schedule: there are 101, there must not be more than 100."]);
}

#[test]
fn a_window_asks_for_exactly_one_thing_that_can_be_done() {
    let action = |action: &str, expected: &str| window("charge_w = 2000", action, &format!("17:{expected}"));
    let one = "10: schedule 1 action: must be exactly one of grid_target_w, reserve_soc_pct, charge_w and hold.";
    action("hold = true, charge_w = 1", one);
    action("", one);
    let expected = "17:10: schedule 1 action: must be a section, this is a string. It is written as in action = { hold = true }.";
    window("{ charge_w = 2000 }", "\"hold\"", expected);
    action("hold = false", "19: schedule 1 action.hold: must be true: a window that asks for nothing is left out.");
    action("charge_w = 0", "23: schedule 1 action.charge_w: 0 is out of range, it must be 1 to 2000000.");
    action("charge = 100", "12: schedule 1 action.charge: this key is not known here. Did you mean charge_w?");
    let most = "is more than the batteries that can be commanded take together, which is 3500.";
    action("charge_w = 3501", &format!("23: schedule 1 action.charge_w: 3501 {most}"));
    let most = "101 is out of range, it must be 0 to 100.";
    action("reserve_soc_pct = 101", &format!("30: schedule 1 action.reserve_soc_pct: {most}"));
    action("grid_target_w = 17251", "28: schedule 1 action.grid_target_w: 17251 W is more than the main fuse carries, which is 17250 W.");
    let text = format!("{SMALL}max_soc_pct = 90\n{}", WINDOW.replace("charge_w = 2000", "reserve_soc_pct = 90.1"));
    let expected = ["18:30: schedule 1 action.reserve_soc_pct: 90.1 is more than the max_soc_pct of every battery, the largest is 90."];
    assert_eq!(findings(&text), expected);
    let none = "is not above the min_soc_pct of any battery, the smallest is 10: it keeps nothing.";
    action("reserve_soc_pct = 10", &format!("30: schedule 1 action.reserve_soc_pct: 10 {none}"));
    assert!(parse(&format!("{SMALL}{}", WINDOW.replace("charge_w = 2000", "reserve_soc_pct = 10.1")), &Fake).is_ok());
    let limited = format!("{SMALL}{WINDOW}").replace("fuse_a", "import_limit_w = 1999\nfuse_a");
    assert_eq!(findings(&limited), ["18:23: schedule 1 action.charge_w: 2000 W is above import_limit_w, which is 1999."]);
    assert!(parse(&limited.replace("1999", "2000"), &Fake).is_ok());
    let text =
        format!("{SMALL}{WINDOW}").replace("fuse_a", "import_limit_w = 500\nfuse_a").replace("charge_w = 2000", "grid_target_w = 600");
    assert_eq!(findings(&text), ["18:28: schedule 1 action.grid_target_w: aims at 600 W, above import_limit_w, which is 500."]);
    let text = format!("{SMALL}control = \"limits\"\n{WINDOW}");
    let expected = ["18:23: schedule 1 action.charge_w: no battery can be commanded: each balances by itself at 0 W, inside limits."];
    assert_eq!(findings(&text), expected);
    assert!(parse(&format!("{SMALL}control = \"limits\"\n{WINDOW}").replace("self-consumption", "limits"), &Fake).is_ok());
    // Reading only needs no batteries that could do it.
    assert!(parse(&format!("[site]\nstrategy = \"observe\"\n{WINDOW}"), &Fake).is_ok());
}
