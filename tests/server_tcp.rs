//! Our Modbus server over TCP: real sockets, and a control thread that does as the test wants.
#![allow(missing_docs)]

#[path = "common/own_server.rs"]
mod own_server;

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use modbus::Client as _;
use own_server::{Client, Control, UNIT, exception, holding, image, serve, settings};
use sax_controller::config::TcpServer as Settings;
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::serve::ask::{Answer, Ask};
use sax_controller::serve::document::Document;
use sax_controller::serve::image::Image;
use sax_controller::serve::tcp_server::{Patience, TcpServer};

fn quick() -> Patience {
    Patience { frame: Duration::from_millis(150), write: Duration::from_millis(150), stale: Duration::from_secs(30) }
}

#[test]
fn reads_writes_and_other_units() {
    let control = Control::done();
    let address = serve(&settings(), Patience::default(), control.responder(true));
    let mut client = Client::connect(address);
    assert_eq!(client.read(1000, 3), holding(&[16_000, 1, 2]));
    assert_eq!(client.read(1000, 4), exception(3, 2));
    assert_eq!(client.write(1000, 10_000), Reply::WrittenSingleRegister { address: 1000, value: 10_000 });
    let many = Request::WriteMultipleRegisters { address: 1010, values: vec![1, 2] };
    assert_eq!(client.request(UNIT, &many), Reply::WrittenMultipleRegisters { address: 1010, count: 2 });
    let asked = [Ask::Write { address: 1000, values: vec![10_000] }, Ask::Write { address: 1010, values: vec![1, 2] }];
    assert_eq!(control.record(), asked);
    for unit in [0, 1, 11, 247, 255] {
        assert_eq!(client.ask(unit, &[3, 3, 0xe8, 0, 1]).unwrap(), [0x83, 0x0b], "unit {unit}");
        assert_eq!(client.ask(unit, &[6, 3, 0xe8, 0, 1]).unwrap(), [0x86, 0x0b], "unit {unit}");
    }
    for pdu in [&[1, 3, 0xe8, 0, 1][..], &[43, 14, 1, 0], &[7], &[0], &[0x83, 1]] {
        assert_eq!(client.ask(UNIT, pdu).unwrap()[1], 1, "{pdu:?}");
    }
    assert_eq!(control.record().len(), 2, "nothing else was asked of the control thread");
}

#[test]
fn the_client_of_the_modbus_crate() {
    let control =
        Control::start(|ask| Some(if matches!(ask, Ask::Write { address: 1000, .. }) { Answer::Done } else { Answer::Refused(3) }));
    let address = serve(&settings(), Patience::default(), control.responder(true));
    let config = modbus::tcp::Config { tcp_port: address.port(), modbus_uid: UNIT, ..Default::default() };
    let mut client = modbus::tcp::Transport::new_with_cfg("127.0.0.1", config).unwrap();
    assert_eq!(client.read_holding_registers(1000, 3).unwrap(), [16_000, 1, 2]);
    assert_eq!(client.read_input_registers(1001, 1).unwrap(), [1]);
    client.write_single_register(1000, 6_000).unwrap();
    client.write_multiple_registers(1000, &[7_000]).unwrap();
}

#[test]
fn requests_in_one_packet_are_answered_in_order() {
    let control = Control::done();
    let mut client = Client::connect(serve(&settings(), Patience::default(), control.responder(true)));
    let mut bytes = Vec::new();
    for k in 0..100u16 {
        let request = Request::ReadHoldingRegisters { address: 1000 + k % 3, count: 1 };
        bytes.extend(sax_controller::modbus::mbap::encode(&sax_controller::modbus::mbap::Frame {
            transaction: k,
            unit: UNIT,
            pdu: request.encode(),
        }));
    }
    client.stream.write_all(&bytes).unwrap();
    for k in 0..100u16 {
        let frame = client.receive().unwrap();
        let value = [16_000, 1, 2][usize::from(k % 3)];
        assert_eq!((frame.transaction, Reply::decode(&frame.pdu).unwrap()), (k, holding(&[value])));
    }
}

#[test]
fn what_cannot_be_answered_is_an_exception() {
    // Nobody published anything yet, not even which unit is ours.
    let control = Control::start(|_| None);
    let empty = sax_controller::serve::socket::Published::default();
    let responder = sax_controller::daemon::responder::Responder { published: empty.clone(), ..control.responder(true) };
    let mut client = Client::connect(serve(&settings(), Patience::default(), responder));
    assert_eq!(client.read(1000, 1), exception(3, 4));
    empty.publish(Document::default(), Some(image()));
    assert_eq!(client.read(1000, 1), holding(&[16_000]));
    // A control thread that does not answer: nobody knows what became of the write.
    let begun = Instant::now();
    assert_eq!(client.write(1000, 1), exception(6, 4));
    assert!((2..4).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    // One that refuses, and one that has gone.
    let control = Control::start(|_| Some(Answer::Refused(3)));
    let mut client = Client::connect(serve(&settings(), Patience::default(), control.responder(true)));
    assert_eq!(client.write(1000, 1), exception(6, 3));
    let (asked, asks) = bounded(1);
    let responder = sax_controller::daemon::responder::Responder { asked, ..control.responder(true) };
    let mut client = Client::connect(serve(&settings(), Patience::default(), responder.clone()));
    // One question fills the channel.
    responder.asked.send(sax_controller::serve::ask::Asked { ask: Ask::Apply(None), reply: bounded(1).0 }).unwrap();
    assert_eq!(client.write(1000, 1), exception(6, 6));
    drop(asks);
    assert_eq!(client.write(1000, 1), exception(6, 4));
}

#[test]
fn a_server_that_is_not_writable_refuses_every_write_and_asks_nobody() {
    let control = Control::done();
    let mut client = Client::connect(serve(&settings(), Patience::default(), control.responder(false)));
    for pdu in [&[6, 3, 0xe8, 0, 1][..], &[16, 3, 0xe8, 0, 1, 2, 0, 1], &[16, 0, 0, 0, 0, 0], &[6, 0, 0]] {
        assert_eq!(client.ask(UNIT, pdu).unwrap(), [pdu[0] | 0x80, 1]);
    }
    assert_eq!(client.read(1000, 1), holding(&[16_000]));
    assert_eq!(control.record(), []);
}

#[test]
fn the_unit_may_change_while_it_serves() {
    let control = Control::done();
    let mut client = Client::connect(serve(&settings(), Patience::default(), control.responder(false)));
    control.published.publish_image(Some(Image { unit: 20, ..image() }));
    assert_eq!(client.read(1000, 1), exception(3, 0x0b));
    assert_eq!(client.ask(20, &[3, 3, 0xe8, 0, 1]).unwrap(), [3, 2, 0x3e, 0x80]);
}

#[test]
fn who_is_not_allowed_is_closed_at_once() {
    let control = Control::done();
    let allow = vec!["192.0.2.0/24".parse().unwrap_or_else(|_| panic!("a network"))];
    let address = serve(&Settings { allow, ..settings() }, Patience::default(), control.responder(true));
    for _ in 0..5 {
        assert!(!Client::connect(address).is_served());
    }
}

#[test]
fn a_client_too_many_is_refused_and_a_place_that_is_left_is_free_at_once() {
    let control = Control::done();
    let address = serve(&Settings { max_connections: 2, ..settings() }, Patience::default(), control.responder(true));
    let (mut first, mut second) = (Client::connect(address), Client::connect(address));
    assert!(first.is_served() && second.is_served());
    assert!(!Client::connect(address).is_served());
    assert!(first.is_served() && second.is_served());
    for _ in 0..100 {
        drop(second);
        second = Client::connect(address);
        assert!(second.is_served());
    }
    assert!(first.is_served());
}

/// Each of those who are refused is refused at once, so that a place that becomes free is not behind a queue of them.
#[test]
fn many_who_are_refused_hold_nobody_up() {
    let control = Control::done();
    let address = serve(&Settings { max_connections: 1, ..settings() }, Patience::default(), control.responder(true));
    let mut first = Client::connect(address);
    assert!(first.is_served());
    let begun = Instant::now();
    let crowd: Vec<_> = (0..50).map(|_| Client::connect(address)).collect();
    for mut client in crowd {
        assert!(!client.is_served());
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(first.is_served());
}

#[test]
fn who_has_long_asked_nothing_makes_room() {
    let control = Control::done();
    let patience = Patience { stale: Duration::from_millis(100), ..Patience::default() };
    let address = serve(&Settings { max_connections: 2, ..settings() }, patience, control.responder(true));
    let (mut silent, mut busy) = (Client::connect(address), Client::connect(address));
    assert!(silent.is_served() && busy.is_served());
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_millis(150) {
        assert!(busy.is_served());
    }
    let mut third = Client::connect(address);
    assert!(third.is_served() && busy.is_served());
    assert!(!silent.is_served(), "its place was taken");
}

#[test]
fn who_says_nothing_for_the_idle_timeout_is_closed() {
    let control = Control::done();
    let address = serve(&Settings { idle_timeout_s: 1, ..settings() }, Patience::default(), control.responder(true));
    let (mut silent, begun) = (Client::connect(address), Instant::now());
    assert_eq!(silent.receive(), None);
    assert!((900..3000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
}

#[test]
fn a_slow_client_loses_its_connection_and_disturbs_nobody() {
    let control = Control::done();
    let address = serve(&settings(), quick(), control.responder(true));
    let (mut slow, mut quick) = (Client::connect(address), Client::connect(address));
    let request = [0, 1, 0, 0, 0, 6, UNIT, 3, 3, 0xe8, 0, 1];
    let begun = Instant::now();
    for byte in request {
        // The kernel takes it even when nobody will read it any more.
        let _ = slow.stream.write_all(&[byte]);
        let pause = Instant::now();
        while pause.elapsed() < Duration::from_millis(25) {
            assert!(quick.is_served());
        }
    }
    assert_eq!(slow.receive(), None, "after {:?}", begun.elapsed());
    // Within its time a request may come in pieces.
    let mut pieces = Client::connect(address);
    for piece in request.chunks(5) {
        pieces.stream.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(pieces.receive().unwrap().pdu, [3, 2, 0x3e, 0x80]);
}

#[test]
fn a_client_that_takes_no_replies_is_closed_and_disturbs_nobody() {
    let control = Control::done();
    let big = Image { unit: UNIT, ranges: vec![(0, vec![7; 200])] };
    control.published.publish_image(Some(big));
    let address = serve(&settings(), quick(), control.responder(true));
    let (greedy, mut other) = (Client::connect(address), Client::connect(address));
    greedy.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let request = [0, 1, 0, 0, 0, 6, UNIT, 3, 0, 0, 0, 125].repeat(1000);
    // Until the server has stopped taking requests, because it has nowhere to put the replies, and then has closed.
    let closed = (0..10_000).any(|_| (&greedy.stream).write_all(&request).is_err());
    assert!(closed);
    assert_eq!(other.request(UNIT, &Request::ReadHoldingRegisters { address: 0, count: 2 }), holding(&[7, 7]));
}

#[test]
fn what_is_no_modbus_closes_the_connection() {
    let control = Control::done();
    let address = serve(&settings(), Patience::default(), control.responder(true));
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0, 1, 0, 0, 0, 0, 10], &[0, 1, 0, 0, 0, 1, 10], &[0, 1, 0, 0, 1, 0, 10], &[0, 1, 0, 1]]
    {
        let mut client = Client::connect(address);
        client.stream.write_all(bytes).unwrap();
        assert_eq!(client.receive(), None, "{bytes:?}");
    }
    assert!(Client::connect(address).is_served());
}

#[test]
fn why_a_port_cannot_be_bound_is_said() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let said = |listen: &str| TcpServer::bind(&Settings { listen: listen.parse().unwrap(), ..settings() }).unwrap_err().to_string();
    assert!(said(&taken.local_addr().unwrap().to_string()).contains("another program does"));
    assert!(said("192.0.2.1:1502").contains("does not have the address 192.0.2.1"));
}
