//! Whether the main fuse would have tripped: a body of the first order that is warmed by the square of the current (control.md 5.2).
//!
//! A circuit breaker carries 1.13 of its rating for ever and 1.45 of it for an hour at most (IEC 60898-1, conventional currents). A body
//! that trips at the warmth of the one reaches it with the other after an hour with a time constant of 3600 s / ln(1.45² / (1.45² - 1.13²)).
//! Real ones are faster at high currents; an excursion of seconds warms both alike.

/// The time constant, s.
const CONSTANT_S: i64 = 3_850;
/// Warmth at the rating for ever, and at which it trips: 1.13².
const RATED: i64 = 1_000_000_000;
const TRIPS: i64 = 1_276_900_000;

/// The fuses of the three phases.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Thermal {
    warmth: [i64; 3],
    most: i64,
    seconds: u64,
    tripped_s: Option<u64>,
}

impl Thermal {
    /// A second with these currents.
    pub fn second(&mut self, currents_ma: [i64; 3], rated_ma: i64) {
        self.seconds += 1;
        let rated = i128::from(rated_ma.max(1)).pow(2);
        for (warmth, ma) in self.warmth.iter_mut().zip(currents_ma) {
            let goal = i128::from(ma).pow(2) * i128::from(RATED) / rated;
            *warmth += ((goal.min(i128::from(i64::MAX / 2)) as i64) - *warmth) / CONSTANT_S;
            self.most = self.most.max(*warmth);
        }
        if self.most >= TRIPS {
            self.tripped_s.get_or_insert(self.seconds);
        }
    }

    /// The highest warmth, in 0.1 % of that at which it trips.
    pub fn most_pm(&self) -> i64 {
        self.most / (TRIPS / 1000)
    }

    /// The second in which the first one would have tripped.
    pub fn tripped_s(&self) -> Option<u64> {
        self.tripped_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(permille: i64, seconds: u64) -> Thermal {
        let mut fuse = Thermal::default();
        (0..seconds).for_each(|_| fuse.second([0, 25 * permille, 0], 25_000));
        fuse
    }

    #[test]
    fn it_carries_what_a_breaker_must_carry_and_trips_when_one_must_trip() {
        assert_eq!(after(1130, 86_400).tripped_s(), None);
        assert!(after(1450, 3_600).tripped_s().is_some_and(|s| s > 3_500));
        assert!(after(2550, 3_600).tripped_s().is_some_and(|s| s < 900));
        assert!(after(1450, 8).most_pm() < 5);
    }
}
