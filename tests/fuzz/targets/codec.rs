//! The Modbus codec both ways: what encodes decodes to the same, what decodes encodes to the same bytes, and the framing, which counts bytes,
//! agrees with the codec, which knows the messages. Nothing is accepted beyond the specification's limits.

use sax_controller::link::exchange::check_reply;
use sax_controller::modbus::pdu::{PDU_MAX, Reply, Request};
use sax_controller::modbus::{mbap, rtu};

use super::bytes::Bytes;
use super::messages;

pub fn run(input: &[u8]) {
    raw(input);
    let mut bytes = Bytes(input);
    let request = messages::request(&mut bytes);
    let reply = if bytes.chance(150) && messages::is_request(&request) {
        messages::answer(&request, &mut bytes)
    } else {
        messages::reply(&mut bytes)
    };
    let (unit, transaction) = (bytes.u8(), bytes.u16());
    a_request(&request);
    a_reply(&reply);
    framed(unit, transaction, &request.encode(), messages::is_request(&request), rtu::split_request);
    framed(unit, transaction, &reply.encode(), messages::is_reply(&reply), rtu::split_reply);
    if messages::is_request(&request) && messages::is_reply(&reply) {
        let taken = check_reply(&request, &reply.encode());
        assert_eq!(taken.is_ok(), messages::answers(&request, &reply), "{reply:?} to {request:?}");
        assert!(taken.is_err() || taken.ok() == Some(reply));
    }
}

fn a_request(request: &Request) {
    let pdu = request.encode();
    assert!((1..=PDU_MAX).contains(&pdu.len()) && pdu[0] == request.function());
    let decoded = Request::decode(&pdu);
    assert_eq!(decoded.as_ref() == Ok(request), messages::is_request(request), "{request:?} came back as {decoded:?}");
    // One with too many values is cut to a shorter one, never to anything else.
    assert!(decoded.is_err() || decoded.is_ok_and(|decoded| messages::is_request(&decoded) && decoded.encode() == pdu));
}

fn a_reply(reply: &Reply) {
    let pdu = reply.encode();
    assert!((1..=PDU_MAX).contains(&pdu.len()) && pdu[0] & 0x7f == reply.function());
    let decoded = Reply::decode(&pdu);
    assert_eq!(decoded.as_ref() == Ok(reply), messages::is_reply(reply), "{reply:?} came back as {decoded:?}");
    assert!(decoded.is_err() || decoded.is_ok_and(|decoded| messages::is_reply(&decoded) && decoded.encode() == pdu));
}

type Split = fn(&[u8]) -> Result<Option<(u8, Vec<u8>, usize)>, rtu::FrameError>;

/// Both framings of a PDU give it back whole, not before its last byte is there, and not with a wrong one.
fn framed(unit: u8, transaction: u16, pdu: &[u8], is_message: bool, split: Split) {
    let serial = rtu::encode(unit, pdu);
    assert_eq!(rtu::whole(&serial), Ok((unit, pdu.to_vec())));
    if is_message {
        assert_eq!(split(&serial), Ok(Some((unit, pdu.to_vec(), serial.len()))));
        for length in [serial.len() - 1, serial.len() / 2, 2, 1, 0] {
            assert_eq!(split(&serial[..length]), Ok(None), "{length} bytes of {serial:x?}");
        }
        let at = usize::from(transaction) % serial.len();
        let mut broken = serial.clone();
        broken[at] ^= unit | 1;
        assert!(!matches!(split(&broken), Ok(Some(_))), "byte {at} of {serial:x?} may be wrong");
    }
    let frame = mbap::Frame { transaction, unit, pdu: pdu.to_vec() };
    let bytes = mbap::encode(&frame);
    assert_eq!(mbap::split(&bytes), Ok(Some((frame, bytes.len()))));
    (0..bytes.len()).for_each(|length| assert_eq!(mbap::split(&bytes[..length]), Ok(None)));
}

/// Any bytes, taken for everything that bytes can be taken for.
fn raw(bytes: &[u8]) {
    if let Ok(request) = Request::decode(bytes) {
        assert!(messages::is_request(&request) && request.encode() == bytes, "{request:?}");
    }
    if let Ok(reply) = Reply::decode(bytes) {
        assert!(messages::is_reply(&reply) && reply.encode() == bytes, "{reply:?}");
    }
    for split in [rtu::split_request, rtu::split_reply] {
        if let Ok(Some((unit, pdu, length))) = split(bytes) {
            assert!(length <= rtu::FRAME_MAX && rtu::encode(unit, &pdu) == bytes[..length]);
        }
    }
    for (resync, split) in [(rtu::resync_request as fn(&[u8]) -> usize, rtu::split_request as Split), (rtu::resync_reply, rtu::split_reply)]
    {
        let drop = resync(bytes);
        assert!(drop <= bytes.len() && (drop > 0 || bytes.is_empty()));
        assert!(drop == bytes.len() || split(&bytes[drop..]).is_ok(), "it stops where nothing begins");
    }
    if let Ok(Some((frame, length))) = mbap::split(bytes) {
        assert!((8..=PDU_MAX + 7).contains(&length) && mbap::encode(&frame) == bytes[..length]);
    }
    if let Ok(Some((frame, length))) = mbap::split_reply(bytes) {
        let is_exception = frame.pdu[0] & 0x80 != 0;
        assert_eq!(is_exception, length == 9 && frame.pdu.len() == 2 && bytes[7] >= 0x80);
        assert!(is_exception || mbap::encode(&frame) == bytes[..length]);
        assert_eq!((&bytes[..2], bytes[6], &bytes[7..length]), (&frame.transaction.to_be_bytes()[..], frame.unit, &frame.pdu[..]));
    }
}
