//! The gateway: requests of clients of our server, passed on to devices on one of our links, and their replies back.
//!
//! **Answers for** fairness: however many clients ask, the tasks that own devices on the link wait for one request of the gateway at a time,
//! and the gap that a device needs is kept towards it too.
//!
//! **Never** changes a request, never sends one twice, and never looks into what a device answers.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded};

use super::clock::{Clock, Monotonic};
use super::endpoint::SharedEndpoint;
use crate::link::deadline::Hurry;
use crate::link::fault::Fault;
use crate::modbus::pdu::{DecodeError, Reply, Request};
use crate::serve::answers::{Answered, BUSY, NO_PATH, NO_TARGET, exception};
use crate::units::Span;

/// The longest that a client waits for its turn, and then for the gap that the device needs.
const TURN: Span = Span::from_s(2);

/// The way to the units behind one link.
#[derive(Clone)]
pub struct Gateway {
    units: Arc<[u8]>,
    endpoint: SharedEndpoint,
    clock: Monotonic,
    hurry: Hurry,
    /// Whoever has put something in here has the turn.
    turn: (Sender<()>, Receiver<()>),
}

impl Gateway {
    /// To these units on this endpoint, until there is a hurry.
    pub fn new(units: &[u8], endpoint: SharedEndpoint, clock: Monotonic, hurry: Hurry) -> Gateway {
        Gateway { units: units.into(), endpoint, clock, hurry, turn: bounded(1) }
    }

    /// Whether this unit is behind it.
    pub fn has(&self, unit: u8) -> bool {
        self.units.contains(&unit)
    }

    /// Passes the PDU of a request on.
    pub fn pass(&self, unit: u8, pdu: &[u8], writable: bool) -> Answered {
        let request = match passable(pdu, writable) {
            Ok(request) => request,
            Err(code) => return Answered::Reply(exception(pdu, code)),
        };
        // At the stop the link is needed for handing the batteries back.
        if self.hurry.is_called() {
            return Answered::Nobody(NO_PATH);
        }
        let (take, give_back) = &self.turn;
        if take.send_timeout((), TURN.to_duration()).is_err() {
            return Answered::Nobody(BUSY);
        }
        let answered = self.ask(unit, &request);
        let _ = give_back.try_recv();
        answered
    }

    fn ask(&self, unit: u8, request: &Request) -> Answered {
        let until = self.clock.now() + TURN;
        loop {
            let mut endpoint = self.endpoint.lock();
            let now = self.clock.now();
            let ready = endpoint.ready_to_pass_at(unit, now);
            if ready <= now {
                return answered(request, endpoint.pass(unit, request, &self.clock));
            }
            drop(endpoint);
            if ready > until {
                return Answered::Nobody(BUSY);
            }
            self.clock.sleep(ready.since(now));
        }
    }
}

/// Reads and writes of coils and registers, which every device knows: functions 1 to 6, 15 and 16. Else the code of the exception.
fn passable(pdu: &[u8], writable: bool) -> Result<Request, u8> {
    let request = Request::decode(pdu).map_err(|error: DecodeError| error.exception_code())?;
    match request.function() {
        1..=4 => Ok(request),
        5 | 6 | 15 | 16 if writable => Ok(request),
        function => Err(DecodeError::UnknownFunction(function).exception_code()),
    }
}

fn answered(request: &Request, outcome: ::modbus::Result<Reply>) -> Answered {
    match outcome.map_err(|error| Fault::of(&error)) {
        Ok(reply) => Answered::Reply(reply),
        Err(Fault::Exception(code)) => Answered::Reply(Reply::Exception { function: request.function(), code }),
        Err(Fault::Io(_)) => Answered::Nobody(NO_PATH),
        Err(_) => Answered::Nobody(NO_TARGET),
    }
}
