//! The communication log: what a line says, that the file stays bounded and is found again, and that nothing ever waits for it.

#[path = "common/process.rs"]
#[allow(unused_imports)]
mod process;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use process::Folder;
use sax_controller::daemon::clock::{Clock, Monotonic};
use sax_controller::daemon::comm_log::CommLog;
use sax_controller::daemon::endpoint::SharedEndpoint;
use sax_controller::device::profile::{Block, RawWrite, Words};
use sax_controller::link::deadline::Hurry;
use sax_controller::link::fault::Fault;
use sax_controller::link::place::Place;
use sax_controller::units::{Span, Time};

/// A wall clock that stands still.
#[derive(Clone, Copy)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Time {
        Time::ZERO
    }

    fn sleep(&self, _: Span) {}

    fn wall_s(&self) -> i64 {
        1_774_746_000
    }

    fn wall_ms(&self) -> i64 {
        1_774_746_000_007
    }
}

const BLOCK: Block = Block { function: 3, address: 1000, count: 2 };

/// The text of the file once it fits; panics after 10 s.
#[track_caller]
fn until(path: &Path, done: impl Fn(&str) -> bool) -> String {
    let begun = Instant::now();
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        if done(&text) {
            return text;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "{}: {text}", path.display());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn lines(text: &str) -> usize {
    text.lines().count()
}

#[test]
fn a_line_for_every_kind_of_fault() {
    let folder = Folder::new("comm-lines");
    let path = folder.file("comm.log");
    let log = CommLog::start(&path, Still).unwrap();
    let one = Block { function: 6, address: 41, count: 1 };
    for fault in [Fault::Timeout, Fault::Crc, Fault::Exception(0x0b), Fault::Short { bytes: 3 }, Fault::WrongUnit(7)] {
        log.request("192.168.1.11:502", 64, &BLOCK, &fault);
    }
    log.request("/dev/ttyUSB0", 1, &one, &Fault::Io("gone\nfor good".into()));
    log.request("x", 1, &Block { function: 3, address: u16::MAX, count: 0 }, &Fault::Timeout);
    log.note("/dev/ttyUSB1", "telegram=P1", &"CRC Error");
    let text = until(&path, |text| lines(text) == 8);
    let expected = [
        "192.168.1.11:502 unit=64 fc=3 reg=1000-1001 Timeout",
        "192.168.1.11:502 unit=64 fc=3 reg=1000-1001 CRC Error",
        "192.168.1.11:502 unit=64 fc=3 reg=1000-1001 Exception 0x0b (gateway target does not respond)",
        "192.168.1.11:502 unit=64 fc=3 reg=1000-1001 Short frame (3 bytes)",
        "192.168.1.11:502 unit=64 fc=3 reg=1000-1001 Wrong unit 7",
        "/dev/ttyUSB0 unit=1 fc=6 reg=41 I/O error: gone\\nfor good",
        "x unit=1 fc=3 reg=65535 Timeout",
        "/dev/ttyUSB1 telegram=P1 CRC Error",
    ];
    for (line, expected) in text.lines().zip(expected) {
        assert_eq!(line, format!("2026-03-29T01:00:00.007Z {expected}"));
    }
}

#[test]
fn the_file_is_found_again_after_it_was_moved_and_after_its_folder_came() {
    let folder = Folder::new("comm-moved");
    let path = folder.file("later").join("comm.log");
    let log = CommLog::start(&path, Still).unwrap();
    log.note("lost", "a=1", &"for want of a folder");
    // The writer takes the line off the queue in any case; only then may the folder come.
    std::thread::sleep(Duration::from_millis(100));
    fs::create_dir(folder.file("later")).unwrap();
    log.note("first", "a=1", &"Timeout");
    until(&path, |text| text.contains("first"));
    fs::rename(&path, folder.file("moved")).unwrap();
    log.note("second", "a=1", &"Timeout");
    let text = until(&path, |text| text.contains("second"));
    assert_eq!(lines(&text), 1);
    // Shortened in place, as logrotate's copytruncate does.
    fs::write(&path, "").unwrap();
    log.note("third", "a=1", &"Timeout");
    assert!(until(&path, |text| text.contains("third")).starts_with("2026"));
}

#[test]
fn it_stays_below_two_mebibytes() {
    let folder = Folder::new("comm-size");
    let path = folder.file("comm.log");
    fs::write(&path, "x".repeat((1 << 20) - 20)).unwrap();
    let log = CommLog::start(&path, Still).unwrap();
    log.note("new", "a=1", &"Timeout");
    let text = until(&path, |text| text.contains("new") && lines(text) == 1);
    assert_eq!(text, "2026-03-29T01:00:00.007Z new a=1 Timeout\n");
    assert_eq!(fs::metadata(folder.file("comm.log.1")).unwrap().len(), (1 << 20) - 20);
    // Lines are cut, whatever they say.
    log.note("long", "a=1", &"x".repeat(100_000));
    until(&path, |text| text.contains("long") && text.ends_with("x\n") && text.len() < 1000);
}

#[test]
fn nobody_waits_for_it_and_what_is_left_out_is_counted() {
    let folder = Folder::new("comm-storm");
    let path = folder.file("comm.log");
    let log = CommLog::start(&path, Still).unwrap();
    for k in 0..5_000 {
        log.note("storm", &format!("k={k}"), &"Timeout");
    }
    log.note("end", "a=1", &"Timeout");
    drop(log.clone());
    let text = until(&path, |text| {
        let left_out: usize =
            text.lines().filter_map(|l| l.strip_suffix("the disk takes them")?.split(' ').nth(1)?.parse::<usize>().ok()).sum();
        text.lines().filter(|l| l.contains("storm") || l.contains("end a=1")).count() + left_out >= 5_001 || {
            log.note("more", "a=1", &"Timeout");
            false
        }
    });
    let k = |line: &str| line.split("k=").nth(1)?.split(' ').next()?.parse::<u32>().ok();
    let order: Vec<_> = text.lines().filter_map(k).collect();
    assert!(order.windows(2).all(|pair| pair[0] < pair[1]) && order.first() == Some(&0));
}

#[test]
fn a_pipe_is_no_file() {
    let folder = Folder::new("comm-pipe");
    let path = folder.file("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    // This would wait for ever for a reader.
    let log = CommLog::start(&path, Still).unwrap();
    log.note("a", "a=1", &"Timeout");
}

#[test]
fn an_endpoint_writes_down_every_fault() {
    let folder = Folder::new("comm-endpoint");
    let path = folder.file("comm.log");
    // An address of this computer at which nobody listens.
    let place = Place::Tcp { host: "127.0.0.98".into(), port: 1 };
    let link = sax_controller::link::open(&place, Duration::from_secs(5), Hurry::default());
    let clock = Monotonic::start();
    let endpoint = SharedEndpoint::with_comm_log(link, Some(CommLog::start(&path, clock).unwrap()));
    let mut endpoint = endpoint.lock();
    assert!(endpoint.read(64, &BLOCK, Span::ZERO, &clock).is_err());
    assert!(endpoint.write(64, &RawWrite { address: 41, function: 6, words: Words::one(5) }, Span::ZERO, &clock).is_err());
    let text = until(&path, |text| lines(text) == 2);
    let mut said = text.lines();
    assert!(said.next().is_some_and(|l| l.contains("Z 127.0.0.98:1 unit=64 fc=3 reg=1000-1001 I/O error: ")), "{text}");
    assert!(said.next().is_some_and(|l| l.contains("Z 127.0.0.98:1 unit=64 fc=6 reg=41 I/O error: no connection")), "{text}");
}
