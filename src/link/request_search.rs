//! Finds requests in what a server hears on a serial bus: behind noise, the echo of its own replies, and the replies of other devices.
//!
//! Sans-IO: bytes and the time for which nothing came go in, requests to whatever unit come out. Never takes a frame for a request whose
//! CRC is wrong.

use std::time::Duration;

use super::reply_search::Echo;
use crate::modbus::rtu::{self, FRAME_MAX, FrameError};

/// Nothing for this long ends a frame whose length is not known, and what began but was none. USB adapters hold bytes back for 16 ms.
pub const PAUSE: Duration = Duration::from_millis(50);

/// The search.
#[derive(Debug)]
pub struct RequestSearch {
    buffer: Vec<u8>,
    /// [`PAUSE`], or more where characters take their time.
    pause: Duration,
    /// Unit and function of the last request: its reply, if another device sends it, is no request.
    expected: Option<(u8, u8)>,
    /// Our newest reply, as long as its echo may come.
    sent: Option<Vec<u8>>,
    echo: Echo,
}

impl RequestSearch {
    /// At so much time per character.
    pub fn new(character: Duration) -> RequestSearch {
        let pause = PAUSE.max(character * 4);
        RequestSearch { buffer: Vec::with_capacity(4 * FRAME_MAX), pause, expected: None, sent: None, echo: Echo::default() }
    }

    /// How many bytes wait for what comes behind them: after a look for the next request no more than the longest frame has.
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// These bytes came.
    pub fn take(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// This reply was sent.
    pub fn sent(&mut self, reply: &[u8]) {
        self.expected = None;
        self.sent = Some(reply.to_vec());
    }

    /// After this long without a byte there may be something new; `None`: not without one.
    pub fn pause(&self) -> Option<Duration> {
        (!self.buffer.is_empty() || self.sent.is_some()).then_some(self.pause)
    }

    /// Unit and PDU of the next request, when nothing has come for `quiet`. A function whose length is not known may come, too.
    pub fn next(&mut self, quiet: Duration) -> Option<(u8, Vec<u8>)> {
        let over = quiet >= self.pause;
        if over && self.buffer.is_empty() {
            self.no_echo();
        }
        // Every round drops a byte or ends.
        while !self.buffer.is_empty() {
            match self.echo_first(over) {
                Some(true) => continue,
                Some(false) => return None,
                None => {}
            }
            let head = rtu::split_request(&self.buffer);
            if let Ok(Some((unit, pdu, length))) = head {
                self.buffer.drain(..length);
                return self.request(unit, pdu);
            }
            if self.drop_reply() {
                continue;
            }
            if over {
                if let Ok((unit, pdu)) = rtu::whole(&self.buffer) {
                    self.buffer.clear();
                    return self.request(unit, pdu);
                }
            } else if head.is_ok() || self.begins_with_reply() {
                return None;
            }
            let unknown = matches!(head, Err(FrameError::Unknown(_))) && self.buffer.len() <= FRAME_MAX;
            match rtu::resync_request(&self.buffer) {
                at if matches!(rtu::split_request(self.buffer.get(at..).unwrap_or_default()), Ok(Some(_))) => drop(self.buffer.drain(..at)),
                // Silence ends what may have begun.
                _ if over => self.buffer.clear(),
                // Silence will show whether all of it is one frame.
                _ if unknown => return None,
                at => drop(self.buffer.drain(..at.clamp(1, self.buffer.len()))),
            }
        }
        None
    }

    fn request(&mut self, unit: u8, pdu: Vec<u8>) -> Option<(u8, Vec<u8>)> {
        self.expected = pdu.first().map(|function| (unit, *function));
        Some((unit, pdu))
    }

    /// Drops the reply to the last request, if that is what the buffer begins with.
    fn drop_reply(&mut self) -> bool {
        let Ok(Some((unit, pdu, length))) = rtu::split_reply(&self.buffer) else { return false };
        let is_reply = self.expected.is_some_and(|expected| pdu.first().is_some_and(|function| (unit, function & 0x7f) == expected));
        if is_reply {
            self.buffer.drain(..length);
            self.expected = None;
        }
        is_reply
    }

    /// Whether the reply to the last request may have begun, and goes on.
    fn begins_with_reply(&self) -> bool {
        let head = self.buffer.first().copied().zip(self.buffer.get(1).map(|function| function & 0x7f));
        head.is_some() && head == self.expected && matches!(rtu::split_reply(&self.buffer), Ok(None))
    }

    /// Looks for the echo of our reply at the beginning: `Some(true)` when it was dropped, `Some(false)` when more bytes are needed to tell.
    fn echo_first(&mut self, over: bool) -> Option<bool> {
        let sent = self.sent.as_ref()?;
        if !self.buffer.starts_with(sent) {
            if sent.starts_with(&self.buffer) && !over {
                return Some(false);
            }
            self.no_echo();
            return None;
        }
        let length = sent.len();
        if is_request(sent) {
            // The writes of one register or coil, which are answered by their own bytes: the client may have written the same again at once.
            if self.echo == Echo::No {
                self.sent = None;
                return None;
            }
        } else {
            self.echo = Echo::Yes;
        }
        self.buffer.drain(..length);
        self.sent = None;
        Some(true)
    }

    /// Something else came than the echo of our reply, or nothing. An adapter that has handed one back once does it always.
    fn no_echo(&mut self) {
        if self.sent.take().is_some_and(|sent| !is_request(&sent)) && self.echo == Echo::Unknown {
            self.echo = Echo::No;
        }
    }
}

fn is_request(frame: &[u8]) -> bool {
    matches!(rtu::split_request(frame), Ok(Some((_, _, length))) if length == frame.len())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{ProptestConfig, any, prop_assert, prop_assert_eq, proptest};

    use super::*;

    const NOTHING: Duration = Duration::ZERO;

    fn frame(text: &str) -> Vec<u8> {
        let bytes: Vec<u8> = text.split(' ').map(|byte| u8::from_str_radix(byte, 16).expect("a byte")).collect();
        rtu::encode(bytes[0], &bytes[1..])
    }

    fn search() -> RequestSearch {
        RequestSearch::new(NOTHING)
    }

    /// Units and PDUs that are found after this silence.
    fn all(search: &mut RequestSearch, quiet: Duration) -> Vec<Vec<u8>> {
        std::iter::from_fn(|| search.next(quiet).map(|(unit, pdu)| [&[unit], &pdu[..]].concat())).collect()
    }

    /// What is found in these bytes without a pause, and what then with one.
    fn found(search: &mut RequestSearch, bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        search.take(bytes);
        (all(search, NOTHING), all(search, PAUSE))
    }

    #[test]
    fn replies_of_others_are_no_requests_and_hide_none() {
        let ask = frame("05 03 00 64 00 02");
        let ours = frame("0a 03 03 e8 00 01");
        // Replies that look like the beginning of a long request, too; every one of them with our request right behind it.
        for reply in ["05 03 04 0a 03 03 e8", "05 83 02", "05 03 04 0a 10 03 e8", "05 03 08 0a 03 03 e8 00 01 05 01"] {
            let bytes = [&ask[..], &frame(reply), &ours].concat();
            let expected = vec![ask[..6].to_vec(), ours[..6].to_vec()];
            assert_eq!(found(&mut search(), &bytes), (expected.clone(), vec![]), "{reply}");
            let mut bytewise = search();
            let mut one_by_one = Vec::new();
            for byte in &bytes {
                bytewise.take(&[*byte]);
                one_by_one.extend(all(&mut bytewise, NOTHING));
            }
            assert_eq!(one_by_one, expected, "{reply}, byte by byte");
        }
        let (write, written) = (frame("05 10 00 01 00 01 02 00 07"), frame("05 10 00 01 00 01"));
        assert_eq!(found(&mut search(), &[write, written, ours].concat()).0.len(), 2, "not three");
    }

    #[test]
    fn silence_ends_what_has_no_known_length_and_what_is_cut() {
        for text in ["0a 07", "0a 08 00 00 12 34", "0a 64 01 02 03", "0a 2b 0d 01"] {
            let bytes = frame(text);
            assert_eq!(found(&mut search(), &bytes), (vec![], vec![bytes[..bytes.len() - 2].to_vec()]), "{text}");
        }
        let ours = frame("0a 03 03 e8 00 01");
        for cut in 1..ours.len() {
            let mut search = search();
            assert_eq!(found(&mut search, &ours[..cut]), (vec![], vec![]));
            assert_eq!(found(&mut search, &ours), (vec![ours[..6].to_vec()], vec![]), "{cut} bytes of it before");
        }
        // A byte count that promises more: the client learns that it is wrong.
        let long = frame("0a 10 03 e8 00 01 04 27 10");
        assert_eq!(found(&mut search(), &long), (vec![], vec![long[..9].to_vec()]));
    }

    #[test]
    fn no_byte_may_be_wrong() {
        let good = frame("0a 10 03 e8 00 01 02 27 10");
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                assert_eq!(found(&mut search(), &bytes), (vec![], vec![]), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn our_own_replies_coming_back_are_no_requests() {
        let (read, data) = (frame("0a 03 03 e8 00 01"), frame("0a 03 02 3e 80"));
        let write = frame("0a 06 03 e8 27 10");
        let is_one = |found: (Vec<Vec<u8>>, Vec<Vec<u8>>), frame: &[u8]| found == (vec![frame[..frame.len() - 2].to_vec()], vec![]);
        let is_none = |found: (Vec<Vec<u8>>, Vec<Vec<u8>>)| found == (vec![], vec![]);
        // An adapter that hands back what is sent: from the first reply on, and after a write too.
        let mut echoing = search();
        for _ in 0..2 {
            assert!(is_one(found(&mut echoing, &write), &write));
            echoing.sent(&write);
            assert!(is_none(found(&mut echoing, &write)));
            assert!(is_one(found(&mut echoing, &read), &read));
            echoing.sent(&data);
            assert!(is_one(found(&mut echoing, &[&data[..], &write].concat()), &write));
            echoing.sent(&write);
            assert!(is_none(found(&mut echoing, &write)));
        }
        // One that does not: the same write again is a new one, once a read has shown it.
        let mut silent = search();
        assert!(is_one(found(&mut silent, &read), &read));
        silent.sent(&data);
        for _ in 0..3 {
            assert!(is_one(found(&mut silent, &write), &write));
            silent.sent(&write);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Whatever came before it, and however it is cut: a request is found, at the latest when its client waits in silence. (One
        /// piece of noise in 65,536 has a right CRC, and may take the beginning of the request with it: not with this seed.)
        #[test]
        fn noise_does_not_hide_a_request(noise in vec(any::<u8>(), 0..600), cuts in vec(1..40usize, 0..60)) {
            let ours = frame("0a 03 03 e8 00 01");
            let bytes = [&noise[..], &ours].concat();
            let (mut search, mut rest, mut found) = (search(), &bytes[..], Vec::new());
            for cut in cuts.into_iter().chain([usize::MAX]) {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                search.take(chunk);
                found.extend(std::iter::from_fn(|| search.next(NOTHING)));
                prop_assert!(search.buffer.len() <= 3 * FRAME_MAX);
                rest = after;
            }
            found.extend(std::iter::from_fn(|| search.next(PAUSE)));
            prop_assert_eq!(found.last(), Some(&(10, ours[1..6].to_vec())));
            prop_assert!(search.buffer.is_empty());
        }
    }
}
