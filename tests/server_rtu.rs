//! Our Modbus server on a serial line: a pseudo terminal with a master at the other end, other slaves beside us.
#![allow(missing_docs)]

#[path = "common/master.rs"]
mod master;
#[path = "common/own_server.rs"]
mod own_server;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use master::{Master, READ, UNIT};
use own_server::Control;
use sax_controller::link::line::Line;
use sax_controller::link::place::{Parity, Serial};
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::modbus::rtu;
use sax_controller::serve::answers::{Answered, Answers};
use sax_controller::serve::ask::{Answer, Ask};
use sax_controller::serve::rtu_server;

fn listen(master: &Master, answers: impl Answers) {
    let serial = master.serial();
    thread::spawn(move || rtu_server::serve(&serial, &answers, &()));
}

fn held() -> Reply {
    Reply::HoldingRegisters { values: vec![16_000, 1] }
}

fn served() -> (Master, Control) {
    let (mut master, control) = (Master::new(), Control::done());
    listen(&master, control.responder(true));
    master.until_served();
    (master, control)
}

#[test]
fn reads_writes_and_exceptions() {
    let (mut master, control) = served();
    assert_eq!(master.read(), held());
    let written = Reply::WrittenSingleRegister { address: 1000, value: 10_000 };
    for _ in 0..3 {
        assert_eq!(master.ask(&[6, 3, 0xe8, 0x27, 0x10]), written, "the same again is a request of its own");
    }
    let many = Request::WriteMultipleRegisters { address: 1010, values: vec![1; 13] };
    assert_eq!(master.ask(&many.encode()), Reply::WrittenMultipleRegisters { address: 1010, count: 13 });
    assert_eq!(control.record().len(), 4);
    assert_eq!(control.record()[3], Ask::Write { address: 1010, values: vec![1; 13] });
    assert_eq!(master.ask(&[3, 4, 0x42, 0, 1]), Reply::Exception { function: 3, code: 2 });
    assert_eq!(master.ask(&[3, 3, 0xe8, 0, 0]), Reply::Exception { function: 3, code: 3 });
    // Functions that are known, and such of no known length, which silence ends.
    for pdu in [&[1, 3, 0xe8, 0, 1][..], &[17], &[7], &[8, 0, 0, 0x12, 0x34], &[0x64, 1, 2, 3], &[43, 13, 1, 1]] {
        assert_eq!(master.ask(pdu), Reply::Exception { function: pdu[0], code: 1 }, "{pdu:?}");
    }
    // Byte for byte as the firmware (data/p1_modbus_vectors.txt).
    master.say(&[0x0a, 0x06, 0x03, 0xe8, 0x27, 0x10, 0x12, 0xfd]);
    assert_eq!(master.hear(Duration::from_millis(200)), [0x0a, 0x06, 0x03, 0xe8, 0x27, 0x10, 0x12, 0xfd]);
    master.say(&[0x0a, 0x03, 0x03, 0xe8, 0x00, 0x01, 0x05, 0x01]);
    assert_eq!(master.hear(Duration::from_millis(200)), [0x0a, 0x03, 0x02, 0x3e, 0x80, 0x0c, 0x45]);
}

#[test]
fn silence_for_what_is_not_for_us() {
    let (mut master, control) = served();
    let mut broken = rtu::encode(UNIT, &[6, 3, 0xe8, 0, 1]);
    broken[7] ^= 1;
    let frames = [
        broken,
        rtu::encode(0, &[6, 3, 0xe8, 0, 1]),
        rtu::encode(11, &READ),
        rtu::encode(11, &[7]),
        rtu::encode(UNIT, &[0x83, 2]),
        rtu::encode(UNIT, &READ)[..5].to_vec(),
        vec![0xff; 700],
    ];
    for frame in frames {
        master.say(&frame);
        assert!(master.hear(Duration::from_millis(150)).is_empty(), "{frame:?}");
        assert_eq!(master.read(), held());
    }
    assert_eq!(control.record(), []);
}

#[test]
fn what_cannot_be_decided_is_an_exception_and_before_there_are_registers_silence() {
    let mut master = Master::new();
    let control = Control::start(|_| Some(Answer::Refused(3)));
    let empty = sax_controller::serve::socket::Published::default();
    listen(&master, sax_controller::daemon::responder::Responder { published: empty.clone(), ..control.responder(true) });
    // It is there: what follows is silence, and not a port that is not open yet.
    empty.publish(Default::default(), Some(own_server::image()));
    master.until_served();
    empty.publish(Default::default(), None);
    master.say(&rtu::encode(UNIT, &READ));
    assert!(master.hear(Duration::from_millis(200)).is_empty());
    empty.publish(Default::default(), Some(own_server::image()));
    assert_eq!(master.ask(&[6, 3, 0xe8, 0, 1]), Reply::Exception { function: 6, code: 3 });
}

/// Requests to other slaves with their replies, as on a bus with a charger and a meter (frames as in facts and in `data`).
fn chatter() -> Vec<Vec<u8>> {
    let exchange = |request: &[u8], reply: &[u8]| [rtu::encode(request[0], &request[1..]), rtu::encode(reply[0], &reply[1..])].concat();
    vec![
        // The limit of the charger, and its echo of address and count, whose CRC reads like a byte count.
        exchange(&[1, 0x10, 0x41, 0x00, 0, 2, 4, 0, 0, 0x17, 0x70], &[1, 0x10, 0x41, 0x00, 0, 2]),
        // Registers that read like the beginning of a long write to us.
        exchange(&[1, 3, 0x40, 0x0c, 0, 3], &[1, 3, 6, UNIT, 16, 3, 0xe8, 0, 0x7b]),
        exchange(&[40, 3, 0x9c, 0x87, 0, 2], &[40, 3, 4, UNIT, 3, 3, 0xe8]),
        exchange(&[64, 6, 0, 41, 3, 0xe8], &[64, 6, 0, 41, 3, 0xe8]),
        exchange(&[64, 3, 0, 200, 0, 1], &[64, 0x83, 2]),
        // Somebody who does not answer, and a reply nobody heard the request of.
        rtu::encode(7, &[4, 0, 0, 0, 20]),
        rtu::encode(
            9,
            &[3, 40, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30],
        ),
        vec![0x00],
        vec![UNIT, 3, 3],
    ]
}

#[test]
fn it_hears_its_requests_between_those_to_others_and_their_replies() {
    let (mut master, _control) = served();
    let chatter = chatter();
    for round in 0..4 {
        for (k, before) in chatter.iter().enumerate() {
            // Right behind each other, and with a gap; whole, and in pieces as serial adapters deliver them.
            master.say(before);
            if round % 2 == 1 {
                assert!(master.hear(Duration::from_millis(3)).is_empty(), "chatter {k} was answered");
            }
            let bytes = rtu::encode(UNIT, &Request::ReadHoldingRegisters { address: 1000, count: 2 }.encode());
            for piece in bytes.chunks(if round < 2 { 8 } else { 3 }) {
                master.say(piece);
            }
            let begun = Instant::now();
            assert_eq!(master.reply(), (UNIT, held()), "after chatter {k}");
            assert!(begun.elapsed() < Duration::from_millis(500), "after chatter {k}: {:?}", begun.elapsed());
        }
    }
    // One after the other without any request to us: nothing is answered.
    for before in &chatter {
        master.say(before);
        assert!(master.hear(Duration::from_millis(120)).is_empty());
    }
}

#[test]
fn an_adapter_that_hands_back_what_is_sent_starts_no_talk_with_ourselves() {
    let (mut master, control) = served();
    for _ in 0..3 {
        for pdu in [&READ[..], &[6, 3, 0xe8, 0, 5]] {
            master.say(&rtu::encode(UNIT, pdu));
            let reply = master.hear(Duration::from_millis(20));
            assert!(!reply.is_empty(), "{pdu:?}");
            // The echo of its reply.
            master.say(&reply);
            assert!(master.hear(Duration::from_millis(120)).is_empty());
        }
    }
    assert_eq!(control.record().len(), 3);
}

/// Says what it is asked and answers when it is told.
#[derive(Clone)]
struct Told {
    asked: Sender<Vec<u8>>,
    go: Receiver<()>,
}

impl Answers for Told {
    fn answer(&self, _: u8, pdu: &[u8]) -> Answered {
        self.asked.send(pdu.to_vec()).unwrap();
        self.go.recv().unwrap();
        Answered::Reply(Reply::HoldingRegisters { values: vec![u16::from(pdu[2])] })
    }
}

#[test]
fn who_asks_again_gets_the_answer_to_the_newest_request_only() {
    let mut master = Master::new();
    let ((asked, asks), (go, told)) = (bounded(10), bounded(10));
    listen(&master, Told { asked, go: told });
    master.say(&rtu::encode(UNIT, &[3, 0, 1, 0, 1]));
    asks.recv_timeout(Duration::from_secs(5)).unwrap();
    // The client gave up, and asks something else, twice.
    master.say(&rtu::encode(UNIT, &[3, 0, 2, 0, 1]));
    master.say(&rtu::encode(UNIT, &[3, 0, 3, 0, 1]));
    go.send(()).unwrap();
    assert_eq!(asks.recv_timeout(Duration::from_secs(5)).unwrap(), [3, 0, 3, 0, 1]);
    go.send(()).unwrap();
    assert_eq!(master.reply(), (UNIT, Reply::HoldingRegisters { values: vec![3] }));
    assert!(master.hear(Duration::from_millis(100)).is_empty());
}

#[test]
fn a_port_that_goes_and_comes_back_is_served_again() {
    let path = std::env::temp_dir().join(format!("sax-server-rtu-back-{}", std::process::id()));
    let control = Arc::new(Control::done());
    let serial =
        Serial { port: path.to_str().unwrap().to_owned(), baud: 115_200, parity: Parity::None, data_bits: 8, stop_bits: 1, rs485: None };
    // It is not there at first.
    let (responder, of_thread) = (control.responder(true), serial.clone());
    thread::spawn(move || rtu_server::serve(&of_thread, &responder, &()));
    for _ in 0..2 {
        let mut master = Master::at(&path);
        master.until_served();
        assert_eq!(master.read(), held());
        // Nobody else gets it meanwhile.
        assert!(Line::open(&serial).is_err());
        drop(master);
    }
}
