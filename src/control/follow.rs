//! Does a battery do what it is told? Compares measured with commanded power and believes neither.
//!
//! A battery may be slow: dead times of 30 s and ramps of 12 W/s are reported from the field (`facts/sax.md` 2, Rates). So a battery
//! follows while its power lies between what it was told during the last half minute, or while it is clearly on its way there.

use super::history::{Hull, Series};
use crate::units::{Span, Time};

/// The longest dead time that still counts as following, ms.
const DEAD_TIME_MS: i64 = 30_000;
/// Off by less than this is following, W (2.4), or by this share of the command (a battery's own reading may be 15 % off, 2.2).
const TOLERANCE_W: i64 = 150;
const TOLERANCE_PCT: i64 = 15;
/// Off for this long is not following (2.4).
const PATIENCE: Span = Span::from_s(5);
/// Coming closer by this much in ten seconds is a slow ramp, not a refusal, W.
const APPROACH_W: i64 = 60;
const APPROACH_MS: i64 = 10_000;

/// Watches one battery.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Follow {
    off_since: Option<Time>,
    refuses: bool,
}

impl Follow {
    /// The battery does not do what it is told.
    pub fn refuses(&self) -> bool {
        self.refuses
    }

    /// Nothing is being commanded.
    pub fn rest(&mut self) {
        *self = Follow::default();
    }

    /// Judges the newest poll against the setpoints written so far.
    pub fn judge(&mut self, polled: &Series, written: &Series) {
        let (Some((t, power)), Some(told)) = (polled.newest(), told(written, polled.newest().map_or(0, |p| p.0))) else {
            self.rest();
            return;
        };
        let off = distance(power, told);
        let closer = polled.at(t - APPROACH_MS).map_or(0, |before| distance(before, told) - off);
        let now = Time::from_ms(u64::try_from(t).unwrap_or(0));
        if off == 0 || closer >= APPROACH_W {
            self.rest();
        } else if now.since(*self.off_since.get_or_insert(now)) >= PATIENCE {
            self.refuses = true;
        }
    }
}

/// Everything the battery was told in the last half minute, and what it was told before that.
fn told(written: &Series, now_ms: i64) -> Option<Hull> {
    let mut found: Option<Hull> = None;
    for (t, w) in written.iter() {
        found = match found {
            Some(h) if t > now_ms - DEAD_TIME_MS => Some(Hull { lo: h.lo.min(w), hi: h.hi.max(w) }),
            _ => Some(Hull { lo: w, hi: w }),
        };
    }
    // Right after the first command the battery may still be doing anything.
    let first = written.get(0)?.0;
    if now_ms - first < PATIENCE.as_ms() as i64 { None } else { found }
}

fn distance(power: i64, told: Hull) -> i64 {
    let tolerance = TOLERANCE_W.max(told.lo.abs().max(told.hi.abs()) * TOLERANCE_PCT / 100);
    (told.lo - tolerance - power).max(power - told.hi - tolerance).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(power: impl Fn(i64) -> i64, commands: &[(u64, i64)], until_s: u64) -> Option<u64> {
        let (mut polled, mut written, mut follow) = (Series::default(), Series::default(), Follow::default());
        for s in 1..=until_s {
            for &(t, w) in commands.iter().filter(|c| c.0 == s) {
                written.push(Time::from_ms(t * 1000), w);
            }
            polled.push(Time::from_ms(s * 1000), power(s as i64));
            follow.judge(&polled, &written);
            if follow.refuses() {
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
}
