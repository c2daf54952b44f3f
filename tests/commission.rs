//! A commissioning with the real tasks against a simulated house in virtual time: whatever is wrong is found, nothing is moved too far, and
//! every battery is released.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;

use sax_controller::commission::finding::{Follows, Issue, Outcome};
use sax_controller::commission::machine::Commission;
use sax_controller::commission::report::{changes, report};
use sax_controller::commission::setup::{Setup, prepared};
use sax_controller::commission::timing::Averaging;
use sax_controller::config::Encoding;
use sax_controller::control::site::Connection;
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::plant::battery::Control;
use sax_controller::plant::battery_params::{Banks, Encoding41, SaxParams};
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::site::{Site, SiteParams};
use sax_controller::simulate::Simulation;
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
        let plan = plan(&config, library);
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
            let highest = { let site = self.sim.site(); (0..3).map(|k| site.battery_w(k).abs()).max().unwrap_or(0) };
            self.highest_w = self.highest_w.max(highest);
        }
        self.sim.director().outcome().is_some()
    }

    fn until(&mut self, what: &str) {
        while !self.lines.iter().any(|l| l.contains(what)) {
            assert!(!self.step(), "never said {what:?}:\n{}", self.lines.join("\n"));
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
        outcome
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
            assert_window(&outcome, 600, 1000, 2500);
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
