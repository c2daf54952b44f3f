//! A battery under its BMS: from registers to orders, and what happens when the BMS goes silent.
#![allow(missing_docs)]

#[path = "common/register_link.rs"]
mod register_link;

use std::sync::Arc;

use register_link::{Shared, register_link};
use sax_controller::config;
use sax_controller::control::alarm::Alarm;
use sax_controller::control::bms::{Contact, Objection};
use sax_controller::control::capability::Cause;
use sax_controller::control::decision::{Order, Reason};
use sax_controller::control::input::BmsSample;
use sax_controller::daemon::bms::{BmsSpec, BmsTask};
use sax_controller::daemon::bms_watch::{Seen, StaticLimits};
use sax_controller::daemon::bus_load::bus_loads;
use sax_controller::daemon::endpoint::SharedEndpoint;
use sax_controller::daemon::message::{BmsReport, Event, LinkReport};
use sax_controller::daemon::wiring::plan;
use sax_controller::device::bms::BmsValues;
use sax_controller::device::library::Library;
use sax_controller::device::plan::bms_requests;
use sax_controller::device::setting::{Chosen, Settings};
use sax_controller::device::writer::Command;
use sax_controller::plant::battery_params::{BatteryParams, SaxParams, Wiring};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::{Simulation, VirtualClock};
use sax_controller::simulated_devices::{devices, like_its_profile};
use sax_controller::units::{Phase, Span, Time};

fn library() -> Library {
    Library::built_in().unwrap_or_else(|e| panic!("{e}"))
}

// ---- the task over scripted registers ----

struct Desk {
    task: BmsTask,
    registers: Shared,
    clock: VirtualClock,
}

impl Desk {
    fn new(device: &str, settings: Settings, limits: StaticLimits, registers: &[(u16, u16)]) -> Desk {
        let profile = Arc::new(library().profile(device).expect("a profile").with_settings(&settings));
        let shared = Shared::default();
        shared.put(registers);
        let spec = BmsSpec {
            index: 0,
            name: "A".into(),
            unit: 7,
            profile,
            poll: Span::from_s(1),
            first_poll: Time::ZERO,
            retries: 0,
            limits,
            heartbeat: true,
        };
        let endpoint = SharedEndpoint::new(Box::new(register_link(7, shared.clone())));
        Desk { task: BmsTask::new(spec, endpoint), registers: shared, clock: VirtualClock::default() }
    }

    /// Lets the task work until `ms`, calling `each` before every look; returns the reports.
    fn run(&mut self, ms: u64, mut each: impl FnMut(u64, &Shared)) -> Vec<BmsReport> {
        use sax_controller::daemon::clock::Clock;
        let mut reports = Vec::new();
        while self.clock.now().as_ms() < ms {
            each(self.clock.now().as_ms(), &self.registers);
            if self.task.wake_at(self.clock.now()) <= self.clock.now() {
                self.task.work(&self.clock, &mut |event| match event {
                    Event::Bms(0, report) => reports.push(*report),
                    other => panic!("{other:?}"),
                });
            }
            self.clock.sleep(Span::from_ms(10));
        }
        reports
    }
}

/// A healthy array at 768.4 V, 48.0 %.
fn sbau() -> Vec<(u16, u16)> {
    let mut registers: Vec<(u16, u16)> = (1001..=1031).chain(1101..=1137).map(|at| (at, 0)).collect();
    let known = [
        (1001, 7684),
        (1002, 32_000),
        (1003, 480),
        (1004, 990),
        (1010, 3350),
        (1014, 3310),
        (1018, 65),
        (1022, 62),
        (1101, 1 << 1),
        (1102, 0b11),
        (1115, 0b11),
        (1116, 1),
        (1118, 65_530),
        (1119, 1),
        (1122, 1),
        (1123, 1),
        (1129, 40_000),
        (1132, 2026),
        (1133, 1),
        (1134, 5),
    ];
    registers.retain(|(at, _)| known.iter().all(|(k, _)| k != at));
    registers.extend(known);
    registers
}

const STATIC: StaticLimits = StaticLimits { charge_ma: Some(100_000), discharge_ma: Some(120_000), charge_w: None, discharge_w: None };

fn newest(reports: &[BmsReport]) -> BmsSample {
    let report = reports.last().expect("a report");
    report.sample.unwrap_or_else(|| panic!("{:?}", report.fault))
}

#[test]
fn an_array_says_what_its_cells_allow() {
    let mut desk = Desk::new("sbau", Settings::new(), STATIC, &sbau());
    let reports = desk.run(3000, |_, _| {});
    assert_eq!(reports.len(), 3);
    let sample = newest(&reports);
    assert!(sample.may_charge && sample.may_discharge, "{:?}", reports.last());
    assert_eq!((sample.charge_limit_w, sample.discharge_limit_w, sample.soc_pm), (Some(76_840), Some(87_597), Some(480)));
    // Every alarm of the vendor's table, on level I: what it stops.
    let stops = |bit: u16| match bit {
        0 | 1 => (true, true),
        2 | 6 | 12 | 14 | 15 => (true, false),
        3 | 5 | 13 => (false, true),
        _ => (false, false),
    };
    for bit in 0..16 {
        let mut desk = Desk::new("sbau", Settings::new(), STATIC, &sbau());
        desk.registers.put(&[(1105, 1 << bit), (1101, 1 << 4)]);
        let sample = newest(&desk.run(1000, |_, _| {}));
        assert_eq!((!sample.may_charge, !sample.may_discharge), stops(bit), "level I, bit {bit}");
        desk.registers.put(&[(1105, 0), (1107, 1 << bit)]);
        let reports = desk.run(2500, |_, _| {});
        let sample = newest(&reports);
        assert!(!sample.may_charge && !sample.may_discharge, "level III, bit {bit}");
        assert!(reports.last().is_some_and(|r| r.said.as_ref().is_some_and(|s| !s.1.notices.is_empty())), "level III, bit {bit}");
    }
}

/// Its requests are made one at a time, and others may use the link between them.
#[test]
fn what_a_poll_says_is_as_old_as_its_first_answer() {
    let mut desk = Desk::new("sbau", Settings::new(), STATIC, &sbau());
    let reports = desk.run(3000, |_, _| {});
    let times: Vec<_> = reports.iter().filter_map(|r| Some((r.sample?.taken.as_ms(), r.at.as_ms()))).collect();
    assert!(times.len() >= 2 && times.iter().all(|(taken, at)| taken % 1000 == 0 && taken < at), "{times:?}");
}

#[test]
fn an_array_that_is_not_ready_allows_nothing() {
    for (what, registers) in [
        ("initialising", [(1101, 1 << 0), (1122, 1)]),
        ("fault", [(1101, 1 << 1 | 1 << 5), (1122, 1)]),
        ("not enabled", [(1101, 1 << 6), (1122, 1)]),
        ("nothing set", [(1101, 0), (1122, 1)]),
        ("relay open", [(1101, 1 << 1), (1122, 0)]),
    ] {
        let mut desk = Desk::new("sbau", Settings::new(), STATIC, &sbau());
        desk.registers.put(&registers);
        let sample = newest(&desk.run(1000, |_, _| {}));
        assert!(!sample.may_charge && !sample.may_discharge, "{what}");
    }
}

#[test]
fn limits_of_the_clusters_in_operation_are_summed_and_capped() {
    let number = |name: &str, n: i64| (name.to_owned(), Chosen::Number(n * 1_000_000));
    let settings = vec![number("cluster_base", 2000), number("cluster_stride", 50), number("clusters", 3)];
    let mut desk = Desk::new("sbau", settings, STATIC, &sbau());
    let clusters: Vec<(u16, u16)> = (0..3).flat_map(|n| (2000 + 50 * n..2033 + 50 * n).map(|at| (at, 0))).collect();
    desk.registers.put(&clusters);
    // 30.0 A and 80.0 A each; the third is not in operation.
    desk.registers.put(&[(2023, 300), (2024, 800), (2073, 300), (2074, 800), (2123, 999), (2124, 999)]);
    let reports = desk.run(1000, |_, _| {});
    let seen = reports.last().and_then(|r| r.said.clone()).expect("values").1;
    assert_eq!((seen.charge_limit_ma, seen.discharge_limit_ma), (Some(60_000), Some(120_000)));
}

#[test]
fn registers_that_do_not_exist_are_left_out_and_nothing_is_allowed_without_the_status() {
    let without: Vec<_> = sbau().into_iter().filter(|(at, _)| *at < 1100).collect();
    let mut desk = Desk::new("sbau", Settings::new(), STATIC, &without);
    let reports = desk.run(3000, |_, _| {});
    let sample = newest(&reports);
    assert!(!sample.may_charge && !sample.may_discharge && sample.soc_pm == Some(480));
    assert_eq!(desk.registers.refused(), 1, "asked once in a minute");
    let mut none = Desk::new("sbau", Settings::new(), STATIC, &[]);
    let reports = none.run(3000, |_, _| {});
    assert!(reports.iter().all(|r| r.sample.is_none() && r.fault.is_some()), "{reports:?}");
}

#[test]
fn time_since_start_wraps_and_a_restart_is_noticed() {
    let mut desk = Desk::new("sbau", Settings::new(), STATIC, &sbau());
    let count = |reports: &[BmsReport]| {
        let seen = &reports.last().unwrap().said.as_ref().unwrap().1;
        (seen.counters[0].1, seen.notices.iter().any(|n| n.contains("begun anew")))
    };
    let seconds = |ms: u64, shared: &Shared| shared.put(&[(1118, (65_530 + ms / 1000) as u16)]);
    assert_eq!(count(&desk.run(10_000, seconds)), (65_539, false));
    desk.registers.put(&[(1118, 2)]);
    assert_eq!(count(&desk.run(11_500, |_, _| {})), (2, true));
}

// ---- SunSpec ----

const MODEL: u16 = 40_076;

/// A model 802 behind another one: 768.4 V, 47 %, 50.0 A and 60.0 A.
fn sunspec() -> Vec<(u16, u16)> {
    let mut registers: Vec<(u16, u16)> = (40_000..MODEL + 68).map(|at| (at, 0)).collect();
    let known = [(40_000, 0x5375), (40_001, 0x6e53), (40_002, 1), (40_003, 70), (40_074, 9), (40_075, 0)];
    let of_model = [
        (0, 802),
        (1, 62),
        (11, 47),
        (13, 98),
        (16, 6),
        (17, 0),
        (22, 3),
        (34, 7684),
        (37, 3350),
        (40, 3310),
        (45, 500),
        (46, 600),
        (59, 0xffff),
        (60, 0xfffd),
        (62, 0xffff),
    ];
    let known: Vec<_> = known.into_iter().chain(of_model.map(|(at, value)| (MODEL + at, value))).chain([(MODEL + 64, 0xffff)]).collect();
    registers.retain(|(at, _)| known.iter().all(|(k, _)| k != at));
    registers.extend(known);
    registers
}

#[test]
fn a_sunspec_bms_is_found_and_both_heartbeats_count() {
    let mut desk = Desk::new("sunspec-802", Settings::new(), StaticLimits::default(), &sunspec());
    let beating = |ms: u64, shared: &Shared| shared.put(&[(MODEL + 18, (ms / 1000 % 60) as u16)]);
    let reports = desk.run(10_000, beating);
    let sample = newest(&reports);
    assert!(sample.may_charge && sample.may_discharge, "{:?}", reports.last());
    assert_eq!((sample.charge_limit_w, sample.discharge_limit_w, sample.soc_pm), (Some(38_420), Some(43_798), Some(470)));
    let ours = desk.registers.written(MODEL + 19);
    assert!((8..=10).contains(&ours.len()), "{ours:?}");
    assert!(ours.windows(2).all(|w| w[1] == w[0] + 1), "{ours:?}");
    // It stands still: six seconds later nothing it says counts any more.
    let reports = desk.run(18_000, |_, _| {});
    let stood: Vec<bool> = reports.iter().map(|r| r.sample.is_some()).collect();
    assert!(stood[..4].iter().all(|s| *s) && stood[6..].iter().all(|s| !s), "{stood:?}");
    // What it forbids is passed on all the same: an emergency stop of its string, then its limit.
    let standing = |reports: &[BmsReport]| *reports.last().and_then(BmsReport::standing).expect("it answers");
    let before = standing(&reports);
    assert!(before.may_discharge && before.discharge_limit_w == Some(43_798), "{before:?}");
    desk.registers.put(&[(MODEL + 46, 0)]);
    let reports = desk.run(20_000, |_, _| {});
    assert_eq!((reports.last().and_then(|r| r.sample), standing(&reports).discharge_limit_w), (None, Some(0)));
    assert!(standing(&reports).taken > before.taken);
}

/// A report of a BMS whose sign of life stands still.
fn standing(at_ms: u64, may_discharge: bool) -> Event {
    let taken = Time::from_ms(at_ms);
    let word =
        BmsSample { taken, may_charge: true, may_discharge, charge_limit_w: Some(90_000), discharge_limit_w: Some(90_000), soc_pm: None };
    let seen = Seen { standing: Some(word), ..Seen::default() };
    let (device, link) = ("sbau".into(), LinkReport::default());
    Event::Bms(0, Box::new(BmsReport { at: taken, sample: None, said: Some((BmsValues::default(), seen)), device, fault: None, link }))
}

#[test]
fn what_a_standing_bms_forbids_counts_at_once_and_what_it_allows_does_not() {
    let mut sim = simulation(include_str!("../etc/examples/sbau-bms.toml"), [10_000, 8_000, 6_000]);
    run_to(&mut sim, 120);
    let heard = |sim: &Simulation| sim.control().core().bms_state(0).and_then(|b| b.newest()).map(|s| s.taken);
    assert!(sim.control().decision().batteries[0].setpoint_w > 15_000);
    sim.site().faults().set(1 + 2, Fault::Silent);
    run_to(&mut sim, 122);
    let newest = heard(&sim);
    sim.director().take(standing(121_500, true));
    run_to(&mut sim, 123);
    assert!(sim.control().decision().batteries[0].setpoint_w > 15_000);
    sim.director().take(standing(122_500, false));
    run_to(&mut sim, 124);
    let decision = sim.control().decision().batteries[0];
    assert_eq!((decision.setpoint_w, decision.objection), (0, Some(Objection::Discharging)), "{decision:?}");
    // Allowing it again takes a BMS that lives.
    sim.director().take(standing(123_500, true));
    run_to(&mut sim, 125);
    assert_eq!(sim.control().decision().batteries[0].setpoint_w, 0);
    assert_eq!(heard(&sim), newest, "nobody has heard it");
    sim.site().faults().clear_all(1 + 2);
    run_to(&mut sim, 150);
    let decision = sim.control().decision().batteries[0];
    assert!(decision.setpoint_w > 15_000 && decision.objection.is_none(), "{decision:?}");
}

// ---- the end ----

/// What was written to the battery at the stop, s after the start: address and value.
fn at_the_stop(text: &str, load_w: [i64; 3], silent: bool) -> (Option<Objection>, Vec<(u16, u16)>, Simulation) {
    let mut sim = simulation(text, load_w);
    run_to(&mut sim, 60);
    if silent {
        sim.site().faults().set(1 + 2, Fault::Silent);
        run_to(&mut sim, 125);
    }
    let before = sim.site().events().count();
    let objection = sim.control().decision().batteries[0].objection;
    assert!(sim.stop(), "acknowledged");
    let written = sim.site().events().skip(before).map(|e| (e.address, e.value)).collect();
    (objection, written, sim)
}

#[test]
fn at_the_stop_a_battery_whose_bms_objects_is_left_at_0_w() {
    let usual = include_str!("../etc/examples/sbau-bms.toml")
        .replace("device = \"powerpack\"", "device = \"tesla\"\nsettings = { release_mode = \"site control\" }");
    let discharges_never = usual.replace("max_discharge_a = 120", "max_discharge_a = 0");
    let charges_never = usual.replace("max_charge_a = 100", "max_charge_a = 0");
    // 1000: the mode; 2 is its own control. 1020: the setpoint.
    let mode = |written: &[(u16, u16)]| written.iter().filter(|w| w.0 == 1000).map(|w| w.1).next_back();
    let setpoint = |written: &[(u16, u16)]| written.iter().filter(|w| [1020, 1021].contains(&w.0)).map(|w| w.1).collect::<Vec<_>>();
    let (objection, written, _) = at_the_stop(&usual, [8000; 3], false);
    assert_eq!((objection, mode(&written)), (None, Some(2)), "{written:?}");
    for (text, load_w, silent, expected) in [
        (&discharges_never, [-8000; 3], false, Objection::Discharging),
        (&charges_never, [8000; 3], false, Objection::Charging),
        (&usual, [8000; 3], true, Objection::Silence),
    ] {
        let (objection, written, sim) = at_the_stop(text, load_w, silent);
        assert_eq!((objection, mode(&written)), (Some(expected), None), "{written:?}");
        assert!(setpoint(&written).iter().all(|w| *w == 0) && !written.is_empty(), "{written:?}");
        let s = sim.now().as_ms() / 1000 + 5;
        sim.site().advance_to(s * 1000);
        assert!(sim.site().battery_w(0).abs() < 200, "{expected:?}: {} W", sim.site().battery_w(0));
    }
}

/// Where the configuration wants a release when a BMS is lost, the stop does not take it back.
#[test]
fn a_battery_that_was_released_because_its_bms_is_lost_stays_so() {
    let text = include_str!("../etc/examples/sbau-bms.toml");
    let text = format!("{text}\n[control]\nfallback = \"release\"\n");
    let (objection, written, _) = at_the_stop(&text, [8000; 3], true);
    assert_eq!((objection, written.len()), (None, 0), "{written:?}");
}

#[test]
fn at_the_stop_limits_let_through_only_what_the_bms_allows() {
    let sax = "device = \"sax\"\ncontrol = \"limits\"";
    let usual = include_str!("../etc/examples/sbau-bms.toml")
        .replace("device = \"powerpack\"\nphase = \"all\"", &format!("{sax}\nphase = \"L1\""))
        .replace("balance = \"sum\"\n", "")
        .replace("300000            #", "5800 #")
        .replace("max_charge_w = 100000", "max_charge_w = 3500")
        .replace("max_discharge_w = 100000", "max_discharge_w = 4600");
    let limits = |text: &str, silent: bool| {
        let (objection, _, sim) = at_the_stop(text, [2000; 3], silent);
        let (discharge_w, charge_w) = sim.site().battery(0).map(|b| b.limits_w(sim.now().as_ms())).expect("a SAX");
        (objection, charge_w, discharge_w)
    };
    assert_eq!(limits(&usual, false), (None, 3500, 4600));
    let stops = |what: &str| usual.replace(&format!("{what} = 1"), &format!("{what} = 0 # 1"));
    assert_eq!(limits(&stops("max_discharge_a"), false), (Some(Objection::Discharging), 3500, 0));
    assert_eq!(limits(&stops("max_charge_a"), false), (Some(Objection::Charging), 0, 4600));
    assert_eq!(limits(&usual, true), (Some(Objection::Silence), 0, 0));
}

#[test]
fn a_device_without_the_model_is_a_fault_and_is_asked_again() {
    let other: Vec<_> = sunspec().into_iter().map(|(at, v)| if at == MODEL { (at, 803) } else { (at, v) }).collect();
    let mut desk = Desk::new("sunspec-802", Settings::new(), StaticLimits::default(), &other);
    let reports = desk.run(5000, |_, _| {});
    assert!(!reports.is_empty() && reports.iter().all(|r| r.sample.is_none() && r.fault.is_some()), "{reports:?}");
    desk.registers.put(&[(MODEL, 802)]);
    let reports = desk.run(12_000, |ms, shared| shared.put(&[(MODEL + 18, (ms / 1000) as u16)]));
    assert!(reports.last().is_some_and(|r| r.sample.is_some()), "{:?}", reports.last());
}

#[test]
fn a_model_that_does_not_fit_is_not_read_in_part() {
    let end = [(50_000, 0x5375), (50_001, 0x6e53), (50_002, 1), (50_003, 15_496), (65_500, 802), (65_501, 62)];
    let mut desk = Desk::new("sunspec-802", Settings::new(), StaticLimits::default(), &end);
    let reports = desk.run(3000, |_, _| {});
    let said: Vec<_> = reports.iter().filter_map(|r| r.fault.as_ref()).map(ToString::to_string).collect();
    assert!(!said.is_empty() && said.iter().all(|s| s.contains("would begin at register 65500")), "{said:?}");
}

#[test]
fn a_bms_counts_once_in_the_load_of_its_bus() {
    let tcp = "link.tcp = { host = \"192.168.1.21\", port = 2404 }";
    let text = include_str!("../etc/examples/sbau-bms.toml");
    assert!(text.contains(tcp));
    let library = library();
    let text = text.replace(tcp, "link.rtu = { port = \"/dev/bms\", baud = 9600, timeout_ms = 1000 }");
    let plan = plan(&config::parse(&text, &library).unwrap_or_else(|f| panic!("{}", f.render("sbau.toml"))), &library);
    let blocks = bms_requests(&plan.bmses[0].spec.profile);
    // 10 bits a character at 9600 baud, once a second; a silence of 3.5 characters before each frame. 0.1 % of a second is a millisecond.
    let characters: f64 = blocks.iter().map(|b| 13.0 + 2.0 * f64::from(b.count) + 7.0).sum();
    let expected_pm = characters * 10_000.0 / 9600.0;
    let [load] = &bus_loads(&plan)[..] else { panic!() };
    let beyond = load.busy_pm as f64 - expected_pm;
    assert!((-1.0..=blocks.len() as f64).contains(&beyond), "{} instead of {expected_pm}", load.busy_pm);
}

#[test]
fn without_the_control_thread_a_battery_under_a_bms_rests() {
    let library = library();
    let text = format!("{}\n[control]\nfallback = \"release\"\n", include_str!("../etc/examples/sbau-bms.toml"));
    let plan = plan(&config::parse(&text, &library).unwrap_or_else(|f| panic!("{}", f.render("sbau.toml"))), &library);
    assert_eq!(plan.batteries[0].spec.fallback, Command::Setpoint(0));
}

/// The fallback must be there when the heartbeat timeout is over, even where the others on the battery's link hang.
#[test]
fn a_bms_is_lost_sooner_where_the_link_of_its_battery_may_be_busy() {
    let text = include_str!("../etc/examples/sbau-bms.toml");
    let library = library();
    let lost = |text: &str| {
        let plan = plan(&config::parse(text, &library).unwrap_or_else(|f| panic!("{}", f.render("sbau.toml"))), &library);
        plan.site.batteries[0].bms.expect("a BMS").lost
    };
    assert_eq!(lost(text), Span::from_s(58), "each has a link of its own");
    // Array, BMS and meter on one bus: the battery waits for the two others.
    let bus = "link.rtu = { port = \"/dev/bus\", baud = 115200, timeout_ms = 7000, retry_count = 0 }";
    let shared: Vec<_> = text.lines().map(|l| if l.starts_with("link.tcp") { bus } else { l }).collect();
    let shared = shared.join("\n").replace("[battery.bms]", "[battery.bms]\nunit = 5").replace("\"powerpack\"", "\"powerpack\"\nunit = 3");
    assert_eq!(lost(&shared), Span::from_s(58 - 12));
}

// ---- whole sites in virtual time ----

fn simulation(text: &str, load_w: [i64; 3]) -> Simulation {
    let library = library();
    let config = config::parse(text, &library).unwrap_or_else(|f| panic!("{}", f.render("bms.toml")));
    let mut params = SiteParams::new(1, House::Trace(vec![(0, load_w)]), &[]);
    params.meter = MeterParams { latency_ms: 300, noise_w: 5, ..MeterParams::default() };
    let battery = |b: &config::Battery| {
        let wiring = match b.phase {
            config::Phases::All => Wiring::All,
            config::Phases::One(phase) => Wiring::One(phase),
        };
        let usual = BatteryParams {
            phase: wiring,
            capacity_wh: b.capacity_wh.into(),
            max_charge_w: b.max_charge_w.into(),
            max_discharge_w: b.max_discharge_w.into(),
            soc_pm: 500,
            dead_ms: 300,
            tau_ms: 300,
            ..BatteryParams::on(Phase::L1)
        };
        (like_its_profile(usual, &b.device, &library), SaxParams::default())
    };
    params.batteries = config.batteries.iter().map(battery).collect();
    params.devices = devices(&config, &plan(&config, &library), &library);
    Simulation::new(&config, &library, params)
}

fn run_to(sim: &mut Simulation, s: u64) {
    sim.run_until(Time::from_ms(s * 1000));
}

#[test]
fn the_loss_of_a_bms_ends_in_the_fallback_of_its_battery_and_nobody_elses() {
    let sbau = include_str!("../etc/examples/sbau-bms.toml");
    let second = "[[battery]]\nname = \"Other\"\ndevice = \"tesla\"\nphase = \"all\"\npoll_ms = 1000\ncapacity_wh = 100000\n\
                  max_charge_w = 50000\nmax_discharge_w = 50000\nlink.tcp = { host = \"192.168.1.110\" }\n";
    let mut sim = simulation(&format!("{sbau}{second}"), [30_000, 28_000, 26_000]);
    run_to(&mut sim, 120);
    let state = |sim: &Simulation| sim.control().core().bms_state(0).map(|b| b.contact());
    let alarm = |sim: &Simulation| sim.control().core().alarms().holds(Alarm::BmsLost(0));
    let grid_w = |sim: &Simulation| sim.site().grid_w().iter().sum::<i64>();
    assert_eq!((state(&sim), alarm(&sim)), (Some(Contact::Heard), false));
    assert!(grid_w(&sim).abs() < 2000, "{} W", grid_w(&sim));
    let document = sim.control().document(sim.now());
    let bms = document.batteries[0].bms.clone().expect("a BMS");
    assert_eq!((bms.state, bms.charge_allowed, document.batteries[1].bms.is_none()), ("Normal", Some(true), true));
    // The endpoint of the BMS is silent from 120 s on.
    let faults = sim.site().faults();
    // Endpoints: meter 0, Array 1, Other 2, BMS 3; hosts come behind the two batteries.
    faults.set(2 + 3, Fault::Silent);
    run_to(&mut sim, 124);
    let before = sim.control().decision().batteries[0].setpoint_w;
    assert!(before > 20_000, "{before} W");
    run_to(&mut sim, 176);
    assert!(!alarm(&sim), "the alarm comes at 58 s");
    let (left, cap) = (sim.control().decision().batteries[0].setpoint_w, sim.control().decision().batteries[0].capability);
    assert!(left < 9_000 && cap.hard_discharge_w < 9_000 && cap.hard_discharge_w > 0, "{left} W of {cap:?}");
    run_to(&mut sim, 180);
    let decision = sim.control().decision().batteries[0];
    assert!(alarm(&sim) && decision.order == Order::Setpoint { watts: 0, urgent: true }, "{decision:?}");
    assert_eq!((decision.reason, state(&sim)), (Reason::BmsLost, Some(Contact::Lost { good: 0 })));
    let document = sim.control().document(sim.now());
    assert!(document.alarms.iter().any(|a| a.name == "battery Array: BMS Comm Loss"), "{:?}", document.alarms);
    assert_eq!(document.batteries[0].bms.as_ref().map(|b| b.state), Some("Disconnected"));
    // The other one does what it can.
    run_to(&mut sim, 185);
    let w: Vec<i64> = (0..2).map(|k| sim.site().battery_w(k)).collect();
    assert!(w[0].abs() < 200 && w[1] > 48_000, "{w:?}");
    // One answer is not enough, two are.
    faults.clear_all(2 + 3);
    let (mut lost_for, mut answers) = (0, 0);
    for ms in (185_000..200_000).step_by(100) {
        sim.run_until(Time::from_ms(ms));
        if let Some(Contact::Lost { good }) = state(&sim) {
            (lost_for, answers) = (ms - 185_000, answers.max(good));
        }
    }
    assert_eq!((state(&sim), answers), (Some(Contact::Heard), 1), "{lost_for} ms");
    run_to(&mut sim, 230);
    assert!(grid_w(&sim).abs() < 2000, "{} W", grid_w(&sim));
}

#[test]
fn nothing_is_commanded_before_the_bms_has_answered() {
    let sbau = include_str!("../etc/examples/sbau-bms.toml");
    let mut sim = simulation(sbau, [30_000; 3]);
    let faults = sim.site().faults();
    faults.set(1 + 2, Fault::Refuse);
    run_to(&mut sim, 55);
    let decision = sim.control().decision().batteries[0];
    assert_eq!((decision.order, decision.reason), (Order::Silent, Reason::WaitingForBms));
    let writes = sim.site().writes(0);
    assert_eq!(writes, 0);
    run_to(&mut sim, 70);
    assert!(sim.control().core().alarms().holds(Alarm::BmsLost(0)));
    faults.clear_all(1 + 2);
    run_to(&mut sim, 100);
    let w = sim.site().battery_w(0);
    let decision = sim.control().decision().batteries[0];
    // What the array and the configuration allow at its voltage.
    assert_eq!(decision.reason, Reason::DischargeBound(Cause::BmsLimit));
    assert!(w > 30_000 && w <= decision.capability.hard_discharge_w, "{w} W, {decision:?}");
}

#[test]
fn both_heartbeats_of_a_sunspec_bms_keep_its_battery_running() {
    let mut sim = simulation(include_str!("../etc/examples/sunspec-bms.toml"), [8000, 6000, 4000]);
    run_to(&mut sim, 90);
    assert_eq!(sim.control().core().bms_state(0).map(|b| b.contact()), Some(Contact::Heard));
    let grid: i64 = sim.site().grid_w().iter().sum();
    assert!(grid.abs() < 300, "{grid} W");
}
