//! What a day leaves in the journal: fewer than 50 lines when all is well, and not many more when something comes and goes all day long.
//! The real tasks in virtual time; what the program itself writes at its start and stop is counted from a real run, and its priorities too.
#![allow(missing_docs)]

#[path = "common/house.rs"]
mod house;
#[path = "common/process.rs"]
mod process;
#[path = "common/said.rs"]
mod said;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use process::{Folder, PROGRAM};

use sax_controller::config::{Config, Phases};
use sax_controller::daemon::wiring::plan;
use sax_controller::device::library::Library;
use sax_controller::plant::battery_params::{Banks, BatteryParams, SaxParams, Wiring};
use sax_controller::plant::day::{Day, DayParams, Season, Sky};
use sax_controller::plant::faults::Fault;
use sax_controller::plant::house::House;
use sax_controller::plant::meter::MeterParams;
use sax_controller::plant::site::SiteParams;
use sax_controller::serve::ask::{Ask, Asked};
use sax_controller::simulate::Simulation;
use sax_controller::simulated_devices::{chargers, devices};
use sax_controller::units::{Span, Time};

const DAY_S: u64 = 86_400;
/// Lines of a normal day, start and stop included (issue 6).
const NORMAL: usize = 50;
/// What the program itself says at start and stop, see the test of a real run.
const START_AND_STOP: usize = 6;

/// The house of the reference day, as `simulate` has it.
fn simulation(config: &Config, season: Season, sky: Sky, new_firmware: bool) -> Simulation {
    let library = Library::built_in().unwrap();
    let ev = !config.chargers.is_empty();
    let house = House::Day(Arc::new(Day::new(&DayParams { season, sky, ev, ..DayParams::default() })));
    let banks = Banks { basic: true, extended: !new_firmware, sunspec: new_firmware };
    let batteries = config.batteries.iter().map(|b| {
        let wiring = match b.phase {
            Phases::One(phase) => Wiring::One(phase),
            Phases::All => Wiring::All,
        };
        let battery = BatteryParams {
            capacity_wh: b.capacity_wh.into(),
            soc_pm: 400,
            max_discharge_w: b.max_discharge_w.into(),
            max_charge_w: b.max_charge_w.into(),
            dead_ms: 600,
            tau_ms: 500,
            connected: true,
            ..BatteryParams::on(wiring)
        };
        (battery, SaxParams { banks, ..SaxParams::default() })
    });
    let chargers = chargers(config, &house);
    let mut params = SiteParams::new(1, house, &[]);
    params.chargers = chargers;
    params.meter = MeterParams { period_ms: 200, phase_ms: 0, latency_ms: 600, window_ms: 0, noise_w: 5, ..MeterParams::default() };
    params.batteries = batteries.collect();
    params.devices = devices(config, &plan(config, &library), &library);
    Simulation::new(config, &library, params)
}

/// The lines of 24 h and of the stop. `each_minute` may do something to the site.
fn a_day(simulation: Simulation, loss_permille: u16, each_minute: impl Fn(&Simulation, u64)) -> Vec<String> {
    a_day_that(simulation, loss_permille, each_minute, true)
}

/// The same, with whether all batteries can be handed back at the end.
fn a_day_that(mut simulation: Simulation, loss_permille: u16, each_minute: impl Fn(&Simulation, u64), released: bool) -> Vec<String> {
    said::listen();
    let faults = simulation.site().faults();
    let hosts = simulation.site().hosts();
    for host in 0..hosts {
        faults.set(host, Fault::LoseReply { permille: loss_permille });
    }
    for minute in 0..DAY_S / 60 {
        each_minute(&simulation, minute);
        simulation.run_until(Time::from_ms((minute + 1) * 60_000));
    }
    // Each reply of the release may be lost as well.
    let done = simulation.stop();
    assert!(done == released || loss_permille > 0);
    said::take()
}

fn three_sax() -> Config {
    house::parse(&house::config_text(1_000, "", ""))
}

fn p1() -> Config {
    let own = "device = \"sax\"\npoll_ms = 1000\nphase_poll_ms = 30000\n";
    house::parse(&house::config_text(1_000, "", "").replacen(own, "device = \"p1\"\nlink.serial = { port = \"/dev/ttyUSB0\" }\n", 1))
}

fn wallbox() -> Config {
    house::parse(include_str!("../etc/examples/wallbox-and-batteries.toml"))
}

fn quiet(_: &Simulation, _: u64) {}

/// Fails with the lines when there are too many; tells how many there are where somebody wants to see it.
fn fewer_than(most: usize, what: &str, said: &[String]) {
    println!("{what}: {} lines, and up to {START_AND_STOP} at start and stop", said.len());
    assert!(said.len() + START_AND_STOP < most, "{what}: {} lines:\n{}", said.len(), said.join("\n"));
    // It did run.
    assert!(said.iter().any(|line| line == "INFO site: run"), "{what}: {said:?}");
}

fn count(said: &[String], text: &str) -> usize {
    said.iter().filter(|line| line.contains(text)).count()
}

#[test]
fn a_normal_day_with_three_batteries_is_short() {
    for (new_firmware, loss_permille) in [(false, 0), (true, 10)] {
        let said = a_day(simulation(&three_sax(), Season::Spring, Sky::Broken, new_firmware), loss_permille, quiet);
        fewer_than(NORMAL, &format!("three batteries, {loss_permille} of 1000 replies lost"), &said);
        assert_eq!(count(&said, "WARN") + count(&said, "ERROR"), 0, "{said:?}");
    }
}

#[test]
fn a_normal_day_behind_a_p1_meter_or_with_a_wallbox_is_short() {
    let said = a_day(simulation(&p1(), Season::Summer, Sky::Clear, false), 10, quiet);
    fewer_than(NORMAL, "P1 meter, 10 of 1000 replies lost", &said);
    assert_eq!(count(&said, "WARN") + count(&said, "ERROR"), 0, "{said:?}");
    let said = a_day(simulation(&wallbox(), Season::Winter, Sky::Overcast, false), 10, quiet);
    fewer_than(NORMAL, "wallbox and batteries, 10 of 1000 replies lost", &said);
    // The house itself goes over the fuse now and then, and the car is told of it.
    assert!(count(&said, "alarm: fuse") > 0 && count(&said, "may draw") > 0, "{said:?}");
    assert_eq!(count(&said, "ERROR") + count(&said, "Timeout") + count(&said, "no current is known"), 0, "{said:?}");
}

#[test]
fn a_day_on_a_bad_network_says_what_does_not_work_and_not_each_time() {
    for new_firmware in [false, true] {
        let said = a_day(simulation(&three_sax(), Season::Spring, Sky::Broken, new_firmware), 100, quiet);
        fewer_than(2 * NORMAL, "three batteries, 100 of 1000 replies lost", &said);
        assert!(count(&said, "WARN meter: Timeout") >= 3 && count(&said, "times since this was said last") >= 3, "{said:?}");
    }
    let said = a_day(simulation(&wallbox(), Season::Winter, Sky::Overcast, false), 100, quiet);
    fewer_than(3 * NORMAL, "wallbox and batteries, 100 of 1000 replies lost", &said);
}

#[test]
fn a_battery_that_is_silent_for_a_minute_every_ten_is_said_with_growing_pauses() {
    let comes_and_goes = |simulation: &Simulation, minute: u64| {
        let faults = simulation.site().faults();
        if minute % 10 == 5 { faults.set(1, Fault::Silent) } else { faults.clear(1, Fault::Silent) }
    };
    let said = a_day(simulation(&three_sax(), Season::Spring, Sky::Broken, false), 0, comes_and_goes);
    fewer_than(2 * NORMAL, "a battery that comes and goes 144 times", &said);
    let alarms = count(&said, "WARN alarm: battery B: no usable data");
    assert!((5..=9).contains(&alarms) && count(&said, "alarm over: battery B: no usable data") == alarms, "{said:?}");
    // Then it stays away, which is said although the pause is long.
    let stays_away = |simulation: &Simulation, minute: u64| {
        if minute < 1200 { comes_and_goes(simulation, minute) } else { simulation.site().faults().set(1, Fault::Silent) }
    };
    let said = a_day_that(simulation(&three_sax(), Season::Spring, Sky::Broken, false), 0, stays_away, false);
    let last = said.iter().rposition(|line| line.contains("alarm: battery B: no usable data"));
    let over = said.iter().rposition(|line| line.contains("alarm over: battery B: no usable data"));
    assert!(last > over, "{said:?}");
}

#[test]
fn what_comes_and_goes_hides_no_other_kind_of_fault() {
    use sax_controller::daemon::health::Health;
    use sax_controller::link::fault::Fault;
    said::listen();
    let at = |minute: u64| Time::from_ms(minute * 60_000);
    let mut health = Health::new("meter".into());
    let mut fails = |fault: &Fault, minute: u64| (0..3).for_each(|_| health.note(Some(fault), at(minute)));
    for minute in 0..10 {
        fails(&Fault::Timeout, minute);
    }
    assert_eq!(said::take(), ["WARN meter: Timeout"]);
    fails(&Fault::Crc, 10);
    assert_eq!(said::take(), ["WARN meter: CRC Error"], "while the other one is there");
    health.note(None, at(11));
    assert_eq!(said::take(), ["INFO meter: works again"]);
    for minute in 12..40 {
        (0..3).for_each(|_| health.note(Some(&Fault::Timeout), at(minute)));
        health.note(None, at(minute));
    }
    assert_eq!(said::take(), ["WARN meter: Timeout", "INFO meter: works again"]);
    (0..3).for_each(|_| health.note(Some(&Fault::Exception(2)), at(40)));
    let said = said::take();
    assert!(said.len() == 1 && said[0].starts_with("WARN meter: Exception 0x02"), "{said:?}");
    health.note(None, at(41));
    assert_eq!(said::take(), ["INFO meter: works again"]);
}

#[test]
fn a_heartbeat_that_ends_is_said_although_the_command_has_come_and_gone_all_day() {
    let server = "[server]\naddress = 10\ntcp = { listen = \"127.0.0.1:1502\", writable = true }\n";
    let config = house::parse(&(house::config_text(1_000, "", "") + server));
    let mut simulation = simulation(&config, Season::Spring, Sky::Broken, false);
    said::listen();
    let mut beat = 0;
    let mut minutes = |minutes: u16, setpoint: Option<[u16; 2]>, alive: bool| {
        for _ in 0..minutes {
            beat += u16::from(alive);
            let now = simulation.now();
            let mut write = |address, values: Vec<u16>| {
                let (reply, _) = crossbeam_channel::bounded(1);
                simulation.director().asked(Asked { ask: Ask::Write { address, values }, reply }, now);
            };
            setpoint.into_iter().for_each(|words| write(2900, words.into()));
            write(2906, vec![beat]);
            simulation.run_until(now + Span::from_s(50));
        }
        let said = said::take();
        said.into_iter().filter(|line| line.contains("remote: ")).collect::<Vec<_>>()
    };
    let (asked, nothing) = (Some([0, 500]), Some([0x8000, 0]));
    for time in 0..4 {
        let said = [minutes(3, asked, true), minutes(3, nothing, true)].concat();
        let lines = ["INFO remote: in force: power 500 W", "INFO remote: nothing is asked for any more"];
        assert_eq!(said, if time < 2 { &lines[..] } else { &[] }, "{time}");
    }
    assert!(minutes(3, asked, true).is_empty());
    assert_eq!(minutes(3, None, false), ["WARN remote: dropped, the heartbeat has not changed for 60 s"]);
    assert_eq!(minutes(3, nothing, true), ["INFO remote: nothing is asked for any more"]);
}

/// A socket in the place of the journal, and what JOURNAL_STREAM says of it.
fn journal() -> (UnixStream, OwnedFd, String) {
    let (journal, stderr) = UnixStream::pair().unwrap();
    journal.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let stderr = OwnedFd::from(stderr);
    let own = File::from(stderr.as_fd().try_clone_to_owned().unwrap()).metadata().unwrap();
    (journal, stderr, format!("{}:{}", own.dev(), own.ino()))
}

/// What came until all ends are closed.
fn all(mut journal: UnixStream) -> String {
    let mut text = String::new();
    journal.read_to_string(&mut text).unwrap();
    text
}

fn program(folder: &Folder, text: &str) -> Command {
    let file = folder.file("controller.toml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(PROGRAM);
    command.args(["run", "--config"]).arg(&file).arg("--devices").arg(folder.file("devices")).arg("--state").arg(&folder.0);
    command.stdout(Stdio::null()).env_remove("NOTIFY_SOCKET").env_remove("RUST_LOG");
    command
}

#[test]
fn mistakes_are_errors_with_line_and_column_in_the_journal_and_in_the_state_of_the_service() {
    let folder = Folder::new("journal-mistakes");
    let batteries = "[[battery]]\nname = \"A\"\nphase = \"L4\"\ndevice = \"sax\"\n".repeat(6);
    let notified = UnixDatagram::bind(folder.file("notify")).unwrap();
    let (journal, stderr, stream) = journal();
    let mut command = program(&folder, &format!("[site]\nstrategy = \"observe\"\nfuse_a = 5\n{batteries}"));
    command.env("JOURNAL_STREAM", stream).env("NOTIFY_SOCKET", folder.file("notify")).stderr(stderr);
    let status = command.status().unwrap();
    drop(command);
    let (said, file) = (all(journal), folder.file("controller.toml"));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(status.code(), Some(78), "{said}");
    assert!(lines.len() > 12 && lines.iter().all(|line| line.starts_with("<3>")), "{said}");
    // systemctl status shows the last ten, of which systemd itself writes up to four.
    assert!(lines[lines.len() - 1].contains("Check again with: sax-controller check"), "{said}");
    let place = format!("<3>{}:", file.display());
    assert!(lines[lines.len() - 6..lines.len() - 1].iter().all(|line| line.starts_with(&place)), "{said}");
    let mut bytes = [0; 4096];
    let length = notified.recv(&mut bytes).unwrap();
    let first = lines[0].strip_prefix("<3>").unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes[..length]), format!("STATUS={first}\n"));
    assert!(first.contains("controller.toml:3:10: site fuse_a"), "{first}");
}

#[test]
fn only_the_stream_that_the_variable_names_is_the_journal() {
    let folder = Folder::new("journal-stream");
    let (journal, stderr, stream) = journal();
    let (device, inode) = stream.split_once(':').unwrap();
    let other = format!("{device}:{}", inode.parse::<u64>().unwrap() + 1);
    let mut command = program(&folder, "[site]\nstrategy = \"never\"\n");
    // As in a shell that a service has started: the variable is that of the service, stderr is a terminal, a pipe or a file.
    let status = command.env("JOURNAL_STREAM", other).stderr(stderr).status().unwrap();
    drop(command);
    let said = all(journal);
    assert_eq!(status.code(), Some(78));
    assert!(!said.contains('<') && said.contains("    strategy = \"never\"\n"), "{said}");
}

#[test]
fn start_and_stop_are_a_few_lines_with_priorities_and_the_state_is_told_once() {
    let folder = Folder::new("journal-start");
    let notified = UnixDatagram::bind(folder.file("notify")).unwrap();
    notified.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (journal, stderr, stream) = journal();
    let text = format!("[site]\nstrategy = \"observe\"\n[status]\nsocket = \"{}\"\n", folder.file("s").display());
    let mut command = program(&folder, &text);
    command.env("JOURNAL_STREAM", stream).env("NOTIFY_SOCKET", folder.file("notify")).stderr(stderr);
    let mut child = command.spawn().unwrap();
    drop(command);
    let mut told = String::new();
    let mut until = |what: &str| {
        let mut bytes = [0; 4096];
        while !told.contains(what) {
            let length = notified.recv(&mut bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
            told.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
    };
    until("READY=1");
    until("STATUS=nothing to connect to");
    let done = Command::new("kill").arg(child.id().to_string()).status();
    assert!(done.is_ok_and(|status| status.success()));
    until("STATUS=stopping");
    assert!(child.wait().unwrap().success());
    assert_eq!(told.matches("STATUS=nothing to connect to").count(), 1, "{told}");
    let said = all(journal);
    assert!(said.lines().all(|line| line.starts_with("<6>")), "{said}");
    // Its first state is counted with the day.
    assert_eq!(said.lines().filter(|line| line.starts_with("<6>site: ")).count(), 1, "{said}");
    assert!((3..START_AND_STOP).contains(&(said.lines().count() - 1)), "{said}");
}

#[test]
fn a_journal_that_takes_no_lines_holds_nobody_up() {
    let folder = Folder::new("journal-hangs");
    let notified = UnixDatagram::bind(folder.file("notify")).unwrap();
    notified.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let (_journal, stderr, stream) = journal();
    let mut full = UnixStream::from(stderr.try_clone().unwrap());
    full.set_nonblocking(true).unwrap();
    while full.write(b"\n").is_ok() {}
    full.set_nonblocking(false).unwrap();
    let text = format!("[site]\nstrategy = \"observe\"\n[status]\nsocket = \"{}\"\n", folder.file("s").display());
    let mut command = program(&folder, &text);
    command.env("JOURNAL_STREAM", stream).env("NOTIFY_SOCKET", folder.file("notify")).stderr(stderr);
    let mut child = command.spawn().unwrap();
    let mut until = |what: &str| {
        let mut bytes = [0; 4096];
        loop {
            let length = notified.recv(&mut bytes).unwrap_or_else(|e| {
                let _ = child.kill();
                panic!("{what}: {e}")
            });
            if String::from_utf8_lossy(&bytes[..length]).contains(what) {
                return;
            }
        }
    };
    until("READY=1");
    until("STATUS=nothing to connect to");
    assert!(Command::new("kill").arg(child.id().to_string()).status().is_ok_and(|status| status.success()));
    assert!(child.wait().unwrap().success());
}

#[test]
fn under_a_service_manager_the_end_of_another_controller_is_waited_for() {
    let (folder, second) = (Folder::new("journal-first"), Folder::new("journal-second"));
    let text = format!("[site]\nstrategy = \"observe\"\n[status]\nsocket = \"{}\"\n", folder.file("s").display());
    let notified = |folder: &Folder| {
        let socket = UnixDatagram::bind(folder.file("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    };
    let until = |socket: &UnixDatagram, what: &str| {
        let (mut bytes, mut told) = ([0; 4096], String::new());
        while !told.contains(what) {
            let length = socket.recv(&mut bytes).unwrap_or_else(|e| panic!("{what}: {e}: {told}"));
            told.push_str(&String::from_utf8_lossy(&bytes[..length]));
        }
        told
    };
    let (of_first, of_second) = (notified(&folder), notified(&second));
    let start = |folder: &Folder| program(folder, &text).env("NOTIFY_SOCKET", folder.file("notify")).stderr(Stdio::null()).spawn().unwrap();
    let mut one = start(&folder);
    until(&of_first, "READY=1");
    let mut other = start(&second);
    let told = until(&of_second, "STATUS=Another sax-controller is running");
    assert!(!told.contains("READY"), "{told}");
    one.kill().unwrap();
    one.wait().unwrap();
    until(&of_second, "READY=1");
    other.kill().unwrap();
    other.wait().unwrap();
}

/// Not a test of its own: the next one runs it in a process of its own.
#[test]
fn panics_where_it_is_told_to() {
    if std::env::var_os("PANIC_HERE").is_some() {
        sax_controller::daemon::journal::prepare();
        panic!("first line\nsecond line");
    }
}

#[test]
fn a_panic_is_one_line_with_its_place_in_the_journal() {
    let (journal, stderr, stream) = journal();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "panics_where_it_is_told_to", "--nocapture"]).stdout(Stdio::null());
    let status = command.env("PANIC_HERE", "1").env("JOURNAL_STREAM", stream).stderr(stderr).status().unwrap();
    drop(command);
    let said = all(journal);
    assert!(!status.success());
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("first line")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    let starts = "<3>panic, which is a mistake in the program: first line\\nsecond line at tests/journal.rs:";
    assert!(lines[0].starts_with(starts) && said.lines().all(|line| line.starts_with("<3>")), "{said}");
}
