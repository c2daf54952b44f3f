//! What the power of a battery may have been over a stretch of time, from what was read and what it was told.

use super::Series;
use crate::control::math::per_mille;

/// How long a command counts as possibly in flight, ms (`spec/control.md` 2.2: a battery that does not follow must not freeze the estimator).
pub const IN_FLIGHT_MS: i64 = 6000;
/// A battery that is known to be slow to respond gets this much more than its response, and never more than that in all, ms (dead times of
/// 30 s were seen: `spec/control.md` 1.1).
const BEYOND_RESPONSE_MS: i64 = 3000;
const IN_FLIGHT_MOST_MS: i64 = 40_000;
/// A battery that moves by more than this from one poll to the next is on its way to its newest command, W.
const ON_ITS_WAY_W: i64 = 40;

/// Bounds of what a power may have been, W.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hull {
    /// Lower bound.
    pub lo: i64,
    /// Upper bound.
    pub hi: i64,
}

impl Hull {
    /// Nothing at all.
    pub const ZERO: Hull = Hull { lo: 0, hi: 0 };

    fn with(this: Option<Hull>, w: i64) -> Option<Hull> {
        Some(this.map_or(Hull { lo: w, hi: w }, |h| Hull { lo: h.lo.min(w), hi: h.hi.max(w) }))
    }
}

/// What a battery's past is known from.
#[derive(Clone, Copy, Debug)]
pub struct Past<'a> {
    /// Its power as it was read, W.
    pub polled: &'a Series,
    /// What the readings are multiplied by to agree with the meter, per mille.
    pub scale_pm: i64,
    /// What it was told, W.
    pub commands: &'a Series,
    /// The longest time from a command to the movement that was seen, ms; 0 where unknown.
    pub response_ms: i64,
}

impl Past<'_> {
    /// The power at `t_ms`, interpolated, W.
    pub fn at(&self, t_ms: i64) -> i64 {
        per_mille(self.polled.at(t_ms).unwrap_or(0), self.scale_pm)
    }

    /// The newest reading, W.
    pub fn newest_w(&self) -> i64 {
        self.polled.newest().map_or(0, |p| per_mille(p.1, self.scale_pm))
    }

    /// The hull of the power over `[from_ms, to_ms]`: the polls inside, the one just before and the one just after (between polls the
    /// power is taken as monotone); for the part newer than the newest poll also the commands that may be in flight.
    pub fn hull(&self, from_ms: i64, to_ms: i64) -> Hull {
        let mut found = None;
        let mut i = self.polled.before(from_ms);
        if self.polled.get(i).is_none_or(|p| p.0 > from_ms) {
            i = i.saturating_sub(1);
        }
        let mut previous: Option<i64> = i.checked_sub(1).and_then(|i| self.polled.get(i)).map(|p| p.0);
        for (t, w) in self.polled.iter_from(i) {
            if t > to_ms && previous.is_some_and(|p| p >= to_ms) {
                break;
            }
            found = Hull::with(found, per_mille(w, self.scale_pm));
            previous = Some(t);
        }
        if self.polled.newest().is_none_or(|p| to_ms > p.0) {
            found = self.in_flight(to_ms, found);
        }
        found.unwrap_or(Hull::ZERO)
    }

    /// The hull of the mean power over `averaging_ms`, ending anywhere in `[from_ms, to_ms]`: of the lower and of the upper envelope, each
    /// for itself (`spec/control.md` 2.2). Such a mean is linear between the times at which its beginning or its end meets a poll.
    pub fn averaged_hull(&self, from_ms: i64, to_ms: i64, averaging_ms: i64) -> Hull {
        if averaging_ms <= 0 || self.polled.is_empty() {
            return self.hull(from_ms, to_ms);
        }
        let newest = self.polled.newest().map_or(0, |p| p.0);
        let tail = if to_ms > newest { self.in_flight(to_ms, Some(self.point_hull(newest))) } else { None }.unwrap_or(Hull::ZERO);
        let mut found: Option<Hull> = None;
        let mut take = |end_ms: i64| {
            let mean = self.mean(end_ms - averaging_ms, end_ms, tail);
            found = Some(found.map_or(mean, |f| Hull { lo: f.lo.min(mean.lo), hi: f.hi.max(mean.hi) }));
        };
        take(from_ms);
        take(to_ms);
        for shift in [0, averaging_ms] {
            let first = self.polled.before(from_ms - shift);
            self.polled.iter_from(first).map(|p| p.0 + shift).take_while(|t| *t < to_ms).for_each(&mut take);
        }
        found.unwrap_or(Hull::ZERO)
    }

    /// The means of the envelopes over `[from_ms, to_ms]`, which is not empty, W; `tail` is the envelope after the newest poll.
    fn mean(&self, from_ms: i64, to_ms: i64, tail: Hull) -> Hull {
        let (mut lo, mut hi) = (0, 0);
        let mut at_ms = from_ms;
        let mut i = self.polled.before(from_ms + 1);
        let mut earlier = i.checked_sub(1).and_then(|i| self.polled.get(i));
        while at_ms < to_ms {
            let later = self.polled.get(i);
            let until_ms = later.map_or(to_ms, |p| p.0.min(to_ms));
            let envelope = match (earlier, later) {
                (_, None) => tail,
                (None, Some(p)) => Hull { lo: p.1, hi: p.1 }.scaled(self.scale_pm),
                (Some(p), Some(q)) => Hull { lo: p.1.min(q.1), hi: p.1.max(q.1) }.scaled(self.scale_pm),
            };
            lo += envelope.lo * (until_ms - at_ms);
            hi += envelope.hi * (until_ms - at_ms);
            (at_ms, earlier, i) = (until_ms, later, i + 1);
        }
        let span = (to_ms - from_ms).max(1);
        Hull { lo: lo.div_euclid(span), hi: -(-hi).div_euclid(span) }
    }

    fn point_hull(&self, t_ms: i64) -> Hull {
        let w = self.at(t_ms);
        Hull { lo: w, hi: w }
    }

    /// Widens `found` by the commands until `to_ms` that the newest poll need not show yet.
    fn in_flight(&self, to_ms: i64, mut found: Option<Hull>) -> Option<Hull> {
        let newest = self.polled.newest().map(|p| p.0);
        let in_flight_ms = IN_FLIGHT_MS.max(self.response_ms + BEYOND_RESPONSE_MS).min(IN_FLIGHT_MOST_MS);
        let mut first = newest.map_or(0, |n| self.commands.before(n - in_flight_ms));
        if first == self.commands.len() && self.response_ms > 0 && self.is_on_its_way() {
            first = first.saturating_sub(1);
        }
        for (_, w) in self.commands.iter_from(first).take_while(|c| c.0 <= to_ms) {
            found = Hull::with(found, w);
        }
        found
    }
}

impl Past<'_> {
    /// The newest two polls differ, and a command that is not too old may be why. Believed of a battery that was seen to follow: one that
    /// moves by itself must not freeze the estimator.
    fn is_on_its_way(&self) -> bool {
        let n = self.polled.len();
        let (Some(newest), Some(before), Some(told)) =
            (self.polled.newest(), n.checked_sub(2).and_then(|i| self.polled.get(i)), self.commands.newest())
        else {
            return false;
        };
        (newest.1 - before.1).abs() > ON_ITS_WAY_W && newest.0 - told.0 <= IN_FLIGHT_MOST_MS
    }
}

impl Hull {
    fn scaled(self, scale_pm: i64) -> Hull {
        Hull { lo: per_mille(self.lo, scale_pm), hi: per_mille(self.hi, scale_pm) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Time;

    fn series(points: &[(u64, i64)]) -> Series {
        let mut s = Series::default();
        for &(t, w) in points {
            s.push(Time::from_ms(t), w);
        }
        s
    }

    fn hull(polled: &Series, commands: &Series, from_ms: i64, to_ms: i64) -> Hull {
        Past { polled, scale_pm: 1000, commands, response_ms: 0 }.hull(from_ms, to_ms)
    }

    #[test]
    fn the_hull_takes_the_neighbours_of_the_stretch() {
        let polled = series(&[(1000, 10), (2000, 50), (3000, 90), (4000, 20)]);
        let none = Series::default();
        assert_eq!(hull(&polled, &none, 2500, 2600), Hull { lo: 50, hi: 90 });
        assert_eq!(hull(&polled, &none, 1500, 4000), Hull { lo: 10, hi: 90 });
        assert_eq!(hull(&polled, &none, 4500, 5000), Hull { lo: 20, hi: 20 });
    }

    #[test]
    fn commands_count_only_after_the_newest_poll_and_only_for_six_seconds() {
        let polled = series(&[(10_000, 0)]);
        let commands = series(&[(3000, 900), (9000, 500)]);
        assert_eq!(hull(&polled, &commands, 9000, 11_000), Hull { lo: 0, hi: 500 });
        assert_eq!(hull(&polled, &commands, 9000, 10_000), Hull { lo: 0, hi: 0 });
        let slow = Past { polled: &polled, scale_pm: 1000, commands: &commands, response_ms: 5000 };
        assert_eq!(slow.hull(9000, 11_000), Hull { lo: 0, hi: 900 });
    }

    #[test]
    fn a_battery_on_its_way_may_have_arrived() {
        let commands = series(&[(1000, 3000)]);
        let hull =
            |polled: &Series, commands: &Series, from, to| Past { polled, scale_pm: 1000, commands, response_ms: 500 }.hull(from, to);
        assert_eq!(hull(&series(&[(7500, 0), (8500, 2000)]), &commands, 8600, 9000), Hull { lo: 2000, hi: 3000 });
        assert_eq!(hull(&series(&[(7500, 2900), (8500, 2910)]), &commands, 8600, 9000), Hull { lo: 2910, hi: 2910 });
    }

    #[test]
    fn readings_are_scaled_and_commands_are_not() {
        let (polled, commands) = (series(&[(1000, 0), (2000, 1000)]), series(&[(2500, 1000)]));
        let past = Past { polled: &polled, scale_pm: 900, commands: &commands, response_ms: 0 };
        assert_eq!(past.hull(1500, 1600), Hull { lo: 0, hi: 900 });
        assert_eq!(past.hull(2100, 3000), Hull { lo: 900, hi: 1000 });
        assert_eq!((past.at(1500), past.newest_w()), (450, 900));
    }

    /// Against the plain way: the mean for every millisecond at which the average may end.
    #[test]
    fn the_averaged_hull_is_that_of_all_means() {
        let polled = series(&[(1000, 0), (2000, 0), (2600, 900), (3100, 1000), (4000, -300), (5000, -300)]);
        let commands = series(&[(5200, 700)]);
        let past = Past { polled: &polled, scale_pm: 1000, commands: &commands, response_ms: 0 };
        let envelope = |t: i64| {
            if t >= 5000 {
                return Hull { lo: -300, hi: 700 };
            }
            let i = polled.before(t + 1);
            let (p, q) = (polled.get(i.saturating_sub(1)).map_or(0, |p| p.1), polled.get(i).map_or(0, |p| p.1));
            Hull { lo: p.min(q), hi: p.max(q) }
        };
        for (from, to, w) in [(1500, 3000, 1000), (1500, 6000, 500), (2700, 2700, 2000), (5500, 6000, 1000), (100, 900, 300)] {
            let means = (from..=to).map(|end| {
                let sum = (end - w..end).map(envelope).fold((0, 0), |s, h| (s.0 + h.lo, s.1 + h.hi));
                (sum.0.div_euclid(w), -(-sum.1).div_euclid(w))
            });
            let plain = means.fold((i64::MAX, i64::MIN), |m, h| (m.0.min(h.0), m.1.max(h.1)));
            let found = past.averaged_hull(from, to, w);
            assert_eq!((found.lo, found.hi), plain, "[{from}, {to}] averaged over {w} ms");
        }
    }
}
