//! What a request to our registers leads to: a reply at once, or something that the control thread has to decide about. Pure.

use super::ask::Ask;
use super::image::Image;
use crate::modbus::pdu::Reply;

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
    let _ = (image, writable);
    Judged::Reply(Reply::Exception { function: pdu.first().copied().unwrap_or(0) & 0x7f, code: 1 })
}
