//! The newest samples of the meter: a bounded ring.

/// Samples kept: as many as points of a battery.
const CAPACITY: usize = 256;

/// One sample.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When it arrived, ms.
    pub at_ms: i64,
    /// Power of each phase, and of all together, W, import positive.
    pub power_w: [i64; 4],
}

/// Where the power of all phases together stands in a sample.
pub const TOTAL: usize = 3;

/// The newest samples, oldest first.
#[derive(PartialEq, Debug)]
pub struct Samples {
    ring: Vec<Sample>,
    start: usize,
}

impl Default for Samples {
    fn default() -> Self {
        Samples { ring: Vec::with_capacity(CAPACITY), start: 0 }
    }
}

impl Clone for Samples {
    fn clone(&self) -> Self {
        let mut ring = Vec::with_capacity(CAPACITY);
        ring.extend_from_slice(&self.ring);
        Samples { ring, start: self.start }
    }
}

impl Samples {
    /// Adds one; the oldest makes room.
    pub fn push(&mut self, at_ms: i64, power_w: [i64; 3]) {
        let [a, b, c] = power_w;
        let sample = Sample { at_ms, power_w: [a, b, c, a + b + c] };
        if self.ring.len() < CAPACITY {
            self.ring.push(sample);
        } else {
            self.ring[self.start] = sample;
            self.start = (self.start + 1) % CAPACITY;
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ring.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }

    /// The `i`-th oldest.
    pub fn get(&self, i: usize) -> Option<Sample> {
        let at = self.start + i;
        let at = if at < CAPACITY { at } else { at - CAPACITY };
        if i < self.ring.len() { self.ring.get(at).copied() } else { None }
    }

    /// How many arrived at `at_ms` or before.
    pub fn until(&self, at_ms: i64) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(|s| s.at_ms <= at_ms) { low = middle + 1 } else { high = middle }
        }
        low
    }
}
