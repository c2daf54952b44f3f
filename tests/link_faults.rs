//! The TCP link against a server that misbehaves: every row of the fault table in facts/rust.md A1, and what follows it.
//!
//! Each test names the outcome of the faulty request, proves that it kept its deadline, and that the requests after it are right.

#[path = "common/fault_server.rs"]
mod fault_server;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use fault_server::{Behaviour, FaultServer, value};
use modbus::{Client, Coil, Error, Reason, Result};
use sax_controller::link::exchange::Exchange;
use sax_controller::link::fault::Fault;
use sax_controller::link::tcp::TcpLink;
use sax_controller::link::{Counters, Link};
use sax_controller::modbus::pdu::{Reply, Request};

/// The register at which the server misbehaves.
const FAULTY: u16 = 1000;
/// The deadline of requests that are meant to miss it.
const SHORT: Duration = Duration::from_millis(200);
/// What a request with that deadline may take on a busy computer.
const AT_MOST: Duration = Duration::from_millis(1500);
/// The deadline of all other requests: no busy computer makes them miss it.
const LONG: Duration = Duration::from_secs(60);

/// A server with one behaviour and a connected link to its unit 64.
struct Site {
    server: FaultServer,
    link: TcpLink,
}

fn site(behaviour: Behaviour) -> Site {
    let server = FaultServer::start(&[(FAULTY, behaviour)]);
    let mut link = TcpLink::new("127.0.0.1", server.address.port(), LONG);
    link.set_uid(64);
    let mut site = Site { server, link };
    assert_eq!(site.server.connections(), 0);
    site.is_good(1);
    site
}

impl Site {
    /// Reads 2 registers at the bad place.
    fn read_faulty(&mut self) -> Result<Vec<u16>> {
        self.link.read_holding_registers(FAULTY, 2)
    }

    /// The same, or at another place, to be ended by the deadline.
    fn times_out_at(&mut self, address: u16) {
        self.link.set_timeout(SHORT);
        match in_time(|| self.link.read_holding_registers(address, 2)) {
            Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            other => panic!("{other:?}"),
        }
        self.link.set_timeout(LONG);
    }

    /// The next three requests are answered rightly, on connection `generation`, and nothing was ever sent twice.
    fn is_good(&mut self, generation: u64) {
        for address in [10, 20, 30] {
            let values = self.link.read_holding_registers(address, 2).unwrap();
            assert_eq!(values, [value(64, address), value(64, address + 1)]);
        }
        assert_eq!(self.link.generation(), generation);
        assert_eq!(self.server.connections() as u64, generation);
        assert_eq!(self.server.most_connections_at_once(), 1);
        let mut ids: Vec<u16> = self.server.asked().iter().map(|asked| asked.transaction).collect();
        ids.sort();
        // Up to 255 requests, ids count them.
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "sent twice: {ids:?}");
    }

    /// Exactly this was counted, and nothing else.
    fn counted(&self, expected: Counters) {
        let Counters { requests, .. } = self.link.counters();
        assert_eq!(self.link.counters(), Counters { requests, ..expected });
    }
}

fn in_time<T>(request: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let outcome = request();
    assert!(begun.elapsed() < AT_MOST, "took {:?}", begun.elapsed());
    outcome
}

fn fault<T>(outcome: Result<T>) -> Fault {
    Fault::of(&outcome.err().expect("the request should have failed"))
}

fn invalid_response<T>(outcome: Result<T>) {
    assert!(matches!(outcome, Err(Error::InvalidResponse)), "{:?}", outcome.err());
}

#[test]
fn good() {
    let mut site = site(Behaviour::Good);
    site.read_faulty().unwrap();
    site.is_good(1);
    assert_eq!(site.link.counters(), Counters { requests: 7, ..Counters::default() });
    assert_eq!(site.link.name(), format!("127.0.0.1:{}", site.server.address.port()));
}

#[test]
fn every_function() {
    let mut site = site(Behaviour::Good);
    let client: &mut dyn Client = &mut site.link;
    let bits = |byte: u8, count: usize| -> Vec<Coil> { (0..count).map(|bit| Coil::from(u16::from(byte) >> bit & 1 == 1)).collect() };
    assert_eq!(client.read_coils(0x35, 6).unwrap(), bits(0x35, 6));
    assert_eq!(client.read_discrete_inputs(0xa6, 8).unwrap(), bits(0xa6, 8));
    assert_eq!(client.read_coils(0, 2000).unwrap().len(), 2000);
    assert_eq!(client.read_input_registers(5, 1).unwrap(), [value(64, 5)]);
    assert_eq!(client.read_holding_registers(0, 125).unwrap().len(), 125);
    client.write_single_coil(1, Coil::On).unwrap();
    client.write_single_register(41, 0xfc18).unwrap();
    client.write_multiple_coils(2, &bits(0b101, 10)).unwrap();
    client.write_multiple_registers(41, &[0xfc18, 1000]).unwrap();
    let read = client.write_read_multiple_registers(7, 1, &[3], 50, 2).unwrap();
    assert_eq!(read, [value(64, 50), value(64, 51)]);
    let asked: Vec<Request> = site.server.asked().into_iter().skip(3).map(|asked| asked.request).collect();
    assert_eq!(
        asked[5..],
        [
            Request::WriteSingleCoil { address: 1, on: true },
            Request::WriteSingleRegister { address: 41, value: 0xfc18 },
            Request::WriteMultipleCoils { address: 2, count: 10, packed: vec![0b101, 0] },
            Request::WriteMultipleRegisters { address: 41, values: vec![0xfc18, 1000] },
            Request::ReadWriteMultipleRegisters { read_address: 50, read_count: 2, write_address: 7, values: vec![3] },
        ]
    );
    let reply = site.link.exchange(&Request::ReadDeviceIdentification { code: 1, object: 0 }).unwrap();
    assert!(matches!(reply, Reply::DeviceIdentification { objects, .. } if objects == [(0, b"fault server".to_vec())]));
    site.is_good(1);
}

#[test]
fn exception() {
    for behaviour in [Behaviour::Exception(2), Behaviour::SaxException(2)] {
        let mut site = site(behaviour);
        // At once: waiting for the 3 bytes that SAX announces and does not send would be seen.
        assert_eq!(fault(in_time(|| site.read_faulty())), Fault::Exception(2));
        assert_eq!(fault(in_time(|| site.link.write_single_register(FAULTY, 1))), Fault::Exception(2));
        site.is_good(1);
        site.counted(Counters { exception: 2, ..Counters::default() });
    }
}

#[test]
fn exception_without_a_name() {
    let mut site = site(Behaviour::Exception(0x50));
    let error = site.read_faulty().unwrap_err();
    assert!(matches!(&error, Error::InvalidData(Reason::Custom(text)) if text == "Exception 0x50"));
    assert_eq!(Fault::of(&error), Fault::Exception(0x50));
    site.is_good(1);
    site.counted(Counters { exception: 1, ..Counters::default() });
}

#[test]
fn late() {
    let mut site = site(Behaviour::Late);
    site.times_out_at(FAULTY);
    // The late reply arrives just ahead of the next one.
    site.is_good(1);
    site.counted(Counters { timeout: 1, ..Counters::default() });
}

#[test]
fn half_a_frame() {
    let mut site = site(Behaviour::Half);
    site.times_out_at(FAULTY);
    site.is_good(2);
    site.counted(Counters { timeout: 1, ..Counters::default() });
}

#[test]
fn wrong_transaction_id() {
    let mut site = site(Behaviour::WrongId);
    site.times_out_at(FAULTY);
    site.is_good(1);
}

#[test]
fn wrong_unit() {
    let mut site = site(Behaviour::WrongUnit);
    assert!(matches!(fault(site.read_faulty()), Fault::WrongUnit(unit) if unit != 64));
    site.is_good(1);
    site.counted(Counters { wrong_unit: 1, ..Counters::default() });
}

#[test]
fn wrong_length() {
    let mut site = site(Behaviour::WrongLength);
    site.times_out_at(FAULTY);
    site.is_good(2);
}

#[test]
fn garbage() {
    let mut site = site(Behaviour::Garbage);
    invalid_response(site.read_faulty());
    site.is_good(2);
    site.counted(Counters { invalid: 1, ..Counters::default() });
}

#[test]
fn split_after_byte_9() {
    let mut site = site(Behaviour::Split);
    assert_eq!(site.read_faulty().unwrap(), [value(64, FAULTY), value(64, FAULTY + 1)]);
    site.is_good(1);
}

#[test]
fn trickle() {
    let mut site = site(Behaviour::Trickle);
    // 13 bytes take 720 ms, and every single read would be in time.
    site.times_out_at(FAULTY);
    // Dropped at the deadline: not even the complete frame, some time later, saves the connection.
    site.server.wait_done(4);
    site.is_good(2);
}

#[test]
fn silent() {
    let mut site = site(Behaviour::Silent);
    site.times_out_at(FAULTY);
    site.is_good(1);
    site.counted(Counters { timeout: 1, ..Counters::default() });
}

#[test]
fn two_timeouts_in_a_row_end_the_connection() {
    let mut site = site(Behaviour::Silent);
    site.times_out_at(FAULTY);
    site.times_out_at(FAULTY);
    site.is_good(2);
    // A good reply between them is no row.
    site.times_out_at(FAULTY);
    site.is_good(2);
    site.times_out_at(FAULTY);
    site.is_good(2);
    site.counted(Counters { timeout: 4, ..Counters::default() });
}

#[test]
fn closed_by_the_peer() {
    let mut site = site(Behaviour::Fin);
    match site.read_faulty() {
        Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::UnexpectedEof),
        other => panic!("{other:?}"),
    }
    site.is_good(2);
    site.counted(Counters { io: 1, ..Counters::default() });
}

#[test]
fn reset_by_the_peer() {
    let mut site = site(Behaviour::Rst);
    match site.read_faulty() {
        Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        other => panic!("{other:?}"),
    }
    site.is_good(2);
    site.counted(Counters { io: 1, ..Counters::default() });
}

#[test]
fn other_function() {
    let mut site = site(Behaviour::OtherFunction);
    invalid_response(site.read_faulty());
    site.is_good(1);
}

#[test]
fn trailing_bytes() {
    let mut site = site(Behaviour::Trailing);
    assert_eq!(site.read_faulty().unwrap(), [value(64, FAULTY), value(64, FAULTY + 1)]);
    // Seen before the next request is sent.
    site.is_good(2);
    site.counted(Counters::default());
}

#[test]
fn trailing_bytes_that_come_after_the_next_request() {
    let mut site = site(Behaviour::TrailingLate);
    site.read_faulty().unwrap();
    invalid_response(site.link.read_holding_registers(5, 2));
    site.is_good(2);
}

#[test]
fn one_register_short() {
    let mut site = site(Behaviour::OneShort);
    let outcome = site.read_faulty();
    assert!(matches!(outcome, Err(Error::InvalidData(Reason::UnexpectedReplySize))));
    site.is_good(1);
    site.counted(Counters { invalid: 1, ..Counters::default() });
}

#[test]
fn write_echo_wrong() {
    for behaviour in [Behaviour::EchoAddress, Behaviour::EchoValue] {
        let mut site = site(behaviour);
        invalid_response(site.link.write_single_register(FAULTY, 7));
        invalid_response(site.link.write_multiple_registers(FAULTY, &[7, 8]));
        invalid_response(site.link.write_single_coil(FAULTY, Coil::On));
        invalid_response(site.link.write_multiple_coils(FAULTY, &[Coil::On; 9]));
        site.is_good(1);
        site.counted(Counters { invalid: 4, ..Counters::default() });
    }
}

#[test]
fn transaction_ids_stay_in_one_byte() {
    // A SAX battery answers writes with id & 0xff (facts/sax.md 5.2), which is the same for these ids.
    let mut site = site(Behaviour::Good);
    for request in 0..600u16 {
        site.link.write_single_register(41, request).unwrap();
        assert_eq!(site.link.read_holding_registers(request, 1).unwrap(), [value(64, request)]);
    }
    let ids: Vec<u16> = site.server.asked().iter().map(|asked| asked.transaction).collect();
    assert_eq!(ids.len(), 1203);
    assert!(ids.iter().all(|id| (1..=255).contains(id)));
    assert!(ids.windows(255).all(|window| !window[1..].contains(&window[0])));
    assert_eq!(site.link.generation(), 1);
}

#[test]
fn at_most_eight_frames_are_skipped() {
    let mut patient = site(Behaviour::Stale(8));
    assert_eq!(patient.read_faulty().unwrap(), [value(64, FAULTY), value(64, FAULTY + 1)]);
    patient.is_good(1);
    let mut flooded = site(Behaviour::Stale(9));
    invalid_response(flooded.read_faulty());
    flooded.is_good(2);
}

#[test]
fn peer_stopped_for_one_request() {
    let mut site = site(Behaviour::Good);
    site.server.stop();
    site.times_out_at(100);
    site.server.resume();
    // Its reply is in the receive buffer before the next request.
    site.server.wait_done(4);
    site.is_good(1);
    site.counted(Counters { timeout: 1, ..Counters::default() });
}

#[test]
fn peer_stopped_for_many_requests() {
    let mut site = site(Behaviour::Good);
    site.server.stop();
    for address in 100..105 {
        site.times_out_at(address);
    }
    site.server.resume();
    site.server.wait_done(8);
    // Two on the first connection, two on the second, one on the third, where its late reply waits.
    site.is_good(3);
    site.counted(Counters { timeout: 5, ..Counters::default() });
}

#[test]
fn units_alternate_on_one_connection() {
    let mut site = site(Behaviour::Good);
    for unit in [64, 40, 100, 40, 64, 100] {
        site.link.set_uid(unit);
        assert_eq!(site.link.read_holding_registers(45, 2).unwrap(), [value(unit, 45), value(unit, 46)]);
        site.link.write_single_register(41, 0).unwrap();
    }
    let units: Vec<u8> = site.server.asked().iter().skip(3).map(|asked| asked.unit).collect();
    assert_eq!(units, [64, 64, 40, 40, 100, 100, 40, 40, 64, 64, 100, 100]);
    site.link.set_uid(64);
    site.is_good(1);
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let mut site = site(Behaviour::Good);
    let refused = [
        fault(site.link.read_holding_registers(0, 0)),
        fault(site.link.read_holding_registers(0, 126)),
        fault(site.link.read_coils(0, 2001)),
        fault(site.link.write_multiple_registers(0, &[])),
        fault(site.link.write_multiple_registers(0, &[0; 124])),
        fault(site.link.write_multiple_coils(0, &[])),
        fault(site.link.write_multiple_coils(0, &vec![Coil::On; 1969])),
        fault(site.link.write_multiple_coils(0, &vec![Coil::On; 66_000])),
        fault(site.link.write_read_multiple_registers(0, 122, &[0; 122], 0, 1)),
    ];
    assert!(refused.iter().all(|fault| matches!(fault, Fault::Invalid(why) if why.contains("cannot be sent"))), "{refused:?}");
    assert_eq!(site.server.asked().len(), 3);
    site.counted(Counters { invalid: 9, ..Counters::default() });
    site.is_good(1);
}

/// A loopback address that no other test uses, so that its port stays free between two uses.
fn quiet_address() -> SocketAddr {
    TcpListener::bind("127.0.0.77:0").unwrap().local_addr().unwrap()
}

#[test]
fn refused_connections_back_off_without_blocking() {
    let address = quiet_address();
    let mut link = TcpLink::new("127.0.0.77", address.port(), LONG);
    link.set_uid(64);
    let refusal = |error: Error| match error {
        Error::Io(error) => error.kind(),
        other => panic!("{other}"),
    };
    let first = link.read_holding_registers(10, 1).unwrap_err();
    assert!(first.to_string().contains("no connection (Connection refused"), "the README explains it by these words: {first}");
    assert_eq!(refusal(first), ErrorKind::ConnectionRefused);
    let kinds: Vec<ErrorKind> = in_time(|| (0..20).map(|_| refusal(link.read_holding_registers(10, 1).unwrap_err())).collect());
    assert!(kinds.contains(&ErrorKind::NotConnected), "{kinds:?}");
    assert_eq!((link.generation(), link.counters()), (0, Counters { requests: 21, io: 21, ..Counters::default() }));

    // The device comes back: found again after the waiting time, by a later request.
    let server = FaultServer::start_at(address, &[]);
    let begun = Instant::now();
    let values = loop {
        match in_time(|| link.read_holding_registers(10, 1)) {
            Ok(values) => break values,
            Err(error) => assert_eq!(refusal(error), ErrorKind::NotConnected),
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(values, [value(64, 10)]);
    assert_eq!((link.generation(), server.connections()), (1, 1));
}

#[test]
fn a_name_is_resolved() {
    let server = FaultServer::start(&[]);
    // May be ::1 and 127.0.0.1; the server listens only on the latter.
    let mut link = TcpLink::new("localhost", server.address.port(), LONG);
    link.set_uid(40);
    assert_eq!(link.read_holding_registers(10, 1).unwrap(), [value(40, 10)]);
    assert_eq!(link.name(), format!("localhost:{}", server.address.port()));
}
