//! The poll of a charger: one request after the other. What an older firmware does not have is left out for a while and does not spoil the
//! rest; which requests there are is in the profile.

use crate::daemon::clock::Clock;
use crate::daemon::endpoint::Endpoint;
use crate::device::decode::Registers;
use crate::device::plan::charger_requests;
use crate::device::profile::{Block, Profile};
use crate::link::fault::Fault;
use crate::units::{Span, Time};

/// Registers that did not exist are asked for again after this time.
const REFUSED_AGAIN: Span = Span::from_s(60);
/// Exceptions that say that registers do not exist: illegal function, illegal address.
const NO_SUCH: [u8; 2] = [1, 2];

/// What is asked for, and how far it has come.
pub(super) struct Asking {
    requests: Vec<Block>,
    /// Requests that it refused, and until when they are left out.
    refused: Vec<Option<Time>>,
    poll: Option<Poll>,
}

/// A poll that is under way.
struct Poll {
    registers: Registers,
    next: usize,
    refusal: Option<Fault>,
    answered: bool,
    begun: Time,
}

/// What a poll brought.
pub(super) struct Brought {
    /// The answers.
    pub registers: Registers,
    /// When it began: what was written later may not show in it.
    pub begun: Time,
}

impl Asking {
    pub(super) fn new(profile: &Profile) -> Asking {
        let requests = charger_requests(profile);
        Asking { refused: vec![None; requests.len()], requests, poll: None }
    }

    /// Whether a poll has begun and not ended.
    pub(super) fn is_under_way(&self) -> bool {
        self.poll.is_some()
    }

    /// It may have another firmware now.
    pub(super) fn forget(&mut self) {
        self.refused.fill(None);
    }

    /// A poll begins.
    pub(super) fn begin(&mut self, now: Time) {
        self.poll = Some(Poll { registers: Registers::default(), next: 0, refusal: None, answered: false, begun: now });
    }

    /// One request of the poll. `Some`: that was the last.
    pub(super) fn ask(&mut self, endpoint: &mut Endpoint, unit: u8, gap: Span, clock: &dyn Clock) -> Option<Result<Brought, Fault>> {
        let poll = self.poll.as_mut()?;
        let now = clock.now();
        let left_out = |until: &Option<Time>| until.is_some_and(|until| now < until);
        poll.next += self.refused.iter().skip(poll.next).take_while(|until| left_out(until)).count();
        if let (Some(block), Some(refused)) = (self.requests.get(poll.next), self.refused.get_mut(poll.next)) {
            match endpoint.read(unit, block, gap, clock) {
                Ok(values) => {
                    poll.registers.add(block, values);
                    poll.answered = true;
                    *refused = None;
                }
                Err(error) => match Fault::of(&error) {
                    Fault::Exception(code) if NO_SUCH.contains(&code) => {
                        *refused = Some(clock.now() + REFUSED_AGAIN);
                        poll.refusal = Some(Fault::Exception(code));
                    }
                    fault => {
                        self.poll = None;
                        return Some(Err(fault));
                    }
                },
            }
            poll.next += 1;
        }
        let more = self.refused.iter().skip(poll.next).any(|until| !left_out(until));
        if more {
            return None;
        }
        let poll = self.poll.take()?;
        if !poll.answered {
            // It refuses everything, not what it does not have.
            self.forget();
        }
        let nothing = || Fault::Invalid("it has none of its registers".into());
        Some(if poll.answered {
            Ok(Brought { registers: poll.registers, begun: poll.begun })
        } else {
            Err(poll.refusal.unwrap_or_else(nothing))
        })
    }
}
