//! What a battery did lately and what it was told: bounded rings, and the hull of its possible power over a stretch of time.

use crate::units::Time;

/// How long a command counts as possibly in flight, ms (`spec/control.md` 2.2: a battery that does not follow must not freeze the estimator).
pub const IN_FLIGHT_MS: i64 = 6000;

/// Points kept: 25 s at 200 ms polls, far more than the window at slower ones.
const CAPACITY: usize = 128;

/// A bounded series of (time in ms, W), oldest first; the oldest point makes room.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    points: Vec<(i64, i64)>,
    start: usize,
}

impl Default for Series {
    fn default() -> Self {
        Series { points: Vec::with_capacity(CAPACITY), start: 0 }
    }
}

impl Series {
    /// Adds a point; one that is not newer than the newest is ignored.
    pub fn push(&mut self, at: Time, value_w: i64) {
        let at_ms = ms(at);
        if self.newest().is_some_and(|(t, _)| t >= at_ms) {
            return;
        }
        if self.points.len() < CAPACITY {
            self.points.push((at_ms, value_w));
        } else {
            self.points[self.start] = (at_ms, value_w);
            self.start = (self.start + 1) % CAPACITY;
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.points.clear();
        self.start = 0;
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// The `i`-th oldest point.
    pub fn get(&self, i: usize) -> Option<(i64, i64)> {
        if i < self.points.len() { Some(self.points[(self.start + i) % self.points.len()]) } else { None }
    }

    /// The newest point.
    pub fn newest(&self) -> Option<(i64, i64)> {
        self.len().checked_sub(1).and_then(|i| self.get(i))
    }

    /// All points, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        (0..self.len()).filter_map(|i| self.get(i))
    }

    /// Linear interpolation at `t_ms`, flat outside; `None` without points.
    pub fn at(&self, t_ms: i64) -> Option<i64> {
        let (newest_t, newest) = self.newest()?;
        if t_ms >= newest_t {
            return Some(newest);
        }
        let mut later = (newest_t, newest);
        for i in (0..self.len() - 1).rev() {
            let earlier = self.get(i)?;
            if earlier.0 <= t_ms {
                let span = (later.0 - earlier.0).max(1);
                return Some(earlier.1 + ((later.1 - earlier.1) * (t_ms - earlier.0)).div_euclid(span));
            }
            later = earlier;
        }
        Some(later.1)
    }
}

/// Bounds of what a power may have been, W.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hull {
    /// Lower bound.
    pub lo: i64,
    /// Upper bound.
    pub hi: i64,
}

impl Hull {
    fn with(this: Option<Hull>, w: i64) -> Option<Hull> {
        Some(this.map_or(Hull { lo: w, hi: w }, |h| Hull { lo: h.lo.min(w), hi: h.hi.max(w) }))
    }
}

/// The hull of a battery's power over `[from_ms, to_ms]`: the polls inside, the one just before and the one just after (between polls the
/// power is taken as monotone); for the part newer than the newest poll also the commands that may be in flight.
pub fn hull(polled: &Series, commands: &Series, from_ms: i64, to_ms: i64) -> Hull {
    let mut found = None;
    let mut previous: Option<i64> = None;
    for i in 0..polled.len() {
        let Some((t, w)) = polled.get(i) else { break };
        let next = polled.get(i + 1).map(|p| p.0);
        let inside = from_ms <= t && t <= to_ms;
        let just_before = t < from_ms && next.is_none_or(|n| n > from_ms);
        let just_after = t > to_ms && previous.is_none_or(|p| p < to_ms);
        if inside || just_before || just_after {
            found = Hull::with(found, w);
        }
        previous = Some(t);
    }
    let newest = polled.newest().map(|p| p.0);
    if newest.is_none_or(|n| to_ms > n) {
        for (t, w) in commands.iter() {
            if t <= to_ms && newest.is_none_or(|n| t >= n - IN_FLIGHT_MS) {
                found = Hull::with(found, w);
            }
        }
    }
    found.unwrap_or(Hull { lo: 0, hi: 0 })
}

/// Milliseconds as a signed number, for differences.
pub fn ms(t: Time) -> i64 {
    i64::try_from(t.as_ms()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(u64, i64)]) -> Series {
        let mut s = Series::default();
        for &(t, w) in points {
            s.push(Time::from_ms(t), w);
        }
        s
    }

    #[test]
    fn the_oldest_point_makes_room() {
        let mut s = Series::default();
        for t in 1..=200 {
            s.push(Time::from_ms(t), t as i64);
        }
        assert_eq!(s.len(), 128);
        assert_eq!(s.get(0), Some((73, 73)));
        assert_eq!(s.newest(), Some((200, 200)));
        s.push(Time::from_ms(200), 5);
        assert_eq!(s.newest(), Some((200, 200)));
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
    }

    #[test]
    fn interpolation() {
        let s = series(&[(1000, 0), (2000, 100)]);
        assert_eq!([500, 1000, 1250, 2000, 9000].map(|t| s.at(t)), [0, 0, 25, 100, 100].map(Some));
        assert_eq!(Series::default().at(5), None);
    }
}
