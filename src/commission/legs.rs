//! The legs of a battery, one after the other: which are made, when one is over, and whether it is made again.

use std::collections::VecDeque;

use super::guard;
use super::leg::{Leg, Movement, Verdict, Why, judge, movement, settled};
use super::machine::Commission;
use super::report::{cause, connection, phases};
use super::stages::{LEG, SENT_WITHIN, Stage};
use super::subject::CleanLeg;
use super::timing::times;
use crate::control::capability::{SocBlocks, capability};
use crate::control::site::ControlKind;
use crate::units::{Span, Time};

/// A leg is repeated at most so often.
const REPEATS: u32 = 2;
/// Legs begin at different times between the polls, so that their readings complement each other.
const STAGGER_MS: u64 = 300;

impl Commission {
    pub(super) fn begin_leg(&mut self, now: Time) {
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
        let mut todo = VecDeque::new();
        let mut left_out = Vec::new();
        if subject.ignores {
            // Nothing to move.
        } else if control != ControlKind::Setpoint {
            left_out.push("not moved: its control is not \"setpoint\", so it balances by itself".to_owned());
        } else {
            let blocks = subject.newest.map_or(SocBlocks::default(), |s| SocBlocks::default().after(site, s.soc_pm));
            let able = capability(site, subject.newest.as_ref(), blocks, true, now);
            for (to_w, most_w, why) in
                [(self.setup.power_w, able.discharge_w, able.discharge_cause), (-self.setup.power_w, able.charge_w, able.charge_cause)]
            {
                if most_w >= to_w.abs() {
                    todo.push_back(to_w);
                } else {
                    left_out.push(format!("{to_w} W left out: {}", cause(why)));
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

    pub(super) fn follow_leg(&mut self, to_w: i64, begun: Time, now: Time) {
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
        let took = now.since(sent);
        let said = self.note(&leg, &m, verdict, now);
        let subject = &mut self.subjects[k];
        subject.since = rests.unwrap_or(now);
        // It always ends at 0 W.
        if let Some(todo) = subject.todo.as_mut().filter(|t| t.is_empty() && to_w != 0) {
            todo.push_back(0);
        }
        let stagger = Span::from_ms(subject.clean.len() as u64 % 3 * STAGGER_MS);
        let name = &subject.setup.name;
        let line = format!("  {name}: {} -> {to_w} W: moved by {} W, {said}, {took}", leg.from_w, m.battery_w);
        self.say(line);
        self.stage = Stage::Ready { not_before: now + stagger };
    }

    /// Takes note of what became of a leg, and says it.
    fn note(&mut self, leg: &Leg, m: &Movement, verdict: Verdict, now: Time) -> String {
        let subject = &mut self.subjects[leg.battery];
        match verdict {
            Verdict::Clean(clean) => {
                let times = times(&self.record, leg, m, &clean, now);
                (subject.followed, subject.inverted, subject.repeats) = (true, Some(!clean.with_command), 0);
                subject.level_w = leg.to_w;
                subject.clean.push(CleanLeg { leg: *leg, movement: *m, clean, times });
                format!("the grid by {} W on {}", clean.grid_w, connection(clean.connection))
            }
            // It stands where it stood.
            Verdict::NotFollowed { .. } if leg.to_w == 0 => {
                subject.unclear += 1;
                subject.notes.push("it did not go back to 0 W when told".into());
                "it does not follow".into()
            }
            Verdict::NotFollowed { grid_moved } => {
                subject.not_followed.push(leg.to_w);
                let grid = if grid_moved { ", but the grid moved: the reading of the battery stands still" } else { "" };
                format!("it does not follow{grid}")
            }
            Verdict::Disturbed(why) => {
                subject.level_w = leg.to_w;
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
                let (grid, why) = (phases(m.grid_w), self.why(why));
                format!("the grid by {grid}: {why}, {}", if again { "again" } else { "not clear" })
            }
        }
    }

    fn why(&self, why: Why) -> String {
        match why {
            Why::House => "something else changed in the house".into(),
            Why::GridStill => "the grid meter does not see it".into(),
            Why::Other(j) => format!("battery {} moved as well", self.subjects[j].setup.name),
            Why::Rewritten => "the setpoint had to be sent twice".into(),
        }
    }
}
