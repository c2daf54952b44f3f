//! Faults carried out: first on the meaning of a reply, then on its bytes.
//!
//! Sans-IO. Who sends the bytes is [`serve`](super::serve); [`client`](super::client) uses the first half only.

use super::device;
use super::faults::{Fault, Faults};
use super::sax::{self, Answer};
use super::site::{Behind, Site};
use crate::modbus::mbap::{self, Frame};
use crate::modbus::pdu::{Reply, Request};

/// Answers a request with all faults that concern its meaning. Faults of connection and bytes are left to the caller.
pub(super) fn respond(site: &mut Site, host: usize, unit: u8, request: &Request, active: &[Fault]) -> Answer {
    let faults = site.faults();
    for fault in active {
        match fault {
            Fault::Silent | Fault::Reset | Fault::Close | Fault::Refuse | Fault::Stolen => return Answer::Silence,
            Fault::LoseRequest { permille } if faults.happens(*permille) => return Answer::Silence,
            Fault::Exception(code) => return Answer::Reply(Reply::Exception { function: request.function(), code: *code }),
            _ => {}
        }
    }
    let (meter, registers) = (active.contains(&Fault::FrozenMeter), active.contains(&Fault::FrozenRegisters));
    let behind = site.behind(host, unit);
    let is_sax = matches!(behind, Behind::Sax(_));
    let answer = match behind {
        Behind::Device(k) => {
            device::freeze(site, k, meter, registers);
            device::answer(site, k, request)
        }
        Behind::Sax(battery) => {
            sax::freeze(site, battery, meter, registers);
            sax::answer(site, battery, unit, request)
        }
        Behind::Nobody => Answer::Silence,
    };
    let Answer::Reply(mut reply) = answer else { return Answer::Silence };
    for fault in active {
        match fault {
            Fault::LoseReply { permille } if faults.happens(*permille) => return Answer::Silence,
            Fault::AbsurdValues => make_absurd(&mut reply),
            Fault::NotANumber if is_sax => make_not_a_number(&mut reply, site.now_ms()),
            Fault::OtherFunction => reply = other_function(reply),
            _ => {}
        }
    }
    Answer::Reply(reply)
}

fn make_absurd(reply: &mut Reply) {
    if let Reply::HoldingRegisters { values } | Reply::InputRegisters { values } = reply {
        values.fill(0x7FFF);
    }
}

/// What SunSpec has for "not implemented" in one register and in two, and an IEEE 754 NaN: another one every second.
fn make_not_a_number(reply: &mut Reply, now_ms: u64) {
    const PATTERNS: [[u16; 2]; 4] = [[0x8000, 0x8000], [0xFFFF, 0xFFFF], [0x8000, 0], [0x7FC0, 0]];
    let pattern = PATTERNS[(now_ms / 1000 % 4) as usize];
    if let Reply::HoldingRegisters { values } | Reply::InputRegisters { values } = reply {
        values.iter_mut().zip(pattern.into_iter().cycle()).for_each(|(value, nothing)| *value = nothing);
    }
}

fn other_function(reply: Reply) -> Reply {
    match reply {
        Reply::HoldingRegisters { values } => Reply::InputRegisters { values },
        Reply::WrittenSingleRegister { address, value } => Reply::WrittenMultipleRegisters { address, count: value.clamp(1, 123) },
        Reply::WrittenMultipleRegisters { address, count } => Reply::WrittenSingleRegister { address, value: count },
        other => other,
    }
}

/// What of the reply's bytes to send, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Sending {
    pub(super) bytes: Vec<u8>,
    pub(super) delay_ms: u64,
    pub(super) per_byte_ms: u64,
}

/// The bytes of a reply with the habits of a SAX battery and all faults that concern bytes.
pub(super) fn bytes(site: &Site, host: usize, asked: &Frame, reply: &Reply, active: &[Fault], previous: &[u8]) -> Sending {
    let habits = match site.behind(host, asked.unit) {
        Behind::Sax(battery) => site.cells.get(battery).map(|cell| &cell.sax),
        Behind::Device(_) | Behind::Nobody => None,
    };
    let exception = matches!(reply, Reply::Exception { .. });
    let mut frame = Frame { transaction: asked.transaction, unit: asked.unit, pdu: reply.encode() };
    let function = asked.pdu.first().copied();
    if function == Some(0x10) && habits.is_some_and(|sax| sax.clears_id) {
        // facts/sax.md 5.2
        frame.transaction &= 0x00FF;
    }
    for fault in active {
        match fault {
            Fault::WrongId => frame.transaction ^= 0x5555,
            Fault::WrongUnit => frame.unit ^= 0x01,
            Fault::TrailingBytes => frame.pdu.extend([0xDE, 0xAD]),
            Fault::ShortByOne => drop(frame.pdu.pop()),
            _ => {}
        }
    }
    let mut bytes = mbap::encode(&frame);
    if exception && function == Some(0x06) && habits.is_some_and(|sax| sax.exception_length_6) {
        // facts/sax.md 2, Responses: the length is copied from the request.
        bytes[5] = 6;
    }
    let mut sending = Sending { bytes, delay_ms: habits.map_or(0, |sax| sax.response_ms), per_byte_ms: 0 };
    for fault in active {
        apply(*fault, &mut sending, &site.faults(), previous);
    }
    sending
}

fn apply(fault: Fault, sending: &mut Sending, faults: &Faults, previous: &[u8]) {
    let bytes = &mut sending.bytes;
    match fault {
        Fault::HalfFrame => bytes.truncate(bytes.len() / 2),
        Fault::Garbage => *bytes = faults.garbage(),
        Fault::WrongLength => {
            if let Some(length) = bytes.get_mut(5) {
                *length = length.wrapping_add(4);
            }
        }
        Fault::StaleReplay => *bytes = previous.to_vec(),
        Fault::Delay(ms) => sending.delay_ms += ms,
        Fault::Trickle(ms) => sending.per_byte_ms = ms,
        _ => {}
    }
}
