//! Telegrams of a simulated site, in virtual time.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::daemon::p1::source::ByteSource;
use crate::plant::site::Site;
use crate::plant::telegram::sent;
use crate::units::{Span, Time};

/// The P1 port of a site: a telegram at every interval, complete at once.
pub struct SiteTelegrams {
    site: Arc<Mutex<Site>>,
    interval: Span,
    next: Time,
}

impl SiteTelegrams {
    /// One that sends at every interval, at 0 first.
    pub fn new(site: Arc<Mutex<Site>>, interval: Span) -> SiteTelegrams {
        SiteTelegrams { site, interval: interval.max(Span::from_ms(100)), next: Time::ZERO }
    }
}

impl ByteSource for SiteTelegrams {
    fn name(&self) -> &str {
        "sim:p1"
    }

    fn ready_at(&self, now: Time) -> Time {
        self.next.max(now)
    }

    fn generation(&self) -> u64 {
        0
    }

    fn read(&mut self, buffer: &mut [u8], _patience: Duration) -> io::Result<usize> {
        let site = self.site.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Time::from_ms(site.now_ms());
        if now < self.next {
            return Ok(0);
        }
        while self.next <= now {
            self.next += self.interval;
        }
        let Some(bytes) = sent(&site)? else { return Ok(0) };
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        Ok(if site.meter_is_silent() { 0 } else { length })
    }
}
