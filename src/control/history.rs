//! What a battery did lately and what it was told: bounded rings, and ([`Past`]) what its power may have been over a stretch of time.

mod past;

pub use past::{Hull, Past};

use crate::units::Time;

/// Points kept: 51 s at 200 ms polls, which is the longest latency (15 s) and the stretch that is searched for a swing (36 s).
const CAPACITY: usize = 256;

/// A bounded series of (time in ms, W), oldest first; the oldest point makes room.
#[derive(PartialEq, Debug)]
pub struct Series {
    points: Vec<(i64, i64)>,
    start: usize,
}

impl Default for Series {
    fn default() -> Self {
        Series { points: Vec::with_capacity(CAPACITY), start: 0 }
    }
}

impl Clone for Series {
    /// Keeps the room for all points: a core that is built from copies does not allocate later.
    fn clone(&self) -> Self {
        let mut points = Vec::with_capacity(CAPACITY);
        points.extend_from_slice(&self.points);
        Series { points, start: self.start }
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
        let at = self.start + i;
        let at = if at < CAPACITY { at } else { at - CAPACITY };
        if i < self.points.len() { self.points.get(at).copied() } else { None }
    }

    /// The newest point.
    pub fn newest(&self) -> Option<(i64, i64)> {
        self.len().checked_sub(1).and_then(|i| self.get(i))
    }

    /// All points, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        self.iter_from(0)
    }

    /// The points from the `first`-oldest on.
    pub fn iter_from(&self, first: usize) -> impl Iterator<Item = (i64, i64)> + '_ {
        (first..self.len()).filter_map(|i| self.get(i))
    }

    /// How many points are older than `t_ms`; the index of the first that is not.
    pub fn before(&self, t_ms: i64) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|p| p.0 < t_ms) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Linear interpolation at `t_ms`, flat outside; `None` without points.
    pub fn at(&self, t_ms: i64) -> Option<i64> {
        let i = self.before(t_ms);
        let Some(later) = self.get(i) else { return self.newest().map(|p| p.1) };
        let Some(earlier) = i.checked_sub(1).and_then(|i| self.get(i)) else { return Some(later.1) };
        let span = (later.0 - earlier.0).max(1);
        Some(earlier.1 + ((later.1 - earlier.1) * (t_ms - earlier.0)).div_euclid(span))
    }
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
        for t in 1..=400 {
            s.push(Time::from_ms(t), t as i64);
        }
        assert_eq!(s.len(), 256);
        assert_eq!(s.get(0), Some((145, 145)));
        assert_eq!(s.newest(), Some((400, 400)));
        s.push(Time::from_ms(400), 5);
        assert_eq!(s.newest(), Some((400, 400)));
        assert_eq!([0, 145, 146, 400, 401].map(|t| s.before(t)), [0, 0, 1, 255, 256]);
    }

    #[test]
    fn interpolation() {
        let s = series(&[(1000, 0), (2000, 100)]);
        assert_eq!([500, 1000, 1250, 2000, 9000].map(|t| s.at(t)), [0, 0, 25, 100, 100].map(Some));
        assert_eq!(Series::default().at(5), None);
    }
}
