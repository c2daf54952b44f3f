//! Finds single movements of one battery, reading by reading: rest, movement, rest.

use super::event::Event;
use super::{LONGEST_MS, REST_MS, REST_W};

/// A smaller movement is no event, W (`spec/control.md` 2.2).
const LEAST_W: i64 = 500;
/// A movement takes no longer than this beside the polls that it lies between, ms (2.2).
const LONGEST_MOVE_MS: i64 = 4000;
/// A rest so long tells whether nothing at all has come of the movement, ms: with a window that ends too early the battery is sent on as
/// soon as it has rested for the length of the window.
const SHORT_REST_MS: i64 = 5000;
/// What is wanted of two batteries within this time has the same cause, ms.
const TOGETHER_MS: i64 = 2000;
/// After this much rest the effect of every latency has arrived, ms.
const LONG_REST_MS: i64 = LONGEST_MS + 1000;

/// Long before everything.
const NEVER_MS: i64 = i64::MIN / 4;

/// A stretch of readings that stayed within [`REST_W`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Rest {
    lo_w: i64,
    hi_w: i64,
    /// The newest readings, newest first: what it came to rest at.
    newest_w: [i64; 3],
    since_ms: i64,
    last_ms: i64,
}

impl Rest {
    fn new(at_ms: i64, w: i64) -> Rest {
        Rest { lo_w: w, hi_w: w, newest_w: [w; 3], since_ms: at_ms, last_ms: at_ms }
    }

    fn with(self, at_ms: i64, w: i64) -> Option<Rest> {
        let (lo_w, hi_w) = (self.lo_w.min(w), self.hi_w.max(w));
        let newest_w = [w, self.newest_w[0], self.newest_w[1]];
        (hi_w - lo_w < REST_W).then_some(Rest { lo_w, hi_w, newest_w, last_ms: at_ms, ..self })
    }

    fn power_w(&self) -> i64 {
        self.newest_w.iter().sum::<i64>().div_euclid(3)
    }

    fn lasts(&self, least_ms: i64) -> bool {
        self.last_ms - self.since_ms >= least_ms
    }
}

/// When the battery was last wanted to do something clearly else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Wanted {
    power_w: i64,
    /// The newest changes, newest first, ms.
    changed_ms: [i64; 3],
}

/// The state for one battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Movement {
    /// The rest before the movement.
    origin: Option<Rest>,
    /// The newest rest, however short.
    rest: Option<Rest>,
    /// The longest time between readings during the movement, ms.
    gap_ms: i64,
    wanted: Option<Wanted>,
    /// A movement that has ended; what happens after it may still cut it short.
    ended: Option<Event>,
}

impl Movement {
    /// The battery was read.
    pub fn polled(&mut self, at_ms: i64, power_w: i64) {
        let Some(rest) = self.rest else {
            self.rest = Some(Rest::new(at_ms, power_w));
            return;
        };
        self.gap_ms = self.gap_ms.max(at_ms - rest.last_ms);
        if let Some(longer) = rest.with(at_ms, power_w) {
            self.rest = Some(longer);
            if longer.lasts(REST_MS) {
                self.end(&longer);
            }
            return;
        }
        if rest.lasts(SHORT_REST_MS) {
            self.end(&rest);
        }
        if rest.lasts(SHORT_REST_MS) {
            self.origin = Some(rest);
            self.gap_ms = at_ms - rest.last_ms;
        }
        self.rest = Some(Rest::new(at_ms, power_w));
    }

    /// The battery is wanted to do this from now on.
    pub fn wanted(&mut self, at_ms: i64, power_w: i64) {
        let wanted = self.wanted.get_or_insert(Wanted { power_w, changed_ms: [NEVER_MS; 3] });
        if (power_w - wanted.power_w).abs() <= REST_W {
            return;
        }
        *wanted = Wanted { power_w, changed_ms: [at_ms, wanted.changed_ms[0], wanted.changed_ms[1]] };
        // From here on the meter's samples may show another load.
        if let Some(event) = self.ended.as_mut().filter(|e| at_ms > e.end_ms) {
            event.end_samples(at_ms);
        }
    }

    /// Whether something clearly else was wanted of it about then.
    pub fn was_told_near(&self, at_ms: i64) -> bool {
        self.wanted.is_some_and(|w| w.changed_ms.iter().any(|t| (t.saturating_sub(at_ms)).abs() <= TOGETHER_MS))
    }

    /// A movement that can be judged now.
    pub fn due(&mut self, now_ms: i64) -> Option<Event> {
        let event = self.ended?;
        if event.next_told_ms.is_none() && now_ms < event.cut_ms {
            return None;
        }
        self.ended.take()
    }

    /// The rest after a movement has become long enough.
    fn end(&mut self, rest: &Rest) {
        let Some(origin) = self.origin.take() else { return };
        let (from_w, to_w) = (origin.power_w(), rest.power_w());
        let length_ms = rest.since_ms - origin.last_ms;
        let Some(wanted) = self.wanted else { return };
        if (to_w - from_w).abs() < LEAST_W || length_ms > LONGEST_MOVE_MS + 2 * self.gap_ms {
            return;
        }
        let end_ms = rest.since_ms;
        let earlier = wanted.changed_ms.iter().copied().filter(|t| *t <= end_ms);
        let later = wanted.changed_ms.iter().copied().filter(|t| *t > end_ms).min();
        let Some(told_ms) = earlier.clone().max().filter(|t| *t >= origin.since_ms) else { return };
        // What was wanted before the battery last rested did not make it move.
        let first_told_ms = earlier.filter(|t| *t > origin.since_ms + SHORT_REST_MS / 2).min().unwrap_or(told_ms);
        let mut event = Event {
            from_w,
            to_w,
            start_ms: origin.last_ms,
            end_ms,
            first_told_ms,
            told_ms,
            cut_ms: end_ms + LONG_REST_MS,
            next_told_ms: None,
            rested: origin.lasts(REST_MS) && rest.lasts(REST_MS),
        };
        if let Some(t) = later {
            event.end_samples(t);
        }
        self.ended = Some(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Polls every second; the power and what is wanted by time in seconds.
    fn run(power: impl Fn(i64) -> i64, wanted: impl Fn(i64) -> i64, until_s: i64) -> Vec<(i64, Event)> {
        let (mut m, mut found) = (Movement::default(), Vec::new());
        for s in 0..until_s {
            m.wanted(s * 1000, wanted(s));
            m.polled(s * 1000 + 100, power(s));
            found.extend(m.due(s * 1000 + 200).map(|e| (s, e)));
        }
        found
    }

    #[test]
    fn a_single_step_is_found_after_sixteen_seconds_of_rest() {
        let found = run(|s| if s < 21 { 0 } else { 2000 }, |s| if s < 20 { 0 } else { 2000 }, 60);
        let event = Event {
            from_w: 0,
            to_w: 2000,
            start_ms: 20_100,
            end_ms: 21_100,
            first_told_ms: 20_000,
            told_ms: 20_000,
            cut_ms: 37_100,
            next_told_ms: None,
            rested: true,
        };
        assert_eq!(found, [(37, event)]);
    }

    #[test]
    fn what_is_wanted_next_cuts_it_short() {
        let found = run(|s| if (21..33).contains(&s) { 2000 } else { 0 }, |s| if (20..32).contains(&s) { 2000 } else { 0 }, 60);
        assert_eq!(found.iter().map(|(s, e)| (*s, e.to_w, e.cut_ms)).collect::<Vec<_>>(), [(32, 2000, 31_999), (49, 0, 49_100)]);
    }

    #[test]
    fn without_rest_on_both_sides_there_is_no_event() {
        assert_eq!(run(|s| s / 5 % 2 * 2000, |s| s / 5 % 2 * 2000, 120), []);
        let short = run(|s| s / 7 % 2 * 2000, |s| s / 7 % 2 * 2000, 120);
        assert!(!short.is_empty() && short.iter().all(|(_, e)| !e.rested), "{short:?}");
        assert_eq!(run(|s| if s < 20 { 0 } else { (s - 20).min(12) * 200 }, |s| if s < 20 { 0 } else { 2400 }, 80), []);
    }
}
