//! The task of a charger against the simulated one, in virtual time: what it is told and when, and what happens when frames get lost, when it
//! restarts, when it forgets, and when nobody instructs the task any more.
#![allow(missing_docs)]

use std::sync::{Arc, Mutex, MutexGuard};

use sax_controller::config;
use sax_controller::daemon::charger::{ChargerInstruction, ChargerReport, ChargerSpec, ChargerTask};
use sax_controller::daemon::clock::Clock;
use sax_controller::daemon::endpoint::SharedEndpoint;
use sax_controller::daemon::message::{Event, WriteReport};
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::link::fault::Fault as LinkFault;
use sax_controller::plant::car::CarParams;
use sax_controller::plant::charger::{ChargerParams, ChargerState, Told, Written};
use sax_controller::plant::client::SimLink;
use sax_controller::plant::device::{DeviceParams, Serves};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::site::{Site, SiteParams};
use sax_controller::simulate::{Simulation, VirtualClock};
use sax_controller::simulated_devices::{chargers, devices};
use sax_controller::units::{Span, Time};

/// What it falls to by itself, and what it is told without instructions.
const FALLBACK_MA: u32 = 7_000;
const WITHOUT_MA: u32 = 6_000;
/// Firmware before revision 1.8 and before 1.9 of the document.
const BEFORE_1_8: [u16; 7] = [0x4020, 0x4021, 0x4022, 0x4023, 0x4024, 0x4106, 0x4109];
const BEFORE_1_9: [u16; 2] = [0x4024, 0x4109];

struct Rig {
    task: ChargerTask,
    site: Arc<Mutex<Site>>,
    clock: VirtualClock,
    reports: Vec<ChargerReport>,
    writes: Vec<WriteReport>,
}

impl Rig {
    fn new(missing: &[u16]) -> Rig {
        let profile = Arc::new(Library::built_in().unwrap().profile("abb-terra-ac").unwrap().with_settings(&Vec::new()));
        let mut params = SiteParams::new(1, House::Fixed([0; 3]), &[]);
        params.chargers = vec![ChargerParams { missing: missing.to_vec(), ..ChargerParams::default() }];
        let serves = Serves::Charger(0);
        params.devices = vec![DeviceParams { host: 0, unit: 3, profile: Arc::clone(&profile), serves, offset: 0, patience_ms: 0 }];
        let site = Arc::new(Mutex::new(Site::new(params)));
        let endpoint = SharedEndpoint::new(Box::new(SimLink::new(Arc::clone(&site), 0)));
        let spec = ChargerSpec {
            index: 4,
            name: "wallbox".into(),
            profile,
            unit: 3,
            poll: Span::from_s(30),
            first_poll: Time::ZERO,
            retries: 2,
            fallback_ma: FALLBACK_MA,
            without_instruction_ma: WITHOUT_MA,
        };
        let task = ChargerTask::new(spec, endpoint);
        Rig { task, site, clock: VirtualClock::default(), reports: Vec::new(), writes: Vec::new() }
    }

    /// Told this limit from the start on, for ever.
    fn told(missing: &[u16], limit_ma: u32) -> Rig {
        let mut rig = Rig::new(missing);
        rig.instruct(limit_ma, u64::MAX);
        rig
    }

    fn instruct(&mut self, limit_ma: u32, until_ms: u64) {
        self.task.instruct(ChargerInstruction { limit_ma, valid_until: Time::from_ms(until_ms) });
    }

    fn run(&mut self, until_ms: u64) {
        while self.clock.now().as_ms() < until_ms {
            let now = self.clock.now();
            if self.task.wake_at(now) <= now {
                let before = (self.reports.len(), self.writes.len());
                self.task.work(&self.clock, &mut |event| match event {
                    Event::Charger(4, report) => self.reports.push(*report),
                    Event::ChargerWritten(4, report) => self.writes.push(report),
                    other => panic!("{other:?}"),
                });
                if self.task.wake_at(now) <= now && before != (self.reports.len(), self.writes.len()) {
                    continue;
                }
            }
            self.clock.sleep(Span::from_ms(10));
            self.site().advance_to(self.clock.now().as_ms());
        }
    }

    fn site(&self) -> MutexGuard<'_, Site> {
        self.site.lock().unwrap()
    }

    /// Everything that was written, from this time on.
    fn since(&self, from_ms: u64) -> Vec<(u64, Written)> {
        self.site().charger(0).unwrap().told().filter(|t| t.at_ms >= from_ms).map(|t| (t.at_ms, t.what)).collect()
    }

    /// The limits among that, without their times.
    fn limits_since(&self, from_ms: u64) -> Vec<i64> {
        let limit = |told: (u64, Written)| if let Written::LimitMa(ma) = told.1 { Some(ma) } else { None };
        self.since(from_ms).into_iter().filter_map(limit).collect()
    }

    /// Limit, timeout and fallback limit as the charger has them.
    fn has(&self) -> (i64, u16, u16) {
        let site = self.site();
        let charger = site.charger(0).unwrap();
        (charger.limit_ma(), charger.timeout_s(), charger.fallback_a())
    }

    fn requests(&self) -> u64 {
        self.site().charger(0).unwrap().requests()
    }

    /// Somebody else writes to it.
    fn meddle(&self, what: Written) {
        let mut site = self.site();
        let at_ms = site.now_ms();
        site.charger_mut(0).unwrap().tell(Told { at_ms, what });
    }

    fn release(&mut self) -> bool {
        self.task.release(&self.clock, &mut |event| match event {
            Event::ChargerWritten(4, report) => self.writes.push(report),
            other => panic!("{other:?}"),
        })
    }
}

#[test]
fn nothing_is_written_before_the_first_instruction() {
    let mut rig = Rig::new(&[]);
    rig.run(600_000);
    assert_eq!(rig.since(0), []);
    assert!(rig.requests() >= 60, "it is kept alive");
    assert_eq!(rig.reports.len(), 20);
    let values = rig.reports[2].values.clone().unwrap();
    assert_eq!((values.state.as_deref(), values.charging), (Some("charging"), Some(true)));
    assert_eq!((values.current_ma, values.limit_ma), ([Some(16_000); 3], Some(32_000)));
    assert_eq!(values.notices, [""; 0]);
    assert!(rig.release() && rig.since(0).is_empty() && rig.writes.is_empty(), "there is nothing to hand back");
}

#[test]
fn the_first_instruction_brings_the_limit_and_then_the_settings() {
    for (missing, wanted) in [
        (&[][..], vec![Written::LimitMa(10_000), Written::TimeoutS(60), Written::FallbackA(7)]),
        (&BEFORE_1_9, vec![Written::LimitMa(10_000), Written::TimeoutS(60)]),
        (&BEFORE_1_8, vec![Written::LimitMa(10_000)]),
    ] {
        let mut rig = Rig::told(missing, 10_000);
        rig.run(200);
        assert_eq!(rig.since(0).into_iter().map(|(_, what)| what).collect::<Vec<_>>(), wanted);
        assert!(rig.reports.iter().all(|r| r.fault.is_none()) && rig.writes.iter().all(|w| w.fault.is_none()), "{:?}", rig.writes);
        assert_eq!(rig.writes[0].what, "limit 10 A");
        rig.run(1_000);
        let values = rig.reports[0].values.as_ref().unwrap();
        assert_eq!((values.limit_ma, values.written_ma.is_some()), (Some(10_000), missing.len() < 7), "{missing:04x?}");
    }
}

#[test]
fn settings_that_it_has_already_are_left_alone() {
    let mut rig = Rig::new(&[]);
    rig.meddle(Written::FallbackA(7));
    rig.run(35_000);
    rig.instruct(16_000, u64::MAX);
    rig.run(45_000);
    assert_eq!(rig.since(35_000), [(35_000, Written::LimitMa(15_650))], "and a limit beyond most_a is cut");
}

#[test]
fn lowering_goes_at_once_raising_waits_and_all_is_refreshed() {
    let mut rig = Rig::told(&[], 10_000);
    rig.run(5_000);
    rig.instruct(11_000, u64::MAX);
    rig.run(5_500);
    rig.instruct(12_000, u64::MAX);
    rig.run(6_000);
    assert_eq!(rig.since(1_000), [(5_000, Written::LimitMa(11_000))]);
    rig.run(7_500);
    assert_eq!(rig.since(5_100), [(7_000, Written::LimitMa(12_000))]);
    rig.instruct(8_000, u64::MAX);
    rig.run(7_600);
    rig.instruct(0, u64::MAX);
    rig.run(7_700);
    rig.instruct(6_000, u64::MAX);
    rig.run(40_000);
    let wanted = [(7_500, 8_000), (7_600, 0), (9_600, 6_000), (19_600, 6_000), (29_600, 6_000), (39_600, 6_000)];
    assert_eq!(rig.since(7_500), wanted.map(|(at_ms, ma)| (at_ms, Written::LimitMa(ma))));
}

#[test]
fn without_a_fresh_instruction_it_applies_its_own_and_takes_the_next() {
    let mut rig = Rig::new(&[]);
    rig.instruct(16_000, 15_000);
    rig.run(20_000);
    assert_eq!(rig.since(14_000)[0], (15_000, Written::LimitMa(i64::from(WITHOUT_MA))));
    rig.instruct(16_000, 60_000);
    rig.run(20_100);
    assert_eq!(rig.limits_since(20_000), [15_650]);
    rig.run(59_000);
    assert_eq!(rig.has(), (15_650, 60, 7));
    rig.run(61_000);
    assert_eq!(rig.has().0, i64::from(WITHOUT_MA));
}

#[test]
fn a_lost_write_is_not_sent_again_but_the_newest_limit() {
    let mut rig = Rig::told(&[], 10_000);
    rig.run(5_000);
    rig.site().faults().set(0, Fault::Silent);
    rig.instruct(8_000, u64::MAX);
    rig.run(7_500);
    rig.instruct(9_000, u64::MAX);
    rig.run(9_000);
    rig.instruct(6_500, u64::MAX);
    rig.site().faults().clear_all(0);
    rig.run(20_000);
    assert_eq!(rig.limits_since(5_000)[0], 6_500);
    assert!(rig.writes.iter().any(|w| w.what == "limit 8 A" && w.fault == Some(LinkFault::Timeout)));
}

#[test]
fn a_dead_charger_is_tried_more_and_more_rarely() {
    let mut rig = Rig::told(&[], 10_000);
    rig.run(5_000);
    rig.site().faults().set(0, Fault::Silent);
    rig.run(125_000);
    let tries = rig.writes.iter().filter(|w| w.fault.is_some()).count();
    assert!((10..=18).contains(&tries), "{tries} in two minutes");
    let polls = rig.reports.iter().filter(|r| r.fault.is_some()).count();
    assert!((8..=12).contains(&polls), "{polls}");
    rig.site().faults().clear_all(0);
    rig.run(140_000);
    assert_eq!(rig.has(), (10_000, 60, 7), "back within seconds");
}

#[test]
fn many_lost_frames_do_not_keep_the_limit_away() {
    let mut rig = Rig::told(&[], 10_000);
    rig.site().faults().set(0, Fault::LoseReply { permille: 300 });
    rig.run(30_000);
    rig.site().faults().set(0, Fault::LoseRequest { permille: 200 });
    for k in 0..40_u32 {
        let limit_ma = if k % 2 == 0 { 6_000 } else { 12_000 };
        rig.instruct(limit_ma, u64::MAX);
        rig.run(30_000 + u64::from(k + 1) * 30_000);
        assert_eq!(rig.has(), (i64::from(limit_ma), 60, 7), "{k}");
    }
}

#[test]
fn refusals_are_tried_again_after_a_while_and_settings_after_minutes() {
    let mut rig = Rig::told(&[], 10_000);
    rig.site().faults().set(0, Fault::Exception(6));
    rig.run(20_000);
    assert!(rig.writes.iter().all(|w| w.fault == Some(LinkFault::Exception(6))) && rig.writes.len() >= 3);
    assert!(rig.reports.iter().all(|r| r.fault == Some(LinkFault::Exception(6)) && r.values.is_none()));
    rig.site().faults().clear_all(0);
    rig.run(32_000);
    assert_eq!(rig.has(), (10_000, 60, 7), "a charger that was busy is not taken for an old one");

    // The one has no fallback register; the other takes it at once. Until the refused write is tried again they are asked equally often.
    let (mut without, mut with) = (Rig::told(&[0x4109], 10_000), Rig::told(&[], 10_000));
    for rig in [&mut without, &mut with] {
        rig.run(299_000);
    }
    assert_eq!(without.requests(), with.requests());
    for rig in [&mut without, &mut with] {
        rig.run(302_000);
    }
    assert_eq!(without.requests(), with.requests() + 1);
    assert!(without.writes.iter().all(|w| w.what.starts_with("limit") || w.what.starts_with("communication")));
}

#[test]
fn what_somebody_else_writes_is_written_over() {
    let mut rig = Rig::told(&[], 10_000);
    rig.run(25_000);
    for (what, has) in [(Written::LimitMa(32_000), 10_000), (Written::LimitMa(6_000), 10_000)] {
        rig.meddle(what);
        let begun = rig.clock.now().as_ms();
        rig.run(begun + 31_000);
        assert_eq!(rig.has().0, has);
    }
    rig.meddle(Written::FallbackA(16));
    rig.meddle(Written::TimeoutS(3_600));
    rig.run(130_000);
    assert_eq!(rig.has(), (10_000, 60, 7));
}

#[test]
fn a_limit_that_is_exceeded_is_noticed_without_the_newer_registers() {
    let mut rig = Rig::told(&BEFORE_1_8, 10_000);
    // Shortly after a refresh and before the poll at 30 s.
    rig.run(21_000);
    rig.meddle(Written::LimitMa(32_000));
    rig.run(30_500);
    let of_30_s = rig.since(29_000);
    assert_eq!(of_30_s.iter().filter(|(_, what)| *what == Written::LimitMa(10_000)).count(), 1, "{of_30_s:?}");
    assert_eq!(rig.has().0, 10_000);
}

#[test]
fn a_charger_that_does_not_keep_its_limit_is_talked_about() {
    let mut rig = Rig::told(&[], 10_000);
    rig.run(10_000);
    rig.site().faults().set(0, Fault::FrozenRegisters);
    rig.instruct(8_000, u64::MAX);
    rig.run(75_000);
    assert!(rig.reports.iter().all(|r| r.values.as_ref().unwrap().notices.is_empty()));
    rig.run(100_000);
    assert_eq!(rig.reports.last().unwrap().values.as_ref().unwrap().notices, ["it does not keep the limit that it is told"]);
    assert!(rig.limits_since(11_000).len() < 20, "it is not told all the time");
    rig.site().faults().clear_all(0);
    rig.run(125_000);
    assert_eq!(rig.reports.last().unwrap().values.as_ref().unwrap().notices, [""; 0]);
}

#[test]
fn a_car_that_draws_more_than_it_is_told_is_talked_about_whatever_the_charger_says() {
    let mut rig = Rig::told(&[], 16_000);
    // It takes its time, so that it does not follow before 310 s.
    let car = rig.site().charger(0).unwrap().car().params().clone();
    rig.site().charger_mut(0).unwrap().set_car(CarParams { follow_ms: 100_000, ..car });
    rig.run(205_000);
    let drawn = rig.site().cars_ma();
    assert_eq!(drawn, [15_650; 3]);
    rig.instruct(8_000, u64::MAX);
    rig.run(237_000);
    let notices = |rig: &Rig| rig.reports.last().unwrap().values.as_ref().unwrap().notices.clone();
    assert_eq!((rig.has().0, notices(&rig)), (8_000, vec![]), "the limit is there, and once is no proof");
    rig.run(298_000);
    assert_eq!(notices(&rig), ["it does not keep the limit that it is told"]);
    rig.run(400_000);
    let drawn = rig.site().cars_ma();
    assert_eq!((drawn, notices(&rig)), ([8_000; 3], vec![]));
}

#[test]
fn after_a_restart_it_gets_everything_anew() {
    for (missing, has) in [(&[][..], (10_000, 60, 7)), (&BEFORE_1_9, (10_000, 60, 256)), (&BEFORE_1_8, (10_000, 60, 256))] {
        let mut rig = Rig::told(missing, 10_000);
        rig.run(100_000);
        rig.site().reboot_charger(0, 12_000);
        assert_eq!(rig.has(), (32_000, 60, 256));
        // It is back at 112 s; writes are tried every 10 s at least.
        rig.run(123_000);
        assert_eq!(rig.has(), has, "{missing:04x?}");
        let told: Vec<_> = rig.since(100_000).into_iter().map(|(_, what)| what).collect();
        assert_eq!(told[0], Written::LimitMa(10_000));
    }
}

#[test]
fn it_is_left_at_its_fallback_limit() {
    let mut rig = Rig::told(&[], 12_000);
    rig.run(50_000);
    assert!(rig.release());
    assert_eq!(rig.limits_since(50_000), [i64::from(FALLBACK_MA)]);
    assert_eq!(rig.writes.last().unwrap().what, "limit 7 A");

    let mut rig = Rig::told(&[], 12_000);
    rig.run(50_000);
    rig.site().faults().set(0, Fault::Silent);
    assert!(!rig.release(), "it did not say that it took it");
    assert_eq!(rig.writes.iter().filter(|w| w.fault.is_some()).count(), 2);
}

/// A house without a battery, a meter that tells its currents, and the charger on a serial bus.
const ON_A_BUS: &str = "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n\
    [meter]\ndevice = \"p1\"\nlink.serial = { port = \"/dev/ttyP1\" }\n\
    [load_balancer]\n[[charger]]\nname = \"wallbox\"\ndevice = \"abb-terra-ac\"\nlink.rtu = { port = \"/dev/ttyRS485\", baud = 9600 }\n\
    fallback_limit_a = 6\n";

#[test]
fn without_instructions_all_chargers_together_keep_to_the_fallback_limit() {
    let library = Library::built_in().unwrap();
    let second = "[[charger]]\nname = \"yard\"\ndevice = \"abb-terra-ac\"\nlink.tcp = { host = \"192.0.2.10\" }\nfallback_limit_a = 16\n";
    let text = ON_A_BUS.replacen("[load_balancer]\n", "[load_balancer]\nfallback_limit_a = 14\n", 1) + second;
    let config = config::parse(&text, &library).unwrap_or_else(|f| panic!("{}", f.render("two")));
    let told = plan(&config, &library).chargers.iter().map(|placed| placed.spec.without_instruction_ma).collect::<Vec<_>>();
    assert_eq!(told, [6_000, 7_000]);
}

#[test]
fn the_whole_controller_charges_a_car_over_a_bus() {
    let library = Library::built_in().unwrap();
    let config = config::parse(ON_A_BUS, &library).unwrap_or_else(|f| panic!("{}", f.render("bus")));
    let mut params = SiteParams::new(1, House::Fixed([300, 400, 500]), &[]);
    params.meter.noise_w = 0;
    let plan = plan(&config, &library);
    assert_eq!((plan.chargers[0].spec.without_instruction_ma, plan.chargers[0].spec.fallback_ma), (0, 6_000), "the lesser of both");
    params.devices = devices(&config, &plan, &library);
    params.chargers = chargers(&config, &House::Fixed([0; 3]));
    let mut sim = Simulation::new(&config, &library, params);
    sim.run_until(Time::from_ms(300_000));
    let site = sim.site();
    let charger = site.charger(0).unwrap();
    assert_eq!((charger.state(300_000), site.cars_ma(), charger.fallback_a()), (ChargerState::Charging, [15_650; 3], 6));
    assert!(site.grid_w().iter().all(|w| *w < 25 * 230));
    drop(site);

    sim.site().reboot_charger(0, 20_000);
    sim.run_until(Time::from_ms(420_000));
    let site = sim.site();
    let charger = site.charger(0).unwrap();
    assert_eq!((charger.fallback_a(), charger.limit_ma(), charger.state(420_000)), (6, 15_650, ChargerState::Charging));
    drop(site);

    assert!(sim.stop());
    assert_eq!(sim.site().charger(0).unwrap().limit_ma(), 6_000);
}
