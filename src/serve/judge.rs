//! What a request to our registers leads to: a reply at once, or something that the control thread has to decide about. Pure.
//!
//! Functions 3 and 4 read the same registers, 6 and 16 write. Whatever the bytes, there is a reply, and nothing panics.

use super::ask::Ask;
use super::image::Image;
use super::registers::ILLEGAL_FUNCTION;
use crate::modbus::pdu::{Reply, Request};

/// The outcome.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Judged {
    /// This is the reply.
    Reply(Reply),
    /// The control thread is to be asked; when it is done, this is the reply.
    Ask {
        /// What to ask.
        ask: Ask,
        /// The reply then.
        done: Reply,
    },
}

/// Judges the PDU of a request to our own unit.
pub fn judge(image: &Image, writable: bool, pdu: &[u8]) -> Judged {
    let function = pdu.first().copied().unwrap_or(0);
    let refused = |code: u8| Judged::Reply(Reply::Exception { function: function & 0x7f, code });
    let served = matches!(function, 3 | 4) || (writable && matches!(function, 6 | 16));
    if !served {
        return refused(ILLEGAL_FUNCTION);
    }
    let read = |address: u16, count: u16, reply: fn(Vec<u16>) -> Reply| match image.read(address, count) {
        Ok(values) => Judged::Reply(reply(values)),
        Err(code) => refused(code),
    };
    match Request::decode(pdu) {
        Ok(Request::ReadHoldingRegisters { address, count }) => read(address, count, |values| Reply::HoldingRegisters { values }),
        Ok(Request::ReadInputRegisters { address, count }) => read(address, count, |values| Reply::InputRegisters { values }),
        Ok(Request::WriteSingleRegister { address, value }) => {
            let ask = Ask::Write { address, values: vec![value] };
            Judged::Ask { ask, done: Reply::WrittenSingleRegister { address, value } }
        }
        Ok(Request::WriteMultipleRegisters { address, values }) => {
            let count = u16::try_from(values.len()).unwrap_or(u16::MAX);
            Judged::Ask { ask: Ask::Write { address, values }, done: Reply::WrittenMultipleRegisters { address, count } }
        }
        Ok(_) => refused(ILLEGAL_FUNCTION),
        Err(error) => refused(error.exception_code()),
    }
}
