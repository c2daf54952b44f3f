//! `sax-controller scan`: the real program against simulated batteries and servers of our own, in 127.0.0.0/27 only.

#[path = "common/answering.rs"]
mod answering;
#[path = "common/pty_bus.rs"]
mod pty_bus;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use answering::{Memory, Server, program};
use sax_controller::config;
use sax_controller::device::library::Library;
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::plant::battery_params::Absent;
use sax_controller::plant::house::House;
use sax_controller::plant::serve::LiveSite;
use sax_controller::plant::site::SiteParams;
use sax_controller::units::Phase;
use serde_json::Value;

/// What every scan here has: quick, because everything is near, and without the profiles of this machine.
const QUICK: [&str; 6] = ["--timeout-ms", "150", "--connect-ms", "1000", "--devices", "/nowhere"];

#[track_caller]
fn scan(arguments: &[&str]) -> String {
    let done = program(&[&["scan"], arguments, &QUICK].concat());
    assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{}", done.out);
    done.out
}

#[track_caller]
fn scanned(server: &Server, arguments: &[&str]) -> Value {
    let port = server.address.port().to_string();
    let host = server.address.ip().to_string();
    let json: Value = serde_json::from_str(&scan(&[&[host.as_str(), "--port", &port, "--json"], arguments].concat())).unwrap();
    assert_eq!(json["found"].as_array().map(Vec::len), Some(1), "{json:#}");
    json
}

/// The units of the only place, by their ids.
fn units(json: &Value) -> Vec<(Value, Value)> {
    json["found"][0]["units"].as_array().unwrap().iter().map(|unit| (unit["ids"].clone(), unit.clone())).collect()
}

fn only_reads(server: &Server) -> bool {
    server.asked().iter().all(|(_, request)| matches!(request.function(), 3 | 4 | 17 | 43))
}

#[test]
fn three_sax_batteries_are_found_with_their_units_and_proposed() {
    let mut params = SiteParams::new(1, House::Fixed([500, 600, 700]), &Phase::ALL);
    for (_, sax) in &mut params.batteries {
        sax.absent = Absent::Exception;
    }
    params.batteries[1].1.banks.sunspec = false;
    let live = LiveSite::start_apart(params, 1).unwrap();
    let ports: Vec<String> = live.ports().iter().map(u16::to_string).collect();
    let found = scan(&["127.0.0.0/27", "--port", &ports.join(",")]);
    for (battery, port) in ports.iter().enumerate() {
        assert!(found.contains(&format!("127.0.0.{}:{port}", battery + 1)), "{found}");
    }
    assert_eq!(found.matches("probably sax-basic").count(), 3, "{found}");
    assert_eq!(found.matches("surely sax-sunspec").count(), 2, "{found}");
    assert!(found.contains("SAXPOWER") && found.contains("a gateway says: no such unit"), "{found}");

    assert!(found.starts_with("#   where ") && found.contains("\n# A configuration to begin with"), "{found}");
    let library = Library::built_in().unwrap();
    let config = config::parse(&found, &library).unwrap_or_else(|e| panic!("{}\n{found}", e.render("all that was printed")));
    let batteries: Vec<_> = config.batteries.iter().map(|b| (b.device.as_str(), b.link.to_string())).collect();
    let expected: Vec<_> = ports.iter().enumerate().map(|(n, port)| ("sax", format!("127.0.0.{}:{port}", n + 1))).collect();
    assert_eq!(batteries, expected);
    assert_eq!(config.meter.map(|meter| meter.device).as_deref(), Some("sax"));
}

#[test]
fn batteries_that_keep_silent_about_units_they_do_not_have_are_found_too() {
    let mut params = SiteParams::new(1, House::Fixed([500; 3]), &[Phase::L1]);
    params.batteries[0].1.absent = Absent::Silence;
    let live = LiveSite::start(params, 1).unwrap();
    let found = scan(&["127.0.0.1", "--port", &live.ports()[0].to_string()]);
    assert!(found.contains("probably sax-basic") && found.contains("surely sax-sunspec"), "{found}");
    assert!(found.contains("device = \"sax\""), "{found}");
}

#[test]
fn too_much_is_refused_with_a_sentence() {
    for (arguments, part) in [
        (&["10.0.0.0/15"][..], "10.0.0.0/15 has 131072 addresses."),
        (&["10.0.0.0/16", "10.1.0.0/16"], "These are 131068 hosts. A scan has at most 65536."),
        (&["127.0.0.1", "--units", "248"], "is no unit"),
        (&["127.0.0.1", "--port", "0"], "is nothing for --port"),
        (&["127.0.0.1:502"], "is nothing to scan"),
        (&[], "What to scan is missing"),
        (&["/dev/ttyX", "127.0.0.1"], "One serial port is scanned at a time"),
        (&["/dev/ttyX", "--units", "0-5"], "Units on a serial line are 1 to 247"),
    ] {
        let done = program(&[&["scan"], arguments].concat());
        assert_eq!((done.code, done.out.as_str()), (Some(2), ""), "{arguments:?}: {}", done.err);
        assert!(done.err.contains(part), "{arguments:?}: {}", done.err);
    }
}

#[test]
fn a_device_that_ignores_the_unit_is_one_line_over_one_connection() {
    let mut memory = Memory::counting(0, 50);
    let server = Server::start(move |_, request| {
        Some(match request {
            Request::ReadDeviceIdentification { code, object } => {
                let all = [(0, b"Maker\x1b[2J".to_vec()), (1, b"PC-1".to_vec()), (2, b"1.0".to_vec())];
                // One object to an answer, as devices with little memory do.
                let object = usize::from(*object);
                Reply::DeviceIdentification {
                    code: *code,
                    conformity: 1,
                    more_follows: if object < 2 { 0xff } else { 0 },
                    next_object: object as u8 + 1,
                    objects: vec![all[object].clone()],
                }
            }
            request => memory.answer(request),
        })
    });
    let json = scanned(&server, &["--units", "1-9,64,255"]);
    let units = units(&json);
    assert_eq!(units.len(), 1, "{json:#}");
    assert_eq!(units[0].0, serde_json::json!([1, 2, 3, 4, 5, 6, 7, 8, 9, 64, 255]));
    assert_eq!((&units[0].1["product"], &units[0].1["revision"]), (&Value::from("PC-1"), &Value::from("1.0")));
    assert_eq!(server.most_at_once(), 1);
    assert!(only_reads(&server) && server.asked().len() > 30);
    let text = scan(&["127.0.0.1", "--port", &server.address.port().to_string(), "--units", "1-9,64,255"]);
    assert!(text.contains("1-9,64,255  Maker\\u{1b}[2J PC-1 1.0"), "what devices say is escaped: {text}");
    assert!(text.contains("there is no configuration to propose"), "{text}");
}

#[test]
fn a_gateway_tells_its_units_apart_from_those_it_does_not_have() {
    let server = Server::start(|unit, request| match (unit, request) {
        (2, Request::ReadHoldingRegisters { .. }) => Some(Reply::Exception { function: 3, code: 2 }),
        (2, Request::ReportServerId) => Some(Reply::ServerId { data: b"\x05\xffMeter 7".to_vec() }),
        (2, request) => Some(Reply::Exception { function: request.function(), code: 1 }),
        (3, _) => None,
        (_, request) => Some(Reply::Exception { function: request.function(), code: 0x0b }),
    });
    let json = scanned(&server, &["--units", "1-4"]);
    let units = units(&json);
    assert_eq!(units.len(), 1, "{json:#}");
    assert_eq!((&units[0].0, &units[0].1["server_id"]), (&serde_json::json!([2]), &Value::from("Meter 7")));
    assert_eq!(units[0].1["register_0"]["exception"], 2);
    assert_eq!(json["found"][0]["absent"], serde_json::json!([1, 4]));
    assert_eq!((server.most_at_once(), only_reads(&server)), (1, true));
}

#[test]
fn sunspec_devices_say_who_they_are() {
    let words = |text: &str, count: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(count * 2, 0);
        bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect::<Vec<_>>()
    };
    let mut all = vec![0x5375, 0x6e53, 1, 66];
    all.extend([words("Maker", 16), words("Battery 9", 16), words("", 8), words("2.1", 8), words("S/N 5", 16), vec![1, 0]].concat());
    all.extend([vec![802, 3, 1, 2, 3, 713, 2, 0, 0, 0xffff, 0]].concat());
    let registers = (40_000..).zip(all).collect();
    let mut memory = Memory { registers, ..Memory::default() };
    let server = Server::start(move |unit, request| (unit == 1).then(|| memory.answer(request)));
    let json = scanned(&server, &["--units", "1,2"]);
    let unit = &units(&json)[0].1;
    assert_eq!((&unit["vendor"], &unit["product"], &unit["revision"]), (&"Maker".into(), &"Battery 9".into(), &"2.1".into()));
    assert_eq!(unit["sunspec"], serde_json::json!({ "base": 40000, "models": [1, 802, 713] }));
}

#[test]
fn what_is_no_modbus_or_says_nothing_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 64]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    assert!(scan(&["127.0.0.1", "--port", &port]).contains("Something answers there, but not in Modbus"));
    let server = Server::start(|_, _| None);
    let port = server.address.port().to_string();
    assert!(scan(&["127.0.0.1", "--port", &port, "--units", "1,2"]).contains("The port is open, but no unit answered"));
    // A battery whose one connection someone else has: it is closed at once.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    std::thread::spawn(move || listener.incoming().flatten().for_each(drop));
    assert!(scan(&["127.0.0.1", "--port", &port]).contains("allows one connection only"));
    // Nobody else has this loopback address.
    let port = TcpListener::bind("127.0.0.28:0").unwrap().local_addr().unwrap().port().to_string();
    assert_eq!(scan(&["127.0.0.28", "--port", &port]), "Nobody was found (1 hosts asked).\n");
}

#[test]
fn ctrl_c_ends_it_with_what_was_found_so_far() {
    let mut memory = Memory::counting(0, 9);
    let server = Server::start(move |unit, request| (unit == 1).then(|| memory.answer(request)));
    let port = server.address.port().to_string();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sax-controller"))
        .args(["scan", "127.0.0.1", "--port", &port, "--units", "1-247", "--timeout-ms", "5000", "--socket", "/nowhere/s"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    // Unit 2 keeps silent: the scan waits for it.
    while !server.asked().iter().any(|(unit, _)| *unit == 2) {
        assert!(start.elapsed() < Duration::from_secs(60), "unit 2 was not asked");
        std::thread::sleep(Duration::from_millis(10));
    }
    let interrupted = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{out}");
    assert!(out.starts_with("Stopped after ") && out.contains("register 0 is 0"), "{out}");
    assert!(!server.asked().iter().any(|(unit, _)| *unit > 3), "it went on");
}

#[test]
fn progress_is_told_where_it_is_wanted() {
    let server = Server::start(|_, request| Some(Reply::Exception { function: request.function(), code: 1 }));
    let port = server.address.port().to_string();
    let done = program(&[&["scan", "127.0.0.1-2", "--port", &port, "--progress"], &QUICK[..]].concat());
    assert_eq!(done.code, Some(0));
    assert!(done.err.ends_with("2 of 2 hosts, 1 found\n"), "{}", done.err);
}

#[test]
fn a_serial_bus_is_scanned_unit_by_unit() {
    let bus = pty_bus::PtyBus::start();
    let port = bus.serial().port;
    let json = scan(&[&port, "--units", "1,2,63-65", "--baud", "115200,9600", "--json"]);
    let json: Value = serde_json::from_str(&json).unwrap();
    let place = serde_json::json!({ "serial": port, "baud": 115_200, "parity": "none", "data_bits": 8, "stop_bits": 1 });
    assert_eq!(json["found"][0]["place"], place);
    assert_eq!(json["found"].as_array().map(Vec::len), Some(1), "it goes no further than where it finds someone");
    let ids: Vec<_> = units(&json).into_iter().map(|(ids, _)| ids).collect();
    assert_eq!(ids, [serde_json::json!([1]), serde_json::json!([64])]);
    assert_eq!(json["found"][0]["units"][0]["vendor"], "sax");
    assert!(bus.asked().iter().all(|(_, request)| matches!(request.function(), 3 | 4 | 17 | 43)), "only reads");
    let json = scan(&[&port, "--units", "1", "--baud", "115200,9600", "--all", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["found"].as_array().map(Vec::len), Some(2));
    assert_eq!(scan(&[&port, "--units", "5,6", "--baud", "115200"]), "Nobody was found (2 units asked).\n");
}

/// Registers in two words, the high one first.
fn floats(values: &[(u16, f32)]) -> Vec<(u16, u16)> {
    values.iter().flat_map(|(at, value)| [(*at, (value.to_bits() >> 16) as u16), (*at + 1, value.to_bits() as u16)]).collect()
}

#[test]
fn a_meter_at_a_unit_of_its_own_is_recognised_by_its_values() {
    // The vendor's block of an Acuvim II (facts/devices.md 2.2): frequency, voltages, currents, powers.
    let mut values = vec![(0x4000, 50.02), (0x4022, 1234.5)];
    values.extend((0..3).flat_map(|phase| [(0x4002 + 2 * phase, 230.5), (0x4012 + 2 * phase, 3.25), (0x401c + 2 * phase, 411.5)]));
    let mut registers: std::collections::BTreeMap<u16, u16> = (0x4000..0x4080).map(|at| (at, 0)).collect();
    registers.extend(floats(&values));
    let mut memory = Memory { registers, ..Memory::default() };
    let server = Server::start(move |unit, request| {
        Some(if unit == 5 { memory.answer(request) } else { Reply::Exception { function: request.function(), code: 0x0b } })
    });
    let json = scanned(&server, &["--units", "1-6"]);
    let units = units(&json);
    assert_eq!((units.len(), &units[0].0), (1, &serde_json::json!([5])), "{json:#}");
    let best = &units[0].1["profiles"][0];
    assert_eq!((&best["name"], &best["certainty"], &best["unit"]), (&"acuvim2-float".into(), &"probably".into(), &5.into()), "{json:#}");
    let configuration = json["configuration"].as_str().unwrap();
    assert!(configuration.contains("device = \"acuvim2-float\"") && configuration.contains("unit = 5"), "{configuration}");
    let config = config::parse(configuration, &Library::built_in().unwrap());
    assert!(config.is_ok_and(|config| config.meter.is_some_and(|meter| meter.device == "acuvim2-float")), "{configuration}");
    assert!(only_reads(&server));
}

#[test]
fn a_sunspec_model_802_is_a_battery_management_system() {
    let mut all = vec![0x5375, 0x6e53, 1, 66];
    all.extend(vec![0x4141; 66]);
    all.extend([vec![802, 62], vec![1; 62], vec![0xffff, 0]].concat());
    let mut memory = Memory { registers: (40_000..).zip(all).collect(), ..Memory::default() };
    let server = Server::start(move |unit, request| (unit == 1).then(|| memory.answer(request)));
    let json = scanned(&server, &["--units", "1"]);
    let best = &units(&json)[0].1["profiles"][0];
    assert_eq!((&best["name"], &best["certainty"]), (&"sunspec-802".into(), &"surely".into()), "{json:#}");
    let configuration = json["configuration"].as_str().unwrap();
    assert!(configuration.contains("# [battery.bms]\n# device = \"sunspec-802\""), "{configuration}");
}
