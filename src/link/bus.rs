//! One open serial port as a bus: requests out, replies in, and the silence between them that tells the devices where a frame begins.
//!
//! Never opens anything and never decides what happens next; that is the link's part. A bus that was said to be gone is dropped by the
//! link.

use std::io;
use std::time::{Duration, Instant};

use ::modbus::Error;

use super::connection::NoReply;
use super::deadline::{Deadline, Hurry};
use super::exchange::same_answer;
use super::line::Line;
use super::reply_search::{Echo, ReplySearch};
use crate::modbus::pdu::{Reply, Request};
use crate::modbus::rtu;

/// How often someone who waits for an answer looks at the time and whether there is a hurry.
const SLICE: Duration = Duration::from_millis(50);

/// A line that is never silent is used all the same after this long.
const NEVER_SILENT: Duration = Duration::from_millis(250);

/// The longest that a request waits for the late answer to another one that looks like its own.
const LATE: Duration = Duration::from_millis(500);

/// An open port.
#[derive(Debug)]
pub(super) struct Bus {
    line: Line,
    echo: Echo,
    /// A request that nobody has answered in time.
    unanswered: Option<Unanswered>,
    hurry: Hurry,
}

#[derive(Debug)]
struct Unanswered {
    unit: u8,
    request: Request,
    until: Instant,
}

impl Bus {
    pub(super) fn new(line: Line, hurry: Hurry) -> Bus {
        Bus { line, echo: Echo::default(), unanswered: None, hurry }
    }

    /// Before a request: waits for silence and discards what came meanwhile. An error means that the port is gone.
    pub(super) fn settle(&mut self, unit: u8, request: &Request) -> io::Result<()> {
        let begun = Instant::now();
        let may_be_late = |u: &&Unanswered| u.unit == unit && u.request != *request && same_answer(&u.request, request);
        let until = self.unanswered.as_ref().filter(may_be_late).map_or(begun, |unanswered| unanswered.until);
        // What is still going out is no noise.
        let enough = begun.max(self.line.last_byte()).max(until) + NEVER_SILENT;
        let mut chunk = [0; 512];
        loop {
            let silent_at = self.line.silent_at();
            let ready_at = if self.hurry.is_called() { silent_at } else { silent_at.max(until) };
            let wait = ready_at.saturating_duration_since(Instant::now());
            match self.line.read(&mut chunk, wait.min(SLICE)) {
                Ok(0) if wait.is_zero() => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= enough {
                log::debug!("the line is never silent");
                return self.line.discard();
            }
        }
    }

    /// Sends `request` and waits for its reply. `hurried`: someone was in a hurry already when it was asked for, so it may take its time.
    pub(super) fn exchange(&mut self, unit: u8, request: &Request, deadline: Deadline, hurried: bool) -> Result<Reply, NoReply> {
        if !hurried && self.hurry.is_called() {
            return Err(NoReply { error: deadline.passed().into(), usable: true });
        }
        let sent = rtu::encode(unit, &request.encode());
        self.line.send(&sent, deadline).map_err(gone)?;
        let outcome = self.receive(request, &sent, deadline, hurried)?;
        outcome.map_err(|error| NoReply { error, usable: true })
    }

    /// The reply, or why there is none although the port works; `Err`: the port is gone.
    fn receive(&mut self, request: &Request, sent: &[u8], deadline: Deadline, hurried: bool) -> Result<::modbus::Result<Reply>, NoReply> {
        let mut search = ReplySearch::new(request, sent, self.echo, self.line.pace().character);
        let mut chunk = [0; 512];
        let outcome = loop {
            let quiet = self.line.quiet();
            if let Some(outcome) = search.outcome(quiet) {
                break outcome;
            }
            let left = deadline.left().filter(|_| hurried || !self.hurry.is_called());
            let Some(left) = left else {
                self.echo = search.echo();
                let unit = sent.first().copied().unwrap_or_default();
                self.unanswered = Some(Unanswered { unit, request: request.clone(), until: Instant::now() + deadline.whole().min(LATE) });
                return Ok(Err(search.give_up(deadline.passed().into())));
            };
            match self.line.read(&mut chunk, left.min(SLICE)) {
                Ok(length) => search.take(chunk.get(..length).unwrap_or_default()),
                Err(error) => return Err(gone(error)),
            }
        };
        self.echo = search.echo();
        Ok(outcome)
    }
}

fn gone(error: io::Error) -> NoReply {
    NoReply { error: Error::Io(error), usable: false }
}
