//! `sax-controller read` and `write`: the real program against servers of our own.

#[path = "common/answering.rs"]
mod answering;
#[path = "common/process.rs"]
mod process;
#[path = "common/pty_bus.rs"]
mod pty_bus;

use std::io::Write;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use answering::{Memory, Server, program};
use modbus::Client;
use process::Folder;
use sax_controller::link::deadline::Hurry;
use sax_controller::link::rtu::RtuLink;
use sax_controller::modbus::pdu::{Reply, Request};
use serde_json::Value;

fn memory(mut memory: Memory) -> Server {
    Server::start(move |_, request| Some(memory.answer(request)))
}

#[track_caller]
fn out(arguments: &[&str]) -> String {
    let done = program(arguments);
    assert_eq!(done.code, Some(0), "{arguments:?}: {}{}", done.out, done.err);
    done.out
}

#[track_caller]
fn fails(code: i32, arguments: &[&str]) -> String {
    let done = program(arguments);
    assert_eq!(done.code, Some(code), "{arguments:?}: {}{}", done.out, done.err);
    assert_eq!(done.out, "", "{arguments:?}");
    done.err
}

#[test]
fn every_type_is_written_and_read_back() {
    let server = memory(Memory::counting(0, 10));
    let target = server.target();
    for (kind, value, order, words) in [
        ("u16", "65535", "high-first", vec![0xffff]),
        ("i16", "-50", "high-first", vec![0xffce]),
        ("u32", "3000000000", "high-first", vec![0xb2d0, 0x5e00]),
        ("u32", "3000000000", "low-first", vec![0x5e00, 0xb2d0]),
        ("i32", "-4600", "high-first", vec![0xffff, 0xee08]),
        ("i32", "-4600", "low-first", vec![0xee08, 0xffff]),
        ("f32", "-230.1", "high-first", vec![0xc366, 0x199a]),
        ("f32", "-230.1", "low-first", vec![0x199a, 0xc366]),
        ("hex", "0x00ff", "high-first", vec![0x00ff]),
    ] {
        let options = ["--type", kind, "--word-order", order, "--unit", "7"];
        let written = out(&[&["write", &target, "100", value, "--verify"], &options[..]].concat());
        assert!(written.contains(&format!("Wrote {kind} {value} ")) && written.contains("Read back: it is there."), "{written}");
        let count = words.len() as u16;
        let write = server.asked().iter().rev().nth(1).cloned().unwrap();
        let expected = match words[..] {
            [value] => Request::WriteSingleRegister { address: 100, value },
            _ => Request::WriteMultipleRegisters { address: 100, values: words.clone() },
        };
        assert_eq!(write, (7, expected));
        let read = out(&[&["read", &target, "100"], &options[..]].concat());
        assert!(read.lines().nth(1).unwrap().trim_end().ends_with(value), "{read}");
        assert_eq!(server.asked().last(), Some(&(7, Request::ReadHoldingRegisters { address: 100, count })));
    }
    out(&["write", &target, "200", "SAX Power", "--type", "string", "--verify"]);
    assert!(out(&["read", &target, "200", "5", "--type", "string"]).contains("\"SAX Power\""));
}

#[test]
fn coils_have_functions_of_their_own() {
    let server = memory(Memory::default());
    let target = server.target();
    out(&["write", &target, "3", "on", "--type", "bool", "--verify"]);
    out(&["write", &target, "4", "1", "0", "1", "--function", "15", "--verify"]);
    assert_eq!(server.asked()[2].1, Request::WriteMultipleCoils { address: 4, count: 3, packed: vec![0b101] });
    let read = out(&["read", &target, "2", "6", "--function", "1"]);
    let values: Vec<_> = read.lines().skip(1).map(|line| line.split_whitespace().last().unwrap()).collect();
    assert_eq!(values, ["0", "1", "1", "0", "1", "0"]);
    assert!(fails(2, &["read", &target, "2", "--type", "bool", "--function", "3"]).contains("Function 3 reads registers"));
    assert!(fails(2, &["write", &target, "2", "1", "0", "--function", "5"]).contains("Function 5 writes one coil"));
}

#[test]
fn negative_values_are_values() {
    let server = memory(Memory::counting(41, 2));
    let target = server.target();
    out(&["write", &target, "41", "-50", "-1", "--type", "i16", "--unit", "64", "--function", "16"]);
    assert_eq!(server.asked(), [(64, Request::WriteMultipleRegisters { address: 41, values: vec![0xffce, 0xffff] })]);
    assert!(fails(2, &["write", &target, "41", "-50"]).contains("--type i16"));
    assert!(fails(2, &["write", &target, "41", "-1e39", "--type", "f32"]).contains("out of the range"));
    assert!(fails(2, &["write", &target, "41", "-inf", "--type", "f32"]).contains("--not-finite"));
    assert_eq!(server.asked().len(), 1, "what is refused is not sent");
    out(&["write", &target, "41", "-inf", "--type", "f32", "--not-finite"]);
}

#[test]
fn one_based_addresses_are_those_of_modpoll() {
    // Reference 3: `modpoll -r 2026`, `modpoll -r 2008 ... 50`; on the wire 2025 and 2007 (facts/devices.md 6.3).
    let server = memory(Memory::counting(2000, 40));
    let target = server.target();
    let read = out(&["read", &target, "2026", "--one-based"]);
    assert!(read.contains("counted from 1") && read.contains(" 2026  0x07e9  2025"), "{read}");
    let read = out(&["read", &target, "2026"]);
    assert!(read.contains(" 2026  0x07ea  2026"), "{read}");
    out(&["write", &target, "2008", "50", "--one-based"]);
    assert_eq!(server.asked().last(), Some(&(1, Request::WriteSingleRegister { address: 2007, value: 50 })));
    assert!(fails(2, &["read", &target, "0", "--one-based"]).contains("is no address"));
}

#[test]
fn long_readings_are_split_between_values() {
    let server = memory(Memory::counting(0, 1000));
    let target = server.target();
    assert_eq!(out(&["read", &target, "0x10", "300"]).lines().count(), 301);
    out(&["read", &target, "0", "100", "--type", "u32", "--function", "4"]);
    let counts: Vec<_> = server
        .asked()
        .iter()
        .map(|(_, request)| match request {
            Request::ReadHoldingRegisters { address, count } | Request::ReadInputRegisters { address, count } => (*address, *count),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [(16, 125), (141, 125), (266, 50), (0, 124), (124, 76)]);
    assert!(fails(2, &["read", &target, "65535", "2"]).contains("no registers beyond 65535"));
    let many: Vec<String> = (0..124).map(|n| n.to_string()).collect();
    let arguments: Vec<&str> = ["write", &target, "0"].into_iter().chain(many.iter().map(String::as_str)).collect();
    assert!(fails(2, &arguments).contains("at most 123"));
    out(&arguments[..126]);
    assert!(matches!(&server.asked()[5].1, Request::WriteMultipleRegisters { values, .. } if values.len() == 123));
}

#[test]
fn exceptions_are_explained_in_words() {
    let server = Server::start(|unit, request| Some(Reply::Exception { function: request.function(), code: unit }));
    let target = server.target();
    for (code, part) in [
        ("1", "Exception 0x01 (illegal function). The device does not know function 3 here. Try --function 4"),
        ("2", "Exception 0x02 (illegal data address). The device has nothing at holding register 2026."),
        ("4", "Exception 0x04 (device failure)."),
        ("6", "Exception 0x06 (device busy). The device is busy: try again later."),
        ("11", "Exception 0x0b (gateway target does not respond)."),
        ("200", "Exception 0xc8. This code is not in the specification"),
    ] {
        let said = fails(1, &["read", &target, "2026", "--unit", code]);
        assert!(said.starts_with(&format!("{target}, unit {code}: {part}")), "{said}");
    }
    let said = fails(1, &["write", &target, "2008", "1", "--unit", "3"]);
    assert!(said.contains("does not take this value") && said.contains("Nothing was written."), "{said}");
}

#[test]
fn silence_is_a_timeout_and_a_write_may_still_happen() {
    let server = Server::start(|_, _| None);
    let target = server.target();
    let said = fails(1, &["read", &target, "5", "--timeout-ms", "50"]);
    assert!(said.contains(": Timeout. ") && said.contains("--unit") && !said.contains("may still happen"), "{said}");
    let said = fails(1, &["write", &target, "5", "1", "--timeout-ms", "50", "--verify"]);
    assert!(said.contains(": Timeout. ") && said.contains("may still happen"), "{said}");
    assert_eq!(server.asked().len(), 2, "nothing is sent twice");
    // Nobody else has this loopback address.
    let deaf = std::net::TcpListener::bind("127.0.0.29:0").unwrap().local_addr().unwrap().to_string();
    let said = fails(1, &["write", &deaf, "5", "1"]);
    assert!(said.contains("nothing listens at this port") && said.contains("Nothing was written."), "{said}");
}

#[test]
fn watching_marks_what_changes() {
    let mut round = 0;
    let server = Server::start(move |_, request| {
        let Request::ReadHoldingRegisters { .. } = request else { return None };
        round += 1;
        Some(Reply::HoldingRegisters { values: vec![7, if round < 3 { 10 } else { 11 }] })
    });
    let shown = out(&["read", &server.target(), "46", "2", "--watch", "0.05", "--times", "4"]);
    assert_eq!(shown.matches("after ").count(), 4, "{shown}");
    let marks: Vec<_> = shown.lines().filter(|line| line.contains('*')).collect();
    assert_eq!(marks, ["     47  0x000b  11  * was 10"], "{shown}");
    let lines = out(&["read", &server.target(), "46", "2", "--watch=0.05", "--times", "2", "--json"]);
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[1]["values"][1]["value"], &lines[1]["values"][1]["changed"]), (&Value::from(11), &Value::from(false)));
    assert!(fails(2, &["read", &server.target(), "46", "--times", "2"]).contains("--watch"));
}

#[test]
fn watching_goes_on_after_a_fault_and_tells_at_the_end() {
    let mut round = 0;
    let server = Server::start(move |_, request| {
        round += 1;
        let good = Reply::HoldingRegisters { values: vec![1] };
        Some(if round == 2 { Reply::Exception { function: request.function(), code: 6 } } else { good })
    });
    let done = program(&["read", &server.target(), "1", "--watch", "0.05", "--times", "3"]);
    assert_eq!((done.code, done.err.as_str()), (Some(1), "1 of 3 readings failed.\n"));
    assert!(done.out.contains("device busy") && done.out.lines().count() == 6, "{}", done.out);
}

#[test]
fn programs_get_json_and_people_the_bytes() {
    let server = memory(Memory { registers: [(46, 0x4366), (47, 0x199a), (48, 0x7fc0), (49, 0)].into(), ..Memory::default() });
    let target = server.target();
    let json: Value = serde_json::from_str(&out(&["read", &target, "46", "2", "--type", "f32", "--json"])).unwrap();
    assert_eq!(json["target"], target);
    assert_eq!(json["values"][0]["value"].to_string(), "230.1");
    assert_eq!(json["values"][0]["registers"], serde_json::json!([0x4366, 0x199a]));
    assert_eq!(json["values"][1], serde_json::json!({ "address": 48, "registers": [0x7fc0, 0], "value": null, "changed": false }));
    let done = program(&["read", &target, "46", "--raw", "--unit", "64"]);
    assert_eq!(done.err, "> 40 03 00 2e 00 01\n< 40 03 02 43 66\n");
    let done = program(&["read", &target, "1", "--raw"]);
    assert!(done.err.starts_with("> 01 03 00 01 00 01\n< 01 83 02\n"), "{}", done.err);
    let json: Value = serde_json::from_str(&out(&["write", &target, "46", "1", "--verify", "--json"])).unwrap();
    assert_eq!((&json["verified"], &json["registers"]), (&Value::from(true), &serde_json::json!([1])));
}

#[test]
fn what_does_not_stay_written_is_told() {
    let mut registers = Memory::counting(45, 1);
    let server = Server::start(move |_, request| {
        Some(match request {
            Request::WriteSingleRegister { address, value } => Reply::WrittenSingleRegister { address: *address, value: *value },
            read => registers.answer(read),
        })
    });
    let done = program(&["write", &server.target(), "45", "2", "--verify"]);
    assert_eq!(done.code, Some(1));
    assert!(done.err.contains("the registers hold 0x002d, not 0x0002"), "{}", done.err);
}

#[test]
fn the_running_controller_is_told_of() {
    let server = memory(Memory::counting(0, 3));
    let folder = Folder::new("tools-in-use");
    let path = folder.file("s");
    let listener = UnixListener::bind(&path).unwrap();
    let document = format!("{{\"errors\": {{\"link {}\": {{}}, \"link 10.0.0.9:502\": {{}}}}}}", server.target());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(document.as_bytes());
        }
    });
    let read = |target: &str| {
        let mut command = std::process::Command::new(process::PROGRAM);
        let output = command.args(["read", target, "1", "--socket"]).arg(&path).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, said) = read(&server.target());
    assert!(code == Some(0) && said.contains(&format!("the running controller uses {}", server.target())), "{said}");
    let other = memory(Memory::counting(0, 3));
    assert_eq!(read(&other.target()), (Some(0), String::new()));
}

#[test]
fn wrong_arguments_end_with_2_and_a_sentence() {
    for (arguments, part) in [
        (&["read"][..], "The target is missing"),
        (&["read", "h"], "The address is missing."),
        (&["read", "h", "x"], "is no address"),
        (&["read", "h", "1", "0"], "The count is a whole number"),
        (&["read", "h", "1", "1", "1"], "one argument too many"),
        (&["read", "h:0", "1"], "the port is no number"),
        (&["read", "h", "1", "--function", "5"], "--function must be a whole number from 1 to 4"),
        (&["read", "h", "1", "--type", "u8"], "is no type"),
        (&["read", "h", "1", "--word-order", "abcd"], "is no word order"),
        (&["read", "h", "1", "--watch=0"], "--watch takes seconds"),
        (&["read", "h", "1", "--baud", "9600"], "--baud is for a serial port"),
        (&["read", "/x", "1", "--baud", "9000"], "9000 is no rate of a serial port for --baud, the nearest is 9600."),
        (&["scan", "/x", "--baud", "9600,128000"], "128000 is no rate of a serial port for --baud, the nearest is 115200."),
        (&["scan", "/x", "--baud", "fast"], "--baud must be a whole number from 300 to 4000000, not \"fast\"."),
        (&["read", "h", "1", "--nonsense"], "There is no option --nonsense."),
        (&["write", "h", "1"], "The value is missing."),
        (&["write", "h", "1", "70000"], "out of the range of u16"),
        (&["write", "h", "1", "1", "--function", "7"], "Function 7 does not write"),
        (&["write", "h", "1", "1", "2", "--function", "6"], "Function 6 writes one register"),
    ] {
        let said = fails(2, arguments);
        let see = format!("See 'sax-controller {} --help'.\n", arguments[0]);
        assert!(said.contains(part) && said.ends_with(&see) && said.lines().count() == 2, "{arguments:?}: {said}");
    }
    // Short ones are shown at once.
    assert!(fails(2, &["devices", "--nonsense"]).contains("\n\nUsage: sax-controller devices "));
    assert!(fails(2, &["nonsense"]).contains("\n\nUsage: sax-controller COMMAND "));
    for command in ["read", "write", "scan"] {
        assert!(out(&[command, "--help"]).starts_with(&format!("Usage: sax-controller {command} ")));
    }
}

#[test]
fn watching_ends_when_nobody_reads_any_more() {
    let server = memory(Memory::counting(0, 3));
    let mut child = std::process::Command::new(process::PROGRAM)
        .args(["read", &server.target(), "1", "--watch", "0.05", "--socket", "/nowhere/s"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(start.elapsed() < Duration::from_secs(20), "it goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_serial_bus_is_read_and_written_too() {
    let bus = pty_bus::PtyBus::start();
    let port = bus.serial().port;
    let value = |address| pty_bus::value(64, address).to_string();
    let read = out(&["read", &port, "10", "2", "--unit", "64", "--baud", "115200"]);
    assert!(read.contains(&value(10)) && read.contains(&value(11)), "{read}");
    let done = program(&["write", &port, "10", "-50", "--type", "i16", "--unit", "64", "--baud", "115200", "--raw"]);
    assert_eq!(done.code, Some(0), "{}", done.err);
    assert!(done.err.starts_with("> 40 06 00 0a ff ce ") && done.err.contains("\n< 40 06 00 0a ff ce "), "{}", done.err);
    assert_eq!(bus.asked().last(), Some(&(64, Request::WriteSingleRegister { address: 10, value: 0xffce })));

    let said = fails(1, &["write", &port, "10", "1", "--unit", "9", "--timeout-ms", "100"]);
    assert!(said.contains("Timeout") && said.contains("wires A and B") && said.contains("may still happen"), "{said}");
    bus.odd(7, |good| vec![pty_bus::Act::Send([&good[..good.len() - 1], &[!good[good.len() - 1]]].concat())]);
    let said = fails(1, &["read", &port, "7", "--timeout-ms", "300"]);
    assert!(said.contains("CRC Error. The answer was damaged"), "{said}");
    bus.odd(8, |good| vec![pty_bus::Act::Send(good[..3].to_vec())]);
    let said = fails(1, &["read", &port, "8", "--timeout-ms", "300"]);
    assert!(said.contains("Short frame (3 bytes). Only a part of an answer came"), "{said}");
    assert!(fails(2, &["read", &port, "8", "--unit", "0"]).contains("Units on a serial line are 1 to 247"));
    let said = fails(1, &["write", "/dev/sax-nowhere", "8", "1"]);
    assert!(said.contains("There is no serial port /dev/sax-nowhere") && said.contains("Nothing was written."), "{said}");
}

#[test]
fn a_serial_port_that_is_in_use_is_left_alone() {
    let bus = pty_bus::PtyBus::start();
    let mut link = RtuLink::new(&bus.serial(), Duration::from_secs(10), Hurry::default());
    link.set_uid(64);
    link.read_holding_registers(1, 1).unwrap();
    let asked = bus.asked().len();
    for command in [&["read", &bus.serial().port, "1"][..], &["scan", &bus.serial().port]] {
        let said = fails(1, command);
        assert!(said.contains("is in use") && said.contains("stopped first") && !said.contains(".."), "{said}");
    }
    assert_eq!(bus.asked().len(), asked);
}
