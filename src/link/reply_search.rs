//! Finds the reply to one request in what comes over a serial bus: behind noise, the echo of the request, and answers of other devices.
//!
//! Sans-IO: bytes and the time for which nothing came go in, the reply or the best reason why there is none comes out. It never takes a
//! frame for the reply whose CRC is wrong, which comes from another unit, or which does not answer the request.

use std::time::Duration;

use ::modbus::{Error, Result};

use super::exchange::check_reply;
use super::fault::{Fault, crc_error, short_error, wrong_unit_error};
use crate::modbus::pdu::{Reply, Request};
use crate::modbus::rtu::{self, FrameError};

/// Whole frames that are not the reply, skipped on the way to it.
const SKIPPED_MAX: usize = 8;

/// Nothing for this long in the middle of a frame: what began there was probably none. USB adapters hold bytes back for 16 ms.
const PAUSE: Duration = Duration::from_millis(50);

/// After this long the echo of a write, if that is what came, has no reply behind it that could still tell.
const ECHO_DOUBT: Duration = Duration::from_millis(200);

/// Whether the adapter hands back what it sends (two-wire RS-485 with the receiver left on).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Echo {
    /// No request has shown it yet.
    #[default]
    Unknown,
    /// It does not.
    No,
    /// It does.
    Yes,
}

/// The search for one reply.
pub struct ReplySearch<'r> {
    request: &'r Request,
    /// [`PAUSE`] and [`ECHO_DOUBT`], or more where characters take their time.
    pause: Duration,
    doubt: Duration,
    /// Unit, PDU and CRC of the request as sent.
    sent: &'r [u8],
    echo: Echo,
    /// The echo has been skipped.
    echoed: bool,
    buffer: Vec<u8>,
    /// Bytes that came, the echo aside.
    came: usize,
    skipped: usize,
    /// A frame with a wrong CRC came.
    crc: bool,
    /// It had the form of the reply: there will be no other.
    garbled: bool,
    wrong_unit: Option<u8>,
    /// The unit asked sent a frame that does not answer.
    unfit: Option<Error>,
}

impl<'r> ReplySearch<'r> {
    /// For this request, which went out as these bytes, at so much time per character.
    pub fn new(request: &'r Request, sent: &'r [u8], echo: Echo, character: Duration) -> ReplySearch<'r> {
        let (pause, doubt) = (PAUSE.max(character * 4), ECHO_DOUBT.max(character * 20));
        let buffer = Vec::with_capacity(2 * rtu::FRAME_MAX);
        let (echoed, came, skipped, crc, garbled) = (false, 0, 0, false, false);
        ReplySearch { request, pause, doubt, sent, echo, echoed, buffer, came, skipped, crc, garbled, wrong_unit: None, unfit: None }
    }

    /// What is known about echoes now.
    pub fn echo(&self) -> Echo {
        self.echo
    }

    /// How many bytes wait for what comes behind them: after a look at the outcome less than the longest frame has.
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// These bytes came.
    pub fn take(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        self.came = self.came.saturating_add(bytes.len());
    }

    /// The outcome, if there is one when nothing has come for `quiet`.
    pub fn outcome(&mut self, quiet: Duration) -> Option<Result<Reply>> {
        // Every round drops a byte or ends.
        while !self.buffer.is_empty() {
            match self.echo_first(quiet) {
                Some(true) => continue,
                Some(false) => return None,
                None => {}
            }
            match rtu::split_reply(&self.buffer) {
                Ok(Some((unit, pdu, length))) => {
                    if let Some(at) = self.answer().filter(|at| *at < length) {
                        // The end of noise and the beginning of the answer look like a frame of another unit.
                        self.buffer.drain(..at);
                        continue;
                    }
                    let first = self.came == self.buffer.len() && !self.echoed;
                    self.buffer.drain(..length);
                    if let Some(outcome) = self.frame(unit, &pdu, first) {
                        return Some(outcome);
                    }
                }
                Ok(None) if quiet < self.pause => return None,
                Ok(None) => {
                    let length = self.answer().unwrap_or_else(|| rtu::resync_reply(&self.buffer));
                    if !matches!(rtu::split_reply(self.buffer.get(length..).unwrap_or_default()), Ok(Some(_))) {
                        break;
                    }
                    self.buffer.drain(..length);
                }
                Err(error) => {
                    self.note(error);
                    self.buffer.drain(..self.next_beginning());
                }
            }
        }
        (self.garbled && quiet >= self.pause).then(|| Err(crc_error()))
    }

    /// Where to go on behind what is no frame: at an answer of the unit asked, if one is there whole, or else at the first that may be a frame,
    /// whole or not. To prefer any whole one would lose a reply that has only begun: registers that hold -1, 0, 0 look like an exception
    /// reply of unit 255 (`ff ff 00 00 00`).
    fn next_beginning(&self) -> usize {
        let may_be = |at: &usize| rtu::split_reply(self.buffer.get(*at..).unwrap_or_default()).is_ok();
        self.answer().or_else(|| rtu::beginnings(&self.buffer).find(may_be)).unwrap_or(self.buffer.len())
    }

    /// Where behind the first byte a whole answer of the unit asked begins, while there is none at the first one.
    fn answer(&self) -> Option<usize> {
        let asked = [self.sent.first().copied()?, self.request.function()];
        let is_answer = |at: &usize| {
            let frame = self.buffer.get(*at..).unwrap_or_default();
            let named = matches!(frame, [unit, function, ..] if [*unit, function & 0x7f] == asked);
            // A frame that ends with 0 behind its CRC has a right CRC again, one byte later.
            named && matches!(rtu::split_reply(frame), Ok(Some((_, pdu, _))) if answers(&check_reply(self.request, &pdu)))
        };
        if is_answer(&0) { None } else { rtu::beginnings(&self.buffer).find(is_answer) }
    }

    /// The deadline has passed: why there is no reply. `passed` is for silence.
    pub fn give_up(self, passed: Error) -> Error {
        match (self.crc, self.unfit, self.wrong_unit) {
            (true, ..) => crc_error(),
            (false, Some(error), _) => error,
            (false, None, Some(unit)) => wrong_unit_error(unit),
            (false, None, None) if self.came > 0 => short_error(self.came),
            (false, None, None) => passed,
        }
    }

    /// Looks for the echo at the beginning: `Some(true)` when it was skipped, `Some(false)` when more bytes are needed to tell.
    fn echo_first(&mut self, quiet: Duration) -> Option<bool> {
        if self.echoed || self.came != self.buffer.len() {
            return None;
        }
        if !self.buffer.starts_with(self.sent) {
            // Half an echo would be taken for a frame with a wrong CRC.
            return (self.sent.starts_with(&self.buffer) && quiet < self.pause).then_some(false);
        }
        if self.answers_itself() {
            match self.echo {
                Echo::No => return None,
                // A second frame behind it is the reply, so the first was the echo.
                Echo::Unknown if self.buffer.len() == self.sent.len() && quiet < self.doubt => return Some(false),
                Echo::Unknown if self.buffer.len() == self.sent.len() => return None,
                Echo::Unknown | Echo::Yes => {}
            }
        }
        self.buffer.drain(..self.sent.len());
        self.came -= self.sent.len();
        (self.echoed, self.echo) = (true, Echo::Yes);
        Some(true)
    }

    /// Whether the right reply may be the very bytes of the request, as with the writes of one register or coil.
    fn answers_itself(&self) -> bool {
        matches!(rtu::split_reply(self.sent), Ok(Some((_, pdu, length))) if length == self.sent.len() && check_reply(self.request, &pdu).is_ok())
    }

    /// A frame with a right CRC. `first`: nothing came before it.
    fn frame(&mut self, unit: u8, pdu: &[u8], first: bool) -> Option<Result<Reply>> {
        if self.sent.first() == Some(&unit) {
            let reply = check_reply(self.request, pdu);
            if answers(&reply) {
                if first && !self.answers_itself() {
                    self.echo = Echo::No;
                }
                return Some(reply);
            }
            self.unfit = reply.err();
        } else {
            self.wrong_unit = Some(unit);
        }
        self.skipped += 1;
        (self.skipped > SKIPPED_MAX).then_some(Err(Error::InvalidResponse))
    }

    fn note(&mut self, error: FrameError) {
        if let FrameError::Crc { .. } = error {
            self.crc = true;
            self.garbled |= self.buffer.starts_with(&reply_head(self.request, self.sent));
        }
    }
}

/// Whether that is an answer: a reply that fits, or an exception.
fn answers(reply: &Result<Reply>) -> bool {
    reply.as_ref().err().is_none_or(|error| matches!(Fault::of(error), Fault::Exception(_)))
}

/// How the reply begins: unit, function, and the byte count or what it repeats of the request.
fn reply_head(request: &Request, sent: &[u8]) -> Vec<u8> {
    let bytes = match request {
        Request::ReadCoils { count, .. } | Request::ReadDiscreteInputs { count, .. } => count.div_ceil(8),
        Request::ReadHoldingRegisters { count, .. }
        | Request::ReadInputRegisters { count, .. }
        | Request::ReadWriteMultipleRegisters { read_count: count, .. } => count.saturating_mul(2),
        Request::ReadDeviceIdentification { .. } => 14,
        _ => return sent.iter().take(4).copied().collect(),
    };
    sent.iter().take(2).copied().chain([u8::try_from(bytes).unwrap_or(u8::MAX)]).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    const READ: Request = Request::ReadHoldingRegisters { address: 0x1234, count: 2 };
    const WRITE: Request = Request::WriteSingleRegister { address: 41, value: 0xfc18 };

    fn answer() -> Reply {
        Reply::HoldingRegisters { values: vec![0xbeef, 0x0102] }
    }

    fn frame(unit: u8, reply: &Reply) -> Vec<u8> {
        rtu::encode(unit, &reply.encode())
    }

    /// What comes of these bytes, with no pause between the chunks and a long one at the end.
    fn outcome(request: &Request, echo: Echo, chunks: &[&[u8]]) -> (Result<Reply>, Echo) {
        let sent = rtu::encode(64, &request.encode());
        let mut search = ReplySearch::new(request, &sent, echo, Duration::ZERO);
        for chunk in chunks {
            search.take(chunk);
            if let Some(outcome) = search.outcome(Duration::ZERO) {
                return (outcome, search.echo());
            }
        }
        match search.outcome(ECHO_DOUBT) {
            Some(outcome) => (outcome, search.echo()),
            None => {
                let echo = search.echo();
                (Err(search.give_up(Error::Io(std::io::ErrorKind::TimedOut.into()))), echo)
            }
        }
    }

    fn fault(request: &Request, chunks: &[&[u8]]) -> Fault {
        Fault::of(&outcome(request, Echo::No, chunks).0.unwrap_err())
    }

    #[test]
    fn no_single_byte_may_be_wrong() {
        let good = frame(64, &answer());
        for at in 0..good.len() {
            for value in 0..=u8::MAX {
                let mut bytes = good.clone();
                bytes[at] = value;
                let (outcome, _) = outcome(&READ, Echo::Unknown, &[&bytes]);
                assert_eq!(outcome.is_ok(), bytes == good, "byte {at} is {value:#x}");
            }
            let short = fault(&READ, &[&good[..at]]);
            assert_eq!(short, if at == 0 { Fault::Timeout } else { Fault::Short { bytes: at } });
        }
    }

    #[test]
    fn an_echo_is_learned_from_reads_and_believed_at_writes() {
        let (read, write) = (rtu::encode(64, &READ.encode()), rtu::encode(64, &WRITE.encode()));
        let reply = frame(64, &answer());
        let of_read = |chunks: &[&[u8]]| outcome(&READ, Echo::Unknown, chunks);
        assert_eq!(of_read(&[&reply]).1, Echo::No);
        assert_eq!(of_read(&[&read, &reply]).1, Echo::Yes);
        // In pieces: five of its bytes would be a whole frame by their length.
        let pieces: Vec<&[u8]> = read.chunks(1).chain(reply.chunks(2)).collect();
        assert!(matches!(of_read(&pieces), (Ok(_), Echo::Yes)));
        assert!(matches!(of_read(&[&read]), (Err(Error::Io(_)), Echo::Yes)));
        let written = |echo, chunks: &[&[u8]]| outcome(&WRITE, echo, chunks).0.is_ok();
        assert!(written(Echo::No, &[&write]) && written(Echo::Unknown, &[&write]) && !written(Echo::Yes, &[&write]));
        assert!(written(Echo::Yes, &[&write, &write]) && written(Echo::Unknown, &[&write, &write]));
        let refused = frame(64, &Reply::Exception { function: 6, code: 4 });
        assert!(!written(Echo::Unknown, &[&write, &refused]), "the exception is the reply, not the echo");
        // Who does not know yet waits for what comes behind.
        let mut search = ReplySearch::new(&WRITE, &write, Echo::Unknown, Duration::ZERO);
        search.take(&write);
        assert!(search.outcome(PAUSE).is_none());
        assert!(search.outcome(ECHO_DOUBT).is_some());
    }

    #[test]
    fn what_is_said_when_there_is_no_reply() {
        let other = frame(7, &answer());
        assert_eq!(fault(&READ, &[&other]), Fault::WrongUnit(7));
        assert_eq!(fault(&READ, &[&other, &[0, 0]]), Fault::WrongUnit(7));
        let smaller = frame(64, &Reply::HoldingRegisters { values: vec![1] });
        assert_eq!(fault(&READ, &[&other, &smaller]), Fault::Invalid("unexpected reply size".into()));
        let mut broken = frame(64, &answer());
        broken[3] ^= 4;
        assert_eq!(fault(&READ, &[&other, &broken]), Fault::Crc);
        // That was the reply, and there will be no other; of another length it was none.
        let sent = rtu::encode(64, &READ.encode());
        for (came, over) in [(broken, true), (vec![64, 3, 2, 0, 0, 0, 0], false)] {
            let mut search = ReplySearch::new(&READ, &sent, Echo::No, Duration::ZERO);
            search.take(&came);
            assert!(search.outcome(Duration::ZERO).is_none());
            assert_eq!(search.outcome(PAUSE).is_some(), over);
        }
        assert_eq!(fault(&READ, &[&[0; 600]]), Fault::Short { bytes: 600 });
        let exception = frame(64, &Reply::Exception { function: 3, code: 0x0b });
        assert_eq!(fault(&READ, &[&other, &exception]), Fault::Exception(0x0b));
        assert_eq!(fault(&READ, &[&other.repeat(SKIPPED_MAX + 1), &frame(64, &answer())]), Fault::of(&Error::InvalidResponse));
    }

    #[test]
    fn a_part_of_the_reply_that_looks_like_a_frame_does_not_cost_the_rest() {
        let request = Request::ReadHoldingRegisters { address: 0, count: 8 };
        let reply = Reply::HoldingRegisters { values: vec![0xffff, 0, 0, 0, 1, 2, 3, 4] };
        // An exception with a wrong CRC, for example.
        let bytes = [&[64, 0x83, 2, 0, 0], &frame(64, &reply)[..]].concat();
        for size in 1..=bytes.len() {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(outcome(&request, Echo::No, &chunks).0.ok(), Some(reply.clone()), "in pieces of {size}");
        }
    }

    #[test]
    fn noise_that_makes_a_frame_with_the_beginning_of_the_reply_does_not_cost_it() {
        // An exception of unit 255 whose last byte is the unit asked.
        let noise = [0xff, 0xff, 0x4e, 0x80];
        let request = Request::ReadCoils { address: 0, count: 273 };
        let (sent, reply) = (rtu::encode(0x34, &request.encode()), Reply::Coils { packed: vec![0; 35] });
        let frame = rtu::encode(0x34, &reply.encode());
        assert!(matches!(rtu::split_reply(&[&noise[..], &frame].concat()), Ok(Some((0xff, _, 5)))));
        // Behind the beginning of a frame that never ends, too.
        for before in [&[][..], &[6, 2, 0xfb]] {
            let mut search = ReplySearch::new(&request, &sent, Echo::No, Duration::ZERO);
            search.take(&[before, &noise, &frame].concat());
            let found = search.outcome(Duration::ZERO).or_else(|| search.outcome(PAUSE)).and_then(Result::ok);
            assert_eq!(found, Some(reply.clone()), "behind {before:?}");
        }
    }

    #[test]
    fn noise_that_makes_a_frame_of_the_unit_asked_with_the_beginning_of_the_reply_does_not_cost_it() {
        // A request and its CRC, with a 0 behind it: seen as a reply of four bytes, its CRC is right, too.
        let request = Request::ReadDiscreteInputs { address: 0x0400, count: 3 };
        let sent = rtu::encode(0, &request.encode());
        let (reply, noise) = (Reply::DiscreteInputs { packed: vec![0] }, [0, 2, 4, 0, 0, 3, 0x38, 0xea]);
        let bytes = [&noise[..], &rtu::encode(0, &reply.encode())].concat();
        assert!(matches!(rtu::split_reply(&bytes), Ok(Some((0, _, 9)))));
        let mut search = ReplySearch::new(&request, &sent, Echo::No, Duration::ZERO);
        search.take(&bytes);
        assert_eq!(search.outcome(Duration::ZERO).and_then(Result::ok), Some(reply));
    }

    /// Bytes cut into chunks of these lengths, and the rest.
    fn cut<'b>(mut bytes: &'b [u8], lengths: &[usize]) -> Vec<&'b [u8]> {
        let mut chunks = Vec::new();
        for length in lengths {
            let (chunk, rest) = bytes.split_at(*length.min(&bytes.len()));
            chunks.push(chunk);
            bytes = rest;
        }
        chunks.push(bytes);
        chunks
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever comes before it, and however it is cut: the reply is found when it has come whole.
        #[test]
        fn noise_does_not_hide_the_reply(noise in vec(any::<u8>(), 0..300), cuts in vec(1..40usize, 0..40)) {
            let bytes = [noise, frame(64, &answer())].concat();
            let (outcome, _) = outcome(&READ, Echo::Unknown, &cut(&bytes, &cuts));
            prop_assert_eq!(outcome.ok(), Some(answer()));
        }

        /// Noise alone is never a reply, whatever it looks like, and the search ends.
        #[test]
        fn noise_is_no_reply(head in 0..4usize, noise in vec(any::<u8>(), 0..700), cuts in vec(1..40usize, 0..40)) {
            // The beginning of the reply makes it harder.
            let bytes = [&frame(64, &answer())[..head], &noise].concat();
            let (outcome, _) = outcome(&READ, Echo::Unknown, &cut(&bytes, &cuts));
            prop_assert!(outcome.is_err());
        }
    }
}
