//! `[load_balancer]` and `[[charger]]`: what they may say, alone and beside the rest of the file.

#[path = "common/texts.rs"]
mod texts;

use sax_controller::balancer::{Settings, Step};
use sax_controller::config::*;
use texts::{SMALL, findings, good};

/// A site without a battery: line 1 to 6; what is appended begins on line 7.
const METER_ONLY: &str = r#"[site]
strategy = "self-consumption"
fuse_a = 25
[meter]
device = "p1"
link.serial = { port = "/dev/p1" }
"#;

/// What a load balancer and a charger need beside that: line 7 to 11; what is appended belongs to the charger and begins on line 12.
const CHARGER: &str = r#"[load_balancer]
[[charger]]
name = "wallbox"
device = "abb-terra-ac"
link.rtu = { port = "/dev/ttyUSB1" }
"#;

/// These lines in `[load_balancer]`, from line 8 on, must have exactly this one finding.
#[track_caller]
fn balancer(lines: &str, expected: &str) {
    assert_eq!(findings(&format!("{METER_ONLY}[load_balancer]\n{lines}\n")), [expected]);
}

/// These lines in the charger, from line 12 on, must have exactly this one finding.
#[track_caller]
fn charger(lines: &str, expected: &str) {
    assert_eq!(findings(&format!("{METER_ONLY}{CHARGER}{lines}\n")), [expected]);
}

fn settings_of(lines: &str) -> Settings {
    good(&format!("{METER_ONLY}[load_balancer]\n{lines}\n")).load_balancer.unwrap().settings
}

#[test]
fn what_is_left_out_of_a_load_balancer_is_as_in_reference_2() {
    let config = good(&format!("{METER_ONLY}[load_balancer]\n"));
    assert_eq!(config.load_balancer, Some(LoadBalancer { settings: Settings::default(), led: None }));
    assert!(config.batteries.is_empty() && config.chargers.is_empty());
}

#[test]
fn every_key_of_a_load_balancer_has_its_place() {
    let text = "phases = 2\ncharger_limit_a = 32\nalarm_limit_a = 20.001\nalarm_wait_s = 0\nalarm_change_a = 10.5\nupper_limit_a = 19\n\
                upper_wait_s = 254\nupper_change_a = 0.001\nlower_limit_a = 0\nlower_wait_s = 3\nlower_change_a = 250\n\
                fallback_limit_a = 7\nfallback_time_s = 2\n";
    let step = |limit_ma, wait_s, change_ma| Step { limit_ma, wait_s, change_ma };
    let expected = Settings {
        phases: 2,
        charger_limit_ma: 32_000,
        alarm: step(20_001, 0, 10_500),
        upper: step(19_000, 254, 1),
        lower: step(0, 3, 250_000),
        fallback_limit_ma: 7_000,
        fallback_time_s: 2,
    };
    assert_eq!(settings_of(text), expected);
}

#[test]
fn numbers_of_a_load_balancer_are_in_their_range() {
    let range = |key: &str, column: usize, value: &str, says: &str| {
        balancer(&format!("{key} = {value}"), &format!("8:{column}: load_balancer {key}: {value} is out of range, it must be {says}."));
    };
    range("phases", 10, "4", "1 to 3");
    range("charger_limit_a", 19, "250.001", "0 to 250");
    range("alarm_limit_a", 17, "-1", "0 to 250");
    range("alarm_change_a", 18, "0", "0.001 to 250");
    range("alarm_wait_s", 16, "255", "0 to 254");
    range("fallback_time_s", 19, "0", "1 to 254");
    balancer("upper_limit_a = 22.0001", "8:17: load_balancer upper_limit_a: 22.0001 has more than 3 decimals.");
    balancer("upper_limt_a = 22", "8:1: load_balancer upper_limt_a: this key is not known here. Did you mean upper_limit_a?");
}

#[test]
fn limits_that_contradict_each_other_are_refused_at_the_key() {
    balancer("charger_limit_a = 0", "8:19: load_balancer charger_limit_a: the charger limit is 0, and nothing could ever be charged.");
    balancer("lower_limit_a = 22", "8:17: load_balancer lower_limit_a: lower_limit_a is 22, and must be below upper_limit_a, which is 22.");
    balancer(
        "upper_limit_a = 18.5",
        "8:17: load_balancer upper_limit_a: lower_limit_a is 19, and must be below upper_limit_a, which is 18.5.",
    );
    balancer("upper_limit_a = 24", "8:17: load_balancer upper_limit_a: upper_limit_a is 24, and must be below alarm_limit_a, which is 24.");
    balancer("alarm_limit_a = 21", "8:17: load_balancer alarm_limit_a: upper_limit_a is 22, and must be below alarm_limit_a, which is 21.");
    balancer("fallback_limit_a = 16.5", "8:20: load_balancer fallback_limit_a: 16.5 A is more than charger_limit_a, which is 16.");
    // A number that cannot be read contradicts nothing.
    balancer("upper_limit_a = 23.5\nalarm_limit_a = 999", "9:17: load_balancer alarm_limit_a: 999 is out of range, it must be 0 to 250.");
}

#[test]
fn the_alarm_comes_before_the_fuse() {
    balancer(
        "alarm_limit_a = 25.001",
        "8:17: load_balancer alarm_limit_a: 25.001 A is more than fuse_a, which is 25: the alarm would come after the fuse.",
    );
    assert_eq!(settings_of("alarm_limit_a = 25").alarm.limit_ma, 25_000);
    let small_fuse = METER_ONLY.replace("fuse_a = 25", "fuse_a = 20");
    let default = "7:1: load_balancer alarm_limit_a: 24 A is more than fuse_a, which is 20: the alarm would come after the fuse.";
    assert_eq!(findings(&format!("{small_fuse}[load_balancer]\n")), [default]);
}

#[test]
fn a_led_is_a_name_and_no_path() {
    let led = |name: &str| good(&format!("{METER_ONLY}[load_balancer]\nled = \"{name}\"\n")).load_balancer.unwrap().led;
    for name in ["status", "input3::capslock", "wlan 0 radio.."] {
        assert_eq!(led(name).as_deref(), Some(name));
    }
    let path = "8:7: load_balancer led: must be one of the names that /sys/class/leds lists, without a path.";
    for wrong in ["../../etc/passwd", "/sys/class/leds/x", "..", "."] {
        balancer(&format!("led = \"{wrong}\""), path);
    }
    balancer("led = \"\"", "8:7: load_balancer led: must not be empty.");
    balancer(&format!("led = \"{}\"", "x".repeat(65)), "8:7: load_balancer led: has 65 characters, it must not have more than 64.");
    balancer("led = \"a\\u0007\"", "8:7: load_balancer led: must not contain control characters.");
}

#[test]
fn it_needs_a_meter_that_knows_the_phases_and_comes_in_time() {
    let with = |device: &str| METER_ONLY.replace("device = \"p1\"\nlink.serial = { port = \"/dev/p1\" }", device) + "[load_balancer]\n";
    let own = |device: &str| with(&format!("device = \"{device}\"\nlink.tcp = {{ host = \"m\" }}"));
    let blind = "7:1: load_balancer: the meter gives neither current nor power of the phases, and it works by their currents.";
    assert_eq!(findings(&own("total-meter")), [blind]);
    good(&own("current-meter"));
    good(&own("own-meter"));
    good(&format!("{SMALL}[load_balancer]\n"));
    balancer(
        "fallback_time_s = 1",
        "8:19: load_balancer fallback_time_s: 1 s is shorter than two poll periods of the meter: one lost reading would stop the charging. It must be at least 2.",
    );
    let slow = METER_ONLY.replace("\nlink.serial", "\npoll_ms = 9000\nlink.serial");
    let found = "9:19: load_balancer fallback_time_s: 17 s is shorter than two poll periods of the meter: one lost reading would stop the charging. It must be at least 18.";
    assert_eq!(findings(&format!("{slow}[load_balancer]\nfallback_time_s = 17\n")), [found]);
}

#[test]
fn a_site_without_a_battery_needs_a_load_balancer_and_a_meter() {
    let nothing = "1:1: battery: there is no [[battery]], and nothing to control without one.";
    assert_eq!(findings(METER_ONLY), [nothing]);
    for strategy in ["\"limits\"", "\"peak-shaving\"\nimport_limit_w = 4000", "\"observe\""] {
        good(&format!("{METER_ONLY}[load_balancer]\n").replace("\"self-consumption\"", strategy));
    }
    let meter = "1:1: meter: there is no [meter], and nothing to control by without one.";
    assert_eq!(findings("[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[load_balancer]\n"), [meter]);
    let observed = "3:1: load_balancer: there is no [meter], and it works by the currents of the phases.";
    assert_eq!(findings("[site]\nstrategy = \"observe\"\n[load_balancer]\n"), [observed]);
    let sax = "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[load_balancer]\n[meter]\ndevice = \"sax\"\n";
    assert_eq!(findings(sax), ["5:1: meter: it is read through a SAX battery, and there is none."]);
    assert_eq!(findings(&format!("{sax}battery = \"A\"\n")), ["7:11: meter battery: there is no battery \"A\"."]);
    let window = "[[schedule]]\ntimezone = \"Europe/Berlin\"\nfrom = \"01:00\"\nto = \"05:00\"\naction = { hold = true }\n";
    let found = "8:1: schedule 1: there is no [[battery]] that it could be for.";
    assert_eq!(findings(&format!("{METER_ONLY}[load_balancer]\n{window}")), [found]);
}

#[test]
fn what_is_left_out_of_a_charger_has_its_default() {
    let config = good(&format!("{METER_ONLY}{CHARGER}"));
    let [charger] = config.chargers.as_slice() else { panic!() };
    assert_eq!((charger.name.as_str(), charger.device.as_str(), charger.unit), ("wallbox", "abb-terra-ac", None));
    assert_eq!((charger.poll_ms, charger.min_current_ma, charger.fallback_limit_ma), (30_000, 6_000, 0));
    assert_eq!((charger.min_pause_s, charger.min_run_s), (60, 60));
    // However rarely it is asked.
    assert_eq!((charger.link.timeout_ms(), charger.link.retry_count()), (1_000, 3));
    let quick = good(&format!("{METER_ONLY}{CHARGER}").replace("abb-terra-ac", "own-charger"));
    assert_eq!(quick.chargers[0].poll_ms, 5_000, "no longer than its profile allows");
}

#[test]
fn every_key_of_a_charger_has_its_place() {
    let text = "unit = 7\npoll_ms = 10000\nmin_current_a = 8.5\nfallback_limit_a = 10\nmin_pause_s = 0\nmin_run_s = 3600\n";
    let config = good(&format!("{METER_ONLY}{CHARGER}{text}"));
    let charger = &config.chargers[0];
    assert_eq!((charger.unit, charger.poll_ms), (Some(7), 10_000));
    assert_eq!((charger.min_current_ma, charger.fallback_limit_ma), (8_500, 10_000));
    assert_eq!((charger.min_pause_s, charger.min_run_s), (0, 3_600));
    let tcp = CHARGER.replace("link.rtu = { port = \"/dev/ttyUSB1\" }", "link.tcp = { host = \"wallbox.local\", timeout_ms = 500 }");
    let config = good(&format!("{METER_ONLY}{tcp}"));
    let expected = Tcp { host: "wallbox.local".into(), port: 502, timeout_ms: 500, retry_count: 3 };
    assert_eq!(config.chargers[0].link, Link::Tcp(expected));
    assert_eq!(good(&effective(&config)), config);
}

#[test]
fn numbers_of_a_charger_are_in_their_range() {
    charger("poll_ms = 999", "12:11: charger \"wallbox\" poll_ms: 999 is out of range, it must be 1000 to 60000.");
    let rare = "12:11: charger \"wallbox\" poll_ms: 30001 is too rare: being asked is what tells this charger that somebody is there. It must be at most 30000.";
    charger("poll_ms = 30001", rare);
    charger("min_current_a = 5.999", "12:17: charger \"wallbox\" min_current_a: 5.999 is out of range, it must be 6 to 80.");
    charger("min_pause_s = 3601", "12:15: charger \"wallbox\" min_pause_s: 3601 is out of range, it must be 0 to 3600.");
    charger("min_run_s = -1", "12:13: charger \"wallbox\" min_run_s: -1 is out of range, it must be 0 to 3600.");
    let little =
        "12:20: charger \"wallbox\" fallback_limit_a: no car charges with less than 6 A. It must be 0, which stops it, or at least 6.";
    charger("fallback_limit_a = 5.9", little);
    charger("fallback_limit_a = 0.001", little);
    let step = "12:20: charger \"wallbox\" fallback_limit_a: 6.5 A cannot be told to \"abb-terra-ac\", only multiples of 1 A.";
    charger("fallback_limit_a = 6.5", step);
    let deaf = format!("{METER_ONLY}{CHARGER}fallback_limit_a = 6\n").replace("abb-terra-ac", "own-charger");
    assert_eq!(findings(&deaf), ["12:20: charger \"wallbox\" fallback_limit_a: \"own-charger\" cannot be told what to fall to."]);
}

#[test]
fn a_charger_is_given_no_more_than_the_load_balancer_has() {
    let never = "12:17: charger \"wallbox\" min_current_a: 16.001 A is more than charger_limit_a, which is 16: it would never charge.";
    charger("min_current_a = 16.001", never);
    charger("fallback_limit_a = 17", "12:20: charger \"wallbox\" fallback_limit_a: 17 A is more than charger_limit_a, which is 16.");
    let low = format!("{METER_ONLY}{CHARGER}").replace("[load_balancer]", "[load_balancer]\ncharger_limit_a = 5");
    let default = "9:1: charger \"wallbox\" min_current_a: 6 A is more than charger_limit_a, which is 5: it would never charge.";
    assert_eq!(findings(&low), [default]);
}

#[test]
fn a_charger_is_a_charger_with_a_name_and_a_load_balancer() {
    let text = format!("{METER_ONLY}{CHARGER}");
    assert_eq!(
        findings(&text.replace("abb-terra-ac", "own-meter")),
        ["10:10: charger \"wallbox\" device: \"own-meter\" is not a charger."]
    );
    let unknown = findings(&text.replace("abb-terra-ac", "saxx"));
    assert_eq!(unknown, ["10:10: charger \"wallbox\" device: \"saxx\" is not a known device. Did you mean \"sax\"?"]);
    let alone = "13:1: charger \"wallbox\": there is no [load_balancer], which says how much a charger may draw.";
    assert_eq!(findings(&format!("{SMALL}{}", CHARGER.replace("[load_balancer]\n", ""))), [alone]);
    let second = "[[charger]]\nname = \"wallbox\"\ndevice = \"abb-terra-ac\"\nunit = 2\nlink.rtu = { port = \"/dev/ttyUSB1\" }\n";
    assert_eq!(findings(&format!("{text}{second}")), ["13:8: charger name: \"wallbox\" is the name of another charger already."]);
    // A battery may have the same name: they are told apart by what they are.
    good(&format!("{SMALL}{CHARGER}").replace("\"wallbox\"", "\"A\""));
    let many: String =
        (0..33).map(|k| second.replace("wallbox", &format!("w{k}")).replace("unit = 2", &format!("unit = {}", k + 1))).collect();
    let found = findings(&format!("{METER_ONLY}[load_balancer]\n{many}"));
    assert_eq!(found, ["168:1: charger: there are 33, there must not be more than 32."]);
    assert_eq!(
        findings(&format!("{METER_ONLY}[load_balancer]\n[[charger]]\n")),
        [
            "8:1: charger 1 name: this key is missing.",
            "8:1: charger 1 device: this key is missing.",
            "8:1: charger 1 link: this key is missing.",
        ]
    );
    assert_eq!(
        findings(&text.replace("link.rtu", "settings = { x = 1 }\nlink.rtu")),
        ["11:12: charger \"wallbox\" settings: this device has no settings."]
    );
}

#[test]
fn two_devices_never_have_one_address() {
    let tcp = "[[charger]]\nname = \"n\"\ndevice = \"abb-terra-ac\"\nlink.tcp = { host = \"192.168.1.11\" }\n";
    let twice = format!("{METER_ONLY}[load_balancer]\n{tcp}{}", tcp.replace("\"n\"", "\"m\""));
    assert_eq!(findings(&twice), ["15:21: charger \"m\" link.tcp.host: charger \"n\" has this address already."]);
    good(&twice.replacen("name = \"n\"", "name = \"n\"\nunit = 2", 1));
    let battery = format!("{SMALL}[load_balancer]\n{tcp}");
    assert_eq!(findings(&battery), ["17:21: charger \"n\" link.tcp.host: battery \"A\" has this address already."]);
    let bms =
        battery.replace("[load_balancer]", "[battery.bms]\ndevice = \"own-bms\"\nlink.tcp = { host = \"192.168.1.12\" }\n[load_balancer]");
    let bms = bms.replace("host = \"192.168.1.11\" }\n", "host = \"192.168.1.12\" }\n").replacen("192.168.1.12", "192.168.1.11", 1);
    assert_eq!(findings(&bms), ["20:21: charger \"n\" link.tcp.host: the BMS of battery \"A\" has this address already."]);
    let meter = METER_ONLY.replace(
        "device = \"p1\"\nlink.serial = { port = \"/dev/p1\" }",
        "device = \"own-meter\"\nlink.tcp = { host = \"192.168.1.11\", port = 502 }",
    );
    let found = findings(&format!("{meter}[load_balancer]\n{tcp}"));
    assert_eq!(found, ["11:21: charger \"n\" link.tcp.host: the meter has this address already."]);
}

#[test]
fn a_bus_of_chargers_has_one_setting_and_units_of_their_own() {
    let text = format!("{METER_ONLY}{CHARGER}");
    let second = |keys: &str, rtu: &str| {
        format!("{text}[[charger]]\nname = \"b\"\ndevice = \"abb-terra-ac\"\n{keys}\nlink.rtu = {{ port = \"/dev/ttyUSB1\"{rtu} }}\n")
    };
    good(&second("unit = 2", ""));
    let unit = "16:21: charger \"b\" link.rtu.port: charger \"wallbox\" answers to unit 1 on this port already. Every device on a bus needs a unit of its own: unit = ...";
    assert_eq!(findings(&second("unit = 1", "")), [unit]);
    let other = "16:21: charger \"b\" link.rtu.port: charger \"wallbox\" is on this port already, with other settings: baud 9600, not 19200. All devices on one bus have the same.";
    assert_eq!(findings(&second("unit = 2", ", baud = 19200")), [other]);
    let none = "16:21: charger \"b\" link.rtu.port: unit 0 means all devices of a serial bus, and none of them answers. The device has a unit of its own, 1 to 247.";
    assert_eq!(findings(&second("unit = 0", "")), [none]);
    let meter = METER_ONLY.replace(
        "device = \"p1\"\nlink.serial = { port = \"/dev/p1\" }",
        "device = \"own-meter\"\nunit = 1\nlink.rtu = { port = \"/dev/ttyUSB1\" }",
    );
    let found = findings(&format!("{meter}{CHARGER}"));
    let expected = "12:21: charger \"wallbox\" link.rtu.port: the meter answers to unit 1 on this port already. Every device on a bus needs a unit of its own: unit = ...";
    assert_eq!(found, [expected]);
    let p1 = text.replace("/dev/p1", "/dev/ttyUSB1");
    let expected =
        "6:24: meter link.serial.port: charger \"wallbox\" is on this port, and a meter that sends by itself needs one of its own.";
    assert_eq!(findings(&p1), [expected]);
}
