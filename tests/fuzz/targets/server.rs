//! Any requests to our registers, as PDUs, over a serial line and over a connection, with noise between: a reply is what stands in the registers,
//! an exception changes nothing, and no register changes that was not written.

use sax_controller::balancer::Settings;
use sax_controller::modbus::pdu::{Reply, Request};
use sax_controller::modbus::{mbap, rtu};
use sax_controller::serve::registers::view::BatteryView;
use sax_controller::units::Span;

use super::bytes::Bytes;
use super::messages;
use super::served::Served;

pub fn run(input: &[u8]) {
    let mut bytes = Bytes(input);
    let start = bytes.u8();
    let settings = (start & 1 == 0).then(Settings::default);
    let mut served = Served { batteries: vec![BatteryView::default(); usize::from(start >> 2) % 4], ..Served::new(settings) };
    served.writable = start & 2 == 0;
    while !bytes.is_empty() {
        let how = bytes.u8();
        served.now += Span::from_s(u64::from(how >> 3) * 4);
        if how & 7 == 7 {
            served.writable = !served.writable;
        }
        let pdu = pdu(&mut bytes);
        let unit = if bytes.chance(230) { served.image().unit } else { bytes.u8() };
        served.checked(|served| match how & 7 {
            0 | 1 => on_the_line(served, &mut bytes, unit, &pdu),
            2 | 3 => on_the_connection(served, &mut bytes, unit, &pdu),
            _ => served.single(&pdu),
        });
    }
}

/// Mostly a request to a register that there is.
fn pdu(bytes: &mut Bytes<'_>) -> Vec<u8> {
    let address =
        bytes.one(&[999, 1000, 1001, 1009, 1010, 1017, 1022, 1089, 1090, 1091, 1092, 2005, 2900, 2906]) + u16::from(bytes.u8() % 4);
    let count = 1 + bytes.below(16) as u16;
    let request = match bytes.below(8) {
        0 => messages::request(bytes),
        1 => return bytes.take(1 + usize::from(address) % 20).to_vec(),
        2 => Request::ReadHoldingRegisters { address, count },
        3 => Request::ReadInputRegisters { address, count },
        4 | 5 => Request::WriteSingleRegister { address, value: value(bytes) },
        _ => Request::WriteMultipleRegisters { address, values: (0..count).map(|_| value(bytes)).collect() },
    };
    request.encode()
}

fn value(bytes: &mut Bytes<'_>) -> u16 {
    if bytes.chance(40) { bytes.u16() } else { bytes.one(&[0, 1, 2, 3, 4, 10, 20, 254, 255, 22_000, 24_000, 0x7fff, 0x8000, 0xffff]) }
}

fn on_the_line(served: &mut Served, bytes: &mut Bytes<'_>, unit: u8, pdu: &[u8]) {
    let own = served.image().unit;
    let mut line = bytes.take(usize::from(unit) % 3).to_vec();
    line.extend(rtu::encode(unit, pdu));
    let mut out = &served.on_the_line(&line)[..];
    // What goes out are whole replies of ours.
    while !out.is_empty() {
        let (from, taken) = match rtu::split_reply(out) {
            Ok(Some((from, pdu, taken))) => {
                assert!(Reply::decode(&pdu).is_ok());
                (from, taken)
            }
            // The refusal of function 0 is of no length that is known.
            other => return assert!(out.get(1).is_some_and(|function| *function == 0x80), "{other:?} {out:x?}"),
        };
        assert!(from == own || from == served.image().unit, "{from} speaks");
        out = &out[taken..];
    }
}

fn on_the_connection(served: &mut Served, bytes: &mut Bytes<'_>, unit: u8, pdu: &[u8]) {
    let mut stream = mbap::encode(&mbap::Frame { transaction: bytes.u16(), unit, pdu: pdu.to_vec() });
    if bytes.chance(50) {
        stream.extend(bytes.take(20));
    }
    let replies = served.on_the_connection(&stream);
    assert!(pdu.is_empty() || !replies.is_empty() && replies.len() <= 1 + stream.len() / 8);
}
