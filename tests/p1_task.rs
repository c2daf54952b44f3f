//! The task of a P1 meter: what it makes of telegrams, faults and silence, in virtual time.

#[path = "common/telegrams.rs"]
mod telegrams;

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sax_controller::config::{self, TelegramLink};
use sax_controller::daemon::clock::Clock;
use sax_controller::daemon::control::ControlTask;
use sax_controller::daemon::director::Device;
use sax_controller::daemon::message::{Event, MeterReport};
use sax_controller::daemon::p1::source::ByteSource;
use sax_controller::daemon::p1::{P1Spec, P1Task};
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::p1::Checksum;
use sax_controller::units::{Span, Time};
use telegrams::*;

struct Hand(Cell<Time>);

impl Clock for Hand {
    fn now(&self) -> Time {
        self.0.get()
    }

    fn sleep(&self, span: Span) {
        self.0.set(self.0.get() + span);
    }

    fn wall_s(&self) -> i64 {
        0
    }
}

/// What the next reads bring.
#[derive(Clone, Default)]
struct Script(Arc<Mutex<VecDeque<io::Result<Vec<u8>>>>>, Arc<Mutex<u64>>);

impl Script {
    fn bring(&self, bytes: &[u8]) {
        self.0.lock().unwrap().push_back(Ok(bytes.to_vec()));
    }
}

impl ByteSource for Script {
    fn name(&self) -> &str {
        "script"
    }

    fn generation(&self) -> u64 {
        *self.1.lock().unwrap()
    }

    fn read(&mut self, buffer: &mut [u8], _patience: Duration) -> io::Result<usize> {
        match self.0.lock().unwrap().pop_front() {
            None => Ok(0),
            Some(Err(error)) => Err(error),
            Some(Ok(bytes)) => {
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            }
        }
    }
}

struct Bench {
    task: P1Task,
    script: Script,
    clock: Hand,
}

impl Bench {
    fn new(interval_ms: u64, balance_sum: bool) -> Bench {
        let spec = P1Spec {
            device: "p1".into(),
            link: TelegramLink::Tcp { host: "nowhere".into(), port: 1 },
            forward: None,
            interval: Span::from_ms(interval_ms),
            checksum: Checksum::Arc,
            balance_sum,
            nominal_mv: 230_000,
        };
        let script = Script::default();
        Bench { task: P1Task::new(spec, Box::new(script.clone()), None), script, clock: Hand(Cell::new(Time::ZERO)) }
    }

    /// What is reported after this much time.
    fn after(&mut self, ms: u64) -> Vec<MeterReport> {
        self.clock.sleep(Span::from_ms(ms));
        let mut all = Vec::new();
        self.task.work(&self.clock, &mut |event| match event {
            Event::Meter(report) => all.push(report),
            other => panic!("{other:?}"),
        });
        all
    }

    /// The one report that these bytes lead to.
    #[track_caller]
    fn says(&mut self, bytes: &[u8]) -> MeterReport {
        self.script.bring(bytes);
        let mut all = self.after(1_000);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }
}

fn said(reports: &[MeterReport]) -> Vec<String> {
    reports.iter().map(|r| r.fault.as_ref().map_or_else(|| "good".into(), ToString::to_string)).collect()
}

#[test]
fn a_telegram_is_a_sample_of_the_moment_its_end_came() {
    let mut bench = Bench::new(1_000, false);
    let (head, tail) = EXPORT.split_at(500);
    bench.script.bring(head);
    assert_eq!(bench.after(100), []);
    let report = bench.says(tail);
    let sample = report.sample.unwrap();
    assert_eq!((report.fault, report.device.as_str(), report.link.name.as_str()), (None, "p1", "script"));
    assert_eq!((sample.taken, sample.total_w), (Time::from_ms(1_100), Some(-5_061)));
    let phases = sample.phases.unwrap();
    assert_eq!(phases.map(|p| p.power_w), [-1_700, -1_700, -1_661]);
    assert_eq!(phases.map(|p| p.current_ma), [Some(-7_000), Some(-7_000), Some(-6_000)]);
    assert_eq!(phases.map(|p| p.voltage_mv), [Some(234_000), Some(236_000), Some(236_000)]);
    assert!(!sample.phases_missing && !sample.phases_apportioned && sample.phase_print_is_lively);
    assert_eq!(sample.phase_print, Some(sample.total_print));
}

#[test]
fn only_an_identical_telegram_looks_the_same() {
    let mut bench = Bench::new(1_000, false);
    let print = |report: MeterReport| report.sample.unwrap().phase_print.unwrap();
    let first = print(bench.says(T210D));
    assert_eq!(print(bench.says(T210D)), first);
    // The same values a second later.
    let end = T210D.iter().rposition(|b| *b == b'!').unwrap();
    let later = String::from_utf8(T210D[..end].to_vec()).unwrap().replace("170525W", "170526W").replace('\r', "");
    let later = bench.says(&sealed(&later));
    assert_eq!(later.sample.unwrap().total_w, Some(258));
    assert_ne!(print(later), first);
}

#[test]
fn a_connection_with_one_phase_is_that_phase() {
    let sample = Bench::new(1_000, false).says(ISK).sample.unwrap();
    let phases = sample.phases.unwrap();
    assert_eq!(phases.map(|p| p.power_w), [193, 0, 0]);
    assert_eq!(phases.map(|p| p.voltage_mv), [Some(236_100), Some(0), Some(0)]);
    assert!(
        !sample.phases_apportioned
            && sample.is_plausible([true, false, false], 60_000)
            && !sample.is_plausible([true, true, false], 60_000)
    );
}

/// What a person sees who has a meter on one phase and names batteries on others.
#[test]
fn a_battery_on_a_phase_that_the_meter_does_not_have_is_said_with_its_phase() {
    let battery = |name: &str, phase: &str, role: &str| {
        format!(
            "[[battery]]\nname = \"{name}\"\ndevice = \"sax\"\nphase = \"{phase}\"\nrole = \"{role}\"\nlink.tcp = {{ host = \"192.0.2.{}\" }}\npoll_ms = 1000\n",
            phase.trim_start_matches('L')
        )
    };
    let site = "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[meter]\ndevice = \"p1\"\nlink.serial = { port = \"/dev/p1\" }\n";
    let text = [site, &battery("A", "L1", "master"), &battery("B", "L2", "slave"), &battery("C", "L3", "slave")].concat();
    let library = Library::built_in().unwrap();
    let config = config::parse(&text, &library).unwrap_or_else(|f| panic!("{}", f.render("text")));
    let mut control = ControlTask::new(config.clone(), &plan(&config, &library));
    let mut bench = Bench::new(1_000, false);
    for _ in 0..3 {
        control.take(Event::Meter(bench.says(ISK)));
    }
    let alarms: Vec<_> = control.document(bench.clock.now()).alarms.into_iter().map(|a| a.name).collect();
    let expected = "meter: values that cannot be (L2: 0 W at 0 V although a battery is connected there)";
    assert!(alarms.iter().any(|name| name == expected), "{alarms:?}");
}

#[test]
fn a_total_alone_serves_a_site_that_nets_its_phases() {
    let refused = Bench::new(10_000, false).says(V2_2);
    let sample = refused.sample.unwrap();
    assert_eq!((sample.total_w, sample.phases, sample.phases_missing), (Some(1_010), None, true));
    let text = "Invalid response: the telegrams hold no power per phase; with balance = \"sum\" in [site] their total will do for control";
    assert_eq!(refused.fault.unwrap().to_string(), text);
    let netted = Bench::new(10_000, true).says(V2_2);
    let sample = netted.sample.unwrap();
    assert_eq!((netted.fault, sample.phases_missing, sample.phases_apportioned), (None, false, true));
    assert_eq!(sample.phases.unwrap().map(|p| p.power_w), [336, 337, 337]);
    // With currents: 3, 4 and 3 A.
    let hungary = sealed(
        "/SAG5SAG-METER\n\n0-0:1.0.0(220812114500S)\n1-0:1.7.0(00.000*kW)\n1-0:2.7.0(02.600*kW)\n1-0:32.7.0(235.9*V)\n1-0:52.7.0(236.2*V)\n\
         1-0:72.7.0(238.6*V)\n1-0:31.7.0(003*A)\n1-0:51.7.0(004*A)\n1-0:71.7.0(003*A)\n",
    );
    let sample = Bench::new(10_000, true).says(&hungary).sample.unwrap();
    let phases = sample.phases.unwrap();
    assert_eq!(phases.iter().map(|p| p.power_w).sum::<i64>(), -2_600);
    assert!(phases.iter().all(|p| p.power_w < -700 && p.current_ma.unwrap() < 0));
    assert!(sample.phases_apportioned && sample.phase_print.is_some());
    // Measured phases stay as they are.
    assert!(!Bench::new(1_000, true).says(T210D).sample.unwrap().phases_apportioned);
}

#[test]
fn flaws_are_counted_and_the_newest_telegram_is_the_sample() {
    let mut bench = Bench::new(1_000, false);
    let bad = bench.says(WRONG_CRC);
    assert_eq!((said(std::slice::from_ref(&bad)), bad.sample, bad.link.counters.crc), (vec!["CRC Error".to_owned()], None, 1));
    bench.script.bring(CUT_THEN_GOOD);
    bench.script.bring(TWO);
    let all = bench.after(1_000);
    assert_eq!((all.len(), all[1].fault.clone()), (2, None));
    assert_eq!(said(&all), ["Short frame (500 bytes)", "good"]);
    assert_eq!(all[1].sample.unwrap().phases.unwrap()[0].current_ma, Some(9_000));
    assert_eq!(all[1].link.counters.requests, 5);
    // However many there are.
    for _ in 0..30 {
        bench.script.bring(WRONG_CRC);
    }
    let all = bench.after(1_000);
    assert_eq!((all.len(), all[0].link.counters.crc), (4, 31));
}

#[test]
fn silence_is_a_timeout_and_bytes_alone_do_not_end_it() {
    let mut bench = Bench::new(1_000, false);
    assert_eq!(bench.task.wake_at(Time::ZERO), Time::ZERO);
    bench.says(T210D);
    let mut timeouts = 0;
    for second in 1..=12 {
        bench.script.bring(b"0-0:96.13.0(noise)\r\n");
        let all = bench.after(1_000);
        timeouts += all.len();
        assert_eq!(timeouts, second / 3, "after {second} s");
        assert!(said(&all).iter().all(|text| text == "Timeout"), "{all:?}");
    }
    // A telegram without a usable total is no silence, but no sample either.
    let useless = bench.says(&sealed("/XYZ5 meter\n\n0-0:1.0.0(220812114500S)\n1-0:1.7.0()\n"));
    assert_eq!((useless.sample, useless.link.counters.timeout), (None, 4));
}

#[test]
fn a_new_connection_never_joins_two_halves() {
    let mut bench = Bench::new(1_000, false);
    bench.script.bring(&T210D[..400]);
    assert_eq!(bench.after(100), []);
    bench.script.0.lock().unwrap().push_back(Err(io::Error::other("unplugged")));
    let gone = bench.after(100);
    assert_eq!((said(&gone), gone[0].link.counters.io), (vec!["I/O error: unplugged".to_owned()], 1));
    *bench.script.1.lock().unwrap() += 1;
    bench.script.bring(&T210D[400..]);
    assert_eq!(bench.after(100), []);
    assert_eq!(bench.says(I_26).fault, None);
}

#[test]
fn telegrams_that_come_more_rarely_than_configured_are_said() {
    let run = |configured_ms: u64, gap_ms: u64| {
        let mut bench = Bench::new(configured_ms, false);
        let mut last = None;
        for _ in 0..8 {
            bench.script.bring(V4_2);
            last = bench.after(gap_ms).pop();
        }
        last.unwrap()
    };
    let slow = run(1_000, 10_050);
    assert!(slow.sample.is_some());
    let text = "Invalid response: telegrams come every 10 s and not every 1.0 s; [meter] poll_ms = 10000 says so";
    assert_eq!(slow.fault.unwrap().to_string(), text);
    assert_eq!(run(10_000, 10_050).fault, None);
    assert_eq!(run(1_000, 1_400).fault, None);
    assert_eq!(run(10_000, 1_000).fault, None, "more often is welcome");
}
