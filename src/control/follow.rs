//! Does a battery do what it is told? Compares measured with commanded power and believes neither.
//!
//! A battery may be slow: dead times of 30 s and ramps of 12 W/s are reported from the field (`facts/sax.md` 2, Rates). So a battery
//! follows while its power lies between what it was told during its dead time, or while it is clearly on its way there. Charging and
//! discharging are judged apart: one that cannot discharge by remote control (`facts/sax.md` 2) may still charge.
//!
//! ```text
//!   Fine ── short of its command ──► Short ── for the patience ──► Capped ◄── failed ──┐
//!     ▲                                │                              │ after a minute  │
//!     └──── follows, or comes closer ──┘                              ▼                 │
//!     └── does what is asked, or nobody asks for ten minutes ────── Probed ─────────────┘
//! ```
//! It never says how power is shared: it says what a battery has shown that it does.

mod response;

use super::capability::Trust;
use super::distrust::{self, TRIAL};
use super::history::{Hull, Series};
use crate::units::{Span, Time};
use response::Responses;

/// The dead time that counts as following where nothing is known of the battery, ms (`facts/sax.md` 2, Rates).
const DEAD_TIME_MS: i64 = 30_000;
/// Beside twice the longest response that was seen, ms.
const DEAD_TIME_MORE_MS: i64 = 3000;
/// Off by less than this is following, W (`spec/control.md` 2.4), or by this share of the command (a battery's own reading may be 15 % off, 2.2).
const TOLERANCE_W: i64 = 150;
const TOLERANCE_PCT: i64 = 15;
/// Off for this long is not following, where polls are not slower (2.4).
const PATIENCE: Span = Span::from_s(5);
/// Coming closer by this much in ten seconds is a slow ramp, not a refusal, W.
const APPROACH_W: i64 = 60;
const APPROACH_MS: i64 = 10_000;
/// It may do this much more than it does, W (2.4).
const ROOM_W: i64 = 200;
/// The cap stays where it is until what the battery does has moved by this much, W, so that noise makes no commands.
const STICKY_W: i64 = 60;
/// Time between probes (2.4).
const PROBE_AFTER: Span = Span::from_s(60);
/// How much more than it did a probe lets it do: a quarter, and this, W. Enough to tell, and no more than that is missing if it fails.
const PROBE_W: i64 = 500;
/// Commands of at least this much that are done with the other sign are a wrong sign, W.
const MIRROR_W: i64 = 300;
/// So many steps in a row that are answered with their negative are a wrong sign as well.
const OPPOSITE: u32 = 2;
/// … against everything it was told for this long, ms.
const MIRROR_MS: i64 = 5000;

/// Watches one battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Follow {
    discharge: Side,
    charge: Side,
    mirrored_since: Option<Time>,
    /// Found to do the negative of what it is told: how often in a row, and until when it is not believed.
    mirrors: Option<(u32, Time)>,
    responses: Responses,
    /// How many times larger it is than a household's battery, percent; 0 as 100.
    size_pct: i64,
}

/// One direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Side {
    #[default]
    Fine,
    /// It does less than it was told.
    Short { since: Time },
    /// It may do no more than `cap_w`.
    Capped { cap_w: i64, since: Time },
    /// It did `start_w` and may do more, up to `cap_w`. `asked`: since when it is told enough to tell.
    Probed { cap_w: i64, start_w: i64, since: Time, asked: Option<Time> },
}

/// Up to this rating a battery is judged by the constants as they are, W; larger ones are measured, and told, more coarsely.
const HOUSEHOLD_W: i64 = 15_000;

impl Follow {
    /// Of a battery with this rating, W.
    pub fn of(rating_w: i64) -> Follow {
        Follow { size_pct: rating_w.max(HOUSEHOLD_W).saturating_mul(100) / HOUSEHOLD_W, ..Follow::default() }
    }

    /// What it has shown that it does.
    pub fn trust(&self) -> Trust {
        match (self.charge.cap_w(), self.discharge.cap_w()) {
            (None, None) => Trust::Full,
            (charge, discharge) => Trust::CappedAt { charge_w: charge.unwrap_or(i64::MAX), discharge_w: discharge.unwrap_or(i64::MAX) },
        }
    }

    /// It does less than it is told, when charging and when discharging.
    pub fn falls_short(&self) -> (bool, bool) {
        (self.charge.cap_w().is_some(), self.discharge.cap_w().is_some())
    }

    /// It was found to do what it is told with the other sign, and is not yet to be tried again.
    pub fn is_distrusted(&self, now: Time) -> bool {
        self.mirrors.is_some_and(|(_, until)| now < until)
    }

    /// It was found to do what it is told with the other sign; in its trial since then nothing has told.
    pub fn mirrors(&self, now: Time) -> bool {
        self.mirrors.is_some_and(|(_, until)| now < until + TRIAL)
    }

    /// The longest of its latest responses to a command, once there were several.
    pub fn response(&self) -> Option<Span> {
        self.responses.longest()
    }

    /// Nothing is being commanded.
    pub fn rest(&mut self) {
        *self = Follow { responses: self.responses.interrupted(), mirrors: self.mirrors, size_pct: self.size_pct, ..Follow::default() };
    }

    /// Judges the newest poll against the setpoints written so far. `response`: the longest response known, `patience`: the age from
    /// which its data counts as old.
    pub fn judge(&mut self, polled: &Series, written: &Series, response: Option<Span>, patience: Span) {
        self.responses.watch(polled, written);
        let dead_ms = dead_time_ms(response);
        let Some((t, power)) = polled.newest() else { return self.rest() };
        let size_pct = self.size_pct.max(100);
        let (Some(told), Some(lately)) = (told(polled, written, t, dead_ms), told(polled, written, t, MIRROR_MS)) else {
            return self.rest();
        };
        let now = Time::from_ms(u64::try_from(t).unwrap_or(0));
        let before = polled.at(t - APPROACH_MS).unwrap_or(power);
        let patience = patience.max(PATIENCE);
        let waits = patience + Span::from_ms(u64::try_from(dead_ms).unwrap_or(0));
        let seen = Seen { now, power, before, told, newest: written.newest().map_or(0, |w| w.1), patience, waits, size_pct };
        self.look_into_the_mirror(&seen, lately);
        // A cap would change the commands before the sign is known.
        if self.mirrored_since.is_none() {
            self.discharge = self.discharge.after(&seen);
            self.charge = self.charge.after(&seen.mirrored());
        }
    }

    /// Commands arrive with the wrong sign: it has just moved to the negative of what it was told.
    fn look_into_the_mirror(&mut self, seen: &Seen, lately: Hull) {
        let clear = lately.lo.signum() == lately.hi.signum() && lately.lo.abs().max(lately.hi.abs()) >= seen.of(MIRROR_W);
        let follows = seen.distance(seen.power, seen.told) == 0;
        let mirrored = clear && !follows && seen.distance(-seen.power, lately) == 0;
        let moved = (seen.power - seen.before).abs() >= seen.of(MIRROR_W);
        match self.mirrored_since {
            Some(since) if mirrored && seen.now.since(since) >= seen.patience => self.distrust(seen.now),
            Some(_) if mirrored => {}
            None if mirrored && moved => self.mirrored_since = Some(seen.now),
            _ => self.mirrored_since = None,
        }
        if self.responses.opposite() >= OPPOSITE {
            // They are held against it once: while it rests it cannot give others.
            self.responses.forgive();
            self.distrust(seen.now);
        }
        if clear && follows && self.responses.opposite() == 0 {
            self.mirrors = None;
        }
    }

    fn distrust(&mut self, now: Time) {
        if self.is_distrusted(now) {
            return;
        }
        let times = self.mirrors.map_or(0, |(times, _)| times).saturating_add(1);
        self.mirrors = Some((times, now + distrust::length(times, self.responses.longest().is_some())));
    }
}

/// How long after a command the battery may still be doing something else, ms.
fn dead_time_ms(response: Option<Span>) -> i64 {
    let known = response.and_then(|r| i64::try_from(r.as_ms()).ok()).map(|ms| ms.saturating_mul(2).saturating_add(DEAD_TIME_MORE_MS));
    known.unwrap_or(DEAD_TIME_MS).clamp(0, 2 * DEAD_TIME_MS)
}

/// What is known at a poll, discharge positive.
#[derive(Clone, Copy)]
struct Seen {
    now: Time,
    power: i64,
    /// Ten seconds ago.
    before: i64,
    told: Hull,
    /// The newest command.
    newest: i64,
    patience: Span,
    /// Patience and dead time.
    waits: Span,
    size_pct: i64,
}

impl Seen {
    /// The same with charging positive.
    fn mirrored(&self) -> Seen {
        let told = Hull { lo: -self.told.hi, hi: -self.told.lo };
        Seen { power: -self.power, before: -self.before, told, newest: -self.newest, ..*self }
    }

    /// What a power of a household's battery is for this one, W.
    fn of(&self, w: i64) -> i64 {
        w.saturating_mul(self.size_pct) / 100
    }

    fn tolerance(&self, told_w: i64) -> i64 {
        self.of(TOLERANCE_W).max(told_w.abs() * TOLERANCE_PCT / 100)
    }

    /// By how much less than the least it was told, W.
    fn short_of(&self, power: i64, told: Hull) -> i64 {
        (told.lo - self.tolerance(told.lo.abs().max(told.hi.abs())) - power).max(0)
    }

    fn distance(&self, power: i64, told: Hull) -> i64 {
        self.short_of(power, told).max(self.short_of(-power, Hull { lo: -told.hi, hi: -told.lo }))
    }

    fn short(&self) -> i64 {
        self.short_of(self.power, self.told)
    }

    fn comes_closer(&self) -> bool {
        self.short_of(self.before, self.told) - self.short() >= self.of(APPROACH_W)
    }
}

impl Side {
    fn cap_w(self) -> Option<i64> {
        match self {
            Side::Fine | Side::Short { .. } => None,
            Side::Capped { cap_w, .. } | Side::Probed { cap_w, .. } => Some(cap_w),
        }
    }

    fn after(self, seen: &Seen) -> Side {
        let does = seen.power.max(0);
        let room_w = seen.of(ROOM_W);
        let capped = Side::Capped { cap_w: does + room_w, since: seen.now };
        match self {
            Side::Fine | Side::Short { .. } if seen.short() == 0 || seen.comes_closer() => Side::Fine,
            Side::Fine => Side::Short { since: seen.now },
            Side::Short { since } if seen.now.since(since) >= seen.patience => capped,
            Side::Short { .. } => self,
            Side::Capped { since, .. } if seen.now.since(since) >= PROBE_AFTER => {
                Side::Probed { cap_w: does + does / 4 + seen.of(PROBE_W), start_w: seen.power, since: seen.now, asked: None }
            }
            Side::Capped { cap_w, since } if (does + room_w - cap_w).abs() > seen.of(STICKY_W) => {
                Side::Capped { cap_w: does + room_w, since }
            }
            Side::Capped { .. } => self,
            Side::Probed { since, asked: None, .. } if seen.now.since(since) >= TRIAL => Side::Fine,
            Side::Probed { cap_w, start_w, since: probed, asked } => {
                let more = seen.newest - start_w;
                if more <= seen.tolerance(seen.newest) {
                    return Side::Probed { cap_w, start_w, since: probed, asked: None };
                }
                let since = asked.unwrap_or(seen.now);
                if seen.power - start_w >= more / 2 {
                    Side::Fine
                } else if seen.now.since(since) >= seen.waits && !seen.comes_closer() {
                    capped
                } else {
                    Side::Probed { cap_w, start_w, since: probed, asked: Some(since) }
                }
            }
        }
    }
}

/// Everything the battery was told during its dead time, and what it was told before that, or did where it was told nothing before.
fn told(polled: &Series, written: &Series, now_ms: i64, dead_ms: i64) -> Option<Hull> {
    let first = written.get(0)?.0;
    let did = polled.iter().take_while(|p| p.0 <= first).last().or(polled.get(0))?.1;
    let mut found = Hull { lo: did, hi: did };
    for (t, w) in written.iter() {
        found = if t > now_ms - dead_ms { Hull { lo: found.lo.min(w), hi: found.hi.max(w) } } else { Hull { lo: w, hi: w } };
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Run {
        polled: Series,
        written: Series,
        follow: Follow,
        response: Option<Span>,
        now: u64,
        power: i64,
    }

    impl Run {
        fn new() -> Run {
            Run { polled: Series::default(), written: Series::default(), follow: Follow::default(), response: None, now: 0, power: 0 }
        }

        fn tell(&mut self, w: i64) {
            self.written.push(Time::from_ms(self.now), w);
        }

        fn second(&mut self, power: i64) -> Trust {
            self.now += 1000;
            self.power = power;
            self.polled.push(Time::from_ms(self.now), power);
            self.follow.judge(&self.polled, &self.written, self.response, Span::from_s(5));
            self.follow.trust()
        }

        fn seconds(&mut self, n: u64, power: i64) {
            for _ in 0..n {
                self.second(power);
            }
        }

        /// Seconds until it is capped, of at most `most`.
        fn until_capped(&mut self, most: u64, power: impl Fn(u64) -> i64) -> Option<u64> {
            (1..=most).find(|&s| self.second(power(s)) != Trust::Full)
        }
    }

    fn run(power: impl Fn(i64) -> i64, commands: &[(u64, i64)], until_s: u64) -> Option<u64> {
        let mut run = Run::new();
        for s in 1..=until_s {
            for &(_, w) in commands.iter().filter(|c| c.0 == s) {
                run.written.push(Time::from_ms(s * 1000), w);
            }
            if run.second(power(s as i64)) != Trust::Full {
                return Some(s);
            }
        }
        None
    }

    #[test]
    fn a_battery_that_rests_against_its_command_is_found_after_dead_time_and_patience() {
        assert_eq!(run(|_| 0, &[(2, 0), (10, 2000)], 120), Some(45));
    }

    #[test]
    fn one_that_runs_away_is_found_in_seconds() {
        assert_eq!(run(|s| if s < 12 { 0 } else { -3500 }, &[(2, 0), (10, 300)], 120), Some(17));
    }

    #[test]
    fn slow_ramps_and_long_dead_times_follow() {
        assert_eq!(run(|s| ((s - 10).max(0) * 12).min(3000), &[(2, 0), (10, 3000)], 400), None);
        assert_eq!(run(|s| if s < 38 { 0 } else { 3000 }, &[(2, 0), (10, 3000)], 120), None);
    }

    /// Three quick answers, and a battery that stops is found in seconds instead of half a minute.
    #[test]
    fn a_fast_battery_that_stops_is_found_fast() {
        let mut r = Run::new();
        r.tell(0);
        r.seconds(10, 0);
        for w in [800, 0, 1200] {
            r.tell(w);
            r.second(r.power);
            (0..20).for_each(|_| assert_eq!(r.second(w), Trust::Full));
        }
        r.response = r.follow.response();
        assert_eq!(r.response, Some(Span::from_ms(2000)));
        r.tell(3000);
        assert_eq!(r.until_capped(60, |_| 1200), Some(12));
    }

    #[test]
    fn a_cap_follows_what_it_does_is_probed_and_ends() {
        let mut r = Run::new();
        r.tell(0);
        r.seconds(10, 0);
        r.tell(4000);
        r.until_capped(60, |_| 1000).expect("capped");
        assert_eq!(r.follow.trust(), Trust::CappedAt { charge_w: i64::MAX, discharge_w: 1200 });
        assert_eq!(r.second(1040), Trust::CappedAt { charge_w: i64::MAX, discharge_w: 1200 }, "noise");
        assert_eq!(r.second(1300), Trust::CappedAt { charge_w: i64::MAX, discharge_w: 1500 });
        r.tell(1500);
        r.seconds(60, 1300);
        assert_eq!(r.follow.trust(), Trust::CappedAt { charge_w: i64::MAX, discharge_w: 1300 + 325 + 500 }, "a probe");
        r.seconds(50, 1300);
        assert_eq!(r.follow.trust(), Trust::CappedAt { charge_w: i64::MAX, discharge_w: 2125 }, "nobody asks for it");
        r.tell(2125);
        r.seconds(36, 1300);
        assert_eq!(r.follow.trust(), Trust::CappedAt { charge_w: i64::MAX, discharge_w: 1500 }, "it failed");
        r.tell(1500);
        r.seconds(61, 1300);
        r.tell(2125);
        r.second(1300);
        assert_eq!(r.second(2100), Trust::Full);
    }

    #[test]
    fn a_battery_that_does_the_opposite_is_seen() {
        let mut r = Run::new();
        r.tell(0);
        r.seconds(10, 0);
        r.tell(1000);
        r.seconds(45, -1000);
        assert!(r.follow.mirrors(Time::from_ms(r.now)));
    }

    /// A register that lied about the sign for a while, and then a calm house that asks for nothing.
    #[test]
    fn a_sign_that_looked_wrong_is_forgiven_in_a_calm_house() {
        let mut r = Run::new();
        r.tell(0);
        r.seconds(12, 0);
        for w in [400, 0, 400, 0] {
            r.tell(w);
            r.seconds(15, -w);
        }
        let now = |r: &Run| Time::from_ms(r.now);
        assert!(r.follow.is_distrusted(now(&r)) && r.follow.mirrors(now(&r)));
        r.seconds(301, 0);
        assert!(!r.follow.is_distrusted(now(&r)) && r.follow.mirrors(now(&r)), "tried again");
        r.seconds(600, 0);
        assert!(!r.follow.mirrors(now(&r)), "nothing has told in its trial");
        for w in [400, 0, 400] {
            r.tell(w);
            r.seconds(15, -w);
        }
        assert!(r.follow.is_distrusted(now(&r)), "found again");
        r.tell(0);
        r.seconds(550, 0);
        assert!(r.follow.is_distrusted(now(&r)), "for twice as long");
    }

    /// Nothing is asked of a battery that once did too little: it cannot show that it does more.
    #[test]
    fn a_cap_ends_in_a_calm_house() {
        let mut r = Run::new();
        r.tell(0);
        r.seconds(10, 0);
        r.tell(4000);
        r.until_capped(60, |_| 1000).expect("capped");
        r.tell(0);
        r.seconds(120, 0);
        assert!(r.follow.falls_short().1, "probed, and not asked for anything");
        r.seconds(600, 0);
        assert_eq!((r.follow.falls_short(), r.follow.trust()), ((false, false), Trust::Full));
    }
}
