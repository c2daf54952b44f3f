//! Whether something that comes and goes is worth another line in the journal: a change that comes back again and again is said with growing
//! pauses, each time with how often it was there meanwhile. Status, alarms and counters never wait for it; it decides nothing but lines.

use crate::units::{Span, Time};

/// So often it is said each time it comes.
const BURST: u32 = 2;
/// The pause after that; each one is twice as long as the one before.
const FIRST_PAUSE: Span = Span::from_s(3600);
/// Longest pause.
const MOST_PAUSE: Span = Span::from_s(8 * 3600);
/// What holds on for so long is said, whatever the pause: it is news that it does not go away.
const LASTS: Span = Span::from_s(1800);
/// After so long without it, all is forgotten.
const FORGOTTEN: Span = Span::from_s(12 * 3600);

/// One thing that comes and goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Calm {
    /// Since when it is there; `None`: it is not.
    since: Option<Time>,
    /// When it was seen last.
    seen: Option<Time>,
    /// Whether it was said of this time.
    said: bool,
    /// When it was said last.
    said_at: Option<Time>,
    /// How often it was said.
    times: u32,
    /// How often it was there since then without being said.
    unsaid: u32,
}

impl Calm {
    /// It is there. `Some`: it is to be said now, with this at the end of the line.
    pub fn holds(&mut self, now: Time) -> Option<String> {
        if self.since.is_none() && self.seen.is_none_or(|at| now.since(at) >= FORGOTTEN) {
            *self = Calm::default();
        }
        let since = *self.since.get_or_insert(now);
        self.seen = Some(now);
        if self.said || !self.is_due(since, now) {
            return None;
        }
        let unsaid = std::mem::take(&mut self.unsaid);
        (self.said, self.said_at, self.times) = (true, Some(now), self.times.saturating_add(1));
        Some(if unsaid == 0 { String::new() } else { format!(", {} times since this was said last", unsaid.saturating_add(1)) })
    }

    /// It is not there. True when that is to be said, because it was said that it is.
    pub fn is_over(&mut self) -> bool {
        if self.since.take().is_some() && !self.said {
            self.unsaid = self.unsaid.saturating_add(1);
        }
        std::mem::take(&mut self.said)
    }

    /// Whether nothing is known of it any more.
    pub fn is_forgotten(&self, now: Time) -> bool {
        self.since.is_none() && self.seen.is_none_or(|at| now.since(at) >= FORGOTTEN)
    }

    fn is_due(&self, since: Time, now: Time) -> bool {
        let (Some(said_at), Some(more)) = (self.said_at, self.times.checked_sub(BURST)) else { return true };
        let pause = FIRST_PAUSE.times(1 << more.min(10)).min(MOST_PAUSE);
        now.since(said_at) >= pause || now.since(since) >= LASTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: u64) -> Time {
        Time::ZERO + Span::from_s(minutes * 60)
    }

    /// It is there for a minute out of `every`; the minutes at which it is said.
    fn said(calm: &mut Calm, from: u64, to: u64, every: u64) -> Vec<u64> {
        let mut said = Vec::new();
        for minute in from..to {
            if minute % every == 0 {
                said.extend(calm.holds(at(minute)).map(|_| minute));
            } else {
                calm.is_over();
            }
        }
        said
    }

    #[test]
    fn what_comes_back_is_said_with_growing_pauses_and_afresh_after_half_a_day() {
        let mut calm = Calm::default();
        assert_eq!(said(&mut calm, 0, 1440, 10), [0, 10, 70, 190, 430, 910, 1390]);
        assert_eq!(said(&mut calm, 1440, 3000, 10), [1870, 2350, 2830]);
        assert!(!calm.is_forgotten(at(3000)) && calm.is_forgotten(at(3800)));
        assert_eq!(said(&mut calm, 3800, 3860, 10), [3800, 3810]);
    }

    #[test]
    fn a_line_says_how_often_it_was_there_and_its_end_is_said_where_it_was_said() {
        let mut calm = Calm::default();
        for minute in [0, 10] {
            assert_eq!((calm.holds(at(minute)), calm.holds(at(minute))), (Some(String::new()), None));
            assert!(calm.is_over() && !calm.is_over());
        }
        for minute in [20, 30, 40] {
            assert_eq!(calm.holds(at(minute)), None);
            assert!(!calm.is_over());
        }
        assert_eq!(calm.holds(at(70)).as_deref(), Some(", 4 times since this was said last"));
        assert!(calm.is_over());
    }

    #[test]
    fn what_does_not_go_away_is_said_before_the_pause_is_over() {
        let mut calm = Calm::default();
        assert_eq!(said(&mut calm, 0, 300, 10), [0, 10, 70, 190]);
        let lasting: Vec<u64> = (300..700).filter(|minute| calm.holds(at(*minute)).is_some()).collect();
        assert_eq!(lasting, [330]);
    }
}
