//! The fail-safe ladder: from the age of the last good sample to what may be commanded (`spec/control.md` 2.6).
//!
//! ```text
//!            k good samples in a row (two right after a stop in good order)
//!   Init ────────────────────────────► Run ◄──── good sample ──── Hold
//!                                       │  ── older than hold ──►  │
//!                     older than ramp   ▼                          ▼
//!   Fallback ◄── older than fallback ── Ramp ◄─────────────────────┘
//!      └──────────── k good samples in a row ──► Run (also from Ramp)
//! ```
//! Everything is computed from ages, never from the number of calls: a thread that slept wakes up where its data is. Starts in `Init`.

use super::site::Ladder as Ages;
use crate::units::{Span, Time};

/// Good samples in a row that lead back to `Run`.
const RECOVER_FIRST: u32 = 5;
/// And after a stop in good order a moment ago: the meter was good then. One, so that meter and batteries have come to rest after the
/// hand-back, and one more.
const RECOVER_RESUMED: u32 = 2;
/// From the start; later it is no restart any more that was waited for.
const RESUMED_WITHIN: Span = Span::from_s(60);
/// The most that flapping can make of it.
const RECOVER_MOST: u32 = 60;
/// A fall from `Run` this soon after the rise counts as flapping.
const FLAP_WINDOW: Span = Span::from_s(600);
/// Good samples count as consecutive up to this distance, or the hold age where that is longer.
const CONSECUTIVE: Span = Span::from_s(3);

/// Where on the ladder the site stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// Nothing has been commanded yet.
    Init,
    /// Normal operation, since then.
    Run {
        /// When it began.
        since: Time,
    },
    /// No fresh data: outputs are kept.
    Hold {
        /// When the `Run` that it interrupts began.
        since: Time,
    },
    /// Outputs go to zero with the age of the data.
    Ramp,
    /// Zero, or released.
    Fallback,
}

/// The state of the ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ladder {
    mode: Mode,
    good: u32,
    needed: u32,
    last_good: Option<Time>,
    /// The last good sample before the present `Ramp`: it counts from there, so that single good samples cannot keep it from ending.
    ramp_from: Time,
}

impl Default for Ladder {
    fn default() -> Self {
        Ladder { mode: Mode::Init, good: 0, needed: RECOVER_FIRST, last_good: None, ramp_from: Time::ZERO }
    }
}

impl Ladder {
    /// Before the first sample: normal operation was ended in good order a moment ago.
    pub fn resume(&mut self) {
        self.needed = RECOVER_RESUMED;
    }

    /// Where it stands.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Good samples in a row, and how many lead to `Run`.
    pub fn progress(&self) -> (u32, u32) {
        (self.good.min(self.needed), self.needed)
    }

    /// When the last good sample was taken.
    pub fn last_good(&self) -> Option<Time> {
        self.last_good
    }

    /// How old the data is that the outputs stand on.
    pub fn age_of_outputs(&self, now: Time) -> Span {
        let from = if self.mode == Mode::Ramp { Some(self.ramp_from) } else { self.last_good };
        from.map_or(Span::ZERO, |t| now.since(t))
    }

    /// A good sample was taken at `taken`. `ready`: every other required input has been seen.
    pub fn good_sample(&mut self, taken: Time, ready: bool, ages: &Ages) {
        let gap = self.last_good.map(|last| taken.since(last));
        let consecutive = gap.is_some_and(|gap| gap <= CONSECUTIVE.max(ages.hold));
        self.good = if consecutive { self.good.saturating_add(1) } else { 1 };
        self.last_good = Some(taken);
        if taken > Time::ZERO + RESUMED_WITHIN {
            self.resumes_no_more();
        }
        match self.mode {
            Mode::Hold { since } => self.mode = Mode::Run { since },
            Mode::Init | Mode::Ramp | Mode::Fallback if ready && self.good >= self.needed => {
                self.mode = Mode::Run { since: taken };
                self.resumes_no_more();
            }
            Mode::Run { since } if taken.since(since) >= FLAP_WINDOW => self.needed = RECOVER_FIRST,
            _ => {}
        }
    }

    /// A sample was there but must not be believed.
    pub fn bad_sample(&mut self) {
        self.good = 0;
        self.resumes_no_more();
    }

    fn resumes_no_more(&mut self) {
        self.needed = self.needed.max(RECOVER_FIRST);
    }

    /// What was believed until now has been wrong since `since` (a frozen meter): its age counts from there.
    pub fn disown_since(&mut self, since: Time) {
        self.good = 0;
        if self.last_good.is_some_and(|last| last > since) {
            self.last_good = Some(since);
        }
    }

    /// Steps down by age. True when this call entered `Ramp`.
    pub fn age(&mut self, now: Time, ages: &Ages) -> bool {
        let Some(last) = self.last_good else { return false };
        let age = now.since(last);
        let mut fell = false;
        if let Mode::Run { since } | Mode::Hold { since } = self.mode {
            if age > ages.ramp_start {
                fell = true;
                self.ramp_from = last;
                self.fall(since, now);
            } else if age > ages.hold {
                self.mode = Mode::Hold { since };
            }
        }
        if self.mode == Mode::Ramp && self.age_of_outputs(now) >= ages.fallback {
            self.mode = Mode::Fallback;
        }
        fell
    }

    fn fall(&mut self, run_since: Time, now: Time) {
        if now.since(run_since) < FLAP_WINDOW {
            self.needed = (self.needed * 2).min(RECOVER_MOST);
        }
        self.good = 0;
        self.mode = Mode::Ramp;
    }
}

/// What is left of `from` (an output at the start of the ramp) on the way to `to`: linear in the age of the data, `from` until
/// `ramp_start`, `to` from `fallback` on.
pub fn ramped(from: i64, to: i64, age: Span, ages: &Ages) -> i64 {
    let length = ages.fallback.less(ages.ramp_start).as_ms().max(1);
    let left = ages.fallback.less(age).as_ms().min(length);
    let (left, length) = (i64::try_from(left).unwrap_or(0), i64::try_from(length).unwrap_or(i64::MAX));
    to + (from - to) * left / length
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGES: Ages = Ages { hold: Span::from_s(3), ramp_start: Span::from_s(10), fallback: Span::from_s(30) };

    fn at(s: u64) -> Time {
        Time::from_ms(s * 1000)
    }

    fn running() -> Ladder {
        let mut l = Ladder::default();
        (1..=5).for_each(|s| l.good_sample(at(s), true, &AGES));
        assert_eq!(l.mode(), Mode::Run { since: at(5) });
        l
    }

    /// Every mode × every event, with the mode that must follow.
    #[test]
    fn all_transitions() {
        let run = Mode::Run { since: at(5) };
        let hold = Mode::Hold { since: at(5) };
        for (age_s, mode) in [(0, run), (3, run), (4, hold), (10, hold), (11, Mode::Ramp), (29, Mode::Ramp), (30, Mode::Fallback)] {
            let mut l = running();
            l.age(at(5 + age_s), &AGES);
            assert_eq!(l.mode(), mode, "after {age_s} s");
            // One good sample helps Hold at once, the lower steps not yet.
            l.good_sample(at(5 + age_s), true, &AGES);
            let after = if mode == hold { run } else { mode };
            assert_eq!(l.mode(), after, "one good sample after {age_s} s");
        }
        let mut init = Ladder::default();
        init.age(at(1000), &AGES);
        assert_eq!(init.mode(), Mode::Init);
        (1..=20).for_each(|s| init.good_sample(at(s), false, &AGES));
        assert_eq!(init.mode(), Mode::Init, "not ready");
        init.good_sample(at(21), true, &AGES);
        assert_eq!(init.mode(), Mode::Run { since: at(21) });
    }

    #[test]
    fn after_a_stop_in_good_order_two_good_samples_lead_back_once() {
        let resumed = || {
            let mut l = Ladder::default();
            l.resume();
            l.good_sample(at(1), true, &AGES);
            assert_eq!((l.mode(), l.progress()), (Mode::Init, (1, 2)));
            l
        };
        let mut l = resumed();
        l.good_sample(at(2), true, &AGES);
        assert_eq!(l.mode(), Mode::Run { since: at(2) });
        l.age(at(20), &AGES);
        assert_eq!((l.mode(), l.progress()), (Mode::Ramp, (0, 10)), "flapping counts as ever");
        let mut l = resumed();
        l.good_sample(at(2), false, &AGES);
        assert_eq!(l.mode(), Mode::Init, "not before every input was seen");
        let mut l = resumed();
        l.bad_sample();
        l.good_sample(at(2), true, &AGES);
        l.good_sample(at(3), true, &AGES);
        assert_eq!((l.mode(), l.progress()), (Mode::Init, (2, 5)), "the meter is not what it was");
        let mut l = resumed();
        l.good_sample(at(61), true, &AGES);
        l.good_sample(at(62), true, &AGES);
        assert_eq!((l.mode(), l.progress()), (Mode::Init, (2, 5)), "too late");
    }

    #[test]
    fn single_good_samples_do_not_keep_the_ramp_from_ending() {
        let mut l = running();
        for s in 6..60 {
            if s > 16 {
                l.bad_sample();
                l.good_sample(at(s), true, &AGES);
            }
            l.age(at(s), &AGES);
            let mode = if s <= 8 {
                None
            } else if s <= 15 {
                Some("hold")
            } else if s < 35 {
                Some("ramp")
            } else {
                Some("fallback")
            };
            let is = match l.mode() {
                Mode::Hold { .. } => Some("hold"),
                Mode::Ramp => Some("ramp"),
                Mode::Fallback => Some("fallback"),
                _ => None,
            };
            assert_eq!(is, mode, "at {s} s");
        }
    }

    #[test]
    fn a_thread_that_slept_wakes_up_in_fallback() {
        let mut l = running();
        assert!(l.age(at(5 + 3600), &AGES));
        assert_eq!(l.mode(), Mode::Fallback);
    }

    #[test]
    fn bad_samples_and_gaps_restart_the_count() {
        let mut l = Ladder::default();
        (1..=4).for_each(|s| l.good_sample(at(s), true, &AGES));
        l.bad_sample();
        l.good_sample(at(5), true, &AGES);
        assert_eq!(l.progress(), (1, 5));
        l.good_sample(at(12), true, &AGES);
        assert_eq!(l.progress(), (1, 5));
    }

    #[test]
    fn flapping_doubles_what_recovery_needs_up_to_a_minute() {
        let mut l = running();
        let mut now = 5;
        let mut needed = Vec::new();
        for _ in 0..6 {
            now += 11;
            l.age(at(now), &AGES);
            needed.push(l.progress().1);
            while !matches!(l.mode(), Mode::Run { .. }) {
                now += 1;
                l.good_sample(at(now), true, &AGES);
            }
        }
        assert_eq!(needed, [10, 20, 40, 60, 60, 60]);
        for _ in 0..700 {
            now += 1;
            l.good_sample(at(now), true, &AGES);
        }
        assert_eq!(l.progress().1, 5);
    }

    #[test]
    fn the_ramp_is_linear_and_ends_in_time() {
        let said: Vec<_> = [0, 10, 20, 30, 99].map(|s| ramped(3000, 0, Span::from_s(s), &AGES)).into();
        assert_eq!(said, [3000, 3000, 1500, 0, 0]);
        assert_eq!(ramped(-3000, 0, Span::from_s(20), &AGES), -1500);
        assert_eq!(ramped(4600, 600, Span::from_s(20), &AGES), 2600);
    }
}
