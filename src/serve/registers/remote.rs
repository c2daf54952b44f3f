//! What another controller asks of the batteries, and for how long that counts: as long as its heartbeat changes.
//!
//! **Answers for** the states of a remote command. A value counts while the heartbeat has changed within the timeout; the same heartbeat
//! again is no sign of life, and the same value again changes nothing. Which of the two comes first does not matter. When the timeout is
//! over all values are forgotten, so that a controller that comes back finds nothing in force that it did not say anew.
//!
//! **Never** reads a clock, and knows no registers.

use crate::control::demand::Remote;
use crate::units::{Span, Time};

/// The states by their code.
pub const REMOTE_STATES: [&str; 4] = ["none", "active", "waiting for the heartbeat", "dropped"];

/// Where a remote command stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RemoteState {
    /// Nothing is asked for.
    None,
    /// This counts.
    Active(Remote),
    /// This is asked for, since then, but the heartbeat does not change.
    Waiting(Remote, Time),
    /// What was asked for is forgotten, because the heartbeat did not change any more. Until something is asked for again.
    Dropped,
}

impl RemoteState {
    /// The number of register 2005.
    pub fn code(self) -> i64 {
        match self {
            RemoteState::None => 0,
            RemoteState::Active(_) => 1,
            RemoteState::Waiting(..) => 2,
            RemoteState::Dropped => 3,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        usize::try_from(self.code()).ok().and_then(|code| REMOTE_STATES.get(code)).copied().unwrap_or_default()
    }
}

/// The remote command of a site.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RemoteCommand {
    timeout: Span,
    state: RemoteState,
    heartbeat: u16,
    /// When the heartbeat changed; `None`: not within the timeout.
    changed: Option<Time>,
}

impl RemoteCommand {
    /// Nothing was asked for so far; the heartbeat stands at 0.
    pub fn new(timeout: Span) -> RemoteCommand {
        RemoteCommand { timeout, state: RemoteState::None, heartbeat: 0, changed: None }
    }

    /// Takes what one request writes: all values as they are to be from now on, the heartbeat, or both.
    pub fn write(&mut self, values: Option<Remote>, heartbeat: Option<u16>, now: Time) {
        self.look(now);
        if let Some(heartbeat) = heartbeat.filter(|h| *h != self.heartbeat) {
            self.heartbeat = heartbeat;
            self.changed = Some(now);
        }
        let asked = values.unwrap_or(self.values());
        self.state = match self.state {
            RemoteState::Dropped if values.is_none() => RemoteState::Dropped,
            _ if asked == Remote::default() => RemoteState::None,
            _ if self.changed.is_some() => RemoteState::Active(asked),
            RemoteState::Waiting(_, since) => RemoteState::Waiting(asked, since),
            _ => RemoteState::Waiting(asked, now),
        };
    }

    /// Forgets what no longer counts at `now`.
    pub fn look(&mut self, now: Time) {
        let over = |since: Time| now.since(since) >= self.timeout;
        let dead = self.changed.is_some_and(over);
        if dead {
            self.changed = None;
        }
        match self.state {
            RemoteState::Active(_) if dead => self.state = RemoteState::Dropped,
            RemoteState::Waiting(_, since) if over(since) => self.state = RemoteState::Dropped,
            _ => {}
        }
    }

    /// What counts, as of the last look.
    pub fn in_force(&self) -> Remote {
        if let RemoteState::Active(values) = self.state { values } else { Remote::default() }
    }

    /// What is asked for, whether it counts or not.
    pub fn values(&self) -> Remote {
        match self.state {
            RemoteState::Active(values) | RemoteState::Waiting(values, _) => values,
            RemoteState::None | RemoteState::Dropped => Remote::default(),
        }
    }

    /// Where it stands, as of the last look.
    pub fn state(&self) -> RemoteState {
        self.state
    }

    /// The newest heartbeat.
    pub fn heartbeat(&self) -> u16 {
        self.heartbeat
    }

    /// How long ago the heartbeat has changed, where that is within the timeout.
    pub fn heartbeat_age(&self, now: Time) -> Option<Span> {
        self.changed.map(|at| now.since(at))
    }

    /// How long a heartbeat is a sign of life.
    pub fn timeout(&self) -> Span {
        self.timeout
    }
}
