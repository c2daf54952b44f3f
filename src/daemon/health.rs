//! Says once when something stops working and once when it works again, however often it is tried, and calmly where that goes on and on.

use std::mem::{Discriminant, discriminant};

use super::calm::Calm;
use crate::link::fault::Fault;
use crate::units::Time;

/// Faults in a row that are worth a line: a single lost answer is only counted.
const WORTH_A_LINE: u32 = 3;
/// So many different notices are remembered; of one more each coming is said.
const MOST_NOTICES: usize = 64;

/// The health of one device or direction.
#[derive(Clone, PartialEq, Debug)]
pub struct Health {
    name: String,
    in_a_row: u32,
    /// Of each kind of fault, because another one may have another cause; there are seven kinds.
    calm: Vec<(Discriminant<Fault>, Calm)>,
}

impl Health {
    /// Of the thing with this name.
    pub fn new(name: String) -> Health {
        Health { name, in_a_row: 0, calm: Vec::new() }
    }

    /// Notes an outcome.
    pub fn note(&mut self, fault: Option<&Fault>, now: Time) {
        let Some(fault) = fault else {
            let over = self.calm.iter_mut().fold(false, |over, (_, calm)| calm.is_over() || over);
            if over {
                log::info!("{}: works again", self.name);
            }
            self.in_a_row = 0;
            return;
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row < WORTH_A_LINE {
            return;
        }
        let kind = discriminant(fault);
        let known = self.calm.iter().position(|(known, _)| *known == kind).unwrap_or_else(|| {
            self.calm.push((kind, Calm::default()));
            self.calm.len() - 1
        });
        if let Some(again) = self.calm.get_mut(known).and_then(|(_, calm)| calm.holds(now)) {
            log::warn!("{}: {fault}{again}", self.name);
        }
    }
}

/// What a device says about itself that someone should know.
#[derive(Clone, PartialEq, Debug)]
pub struct Notices {
    name: String,
    /// What, and since when.
    newest: Vec<(String, Time)>,
    /// Of each notice, also of those that are over.
    calm: Vec<(String, Calm)>,
}

impl Notices {
    /// Of the thing with this name.
    pub fn new(name: String) -> Notices {
        Notices { name, newest: Vec::new(), calm: Vec::new() }
    }

    /// Notes what it says now.
    pub fn note(&mut self, notices: &[String], now: Time) {
        self.say(notices, now);
        let known = |notice: &String| self.newest.iter().find(|(said, _)| said == notice).map_or(now, |(_, since)| *since);
        self.newest = notices.iter().map(|notice| (notice.clone(), known(notice))).collect();
    }

    fn say(&mut self, notices: &[String], now: Time) {
        self.calm.retain(|(_, calm)| !calm.is_forgotten(now));
        let mut over = Vec::new();
        for (notice, calm) in &mut self.calm {
            if !notices.contains(notice) && calm.is_over() {
                over.push(notice.as_str());
            }
        }
        match notices {
            [] if !over.is_empty() => log::info!("{}: reports nothing any more", self.name),
            _ if !over.is_empty() => log::info!("{}: reports no longer {}", self.name, over.join(", ")),
            _ => {}
        }
        let mut come = Vec::new();
        for notice in notices {
            let known = self.calm.iter().position(|(known, _)| known == notice);
            let known = known.or_else(|| {
                (self.calm.len() < MOST_NOTICES).then(|| self.calm.push((notice.clone(), Calm::default())))?;
                self.calm.len().checked_sub(1)
            });
            let again = match known.and_then(|k| self.calm.get_mut(k)) {
                Some((_, calm)) => calm.holds(now),
                None => self.newest.iter().all(|(said, _)| said != notice).then(String::new),
            };
            come.extend(again.map(|again| format!("{notice}{again}")));
        }
        if !come.is_empty() {
            log::warn!("{}: reports {}", self.name, come.join(", "));
        }
    }

    /// How many things it said last.
    pub fn count(&self) -> usize {
        self.newest.len()
    }

    /// What it said last, each with its name, and since when it says so.
    pub fn named(&self) -> impl Iterator<Item = (String, Time)> + '_ {
        self.newest.iter().map(|(notice, since)| (format!("{}: {notice}", self.name), *since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    #[test]
    fn each_notice_has_its_own_age() {
        let mut notices = Notices::new("charger w".into());
        let at = |s| Time::ZERO + Span::from_s(s);
        notices.note(&["a".into()], at(1));
        notices.note(&["b".into(), "a".into()], at(5));
        assert_eq!(notices.named().collect::<Vec<_>>(), [("charger w: b".to_owned(), at(5)), ("charger w: a".to_owned(), at(1))]);
        notices.note(&["b".into()], at(7));
        notices.note(&["a".into(), "b".into()], at(9));
        assert_eq!(notices.named().map(|(_, since)| since).collect::<Vec<_>>(), [at(9), at(5)]);
    }
}
