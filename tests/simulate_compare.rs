//! `simulate --compare` and `--plot` through the real binary, and the classic laws on a site of their own.
#![allow(missing_docs)]

#[path = "common/xml.rs"]
mod xml;

use std::process::Command;
use std::sync::Arc;

use sax_controller::classic::{Classic, Kind, plan_for};
use sax_controller::config::{Config, parse};
use sax_controller::device::library::Library;
use sax_controller::plant::house::House;
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::Simulation;
use sax_controller::units::{Phase, Time};

const CONFIG: &str = "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[meter]\ndevice = \"sax\"\npoll_ms = 1000\n\
    [[battery]]\nname = \"A\"\ndevice = \"sax\"\nphase = \"L1\"\nlink.tcp = { host = \"192.0.2.1\" }\npoll_ms = 1000\n";

fn site() -> (Config, Library) {
    let library = Library::built_in().expect("the library");
    (parse(CONFIG, &library).unwrap_or_else(|_| panic!("a good configuration")), library)
}

/// 300 W on L1, and 2 kW more from the second minute on.
fn step(kind: Kind) -> Simulation<Classic> {
    let (config, library) = site();
    let house = House::Trace(vec![(0, [300, 0, 0]), (60_000, [2300, 0, 0])]);
    let plan = plan_for(&config, &library);
    let director = Classic::new(kind, &config, &plan);
    Simulation::under(director, plan, &config, SiteParams::new(3, house, &[Phase::L1]))
}

#[test]
fn every_law_takes_the_load_and_rest_takes_none() {
    for kind in Kind::ALL {
        let mut simulation = step(kind);
        simulation.run_until(Time::from_ms(150_000));
        let battery_w = simulation.site().battery_w(0);
        match kind {
            Kind::Rest => assert_eq!(battery_w, 0),
            _ => assert!((2150..=2450).contains(&battery_w), "{kind:?}: {battery_w} W"),
        }
    }
}

/// Laws that overshoot write on and on; rest only has to be kept.
#[test]
fn rest_needs_few_writes_and_the_laws_many() {
    let writes = |kind: Kind| {
        let mut simulation = step(kind);
        simulation.run_until(Time::from_ms(150_000));
        let site = simulation.site();
        site.writes(0)
    };
    let (rest, integrator, sum) = (writes(Kind::Rest), writes(Kind::Integrator), writes(Kind::Sum));
    assert!(rest <= 6 && 4 * rest < sum && 4 * rest < integrator, "{rest}, {sum}, {integrator}");
}

fn simulate(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sax-controller")).arg("simulate").args(arguments).output().expect("the program");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn five_runs_stand_side_by_side_and_every_time_alike() {
    let folder = Arc::new(std::env::temp_dir().join(format!("sax-compare-{}", std::process::id())));
    std::fs::create_dir_all(&*folder).expect("a folder");
    let runs: Vec<(String, String)> = ["a.svg", "b.svg"]
        .map(|name| {
            let file = folder.join(name);
            let said = simulate(&["--compare", "--hours", "1", "--number", "7", "--plot", file.to_str().expect("a path")]);
            let kept = said.lines().filter(|l| !l.starts_with("CPU time")).map(|l| format!("{l}\n")).collect();
            (kept, std::fs::read_to_string(file).expect("the picture"))
        })
        .into();
    let _ = std::fs::remove_dir_all(&*folder);
    assert!(runs[0] == runs[1], "two threads change nothing");
    let (said, svg) = &runs[0];
    let row = |name: &str| said.lines().find(|l| l.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {said}")).to_owned();
    assert!(row("import, netted").split_whitespace().filter(|w| w.parse::<f64>().is_ok()).count() == 5, "{said}");
    assert!(row("writes per hour").contains('*'), "{said}");
    let all = xml::elements(svg);
    let heads = ["no controller", "integrator 0.5", "grid + battery", "the same, PID", "this controller"];
    for head in heads {
        assert!(said.contains(head) && all.iter().filter(|e| e.name == "text" && e.text == head).count() == 2, "{head}");
    }
    assert_eq!(all.iter().filter(|e| e.get("data-name") == Some("grid")).count(), 15);
}
