//! Serial streams in any pieces and with any pauses: our search for a reply, and our search for requests. Nothing is taken that did not come as
//! a whole frame with a right CRC, from the unit asked and as an answer; a good frame behind anything else is found; no more is kept than a
//! frame has.

use std::time::Duration;

use modbus::Error;
use sax_controller::link::fault::Fault;
use sax_controller::link::reply_search::{Echo, ReplySearch};
use sax_controller::link::request_search::RequestSearch;
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::modbus::rtu::{FRAME_MAX, encode, split_reply};

use super::bytes::Bytes;
use super::messages;

/// More than any pause that means something.
const LONG: Duration = Duration::from_secs(5);
/// More than the longest byte stream that is tried.
const MOST_SEGMENTS: usize = 12;
/// So many frames that are no answer are skipped on the way to one.
const SKIPPED_MOST: usize = 8;

pub fn run(input: &[u8]) {
    let mut bytes = Bytes(input);
    if bytes.chance(128) { replies(&mut bytes) } else { requests(&mut bytes) }
}

fn holds(stream: &[u8], frame: &[u8]) -> bool {
    stream.windows(frame.len()).any(|window| window == frame)
}

/// Frames, pieces of frames, and noise.
fn garbage(bytes: &mut Bytes<'_>, request: &Request, unit: u8, sent: &[u8]) -> Vec<u8> {
    let mut frame = match bytes.below(8) {
        0 => return bytes.list(Bytes::u8),
        1 => encode(unit, &messages::answer(request, bytes).encode()),
        2 => encode(bytes.u8(), &messages::answer(request, bytes).encode()),
        3 => encode(unit, &messages::reply(bytes).encode()),
        4 => encode(bytes.u8(), &messages::request(bytes).encode()),
        5 => encode(unit, &Reply::Exception { function: request.function(), code: bytes.u8() }.encode()),
        6 => sent.to_vec(),
        _ => encode(bytes.u8(), bytes.take(253)),
    };
    match bytes.below(4) {
        0 => frame.truncate(bytes.below(frame.len())),
        1 => {
            let at = bytes.below(frame.len());
            frame[at] ^= bytes.u8();
        }
        _ => {}
    }
    frame
}

fn pause(bytes: &mut Bytes<'_>) -> Duration {
    bytes.one(&[Duration::ZERO, Duration::ZERO, Duration::from_millis(49), Duration::from_millis(50), Duration::from_millis(199), LONG])
}

fn replies(bytes: &mut Bytes<'_>) {
    let (request, unit) = (messages::request(bytes), bytes.u8());
    if !messages::is_request(&request) {
        return;
    }
    let sent = encode(unit, &request.encode());
    let echo = bytes.one(&[Echo::Unknown, Echo::No, Echo::Yes]);
    let mut search = ReplySearch::new(&request, &sent, echo, Duration::from_micros(bytes.u16().into()));
    let (mut stream, mut segments) = (Vec::new(), Vec::new());
    if echo == Echo::Yes {
        segments.push(sent.clone());
    }
    for _ in 0..bytes.below(MOST_SEGMENTS) {
        segments.push(garbage(bytes, &request, unit, &sent));
    }
    // What the search may give up on.
    let most_frames = segments.iter().map(|segment| segment.len() / 4).sum::<usize>();
    let good = messages::answer(&request, bytes);
    segments.push(encode(unit, &good.encode()));
    let last = segments.len() - 1;
    for (n, segment) in segments.iter().enumerate() {
        for piece in segment.chunks(1 + bytes.below(80)) {
            search.take(piece);
            stream.extend(piece);
            let quiet = if n == last { Duration::ZERO } else { pause(bytes) };
            if let Some(outcome) = search.outcome(quiet) {
                return check(&request, unit, &stream, outcome, most_frames);
            }
            assert!(search.waiting() < FRAME_MAX.max(sent.len() + 1), "{} bytes are kept", search.waiting());
        }
    }
    match search.outcome(LONG) {
        Some(outcome) => check(&request, unit, &stream, outcome, most_frames),
        None => {
            let spanned = is_spanned(&stream, stream.len() - segments[last].len());
            assert!(spanned, "{good:?} was not found in {stream:x?}, echo {echo:?}");
        }
    }
}

/// A frame with a right CRC ends behind this place and begins before it: who has taken it for one could not know what would come. By chance
/// that is one of 65,536.
fn is_spanned(stream: &[u8], place: usize) -> bool {
    (place.saturating_sub(FRAME_MAX)..place).any(|at| matches!(split_reply(&stream[at..]), Ok(Some((_, _, length))) if at + length > place))
}

/// An outcome stands in the stream.
fn check(request: &Request, unit: u8, stream: &[u8], outcome: modbus::Result<Reply>, most_frames: usize) {
    match outcome {
        Ok(reply) => {
            assert!(messages::answers(request, &reply), "{reply:?} to {request:?}");
            assert!(holds(stream, &encode(unit, &reply.encode())), "{reply:?} never came: {stream:x?}");
        }
        Err(Error::InvalidResponse) => assert!(most_frames > SKIPPED_MOST, "it gave up early: {stream:x?}"),
        Err(error) => match Fault::of(&error) {
            Fault::Exception(code) => {
                let exception = Reply::Exception { function: request.function(), code };
                assert!(holds(stream, &encode(unit, &exception.encode())), "{exception:?} never came: {stream:x?}");
            }
            // It had the form of the reply; only silence may say that.
            Fault::Crc => assert!(stream.windows(2).any(|head| head == [unit, request.function()]), "{stream:x?}"),
            other => panic!("{other:?}: {stream:x?}"),
        },
    }
}

fn requests(bytes: &mut Bytes<'_>) {
    let mut search = RequestSearch::new(Duration::from_micros(bytes.u16().into()));
    let (mut stream, mut found) = (Vec::new(), 0);
    for _ in 0..bytes.below(MOST_SEGMENTS) {
        let (request, unit) = (messages::request(bytes), bytes.u8());
        let sent = encode(unit, &request.encode());
        let segment = if bytes.chance(128) { sent.clone() } else { garbage(bytes, &request, unit, &sent) };
        for piece in segment.chunks(1 + bytes.below(80)) {
            search.take(piece);
            stream.extend(piece);
            found += all(&mut search, pause(bytes), &stream).len();
        }
        if bytes.chance(60) {
            // Only the write of one coil or register is answered by its own bytes, which may come back.
            let reply = if matches!(request.function(), 5 | 6) { sent } else { encode(unit, &messages::reply(bytes).encode()) };
            search.sent(&reply);
        }
    }
    assert!(found <= stream.len() / 4, "more requests than came");
    // Silence ends everything, and then the next request is heard at once, in however many pieces.
    let hushed = bytes.chance(128);
    if hushed {
        all(&mut search, LONG, &stream);
        assert_eq!(search.waiting(), 0, "kept after silence: {stream:x?}");
        all(&mut search, LONG, &stream);
    }
    // Nobody reads from unit 0, the broadcast: its 0 behind a frame makes a longer frame whose CRC is right, too.
    let (unit, request) = (bytes.u8().max(1), Request::ReadHoldingRegisters { address: bytes.u16(), count: 1 + bytes.below(125) as u16 });
    let mut heard = Vec::new();
    for piece in encode(unit, &request.encode()).chunks(1 + bytes.below(8)) {
        search.take(piece);
        stream.extend(piece);
        heard.extend(all(&mut search, Duration::ZERO, &stream));
    }
    if !hushed {
        heard.extend(all(&mut search, LONG, &stream));
    }
    assert_eq!(heard.last(), Some(&(unit, request.encode())), "{request:?} was not heard behind {stream:x?}");
}

/// The requests that are there, each of which came.
fn all(search: &mut RequestSearch, quiet: Duration, stream: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let requests: Vec<_> = std::iter::from_fn(|| search.next(quiet)).take(stream.len() + 1).collect();
    assert!(requests.len() <= stream.len(), "it does not end");
    for (unit, pdu) in &requests {
        assert!(holds(stream, &encode(*unit, pdu)), "{unit} {pdu:x?} never came: {stream:x?}");
    }
    assert!(search.waiting() <= FRAME_MAX, "{} bytes are kept", search.waiting());
    requests
}
