//! The RTU link against devices that misbehave on a bus, over pseudo terminals: what each fault is called, that the deadline is kept, that
//! the requests after it are right, and that nothing wrong is ever taken for a reply.

#[path = "common/pty_bus.rs"]
mod pty_bus;

use std::time::{Duration, Instant};

use modbus::{Client, Coil, Result};
use pty_bus::Act::{HangUp, Pause, Send};
use pty_bus::{PtyBus, value};
use sax_controller::link::deadline::Hurry;
use sax_controller::link::exchange::Exchange;
use sax_controller::link::fault::Fault;
use sax_controller::link::place::{Rs485, Serial};
use sax_controller::link::rtu::RtuLink;
use sax_controller::link::{Counters, Link};
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::modbus::rtu;

/// Where the devices misbehave.
const FAULTY: u16 = 1000;
/// The deadline of requests that are meant to miss it.
const SHORT: Duration = Duration::from_millis(300);
/// What such a request may take on a busy computer: the deadline and the wait for silence and for late answers.
const AT_MOST: Duration = Duration::from_millis(2500);
/// The deadline of all others: no busy computer makes them miss it.
const LONG: Duration = Duration::from_secs(60);

fn link(serial: &Serial) -> RtuLink {
    let mut link = RtuLink::new(serial, LONG, Hurry::default());
    link.set_uid(64);
    link
}

fn good(link: &mut RtuLink) {
    for address in [10, 20, 30] {
        assert_eq!(link.read_holding_registers(address, 2).unwrap(), [value(64, address), value(64, address + 1)]);
    }
}

fn fault<T: std::fmt::Debug>(outcome: Result<T>) -> Fault {
    Fault::of(&outcome.expect_err("the request should have failed"))
}

/// A read of two registers at the faulty place that must fail within its deadline, and the requests before and after it.
#[track_caller]
fn fails(odd: impl FnMut(&[u8]) -> Vec<pty_bus::Act> + std::marker::Send + 'static) -> (Fault, Counters) {
    let bus = PtyBus::start();
    let mut link = link(&bus.serial());
    good(&mut link);
    bus.odd(FAULTY, odd);
    link.set_timeout(SHORT);
    let begun = Instant::now();
    let outcome = fault(link.read_holding_registers(FAULTY, 2));
    assert!(begun.elapsed() < AT_MOST, "took {:?}", begun.elapsed());
    link.set_timeout(LONG);
    good(&mut link);
    assert_eq!((link.generation(), bus.asked().len()), (1, 7), "reopened, or sent twice");
    (outcome, Counters { requests: 0, ..link.counters() })
}

/// A read of two registers at the faulty place that must succeed all the same.
#[track_caller]
fn succeeds(odd: impl FnMut(&[u8]) -> Vec<pty_bus::Act> + std::marker::Send + 'static) {
    let bus = PtyBus::start();
    let mut link = link(&bus.serial());
    bus.odd(FAULTY, odd);
    assert_eq!(link.read_holding_registers(FAULTY, 2).unwrap(), [value(64, FAULTY), value(64, FAULTY + 1)]);
    good(&mut link);
    assert_eq!(link.counters(), Counters { requests: 4, ..Counters::default() });
}

fn frame(unit: u8, reply: Reply) -> Vec<u8> {
    rtu::encode(unit, &reply.encode())
}

fn joined(parts: &[&[u8]]) -> Vec<pty_bus::Act> {
    vec![Send(parts.concat())]
}

#[test]
fn every_function() {
    let bus = PtyBus::start();
    let mut link = link(&bus.serial());
    assert_eq!((link.name().to_owned(), link.generation()), (bus.serial().port, 0));
    let bits = |byte: u8, count: usize| -> Vec<Coil> { (0..count).map(|bit| Coil::from(u16::from(byte) >> bit & 1 == 1)).collect() };
    let client: &mut dyn Client = &mut link;
    assert_eq!(client.read_coils(0x35, 6).unwrap(), bits(0x35 ^ 64, 6));
    assert_eq!(client.read_discrete_inputs(0xa6, 8).unwrap(), bits(0xa6 ^ 64, 8));
    assert_eq!(client.read_coils(0, 2000).unwrap().len(), 2000);
    assert_eq!(client.read_input_registers(5, 1).unwrap(), [value(64, 5)]);
    assert_eq!(client.read_holding_registers(0, 125).unwrap().len(), 125);
    client.write_single_coil(1, Coil::On).unwrap();
    client.write_single_register(41, 0xfc18).unwrap();
    client.write_multiple_coils(2, &bits(0b101, 10)).unwrap();
    client.write_multiple_registers(3, &[1; 123]).unwrap();
    assert_eq!(client.write_read_multiple_registers(7, 2, &[1, 2], 9, 2).unwrap(), [value(64, 9), value(64, 10)]);
    match link.exchange(&Request::ReadDeviceIdentification { code: 1, object: 0 }) {
        Ok(Reply::DeviceIdentification { objects, .. }) => assert_eq!(objects, [(0, b"sax".to_vec()), (1, vec![64])]),
        other => panic!("{other:?}"),
    }
    assert_eq!(link.generation(), 1);
    assert_eq!(link.counters(), Counters { requests: 11, ..Counters::default() });
}

#[test]
fn two_units_on_one_bus() {
    let bus = PtyBus::start();
    let mut link = link(&bus.serial());
    for _ in 0..5 {
        for unit in [1, 64] {
            link.set_uid(unit);
            assert_eq!(link.read_holding_registers(5, 1).unwrap(), [value(unit, 5)]);
        }
    }
    link.set_uid(9);
    link.set_timeout(SHORT);
    assert_eq!(fault(link.read_holding_registers(5, 1)), Fault::Timeout);
    link.set_uid(0);
    assert!(matches!(fault(link.write_single_register(5, 1)), Fault::Invalid(why) if why.contains("unit 0")));
    assert_eq!(bus.asked().len(), 11);
}

#[test]
fn silence() {
    let (fault, counters) = fails(|_| Vec::new());
    assert_eq!((fault, counters), (Fault::Timeout, Counters { timeout: 1, ..Counters::default() }));
}

#[test]
fn half_a_reply() {
    let (fault, counters) = fails(|good| joined(&[&good[..3]]));
    assert_eq!((fault, counters), (Fault::Short { bytes: 3 }, Counters { short: 1, ..Counters::default() }));
}

#[test]
fn a_wrong_crc() {
    let (fault, counters) = fails(|good| {
        let mut bad = good.to_vec();
        bad[4] ^= 1;
        vec![Send(bad)]
    });
    assert_eq!((fault, counters), (Fault::Crc, Counters { crc: 1, ..Counters::default() }));
}

#[test]
fn a_garbled_reply_is_not_waited_for() {
    let bus = PtyBus::start();
    let mut link = link(&bus.serial());
    bus.odd(FAULTY, |good| vec![Send([&good[..good.len() - 1], &[!good[good.len() - 1]]].concat())]);
    assert_eq!(fault(link.read_holding_registers(FAULTY, 2)), Fault::Crc, "the deadline of a minute would have come first");
    good(&mut link);
}

#[test]
fn another_unit() {
    let (fault, counters) = fails(|good| vec![Send(rtu::encode(7, &good[1..good.len() - 2]))]);
    assert_eq!((fault, counters), (Fault::WrongUnit(7), Counters { wrong_unit: 1, ..Counters::default() }));
}

#[test]
fn an_exception() {
    let exception = |code| move |_: &[u8]| vec![Send(frame(64, Reply::Exception { function: 3, code }))];
    for code in [2, 0x0b, 0x77] {
        let (fault, counters) = fails(exception(code));
        assert_eq!((fault, counters), (Fault::Exception(code), Counters { exception: 1, ..Counters::default() }));
    }
}

#[test]
fn replies_that_do_not_answer() {
    let invalid = Counters { invalid: 1, ..Counters::default() };
    let (fault, counters) = fails(|_| vec![Send(frame(64, Reply::WrittenSingleRegister { address: FAULTY, value: 2 }))]);
    assert_eq!((fault, counters), (Fault::Invalid("not an answer to the request".into()), invalid));
    let (fault, counters) = fails(|_| vec![Send(frame(64, Reply::HoldingRegisters { values: vec![1] }))]);
    assert_eq!((fault, counters), (Fault::Invalid("unexpected reply size".into()), invalid));
}

#[test]
fn other_frames_before_the_reply_are_skipped() {
    let other = frame(7, Reply::HoldingRegisters { values: vec![1, 2] });
    let older = frame(64, Reply::HoldingRegisters { values: vec![9] });
    succeeds(move |good| joined(&[&other, &older, good]));
    // But not for ever.
    let many = frame(7, Reply::HoldingRegisters { values: vec![1, 2] }).repeat(9);
    let (fault, _) = fails(move |good| joined(&[&many, good]));
    assert_eq!(fault, Fault::Invalid("not an answer to the request".into()));
}

#[test]
fn a_late_reply_of_another_kind_is_no_reply() {
    let bus = PtyBus::start();
    let mut link = link(&bus.serial());
    good(&mut link);
    bus.odd(FAULTY, |good| vec![Pause(550), Send(good.to_vec())]);
    link.set_timeout(Duration::from_millis(500));
    assert_eq!(fault(link.read_holding_registers(FAULTY, 2)), Fault::Timeout);
    link.set_timeout(LONG);
    // The same function and size, and the late answer comes now: it must not be taken for the one to this.
    good(&mut link);
}

/// The reply to a write of several registers does not repeat what was written.
#[test]
fn a_late_reply_to_an_older_value_is_no_reply_to_a_newer_one() {
    let bus = PtyBus::start();
    let mut link = link(&bus.serial());
    good(&mut link);
    bus.odd(FAULTY, |good| vec![Pause(550), Send(good.to_vec())]);
    link.set_timeout(Duration::from_millis(500));
    assert_eq!(fault(link.write_multiple_registers(FAULTY, &[3000])), Fault::Timeout);
    // This one is lost, and the answer to the first one comes.
    bus.odd(FAULTY, |_| Vec::new());
    assert_eq!(fault(link.write_multiple_registers(FAULTY, &[0])), Fault::Timeout);
}

#[test]
fn noise_before_the_reply() {
    for noise in [
        vec![0],
        vec![0xff; 3],
        // The beginning of a frame of this very unit, 205 bytes long.
        vec![64, 3, 200],
        vec![64, 3],
        vec![64],
        vec![7, 0x83, 1, 2, 3, 4],
        (0..=255).collect(),
        vec![0x55; 700],
        // A whole frame with a wrong CRC, and one that was the reply but for its CRC.
        vec![64, 6, 0, 1, 0, 1, 0, 0],
        vec![64, 3, 4, 0, 0, 0, 0, 0, 0],
    ] {
        let together = noise.clone();
        succeeds(move |good| joined(&[&together, good]));
        let apart = noise.clone();
        succeeds(move |good| vec![Send(apart.clone()), Pause(20), Send(good.to_vec())]);
        succeeds(move |good| joined(&[good, &noise]));
    }
}

#[test]
fn a_reply_in_pieces() {
    succeeds(|good| good.iter().flat_map(|byte| [Send(vec![*byte]), Pause(3)]).collect());
    succeeds(|good| vec![Send(good[..4].to_vec()), Pause(120), Send(good[4..].to_vec())]);
}

#[test]
fn only_noise_is_no_reply() {
    let (fault, _) = fails(|_| vec![Send(vec![0; 5])]);
    assert_eq!(fault, Fault::Short { bytes: 5 });
    let (fault, _) = fails(|_| (0..40).map(|k| Send(vec![k; 40])).collect());
    assert!(matches!(fault, Fault::Crc | Fault::Short { .. }), "{fault}");
}

#[test]
fn a_line_that_is_never_silent_is_used_all_the_same() {
    let (fault, _) = fails(|_| (0..300).flat_map(|_| [Send(vec![0x55]), Pause(3)]).collect());
    assert!(matches!(fault, Fault::Short { .. }), "{fault}");
}

#[test]
fn the_echo_of_an_adapter_is_no_reply() {
    let bus = PtyBus::start();
    bus.echoes();
    let mut link = link(&bus.serial());
    link.set_timeout(SHORT);
    // The first request of all is one whose reply looks like its echo.
    link.write_single_register(41, 5).unwrap();
    good(&mut link);
    link.write_single_register(41, 6).unwrap();
    link.write_single_coil(41, Coil::On).unwrap();
    link.write_multiple_registers(41, &[6, 7]).unwrap();
    bus.odd(FAULTY, |_| Vec::new());
    assert_eq!(fault(link.write_single_register(FAULTY, 6)), Fault::Timeout, "nobody but the adapter answered");
    assert_eq!(fault(link.read_holding_registers(FAULTY, 2)), Fault::Timeout);
    bus.odd(FAULTY, |good| joined(&[&good[..4]]));
    assert_eq!(fault(link.read_holding_registers(FAULTY, 2)), Fault::Short { bytes: 4 });
    good(&mut link);
}

#[test]
fn without_an_echo_the_first_write_is_believed_too() {
    let bus = PtyBus::start();
    let mut link = link(&bus.serial());
    link.write_single_register(41, 5).unwrap();
    good(&mut link);
    link.write_single_register(41, 6).unwrap();
    assert_eq!(bus.asked().len(), 5);
}

#[test]
fn unplugged_and_back_under_the_same_path() {
    let bus = PtyBus::start();
    let mut link = link(&bus.serial());
    good(&mut link);
    let path = bus.path.clone();
    bus.unplug();
    match fault(link.read_holding_registers(10, 2)) {
        Fault::Io(why) => assert!(why.starts_with("There is no serial port"), "{why}"),
        other => panic!("{other:?}"),
    }
    // Not tried again at once.
    assert!(matches!(fault(link.read_holding_registers(10, 2)), Fault::Io(why) if why.contains("Tried again in 1 s.")));
    assert_eq!((link.generation(), link.counters().io), (1, 2));
    let bus = PtyBus::start_at(&path);
    let back = Instant::now();
    while link.read_holding_registers(10, 2).is_err() {
        assert!(back.elapsed() < LONG, "it is back");
        std::thread::sleep(Duration::from_millis(20));
    }
    good(&mut link);
    assert_eq!(link.generation(), 2);
    drop(bus);
}

#[test]
fn unplugged_in_the_middle_of_a_request() {
    let bus = PtyBus::start();
    let path = bus.path.clone();
    let mut link = link(&bus.serial());
    good(&mut link);
    bus.odd(FAULTY, |good| vec![Send(good[..3].to_vec()), HangUp]);
    assert!(matches!(fault(link.read_holding_registers(FAULTY, 2)), Fault::Io(_)));
    drop(bus);
    let bus = PtyBus::start_at(&path);
    // The next request opens the port anew, by itself.
    good(&mut link);
    assert_eq!((link.generation(), link.counters().io), (2, 1));
    drop(bus);
}

#[test]
fn one_program_at_a_time_has_the_port() {
    let bus = PtyBus::start();
    let mut first = link(&bus.serial());
    good(&mut first);
    let mut second = link(&bus.serial());
    assert!(matches!(fault(second.read_holding_registers(10, 2)), Fault::Io(why) if why.contains("is in use")));
    good(&mut first);
}

#[test]
fn ports_that_cannot_be_opened_are_said_in_sentences() {
    let bus = PtyBus::start();
    let said = |serial: Serial| match fault(link(&serial).read_holding_registers(10, 2)) {
        Fault::Io(why) => why,
        other => panic!("{other:?}"),
    };
    let port = |port: &str| Serial { port: port.into(), ..bus.serial() };
    assert_eq!(said(port("/dev/no-such-port")), "There is no serial port /dev/no-such-port; is its adapter plugged in?");
    assert_eq!(said(port("/etc/passwd")), "/etc/passwd is not a serial port.");
    assert!(said(port("/dev/null")).starts_with("The serial port /dev/null cannot be opened: "));
    let rs485 = Some(Rs485 { rts_on_send: true, delay_before_ms: 0, delay_after_ms: 0 });
    assert!(said(Serial { rs485, ..bus.serial() }).contains("cannot be used with rs485: its driver has no RS-485 mode."));
}

#[test]
fn a_hurry_ends_the_waiting() {
    let bus = PtyBus::start();
    let hurry = Hurry::default();
    let mut link = RtuLink::new(&bus.serial(), LONG, hurry.clone());
    link.set_uid(64);
    bus.odd(FAULTY, move |_| {
        hurry.call();
        Vec::new()
    });
    assert_eq!(fault(link.read_holding_registers(FAULTY, 2)), Fault::Timeout);
    good(&mut link);
}

/// Any byte of a reply changed, or any number of bytes missing: never a value that was not sent, and the next request is right.
#[test]
fn broken_replies_are_never_believed() {
    let bus = PtyBus::start();
    let mut link = link(&bus.serial());
    good(&mut link);
    link.set_timeout(Duration::from_millis(120));
    let length = 9;
    for at in 0..length {
        for flip in [0x01, 0x80, 0xff] {
            bus.odd(FAULTY, move |good| {
                let mut bad = good.to_vec();
                bad[at] ^= flip;
                vec![Send(bad)]
            });
            let outcome = fault(link.read_holding_registers(FAULTY, 2));
            assert!(matches!(outcome, Fault::Crc | Fault::Short { .. }), "byte {at} with {flip:#x}: {outcome}");
        }
        bus.odd(FAULTY, move |good| vec![Send(good[..at].to_vec())]);
        let outcome = fault(link.read_holding_registers(FAULTY, 2));
        assert_eq!(outcome, if at == 0 { Fault::Timeout } else { Fault::Short { bytes: at } });
    }
    link.set_timeout(LONG);
    good(&mut link);
    let Counters { timeout, crc, short, .. } = link.counters();
    assert_eq!((timeout, crc + short, link.generation()), (1, 27 + 8, 1));
}
