//! A commissioning with the real tasks against a simulated house in virtual time: whatever is wrong is found, nothing is moved too far, and
//! every battery is released.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;

use sax_controller::commission::finding::{Follows, Issue, Outcome};
use sax_controller::commission::guard::may_rest;
use sax_controller::commission::machine::Commission;
use sax_controller::commission::report::{changes, report};
use sax_controller::commission::setup::{Setup, planned, prepared};
use sax_controller::commission::timing::Averaging;
use sax_controller::config::Encoding;
use sax_controller::control::input::{MeterSample, PhaseSample};
use sax_controller::control::site::Connection;
use sax_controller::device::library::Library;
use sax_controller::plant::battery::Control;
use sax_controller::plant::battery_params::{Banks, Encoding41};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::site::{Site, SiteParams};
use sax_controller::simulate::Simulation;
use sax_controller::simulated_devices::devices;
use sax_controller::units::{Phase, Span, Time};

const POWER_W: i64 = 400;
const LOADS: House = House::Fixed([600, 900, 300]);

/// Usual delays: meter 0.6 s with a refresh every second, battery 0.4 s.
fn params(number: u64) -> SiteParams {
    SiteParams::new(number, LOADS, &Phase::ALL)
}

fn old_firmware(params: SiteParams) -> SiteParams {
    house::with_sax(params, |_, sax| sax.banks = Banks { basic: true, extended: true, sunspec: false })
}

struct Run {
    sim: Simulation<Commission>,
    lines: Vec<String>,
    /// Highest power of any battery after it was at rest, W.
    highest_w: i64,
}

impl Run {
    fn new(text: &str, library: &Library, params: SiteParams) -> Run {
        let config = prepared(&sax_controller::config::parse(text, library).unwrap_or_else(|f| panic!("{}", f.render("test"))));
        let plan = planned(&config, library);
        let commission = Commission::new(Setup::new(&config, &plan, POWER_W));
        Run { sim: Simulation::under(commission, plan, &config, params), lines: Vec::new(), highest_w: 0 }
    }

    fn step(&mut self) -> bool {
        let until = self.sim.now() + Span::from_ms(50);
        self.sim.run_until(until);
        while let Some(line) = self.sim.director().line() {
            self.lines.push(format!("{:6.2} {line}", self.sim.now().as_ms() as f64 / 1000.0));
        }
        if self.sim.now() > Time::from_ms(9000) {
            let highest = {
                let site = self.sim.site();
                (0..3).map(|k| site.battery_w(k).abs()).max().unwrap_or(0)
            };
            self.highest_w = self.highest_w.max(highest);
        }
        self.sim.director().outcome().is_some()
    }

    fn until(&mut self, what: &str) {
        while !self.lines.iter().any(|l| l.contains(what)) {
            assert!(!self.step(), "never said {what:?}:\n{}", self.lines.join("\n"));
        }
    }

    /// Until this battery is on its way.
    fn until_moved(&mut self, k: usize) {
        while self.sim.site().battery_w(k).abs() < 150 {
            assert!(!self.step(), "it never moved");
        }
    }

    fn end(&mut self) -> Outcome {
        while !self.step() {
            assert!(self.sim.now() < Time::from_ms(400_000), "no end:\n{}", self.lines.join("\n"));
        }
        let outcome = self.sim.director().outcome().cloned().unwrap();
        println!("{}\n{}took {}, highest {} W", self.lines.join("\n"), report(&outcome), outcome.took, self.highest_w);
        assert!(outcome.unreleased.is_empty(), "{:?}", outcome.unreleased);
        self.assert_released();
        self.assert_never_more_than_asked();
        outcome
    }

    /// Every setpoint that was written is one of the probe's, in whatever encoding; except the wrong ones, which are 0 W in another.
    fn assert_never_more_than_asked(&self) {
        let site = self.sim.site();
        for e in site.events().filter(|e| e.address == 41 || e.address == 40049) {
            let raw = i64::from(e.value as i16);
            let watts = if e.address == 41 { if raw > 8000 { raw - 16384 } else { raw } } else { raw * 4600 / 10_000 };
            assert!(watts.abs() <= POWER_W, "{e:?}");
        }
    }

    fn assert_released(&self) {
        let site = self.sim.site();
        for k in 0..site.batteries() {
            assert!(handed_back(&site, k), "battery {k} was not handed back");
        }
    }
}

fn handed_back(site: &Site, k: usize) -> bool {
    let control = site.battery(k).map(|b| b.control(site.now_ms()));
    matches!(control, Some(Control::OwnMeter | Control::Commanded { power_w: 0, .. }))
}

fn text() -> String {
    house::config_text(5000, "", "")
}

fn run(params: SiteParams) -> Outcome {
    Run::new(&text(), &house::library(), params).end()
}

fn phases(outcome: &Outcome) -> Vec<Option<usize>> {
    outcome.findings.iter().map(|f| f.connection.0.map(Connection::slot)).collect()
}

fn assert_window(outcome: &Outcome, latency_ms: u64, period_ms: u64, widest_ms: u64) {
    let window = outcome.window.unwrap_or_else(|| panic!("no window"));
    assert!(window.lo.as_ms() <= latency_ms, "{window:?}");
    assert!(window.hi.as_ms() >= latency_ms + period_ms, "{window:?}");
    assert!(window.hi.as_ms() - window.lo.as_ms() <= widest_ms, "{window:?}");
}

#[test]
fn three_batteries_that_are_as_the_file_says_take_less_than_a_minute() {
    for old in [false, true] {
        for number in 1..5 {
            let params = if old { old_firmware(params(number)) } else { params(number) };
            let mut run = Run::new(&text(), &house::library(), params);
            let outcome = run.end();
            assert!(outcome.fits(), "old {old}, number {number}");
            assert!(outcome.took < Span::from_s(60), "{}", outcome.took);
            assert_eq!(phases(&outcome), [Some(0), Some(1), Some(2)]);
            assert_window(&outcome, 600, 1000, 3800);
            assert!(run.highest_w <= POWER_W + 20, "{}", run.highest_w);
            assert!(changes(&outcome).is_empty());
            for f in &outcome.findings {
                let response = f.response.unwrap();
                assert!(response.dead.as_ms().abs_diff(400) <= 150 && response.lag.as_ms().abs_diff(300) <= 150, "{response:?}");
                assert!(f.scale_pm.unwrap().abs_diff(1000) <= 25, "{:?}", f.scale_pm);
                assert_eq!(f.encoding.0, old.then_some(Encoding::Int16));
            }
            assert_eq!(outcome.learned.movements, 9);
        }
    }
}

/// Any latency, dead time and refresh of the meter, out of step in any way: the window holds them, nothing else is found.
#[test]
fn whatever_the_times_are_the_window_holds_them() {
    let (mut widest, mut longest) = (0, Span::ZERO);
    for n in 0..60_u64 {
        let mut params = params(1000 + n);
        let (latency_ms, period_ms) = (n * 83 % 3000 / 10 * 10, [500, 1000, 1000, 2000][n as usize % 4]);
        params.meter =
            MeterParams { period_ms, phase_ms: n * 170 % period_ms, latency_ms, window_ms: 0, noise_w: 5, ..MeterParams::default() };
        for (k, (battery, _)) in params.batteries.iter_mut().enumerate() {
            battery.dead_ms = 200 + (n * 131 + k as u64 * 400) % 2000;
            battery.tau_ms = 100 + n * 57 % 600;
        }
        let params = if n % 3 == 0 { old_firmware(params) } else { params };
        let outcome = run(params);
        assert!(outcome.findings.iter().all(|f| f.issues.is_empty()), "{n}: {:?}", outcome.findings);
        assert_window(&outcome, latency_ms, period_ms, 10_000);
        let window = outcome.window.unwrap();
        widest = widest.max(window.hi.as_ms() - window.lo.as_ms() - period_ms);
        longest = longest.max(outcome.took);
    }
    println!("at most {widest} ms wider than the refresh period, {longest} at most");
}

#[test]
fn a_wrong_phase_and_exchanged_batteries() {
    let mut wrong = params(11);
    wrong.batteries[1].0.phase = Phase::L3.into();
    let outcome = run(wrong);
    assert_eq!(phases(&outcome), [Some(0), Some(2), Some(2)]);
    assert_eq!(changes(&outcome), ["[[battery]] name = \"B\": phase = \"L3\"  # says \"L2\""]);
    assert!(!outcome.fits());

    let mut exchanged = old_firmware(params(12));
    (exchanged.batteries[0].0.phase, exchanged.batteries[1].0.phase) = (Phase::L2.into(), Phase::L1.into());
    let outcome = run(exchanged);
    assert_eq!(phases(&outcome), [Some(1), Some(0), Some(2)]);
    assert_eq!(changes(&outcome).len(), 2);
    assert!(report(&outcome).contains("A and B are exchanged"));
}

/// The library with one profile changed.
fn library_with(name: &str, profile: &str, change: impl Fn(&str) -> String) -> Library {
    let folder = std::env::temp_dir().join(format!("sax-commission-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = format!("{}/etc/devices/{profile}.toml", env!("CARGO_MANIFEST_DIR"));
    std::fs::write(folder.join("changed.toml"), change(&std::fs::read_to_string(path).unwrap())).unwrap();
    let library = Library::with_folder(&folder).unwrap_or_else(|e| panic!("{e}"));
    std::fs::remove_dir_all(folder).unwrap();
    library
}

#[test]
fn a_wrong_sign() {
    // The reading of the battery.
    let library =
        library_with("reading", "sax-sunspec", |text| text.replace("quantity = \"power_w\"\n", "quantity = \"power_w\"\nscale = -1\n"));
    let outcome = Run::new(&text(), &library, params(21)).end();
    for f in &outcome.findings {
        assert_eq!((f.issues.as_slice(), f.follows), ([Issue::ReadingSign].as_slice(), Follows::Yes), "{f:?}");
    }
    assert!(report(&outcome).contains("the sign of \"power_w\" is wrong"));
    // The phases of the meter.
    let library = library_with("meter", "sax-extended", |text| text.replace("scale = -10\n", "scale = 10\n"));
    let outcome = Run::new(&text(), &library, old_firmware(params(22))).end();
    assert!(outcome.findings.iter().all(|f| f.issues == [Issue::GridSign]), "{:?}", outcome.findings);
    assert!(report(&outcome).contains("the sign of the meter's phases is wrong"));
}

#[test]
fn a_wrong_encoding_in_both_directions() {
    for (said, truth, found) in [("int16", Encoding41::Offset, Encoding::Offset), ("offset", Encoding41::Plain, Encoding::Int16)] {
        for who in [vec![1], vec![0, 1, 2]] {
            let params = house::with_sax(old_firmware(params(31)), |k, sax| {
                let other = if truth == Encoding41::Offset { Encoding41::Plain } else { Encoding41::Offset };
                sax.encoding_41 = if who.contains(&k) { truth } else { other };
            });
            let text = house::config_text(5000, "", &format!("setpoint_encoding = \"{said}\""));
            let mut run = Run::new(&text, &house::library(), params);
            let outcome = run.end();
            for (k, f) in outcome.findings.iter().enumerate() {
                let expected = if who.contains(&k) { &[Issue::Encoding][..] } else { &[] };
                assert_eq!(f.issues, expected, "{f:?}");
                assert!(!who.contains(&k) || f.encoding.0 == Some(found));
            }
            assert_eq!(changes(&outcome).len(), who.len());
            assert!(changes(&outcome)[0].contains(&format!("setpoint_encoding = \"{}\"  # says \"{said}\"", found.name())));
        }
    }
}

#[test]
fn a_battery_that_does_not_follow_or_only_charges() {
    for old in [false, true] {
        let mut deaf = params(41);
        deaf.batteries[1].0.accepts_setpoint = false;
        deaf.batteries[2].0.remote_discharge = false;
        let outcome = run(if old { old_firmware(deaf) } else { deaf });
        let follows: Vec<_> = outcome.findings.iter().map(|f| f.follows).collect();
        assert_eq!(follows, [Follows::Yes, Follows::No, Follows::OnlyCharging]);
        assert_eq!(outcome.findings[1].issues, [Issue::NotFollowing]);
        assert_eq!(outcome.findings[2].issues, [Issue::NotFollowing]);
        assert_eq!(phases(&outcome), [Some(0), None, Some(2)]);
    }
}

#[test]
fn the_window_holds_the_latency_of_the_meter() {
    for latency_ms in [0, 600, 2000, 5000] {
        for (period_ms, window_ms) in [(10, 0), (1000, 0), (1000, 1000), (2000, 0)] {
            let mut params = params(51 + latency_ms);
            params.meter = MeterParams { period_ms, phase_ms: 130, latency_ms, window_ms, noise_w: 5, ..MeterParams::default() };
            let outcome = run(params);
            assert!(outcome.findings.iter().all(|f| f.issues.is_empty()), "{latency_ms} {period_ms}");
            assert_window(&outcome, latency_ms, period_ms, period_ms.max(900) * 4 + 1300);
            assert!(window_ms > 0 || outcome.averaging != Averaging::Yes, "{latency_ms} {period_ms}");
            assert!(window_ms == 0 || outcome.averaging != Averaging::No, "{latency_ms} {period_ms}");
        }
    }
}

#[test]
fn noise_and_a_load_step_in_the_middle() {
    // An appliance that switches 60 W every few seconds, and a noisy meter.
    let switching = |phase: usize| {
        let point = |n: u64| {
            let mut load = [600, 900, 300];
            load[phase] += if n % 2 == 0 { 0 } else { 60 };
            (n * 3700, load)
        };
        House::Trace((0..60).map(point).collect())
    };
    for phase in 0..3 {
        let mut noisy = SiteParams::new(61, switching(phase), &Phase::ALL);
        noisy.meter.noise_w = 15;
        let outcome = run(noisy);
        assert!(outcome.findings.iter().all(|f| f.issues.is_empty()), "{:?}", outcome.findings);
        assert_window(&outcome, 600, 1000, 4000);
    }
    // 1200 W more, on the phase of the battery or on another one, at any moment of its legs.
    for phase in [1, 2] {
        for at_ms in [25_500, 27_500, 28_200, 30_000, 33_100, 36_400] {
            let mut load = [600, 900, 300];
            load[phase] += 1200;
            let stepped = SiteParams::new(62, House::Trace(vec![(0, [600, 900, 300]), (at_ms, load)]), &Phase::ALL);
            let outcome = run(stepped);
            assert!(outcome.findings.iter().all(|f| f.issues.is_empty()), "{at_ms}: {:?}", outcome.findings);
            for f in &outcome.findings {
                assert!(f.scale_pm.unwrap().abs_diff(1000) <= 30, "{at_ms}: {f:?}");
            }
            assert_window(&outcome, 600, 1000, 4000);
        }
    }
}

/// A house that never stays the same leaves the finding open instead of wrong.
#[test]
fn a_restless_house_is_not_clear() {
    let point = |n: u64| (n * 1300, [600, 900 + (n as i64 * 7919) % 1500, 300]);
    let restless = SiteParams::new(63, House::Trace((0..300).map(point).collect()), &Phase::ALL);
    let outcome = run(restless);
    assert!(!outcome.fits());
    let b = &outcome.findings[1];
    assert!(b.issues == [Issue::NotClear] || b.issues.is_empty(), "{b:?}");
    assert!(b.connection.0.is_none_or(|c| c == Connection::Phase(1)), "{b:?}");
}

#[test]
fn the_scale_of_a_reading() {
    for (reading_pm, expected) in [(970, 1031), (1030, 971)] {
        let mut scaled = params(71);
        scaled.batteries[1].0.reading_scale_pm = reading_pm;
        let outcome = run(scaled);
        assert!(outcome.fits());
        let scales: Vec<_> = outcome.findings.iter().map(|f| f.scale_pm.unwrap()).collect();
        assert!(scales[1].abs_diff(expected) <= 15 && scales[0].abs_diff(1000) <= 15, "{scales:?}");
        assert_eq!(outcome.learned.batteries[1].scale_pm, scales[1]);
    }
}

#[test]
fn an_alarm_ends_it_at_once_and_releases() {
    type Trouble = fn(&mut Site);
    let troubles: [(Trouble, &str); 4] = [
        (|site| site.set_extra_load_w([0, 5400, 0]), "too close to the fuse"),
        (|site| site.faults().set(2, Fault::Silent), "battery C does not answer"),
        (|site| site.faults().set(0, Fault::Silent), "does not answer"),
        (
            |site| {
                let now_ms = site.now_ms();
                site.battery_mut(0).unwrap().command(now_ms, 3000);
            },
            "battery A does",
        ),
    ];
    for (trouble, said) in troubles {
        for old in [false, true] {
            let mut run = Run::new(&text(), &house::library(), if old { old_firmware(params(81)) } else { params(81) });
            run.until("B: 0 -> 400 W");
            run.until_moved(1);
            let begun = run.sim.now();
            trouble(&mut run.sim.site());
            while !run.lines.iter().any(|l| l.contains("Stopping")) {
                assert!(run.sim.now().since(begun) < Span::from_s(20), "{said}: {}", run.lines.join("\n"));
                run.step();
            }
            let stopped = run.sim.now().since(begun);
            assert!(stopped <= Span::from_ms(7000), "{stopped}");
            while !run.step() {
                assert!(run.sim.now().since(begun) < Span::from_s(30), "{said}");
            }
            let outcome = run.sim.director().outcome().cloned().unwrap();
            assert!(outcome.stopped.as_ref().is_some_and(|s| s.contains(said)), "{:?} {said}", outcome.stopped);
            let silent: &[&str] = if said.contains("C ") { &["C"] } else { &[] };
            if !said.starts_with("does") {
                assert_eq!(outcome.unreleased, silent);
            }
            run.sim.stop();
            let site = run.sim.site();
            for k in 0..3 {
                let unreachable = !site.faults().active(k).is_empty();
                assert!(unreachable || handed_back(&site, k), "battery {k}, {said}");
            }
        }
    }
}

#[test]
fn a_request_to_stop_ends_it_at_any_moment() {
    for at_ms in (500..60_000).step_by(2750) {
        let mut run = Run::new(&text(), &house::library(), params(91));
        while run.sim.now() < Time::from_ms(at_ms) && !run.step() {}
        let now = run.sim.now();
        run.sim.director().stop("a key was pressed", now);
        while !run.step() {
            assert!(run.sim.now().since(now) < Span::from_s(6), "{}", run.lines.join("\n"));
        }
        assert_eq!(run.sim.director().outcome().unwrap().unreleased, Vec::<String>::new());
        run.assert_released();
        assert!(run.sim.now().since(now) <= Span::from_ms(2600), "{} at {at_ms}", run.sim.now().since(now));
    }
}

/// The fuse ends it while a battery runs away in the wrong encoding: its release must be written in the other one.
#[test]
fn an_alarm_while_a_battery_runs_away_releases_it_in_the_right_encoding() {
    for (said, truth) in [("int16", Encoding41::Offset), ("offset", Encoding41::Plain)] {
        for k in 0..3 {
            let params = house::with_sax(old_firmware(params(95)), |j, sax| {
                let other = if truth == Encoding41::Offset { Encoding41::Plain } else { Encoding41::Offset };
                sax.encoding_41 = if j == k { truth } else { other };
            });
            let text = house::config_text(5000, "", &format!("setpoint_encoding = \"{said}\"")).replace("fuse_a = 25", "fuse_a = 14");
            let mut run = Run::new(&text, &house::library(), params);
            while !run.step() {
                assert!(run.sim.now() < Time::from_ms(100_000), "{}", run.lines.join("\n"));
            }
            println!("{}", run.lines.join("\n"));
            let now = run.sim.now();
            run.sim.stop();
            run.sim.run_until(now + Span::from_s(3));
            assert!(run.sim.site().battery_w(k).abs() <= POWER_W, "{said} {k}: {}", run.lines.join("\n"));
            run.assert_released();
        }
    }
}

/// The BMS falls silent on the way: then nobody knows what its battery may do, and it is not left to itself.
#[test]
fn a_battery_whose_bms_is_silent_is_left_at_0_w() {
    let bms =
        "bms = { device = \"sbau\", link = { tcp = { host = \"192.168.1.21\", port = 2404 } }, max_charge_a = 10, max_discharge_a = 10 }";
    let text = text().replacen("name = \"B\"", &format!("name = \"B\"\n{bms}"), 1);
    assert!(text.contains(bms), "{text}");
    let library = house::library();
    let config = prepared(&sax_controller::config::parse(&text, &library).unwrap_or_else(|f| panic!("{}", f.render("test"))));
    let plan = planned(&config, &library);
    for moved in [false, true] {
        let mut params = params(131);
        params.devices = devices(&config, &plan, &library);
        let mut run = Run::new(&text, &library, params);
        // At rest, or on its way.
        while run.sim.now() < Time::from_ms(8000) {
            run.step();
        }
        if moved {
            run.until_moved(1);
        }
        let host = run.sim.site().hosts() - 1;
        run.sim.site().faults().set(host, Fault::Silent);
        let outcome = run.end();
        assert_eq!(outcome.stopped.as_deref(), Some("the BMS of battery B does not answer"));
        assert_eq!(outcome.left, ["battery B: left at 0 W, because its BMS is not heard"]);
        assert!(run.sim.stop());
        let control = |k: usize| run.sim.site().battery(k).map(|b| b.control(run.sim.now().as_ms()));
        assert!(matches!(control(1), Some(Control::Commanded { power_w: 0, .. })), "{moved}: {:?}", control(1));
        assert_eq!([control(0), control(2)], [Some(Control::OwnMeter); 2], "{moved}");
    }
}

fn limits_text(battery: &str) -> String {
    house::config_text(5000, "", battery).replace("strategy = \"self-consumption\"", "strategy = \"limits\"")
}

/// Strategy "limits": what takes setpoints too is moved by them, and in the right encoding whatever the file says.
#[test]
fn hybrid_batteries_are_moved_and_released() {
    for (said, truth) in [("int16", Encoding41::Plain), ("int16", Encoding41::Offset), ("offset", Encoding41::Plain)] {
        for old in [false, true] {
            let params = if old { old_firmware(params(101)) } else { params(101) };
            let params = house::with_sax(params, |_, sax| sax.encoding_41 = truth);
            let mut run = Run::new(&limits_text(&format!("setpoint_encoding = \"{said}\"")), &house::library(), params);
            let outcome = run.end();
            let right = (said == "int16") == (truth == Encoding41::Plain);
            assert_eq!((outcome.fits(), outcome.leaves_open()), (right, false), "{:?}", outcome.findings);
            assert_eq!(phases(&outcome), [Some(0), Some(1), Some(2)]);
            assert_eq!(changes(&outcome).len(), if right { 0 } else { 3 });
            run.sim.stop();
            run.assert_released();
        }
    }
}

/// control = "limits": they balance by themselves, are not moved, never change their encoding, and get their ratings back.
#[test]
fn batteries_with_limits_only_are_left_as_they_were() {
    for (number, load) in [(111, LOADS), (112, House::Fixed([3000, -2500, 4000]))] {
        let text = house::config_text(5000, "", "control = \"limits\"");
        let params = old_firmware(SiteParams::new(number, load, &Phase::ALL));
        let mut run = Run::new(&text, &house::library(), params);
        let outcome = run.end();
        assert!(outcome.fits() && outcome.leaves_open(), "{:?}", outcome.findings);
        assert!(report(&outcome).contains("not tested"));
        run.sim.stop();
        let until = run.sim.now() + Span::from_s(10);
        run.sim.run_until(until);
        let site = run.sim.site();
        assert!(site.events().all(|e| e.address != 41), "a setpoint was written");
        for k in 0..3 {
            assert!(matches!(site.battery(k).map(|b| b.control(site.now_ms())), Some(Control::OwnMeter)), "battery {k}");
            let last = |address: u16| site.events().rfind(|e| e.address == address).map(|e| e.value);
            assert_eq!((last(43), last(44)), (Some(4600), Some(3500)));
        }
    }
}

/// A device mode other than "P-Sollwert (TCP)": the battery follows its own meter, and a kettle moves it.
#[test]
fn a_battery_that_follows_its_own_meter_is_not_said_to_speak_another_encoding() {
    for old in [false, true] {
        let mut deaf = SiteParams::new(121, House::Trace(vec![(0, [600, 900, 300]), (12_000, [2600, 900, 300])]), &Phase::ALL);
        deaf.batteries[0].0.accepts_setpoint = false;
        let mut run = Run::new(&text(), &house::library(), if old { old_firmware(deaf) } else { deaf });
        let outcome = run.end();
        println!("{:?}", outcome.stopped);
        let said = format!("{} {}", run.lines.join("\n"), report(&outcome));
        assert!(!outcome.fits() && said.contains("its device mode"), "{said}");
        assert!(changes(&outcome).is_empty());
    }
}

/// 4600 W into a phase that exports 4000 W: at 0 W the phase carries less. Without it the phase would carry 9 kW.
#[test]
fn a_battery_goes_to_0_w_where_that_relieves_its_phase() {
    let config = prepared(&sax_controller::config::parse(&text(), &house::library()).unwrap());
    let site = planned(&config, &house::library()).site;
    let sample = |power_w: i64| {
        let phase = |power_w| PhaseSample { power_w, ..PhaseSample::default() };
        MeterSample {
            taken: Time::ZERO,
            total_w: Some(power_w),
            phases: Some([phase(power_w), phase(0), phase(0)]),
            phases_missing: false,
            phases_apportioned: false,
            total_print: 0,
            phase_print: None,
            phase_print_is_lively: false,
        }
    };
    let own = Connection::Phase(0);
    assert!(may_rest(&site, &sample(-4000), own, 4600) && may_rest(&site, &sample(-8000), own, 4600));
    assert!(!may_rest(&site, &sample(4000), own, 4600) && may_rest(&site, &sample(4000), own, -3500));
}
