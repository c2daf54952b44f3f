//! The served site, byte for byte: habits of a SAX battery, one connection at a time, and every fault as it looks on the wire.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sax_controller::plant::faults::{Fault, Faults};
use sax_controller::plant::house::House;
use sax_controller::plant::serve::LiveSite;
use sax_controller::plant::site::SiteParams;
use sax_controller::units::Phase;

const READ_SOC: [u8; 12] = [0x12, 0x34, 0, 0, 0, 6, 64, 3, 0, 46, 0, 1];
const SOC: [u8; 11] = [0x12, 0x34, 0, 0, 0, 5, 64, 3, 2, 0, 40];

fn start() -> LiveSite {
    LiveSite::start(SiteParams::new(1, House::Fixed([0; 3]), &[Phase::L1]), 1).unwrap()
}

fn connect(live: &LiveSite) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", live.ports()[0])).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    stream
}

/// Everything that comes within the time; `Err` when the connection ends otherwise than by closing.
fn ask_for(stream: &mut TcpStream, request: &[u8], expected: usize, wait: Duration) -> Result<Vec<u8>, ErrorKind> {
    stream.write_all(request).map_err(|e| e.kind())?;
    stream.set_read_timeout(Some(wait)).unwrap();
    let mut bytes = Vec::new();
    while bytes.len() < expected {
        let mut some = [0; 300];
        match stream.read(&mut some) {
            Ok(0) => break,
            Ok(count) => bytes.extend(&some[..count]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => break,
            Err(e) => return Err(e.kind()),
        }
    }
    Ok(bytes)
}

fn ask(stream: &mut TcpStream, request: &[u8], expected: usize) -> Vec<u8> {
    ask_for(stream, request, expected, Duration::from_secs(5)).unwrap()
}

/// One request on a fresh connection with this fault.
fn with(live: &LiveSite, fault: Fault, expected: usize, wait_ms: u64) -> Result<Vec<u8>, ErrorKind> {
    let faults = live.faults();
    faults.set(0, fault);
    let result = ask_for(&mut connect(live), &READ_SOC, expected, Duration::from_millis(wait_ms));
    faults.clear(0, fault);
    result
}

#[test]
fn habits_of_a_sax_battery() {
    let live = start();
    let mut stream = connect(&live);
    assert_eq!(ask(&mut stream, &READ_SOC, 11), SOC);
    // facts/sax.md 5.4
    let limit = [0, 1, 0, 0, 0, 9, 0x40, 0x10, 0, 0x2B, 0, 1, 2, 0, 0];
    assert_eq!(ask(&mut stream, &limit, 12), [0, 1, 0, 0, 0, 6, 0x40, 0x10, 0, 0x2B, 0, 1]);
    // facts/sax.md 5.2: asked 0x01CF, got 0x00CF.
    let mut setpoint = [1, 0xCF, 0, 0, 0, 9, 0x40, 0x10, 0, 0x29, 0, 1, 2, 0x11, 0xF8];
    assert_eq!(ask(&mut stream, &setpoint, 12)[..2], [0, 0xCF]);
    // An exception to FC06 has 9 bytes and says 6 (facts/sax.md 2, Responses); one to FC16 says 3.
    let single = [0, 7, 0, 0, 0, 6, 100, 6, 0x9C, 0x40, 0, 1];
    assert_eq!(ask(&mut stream, &single, 9), [0, 7, 0, 0, 0, 6, 100, 0x86, 2]);
    setpoint[9] = 46;
    assert_eq!(ask(&mut stream, &setpoint, 9), [0, 0xCF, 0, 0, 0, 3, 64, 0x90, 2]);
    // A function it does not know, and requests one after the other in one piece.
    assert_eq!(ask(&mut stream, &[0, 8, 0, 0, 0, 2, 64, 0x41], 9), [0, 8, 0, 0, 0, 3, 64, 0xC1, 1]);
    assert_eq!(ask(&mut stream, &[READ_SOC, READ_SOC].concat(), 22), [SOC, SOC].concat());
    assert_eq!(live.with(|site| site.writes(0)), 2);
}

#[test]
fn one_connection_at_a_time() {
    let live = start();
    let mut first = connect(&live);
    assert_eq!(ask(&mut first, &READ_SOC, 11), SOC);
    let mut second = connect(&live);
    assert_eq!(second.read(&mut [0; 9]).unwrap(), 0, "closed at once");
    assert_eq!(ask(&mut first, &READ_SOC, 11), SOC);
    drop(first);
    assert_eq!(ask(&mut connect(&live), &READ_SOC, 11), SOC, "and free again");
    let mut nonsense = connect(&live);
    assert_eq!(ask_for(&mut nonsense, b"GET / HTTP/1.1\r\n\r\n", 1, Duration::from_secs(5)).unwrap_or_default(), [0u8; 0]);
    assert_eq!(ask(&mut connect(&live), &READ_SOC, 11), SOC);
}

#[test]
fn faults_of_the_connection() {
    let live = start();
    assert_eq!(with(&live, Fault::Silent, 1, 100), Ok(vec![]));
    assert_eq!(with(&live, Fault::Reset, 1, 5000), Err(ErrorKind::ConnectionReset));
    assert_eq!(with(&live, Fault::Close, 1, 5000), Ok(vec![]));
    let asked = Instant::now();
    assert_eq!(with(&live, Fault::Delay(150), 11, 5000), Ok(SOC.to_vec()));
    assert!(asked.elapsed() >= Duration::from_millis(150));
    let asked = Instant::now();
    assert_eq!(with(&live, Fault::Trickle(15), 11, 5000), Ok(SOC.to_vec()));
    assert!(asked.elapsed() >= Duration::from_millis(150));
    assert_eq!(with(&live, Fault::LoseReply { permille: 1000 }, 1, 100), Ok(vec![]));
    assert_eq!(with(&live, Fault::LoseRequest { permille: 1000 }, 1, 100), Ok(vec![]));
}

#[test]
fn refused_until_it_is_over() {
    let live = start();
    let mut stream = connect(&live);
    assert_eq!(ask(&mut stream, &READ_SOC, 11), SOC);
    let faults = live.faults();
    faults.set(0, Fault::Refuse);
    assert_eq!(stream.read(&mut [0; 9]).unwrap_or(0), 0, "the connection there was ends");
    let refused = || TcpStream::connect(("127.0.0.1", live.ports()[0])).is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused);
    assert!(refused());
    faults.clear(0, Fault::Refuse);
    let until = Instant::now() + Duration::from_secs(10);
    while refused() {
        assert!(Instant::now() < until, "it never comes back");
        std::thread::yield_now();
    }
    assert_eq!(ask_when_free(&live), SOC);
}

/// The attempt above may still hold the one connection there is.
fn ask_when_free(live: &LiveSite) -> Vec<u8> {
    for _ in 0..100 {
        match ask_for(&mut connect(live), &READ_SOC, 11, Duration::from_secs(5)) {
            Ok(bytes) if !bytes.is_empty() => return bytes,
            _ => {}
        }
    }
    Vec::new()
}

#[test]
fn faults_of_the_bytes() {
    let live = start();
    assert_eq!(with(&live, Fault::HalfFrame, 11, 100), Ok(SOC[..5].to_vec()));
    let garbage = with(&live, Fault::Garbage, 16, 5000).unwrap();
    assert!(garbage.len() == 16 && garbage[2] != 0, "{garbage:?}");
    assert_eq!(with(&live, Fault::WrongId, 11, 5000).unwrap(), [&[0x47, 0x61], &SOC[2..]].concat());
    assert_eq!(with(&live, Fault::WrongUnit, 11, 5000).unwrap(), [&SOC[..6], &[65], &SOC[7..]].concat());
    assert_eq!(with(&live, Fault::Exception(6), 9, 5000).unwrap(), [0x12, 0x34, 0, 0, 0, 3, 64, 0x83, 6]);
    assert_eq!(with(&live, Fault::OtherFunction, 11, 5000).unwrap(), [&SOC[..7], &[4], &SOC[8..]].concat());
    assert_eq!(with(&live, Fault::WrongLength, 11, 5000).unwrap(), [&SOC[..5], &[9], &SOC[6..]].concat());
    assert_eq!(with(&live, Fault::TrailingBytes, 13, 5000).unwrap(), [&SOC[..5], &[7], &SOC[6..], &[0xDE, 0xAD]].concat());
    assert_eq!(with(&live, Fault::ShortByOne, 10, 5000).unwrap(), [&SOC[..5], &[4], &SOC[6..10]].concat());
    assert_eq!(with(&live, Fault::AbsurdValues, 11, 5000).unwrap(), [&SOC[..9], &[0x7F, 0xFF]].concat());
}

#[test]
fn an_old_reply_comes_again() {
    let live = start();
    let mut stream = connect(&live);
    ask(&mut stream, &READ_SOC, 11);
    live.faults().set(0, Fault::StaleReplay);
    let mut next = READ_SOC;
    (next[1], next[9]) = (0x35, 45);
    assert_eq!(ask(&mut stream, &next, 11), SOC);
    live.faults().clear_all(0);
    assert_eq!(ask(&mut stream, &next, 11)[..2], [0x12, 0x35]);
}

#[test]
fn no_connection_survives_a_restart() {
    let live = start();
    let mut stream = connect(&live);
    assert_eq!(ask(&mut stream, &READ_SOC, 11), SOC);
    live.with(|site| site.reboot(0, 0));
    assert_eq!(ask_for(&mut stream, &READ_SOC, 1, Duration::from_secs(5)).unwrap_or_default(), [0u8; 0]);
    assert_eq!(ask(&mut connect(&live), &READ_SOC, 11), SOC);
}

#[test]
fn stuck_registers_on_the_wire() {
    let live = start();
    let mut stream = connect(&live);
    let read_switch = [0, 9, 0, 0, 0, 6, 64, 3, 0, 45, 0, 1];
    let switch_off = [0, 9, 0, 0, 0, 9, 64, 16, 0, 45, 0, 1, 2, 0, 1];
    let stuck = |faults: &Faults| faults.set(0, Fault::FrozenRegisters);
    stuck(&live.faults());
    let before = ask(&mut stream, &read_switch, 11);
    ask(&mut stream, &switch_off, 12);
    assert_eq!(ask(&mut stream, &read_switch, 11), before);
    live.faults().clear_all(0);
    assert_eq!(ask(&mut stream, &read_switch, 11)[10], 1);
}

#[test]
fn time_passes_and_everything_ends_soon() {
    let live = LiveSite::start(SiteParams::new(1, House::Demo(1), &Phase::ALL), 100).unwrap();
    let until = Instant::now() + Duration::from_secs(10);
    while live.truth().at_ms < 10_000 {
        assert!(Instant::now() < until, "time stands still");
        std::thread::yield_now();
    }
    assert!(live.truth().battery_w.iter().any(|w| *w != 0), "the batteries balance the house");
    assert_eq!(live.ports().len(), 3);
    live.faults().set(0, Fault::Delay(3_600_000));
    let mut stream = connect(&live);
    stream.write_all(&READ_SOC).unwrap();
    let ending = Instant::now();
    drop(live);
    assert!(ending.elapsed() < Duration::from_secs(5), "no thread waits for long");
}
