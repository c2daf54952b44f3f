//! The gateway of our Modbus server: requests to devices on a serial bus that a task of ours uses too.
#![allow(missing_docs)]

#[path = "common/own_server.rs"]
mod own_server;
#[path = "common/pty_bus.rs"]
mod pty_bus;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use own_server::{Client, Control, exception, serve, settings};
use pty_bus::{Act, PtyBus};
use sax_controller::daemon::clock::{Clock, Monotonic};
use sax_controller::daemon::endpoint::SharedEndpoint;
use sax_controller::daemon::gateway::Gateway;
use sax_controller::device::profile::Block;
use sax_controller::link;
use sax_controller::link::deadline::Hurry;
use sax_controller::link::place::Place;
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::modbus::rtu;
use sax_controller::serve::answers::{Answered, Answers};
use sax_controller::serve::tcp_server::Patience;
use sax_controller::units::Span;

const TIMEOUT: Duration = Duration::from_millis(100);
const BLOCK: Block = Block { function: 3, address: 5, count: 1 };

struct Site {
    bus: PtyBus,
    endpoint: SharedEndpoint,
    clock: Monotonic,
    hurry: Hurry,
    control: Control,
}

impl Site {
    fn new() -> Site {
        let (bus, hurry) = (PtyBus::start(), Hurry::default());
        let endpoint = SharedEndpoint::new(link::open(&Place::Rtu(bus.serial()), TIMEOUT, hurry.clone()));
        Site { bus, endpoint, clock: Monotonic::start(), hurry, control: Control::done() }
    }

    /// Units 1 and 64 are there, 7 is not.
    fn gateway(&self) -> Gateway {
        Gateway::new(&[1, 7, 64], self.endpoint.clone(), self.clock, self.hurry.clone())
    }

    fn client(&self, writable: bool) -> Client {
        Client::connect(serve(&settings(), Patience::default(), self.control.with_gateway(self.gateway(), writable)))
    }
}

fn requests() -> [Request; 8] {
    [
        Request::ReadCoils { address: 3, count: 19 },
        Request::ReadDiscreteInputs { address: 4, count: 8 },
        Request::ReadHoldingRegisters { address: 5, count: 125 },
        Request::ReadInputRegisters { address: 6, count: 1 },
        Request::WriteSingleCoil { address: 7, on: true },
        Request::WriteSingleRegister { address: 8, value: 0xfc18 },
        Request::WriteMultipleCoils { address: 9, count: 10, packed: vec![0x55, 1] },
        Request::WriteMultipleRegisters { address: 10, values: (0..123).collect() },
    ]
}

#[test]
fn requests_and_replies_go_through_as_they_are() {
    let site = Site::new();
    let mut client = site.client(true);
    for request in requests() {
        for unit in [1, 64] {
            assert_eq!(client.request(unit, &request), pty_bus::reply(unit, &request));
            assert_eq!(site.bus.asked().last(), Some(&(unit, request.clone())));
        }
    }
    let asked = site.bus.asked().len();
    // Functions that not every device knows, and what is no request.
    for pdu in [&[17][..], &[43, 14, 1, 0], &[23, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0], &[7]] {
        assert_eq!(client.ask(1, pdu).unwrap(), [pdu[0] | 0x80, 1]);
    }
    assert_eq!(client.ask(1, &[3, 0, 0, 0, 126]).unwrap(), [0x83, 3]);
    assert_eq!(client.ask(2, &[3, 0, 0, 0, 1]).unwrap(), [0x83, 0x0b], "a unit that is not listed");
    assert_eq!(site.bus.asked().len(), asked);
    // Our own registers are not touched by any of it.
    assert_eq!(site.control.record(), []);
    // An exception is an answer.
    site.bus.odd(77, |_| vec![Act::Send(rtu::encode(1, &[0x83, 6]))]);
    assert_eq!(client.request(1, &Request::ReadHoldingRegisters { address: 77, count: 1 }), exception(3, 6));
}

#[test]
fn without_writable_only_reads_go_through() {
    let site = Site::new();
    let mut client = site.client(false);
    for request in requests() {
        let function = request.function();
        let expected = if function <= 4 { pty_bus::reply(1, &request) } else { exception(function, 1) };
        assert_eq!(client.request(1, &request), expected);
    }
    assert!(site.bus.asked().iter().all(|(_, request)| request.function() <= 4));
}

#[test]
fn a_device_that_does_not_answer_and_a_port_that_is_not_there() {
    let site = Site::new();
    let mut client = site.client(true);
    assert_eq!(client.ask(7, &[3, 0, 0, 0, 1]).unwrap(), [0x83, 0x0b]);
    site.bus.odd(5, |good| vec![Act::Send([&good[..good.len() - 1], &[0]].concat())]);
    assert_eq!(client.ask(1, &[3, 0, 5, 0, 1]).unwrap(), [0x83, 0x0b], "a wrong CRC");
    // On a serial line both are silence: another device may have this unit id.
    let responder = site.control.with_gateway(site.gateway(), true);
    assert_eq!(responder.answer(7, &[3, 0, 0, 0, 1]), Answered::Nobody(0x0b));
    // At the stop the link is left to those who hand something back.
    let asked = site.bus.asked().len();
    site.hurry.call();
    assert_eq!(client.ask(1, &[3, 0, 0, 0, 1]).unwrap(), [0x83, 0x0a]);
    assert_eq!(site.bus.asked().len(), asked);

    let nowhere = Place::Rtu(sax_controller::link::place::Serial { port: "/dev/ttyNONE".into(), ..site.bus.serial() });
    let endpoint = SharedEndpoint::new(link::open(&nowhere, TIMEOUT, Hurry::default()));
    let gateway = Gateway::new(&[1], endpoint, site.clock, Hurry::default());
    let mut client = Client::connect(serve(&settings(), Patience::default(), site.control.with_gateway(gateway, true)));
    assert_eq!(client.ask(1, &[3, 0, 0, 0, 1]).unwrap(), [0x83, 0x0a]);
}

/// However many clients ask a device that is not there, our own task gets its turn after one of them, or two where the first slipped in.
#[test]
fn clients_take_turns_with_the_task_that_owns_a_device() {
    let site = Site::new();
    let address = serve(&settings(), Patience::default(), site.control.with_gateway(site.gateway(), true));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..6 {
            scope.spawn(|| {
                let mut client = Client::connect(address);
                while !over.load(Ordering::Relaxed) {
                    let answer = client.ask(7, &[3, 0, 0, 0, 1]).unwrap();
                    assert!(matches!(answer[1], 0x0b | 6), "{answer:?}");
                }
            });
        }
        while site.bus.asked().is_empty() {
            thread::yield_now();
        }
        for _ in 0..12 {
            let before = site.bus.asked().len();
            let answer = site.endpoint.lock().read(1, &BLOCK, Span::ZERO, &site.clock).unwrap();
            assert_eq!(answer, [pty_bus::value(1, 5)]);
            let between = site.bus.asked().len() - before - 1;
            assert!(between <= 2, "{between} requests of clients went first");
        }
        over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn the_gap_that_a_device_needs_is_kept() {
    let site = Site::new();
    let mut client = site.client(true);
    let gap = Span::from_ms(250);
    let _ = site.endpoint.lock().read(1, &BLOCK, gap, &site.clock).unwrap();
    let (begun, answered) = (Instant::now(), site.clock.now());
    // Another device needs none.
    assert!(matches!(client.ask(64, &[3, 0, 0, 0, 1]).unwrap()[0], 3));
    assert!(begun.elapsed() < gap.to_duration(), "{:?}", begun.elapsed());
    assert!(matches!(client.ask(1, &[3, 0, 0, 0, 1]).unwrap()[0], 3));
    assert!(site.clock.now().since(answered) >= gap, "{:?}", begun.elapsed());
    // And the task knows that somebody has asked since.
    assert!(site.endpoint.lock().ready_at(1, gap) > site.clock.now());
}

#[test]
fn settings_that_would_take_the_place_of_a_device_are_refused() {
    use sax_controller::serve::ask::{Answer, Saved};
    let site = Site::new();
    let control = Control::start(|_| Some(Answer::Save(Some(Saved { settings: None, address: 64 }))));
    let mut client = Client::connect(serve(&settings(), Patience::default(), control.with_gateway(site.gateway(), true)));
    assert_eq!(client.write(1091, 1), Reply::Exception { function: 6, code: 3 });
    assert_eq!(control.record().len(), 1, "nothing is applied");
}
