//! The stages of a commissioning, and what each waits for.

use std::fmt;

use super::finding::conclude;
use super::guard;
use super::machine::Commission;
use super::subject::Subject;
use crate::units::{Span, Time};

/// Data must be good within this time.
const DATA_WITHIN: Span = Span::from_s(45);
/// What is missing is said this often.
const SAID_EVERY: Span = Span::from_s(5);
/// Data is good when it is no older than this, and there is as much of the meter's.
const GOOD_AGE: Span = Span::from_ms(2500);
const GOOD_SAMPLES: u32 = 3;
/// A leg takes no longer than this after its setpoint was sent.
pub(super) const LEG: Span = Span::from_s(20);
/// A setpoint must be sent within this time.
pub(super) const SENT_WITHIN: Span = Span::from_s(15);
/// A battery at 0 W does no more than this, W.
const REST_W: i64 = 100;
/// A reading this long after the setpoint says something about it.
const ANSWERS: Span = Span::from_ms(800);
/// The meter gets this long to show that the batteries came to rest, and as many values must agree then.
const RESTS_WITHIN: Span = Span::from_s(12);
const RESTING_VALUES: usize = 4;
/// The slowest meters measure every 10 s.
const MEASURES_WITHIN: Span = Span::from_s(30);
/// … within this, W, at first.
const RESTING_W: i64 = 80;
/// The release of every battery must be acknowledged within this time: a write may have to wait 5 s for its budget.
const RELEASED_WITHIN: Span = Span::from_s(7);

/// Where a commissioning stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    /// For data of everything.
    Waiting { said: Time },
    /// A battery is told 0 W. `asked`: since when; `begun`: since when that was wanted.
    Taking { k: usize, asked: Option<Time>, begun: Time },
    /// All batteries rest; since then.
    Resting { since: Time },
    /// Before a leg.
    Ready { not_before: Time },
    /// In a leg, since then.
    Moving { to_w: i64, begun: Time },
    /// Batteries are released.
    Stopping { since: Time },
    /// Over.
    Done,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Waiting { .. } => "waiting for data",
            Stage::Taking { .. } => "bringing the batteries to rest",
            Stage::Resting { .. } => "measuring the noise of the house",
            Stage::Ready { .. } | Stage::Moving { .. } => "moving the batteries one after the other",
            Stage::Stopping { .. } => "handing the batteries back",
            Stage::Done => "done",
        })
    }
}

impl Commission {
    /// Goes on as far as it can.
    pub(super) fn advance(&mut self, now: Time) {
        match self.stage {
            Stage::Waiting { said } => self.wait(said, now),
            Stage::Taking { k, asked, begun } => self.take_over(k, asked, begun, now),
            Stage::Resting { since } => self.rest(since, now),
            Stage::Ready { not_before } if now >= not_before => self.begin_leg(now),
            Stage::Moving { to_w, begun } => self.follow_leg(to_w, begun, now),
            Stage::Stopping { since } => self.finish(since, now),
            Stage::Ready { .. } | Stage::Done => {}
        }
    }

    fn wait(&mut self, said: Time, now: Time) {
        let missing = self.missing(now);
        let Some(missing) = missing else {
            self.say(format!("The meter is read as {}, all batteries answer.", self.meter_device));
            for k in 0..self.subjects.len() {
                let subject = &mut self.subjects[k];
                subject.known = subject.notices.clone();
                let soc = subject.newest.map_or(0, |s| s.soc_pm / 10);
                let line = format!("  {}: read as {}, {} W, {soc} % charged", subject.setup.name, subject.bank, subject.power_w());
                self.say(line);
            }
            self.say("Bringing all batteries to 0 W.".into());
            self.next_to_take(now);
            return;
        };
        if now.since(self.begun.unwrap_or(now)) > DATA_WITHIN {
            self.stop(&format!("no good data within {DATA_WITHIN}: {missing}"), now);
        } else if now.since(said) >= SAID_EVERY && now.since(self.begun.unwrap_or(now)) >= SAID_EVERY {
            self.say(format!("Waiting for data: {missing}."));
            self.stage = Stage::Waiting { said: now };
        }
    }

    /// What is not there yet, in words.
    fn missing(&self, now: Time) -> Option<String> {
        let fault = |f: &Option<String>| f.as_ref().map_or_else(String::new, |f| format!(" ({f})"));
        let stale = |at: Option<Time>| at.is_none_or(|t| now.since(t) > GOOD_AGE);
        let mut missing = Vec::new();
        if self.samples < GOOD_SAMPLES || stale(self.meter.map(|m| m.taken)) {
            missing.push(format!("meter with phases{}", fault(&self.meter_fault)));
        }
        let silent = self.subjects.iter().filter(|s| stale(s.newest.map(|n| n.taken)));
        missing.extend(silent.map(|s| format!("battery {}{}", s.setup.name, fault(&s.fault))));
        missing.extend(self.forbidden(now));
        (!missing.is_empty()).then(|| missing.join(", "))
    }

    fn next_to_take(&mut self, now: Time) {
        self.stage = match self.subjects.iter().position(|s| !s.taken) {
            Some(k) => Stage::Taking { k, asked: None, begun: now },
            None if self.noise_w.is_none() => Stage::Resting { since: now },
            None => Stage::Ready { not_before: now },
        };
    }

    fn take_over(&mut self, k: usize, asked: Option<Time>, begun: Time, now: Time) {
        let (control, connection) = (self.setup.site.batteries[k].control, self.setup.site.batteries[k].connection);
        let subject = &mut self.subjects[k];
        let name = subject.setup.name.clone();
        let Some(asked) = asked else {
            let room = self.meter.is_some_and(|m| guard::may_rest(&self.setup.site, &m, connection, subject.power_w()));
            if room {
                subject.hold(control);
                self.stage = Stage::Taking { k, asked: Some(now), begun };
            } else if now.since(begun) > LEG {
                self.stop(&format!("the fuse leaves no room to bring battery {name} to 0 W"), now);
            }
            return;
        };
        let Some((_, sent)) = subject.sent.filter(|s| s.0 == 0 && s.1 >= asked) else {
            if now.since(asked) > SENT_WITHIN {
                let fault = subject.fault.clone().unwrap_or_else(|| "the write was not made".into());
                self.stop(&format!("battery {name} cannot be told 0 W: {fault}"), now);
            }
            return;
        };
        let rests = subject.newest.is_some_and(|s| s.taken >= sent + ANSWERS && s.power_w.abs() <= REST_W);
        if !rests && now.since(sent) < LEG {
            return;
        }
        (subject.taken, subject.ignores, subject.since) = (true, !rests, now);
        if !rests {
            let power_w = subject.power_w();
            self.say(format!("  {name}: told 0 W, but still does {power_w} W after {LEG}"));
        }
        self.next_to_take(now);
    }

    fn rest(&mut self, since: Time, now: Time) {
        let values: Vec<[i64; 3]> = self.record.fresh(since, now).map(|g| g.power_w).collect();
        let newest = &values[values.len().saturating_sub(RESTING_VALUES)..];
        let deviation = |f: usize| {
            let (lo, hi) = newest.iter().fold((i64::MAX, i64::MIN), |(lo, hi), v| (lo.min(v[f]), hi.max(v[f])));
            hi.saturating_sub(lo)
        };
        let calm = newest.len() >= RESTING_VALUES && (0..3).all(|f| deviation(f) <= RESTING_W);
        let late = now.since(since) > RESTS_WITHIN;
        if !(calm && self.rest_is_visible() || late && newest.len() >= 2) {
            if now.since(since) > MEASURES_WITHIN {
                self.stop("the meter does not measure anew", now);
            }
            return;
        }
        let noise_w: [i64; 3] = std::array::from_fn(deviation);
        self.noise_w = Some(noise_w);
        let resting = self.record.fresh(since, now).rev().nth(newest.len() - 1).map_or(since, |g| g.at);
        self.subjects.iter_mut().for_each(|s| s.since = resting);
        let [a, b, c] = noise_w;
        self.say(format!(
            "The house is {} by {a}, {b}, {c} W on L1, L2, L3.",
            if calm { "quiet, it varies" } else { "restless, it varies" }
        ));
        self.stage = Stage::Ready { not_before: now };
    }

    /// The grid shows what the batteries gave up when they were told to rest, so far as that was much.
    fn rest_is_visible(&self) -> bool {
        let Some(before) = self.record.grid().iter().rev().find(|g| self.first_sent().is_none_or(|t| g.at <= t)) else { return true };
        let Some(now) = self.record.grid().last() else { return true };
        let given_up: i64 = (0..self.subjects.len())
            .filter_map(|k| {
                let sent = self.first_sent()?;
                let was = self.record.readings(k).iter().rev().find(|r| r.at <= sent)?.power_w;
                Some(was - self.subjects[k].power_w())
            })
            .sum();
        let moved: i64 = (0..3).map(|f| now.power_w[f] - before.power_w[f]).sum();
        given_up.abs() <= 2 * REST_W || (moved.abs() - given_up.abs()).abs() <= REST_W.max(given_up.abs() / 4)
    }

    fn first_sent(&self) -> Option<Time> {
        self.subjects.iter().filter_map(|s| s.sent.map(|s| s.1)).min()
    }

    fn finish(&mut self, since: Time, now: Time) {
        let uncertain =
            |s: &Subject| s.told_setpoint && s.is_choosable() && !s.followed && !s.ignores && s.power_w().abs() > self.setup.power_w;
        let waits = self.subjects.iter().any(|s| s.is_told() && (!s.released || uncertain(s)));
        if waits && now.since(since) <= RELEASED_WITHIN {
            return;
        }
        self.outcome = Some(conclude(self, since));
        self.stage = Stage::Done;
    }
}
