//! What `controller.toml` may say, and what is said about one that is wrong.

#[path = "common/texts.rs"]
mod texts;

use proptest::prelude::{ProptestConfig, Strategy as Generator, proptest};
use sax_controller::config::reader::{Document, Spanned};
use sax_controller::config::*;
use sax_controller::units::{Phase, Span};
use texts::{Fake, SECOND, SMALL, findings, good};

const SPEC: &str = include_str!("data/spec-controller.toml");
const THREE: &str = include_str!("../etc/examples/three-sax.toml");

/// [`SMALL`] with one piece replaced must have exactly this one finding.
#[track_caller]
fn small(from: &str, to: &str, expected: &str) {
    assert!(SMALL.contains(from), "{from}");
    assert_eq!(findings(&SMALL.replacen(from, to, 1)), [expected]);
}

/// [`SMALL`] with these lines at the end of `[[battery]]` must have exactly this one finding.
#[track_caller]
fn battery(lines: &str, expected: &str) {
    assert_eq!(findings(&format!("{SMALL}{lines}\n")), [expected]);
}

/// [`SMALL`] with these lines in `[control]`, from line 5 on, must have exactly this one finding.
#[track_caller]
fn control(lines: &str, expected: &str) {
    small("heartbeat_timeout_s = 60", lines, expected);
}

/// [`SMALL`] with these lines in `[meter]`, from line 8 on, must have exactly this one finding.
#[track_caller]
fn meter(lines: &str, expected: &str) {
    small("[[battery]]", &format!("{lines}\n[[battery]]"), expected);
}

#[test]
fn what_is_left_out_has_its_default() {
    let config = good(SMALL);
    assert_eq!(config.site.name, "Home");
    assert_eq!((config.site.fuse_ma, config.site.voltage_mv, config.site.grid_target_w), (25_000, 230_000, 0));
    let meter = config.meter.as_ref().unwrap();
    assert_eq!(meter.source, MeterSource::Battery { index: 0 });
    assert_eq!((meter.poll_ms, meter.phase_poll_ms), (5_000, 30_000));
    assert_eq!((config.control.meter_stale_ms, config.control.deadband_w, config.control.fallback), (15_000, 30, Fallback::Zero));
    let battery = &config.batteries[0];
    assert_eq!((battery.role, battery.control, battery.setpoint_encoding), (Role::Master, ControlMode::Setpoint, Encoding::Int16));
    assert_eq!(battery.link, Link::Tcp(Tcp { host: "192.168.1.11".to_owned(), port: 502, timeout_ms: 2_000, retry_count: 3 }));
    assert_eq!((battery.unit, battery.poll_ms, battery.write_spacing_ms, battery.write_refill_ms), (None, 5_000, None, None));
    assert_eq!((battery.capacity_wh, battery.max_charge_w, battery.max_discharge_w), (7_700, 3_500, 4_600));
    assert_eq!((battery.min_soc_pm, battery.max_soc_pm, battery.soc_hysteresis_pm), (100, 1_000, 30));
    assert_eq!((config.status.socket.as_str(), config.log.level), ("/run/sax/controller.sock", LogLevel::Info));
}

#[test]
fn times_follow_from_the_poll_periods() {
    let config = good(SMALL);
    let seconds = |s: u64| Span::from_s(s);
    let expected = Ladder { hold: seconds(15), ramp_start: Span::from_ms(22_500), fallback: Span::from_ms(37_500), heartbeat: seconds(60) };
    assert_eq!(config.ladder(), expected);
    assert_eq!(config.batteries[0].ages(), Ages { capped: seconds(10), excluded: seconds(20) });
    let fast = good(&SMALL.replace("device = \"sax\"\n[[", "device = \"sax\"\npoll_ms = 500\n[["));
    let expected = Ladder { hold: seconds(3), ramp_start: seconds(10), fallback: seconds(30), heartbeat: seconds(60) };
    assert_eq!(fast.ladder(), expected);
}

#[test]
fn every_way_to_write_a_table_is_understood() {
    let inline = "site = { strategy = \"self-consumption\", fuse_a = 25 }\nmeter.device = \"sax\"\n\
                  battery = [{ name = \"A\", device = \"sax\", phase = \"L1\", link = { tcp.host = \"192.168.1.11\" } }]\n";
    let headers = SMALL.replace("link.tcp = { host", "[battery.link.tcp]\nhost").replace("11\" }", "11\"");
    assert_eq!(good(inline), good(SMALL));
    assert_eq!(good(&headers), good(SMALL));
    assert_eq!(good(&SMALL.replace('\n', "\r\n")), good(SMALL));
}

#[test]
fn the_examples_and_their_effective_form_are_valid_and_the_same() {
    let examples = [
        THREE,
        include_str!("../etc/examples/one-sax-sunspec.toml"),
        include_str!("../etc/examples/observe.toml"),
        include_str!("../etc/examples/limits.toml"),
        include_str!("../etc/examples/peak-shaving.toml"),
        include_str!("../etc/examples/limits-strategy.toml"),
        include_str!("../etc/examples/sum-tariff.toml"),
        include_str!("../etc/examples/p1.toml"),
        include_str!("../etc/examples/load-balancer.toml"),
        include_str!("../etc/examples/wallbox-and-batteries.toml"),
        SMALL,
        "[site]\nstrategy = \"observe\"\n",
    ];
    for example in examples {
        let config = good(example);
        let written = effective(&config);
        assert_eq!(good(&written), config, "{written}");
        assert_eq!(effective(&good(&written)), written);
    }
}

#[test]
fn an_effective_configuration_keeps_every_odd_value() {
    let text = r#"
        [site]
        name = "\"Ümlaut\" \\ 'x'"
        strategy = "self-consumption"
        balance = "sum"
        grid_target_w = -120
        import_limit_w = 4000
        export_limit_w = 120
        unbalance_limit_va = 0
        fuse_a = 6.001
        voltage_v = 231.5
        [control]
        meter_stale_s = 4.25
        ramp_w_per_s = 100
        fallback = "release"
        fallback_charge_w = 10
        [meter]
        device = "own-meter"
        link.tcp = { host = "fe80::1", timeout_ms = 500, retry_count = 0 }
        unit = 7
        poll_ms = 1001
        [[battery]]
        name = "x y"
        device = "own-limited"
        phase = "L3"
        role = "slave"
        link.tcp.host = "gateway.local"
        unit = 0
        write_spacing_ms = 1000
        write_refill_ms = 5000
        capacity_wh = 9000
        max_charge_w = 10
        max_discharge_w = 0
        min_power_w = 0
        min_soc_pct = 12.5
        max_soc_pct = 99.9
        soc_hysteresis_pct = 1.5
        [[battery]]
        name = "three"
        device = "own-limited"
        phase = "all"
        link.tcp.host = "g2"
        capacity_wh = 9000
        max_charge_w = 10
        max_discharge_w = 300
        min_power_w = 300
        [[battery]]
        name = "L1"
        device = "own-limited"
        phase = "L1"
        link.tcp.host = "g3"
        capacity_wh = 9000
        max_charge_w = 10
        max_discharge_w = 20
        [[battery]]
        name = "L2"
        device = "own-battery"
        phase = "L2"
        link.tcp.host = "g4"
        capacity_wh = 9000
        max_charge_w = 5000
        max_discharge_w = 20
        [[schedule]]
        timezone = "asia/kolkata"
        from = "00:00"
        to = "00:01"
        action.grid_target_w = -100
        [[schedule]]
        timezone = "Asia/Kolkata"
        days = ["sun", "mon"]
        from = "22:00"
        to = "00:00"
        action.reserve_soc_pct = 12.5
        [[schedule]]
        timezone = "Asia/Kolkata"
        days = ["sat"]
        from = "23:00"
        to = "00:00"
        action.charge_w = 1
        [[schedule]]
        timezone = "Asia/Kolkata"
        days = ["wed"]
        from = "00:01"
        to = "24:00"
        action.hold = true
        [status]
        socket = "/tmp/a b.sock"
        [log]
        level = "trace"
    "#;
    let config = good(text);
    assert_eq!(good(&effective(&config)), config);
    assert_eq!(config.site.fuse_ma, 6_001);
    assert_eq!(config.schedule.as_ref().map(|s| (s.zone.name(), s.windows.len())), Some(("Asia/Kolkata", 4)));
    assert_eq!(config.batteries[1].phase, Phases::All);
    assert_eq!(config.batteries.iter().map(|b| b.min_power_w).collect::<Vec<_>>(), [0, 300, 20, 20]);
    let battery = &config.batteries[0];
    assert_eq!((battery.min_soc_pm, battery.unit, battery.phase), (125, Some(0), Phases::One(Phase::L3)));
    assert_eq!((battery.control, battery.setpoint_encoding), (ControlMode::Limits, Encoding::Offset));
    let Some(Meter { source: MeterSource::Own { link, unit }, phase_poll_ms, .. }) = config.meter else { panic!() };
    let Link::Tcp(link) = link else { panic!() };
    assert_eq!((link.port, unit, phase_poll_ms), (1_502, Some(7), 30_000));
}

#[test]
fn the_contract_is_known_whole() {
    let config = good(SPEC);
    assert_eq!(config.status.metrics, "127.0.0.1:9464".parse().ok());
    assert_eq!((config.load_balancer.is_some(), config.chargers.len(), config.server.is_some()), (true, 1, true));
    assert_eq!(good(&effective(&config)), config);
}

#[test]
fn ten_mistakes_are_ten_findings_in_one_run() {
    let text = r#"[site]
strategy = "self-consumtion"
fuse_a = 5
grid_target = 0
[control]
deadband_w = "30"
heartbeat_timeout_s 60
[meter]
device = "saxx"
[[battery]]
name = "A"
device = "sax"
phase = "l1"
role = "master"
link.tcp = { host = "192.168.1.11:502" }
max_charge_w = 99999
[[battery]]
name = "A"
device = "sax"
phase = "L2"
link.tcp = { host = "192.168.1.12", pot = 502 }
min_soc_pct = 100
"#;
    let expected = [
        "2:12: site strategy: \"self-consumtion\" is not one of \"self-consumption\", \"peak-shaving\", \"limits\", \"observe\". \
         Did you mean \"self-consumption\"?",
        "3:10: site fuse_a: 5 is out of range, it must be 6 to 2000.",
        "4:1: site grid_target: this key is not known here. Did you mean grid_target_w?",
        "6:14: control deadband_w: must be an integer, this is a string.",
        "7:21: This is not valid TOML: Key with no value, expected `=`.",
        "9:10: meter device: \"saxx\" is not a known device. Did you mean \"sax\"?",
        "13:9: battery \"A\" phase: \"l1\" is not one of \"L1\", \"L2\", \"L3\", \"all\". Did you mean \"L1\"?",
        "15:21: battery \"A\" link.tcp.host: \"192.168.1.11:502\" is not a host. The port has a key of its own: port = 502.",
        "16:16: battery \"A\" max_charge_w: 99999 is out of range, it must be 0 to 50000.",
        "18:8: battery name: \"A\" is the name of another battery already.",
        "21:37: battery \"A\" link.tcp.pot: this key is not known here. Did you mean port?",
        "22:15: battery \"A\" min_soc_pct: min_soc_pct (100) must be below max_soc_pct (100).",
    ];
    assert_eq!(findings(text), expected);
}

#[test]
fn a_finding_shows_its_line() {
    let text = SMALL.to_owned() + "\tmax_charge_w = 99999 # too much\n";
    let shown = parse(&text, &Fake).unwrap_err().render("/etc/sax/controller.toml");
    let expected = "/etc/sax/controller.toml:13:17: battery \"A\" max_charge_w: 99999 is out of range, it must be 0 to 50000.\n     \
                    max_charge_w = 99999 # too much\n                    ^~~~~\n";
    assert_eq!(shown, expected);
}

#[test]
fn nothing_from_the_file_reaches_the_terminal_raw() {
    let text = SMALL.replace("\"A\"", "\"\\u001b[2J\"") + "\"\\u0007\" = 1\n\u{202e} = 2\n";
    let shown = parse(&text, &Fake).unwrap_err().render("a\u{1b}b");
    assert!(shown.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{shown:?}");
    assert!(shown.contains("must not contain control characters"), "{shown}");
}

#[test]
fn syntax_errors() {
    small("fuse_a = 25.0", "fuse_a = 25,0", "3:12: This is not valid TOML: Unexpected key or value, expected newline, `#`.");
    small("device = \"sax\"", "device = \"sax", "7:14: This is not valid TOML: Invalid basic string, expected `\"`.");
    small("device = \"sax\"", "device = sax", "7:10: This is not valid TOML: String values must be quoted, expected literal string.");
    small("fuse_a = 25.0", "fuse_a = 25.0\nfuse_a = 35.0", "4:1: fuse_a stands here a second time.");
    small("[meter]", "[meter", "6:7: This is not valid TOML: Unclosed table, expected `]`.");
    assert_eq!(findings(&format!("{SMALL}{SECOND}[site]\nname = \"x\"\n")), ["18:2: site stands here a second time."]);
}

/// A picture, a shell script, another program's file: what it lacks as a configuration is of no interest.
#[test]
fn of_what_is_no_toml_at_all_only_that_is_said() {
    assert_eq!(findings("garbage["), ["1:8: This is not valid TOML: Key with no value, expected `=`."]);
    let script = findings("#!/bin/sh\necho \"hello\"\nexit\n");
    assert!(script.len() == 2 && script.iter().all(|f| f.contains("This is not valid TOML: ")), "{script:?}");
    let partly = findings("garbage[\n[site]\nstrategy = \"self-consumption\"\n");
    assert!(partly.iter().any(|f| f.ends_with("site fuse_a: this key is missing.")), "{partly:?}");
    assert_eq!(findings("# nothing\n").len(), 3, "an empty file lacks what it lacks");
}

#[test]
fn wrong_types() {
    small("fuse_a = 25.0", "fuse_a = \"25\"", "3:10: site fuse_a: must be a number, this is a string.");
    small("fuse_a = 25.0", "fuse_a = nan", "3:10: site fuse_a: nan is not a number that can be used here.");
    small("fuse_a = 25.0", "fuse_a = 2.5e1", "3:10: site fuse_a: 2.5e1 must be written without an exponent.");
    small("fuse_a = 25.0", "fuse_a = 25.0001", "3:10: site fuse_a: 25.0001 has more than 3 decimals.");
    small("name = \"A\"", "name = 7", "9:8: battery 1 name: must be a string, this is an integer.");
    small("phase = \"L1\"", "phase = 1", "11:9: battery \"A\" phase: must be a string, this is an integer.");
    battery("poll_ms = 5.0", "13:11: battery \"A\" poll_ms: must be an integer, this is a decimal number.");
    battery("poll_ms = 5e40", "13:11: battery \"A\" poll_ms: must be an integer, this is a decimal number.");
    let huge = "13:16: battery \"A\" max_charge_w: 99999999999999999999 is out of range, it must be 0 to 50000.";
    battery("max_charge_w = 99999999999999999999", huge);
    small("[meter]", "[[meter]]", "6:1: meter: there is only one of these: it is written [meter], with one pair of brackets.");
    small("[[battery]]", "[battery]", "8:1: battery: there may be several: it is written [[battery]], with two pairs of brackets.");
    small("{ host = \"192.168.1.11\" }", "\"192.168.1.11\"", "12:12: battery \"A\" link.tcp: must be a section, this is a string.");
}

#[test]
fn missing_and_unknown_keys() {
    small("strategy = \"self-consumption\"\n", "", "1:1: site strategy: this key is missing.");
    small("fuse_a = 25.0\n", "", "1:1: site fuse_a: this key is missing.");
    small("name = \"A\"\n", "", "8:1: battery 1 name: this key is missing.");
    small("phase = \"L1\"\n", "", "8:1: battery \"A\" phase: this key is missing.");
    let expected = [
        "12:12: battery \"A\" link.tcp.host: this key is missing.",
        "12:14: battery \"A\" link.tcp.hots: this key is not known here. Did you mean host?",
    ];
    assert_eq!(findings(&SMALL.replace("host", "hots")), expected);
}

#[test]
fn an_installer_forgot_something() {
    let no_battery = SMALL.split("[[battery]]").next().unwrap();
    let expected = [
        "1:1: battery: there is no [[battery]], and nothing to control without one.",
        "6:1: meter: it is read through a SAX battery, and there is none.",
    ];
    assert_eq!(findings(no_battery), expected);
    small("[meter]\ndevice = \"sax\"\n", "", "1:1: meter: there is no [meter], and nothing to control by without one.");
    let nothing = [
        "1:1: site: this key is missing.",
        "1:1: battery: there is no [[battery]], and nothing to control without one.",
        "1:1: meter: there is no [meter], and nothing to control by without one.",
    ];
    assert_eq!(findings(""), nothing);
    // A misspelt strategy hides nothing else that is missing.
    let misspelt = findings("[site]\nstrategy = \"self-consumtion\"\n");
    assert_eq!(misspelt.len(), 4, "{misspelt:?}");
    assert!(misspelt.iter().any(|f| f.contains("Did you mean \"self-consumption\"?")), "{misspelt:?}");
    assert!(misspelt.iter().any(|f| f.contains("fuse_a")), "{misspelt:?}");
    // Nor does one time hide the other: both the stale limit and the heartbeat are wrong.
    let times = SMALL.replace("heartbeat_timeout_s = 60", "heartbeat_timeout_s = 20\nmeter_stale_s = 2");
    assert_eq!(findings(&times).len(), 2, "{:?}", findings(&times));
    let two = format!("{SMALL}{SECOND}");
    assert_eq!(
        findings(&two),
        ["8:1: battery \"A\" role: none of the SAX batteries is the master, one of them must have role = \"master\"."]
    );
}

#[test]
fn sax_batteries_have_one_master_and_their_own_addresses() {
    let master = |text: &str| text.replace("phase", "role = \"master\"\nphase");
    let both = master(SMALL) + &master(SECOND);
    assert_eq!(findings(&both), ["17:8: battery \"B\" role: \"A\" is the master already, and there is only one."]);
    let two = master(SMALL) + SECOND;
    assert_eq!(good(&two).batteries[1].role, Role::Slave);
    let same = two.replace("1.12\"", "1.11\"");
    assert_eq!(findings(&same), ["18:21: battery \"B\" link.tcp.host: battery \"A\" has this address already."]);
    let unit = same.replace("phase = \"L2\"", "phase = \"L2\"\nunit = 65");
    let expected = "battery \"B\" link.tcp.host: battery \"A\" has this host and port already, and every SAX battery has its own.";
    assert!(findings(&unit).iter().any(|f| f.contains(expected)), "{:?}", findings(&unit));
    let forwarded = two.replace("1.12\"", "1.11\", port = 503");
    assert!(matches!(&good(&forwarded).batteries[1].link, Link::Tcp(tcp) if tcp.port == 503));
    let name = two.replace("\"B\"", "\"A\"");
    assert_eq!(findings(&name), ["15:8: battery name: \"A\" is the name of another battery already."]);
}

#[test]
fn the_meter_needs_its_battery() {
    meter("battery = \"X\"", "8:11: meter battery: there is no battery \"X\".");
    let own = "[[battery]]\nname = \"O\"\ndevice = \"own-battery\"\nphase = \"L2\"\nlink.tcp.host = \"o\"\n\
               capacity_wh = 5000\nmax_charge_w = 1\nmax_discharge_w = 1\n";
    let text = SMALL.replace("[[battery]]", "battery = \"O\"\n[[battery]]") + own;
    assert_eq!(findings(&text), ["8:11: meter battery: battery \"O\" has no meter behind it that could be read."]);
    meter("link.tcp.host = \"m\"", "8:1: meter link: this meter is read through a battery, over the link of that.");
    small("device = \"sax\"\n[[", "device = \"own-meter\"\n[[", "6:1: meter link: this key is missing.");
    let own_meter = "device = \"own-meter\"\nlink.tcp.host = \"m\"\nbattery = \"A\"\n[[";
    small("device = \"sax\"\n[[", own_meter, "9:11: meter battery: this meter is not read through a battery.");
}

#[test]
fn batteries_of_other_makes_say_what_they_can() {
    let text = SMALL.replace("device = \"sax\"\nphase", "device = \"own-battery\"\ncontrol = \"limits\"\nphase");
    let expected = [
        "6:1: meter: it is read through a SAX battery, and there is none.",
        "8:1: battery \"A\" capacity_wh: this key is missing.",
        "8:1: battery \"A\" max_charge_w: this key is missing.",
        "8:1: battery \"A\" max_discharge_w: this key is missing.",
        "11:11: battery \"A\" control: \"own-battery\" does not take limits.",
    ];
    assert_eq!(findings(&text), expected);
}

#[test]
fn devices_that_are_unknown_or_unfit() {
    let device = |name: &str, expected: &str| small("device = \"sax\"\nphase", &format!("device = \"{name}\"\nphase"), expected);
    device("sax-basik", "10:10: battery \"A\" device: \"sax-basik\" is not a known device. Did you mean \"sax-basic\"?");
    device(
        "wallbox",
        "10:10: battery \"A\" device: \"wallbox\" is not a known device. Known devices: sax, sax-basic, sax-sunspec, own-meter, own-battery, own-limited.",
    );
    device("own-meter", "10:10: battery \"A\" device: \"own-meter\" is not a battery.");
}

#[test]
fn values_for_later_are_refused_and_still_checked() {
    control("write_to = \"master\"", "5:12: control write_to: \"master\" is not supported yet.");
    meter("forward = \"127.0.0.1:9000\"", "8:11: meter forward: this meter sends no telegrams that could be passed on.");
    meter("forward = \"9000\"", "8:11: meter forward: must be an address and a port, as in \"127.0.0.1:9000\".");
}

#[test]
fn the_ladder_must_fit_the_heartbeat() {
    let late = "the fallback would be reached only 30 s after the last reading, and it must be 2 s before the heartbeat timeout of";
    let expected = "5:23: control heartbeat_timeout_s: the fallback would be reached only 37.5 s after the last reading, \
                    and it must be 2 s before the heartbeat timeout of 30 s. It must be at least 40.";
    control("heartbeat_timeout_s = 30", expected);
    let expected = format!("5:23: control heartbeat_timeout_s: {late} 20 s. It must be at least 32.");
    control("heartbeat_timeout_s = 20\nmeter_stale_s = 10", &expected);
    control("heartbeat_timeout_s = 61", "5:23: control heartbeat_timeout_s: 61 is out of range, it must be 10 to 60.");
    let expected = "5:17: control meter_stale_s: the fallback would be reached only 60 s after the last reading, \
                    and it must be 2 s before the heartbeat timeout of 60 s. It must be at most 28.666.";
    control("meter_stale_s = 30", expected);
    let expected = "8:11: meter poll_ms: the fallback would be reached only 60 s after the last reading, \
                    and it must be 2 s before the heartbeat timeout of 60 s. It must be at most 9555.";
    meter("poll_ms = 10000", expected);
    let expected = "5:17: control meter_stale_s: is shorter than two poll periods of the meter: one lost reading would stop the control. \
                    It must be at least 10.";
    control("meter_stale_s = 9.999", expected);
    assert_eq!(good(&SMALL.replace("[[", "poll_ms = 9555\n[[")).meter.unwrap().poll(), Span::from_ms(9_555));
}

#[test]
fn periods_that_do_not_go_together() {
    let expected = "13:11: battery \"A\" poll_ms: a battery polled every 15001 ms that fails would be excluded only after 60 s. \
                    It must be at most 15000.";
    battery("poll_ms = 15001", expected);
    meter("phase_poll_ms = 4000", "8:17: meter phase_poll_ms: 4000 is shorter than poll_ms, which is 5000.");
    meter("phase_poll_ms = 60001", "8:17: meter phase_poll_ms: 60001 is out of range, it must be 200 to 60000.");
    let expected = "14:19: battery \"A\" write_refill_ms: the average time between writes cannot be shorter than the least, which is 5000.";
    battery("write_spacing_ms = 5000\nwrite_refill_ms = 1000", expected);
    let expected = "12:70: battery \"A\" link.tcp.retry_count: one request could take 55 s (timeout_ms 5000, then 10 times again), \
                    it must not take more than 30 s.";
    small("11\" }", "11\", timeout_ms = 5000, retry_count = 10 }", expected);
}

#[test]
fn powers_and_states_of_charge_that_do_not_go_together() {
    battery("min_soc_pct = 100", "13:15: battery \"A\" min_soc_pct: min_soc_pct (100) must be below max_soc_pct (100).");
    battery("max_soc_pct = 5.5", "13:15: battery \"A\" max_soc_pct: min_soc_pct (10) must be below max_soc_pct (5.5).");
    let band = "must be less than what lies between min_soc_pct and max_soc_pct";
    battery("min_soc_pct = 97.5", &format!("13:15: battery \"A\" min_soc_pct: soc_hysteresis_pct (3) {band} (2.5)."));
    let expected = format!("14:22: battery \"A\" soc_hysteresis_pct: soc_hysteresis_pct (40) {band} (40).");
    battery("min_soc_pct = 60\nsoc_hysteresis_pct = 40", &expected);
    control("deadband_w = 6000", "5:14: control deadband_w: 6000 is out of range, it must be 0 to 5000.");
    let expected = "5:21: control fallback_charge_w: 4000 is more than the max_charge_w of every battery, the largest is 3500.";
    control("fallback_charge_w = 4000", expected);
    let expected = "5:24: control fallback_discharge_w: 4601 is more than the max_discharge_w of every battery, the largest is 4600.";
    control("fallback_discharge_w = 4601", expected);
    small("fuse_a = 25.0", "fuse_a = 2001", "3:10: site fuse_a: 2001 is out of range, it must be 6 to 2000.");
    let expected = "3:17: site grid_target_w: -20000 W is more than the main fuse carries, which is 17250 W.";
    small("fuse_a", "grid_target_w = -20000\nfuse_a", expected);
    let expected = "13:16: battery \"A\" max_charge_w: a battery that may neither charge nor discharge has no use.";
    battery("max_charge_w = 0\nmax_discharge_w = 0", expected);
}

/// [`SMALL`] with these keys in `[site]`, from line 3 on, must have exactly this one finding.
#[track_caller]
fn site(lines: &str, expected: &str) {
    small("fuse_a = 25.0", &format!("{lines}\nfuse_a = 25.0"), expected);
}

#[test]
fn strategies_have_what_they_need() {
    let peak = |more: &str| SMALL.replace("\"self-consumption\"", &format!("\"peak-shaving\"\n{more}"));
    let config = good(&peak("import_limit_w = 4001"));
    assert_eq!(config.site.strategy, Strategy::PeakShaving { recharge_below_w: 2_000 });
    assert_eq!(
        good(&peak("import_limit_w = 4000\nrecharge_below_w = 3999")).site.strategy,
        Strategy::PeakShaving { recharge_below_w: 3_999 }
    );
    let expected = ["2:12: site import_limit_w: strategy \"peak-shaving\" needs it: import is kept below this."];
    assert_eq!(findings(&peak("")), expected);
    let expected =
        ["3:18: site import_limit_w: 0 W leaves nothing to recharge the batteries with: with strategy \"peak-shaving\" it must be more."];
    assert_eq!(findings(&peak("import_limit_w = 0")), expected);
    let expected = ["4:20: site recharge_below_w: 4000 W must be below import_limit_w, which is 4000."];
    assert_eq!(findings(&peak("import_limit_w = 4000\nrecharge_below_w = 4000")), expected);
    // One mistake is not two: what is wrong is not missing too.
    let expected = ["3:18: site import_limit_w: -1 is out of range, it must be 0 to 2000000."];
    assert_eq!(findings(&peak("import_limit_w = -1\nrecharge_below_w = 10")), expected);
    site("recharge_below_w = 10", "3:20: site recharge_below_w: belongs to strategy \"peak-shaving\", and has no meaning with another.");
    site("recharge_below = 10", "3:1: site recharge_below: this key is not known here. Did you mean recharge_below_w?");
}

#[test]
fn strategy_limits_leaves_the_balancing_to_the_batteries() {
    let limits = SMALL.replace("self-consumption", "limits");
    assert_eq!(good(&limits).batteries[0].control, ControlMode::Hybrid);
    assert_eq!(good(&format!("{limits}control = \"limits\"\n")).batteries[0].control, ControlMode::Hybrid);
    assert_eq!(good(&format!("{SMALL}control = \"limits\"\n")).batteries[0].control, ControlMode::Limits);
    let expected = ["13:11: battery \"A\" control: strategy \"limits\" leaves the balancing to the batteries. \
                     It must be \"limits\", or be left out."];
    assert_eq!(findings(&format!("{limits}control = \"setpoint\"\n")), expected);
    let sunspec = limits.replace("device = \"sax\"\nphase", "device = \"sax-sunspec\"\nphase");
    let expected = ["10:10: battery \"A\" device: \"sax-sunspec\" does not take limits, and strategy \"limits\" needs them."];
    assert_eq!(findings(&sunspec), expected);
    assert_eq!(findings(&format!("{sunspec}control = \"setpoint\"\n")).len(), 2);
    let other = "[[battery]]\nname = \"O\"\ndevice = \"own-limited\"\nphase = \"all\"\nlink.tcp.host = \"o\"\n\
                 capacity_wh = 5000\nmax_charge_w = 100\nmax_discharge_w = 100\n";
    let config = good(&(limits + other));
    assert_eq!((config.batteries[1].control, config.batteries[1].phase), (ControlMode::Limits, Phases::All));
}

#[test]
fn what_nobody_is_commanded_for_is_refused() {
    let help = "Leave it out, or have the batteries commanded: strategy \"self-consumption\" and control = \"setpoint\".";
    let sum = SMALL.replace("fuse_a", "balance = \"sum\"\nfuse_a");
    let expected =
        [format!("3:11: site balance: with strategy \"limits\" each battery balances by itself: \"sum\" would have no effect. {help}")];
    assert_eq!(findings(&sum.replace("self-consumption", "limits")), expected);
    let limited = |text: &str| format!("{text}control = \"limits\"\n");
    let expected = [format!("3:11: site balance: no battery is commanded, each balances by itself: \"sum\" would have no effect. {help}")];
    assert_eq!(findings(&limited(&sum)), expected);
    assert!(parse(&limited(&sum).replace("\"sum\"", "\"per-phase\""), &Fake).is_ok());
    let target = SMALL.replace("fuse_a", "grid_target_w = 50\nfuse_a");
    let expected = ["3:17: site grid_target_w: no battery is commanded: each balances by itself at 0 W, inside limits."];
    assert_eq!(findings(&limited(&target)), expected);
    let peak = SMALL.replace("\"self-consumption\"", "\"peak-shaving\"\nimport_limit_w = 4000");
    let expected =
        ["2:12: site strategy: \"peak-shaving\" commands batteries, and none of these is: each balances by itself, inside limits. \
                     At least one must take setpoints and have control = \"setpoint\"."];
    assert_eq!(findings(&limited(&peak)), expected);
    // One that is commanded is enough.
    let master = |text: &str| text.replace("name = \"A\"", "name = \"A\"\nrole = \"master\"");
    for text in [&sum, &target, &peak] {
        assert!(parse(&(limited(&master(text)) + SECOND), &Fake).is_ok());
    }
}

#[test]
fn a_target_belongs_to_the_strategy_that_aims_at_one() {
    let help = "A window of a [[schedule]] may have another target.";
    let with = |strategy: &str| SMALL.replace("\"self-consumption\"", strategy);
    let expected = [format!("3:17: site grid_target_w: with strategy \"limits\" the batteries balance by themselves, at 0 W. {help}")];
    assert_eq!(findings(&with("\"limits\"\ngrid_target_w = 50")), expected);
    let expected =
        [format!("4:17: site grid_target_w: strategy \"peak-shaving\" aims at no grid power, only below import_limit_w. {help}")];
    assert_eq!(findings(&with("\"peak-shaving\"\nimport_limit_w = 4000\ngrid_target_w = 50")), expected);
    assert_eq!(good(&with("\"limits\"\ngrid_target_w = 0")).site.grid_target_w, 0);
}

#[test]
fn limits_of_the_site() {
    let config =
        good(&SMALL.replace("fuse_a", "import_limit_w = 0\nexport_limit_w = 17250\nunbalance_limit_va = 4600\nbalance = \"sum\"\nfuse_a"));
    let site_ = &config.site;
    assert_eq!((site_.import_limit_w, site_.export_limit_w, site_.unbalance_limit_va), (Some(0), Some(17_250), Some(4_600)));
    assert_eq!(site_.balance, Balance::Sum);
    site("import_limit_w = -1", "3:18: site import_limit_w: -1 is out of range, it must be 0 to 2000000.");
    let pointless = "is more than the main fuse carries, which is 17250 W: it would never limit anything.";
    site("import_limit_w = 17251", &format!("3:18: site import_limit_w: 17251 W {pointless}"));
    site("export_limit_w = 20000", &format!("3:18: site export_limit_w: 20000 W {pointless}"));
    let expected = "4:17: site grid_target_w: aims at 600 W, above import_limit_w, which is 500.";
    site("import_limit_w = 500\ngrid_target_w = 600", expected);
    let expected = "4:17: site grid_target_w: aims at 600 W of export, above export_limit_w, which is 500.";
    site("export_limit_w = 500\ngrid_target_w = -600", expected);
    let expected = "3:22: site unbalance_limit_va: 0 VA keeps every single-phase battery at 0 W, because not every phase has one.";
    site("unbalance_limit_va = 0", expected);
    site("balance = \"net\"", "3:11: site balance: \"net\" is not one of \"per-phase\", \"sum\".");
}

#[test]
fn phases_and_the_least_useful_power() {
    let expected = "11:9: battery \"A\" phase: a SAX battery is connected to one phase. It must be \"L1\", \"L2\" or \"L3\".";
    small("\"L1\"", "\"all\"", expected);
    battery("min_power_w = 4601", "13:15: battery \"A\" min_power_w: 4601 is more than max_discharge_w, which is 4600.");
    battery("min_power_w = -1", "13:15: battery \"A\" min_power_w: -1 is out of range, it must be 0 to 50000.");
    assert_eq!(good(SMALL).batteries[0].min_power_w, 200);
    assert_eq!(good(&format!("{SMALL}max_discharge_w = 150\n")).batteries[0].min_power_w, 150);
}

#[test]
fn names_hosts_and_paths() {
    let name = |name: &str, expected: &str| small("\"A\"", name, expected);
    name("\" \"", "9:8: battery \" \" name: must not be empty.");
    name("\"\\u0007\"", "9:8: battery \"\\u{7}\" name: must not contain control characters.");
    let long = "x".repeat(41);
    let expected = format!("9:8: battery \"{long}\" name: has 41 characters, it must not have more than 40.");
    name(&format!("\"{long}\""), &expected);
    let host = |host: &str, expected: &str| small("192.168.1.11", host, &format!("12:21: battery \"A\" link.tcp.host: {expected}"));
    host("", "must not be empty.");
    host("192.168.1.256", "192.168.1.256 is not an IP address. It has four numbers from 0 to 255, as in 192.168.1.11.");
    host("http://sax", "\"http://sax\" is not a host. Give the address alone, without \"http://\" and without a path.");
    battery("[status]\nsocket = \"run/x\"", "14:10: status socket: must be an absolute path, beginning with \"/\".");
    battery(
        "[log]\nlevel = \"warning\"",
        "14:9: log level: \"warning\" is not one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\".",
    );
    battery("[metre]", "13:2: metre: this key is not known here. Did you mean meter?");
}

#[test]
fn there_is_an_end_to_batteries() {
    let many: String = (0..251)
        .map(|n| {
            format!(
                "[[battery]]\nname = \"{n}\"\ndevice = \"own-battery\"\nphase = \"L1\"\nlink.tcp.host = \"h{n}\"\n\
                 capacity_wh = 100\nmax_charge_w = 1\nmax_discharge_w = 1\n"
            )
        })
        .collect();
    let text = SMALL.replacen("[[battery]]", &format!("{many}[[battery]]"), 1);
    assert_eq!(findings(&text), ["2008:1: battery: there are 252, there must not be more than 250."]);
}

#[test]
fn a_syntax_error_does_not_make_up_missing_things() {
    let text = SMALL.replace("[[battery]]", "[[battery]");
    assert_eq!(findings(&text).len(), 1, "{:?}", findings(&text));
    let text = SMALL.replace("[meter]", "[meter");
    assert_eq!(findings(&text).len(), 1, "{:?}", findings(&text));
}

#[test]
fn the_reader_serves_device_profiles_too() {
    let text = "[bank.a]\nblocks = [40, 0x2A, -1, \"x\"]\nready = true\nonce = 1\n[bits]\n\"3\" = \"hot\"\n1 = \"cold\"\n\
                [[point]]\nname = \"power\"\nscale = 0.5\nscales = [1]\n[[point]]\naddress = 0o17\nscale = 0x10\n";
    let document = Document::parse(text);
    let mut root = document.root();
    let mut bank = root.section("bank").and_then(|mut banks| banks.section("a")).unwrap();
    assert_eq!((bank.name(), bank.full("x").as_str()), ("bank a", "bank a.x"));
    assert!(bank.boolean("ready").unwrap().value);
    let blocks: Vec<u16> = bank.integers("blocks", 0..=125u16).unwrap().into_iter().map(Spanned::get).collect();
    assert_eq!(blocks, [40, 42]);
    assert!(bank.boolean("once").is_none() && bank.required("unit", |s, key| s.integer(key, 1..=247u8)).is_none());
    bank.finish();
    let mut bits = root.section("bits").unwrap();
    let names: Vec<_> = bits.keys().iter().map(|key| bits.string(&key.value).unwrap().value).collect();
    assert_eq!(names, ["hot", "cold"]);
    bits.finish();
    let mut points = root.sections("point").unwrap();
    assert_eq!(points[0].decimal("scale", 3, 0..=1_000_000i64).unwrap().value, 500);
    assert!(points[0].strings("scales").unwrap().is_empty());
    assert_eq!(points[1].integer("address", 0..=u16::MAX).unwrap().value, 15);
    assert!(points[1].decimal("scale", 3, 0..=10i64).is_none());
    points.into_iter().for_each(|point| point.finish());
    root.finish();
    let expected = [
        "1:1: bank a.unit: this key is missing.",
        "2:21: bank a.blocks: -1 is out of range, it must be 0 to 125.",
        "2:25: bank a.blocks: must be an integer, this is a string.",
        "4:8: bank a.once: must be true or false, this is an integer.",
        "9:1: point \"power\" name: this key is not known here.",
        "11:11: point \"power\" scales: must be a string, this is an integer.",
        "14:9: point 2 scale: must be a number in decimal notation, this is an integer.",
    ];
    let said: Vec<_> = document.into_findings().iter().map(Finding::to_string).collect();
    assert_eq!(said, expected);
}

#[test]
fn a_byte_order_mark_is_no_column() {
    let text = format!("\u{feff}{SMALL}");
    assert_eq!(good(&text), good(SMALL));
    let said = findings("\u{feff}site = 1\n");
    assert!(said.contains(&"1:8: site: must be a section, this is an integer.".to_owned()), "{said:?}");
}

/// A long file with a few pieces of text put in other places: the specification's own, or an example that is valid.
fn mutated() -> impl Generator<Value = String> {
    let edit = (0..SPEC.len(), 0..SPEC.len(), 0..40usize, 0..12usize, "[\\PC\n\"=\\[\\]{}.#]{0,6}");
    let sources = [SPEC, include_str!("../etc/examples/sum-tariff.toml"), include_str!("../etc/examples/peak-shaving.toml")];
    (0..sources.len(), proptest::collection::vec(edit, 0..6)).prop_map(move |(source, edits)| {
        let mut chars: Vec<char> = sources[source].chars().collect();
        for (at, from, length, gone, text) in edits {
            let at = at.min(chars.len());
            let from = from.min(chars.len());
            let copied: Vec<char> = chars[from..chars.len().min(from + length)].to_vec();
            let end = chars.len().min(at + gone);
            chars.splice(at..end, copied.into_iter().chain(text.chars()));
        }
        chars.into_iter().collect()
    })
}

/// Never panics; what it says lies within the text; what it accepts it accepts again.
fn survives(text: &str) {
    match parse(text, &Fake) {
        Ok(config) => assert_eq!(good(&effective(&config)), config),
        Err(findings) => {
            assert!(!findings.is_empty());
            let lines = text.split('\n').count();
            assert!(findings.iter().all(|f| (1..=lines).contains(&f.line) && f.column >= 1 && f.length >= 1 && !f.message.is_empty()));
            assert!(findings.render("x").chars().all(|c| c == '\n' || !c.is_control()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in "\\PC*") {
        survives(&text);
    }

    #[test]
    fn any_lines_of_toml_like_text_are_survived(lines in proptest::collection::vec("[ \ta-z0-9_.\"'=\\[\\]{}#,:+\\-\u{feff}\r]{0,20}", 0..20)) {
        survives(&lines.join("\n"));
    }

    #[test]
    fn any_change_of_a_good_file_is_survived(text in mutated()) {
        survives(&text);
    }
}
