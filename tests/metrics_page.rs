//! The page for Prometheus: made of a status, read back line by line; its table, and who else uses its names.
#![allow(missing_docs)]

#[path = "common/exposition.rs"]
mod exposition;

use std::collections::BTreeSet;
use std::time::Duration;

use exposition::{Page, names_in};
use proptest::prelude::*;
use sax_controller::serve::document::*;
use sax_controller::serve::metrics::request::{LONGEST, What, parse};
use sax_controller::serve::metrics::{Facts, Process, all, markdown, page};
use sax_controller::serve::socket::STALLED;

const RULES: &str = include_str!("../etc/monitoring/alerts.yml");
const DASHBOARD: &str = include_str!("../etc/monitoring/dashboard.json");
const TABLE: &str = include_str!("../etc/monitoring/metrics.md");

fn shown(document: &Document) -> Page {
    let process = Process { resident_bytes: Some(3 << 20), threads: Some(12), open_fds: Some(20) };
    Page::read(&page(&Facts { document, age: Duration::from_millis(250), process }))
}

fn battery(name: &str) -> Battery {
    let bms = BmsStatus {
        device: "sbau".into(),
        state: "Normal",
        age_ms: Some(300),
        soc_pct: Some(57.0),
        soh_pct: Some(99.5),
        voltage_v: Some(51.2),
        current_a: Some(-3.5),
        charge_limit_a: Some(100.0),
        discharge_limit_a: Some(120.0),
        charge_allowed: Some(true),
        discharge_allowed: Some(false),
        cell_voltage_max_v: Some(3.35),
        cell_voltage_min_v: Some(3.301),
        cell_temperature_max_c: Some(25),
        cell_temperature_min_c: Some(-3),
        counters: [("heartbeat".to_owned(), 70_000)].into(),
        clock_drift_s: Some(-5),
        ..BmsStatus::default()
    };
    Battery {
        name: name.into(),
        device: "sax-basic".into(),
        role: "slave",
        phase: "L1".into(),
        state: "on".into(),
        age_ms: Some(1_300),
        soc_pct: Some(57.3),
        power_w: Some(-812),
        setpoint_w: Some(-815),
        charge_limit_w: Some(3500),
        discharge_limit_w: Some(4600),
        limited_by: "rating".into(),
        writes: 42,
        last_write_age_ms: Some(900),
        bms: Some(bms),
        learned: BatteryLearned { scale: 1.01, response_ms: Some(700) },
        ..Battery::default()
    }
}

/// A status in which nothing is unknown.
fn whole() -> Document {
    let phase = |phase: &str| Phase {
        phase: phase.into(),
        power_w: Some(40),
        current_a: Some(0.6),
        voltage_v: Some(230.1),
        fuse_headroom_a: Some(24.4),
        age_ms: Some(100),
        load_w: Some(300),
    };
    let limits = Limits { import_w: Some(11_000), recharge_below_w: Some(5_500), export_w: Some(0), unbalance_va: Some(4_600) };
    let remote = Remote {
        state: "active",
        setpoint_w: Some(500),
        charge_limit_w: Some(1),
        discharge_limit_w: Some(2),
        heartbeat_age_s: Some(3),
        heartbeat_timeout_s: 60,
    };
    let charger = Charger {
        name: "wallbox".into(),
        device: "abb-terra-ac".into(),
        state: "charging".into(),
        limit_a: 16.0,
        current_a: [Some(15.8), None, Some(15.9)],
        power_w: Some(7_300),
        session_wh: Some(2_500),
        age_ms: Some(400),
        writes: 7,
        last_write_age_ms: Some(2_000),
        ..Charger::default()
    };
    Document {
        version: "0.1.0",
        site: Site { name: "Home".into(), state: "run", limits, remote: Some(remote), uptime_s: 3600, ..Site::default() },
        meter: Meter {
            device: "sax".into(),
            age_ms: Some(400),
            power_w: Some(120),
            frequency_hz: Some(49.98),
            import_wh: Some(1_000),
            export_wh: Some(2),
            phases: ["L1", "L2", "L3"].map(phase).into(),
            learned: MeterLearned { window_ms: [100, 600], averaging_ms: 1_000, movements: 9 },
        },
        batteries: vec![battery("A"), battery("B")],
        load_balancer: Some(LoadBalancer { state_name: "lower limit", largest_current_a: Some(9.5), ..LoadBalancer::default() }),
        chargers: vec![charger],
        schedule: Some(Schedule { active: Some("a window".into()), ..Schedule::default() }),
        alarms: vec![Alarm { name: "battery B: command not followed".into(), since_s: 12 }],
        errors: [("link 192.168.1.11:502".to_owned(), Errors { requests: 100, timeout: 3, ..Errors::default() })].into(),
    }
}

#[test]
fn everything_that_is_known_is_there() {
    let page = shown(&whole());
    let served: BTreeSet<&str> = page.names().collect();
    let listed: BTreeSet<&str> = all().map(|metric| metric.name).collect();
    assert_eq!(served, listed);
    for (series, value) in [
        ("sax_site_state{state=\"run\"}", 1.0),
        ("sax_site_state{state=\"hold\"}", 0.0),
        ("sax_uptime_seconds", 3600.0),
        ("sax_control_age_seconds", 0.25),
        ("sax_control_stalled", 0.0),
        ("sax_grid_import_joules_total", 3_600_000.0),
        ("sax_phase_fuse_headroom_amperes{phase=\"L2\"}", 24.4),
        ("sax_battery_soc_ratio{battery=\"A\"}", 0.573),
        ("sax_battery_power_watts{battery=\"A\"}", -812.0),
        ("sax_battery_age_seconds{battery=\"A\"}", 1.3),
        ("sax_bms_discharge_allowed{battery=\"B\"}", 0.0),
        ("sax_load_balancer_state{state=\"lower limit\"}", 1.0),
        ("sax_charger_current_amperes{charger=\"wallbox\",phase=\"L3\"}", 15.9),
        ("sax_alarm_age_seconds{subject=\"battery B\",alarm=\"command not followed\"}", 12.0),
        ("sax_errors_total{link=\"192.168.1.11:502\",kind=\"timeout\"}", 3.0),
        ("process_threads", 12.0),
    ] {
        assert_eq!(page.get(series), Some(value), "{series}");
    }
    assert_eq!(page.get("sax_charger_current_amperes{charger=\"wallbox\",phase=\"L2\"}"), None, "unknown");
}

#[test]
fn what_is_unknown_is_left_out() {
    let page =
        shown(&Document { version: "0.1.0", batteries: vec![Battery { name: "A".into(), ..Battery::default() }], ..Document::default() });
    for name in ["sax_grid_power_watts", "sax_meter_age_seconds", "sax_battery_soc_ratio", "sax_bms_connected", "sax_load_balancer_state"] {
        assert!(page.names().all(|served| served != name), "{name}");
    }
    assert_eq!(page.get("sax_battery_writes_total{battery=\"A\"}"), Some(0.0));
    // Before the first decision there is no status at all.
    let before = shown(&Document::default());
    let expected = ["process_open_fds", "process_resident_memory_bytes", "process_threads", "sax_build_info"];
    assert_eq!(before.names().collect::<Vec<_>>(), expected);
}

#[test]
fn measured_values_are_left_out_while_the_control_thread_is_silent() {
    let mut document = whole();
    document.site.state = STALLED;
    let (stalled, live) = (shown(&document), shown(&whole()));
    assert_eq!(stalled.get("sax_control_stalled"), Some(1.0));
    assert_eq!(stalled.get("sax_site_state{state=\"stalled\"}"), Some(1.0));
    for name in stalled.names() {
        let of_the_program = name.starts_with("sax_control_") || name.starts_with("sax_site_") || name.starts_with("process_");
        assert!(of_the_program || name.ends_with("_total") || name == "sax_build_info" || name == "sax_uptime_seconds", "{name}");
    }
    let counters = |page: &Page| page.names().filter(|name| name.ends_with("_total")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(counters(&stalled), counters(&live));
}

#[test]
fn a_large_site_has_a_page_of_bounded_size() {
    let mut document = whole();
    document.batteries = (0..250).map(|k| battery(&format!("{k:0>40}"))).collect();
    document.alarms = (0..2_000).map(|k| Alarm { name: format!("battery {:0>40}: thing {}x", k % 250, k / 250), since_s: k }).collect();
    document.errors = (0..250).map(|k| (format!("link 192.168.100.{k}:502"), Errors::default())).collect();
    let process = Process::default();
    let text = page(&Facts { document: &document, age: Duration::ZERO, process });
    println!("250 batteries of long names, 2000 alarms: {} bytes", text.len());
    let read = Page::read(&text);
    assert!(text.len() < 1_200_000, "{}", text.len());
    assert_eq!(read.get("sax_alarms"), Some(2_000.0));
    assert_eq!(read.series().filter(|series| series.starts_with("sax_alarm_active{")).count(), 500);
    document.batteries.iter_mut().for_each(|battery| battery.bms = None);
    document.alarms.clear();
    println!("without BMS and alarms: {} bytes", page(&Facts { document: &document, age: Duration::ZERO, process }).len());
}

#[test]
fn the_table_is_that_of_the_program() {
    let (_, behind) = TABLE.split_once("<!-- metrics -->\n").expect("a marker before the table");
    let (table, _) = behind.split_once("<!-- /metrics -->").expect("a marker behind the table");
    assert!(table == markdown(), "etc/monitoring/metrics.md must have this table:\n{}", markdown());
}

/// Every expression uses names and labels that there are.
#[test]
fn rules_and_dashboard_use_what_there_is() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let targets = || panels.iter().flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let expressions: Vec<&str> = targets().filter_map(|target| target["expr"].as_str()).collect();
    assert!(expressions.len() > 30);
    let mut used = BTreeSet::new();
    for text in expressions.into_iter().chain([RULES]) {
        for (name, labels) in names_in(text) {
            let metric = all().find(|metric| metric.name == name).unwrap_or_else(|| panic!("{name} is not served: {text}"));
            for label in labels {
                assert!(metric.labels.contains(&label) || ["instance", "job"].contains(&label), "{name} has no label {label}");
            }
            used.insert(name);
        }
    }
    for name in ["sax_site_state", "sax_control_stalled", "sax_battery_soc_ratio", "sax_errors_total", "sax_alarm_active"] {
        assert!(used.contains(name), "{name}");
    }
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    assert!(ids.len() == panels.len() && !ids.contains(&None));
    assert!(targets().all(|target| target["datasource"]["uid"] == "${datasource}"));
}

proptest! {
    /// What has been answered is not changed by what comes behind it, and nothing waits for more than the longest head.
    #[test]
    fn any_bytes_are_judged_once(bytes in request()) {
        let mut answer = None;
        for end in 0..=bytes.len() {
            let now = parse(&bytes[..end]);
            if answer.is_some() {
                prop_assert_eq!(now, answer);
            }
            answer = now;
        }
        let mut longer = bytes.clone();
        longer.resize(LONGEST.max(bytes.len()), b'x');
        prop_assert!(parse(&longer).is_some());
        prop_assert!(answer.is_none_or(|asked| asked.what != What::TimedOut));
    }

    /// Whatever a name holds, the page can be read and the name comes back.
    #[test]
    fn any_name_comes_back(name in "\\PC{1,40}|[\\x00-\\x7f]{1,20}", alarm in "\\PC{0,60}") {
        let mut document = whole();
        document.batteries = vec![battery(&name), battery("B")];
        document.alarms = vec![Alarm { name: alarm, since_s: 1 }, Alarm { name: format!("battery {name}: writes fail"), since_s: 2 }];
        prop_assume!(name != "B");
        let page = shown(&document);
        prop_assert!(page.labels("sax_battery_power_watts").contains(&vec![("battery".to_owned(), name)]));
    }
}

/// Requests with something wrong in them, and noise.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let good = b"GET /metrics HTTP/1.1\r\nHost: a\r\nAccept: b\r\n\r\n".to_vec();
    let changed =
        (Just(good), proptest::collection::vec((0usize..45, any::<u8>()), 0..4), 0usize..60).prop_map(|(mut bytes, changes, cut)| {
            changes.iter().for_each(|(at, to)| {
                if let Some(byte) = bytes.get_mut(*at) {
                    *byte = *to
                }
            });
            bytes.truncate(cut);
            bytes
        });
    prop_oneof![changed, proptest::collection::vec(any::<u8>(), 0..200), "[GETHAD /metrics.:\r\n1]{0,120}".prop_map(String::into_bytes)]
}
