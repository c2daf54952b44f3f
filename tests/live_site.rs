//! Every example configuration against simulated devices: all of them for some minutes of virtual time, some of them for some seconds with
//! the real binary over TCP, a serial bus and a P1 port on pseudo terminals.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use sax_controller::config::{self, Balance, Config, Strategy};
use sax_controller::control::ladder::Mode;
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::link::place::Place;
use sax_controller::plant::battery_params::{BatteryParams, SaxParams, Wiring};
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::serve::{LiveSite, Reached};
use sax_controller::plant::site::SiteParams;
use sax_controller::simulate::Simulation;
use sax_controller::simulated_devices::{chargers, devices, like_its_profile, places};
use sax_controller::units::Time;

fn examples() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/examples");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).filter(|p| p.extension().is_some()).collect();
    files.sort();
    assert!(files.len() >= 7, "{files:?}");
    files
}

/// With the devices of one's own that an example may need.
fn library() -> Library {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/examples/devices");
    Library::with_folder(&folder).unwrap_or_else(|e| panic!("{e}"))
}

/// A load that batteries of this site can carry, and that its limits bear: 500, 300 and 200 W, and 800 W more on L1 after a while.
fn params(config: &Config, library: &Library) -> SiteParams {
    let house = House::Trace(vec![(0, [500, 300, 200]), (120_000, [1300, 300, 200])]);
    let mut params = SiteParams::new(5, house, &[]);
    params.meter = MeterParams { period_ms: 200, latency_ms: 600, ..MeterParams::default() };
    let battery = |b: &config::Battery| {
        let wiring = match b.phase {
            config::Phases::One(phase) => Wiring::One(phase),
            config::Phases::All => Wiring::All,
        };
        let usual = BatteryParams {
            capacity_wh: b.capacity_wh.into(),
            max_charge_w: b.max_charge_w.into(),
            max_discharge_w: b.max_discharge_w.into(),
            soc_pm: 600,
            connected: config.batteries.len() > 1,
            ..BatteryParams::on(wiring)
        };
        (like_its_profile(usual, &b.device, library), SaxParams::default())
    };
    params.batteries = config.batteries.iter().map(battery).collect();
    params.devices = devices(config, &plan(config, library), library);
    params.chargers = chargers(config, &params.house);
    for charger in &mut params.chargers {
        // It would be more than the batteries can carry.
        charger.car.need_wh = 0;
    }
    params
}

/// How far from the target what is balanced may be at rest, W: what setpoints in whole kilowatts leave open, a dead band, noise.
fn tolerance_w(config: &Config, library: &Library) -> i64 {
    let steps = config.batteries.iter().filter_map(|b| library.profile(&b.device)?.setpoint.as_ref());
    let coarsest = steps.map(|s| s.register.scale_millionths.abs() / 1_000_000).max().unwrap_or(1);
    coarsest + i64::from(config.control.deadband_w) + 40
}

#[test]
fn every_example_reaches_its_target_without_an_alarm() {
    let library = library();
    for file in examples() {
        let shown = file.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        let config = config::parse(&text, &library).unwrap_or_else(|f| panic!("{}", f.render(&shown)));
        if config.batteries.is_empty() || config.meter.is_none() {
            continue;
        }
        let mut sim = Simulation::new(&config, &library, params(&config, &library));
        for until_s in [110, 300] {
            sim.run_until(Time::from_ms(until_s * 1000));
            let decision = sim.control().decision();
            let (truth, mode) = (sim.site().truth(), decision.mode);
            println!("{shown} at {until_s} s: {mode:?}, grid {:?}, batteries {:?}", truth.grid_w, truth.battery_w);
            assert!(matches!(mode, Mode::Run { .. }), "{shown} at {until_s} s: {mode:?}");
            let alarms = sim.control().document(sim.now()).alarms;
            assert!(alarms.is_empty(), "{shown} at {until_s} s: {:?}", alarms.iter().map(|a| &a.name).collect::<Vec<_>>());
            near_the_target(&config, &truth.grid_w, tolerance_w(&config, &library), &format!("{shown} at {until_s} s: {truth:?}"));
        }
        assert!(sim.stop(), "{shown}: every battery is handed back");
        let held = (0..config.batteries.len()).filter(|k| sim.site().battery(*k).is_some_and(is_held)).count();
        assert_eq!(held, 0, "{shown}: no battery stands under a setpoint");
    }
}

fn is_held(battery: &sax_controller::plant::battery::Battery) -> bool {
    use sax_controller::plant::battery::Control;
    matches!(battery.control(300_000), Control::Commanded { power_w, .. } if power_w != 0)
}

/// What the strategy of the configuration brings to its target, as far as there are batteries.
fn near_the_target(config: &Config, grid_w: &[i64; 3], tolerance_w: i64, shown: &str) {
    let target_w = i64::from(config.site.grid_target_w);
    let sum: i64 = grid_w.iter().sum();
    match config.site.strategy {
        // The batteries keep their own meters' zero, within their limits; nobody commands them.
        Strategy::Observe | Strategy::Limits => {}
        Strategy::PeakShaving { recharge_below_w } => assert!(sum <= i64::from(recharge_below_w).max(2_000) + tolerance_w, "{shown}"),
        Strategy::SelfConsumption if config.batteries.iter().all(|b| b.control == config::ControlMode::Setpoint) => {
            let all = config.batteries.iter().any(|b| b.phase == config::Phases::All);
            if config.site.balance == Balance::Sum || all {
                assert!((sum - target_w).abs() <= tolerance_w, "{shown}");
                return;
            }
            for b in &config.batteries {
                let config::Phases::One(phase) = b.phase else { continue };
                assert!((grid_w[phase.index()] - target_w / 3).abs() <= tolerance_w, "{shown}");
            }
        }
        Strategy::SelfConsumption => {}
    }
}

fn live(file: &Path, more: &[&str]) -> Output {
    let devices = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/examples/devices");
    Command::new(env!("CARGO_BIN_EXE_sax-controller"))
        .args(["simulate", "--live", "--site"])
        .arg(file)
        .arg("--devices")
        .arg(devices)
        .args(more)
        .output()
        .unwrap()
}

fn worked(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("The batteries were released"), "{text}");
    text
}

struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> File {
        let path = std::env::temp_dir().join(format!("sax-live-site-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A three-phase battery with a heartbeat and a BMS behind SunSpec over TCP, the meter on a serial bus that loses and garbles frames.
const MIXED: &str = "[site]\nstrategy = \"self-consumption\"\nbalance = \"sum\"\nfuse_a = 63\n\
    [meter]\ndevice = \"acuvim2-float\"\nlink.rtu = { port = \"/dev/serial/by-id/none\", baud = 9600 }\npoll_ms = 500\nphase_poll_ms = 1000\n\
    [[battery]]\nname = \"Big\"\ndevice = \"tesla\"\nphase = \"all\"\nlink.tcp = { host = \"192.0.2.1\" }\npoll_ms = 1000\n\
    capacity_wh = 100000\nmax_charge_w = 20000\nmax_discharge_w = 20000\n\
    [battery.bms]\ndevice = \"sunspec-802\"\nlink.tcp = { host = \"192.0.2.2\" }\npoll_ms = 1000\n";

#[test]
fn the_real_program_over_tcp_and_a_bad_bus() {
    let file = File::new("mixed", MIXED);
    let text = worked(&live(&file.0, &["--seconds", "16", "--bus-loss-permille", "20", "--noise-permille", "20"]));
    assert!(text.contains("Control worked"), "{text}");
    assert!(text.contains("battery Big on all phases: first setpoint after"), "{text}");
    assert!(text.contains("BMS of Big"), "{text}");
}

#[test]
fn the_real_program_with_a_p1_port_and_on_an_example() {
    let p1 = "[site]\nstrategy = \"self-consumption\"\nfuse_a = 25\n[meter]\ndevice = \"p1\"\nlink.serial = { port = \"/dev/ttyNONE\" }\n\
              poll_ms = 1000\n[[battery]]\nname = \"A\"\ndevice = \"sax\"\nphase = \"L1\"\nlink.tcp = { host = \"192.0.2.1\" }\npoll_ms = 1000\n";
    let file = File::new("p1", p1);
    let text = worked(&live(&file.0, &["--seconds", "14"]));
    assert!(text.contains("battery A on L1: first setpoint after"), "{text}");
    let three = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/examples/three-sax.toml");
    // Polled every 5 s: it has just begun when it is stopped again.
    let text = worked(&live(&three, &["--seconds", "3"]));
    assert!(text.contains("3 seconds"), "{text}");
}

/// Whether the device at this place answers a request for a register within two seconds; an exception is an answer too.
fn answers(stream: &mut TcpStream) -> bool {
    let mut reply = [0; 64];
    stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let asked = stream.write_all(&[0, 7, 0, 0, 0, 6, 1, 3, 0, 200, 0, 1]);
    asked.is_ok() && stream.read(&mut reply).is_ok_and(|n| n >= 9) && reply[..2] == [0, 7]
}

#[test]
fn a_device_by_a_profile_takes_four_clients_and_a_sax_battery_one() {
    let library = library();
    let sax = "[[battery]]\nname = \"Sax\"\ndevice = \"sax\"\nphase = \"L1\"\nlink.tcp = { host = \"192.0.2.3\" }\npoll_ms = 1000\n";
    let config = config::parse(&[MIXED, sax].concat(), &library).unwrap_or_else(|f| panic!("{}", f.render("mixed")));
    let places = places(&config, &plan(&config, &library), &library);
    let tcp = |place: &Option<Place>| matches!(place, Some(Place::Tcp { .. }));
    let hosts: Vec<_> = places.iter().map(|p| if tcp(p) { Reached::Tcp(Ipv4Addr::LOCALHOST) } else { Reached::Never }).collect();
    let live = LiveSite::start_hosts(params(&config, &library), 1, &hosts).unwrap();
    let at = |host: &str| {
        let here = |p: &Option<Place>| matches!(p, Some(Place::Tcp { host: h, .. }) if h == host);
        live.addresses()[places.iter().position(here).unwrap()]
    };
    let mut clients: Vec<_> = (0..4).map(|_| TcpStream::connect(at("192.0.2.1")).unwrap()).collect();
    for _ in 0..3 {
        assert!(clients.iter_mut().all(answers));
    }
    let fifth = || TcpStream::connect(at("192.0.2.1")).unwrap();
    assert!(!answers(&mut fifth()), "four and no more");
    assert!(clients.iter_mut().all(answers));
    clients.remove(1);
    assert!(answers(&mut fifth()), "one has left");
    assert!(clients.iter_mut().all(answers));

    let mut only = TcpStream::connect(at("192.0.2.3")).unwrap();
    let ask = |stream: &mut TcpStream| stream.write_all(&[0, 7, 0, 0, 0, 6, 64, 3, 0, 46, 0, 1]).and_then(|()| stream.read(&mut [0; 64]));
    assert_eq!(ask(&mut only).unwrap(), 11);
    assert!(!matches!(ask(&mut TcpStream::connect(at("192.0.2.3")).unwrap()), Ok(1..)), "facts/sax.md 2: one connection");
    assert_eq!(ask(&mut only).unwrap(), 11);
}

/// What the program says up to this text, and where the device of this place is simulated.
fn place_in(lines: &mut impl Iterator<Item = std::io::Result<String>>, place: &str) -> String {
    let line = lines.map(|l| l.unwrap()).find(|l| l.trim_start().starts_with(place)).unwrap();
    line.split_once(" -> ").unwrap().1.split_once(": ").unwrap().0.to_owned()
}

#[test]
fn the_tools_work_beside_the_running_controller() {
    let file = File::new("tools", MIXED);
    let program = || Command::new(env!("CARGO_BIN_EXE_sax-controller"));
    let mut live = program();
    live.args(["simulate", "--live", "--site"]).arg(&file.0).args(["--seconds", "120", "--devices", "/nowhere"]);
    let mut live = live.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(live.stdout.take().unwrap()).lines();
    let tesla = place_in(&mut lines, "192.0.2.1:");
    // By now the controller has its connection.
    lines.by_ref().map(|l| l.unwrap()).find(|l| l.contains("log |") && l.contains("run")).unwrap();
    let output = |arguments: &[&str]| {
        let done = program().args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
        assert!(done.status.success(), "{arguments:?}: {text}");
        text
    };
    let (host, port) = tesla.rsplit_once(':').unwrap();
    for _ in 0..3 {
        assert!(output(&["read", &tesla, "201", "2", "--socket", "/nowhere"]).contains("201"));
    }
    let found = output(&["scan", host, "--port", port, "--units", "1", "--devices", "/nowhere", "--socket", "/nowhere"]);
    assert!(found.contains(&tesla) && found.contains("tesla"), "{found}");
    assert!(Command::new("kill").args(["-INT", &live.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = lines.map(|l| l.unwrap()).collect();
    assert!(live.wait().unwrap().success() && rest.iter().any(|l| l.contains("The batteries were released")), "{rest:?}");
    assert!(!rest.iter().any(|l| l.contains("log | WARN")), "the controller was not disturbed: {rest:?}");
}
