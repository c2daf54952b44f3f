//! The stages of a commissioning, and what each waits for.

use std::fmt;

use super::finding::conclude;
use super::guard;
use super::leg::{Leg, Verdict, Why, judge, movement, settled};
use super::machine::Commission;
use super::subject::{CleanLeg, Subject};
use super::timing::times;
use crate::control::capability::{SocBlocks, capability};
use crate::control::site::ControlKind;
use crate::units::{Span, Time};

/// Data must be good within this time.
const DATA_WITHIN: Span = Span::from_s(45);
/// What is missing is said this often.
const SAID_EVERY: Span = Span::from_s(5);
/// Data is good when it is no older than this, and there is as much of the meter's.
const GOOD_AGE: Span = Span::from_ms(2500);
const GOOD_SAMPLES: u32 = 3;
/// A leg takes no longer than this after its setpoint was sent.
const LEG: Span = Span::from_s(20);
/// A setpoint must be sent within this time.
const SENT_WITHIN: Span = Span::from_s(15);
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
/// A leg is repeated at most so often.
const REPEATS: u32 = 2;
/// The release of every battery must be acknowledged within this time: a write may have to wait 5 s for its budget.
const RELEASED_WITHIN: Span = Span::from_s(7);
/// Legs begin at different times between the polls, so that their readings complement each other.
const STAGGER_MS: u64 = 300;

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
        let control = self.setup.site.batteries[k].control;
        let subject = &mut self.subjects[k];
        let name = subject.setup.name.clone();
        let Some(asked) = asked else {
            let room = self.meter.is_some_and(|m| guard::leaves_room(&self.setup.site, &m, subject.power_w()));
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

    fn begin_leg(&mut self, now: Time) {
        let Some(control) = self.setup.site.batteries.get(self.current).map(|b| b.control) else {
            self.say("All legs are made: the batteries are handed back.".into());
            self.release_all(now);
            return;
        };
        let k = self.current;
        if self.subjects[k].todo.is_none() {
            self.plan_legs(k, control, now);
        }
        let subject = &mut self.subjects[k];
        let Some(to_w) = subject.todo.as_mut().and_then(|t| t.pop_front()) else {
            // The grid rests since the last leg of this one.
            let since = subject.since;
            self.current += 1;
            if let Some(next) = self.subjects.get_mut(self.current) {
                next.since = next.since.max(since);
            }
            return;
        };
        let change_w = to_w - subject.level_w;
        if change_w.abs() < self.setup.power_w / 2 {
            // It is there already.
            subject.tell(to_w, false);
            subject.level_w = to_w;
            return;
        }
        let room = self.meter.is_some_and(|m| guard::leaves_room(&self.setup.site, &m, change_w));
        if !room && to_w != 0 {
            let line = format!("{to_w} W left out: the fuse leaves no room for it");
            subject.notes.push(line.clone());
            let line = format!("  {}: {line}", subject.setup.name);
            self.say(line);
            return;
        }
        subject.tell(to_w, false);
        self.stage = Stage::Moving { to_w, begun: now };
    }

    /// +P, -P, 0 W: as far as state of charge, state and ratings allow.
    fn plan_legs(&mut self, k: usize, control: ControlKind, now: Time) {
        let site = &self.setup.site.batteries[k];
        let subject = &mut self.subjects[k];
        let mut todo = std::collections::VecDeque::new();
        let mut left_out = Vec::new();
        if subject.ignores {
            // Nothing to move.
        } else if control != ControlKind::Setpoint {
            left_out.push("not moved: its control is not \"setpoint\", so it balances by itself".to_owned());
        } else {
            let blocks = subject.newest.map_or(SocBlocks::default(), |s| SocBlocks::default().after(site, s.soc_pm));
            let able = capability(site, subject.newest.as_ref(), blocks, true, now);
            for (to_w, most_w, cause) in
                [(self.setup.power_w, able.discharge_w, able.discharge_cause), (-self.setup.power_w, able.charge_w, able.charge_cause)]
            {
                if most_w >= to_w.abs() {
                    todo.push_back(to_w);
                } else {
                    left_out.push(format!("{to_w} W left out: {}", super::report::cause(cause)));
                }
            }
            todo.push_back(0);
        }
        subject.todo = Some(todo);
        for line in left_out {
            self.say(format!("  {}: {line}", self.subjects[k].setup.name));
            self.subjects[k].notes.push(line);
        }
    }

    fn follow_leg(&mut self, to_w: i64, begun: Time, now: Time) {
        let k = self.current;
        let noise_w = self.noise_w.unwrap_or_default();
        let subject = &self.subjects[k];
        let Some((_, sent)) = subject.sent.filter(|s| s.0 == to_w && s.1 >= begun) else {
            if now.since(begun) > SENT_WITHIN {
                let fault = subject.fault.clone().unwrap_or_else(|| "the write was not made".into());
                let line = format!("battery {} cannot be told {to_w} W: {fault}", subject.setup.name);
                self.stop(&line, now);
            }
            return;
        };
        let leg = Leg { battery: k, from_w: subject.level_w, to_w, since: subject.since, sent };
        let rests = settled(&self.record, &leg, &noise_w);
        if rests.is_none() && now.since(sent) < LEG {
            return;
        }
        let Some(m) = movement(&self.record, &leg) else {
            self.stop("there are no readings of a whole movement", now);
            return;
        };
        let verdict = match judge(&m, &noise_w) {
            Verdict::Clean(_) if subject.rewritten => Verdict::Disturbed(Why::Rewritten),
            verdict => verdict,
        };
        let subject = &mut self.subjects[k];
        // Where it did not follow it stands where it stood.
        subject.level_w = if matches!(verdict, Verdict::NotFollowed { .. }) { m.before_w } else { to_w };
        subject.since = rests.unwrap_or(now);
        let name = subject.setup.name.clone();
        let took = now.since(sent);
        let moved = format!("  {name}: {} -> {to_w} W: moved by {} W", leg.from_w, m.battery_w);
        let line = match verdict {
            Verdict::Clean(clean) => {
                let times = times(&self.record, &leg, &m, &clean, now);
                subject.followed = true;
                subject.inverted = Some(!clean.with_command);
                subject.repeats = 0;
                subject.clean.push(CleanLeg { leg, movement: m, clean, times });
                format!("{moved}, the grid by {} W on {}, {took}", clean.grid_w, super::report::connection(clean.connection))
            }
            Verdict::NotFollowed { grid_moved } => {
                if to_w != 0 {
                    subject.not_followed.push(to_w);
                }
                let grid = if grid_moved { ", but the grid moved: the reading of the battery stands still" } else { "" };
                format!("{moved} within {took}: it does not follow{grid}")
            }
            Verdict::Disturbed(why) => {
                let again = subject.repeats < REPEATS;
                if again {
                    subject.repeats += 1;
                    // Back again: as good a movement as the one that was disturbed.
                    if let Some(todo) = &mut subject.todo {
                        todo.push_front(leg.from_w);
                    }
                } else {
                    subject.unclear += 1;
                    subject.repeats = 0;
                }
                let grid = super::report::phases(m.grid_w);
                let why = self.why(why);
                format!("{moved}, the grid by {grid}: {why}, {}", if again { "again" } else { "not clear" })
            }
        };
        // It always ends at 0 W.
        let subject = &mut self.subjects[k];
        if let Some(todo) = subject.todo.as_mut().filter(|t| t.is_empty() && to_w != 0) {
            todo.push_back(0);
        }
        let stagger = Span::from_ms(subject.clean.len() as u64 % 3 * STAGGER_MS);
        self.say(line);
        self.stage = Stage::Ready { not_before: now + stagger };
    }

    fn why(&self, why: Why) -> String {
        match why {
            Why::House => "something else changed in the house".into(),
            Why::GridStill => "the grid meter does not see it".into(),
            Why::Other(j) => format!("battery {} moved as well", self.subjects[j].setup.name),
            Why::Rewritten => "the setpoint had to be sent twice".into(),
        }
    }

    fn finish(&mut self, since: Time, now: Time) {
        let uncertain = |s: &Subject| s.is_choosable() && !s.followed && !s.ignores && s.power_w().abs() > self.setup.power_w;
        let waits = self.subjects.iter().any(|s| s.is_told() && (!s.released || uncertain(s)));
        if waits && now.since(since) <= RELEASED_WITHIN {
            return;
        }
        self.outcome = Some(conclude(self, since));
        self.stage = Stage::Done;
    }
}
