//! Requests and replies recorded from the firmware's Modbus server: ours answers alike, but where the specification has it otherwise.
#![allow(missing_docs)]

#[path = "common/served.rs"]
mod served;

use sax_controller::balancer::{Settings, Step};
use served::Served;

const RECORDED: &str = include_str!("data/p1_modbus_vectors.txt");

struct Vector {
    name: String,
    request: String,
    reply: String,
}

/// The server's part of the file. What was passed to the charger's bus had no reply.
fn vectors() -> Vec<Vector> {
    let (server, _) = RECORDED.split_once("# charger side").unwrap();
    let (mut name, mut all) = (String::new(), Vec::<Vector>::new());
    for line in server.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("# ") {
            name = text.into();
        } else if let Some(request) = line.strip_prefix("req: ") {
            all.push(Vector { name: name.clone(), request: request.into(), reply: String::new() });
        } else if let Some(reply) = line.strip_prefix("reply: ") {
            all.last_mut().unwrap().reply = reply.into();
        }
    }
    all
}

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

/// Where we answer otherwise, with our reply, and why (`spec/load-balancer.md`, deliberate differences).
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("read 1000 x4 (1000..1003)", "0a 83 02 b1 33", "there is no 1003: 1002 is the state"),
    ("read count 0", "0a 83 03 70 f3", "a count of 0 is exception 3"),
    ("read count 0 at an absent address", "0a 83 03 70 f3", "a count of 0 is exception 3"),
    ("FC04", "0a 04 02 3e 80 0d 31", "function 4 reads the same registers"),
    ("FC01", "0a 81 01 f0 52", "other functions are exception 1"),
    ("FC05", "0a 85 01 f2 92", "other functions are exception 1"),
    ("FC15", "0a 8f 01 f4 32", "other functions are exception 1"),
    ("read 1010 x2", "0a 03 04 4e 20 00 02 d7 d0", "the refused 21000, 9 before it has changed nothing"),
    ("read 1000", "0a 03 02 27 10 07 b9", "the refused 8000, 0 before it has changed nothing"),
    ("FC16 count 0", "0a 90 03 7d c3", "a count of 0 is exception 3"),
    ("FC16 count 1 but 4 data bytes", "0a 90 03 7d c3", "the byte count must fit"),
    ("FC07 (4 bytes on the wire): nothing, stays in the buffer", "0a 87 01 f3 f2", "other functions are exception 1"),
    ("a request within 500 ms of it: not served, exception for FC07 instead", "0a 03 02 27 10 07 b9", "it is served"),
    ("after a pause > 500 ms: fine again", "0a 03 02 27 10 07 b9", "the override is still the 10000 of before"),
    ("unknown function for ANOTHER address, right CRC: still answered", "", "another address: silence"),
    ("unknown function, wrong CRC: still answered", "", "a wrong CRC: silence"),
    ("function with the top bit, 5 bytes", "0a 83 01 f1 32", "other functions are exception 1"),
    ("FC06 1091 = 1", "0a 06 04 43 00 01 b9 95", "saving and applying has a reply, and needs no restart"),
];

#[test]
fn replies_are_those_of_the_firmware_but_for_the_listed_ones() {
    let lower = Step { wait_s: 5, ..Settings::default().lower };
    let mut served = Served::new(Some(Settings { lower, ..Settings::default() }));
    let mut differing = Vec::new();
    for vector in vectors() {
        let reply = hex(&served.on_the_line(&bytes(&vector.request)));
        if reply != vector.reply {
            differing.push((vector.name, reply));
        }
    }
    assert_eq!(vectors().len(), 45);
    let expected: Vec<_> = DIFFERENCES.iter().map(|(name, reply, _)| ((*name).to_owned(), (*reply).to_owned())).collect();
    assert_eq!(differing, expected);
    let saved = served.saved.expect("the last request has saved them");
    let settings = saved.settings.unwrap();
    assert_eq!((saved.address, settings.charger_limit_ma, settings.phases, settings.alarm.wait_s), (11, 20_000, 2, 254));
    assert_eq!(served.image().unit, 11, "from the next request on");
}
