//! Our Modbus TCP client against a server that sends anything, in any pieces: what a request ends in is what a second reading of the same bytes
//! says. No reply of another transaction, unit, function or length is taken, and a connection that does not stand on a frame is never used again.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use modbus::Client as _;
use sax_controller::link::exchange::Exchange;
use sax_controller::link::fault::Fault;
use sax_controller::link::tcp::TcpLink;
use sax_controller::modbus::pdu::Reply;

use super::bytes::Bytes;
use super::messages;

/// Late replies that are skipped on the way to the right one, or before a request.
const STALE_MOST: usize = 8;

/// So many fit into a socket whose other end does not read.
const MOST_PIECES: usize = 100;

/// What the server sends after a request of so many bytes.
struct Answer {
    request: usize,
    pieces: Vec<Vec<u8>>,
    /// It closes the connection then.
    closes: bool,
}

/// A server in a thread of its own, since the client waits; it says when it has sent everything.
struct Server {
    connections: SyncSender<(UnixStream, Vec<Answer>)>,
    sent: Receiver<()>,
}

thread_local! {
    static SERVER: LazyLock<Server> = LazyLock::new(Server::start);
}

impl Server {
    fn start() -> Server {
        let (connections, orders) = sync_channel::<(UnixStream, Vec<Answer>)>(1);
        let (say, sent) = sync_channel(4);
        std::thread::spawn(move || {
            for (mut stream, answers) in orders {
                for answer in answers {
                    let mut request = vec![0; answer.request];
                    let is_there = stream.read_exact(&mut request).is_ok();
                    let sent = is_there && answer.pieces.iter().all(|piece| stream.write_all(piece).is_ok());
                    if answer.closes || !sent {
                        drop(stream);
                        break;
                    }
                    let _ = say.send(());
                }
                let _ = say.send(());
            }
        });
        Server { connections, sent }
    }
}

pub fn run(input: &[u8]) {
    SERVER.with(|server| talk(server, &mut Bytes(input)));
}

/// What an exchange must end in.
#[derive(Debug, PartialEq)]
enum Outcome {
    Reply(Reply),
    Exception(u8),
    WrongUnit(u8),
    Invalid,
    /// No frame, or the end of the connection.
    Broken,
}

fn talk(server: &Server, bytes: &mut Bytes<'_>) {
    let unit = bytes.u8();
    let (mut answers, mut expected) = (Vec::new(), Vec::new());
    let mut left_over = Vec::new();
    for transaction in 1..=1 + bytes.below(4) as u16 {
        let request = messages::request(bytes);
        if !messages::is_request(&request) || !settles(&left_over) {
            break;
        }
        let stream: Vec<u8> = (0..1 + bytes.below(12)).flat_map(|_| frame(bytes, transaction, unit, &request)).collect();
        let (outcome, taken) = reading(&stream, transaction, unit, &request);
        left_over = stream[taken..].to_vec();
        let closes = outcome == Outcome::Broken;
        let size = usize::from(bytes.u8()).max(1 + stream.len() / MOST_PIECES);
        let pieces = stream.chunks(size).map(<[u8]>::to_vec).collect();
        answers.push(Answer { request: 7 + request.encode().len(), pieces, closes });
        expected.push((request, outcome));
        if closes {
            break;
        }
    }
    if expected.is_empty() {
        return;
    }
    let (ours, theirs) = UnixStream::pair().unwrap_or_else(|error| panic!("{error}"));
    let mut link = TcpLink::over(TcpStream::from(OwnedFd::from(ours)), "127.0.0.1", 1, Duration::from_secs(20));
    link.set_uid(unit);
    let ends = answers.last().is_some_and(|answer| answer.closes);
    server.connections.send((theirs, answers)).unwrap_or_else(|error| panic!("{error}"));
    for (request, expected) in &expected {
        let outcome = match link.exchange(request) {
            Ok(reply) => Outcome::Reply(reply),
            Err(error) => match Fault::of(&error) {
                Fault::Exception(code) => Outcome::Exception(code),
                Fault::WrongUnit(unit) => Outcome::WrongUnit(unit),
                Fault::Invalid(_) if *expected != Outcome::Broken => Outcome::Invalid,
                Fault::Invalid(_) | Fault::Io(_) => Outcome::Broken,
                other => panic!("{other:?}"),
            },
        };
        assert_eq!(outcome, *expected, "{request:?}");
        let _ = server.sent.recv();
    }
    if !ends {
        let _ = server.sent.recv();
    }
    // What is left over is late replies, or the connection is not used again. Here it cannot be made anew.
    assert!(link.exchange(&expected[0].0).is_err());
}

/// One frame, or something like it.
fn frame(bytes: &mut Bytes<'_>, transaction: u16, unit: u8, request: &sax_controller::modbus::pdu::Request) -> Vec<u8> {
    let kind = bytes.below(16);
    let pdu = match bytes.below(8) {
        0 => messages::reply(bytes).encode(),
        1 => Reply::Exception { function: request.function(), code: bytes.u8() }.encode(),
        _ => messages::answer(request, bytes).encode(),
    };
    let length = pdu.len() as u16 + 1;
    let (transaction, protocol, length, unit) = match kind {
        0..6 => (transaction, 0, length, unit),
        6..9 => (transaction.wrapping_sub(1 + u16::from(bytes.u8() % 3)), 0, length, unit),
        9 => (bytes.u16(), 0, length, unit),
        10 => (transaction, 0, length, bytes.u8()),
        11 => (transaction, bytes.u16(), length, unit),
        12 => (transaction, 0, bytes.u16() % 260, unit),
        // As SAX batteries do it.
        13 => (transaction, 0, 6, unit),
        _ => return bytes.take(1 + kind).to_vec(),
    };
    let mut frame = [transaction, protocol, length].map(u16::to_be_bytes).concat();
    frame.push(unit);
    frame.extend(pdu);
    frame
}

/// The next frame of a stream: transaction, unit, PDU and length. An exception has two bytes whatever it says.
fn next(stream: &[u8]) -> Result<Option<(u16, u8, &[u8], usize)>, ()> {
    let word = |at: usize| Some(u16::from_be_bytes([*stream.get(at)?, *stream.get(at + 1)?]));
    let Some(protocol) = word(2) else { return Ok(None) };
    if protocol != 0 {
        return Err(());
    }
    let Some(length) = word(4) else { return Ok(None) };
    if !(2..=254).contains(&length) {
        return Err(());
    }
    let Some(function) = stream.get(7) else { return Ok(None) };
    let whole = if *function >= 0x80 { 9 } else { 6 + usize::from(length) };
    match (word(0), stream.get(6), stream.get(7..whole)) {
        (Some(transaction), Some(unit), Some(pdu)) => Ok(Some((transaction, *unit, pdu, whole))),
        _ => Ok(None),
    }
}

/// What the client must make of it, and how much of it that takes.
fn reading(stream: &[u8], transaction: u16, unit: u8, request: &sax_controller::modbus::pdu::Request) -> (Outcome, usize) {
    let mut at = 0;
    for _ in 0..=STALE_MOST {
        let Ok(Some((said, from, pdu, length))) = next(&stream[at..]) else { return (Outcome::Broken, at) };
        at += length;
        if said != transaction {
            continue;
        }
        let outcome = match Reply::decode(pdu) {
            _ if from != unit => Outcome::WrongUnit(from),
            Ok(Reply::Exception { function, code }) if function == request.function() => Outcome::Exception(code),
            Ok(reply) if messages::answers(request, &reply) => Outcome::Reply(reply),
            _ => Outcome::Invalid,
        };
        return (outcome, at);
    }
    (Outcome::Broken, at)
}

/// Whether what is left over lets the connection be used: a few whole frames.
fn settles(mut left: &[u8]) -> bool {
    for _ in 0..STALE_MOST {
        if left.is_empty() {
            return true;
        }
        let Ok(Some((.., length))) = next(left) else { return false };
        left = &left[length..];
    }
    left.is_empty()
}
