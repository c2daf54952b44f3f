//! The point in time at which a request has failed. Shared by everything a request does, so that no part of it can start anew.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The longest time a request may take, whatever was asked for.
const LONGEST: Duration = Duration::from_secs(3600);

/// Calls off the waiting of requests that are under way, once: the process stops, and there is something more important to send.
#[derive(Clone, Debug, Default)]
pub struct Hurry(Arc<AtomicBool>);

impl Hurry {
    /// Requests under way fail within a fifth of a second; later ones have their whole time.
    pub fn call(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was called.
    pub fn is_called(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// When a request has failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    /// `timeout` from now; at least 1 ms, at most an hour.
    pub fn after(timeout: Duration) -> Deadline {
        let timeout = timeout.clamp(Duration::from_millis(1), LONGEST);
        Deadline { at: Instant::now() + timeout, timeout }
    }

    /// The point in time itself.
    pub fn at(self) -> Instant {
        self.at
    }

    /// The whole time there was.
    pub fn whole(self) -> Duration {
        self.timeout
    }

    /// What is left, never zero (the standard library takes zero for "for ever"); `None` when nothing is.
    pub fn left(self) -> Option<Duration> {
        self.at.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// What to report when it has passed.
    pub fn passed(self) -> io::Error {
        io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} ms", self.timeout.as_millis()))
    }
}
