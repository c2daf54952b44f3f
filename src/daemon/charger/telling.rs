//! What a charger is to be told, and when: its limit, its communication timeout, its fallback limit. Pure: time and outcomes come in, writes
//! come out.
//!
//! A write whose outcome is unknown is never sent again as such: what stands is unknown then, and the newest limit goes in the next cycle. A
//! charger that does not answer is tried more and more rarely, for its bus may belong to others too.

use std::fmt;

use super::amperes;
use crate::device::charger::{ChargerParts, ChargerValues};
use crate::device::profile::{Profile, RawWrite};
use crate::units::{Span, Time};

/// A limit is not raised sooner after the last write: the car takes about 2 s to follow (facts/p1-load-balancer.md 2.3).
const RAISE: Span = Span::from_s(2);
/// After a write that was not acknowledged the next one goes after 1, 2, 4 … s, at most this.
const LONGEST_RETRY: Span = Span::from_s(10);
/// A setting that is refused, or acknowledged and not kept, is tried again after this time.
const SETTING_AGAIN: Span = Span::from_s(300);
/// A charger keeps to a new limit after this time at the latest.
const SETTLED: Span = Span::from_s(5);
/// A car may draw so much more than it is allowed, mA: both measure, and not exactly.
const TOLERATED_MA: u32 = 1_000;
/// After so many requests in a row without an answer it may have restarted.
const SILENT_MOST: u32 = 2;
/// Comparisons in a row that find another limit than ours, or more current, are worth a word.
const STRAYS_MOST: u32 = 3;

/// One write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Job {
    what: What,
    write: RawWrite,
    /// What it amounts to: mA, or s for the timeout.
    amount: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Limit,
    Timeout,
    Fallback,
}

/// What came of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    /// It stands.
    Acknowledged,
    /// It does not stand, and would not the next time: there is no such register, or it does not take that value.
    Refused,
    /// It does not stand, but may be taken later: the charger is busy or has a failure.
    NotNow,
    /// It may stand.
    Unknown,
}

/// What the charger was told.
pub(super) struct Telling {
    parts: Option<ChargerParts>,
    /// The limit that stands; `None`: unknown.
    stands: Option<Standing>,
    /// Whether it was ever told a limit, or may have been.
    begun: bool,
    /// Not before this time.
    not_before: Time,
    /// Requests in a row without an answer, and writes in a row that were not acknowledged.
    silent: u32,
    failed: u32,
    /// Comparisons in a row that found another limit, and such that found more current than it allows.
    strays: u32,
    excesses: u32,
    settings: [Setting; 2],
}

/// A limit that was acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Standing {
    limit_ma: u32,
    /// When it was written first, and last.
    since: Time,
    refreshed: Time,
}

/// The timeout or the fallback limit: written at the start, and when it turns out to be another one.
struct Setting {
    /// `None`: it has no such setting.
    job: Option<Job>,
    state: Kept,
    /// It was refused when it was written last.
    refused: bool,
    /// It can be read back.
    is_read: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kept {
    /// To be written.
    Due,
    /// Written then.
    Written(Time),
    /// Written, and found there since.
    Confirmed,
    /// To be written, but not before this time.
    Later(Time),
}

impl Job {
    /// What is sent.
    pub(super) fn write(&self) -> RawWrite {
        self.write
    }

    /// Whether it is the limit.
    pub(super) fn is_limit(&self) -> bool {
        self.what == What::Limit
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Limit => write!(f, "limit {}", amperes(self.amount)),
            What::Timeout => write!(f, "communication timeout {} s", self.amount),
            What::Fallback => write!(f, "fallback limit {}", amperes(self.amount)),
        }
    }
}

impl Telling {
    pub(super) fn new(profile: &Profile, fallback_ma: u32) -> Telling {
        let parts = profile.charger.clone();
        let timeout = parts.as_ref().and_then(|p| p.timeout.as_ref().zip(p.timeout()));
        let timeout = timeout.map(|(fixed, span)| Job {
            what: What::Timeout,
            write: fixed.write,
            amount: u32::try_from(span.as_ms() / 1000).unwrap_or(u32::MAX),
        });
        let fallback = parts.as_ref().and_then(|p| p.fallback_write(fallback_ma));
        let fallback = fallback.map(|(write, amount)| Job { what: What::Fallback, write, amount });
        Telling {
            parts,
            stands: None,
            begun: false,
            not_before: Time::ZERO,
            silent: 0,
            failed: 0,
            strays: 0,
            excesses: 0,
            settings: [timeout, fallback].map(|job| Setting { job, state: Kept::Due, refused: false, is_read: false }),
        }
    }

    /// The write of this limit.
    pub(super) fn limit(&self, limit_ma: u32) -> Option<Job> {
        let (write, amount) = self.parts.as_ref()?.limit_write(limit_ma)?;
        Some(Job { what: What::Limit, write, amount })
    }

    /// Whether it was ever told a limit, or may have been.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The next write, and when: the limit goes first.
    pub(super) fn next(&self, wanted_ma: u32, now: Time) -> Option<(Time, Job)> {
        let limit = self.limit(wanted_ma).map(|job| (self.limit_at(job.amount, now).max(self.not_before), job));
        let settings = self.settings.iter().filter_map(|setting| Some((setting.due()?.max(self.not_before), setting.job?)));
        // Of several that are due at the same time the first one goes.
        limit.into_iter().chain(settings).map(|(at, job)| (at.max(now), job)).min_by_key(|(at, _)| *at)
    }

    fn limit_at(&self, wanted_ma: u32, now: Time) -> Time {
        let refresh = self.parts.as_ref().map_or(LONGEST_RETRY, |parts| parts.refresh);
        match self.stands {
            Some(stands) if wanted_ma == stands.limit_ma => stands.refreshed + refresh,
            Some(stands) if wanted_ma > stands.limit_ma => stands.refreshed + RAISE,
            _ => now,
        }
    }

    /// A write is over. True when it is a setting that is refused now and was not before.
    pub(super) fn done(&mut self, job: Job, outcome: Outcome, now: Time) -> bool {
        self.begun |= job.is_limit();
        // A setting that is not taken is no reason to wait with the limit.
        let is_answered = matches!(outcome, Outcome::Acknowledged | Outcome::Refused | Outcome::NotNow);
        if outcome == Outcome::Acknowledged || is_answered && !job.is_limit() {
            (self.failed, self.not_before) = (0, Time::ZERO);
        } else {
            let wait = Span::from_s(1 << self.failed.min(8)).min(LONGEST_RETRY);
            (self.failed, self.not_before) = (self.failed.saturating_add(1), now + wait);
        }
        if job.is_limit() {
            let since = self.stands.filter(|stands| stands.limit_ma == job.amount).map_or(now, |stands| stands.since);
            let stands = Standing { limit_ma: job.amount, since, refreshed: now };
            self.stands = (outcome == Outcome::Acknowledged).then_some(stands);
        }
        let mut is_news = false;
        for setting in self.settings.iter_mut().filter(|setting| setting.job == Some(job)) {
            is_news |= setting.done(outcome, now);
        }
        is_news
    }

    /// It has answered. True when it had been silent for so long that it may have restarted.
    pub(super) fn heard(&mut self) -> bool {
        let is_back = self.silent >= SILENT_MOST;
        if is_back {
            self.forget();
        }
        self.silent = 0;
        is_back
    }

    /// It has not answered.
    pub(super) fn silent(&mut self) {
        self.silent = self.silent.saturating_add(1);
    }

    /// It may have restarted: what it was told is unknown.
    pub(super) fn forget(&mut self) {
        (self.stands, self.failed, self.not_before) = (None, 0, Time::ZERO);
        for setting in &mut self.settings {
            setting.doubt();
        }
    }

    /// Compares what a poll that began then found with what was written before.
    pub(super) fn compare(&mut self, values: &ChargerValues, begun: Time, now: Time) {
        let timeout = values.timeout_s.and_then(|seconds| u32::try_from(seconds).ok());
        for (setting, found) in self.settings.iter_mut().zip([timeout, values.fallback_ma]) {
            setting.compare(found, begun, now);
        }
        let Some(Standing { limit_ma: stands_ma, since, .. }) = self.stands else { return };
        if begun >= since + SETTLED {
            let drawn_ma = values.current_ma.iter().flatten().max().copied().unwrap_or(0);
            self.excesses = if drawn_ma > stands_ma.saturating_add(TOLERATED_MA) { self.excesses.saturating_add(1) } else { 0 };
        }
        let strays = match (values.written_ma, values.limit_ma) {
            (Some(written_ma), _) if begun >= since => written_ma != stands_ma,
            // It may have reasons of its own to keep to less.
            (None, Some(limit_ma)) if begun >= since + SETTLED => limit_ma > stands_ma,
            _ => return,
        };
        self.strays = if strays { self.strays.saturating_add(1) } else { 0 };
        if strays {
            self.stands = None;
        }
        if self.strays == 1 {
            self.settings.iter_mut().for_each(Setting::doubt);
        }
    }

    /// What someone should know.
    pub(super) fn complaint(&self) -> Option<String> {
        // Whatever it says of its limit.
        (self.strays.max(self.excesses) >= STRAYS_MOST).then(|| "it does not keep the limit that it is told".into())
    }
}

impl Setting {
    fn due(&self) -> Option<Time> {
        match self.state {
            Kept::Due => Some(Time::ZERO),
            Kept::Later(at) => Some(at),
            Kept::Written(_) | Kept::Confirmed => None,
        }
    }

    /// It was written. True when it is refused now and was not before.
    fn done(&mut self, outcome: Outcome, now: Time) -> bool {
        let was_refused = self.refused;
        (self.state, self.refused) = match outcome {
            Outcome::Acknowledged => (Kept::Written(now), false),
            Outcome::Refused => (Kept::Later(now + SETTING_AGAIN), true),
            Outcome::NotNow => (Kept::Later(now + LONGEST_RETRY), was_refused),
            Outcome::Unknown => (Kept::Due, was_refused),
        };
        self.refused && !was_refused
    }

    /// It is written again, unless it can be read back: then the next poll tells.
    fn doubt(&mut self) {
        if !self.is_read && !matches!(self.state, Kept::Later(_)) {
            self.state = Kept::Due;
        }
    }

    fn compare(&mut self, found: Option<u32>, begun: Time, now: Time) {
        self.is_read = found.is_some();
        let (Some(found), Some(job)) = (found, self.job) else { return };
        match self.state {
            Kept::Written(at) if begun < at => {}
            Kept::Written(_) | Kept::Due | Kept::Confirmed if found == job.amount => self.state = Kept::Confirmed,
            Kept::Confirmed => self.state = Kept::Due,
            // It does not keep what it acknowledges.
            Kept::Written(_) => self.state = Kept::Later(now + SETTING_AGAIN),
            Kept::Due | Kept::Later(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::library::Library;

    #[test]
    fn a_refused_setting_is_news_once() {
        let profile = Library::built_in().unwrap().profile("abb-terra-ac").unwrap().with_settings(&Vec::new());
        let mut telling = Telling::new(&profile, 7_000);
        let [timeout, fallback] = [0, 1].map(|k| telling.settings[k].job.unwrap());
        let mut done = |job, outcome, at_s| telling.done(job, outcome, Time::ZERO + Span::from_s(at_s));
        assert!(!done(fallback, Outcome::NotNow, 0) && done(fallback, Outcome::Refused, 10) && done(timeout, Outcome::Refused, 11));
        assert!(!done(fallback, Outcome::Refused, 310) && !done(fallback, Outcome::Unknown, 610) && !done(fallback, Outcome::Refused, 612));
        assert!(!done(fallback, Outcome::Acknowledged, 912) && done(fallback, Outcome::Refused, 1000));
    }
}
